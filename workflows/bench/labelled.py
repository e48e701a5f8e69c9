"""Labelled data to replay: a user's table or packaged data, with features, labels and formula groups.

Every row of the data is either used or counted under the reason why it was left out.
"""

from __future__ import annotations

import difflib
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import RELATIVE_PATHS, InputFileError, unknown_name
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.carried import carried_name, is_property_column
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.definition import Property, Transform
from matloop.data.readers.open_table import open_table
from matloop.data.registry import lookup
from matloop.data.sources.table import FormulaTable
from matloop.data.training.labelled_table import LabelledTable
from matloop.data.training.packaged_tables import TRAINING_SETS, labelled_table
from matloop.data.training.training_set import TrainingSet
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.registry import MODELS
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.language.text import with_unit
from matloop.workflows.bench.structure_table import STRUCTURE_COLUMN, crystal_intakes, has_structures
from matloop.workflows.stages.stage_features import featurizers_needed

OF_COMPOSITIONS = ("magpie", "stoichiometry", "valence_orbital", "charge_balance")
OF_CRYSTALS = (*OF_COMPOSITIONS, "density", "symmetry", "property_density", "crystal_local")
FORMULA_COLUMNS = ("formula", "composition", STRUCTURE_COLUMN)
FEWEST_ROWS = 100  # fewer leave too few to train on, or too few to judge by
_ROWS_AT_ONCE = 5000


class ReplayData(NamedTuple):
    """A training set with features of its rows, and the reasons why other rows were left out.

    Attributes:
        training: The n rows with their labels and formula groups.
        sha256: Of the file the rows were read from.
        column: Column of the labels.
        formula_column: Column of the formulas.
        feature_names: Names of the featurizers.
        features: Of n rows.
        rows: Rows of the data, used or not.
        left_out: How many rows were left out, by reason.
        seconds: Wall time of reading and features.
        has_crystals: Whether the rows are crystals.
    """

    training: TrainingSet
    sha256: str
    column: str
    formula_column: str
    feature_names: tuple[str, ...]
    features: FeatureMatrix
    rows: int
    left_out: dict[str, int]
    seconds: float
    has_crystals: bool = False

    @property
    def name(self) -> str:
        """File name, or name of the packaged table."""
        return self.training.name

    @property
    def known(self) -> Property:
        """The property."""
        return property_named(self.training.property_name)

    @property
    def target(self) -> NDArray[np.float64]:
        """Labels in the unit of the property, shape (n,)."""
        return self.training.values

    @property
    def groups(self) -> NDArray[np.int64]:
        """Reduced-formula group of each row, shape (n,)."""
        return self.training.groups


class ModelChoice(NamedTuple):
    """Model that is trained on the labelled rows.

    Attributes:
        family: Registered ensemble.
        transform: Scale of the target.
    """

    family: str = "extra_trees"
    transform: Transform = "identity"

    def check(self, data: ReplayData) -> None:
        """Refuse settings with which no split could be trained.

        Raises:
            InputFileError: If logarithms are asked for and a label is not positive.
        """
        low = int((data.target <= 0).sum())
        if self.transform == "log10" and low:
            raise InputFileError(
                f"{low} of {len(data.target)} values of {data.column} are zero or less", "positive values for log10",
                "choose --transform identity",
            )  # fmt: skip

    def fit(self, data: ReplayData, rows: NDArray[np.int64], *, seed: int) -> Surrogate:
        """A surrogate that knows the labels of some rows, in their order."""
        return Surrogate.fit(
            data.known.name, data.features.take(rows), data.target[rows], data.groups[rows],
            family=self.family, transform=self.transform, parameters={"seed": seed},
            about=data.training.about,
        )  # fmt: skip


def model_choice(family: str, transform: str) -> ModelChoice:
    """Make a choice from the names on a command line.

    Raises:
        UnknownNameError: For an unknown family or scale.
    """
    lookup("model", MODELS, family)
    for known in get_args(Transform):
        if transform == known:
            return ModelChoice(family, known)
    raise unknown_name("scale", transform, get_args(Transform))


