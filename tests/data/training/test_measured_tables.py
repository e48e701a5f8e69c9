import numpy as np

from matloop.data.packaged.materials import load_materials
from matloop.data.training.measured_tables import rows_with_crystals
from matloop.data.training.packaged_tables import labelled_table


def test_rows_get_the_crystal_of_their_space_group_or_none() -> None:
    batch, refused = rows_with_crystals(["ZnS", "TiO2", "no formula"], load_materials(), space_groups=[216, 136, 1])
    assert [row.row for row in refused] == [2]
    assert batch.formulas == ["ZnS", "TiO2"]
    assert batch.has_crystal.tolist() == [True, False]
    assert batch.column("space_group_number")[0] == 216
    assert np.isnan(batch.column("space_group_number")[1])


def test_without_a_space_group_the_crystal_nearest_to_the_hull_counts() -> None:
    crystals = load_materials()
    batch, _ = rows_with_crystals(["TiO2"], crystals)
    same = np.array(crystals.formulas) == "TiO2"
    chosen = np.flatnonzero(np.array(crystals.ids) == batch.ids[0])
    assert len(chosen) == 1
    assert same[chosen[0]]
    known = crystals.column("energy_above_hull_dft")[same]
    assert not crystals.column("energy_above_hull_dft")[chosen[0]] > max(0.01, np.nanmin(known))


def test_measured_indices_are_a_training_set_of_measured_labels() -> None:
    training = labelled_table("measured_indices").training_set("refractive_index")
    assert training.provenance == "exp"
    assert "CC0" in training.licence
    assert "Polyanskiy" in training.citation
    assert len(training) == 129
    assert training.rows.has_crystal.sum() == 80
    assert len(set(training.rows.ids)) == len(training)
    quartz = training.rows.formulas.index("SiO2")
    assert 1.53 < training.values[quartz] < 1.54
