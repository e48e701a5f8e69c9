"""Labels of one's own in files: every row teaches or says why not, and nothing is mixed or lost."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import openpyxl
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from matloop.data.errors import InputFileError, TrainingSetError, UnitError, UnknownNameError
from matloop.data.own_labels.label_account import LabelAccount
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
METALS = ("Li", "Na", "K", "Rb", "Cs", "Ag")
HALIDES = ("F", "Cl", "Br", "I")
SALTS = [metal + halide for metal in METALS for halide in HALIDES]  # 24
Row = Sequence[Any]


@pytest.fixture(autouse=True)
def own_property() -> Iterator[None]:
    with using(Catalogue((CONDUCTIVITY,))):
        yield


def table(folder: Path, rows: Sequence[Row], *, header: Row = ("formula", "sigma (mS/cm)", "paper")) -> Path:
    path = folder / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path: Path, **options: Any) -> tuple[TrainingSet, LabelAccount]:
    column = options.pop("column", "sigma (mS/cm)")
    return LabelledFormulas(path, property="ionic_conductivity", column=column, source="exp", **options).read()


def salts(values: Sequence[Any] = ()) -> list[Row]:
    return [
        (salt, values[row] if row < len(values) else row + 1, f"paper {row // 4}") for row, salt in enumerate(SALTS)
    ]


def test_values_are_in_the_unit_of_the_property(tmp_path: Path) -> None:
    training, account = read(table(tmp_path, salts()))
    np.testing.assert_allclose(training.values, (np.arange(24) + 1) / 1000)
    assert (account.materials, account.groups, sum(account.refused.values())) == (24, 24, 0)
    assert (training.provenance, training.property_name) == ("exp", "ionic_conductivity")
    assert "24 of 24 rows teach ionic_conductivity (24 materials, 24 groups, 0.001 to 0.024 S/cm)" in str(account)


def test_every_row_teaches_or_says_why_not(tmp_path: Path) -> None:
    odd = ["", "<0.1", "see text", "5 GPa", "0", "1e9", "-3"]
    rows = [*salts(odd), ("Xx2", 3, ""), ("", 4, "")]
    with pytest.raises(TrainingSetError, match=r"17 materials with a label .* \(2 rows E-LABEL-BOUNDS, .*at least 20"):
        read(table(tmp_path, rows))
    more = [("MgO", 1, ""), ("CaO", 2, ""), ("SrO", 3, ""), ("ZnO", 5, "")]
    training, account = read(table(tmp_path, [*rows, *more]))
    assert len(training) == 21
    assert dict(account.refused) == {
        "E-LABEL-EMPTY": 1, "E-LABEL-LIMIT": 1, "E-LABEL-NUMBER": 1, "E-LABEL-UNIT": 1, "E-LABEL-LOGARITHM": 1,
        "E-LABEL-BOUNDS": 2, "E-FORMULA-ELEMENT": 1, "E-FORMULA-EMPTY": 1,
    }  # fmt: skip
    assert len(account.rows) == len(rows) + len(more)
    refused = next(row for row in account.rows if row.code == "E-LABEL-NUMBER")
    assert refused.place == "labels.csv, row 4, column 'sigma (mS/cm)'"
    assert "write one number" in refused.detail


def test_a_value_too_large_for_any_model_is_left_out_with_its_row_and_column(tmp_path: Path) -> None:
    glow = replace(CONDUCTIVITY, name="glow", transform="identity", upper=1e308)
    path = table(tmp_path, salts(["1e300"]))
    with using(Catalogue((glow,))):
        labels = LabelledFormulas(path, property="glow", column="sigma (mS/cm)", source="exp")
        training, account = labels.read()
    assert len(training) == len(SALTS) - 1
    assert training.values.max() < 100
    (refused,) = (row for row in account.rows if row.code)
    assert refused.code == "E-LABEL-SIZE"
    assert refused.place == "labels.csv, row 2, column 'sigma (mS/cm)'"
    assert "scale log10" in refused.detail


@pytest.mark.parametrize(("transform", "written", "is_told"), [
    ("identity", "1e9", True), ("identity", "300", False), ("log10", "1e30", True), ("log10", "1e6", False),
])  # fmt: skip
def test_a_value_far_from_all_others_is_told_with_its_cell(
    tmp_path: Path, transform: Any, written: str, is_told: bool
) -> None:
    glow = replace(CONDUCTIVITY, name="glow", transform=transform, upper=1e308)
    path = table(tmp_path, salts([written]))
    with using(Catalogue((glow,))):
        _, account = LabelledFormulas(path, property="glow", column="sigma (mS/cm)", source="exp").read()
    told = [sentence for sentence in account.suspicious if "far from all others" in sentence]
    assert len(told) == is_told
    assert all("labels.csv, row 2, column 'sigma (mS/cm)'" in sentence for sentence in told)


def test_repeats_teach_by_the_mean_on_the_scale_of_the_property(tmp_path: Path) -> None:
    rows = [*salts(), ("ClLi", 200, "another")]
    training, account = read(table(tmp_path, rows))
    at = training.rows.formulas.index("LiCl")
    assert training.values[at] == pytest.approx(np.sqrt(2 * 200) / 1000)  # the geometric mean of 2 and 200 mS/cm
    assert (account.repeats, len(training)) == (1, 24)


def test_a_unit_off_by_a_thousand_is_shown(tmp_path: Path) -> None:
    _, account = read(table(tmp_path, [*salts(), ("LiCl", 2000, "")]))
    (sentence,) = account.suspicious
    assert "LiCl has values a factor of 1,000 apart" in sentence
    assert "row 26" in sentence


def test_no_split_separates_what_was_measured_together(tmp_path: Path) -> None:
    training, account = read(table(tmp_path, salts()), group="paper")
    assert account.groups == 6
    by_paper = training.groups.reshape(6, 4)
    assert (by_paper == by_paper[:, :1]).all()


def test_a_row_of_units_is_understood_and_must_agree(tmp_path: Path) -> None:
    header = ("formula", "sigma", "paper")
    path = table(tmp_path, [("", "[mS/cm]", ""), *salts()], header=header)
    training, account = read(path, column="sigma", unit="mS/cm")
    assert (len(training), account.rows[0].detail) == (24, "a row of units")
    with pytest.raises(UnitError, match=r"the row of units in labels\.csv says mS/cm for 'sigma'"):
        read(path, column="sigma", unit="S/m")


@pytest.mark.parametrize("leading", [[("-", "mS/cm", "")], [("unit", "mS/cm", "")], [("", "", ""), ("", "mS/cm", "")]])
def test_a_row_of_units_has_any_text_for_a_formula_and_may_stand_lower(tmp_path: Path, leading: list[Row]) -> None:
    path = table(tmp_path, [*leading, *salts()], header=("formula", "sigma", "paper"))
    assert len(read(path, column="sigma", unit="mS/cm")[0]) == 24
    with pytest.raises(UnitError, match=r"the row of units in labels\.csv says mS/cm for 'sigma'"):
        read(path, column="sigma")


def test_a_power_of_ten_in_the_column_name_needs_a_unit(tmp_path: Path) -> None:
    path = table(tmp_path, salts(), header=("formula", "sigma (10^-3 S/cm)", "paper"))
    with pytest.raises(UnitError, match="has a power of ten in its name"):
        read(path, column="sigma (10^-3 S/cm)")
    assert read(path, column="sigma (10^-3 S/cm)", unit="mS/cm")[0].values[0] == pytest.approx(1e-3)


def test_labels_that_no_surrogate_can_learn_from_are_told(tmp_path: Path) -> None:
    path = table(tmp_path, [(salt, 3, f"paper {row % 2}") for row, salt in enumerate(SALTS)])
    assert read(path, group="paper")[1].suspicious == [
        "every label is 3: nothing can be learned",
        "2 groups of what belongs together; a surrogate needs 10 independent ones",
    ]


def test_logarithms_are_suspected_by_the_name_of_the_column(tmp_path: Path) -> None:
    path = table(tmp_path, salts(), header=("formula", "log10 sigma (S/cm)", "paper"))
    assert "holds logarithms" in read(path, column="log10 sigma (S/cm)")[1].suspicious[0]
    catalogue = table(tmp_path, salts(), header=("formula", "catalogue", "paper"))
    assert not read(catalogue, column="catalogue")[1].suspicious


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("E_tot energy", "divide energies"),
        ("Ef at 10 meV/atom", "'Ef at 10 meV/atom' may name meV/atom as its unit; its values are taken in eV/atom"),
        ("Ef (Ha)", "'Ef (Ha)' names no unit that is known; its values are taken in eV/atom"),
    ],
)
def test_energies_in_a_unit_that_may_be_another_are_told(tmp_path: Path, column: str, said: str) -> None:
    path = table(tmp_path, [(salt, -1.5) for salt in SALTS], header=("formula", column))
    labels = LabelledFormulas(path, property="formation_energy_per_atom", column=column, source="dft:pbe")
    assert said in labels.read()[1].suspicious[0]


def test_energies_of_a_mole_of_formulas_are_no_energies_of_atoms(tmp_path: Path) -> None:
    path = table(tmp_path, [(salt, -205.7) for salt in SALTS], header=("formula", "Ef (kJ/mol)"))
    described = {"property": "formation_energy_per_atom", "column": "Ef (kJ/mol)", "source": "exp"}
    with pytest.raises(UnitError, match=r"'kJ/mol' measures energy per mole, .*kJ/\(mol atom\)"):
        LabelledFormulas(path, **described)
    path = table(tmp_path, [(salt, -205.7) for salt in SALTS], header=("formula", "Ef (kJ/mol atoms)"))
    training, _ = LabelledFormulas(path, **described | {"column": "Ef (kJ/mol atoms)"}).read()
    assert training.values[0] == pytest.approx(-2.132, abs=1e-3)


def test_a_unit_behind_a_blank_is_that_of_the_values(tmp_path: Path) -> None:
    path = table(tmp_path, salts(), header=("formula", "sigma mS/cm", "paper"))
    assert read(path, column="sigma mS/cm")[0].values[0] == pytest.approx(1e-3)
    with pytest.raises(UnitError, match="the column 'sigma mS/cm' names mS/cm"):
        read(path, column="sigma mS/cm", unit="S/cm")


@pytest.mark.parametrize("missing", ["", "n/a", "-", "nan"])
def test_a_cell_that_says_nothing_is_no_group(tmp_path: Path, missing: str) -> None:
    path = table(tmp_path, [(salt, row + 1, missing) for row, salt in enumerate(SALTS)])
    assert read(path, group="paper")[1].groups == len(SALTS)


def test_the_unit_in_the_column_name_must_agree(tmp_path: Path) -> None:
    path = table(tmp_path, salts())
    with pytest.raises(UnitError, match=r"the column 'sigma \(mS/cm\)' names mS/cm"):
        read(path, unit="S/cm")
    with pytest.raises(UnitError):
        read(path, unit="GPa")


def test_wrong_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    path = table(tmp_path, salts())
    with pytest.raises(InputFileError, match=r"did you mean 'sigma \(mS/cm\)'"):
        read(path, column="sigma mS/cm")
    with pytest.raises(InputFileError, match="has no column 'Formeln'"):
        read(path, formula="Formeln")
    with pytest.raises(UnknownNameError):
        LabelledFormulas(path, property="ionic_conductivty", column="sigma (mS/cm)", source="exp")


def test_merged_cells_of_a_spreadsheet_lose_no_label(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [("formula", "sigma (mS/cm)"), *((salt, 1.5) for salt in SALTS), (None, 2.5)]:
        sheet.append(row)
    sheet.merge_cells("A25:A26")
    path = tmp_path / "labels.xlsx"
    book.save(path)
    _, account = read(path)
    (row,) = [row for row in account.rows if row.code]
    assert row.code == "E-FORMULA-EMPTY"
    assert "cell B26" in row.place
    assert "below merged cells" in row.detail


def test_numbers_that_a_workbook_shows_in_percent_are_read_as_shown(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in [("formula", "index (%)"), *((salt, 2.5) for salt in SALTS)]:
        sheet.append(row)
    for number in range(2, len(SALTS) + 2):
        sheet.cell(number, 2).number_format = "0%"
    book.save(tmp_path / "labels.xlsx")
    labels = LabelledFormulas(
        tmp_path / "labels.xlsx", property="refractive_index", column="index (%)", source="exp"
    ).read_rows()
    assert {row.cell.value for row in labels.rows} == {2.5}


def test_structure_files_are_joined_with_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "cifs"
    (folder / "more").mkdir(parents=True)
    rows = []
    for number, (metal, halide) in enumerate((m, h) for m in METALS for h in HALIDES):
        place = folder / ("more" if number % 2 else ".") / f"{metal}{halide}.cif"
        write(place, bulk(f"{metal}{halide}", "rocksalt", a=5.0 + number / 50))
        named = [f"{metal}{halide}", f"{metal}{halide}.cif", str(place.relative_to(folder))][number % 3]
        rows.append((named, -1 - number / 100))
    rows += [("missing.cif", -3), ("LiF", -7)]
    labels = table(tmp_path, rows, header=("name", "ef"))
    source = LabelledStructureFiles(
        folder, labels=str(labels), file="name", property="formation_energy_per_atom", column="ef", source="dft:pbe"
    )
    training, account = source.read()
    assert len(training) == 23
    assert dict(account.refused) == {"E-LABEL-NO-PARTNER": 1, "E-LABEL-TWO-PARTNERS": 1}
    assert training.rows.has_crystal.all()
    at = training.rows.formulas.index("NaCl")
    assert training.values[at] == pytest.approx(-1.05)


def test_a_name_that_means_several_structures_labels_none_of_them(tmp_path: Path) -> None:
    for folder, lattice in (("a", "rocksalt"), ("b", "zincblende")):
        (tmp_path / "cifs" / folder).mkdir(parents=True)
        write(tmp_path / "cifs" / folder / "1.cif", bulk("NaCl", lattice, a=5.6))
    for number, salt in enumerate(SALTS):
        write(tmp_path / "cifs" / f"{salt}.cif", bulk(salt, "rocksalt", a=5.0 + number / 50))
    labels = table(tmp_path, [("1.cif", 1.0), *((salt, 2.0) for salt in SALTS)], header=("file", "gap"))
    source = LabelledStructureFiles(
        tmp_path / "cifs", labels=str(labels), property="band_gap", column="gap", source="dft:pbe"
    )
    training, account = source.read()
    assert (len(training), dict(account.refused)) == (24, {"E-LABEL-TWO-PARTNERS": 2})
    assert {row.detail for row in account.rows if row.code} == {
        f"1.cif of labels.csv may mean 2 structures; write {folder}/1.cif for this one" for folder in "ab"
    }


def test_a_key_of_an_ase_database_is_a_label(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "own.db") as database:
        for number, salt in enumerate(SALTS):
            pairs = {} if number == 3 else {"ef": -1.0 - number / 100}
            database.write(bulk(salt, "rocksalt", a=5.0 + number / 50), **pairs)
    source = LabelledAseDatabase(
        tmp_path / "own.db", property="formation_energy_per_atom", column="ef", source="dft:r2scan"
    )
    training, account = source.read()
    assert (len(training), dict(account.refused)) == (23, {"E-LABEL-EMPTY": 1})
    assert training.values[0] == -1.0


def test_sets_of_one_provenance_are_joined_and_others_never(tmp_path: Path) -> None:
    first, _ = read(table(tmp_path, salts()), group="paper")
    second, _ = read(table(tmp_path, salts()))
    both = joined([first, second])
    assert len(both) == 48
    assert len(np.unique(both.groups)) == 6  # the papers of the first join the formulas of the second
    other = LabelledFormulas(
        table(tmp_path, salts()), property="ionic_conductivity", column="sigma (mS/cm)", source="dft:pbe"
    ).read()[0]
    with pytest.raises(TrainingSetError, match="one property and one provenance"):
        joined([first, other])


def frames(path: Path, keys: Sequence[dict[str, float]]) -> Path:
    """Write an extended XYZ file with rock salt crystals, whose headers hold keys with numbers."""
    images = []
    for salt, numbers in zip(SALTS, keys, strict=False):
        image = bulk(salt, "rocksalt", a=5.5, cubic=True)  # 8 atoms
        image.info.update(numbers)
        images.append(image)
    write(path, images, format="extxyz")
    return path


def read_frames(path: Path, column: str, **options: Any) -> tuple[TrainingSet, LabelAccount]:
    options = {"property": "formation_energy_per_atom", "source": "dft:pbe", **options}
    return LabelledStructureFiles(path, column=column, **options).read()


def test_numbers_in_headers_of_extended_xyz_teach(tmp_path: Path) -> None:
    numbers: list[dict[str, float]] = [
        {"energy": -8.0 - row, "REF_energy": -16.0, "ef": -row / 10, "free_energy": -24.0} for row in range(24)
    ]
    del numbers[3]["energy"]
    numbers[4]["energy"] = float("nan")
    path = frames(tmp_path / "relaxed.extxyz", numbers)
    training, account = read_frames(path, "energy_per_atom")
    assert training.values.tolist() == [-1 - row / 8 for row in range(24) if row not in (3, 4)]
    assert dict(account.refused) == {"E-LABEL-EMPTY": 2}
    assert [row.place for row in account.rows if row.code] == ["relaxed.extxyz (4)", "relaxed.extxyz (5)"]
    assert set(read_frames(path, "REF_energy_per_atom")[0].values) == {-2.0}
    assert set(read_frames(path, "free_energy_per_atom")[0].values) == {-3.0}
    np.testing.assert_allclose(read_frames(path, "ef")[0].values, -np.arange(24) / 10)
    np.testing.assert_allclose(read_frames(path, "ef", unit="meV/atom")[0].values, -np.arange(24) / 1e4)
    with pytest.raises(InputFileError, match=r"no column 'REF_enrgy'.*did you mean 'REF_energy'"):
        read_frames(path, "REF_enrgy")


@pytest.mark.parametrize("column", ["energy", "entry_energy", "REF_energy"])
def test_energies_of_whole_cells_are_no_labels_by_atom(column: str, tmp_path: Path) -> None:
    path = frames(tmp_path / "relaxed.extxyz", [{"energy": -8.0, "REF_energy": -16.0}] * 24)
    with pytest.raises(UnitError, match=f"column: {column}_per_atom"):
        read_frames(path, column)
    if column == "REF_energy":
        assert set(read_frames(path, column, unit="meV/atom")[0].values) == {-0.016}
    else:
        with pytest.raises(UnitError, match=f"column: {column}_per_atom"):
            read_frames(path, column, unit="eV/atom")


def test_energies_of_calculators_in_a_database_teach(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "relaxed.db") as database:
        for row, salt in enumerate(SALTS):
            crystal = bulk(salt, "rocksalt", a=5.5, cubic=True)  # 8 atoms
            if row:
                crystal.calc = SinglePointCalculator(crystal, energy=-8.0 - row)
            database.write(crystal)
    options = {"property": "formation_energy_per_atom", "source": "dft:pbe"}
    training, account = LabelledAseDatabase(tmp_path / "relaxed.db", column="energy_per_atom", **options).read()
    assert training.values.tolist() == [-1 - row / 8 for row in range(1, 24)]
    assert dict(account.refused) == {"E-LABEL-EMPTY": 1}
    with pytest.raises(UnitError, match="column: energy_per_atom"):
        LabelledAseDatabase(tmp_path / "relaxed.db", column="energy", **options)