def read_labelled(
    data: str,
    property_name: str,
    *,
    column: str | None = None,
    formula_column: str = "formula",
    features: Sequence[str] | None = None,
    family: str | None = None,
) -> ReplayData:
    """Read labels and compute features.

    Args:
        data: A ``.csv``, ``.xlsx`` or ``.parquet`` file with formulas, or ``materials`` or ``transport``.
        property_name: A property, or a column of one such as ``band_gap_exp``.
        column: Column of its values, in the property's unit; by default the one named after the property.
        formula_column: Column of the formulas of a file.
        features: Names of featurizers; by default those for compositions, and for crystals where there are crystals.
        family: Family that reads them; a featurizer whose columns it needs stands before the others.

    Raises:
        UnknownNameError: For an unknown family, property, featurizer or packaged data.
        InputFileError: If the file cannot be read, has no such column of numbers, or fewer than 100 usable rows.
    """
    start = time.perf_counter()
    if is_property_column(property_name):
        property_name, column = property_name.rpartition("_")[0], column or property_name
    known = property_named(property_name)
    table = open_labels(data, formula_column)
    names = tuple(features or default_features(table))
    if family is not None:
        names = (*featurizers_needed([family], feature_set(names).feature_names), *names)
    chosen = feature_set(names)
    collected = _Collected(table.name, known, column, table)
    for intake in table.intakes:
        collected.add(intake, chosen)
    return collected.replayed(table.sha256, formula_column, names, start)


def default_features(table: OpenLabels) -> tuple[str, ...]:
    """Featurizers for what the rows are: crystals, or formulas alone."""
    return OF_CRYSTALS if table.has_crystals else OF_COMPOSITIONS


class OpenLabels(NamedTuple):
    """A table of labels, ready to be read.

    Attributes:
        name: File name, or name of the packaged table.
        provenance: Where all labels come from; empty where the name of the column says it.
        licence: Under which they may be used.
        origin: Prefix of the names of numeric columns of a file; empty if they keep their names.
        sha256: Of the file.
        has_crystals: Whether its rows have crystals.
        intakes: Its rows in parts.
    """

    name: str
    provenance: str
    licence: str
    origin: str
    sha256: str
    has_crystals: bool
    intakes: Iterator[Intake]


def open_labels(data: str, formula_column: str) -> OpenLabels:
    """Open packaged data by name, or a file; one with a column of crystals is read as crystals.

    Raises:
        UnknownNameError: For unknown packaged data.
        InputFileError: If the file cannot be read.
    """
    if data in TRAINING_SETS:
        table = labelled_table(data)
        has_crystals = bool(table.rows.has(CRYSTALS).any())
        return OpenLabels(
            table.name, table.provenance, table.licence, "", table.sha256, has_crystals, _slices(table)
        )  # fmt: skip
    if not Path(data).exists() and not Path(data).suffix:
        raise unknown_name("packaged data", data, TRAINING_SETS)
    file = FormulaTable(data, formula_column=formula_column)
    has_crystals = has_structures(file)
    intakes = crystal_intakes(file, _ROWS_AT_ONCE) if has_crystals else file.intakes(_ROWS_AT_ONCE)
    return OpenLabels(Path(data).name, "", "not stated", "table", _sha256(Path(data)), has_crystals, intakes)


def formula_column_of(data: str) -> str:
    """Column of the formulas of a file: ``formula``, else ``composition``, else that of crystals if it has one.

    Raises:
        InputFileError: If the file cannot be opened.
    """
    if data in TRAINING_SETS or not Path(data).suffix:
        return FORMULA_COLUMNS[0]
    columns = open_table(Path(data), if_missing=RELATIVE_PATHS).types
    return next((name for name in FORMULA_COLUMNS if name in columns), FORMULA_COLUMNS[0])


