"""Weights and errors of labels: read from columns and cells, refused where they are none, merged over repeats."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from matloop.data.errors import InputFileError, UnitError
from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.own_labels.labelled_formulas import LabelledFormulas
from matloop.data.own_labels.labelled_structures import LabelledStructureFiles
from matloop.data.own_labels.merged_labels import merge_repeats
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.properties.definition import Property
from matloop.data.training.training_set import TrainingSet, joined

CONDUCTIVITY = Property(
    name="ionic_conductivity", symbol="σ", unit="S/cm", label_en="ionic conductivity", label_zh="离子电导率",
    lower=0, upper=100, transform="log10",
)  # fmt: skip
STIFFNESS, RIGIDITY = (
    Property(name=name, symbol="S", unit="GPa", label_en=name, label_zh=name, lower=0, upper=1e6, transform="identity")
    for name in ("stiffness", "rigidity")
)
SALTS = [metal + halide for metal in ("Li", "Na", "K", "Rb", "Cs", "Ag") for halide in ("F", "Cl", "Br", "I")]


@pytest.fixture(autouse=True)
def own_property() -> Iterator[None]:
    with using(Catalogue((CONDUCTIVITY, STIFFNESS, RIGIDITY))):
        yield


def table(folder: Path, rows: Sequence[Sequence[Any]], header: Sequence[str]) -> Path:
    path = folder / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def moduli(folder: Path, values: Sequence[Any], *beside: Sequence[Any], **options: Any) -> Any:
    """Labels of stiffness in GPa: formulas, values, and columns named w and du beside them."""
    formulas = [SALTS[row % len(SALTS)] for row in range(len(values))]
    names = [name for name in ("weight", "uncertainty") if name in options]
    header = ["formula", "K", *(options[name] for name in names)]
    path = table(folder, list(zip(formulas, values, *beside, strict=True)), header)
    return LabelledFormulas(path, property="stiffness", column="K", source="exp", **options)


def read(*arguments: Any, **options: Any) -> tuple[TrainingSet, LabelAccount]:
    found: tuple[TrainingSet, LabelAccount] = moduli(*arguments, **options).read()
    return found


def test_a_column_of_weights_is_read_and_what_is_none_refused(tmp_path: Path) -> None:
    weights = [2.5, "0", "-1", "", "high", "1e300", *([1] * 22)]
    training, account = read(tmp_path, [50.0] * 28, weights, weight="w")
    refused = [row for row in account.rows if row.code]
    assert [row.code for row in refused] == ["E-LABEL-WEIGHT"] * 5
    assert refused[3].place == "labels.csv, row 6, column 'w'"
    assert "'high' in 'w' is no weight; write a number above zero" in refused[3].detail
    assert training.weights[0] == (2.5 + 1) / 2  # the first salt occurs twice
    assert (training.weights[1:] == 1).all()


def test_errors_come_from_a_column_or_from_the_cell(tmp_path: Path) -> None:
    values = ["50±3", "60±3", "70", "80", "90", *range(40, 59)]
    errors = ["2", "", "±1.5", "0", "?!", *([1] * 19)]
    training, account = read(tmp_path, values, errors, uncertainty="du (GPa)")
    assert [row.code for row in account.rows[3:5]] == ["E-LABEL-UNCERTAINTY"] * 2
    assert account.rows[3].place == "labels.csv, row 5, column 'du (GPa)'"
    assert training.noise is not None
    np.testing.assert_allclose(training.noise.errors[:4], [2, 3, 1.5, 1])
    assert "22 rows with an error" in str(account)


def test_errors_have_a_unit_of_their_own_and_no_offset(tmp_path: Path) -> None:
    training, _ = read(tmp_path, range(40, 64), [500] * 24, uncertainty="du", uncertainty_unit="MPa")
    assert training.noise is not None
    np.testing.assert_allclose(training.noise.errors, 0.5)
    with pytest.raises(UnitError):
        read(tmp_path, range(40, 64), [1] * 24, uncertainty="du (eV)")
    with pytest.raises(InputFileError, match="has no column 'dv'"):
        LabelledFormulas(tmp_path / "labels.csv", property="stiffness", column="K", source="exp", weight="dv")
    with pytest.raises(InputFileError, match="without a column of uncertainties"):
        moduli(tmp_path, range(40, 64), uncertainty_unit="GPa")


def test_errors_of_a_logarithmic_property_are_in_decades(tmp_path: Path) -> None:
    rows = [(salt, 10.0, 1.0) for salt in SALTS]
    path = table(tmp_path, rows, ("formula", "sigma (mS/cm)", "error"))
    source = LabelledFormulas(
        path, property="ionic_conductivity", column="sigma (mS/cm)", source="exp", uncertainty="error"
    )
    noise = source.read()[0].noise
    assert noise is not None
    np.testing.assert_allclose(noise.errors, 0.1 / np.log(10))


def test_repeats_tell_the_noise_and_units_off_by_a_thousand_do_not(tmp_path: Path) -> None:
    values = [*range(40, 64), *range(42, 66), 40000]
    training, account = read(tmp_path, values)
    assert account.noise is training.noise is not None
    assert training.noise is not None
    assert training.noise.repeats == 23  # the first material is left out of the noise
    assert training.noise.deviation == pytest.approx(np.sqrt(2))
    np.testing.assert_allclose(training.noise.errors[1:], 1.0)
    assert "repeats scatter by 1.4 GPa (standard deviation, pooled over 23 repeats)" in str(account)


def test_without_errors_and_repeats_nothing_is_known_of_the_noise(tmp_path: Path) -> None:
    training, account = read(tmp_path, [*range(40, 64), 77, 78])
    assert training.noise is None
    assert training.values[0] == (40 + 77) / 2
    assert "scatter" not in str(account)


def test_labels_of_a_table_beside_structure_files_have_weights_and_errors(tmp_path: Path) -> None:
    (tmp_path / "cifs").mkdir()
    for number, salt in enumerate(SALTS):
        write(tmp_path / "cifs" / f"{salt}.cif", bulk(salt, "rocksalt", a=5.0 + number / 50))
    rows = [(salt, -1.0, 0 if salt == "KBr" else 3, 20) for salt in SALTS]
    labels = table(tmp_path, rows, ("file", "ef", "w", "du (meV/atom)"))
    source = LabelledStructureFiles(
        tmp_path / "cifs", labels=str(labels), property="formation_energy_per_atom", column="ef", source="dft:pbe",
        weight="w", uncertainty="du (meV/atom)",
    )  # fmt: skip
    training, account = source.read()
    assert dict(account.refused) == {"E-LABEL-WEIGHT": 1}
    assert set(training.weights) == {3.0}
    assert training.noise is not None
    np.testing.assert_allclose(training.noise.errors, 0.02)
    with pytest.raises(InputFileError, match="without a table of labels"):
        LabelledStructureFiles(
            tmp_path / "cifs", property="formation_energy_per_atom", column="ef", source="dft:pbe", weight="w"
        )


def test_several_columns_of_one_file_are_several_labels(tmp_path: Path) -> None:
    path = table(tmp_path, [(salt, 50 + n, 30 + n) for n, salt in enumerate(SALTS)], ("formula", "K", "G"))
    first, second = (
        LabelledFormulas(path, property=name, column=column, source="exp").read()[0]
        for name, column in (("stiffness", "K"), ("rigidity", "G"))
    )
    assert (first.values - second.values == 20).all()
    assert first.rows.ids == second.rows.ids


def test_noise_of_joined_sets_is_pooled_and_part_of_their_hash(tmp_path: Path) -> None:
    noisy, _ = read(tmp_path, [*range(40, 64), *range(42, 66)])
    plain, _ = read(tmp_path, range(40, 64))
    both = joined([noisy, plain])
    assert both.noise is not None
    assert np.isnan(both.noise.errors[24:]).all()
    assert both.noise.repeats == 24
    assert both.sha256 != joined([plain, plain]).sha256


def test_limits_are_said_with_what_they_do_to_the_range(tmp_path: Path) -> None:
    _, account = read(tmp_path, ["<5", "≤ 3", "> 900", *range(40, 64)])
    low, high = account.suspicious
    assert low.startswith("2 limits left out, such as <5 (labels.csv, row 2, column 'K'): low values are missing")
    assert "1 limit left out" in high
    assert high.endswith("predictions at that end come out lower than they should")


def test_merged_errors_hold_stated_ones_and_the_variance_between_repeats() -> None:
    """Simulated laboratories with their own offsets: merged values miss the truth by what their errors say."""
    random = np.random.default_rng(0)
    member = np.repeat(np.arange(3000), random.integers(1, 5, 3000))
    truth, stated = random.normal(size=3000), random.choice([0.05, 0.3, 1.0], len(member))
    values = truth[member] + 0.2 * random.normal(size=len(member)) + stated * random.normal(size=len(member))
    found = merge_repeats(
        values, member, errors=stated, weights=np.ones(len(member)), odd=np.zeros(3000, bool)
    )  # fmt: skip
    assert found.noise is not None
    assert found.noise.deviation == pytest.approx(np.sqrt(0.2**2 + (stated**2).mean()), rel=0.03)
    misses = (found.means - truth) / found.noise.errors
    assert misses.std() == pytest.approx(1, abs=0.06)
    plain = np.bincount(member, values) / np.bincount(member)
    assert np.abs(found.means - truth).mean() < 0.85 * np.abs(plain - truth).mean()
