"""Labels under conditions: rows of one material at different temperatures are never averaged."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from matloop.data.errors import CampaignError, InputFileError, TrainingSetError, UnitError, UnknownNameError
from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.own_labels.label_conditions import label_conditions
from matloop.data.own_labels.labelled_columns import LabelledAseDatabase
from matloop.data.own_labels.labelled_formulas import LabelledFormulas
from matloop.data.own_labels.labelled_structures import LabelledStructureFiles
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.properties.definition import Property
from matloop.data.training.training_set import TrainingSet, joined

CONDUCTIVITY = Property(
    name="ionic_conductivity", symbol="σ", unit="S/cm", label_en="ionic conductivity", label_zh="离子电导率",
    lower=0, upper=100, transform="log10",
)  # fmt: skip
SALTS = [metal + halide for metal in ("Li", "Na", "K", "Rb", "Cs", "Ag") for halide in ("F", "Cl", "Br", "I")]
HEADER = ("formula", "sigma (S/cm)", "T (°C)")
KELVINS: dict[str, Any] = {"temperature": {"column": "T (°C)"}}
Row = Sequence[Any]


@pytest.fixture(autouse=True)
def own_property() -> Iterator[None]:
    with using(Catalogue((CONDUCTIVITY,))):
        yield


def table(folder: Path, rows: Sequence[Row], *, header: Row = HEADER) -> Path:
    path = folder / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path: Path, **options: Any) -> tuple[TrainingSet, LabelAccount]:
    conditions = options.pop("conditions", KELVINS)
    return LabelledFormulas(
        path, property="ionic_conductivity", column="sigma (S/cm)", source="exp", conditions=conditions, **options
    ).read()


def at_two_temperatures() -> list[Row]:
    return [(salt, 0.1 * (place + 1), celsius) for salt in SALTS for place, celsius in enumerate((25, 125))]


def test_rows_of_a_material_at_other_temperatures_stay_apart(tmp_path: Path) -> None:
    rows = [*at_two_temperatures(), ("LiF", 0.4, "25.0"), ("LiF", 0.9, "77 °F")]
    training, account = read(table(tmp_path, rows))
    assert len(training) == 48
    np.testing.assert_allclose(training.conditions["temperature"][:2], [298.15, 398.15])
    np.testing.assert_allclose(training.values[0], (0.1 * 0.4 * 0.9) ** (1 / 3))  # three rows at 25 °C
    np.testing.assert_allclose(training.values[1], 0.2)
    assert (account.materials, account.groups, account.repeats) == (24, 24, 2)
    assert "temperature 298.15 to 398.15 K; 2 rows repeat a material under equal conditions" in str(account)


def test_rows_without_a_readable_condition_say_so(tmp_path: Path) -> None:
    odd: list[Row] = [("MgO", 1, ""), ("CaO", 1, "room"), ("SrO", 1, "3 bar"), ("BaO", 1, "-300"), ("ZnO", "", "")]
    _, account = read(table(tmp_path, [*at_two_temperatures(), *odd]))
    assert dict(account.refused) == {"E-LABEL-CONDITION-CELL": 4, "E-LABEL-EMPTY": 1}
    empty, words, unit, cold, _ = account.rows[-5:]
    assert empty.place == "labels.csv, row 50, column 'T (°C)'"
    assert "is empty" in empty.detail
    assert "'room' is no number" in words.detail
    assert "write it in °C" in unit.detail
    assert "not possible" in cold.detail


def test_limits_choose_rows_and_make_no_feature(tmp_path: Path) -> None:
    rows = [*at_two_temperatures(), ("LiF", 0.4, 27)]
    conditions = {"temperature": {"column": "T (°C)", "unit": "°C", "from": 20, "to": 30}}
    training, account = read(table(tmp_path, rows), conditions=conditions)
    assert training.conditions == {}
    assert len(training) == 24
    np.testing.assert_allclose(training.values[0], (0.1 * 0.4) ** 0.5)
    assert dict(account.refused) == {"E-LABEL-CONDITION": 24}
    assert account.rows[1].detail.endswith("is 398.15 K; rows from 293.15 K to 303.15 K teach")
    assert "(rows from 293.15 K to 303.15 K teach)" in str(account)


def test_one_value_may_hold_for_all_rows(tmp_path: Path) -> None:
    rows = [(salt, 0.1, "") for salt in SALTS]
    (tmp_path / "b").mkdir()
    cold, account = read(table(tmp_path, rows), conditions={"temperature": "298 K"})
    warm, _ = read(table(tmp_path / "b", at_two_temperatures()))
    assert "temperature 298 K" in str(account)
    assert len(joined([cold, warm]).conditions["temperature"]) == 72
    bare, _ = read(table(tmp_path, rows), conditions=None)
    with pytest.raises(TrainingSetError, match=r"states no conditions, and .* temperature.*such as 'conditions:"):
        joined([bare, warm])


def test_conditions_are_part_of_the_content(tmp_path: Path) -> None:
    first, _ = read(table(tmp_path, at_two_temperatures()))
    other = [(formula, value, celsius + 1) for formula, value, celsius in at_two_temperatures()]
    second, _ = read(table(tmp_path, other))
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(
    ("conditions", "error", "words"),
    [
        ({"temperature_": {"column": "T (°C)"}}, UnknownNameError, "did you mean 'temperature'"),
        ({"pressure": {"column": "T (°C)"}}, UnitError, "pressure in '°C'"),
        ({"temperature": {"column": "T (°C)", "unit": "bar"}}, UnitError, "temperature in 'bar'"),
        ({"temperature": {"column": "T"}}, InputFileError, "did you mean 'T \\(°C\\)'"),
        ({"temperature": {"unit": "K"}}, CampaignError, "without a column"),
        ({"temperature": {"column": "T (°C)", "at": 3}}, UnknownNameError, "unknown key 'at'"),
        ({"temperature": {"column": "T (°C)", "from": 30, "to": 20}}, CampaignError, "'from' above 'to'"),
        ({"temperature": {"column": "T (°C)", "from": "20 K"}}, CampaignError, "a number, in °C"),
        ({"temperature": "300"}, UnitError, "a number with its unit"),
    ],
)
def test_conditions_that_are_none_are_refused(
    conditions: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read(table(tmp_path, at_two_temperatures()), conditions=conditions)


def test_a_row_of_units_must_agree(tmp_path: Path) -> None:
    header = ("formula", "sigma (S/cm)", "T")
    path = table(tmp_path, [("", "S/cm", "°C"), *at_two_temperatures()], header=header)
    with pytest.raises(UnitError, match="says °C for 'T', and the unit of the condition is K"):
        read(path, conditions={"temperature": {"column": "T"}})
    training, _ = read(path, conditions={"temperature": {"column": "T", "unit": "°C"}})
    assert len(training) == 48


def test_a_structure_may_have_labels_at_several_temperatures(tmp_path: Path) -> None:
    (tmp_path / "cifs").mkdir()
    rows: list[Row] = []
    for number in range(21):
        write(tmp_path / "cifs" / f"{number}.cif", bulk("NaCl", "rocksalt", a=5 + 0.1 * number))
        rows += [(f"{number}.cif", 0.1, 25), (f"{number}.cif", 0.2, 125)]
    table(tmp_path, [*rows, ("3.cif", 0.5, 125), ("x.cif", 0.5, 125)], header=("file", "sigma (S/cm)", "T (°C)"))
    training, account = LabelledStructureFiles(
        tmp_path / "cifs", labels=str(tmp_path / "labels.csv"), property="ionic_conductivity", column="sigma (S/cm)",
        source="exp", conditions=KELVINS,
    ).read()  # fmt: skip
    assert len(training) == 41
    assert dict(account.refused) == {"E-LABEL-TWO-PARTNERS": 1, "E-LABEL-NO-PARTNER": 1}
    assert "2 values for 3.cif under equal conditions" in str([row.detail for row in account.rows])
    assert set(training.conditions["temperature"].round(2)) == {298.15, 398.15}


def test_keys_of_a_database_are_conditions(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "a.db") as database:
        for number in range(21):
            atoms = bulk("NaCl", "rocksalt", a=5 + 0.1 * number)
            database.write(atoms, sigma=0.1 + number, kelvins=300.0 + number)
    training, _ = LabelledAseDatabase(
        tmp_path / "a.db", property="ionic_conductivity", column="sigma", source="exp",
        conditions={"temperature": {"column": "kelvins"}},
    ).read()  # fmt: skip
    np.testing.assert_allclose(training.conditions["temperature"], 300 + np.arange(21))


@pytest.mark.parametrize("column", ["T (C)", "T [C]", "T / C", "temperature_C", "T (ºC)", "T (oC)"])
def test_degrees_celsius_are_found_in_the_name_of_a_column(column: str) -> None:
    (found,) = label_conditions({"temperature": {"column": column}})
    assert found.read("25")[0] == pytest.approx(298.15)
    with pytest.raises(UnitError, match="names °C, and the unit given is K"):
        label_conditions({"temperature": {"column": column, "unit": "K"}})
