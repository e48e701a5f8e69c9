"""Measured hardness and strength: textbook values, conditions, and one row for each composition under a condition."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from matloop.data.packaged.measured_mechanics import (
    load_measured_hardness,
    load_measured_strength,
    load_strength_measurements,
)


def rows_of(table: pa.Table, formula: str) -> pa.Table:
    return table.filter(pc.equal(table["formula"], formula))


@pytest.mark.parametrize(
    ("formula", "lowest", "highest"),
    [("TiB2", 20, 40), ("SiC", 18, 40), ("ReB2", 18, 60), ("TiN", 12, 35)],  # handbooks of ceramics
)
def test_hard_compounds_lie_where_handbooks_have_them(formula: str, lowest: float, highest: float) -> None:
    values = rows_of(load_measured_hardness(), formula)["vickers_hardness_exp"].to_numpy()
    assert len(values)
    assert ((values > lowest) & (values < highest)).all()


def test_hardness_falls_as_the_load_grows() -> None:
    """The indentation size effect: among compositions under several loads, nearly all are softer under the largest."""
    table = load_measured_hardness()
    formulas = table["formula"].to_numpy(zero_copy_only=False)
    hardness, load = table["vickers_hardness_exp"].to_numpy(), table["condition_load"].to_numpy()
    first = np.flatnonzero(np.append(True, formulas[1:] != formulas[:-1]))
    last = np.append(first[1:], len(formulas)) - 1
    several = (last > first) & (load[last] > 2 * load[first])
    assert several.sum() > 100
    assert (hardness[last] < hardness[first])[several].mean() > 0.9


def test_alloys_get_softer_when_they_are_hot_and_repeats_become_their_median() -> None:
    table = load_measured_strength()
    value, kelvin = table["yield_strength_exp"].to_numpy(), table["condition_temperature"].to_numpy()
    assert np.median(value[kelvin > 1200]) < np.median(value[kelvin < 400])
    assert kelvin.min() >= 4
    every = load_strength_measurements()
    row = int(np.argmax(table["repeats"].to_numpy()))
    formula, at = table["formula"][row].as_py(), kelvin[row]
    one = rows_of(every, formula)
    values = one["yield_strength_exp"].to_numpy()[one["condition_temperature"].to_numpy() == at]
    assert len(values) == table["repeats"][row].as_py() > 10
    assert value[row] == np.median(values)
    assert pc.all(pc.match_substring(every["doi"], "10.")).as_py()
