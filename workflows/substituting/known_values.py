"""Values of a property that are known of compositions: computed like labels of a model, and measured ones."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.computed_properties import computed_property_names, load_computed_properties
from matloop.data.packaged.known_compositions import is_among
from matloop.data.properties.columns import Column, property_column
from matloop.data.training.packaged_tables import MEASURED_TABLES, labelled_table
from matloop.data.training.training_set import TrainingSet

_DATABASE = "materials_project"


class KnownValue(NamedTuple):
    """A value of a property that somebody computed or measured.

    Attributes:
        value: In the unit of the property: of the polymorph with the lowest energy where that is known, else a median.
        lowest: Of all polymorphs or measurements.
        highest: Of all of them.
        provenance: Such as ``dft:pbe`` or ``exp``.
        source: Who says so, with the year.
    """

    value: float
    lowest: float
    highest: float
    provenance: str
    source: str


class ValueTable(NamedTuple):
    """Known values by composition.

    Attributes:
        keys: Keys of the compositions, ascending.
        values: Value of each.
    """

    keys: NDArray[np.uint64]
    values: list[KnownValue]

    def of(self, compositions: Compositions) -> list[KnownValue | None]:
        """The value of each composition, None where there is none."""
        wanted = composition_keys(compositions)
        there, places = is_among(wanted, self.keys), np.searchsorted(self.keys, wanted).tolist()
        return [self.values[place] if held else None for place, held in zip(places, there.tolist(), strict=True)]


def known_values(
    name: str, compositions: Compositions, *, about: Mapping[str, str], training: TrainingSet | None
) -> list[KnownValue | None]:
    """Find values like those that a model learned from; such of the computed table come first.

    Args:
        name: The property.
        compositions: n compositions.
        about: What the card of the model says of its training set.
        training: The training set, where it is at hand.
    """
    found: list[KnownValue | None] = [None] * len(compositions)
    tables = []
    if name in computed_property_names(_DATABASE):
        computed, provenance = _computed(name)
        tables += [computed] if provenance == about.get("provenance") else []
    tables += [] if training is None else [_of_training(training)]
    for table in tables:
        found = [kept or other for kept, other in zip(found, table.of(compositions), strict=True)]
    return found


def measured_values(name: str, compositions: Compositions) -> list[KnownValue | None]:
    """Find measured values among the packaged ones, None where there is none."""
    if name not in MEASURED_TABLES:
        return [None] * len(compositions)
    return _measured(name).of(compositions)


def known_metals(compositions: Compositions) -> list[bool]:
    """Which compositions have no band gap by the computed table; those that it lacks are no metals for all we know."""
    gaps, _ = _computed("band_gap")
    return [gap is not None and gap.value == 0 for gap in gaps.of(compositions)]


@functools.cache
def _computed(name: str) -> tuple[ValueTable, str]:
    """Values that the database computed, and their provenance."""
    table = load_computed_properties(name, _DATABASE)
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    source, provenance = f"{about['database']} {about['year']}", about["provenance"]
    value, lowest, highest = (table[column].to_pylist() for column in ("value", "lowest", "highest"))
    values = [KnownValue(*three, provenance, source) for three in zip(value, lowest, highest, strict=True)]
    return _table(table[Column.FORMULA].combine_chunks(), values), provenance


@functools.cache
def _measured(name: str) -> ValueTable:
    """Measured values, of several rows of one composition the median."""
    labels = labelled_table(MEASURED_TABLES[name])
    table = labels.published
    values = table[property_column(name, "exp")].to_numpy()
    return _grouped(table[Column.FORMULA].combine_chunks(), values, "exp", labels.licence)


def _of_training(training: TrainingSet) -> ValueTable:
    """Labels of a training set, of several rows of one composition the median."""
    return _grouped(pa.array(training.rows.formulas), training.values, training.provenance, training.name)


def _grouped(formulas: pa.Array, values: NDArray[np.float64], provenance: str, source: str) -> ValueTable:
    compositions, codes = parse_formulas(formulas, exact=True)
    good = np.flatnonzero((codes == "") & np.isfinite(values))
    keys, kept = composition_keys(compositions.take(good)), values[good]
    order = np.argsort(keys, kind="stable")
    unique, first = np.unique(keys[order], return_index=True)
    parts = np.split(kept[order], first[1:])
    told = [KnownValue(float(np.median(p)), float(p.min()), float(p.max()), provenance, source) for p in parts]
    return ValueTable(unique, told)


def _table(formulas: pa.Array, values: list[KnownValue]) -> ValueTable:
    compositions, codes = parse_formulas(formulas, exact=True)
    good = np.flatnonzero(codes == "")
    keys = composition_keys(compositions.take(good))
    order = np.argsort(keys, kind="stable")
    return ValueTable(keys[order], [values[row] for row in good[order].tolist()])
