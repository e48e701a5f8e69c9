import numpy as np
import pyarrow.compute as pc

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.measured_gaps import load_gap_measurements, load_measured_classes, load_measured_gaps


def test_repeats_are_kept_as_a_distribution() -> None:
    gaps, values = load_measured_gaps(), load_gap_measurements()
    assert gaps.column_names == ["formula", "band_gap", "lowest", "highest", "repeats", "alloyed"]
    assert (gaps.num_rows, values.num_rows, pc.sum(gaps["repeats"]).as_py()) == (2470, 3896, 3896)
    gallium_arsenide = values.filter(pc.equal(values["formula"], "GaAs"))["band_gap"].to_numpy()
    (row,) = gaps.filter(pc.equal(gaps["formula"], "GaAs")).to_pylist()
    assert (row["repeats"], row["lowest"], row["highest"]) == (25, 1.4, 1.58)
    assert row["band_gap"] == np.median(gallium_arsenide)
    middle = gaps["band_gap"].to_numpy()
    assert (gaps["lowest"].to_numpy() <= middle).all()
    assert (middle <= gaps["highest"].to_numpy()).all()
    keys = composition_keys(parse_formulas(gaps["formula"].combine_chunks(), exact=True)[0])
    assert len(np.unique(keys)) == gaps.num_rows


def test_gaps_of_textbooks() -> None:
    gaps = load_measured_gaps()
    found = dict(zip(gaps["formula"].to_pylist(), gaps["band_gap"].to_pylist(), strict=True))
    for formula, gap in {"ZnS": 3.7, "GaN": 3.4, "SrTiO3": 3.2, "CdTe": 1.5, "InSb": 0.17}.items():
        assert abs(found[formula] - gap) < 0.2, formula


def test_what_is_called_both_has_no_class_and_only_insulators_are_alloyed() -> None:
    classes = load_measured_classes()
    formulas = classes["formula"].to_pylist()
    assert not {"CoPbO3", "Cu9S5"} & set(formulas)
    assert not pc.any(pc.and_(classes["alloyed"], pc.invert(classes["insulator"]))).as_py()
    insulators = classes.filter(classes["insulator"])["formula"].to_pylist()
    assert set(insulators) <= set(load_measured_gaps()["formula"].to_pylist())
