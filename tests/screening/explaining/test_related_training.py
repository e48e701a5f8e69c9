from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.explaining.related_training import related_training


def gaps_of(*formulas: str, provenance: str) -> TrainingSet:
    return TrainingSet.of_formulas(
        formulas, [1.0] * len(formulas), property_name="band_gap", name=provenance, provenance=provenance, licence="CC0"
    )


def test_rows_count_that_share_two_elements_also_those_that_help_in_a_transfer() -> None:
    candidates, _ = CandidateBatch.from_formulas(["ZrSc2O5", "Si"])
    measured = gaps_of("ZrO2", "Sc2O3", "MgO", "Si3N4", provenance="exp")
    computed = gaps_of("Sc2TiO5", "ZnS", "SiC", provenance="dft:pbe")
    training = TrainingSets({"band_gap": measured}, {"band_gap": computed})
    assert related_training(training, "band_gap", candidates, 0) == (3, 7)
    assert related_training(training, "band_gap", candidates, 1) == (2, 7), (
        "an element alone is shared by its compounds"
    )
    assert related_training(TrainingSets({"band_gap": measured}), "band_gap", candidates, 0) == (2, 4)