class _Collected:
    """Labels, features and left-out rows of what was read so far."""

    def __init__(self, name: str, known: Property, column: str | None, table: OpenLabels) -> None:
        self.name, self.known, self.table = name, known, table
        self.column, self.stored = column, ""
        self.left_out: Counter[str] = Counter()
        self.rows = 0
        self.targets: list[NDArray[np.float64]] = []
        self.materials: list[pa.Table] = []
        self.features: list[FeatureMatrix] = []

    def add(self, intake: Intake, features: FeatureSet) -> None:
        batch = intake.batch
        self.rows += len(batch) + len(intake.refused)
        self.left_out.update(refused.code for refused in intake.refused)
        if not self.stored:
            self.column, self.stored = label_column(
                batch, self.known.name, self.column, of=self.name, origin=self.table.origin
            )
        values = batch.column(self.stored).astype(float)
        labelled = np.isfinite(values)
        possible = labelled & (values >= self.known.lower) & (values <= self.known.upper)
        ends = with_unit(f"{self.known.lower:g} to {self.known.upper:g}", self.known.unit)
        self._leave_out(f"no value of {self.column}", int((~labelled).sum()))
        self._leave_out(f"value outside {ends}", int((labelled & ~possible).sum()))
        part = batch.take(np.flatnonzero(possible))
        if len(part) == 0:
            return
        matrix = features.featurize(part)
        self.left_out.update(str(code) for code in matrix.codes if code)
        good = np.flatnonzero(matrix.codes == "")
        self.targets.append(values[possible][good])
        used = part.take(good)
        described = used.table.select([Column.CANDIDATE_ID, Column.FORMULA])
        self.materials.append(replace(used, table=described).to_arrow())
        self.features.append(matrix.take(good))

    def _leave_out(self, reason: str, count: int) -> None:
        if count:
            self.left_out[reason] += count

    def replayed(self, sha256: str, formula_column: str, names: tuple[str, ...], start: float) -> ReplayData:
        usable = sum(map(len, self.targets))
        left_out = dict(sorted(self.left_out.items()))
        if usable < FEWEST_ROWS:
            why = "; ".join(f"{count} with {reason}" for reason, count in left_out.items())
            raise InputFileError(
                f"{usable} usable rows of {self.rows} in {self.name}" + (f" ({why})" if why else ""),
                f"at least {FEWEST_ROWS} rows with a formula, a value and features",
            )
        first, parts = self.features[0], self.features
        values, elements, codes = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "elements", "codes")
        )
        training = TrainingSet.of_rows(
            CandidateBatch.from_arrow(pa.concat_tables(self.materials)), np.concatenate(self.targets),
            property_name=self.known.name, name=self.name, provenance=self._provenance(), licence=self.table.licence,
        )  # fmt: skip
        return ReplayData(
            training, sha256, str(self.column), formula_column, names,
            FeatureMatrix(values, first.names, first.fingerprint, elements, codes), self.rows, left_out,
            time.perf_counter() - start, self.table.has_crystals,
        )  # fmt: skip

    def _provenance(self) -> str:
        """Return where the labels come from, if the data say so."""
        named = {self.known.column("exp"): "exp", self.known.column("dft"): "dft"}
        return self.table.provenance or named.get(str(self.column), "unknown")


def label_column(
    batch: CandidateBatch, property_name: str, column: str | None, *, of: str, origin: str
) -> tuple[str, str]:  # fmt: skip
    """Find the column of labels by its name in the data and in a batch.

    Args:
        batch: Some rows.
        property_name: Name of the property.
        column: As the user names it; the one named after the property if None.
        of: Name of the data, for people.
        origin: Prefix of the names of numeric columns in the batch; empty if they keep their names.

    Raises:
        InputFileError: If there is no such column of numbers, or there are two of different provenance.
    """
    prefix = carried_name(origin, "") if origin else ""
    stored = {name.removeprefix(prefix): name for name in _number_columns(batch.table)}
    if column is None:
        known = property_named(property_name)
        named = [name for name in (known.column("exp"), known.column("dft"), known.name) if name in stored]
        if len(named) > 1:
            raise InputFileError(
                f"{of} has {' and '.join(named)}", "values of one provenance",
                f"name one of them, such as --column {named[0]}",
            )  # fmt: skip
        column = named[0] if named else known.column("dft")
    if column not in stored:
        close = difflib.get_close_matches(column, stored, 1, 0.5)
        meant = f"did you mean --column {close[0]}? A" if close else "name it with --column; a"
        raise InputFileError(
            f"{of} has no column of numbers '{column}'",
            f"its columns of numbers: {', '.join(sorted(stored)[:40]) or 'none'}",
            f"{meant} column counts as numbers if every filled cell is a plain number",
        )
    return column, stored[column]


def _number_columns(table: pa.Table) -> Iterable[str]:
    return [field.name for field in table.schema if pa.types.is_floating(field.type)]


def _slices(table: LabelledTable) -> Iterator[Intake]:
    refused = table.intake.refused
    for batch in table.rows.slices(_ROWS_AT_ONCE):
        yield Intake(batch, refused)
        refused = []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
