import multiprocessing
import subprocess
import sys

import matminer
import numpy as np
import pytest
from matminer.featurizers import composition, structure
from pymatgen.core import Composition, Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import FeaturizerError, UnknownNameError
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.matminer.adapter import MatminerFeaturizer
from matloop.featurizers.matminer.rows import MatminerRows
from tests.strategies import batch_of

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
CUBE = Lattice.cubic(4.0)


def test_composition_featurizer() -> None:
    featurizer = MatminerFeaturizer("BandCenter")
    assert featurizer.needs == {"compositions"}
    assert featurizer.feature_names == ("BandCenter band center",)
    values, codes, details = featurizer.featurize(batch_of("NaCl", "Fe4O6"))
    expected = [composition.BandCenter().featurize(Composition(formula)) for formula in ("NaCl", "Fe2O3")]
    np.testing.assert_array_equal(values, expected)
    assert codes.tolist() == ["", ""]
    assert details == {}


def test_structure_featurizer_with_options(sample: CandidateBatch) -> None:
    featurizer = MatminerFeaturizer("DensityFeatures", options={"desired_features": ["vpa", "density"]})
    assert featurizer.needs == {"crystals"}
    values, codes, _ = featurizer.featurize(sample.take(range(5)))
    reference = structure.DensityFeatures(desired_features=["vpa", "density"])
    np.testing.assert_allclose(values, [reference.featurize(sample.structure(row)) for row in range(5)], rtol=1e-12)
    assert list(featurizer.feature_names) == [f"DensityFeatures {label}" for label in reference.feature_labels()]
    assert not codes.any()


def test_preset() -> None:
    featurizer = MatminerFeaturizer("ElementProperty", preset="magpie")
    reference = composition.ElementProperty.from_preset("magpie")
    np.testing.assert_array_equal(
        featurizer.featurize(batch_of("SiO2")).values[0], reference.featurize(Composition("SiO2"))
    )
    assert featurizer.parameters == {"featurizer": "ElementProperty", "preset": "magpie", "options": {}}


def test_failing_row_is_coded_with_details_and_neighbours_unharmed() -> None:
    helium = Structure(CUBE, ["He"], [[0, 0, 0]])
    salt = Structure(CUBE, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    batch = CandidateBatch.from_structures([salt, helium, salt]).batch
    featurizer = MatminerRows("MaximumPackingEfficiency")
    featurizer._featurizer.featurize = lambda crystal: [1 / (len(crystal) - 1)]
    values, codes, details = featurizer.featurize(batch)
    assert codes.tolist() == ["", "E-FEATURE-FAILED", ""]
    assert values[[0, 2]].tolist() == [[1.0], [1.0]]
    assert np.isnan(values[1]).all()
    assert details == {1: "ZeroDivisionError: division by zero"}
    matrix = FeatureSet((featurizer,)).featurize(batch)
    assert matrix.codes.tolist() == codes.tolist()
    assert matrix.details == details


def test_row_that_matminer_fills_with_nan_is_coded() -> None:
    featurizer = MatminerFeaturizer("ElementProperty", preset="magpie", options={"impute_nan": False})
    values, codes, _ = featurizer.featurize(batch_of("NaCl", "Og2"))
    assert codes.tolist() == ["", "E-FEATURE-FAILED"]
    assert np.isfinite(values[0]).all()


def test_row_of_the_wrong_width_is_coded() -> None:
    featurizer = MatminerRows("BandCenter")
    featurizer._featurizer.featurize = lambda formula: [1.0, 2.0]
    values, codes, details = featurizer.featurize(batch_of("NaCl"))
    assert codes.tolist() == ["E-FEATURE-FAILED"]
    assert np.isnan(values).all()
    assert details[0].startswith("ValueError")


def test_warnings_of_foreign_code_stay_inside(recwarn: pytest.WarningsRecorder) -> None:
    MatminerRows("ElementProperty", preset="magpie").featurize(batch_of("HeSi", "Og2"))
    assert not [w for w in recwarn if "impute" in str(w.message)]


@pytest.mark.parametrize("known", [MatminerFeaturizer, MatminerRows])
def test_unknown_featurizer_names_the_nearest(known: type) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown matminer featurizer 'BandCentre'.*did you mean 'BandCenter'\?"
    ):
        known("BandCentre")


@pytest.mark.parametrize("name", ["BaseFeaturizer", "StructureFeaturizer", "os", "__doc__", "CrystalNNFingerprint"])
def test_only_featurizers_of_compositions_and_structures_are_offered(name: str) -> None:
    with pytest.raises(UnknownNameError):
        MatminerRows(name)


@pytest.mark.parametrize(
    ("name", "preset", "options"),
    [
        ("ElementProperty", "no such preset", None),
        ("ElementProperty", None, None),  # needs arguments
        ("BandCenter", None, {"no_such_option": 1}),
        ("BandCenter", "magpie", None),  # has no presets
        ("BondFractions", None, None),  # needs fitting
    ],
)
def test_what_matminer_refuses_is_one_coded_error(
    name: str, preset: str | None, options: dict[str, int] | None
) -> None:
    for known in (MatminerFeaturizer, MatminerRows):
        with pytest.raises(FeaturizerError, match=f"E-FEATURIZER: matminer's {name} refused"):
            known(name, preset=preset, options=options)


def test_one_level_of_processes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process pool cannot start inside a Dask worker")

    monkeypatch.setattr(multiprocessing, "Pool", refuse)
    featurizer = MatminerRows("BandCenter")
    assert featurizer._featurizer.n_jobs == 1
    assert not featurizer.featurize(batch_of("NaCl")).codes.any()


def test_version_is_matminers_and_limits_are_no_part_of_the_fingerprint() -> None:
    featurizer = MatminerFeaturizer("BandCenter")
    assert featurizer.version == matminer.__version__
    limited = MatminerFeaturizer("BandCenter", seconds=20, megabytes=500)
    assert FeatureSet((limited,)).fingerprint == FeatureSet((featurizer,)).fingerprint


def test_matminer_stays_out_of_this_process() -> None:
    code = (
        "import sys\nfrom matloop.featurizers.matminer.adapter import MatminerFeaturizer\n"
        "from matloop.data.candidates.batch import CandidateBatch\n"
        "found = MatminerFeaturizer('BandCenter').featurize(CandidateBatch.from_formulas(['NaCl']).batch)\n"
        "print(found.codes.tolist(), 'matminer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[''] False\n"
