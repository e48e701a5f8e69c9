"""The packaged data are named in one place; everybody else is handed them, or asks there."""

from pathlib import Path

import numpy as np
import pytest

from matloop.data.training.packaged_tables import packaged_training_set

ROOT = Path(__file__).parents[3]
THE_ONE_PLACE = "data/training/packaged_tables.py"


def test_nobody_loads_the_packaged_data_behind_the_back_of_the_caller() -> None:
    found = set()
    for folder in ("data", "featurizers", "models", "screening", "workflows"):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            text = path.read_text("utf-8")
            inside = name.startswith(("data/packaged/", "data/datasets/"))
            if not inside and ("load_materials" in text or "load_transport" in text):
                found.add(name)
    assert found == {THE_ONE_PLACE}


def test_models_and_screening_are_handed_the_packaged_crystals() -> None:
    """Only examples in docstrings may ask for them there."""
    for folder in ("featurizers", "models", "screening"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = [line for line in path.read_text("utf-8").splitlines() if "packaged_crystals" in line]
            assert all(line.strip().startswith(">>>") for line in lines), path.name


def test_measured_gaps_are_a_training_set_of_measured_values() -> None:
    gaps = packaged_training_set("band_gap", table="measured_gaps")
    assert (len(gaps), gaps.provenance) == (2470, "exp")
    assert len(np.unique(gaps.groups)) == len(gaps)
    assert "10.1021/acs.jpclett.8b00124" in gaps.citation
    assert "MIT" in gaps.about["licence"]


@pytest.mark.parametrize(
    ("table", "name", "condition", "rows", "licence"),
    [
        ("measured_hardness", "vickers_hardness", "load", 1061, "MIT"),
        ("measured_strength", "yield_strength", "temperature", 679, "CC BY 4.0"),
    ],
)
def test_measured_mechanical_properties_teach_under_their_condition(
    table: str, name: str, condition: str, rows: int, licence: str
) -> None:
    training = packaged_training_set(name, table=table)
    assert (len(training), training.provenance) == (rows, "exp")
    assert list(training.conditions) == [condition]
    assert np.isfinite(training.conditions[condition]).all()
    assert len(np.unique(training.groups)) < rows  # compositions under several conditions stay in one group
    assert licence in training.about["licence"]
    assert "doi:10." in training.citation


def test_gaps_with_metals_add_crystals_of_which_no_other_polymorph_can_be_meant() -> None:
    dielectrics, gaps = packaged_training_set("band_gap"), packaged_training_set("band_gap", table="gaps_with_metals")
    assert (gaps.provenance, gaps.licence) == (dielectrics.provenance, dielectrics.licence)
    value_of = dict(zip(gaps.rows.ids, gaps.values.tolist(), strict=True))
    assert [value_of[name] for name in dielectrics.rows.ids] == dielectrics.values.tolist(), "their own labels stay"
    named = dict(zip(gaps.rows.formulas, gaps.values.tolist(), strict=True))
    assert {formula: named.get(formula) for formula in ("Co", "ReO3", "LaNiO3")} == dict.fromkeys(
        ("Co", "ReO3", "LaNiO3"), 0.0
    )
    assert "NbO" not in named, "far above the hull"
    assert "CrO2" not in named, "polymorphs with gaps of 0 and 0.17 eV"
    metals = gaps.values == 0
    assert (int(metals.sum()), len(gaps)) == (2389, 4802)
