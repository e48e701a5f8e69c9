"""Labels of one's own: what became of every row, and the training set that the rows give together.

A row teaches, or it has a code that says why not. Nothing is left out silently: the account names every row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import TrainingSetError
from matloop.data.own_labels.label_cells import LIMIT, LabelCell, is_upper_limit
from matloop.data.own_labels.label_conditions import LabelCondition, features_among
from matloop.data.own_labels.merged_labels import merge_repeats
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.definition import Property
from matloop.data.training.label_noise import LabelNoise
from matloop.data.training.training_set import TrainingSet, joined_groups

BOUNDS, NO_LOGARITHM, SIZE = "E-LABEL-BOUNDS", "E-LABEL-LOGARITHM", "E-LABEL-SIZE"
_FEWEST = 20
"""Materials with a label below which no surrogate is trained."""
_FEWEST_GROUPS = 10
"""Groups below which no surrogate is trained, because folds are split between groups."""
_CONFLICT = 5.0  # typical differences of repeats
_FAR = {"identity": 1000.0, "log10": 30.0}  # typical distances from the median
_UNIT_JUMP, _NEAR = 3.0, 0.1  # decades
_MOST_SHOWN = 5
_LARGEST = 1e30  # models compute in single precision, which ends at 3e38


class LabelRow(NamedTuple):
    """One row of labels, and what became of it.

    Attributes:
        place: Where it stands, as people look for it: file, sheet and cell, or file and name.
        formula: Formula of its material, as written.
        written: Content of the cell.
        cell: What the cell says, in the unit of the property.
        code: Why the row teaches nothing; empty where it does.
        detail: Further text.
        group: What is measured or computed together, such as a paper; empty where nothing is stated.
        weight: How much it counts.
        conditions: Value of each condition of the set, in the unit in which it is stored; nan where there is none.
    """

    place: str
    formula: str
    written: str
    cell: LabelCell
    code: str = ""
    detail: str = ""
    group: str = ""
    weight: float = 1.0
    conditions: tuple[float, ...] = ()


@dataclass(frozen=True)
class LabelAccount:
    """What became of the rows of one set of labels.

    Attributes:
        name: Name of the file, or of the files.
        property_name: Property of the labels.
        rows: Every row, in the order of the files.
        materials: Materials that teach.
        groups: Groups among them that no split separates.
        values: Lowest and highest value that teaches, in the unit of the property.
        repeats: Rows that repeat a material under equal conditions; the mean of these rows teaches.
        suspicious: What somebody should look at, one sentence each.
        noise: What is known of the noise of the labels that teach; None where nothing is.
        conditions: Conditions of the labels.
    """

    name: str
    property_name: str
    rows: Sequence[LabelRow]
    materials: int
    groups: int
    values: tuple[float, float]
    repeats: int
    suspicious: Sequence[str]
    noise: LabelNoise | None = None
    conditions: Sequence[LabelCondition] = ()

    @property
    def refused(self) -> Counter[str]:
        """Rows that teach nothing, by code."""
        return Counter(row.code for row in self.rows if row.code)

    def __str__(self) -> str:
        teaching = len(self.rows) - sum(self.refused.values())
        unit = property_named(self.property_name).unit
        low, high = self.values
        values = f"{low:.3g} to {high:.3g} {'' if unit == '1' else unit}".rstrip()
        text = (
            f"{self.name}: {teaching} of {counted(len(self.rows), 'row')} teach {self.property_name} "
            f"({counted(self.materials, 'material')}, {counted(self.groups, 'group')}, {values})"
        )
        text += "".join(f"; {sentence}" for sentence in self._told_conditions())
        if self.repeats:
            alike = " under equal conditions" if features_among(self.conditions) else ""
            text += f"; {counted(self.repeats, 'row')} repeat a material{alike}, and the mean of its rows teaches"
        text += "".join(f"; {sentence}" for sentence in self._told_noise())
        if self.refused:
            text += "; left out: " + ", ".join(f"{count} {code}" for code, count in self.refused.most_common())
        return text

    def _told_noise(self) -> Iterable[str]:
        """Say how far repeats lie apart, and how many rows state an error."""
        known = property_named(self.property_name)
        if self.noise is not None and math.isfinite(self.noise.deviation):
            unit = "decades" if known.transform == "log10" else known.unit
            repeats = counted(self.noise.repeats, "repeat")
            yield f"repeats scatter by {self.noise.deviation:.2g} {unit} (standard deviation, pooled over {repeats})"
        if stated := sum(not row.code and math.isfinite(row.cell.uncertainty) for row in self.rows):
            yield f"{counted(stated, 'row')} with an error, and those with small ones count more"

    def _told_conditions(self) -> Iterable[str]:
        """Say of each condition which values teach."""
        taught = np.array([row.conditions for row in self.rows if not row.code])
        for place, one in enumerate(self.conditions):
            low, high = (one.condition.write(end(taught[:, place])) for end in (np.min, np.max))
            span = low if low == high else f"{low.removesuffix(f' {one.condition.unit}')} to {high}"
            yield f"{one.condition.label.en} {span}" + (f" (rows {one.limits} teach)" if one.is_filter else "")


@dataclass(frozen=True, eq=False)
class ReadLabels:
    """The labels of one file or folder, as they were read.

    Attributes:
        name: Name of the file.
        property_name: Property of the labels.
        provenance: Where they come from.
        licence: Under which they may be used.
        citation: What to cite.
        conditions: Those of the rows, in the order of their values.
        rows: Every row; n of them have no code.
        materials: Materials of the rows without a code, in their order, length n.
        remarks: What somebody should look at, one sentence each.
        derived: Whether the labels are derived from energies, whose zero no other calculation shares.
    """

    name: str
    property_name: str
    provenance: str
    licence: str
    citation: str
    conditions: Sequence[LabelCondition]
    rows: Sequence[LabelRow]
    materials: CandidateBatch
    remarks: Sequence[str] = ()
    derived: bool = False

    @property
    def kind(self) -> tuple[Hashable, ...]:
        """What labels of several files have in common if they make one set: property, provenance and conditions."""
        stated = [(one.condition.name, one.lowest, one.highest) for one in self.conditions]
        return (self.property_name, self.provenance, id(self) if self.derived else None, *stated)


def together(parts: Sequence[ReadLabels]) -> list[list[ReadLabels]]:
    """Put labels that make one set together, in their order."""
    found: dict[Hashable, list[ReadLabels]] = {}
    for part in parts:
        found.setdefault(part.kind, []).append(part)
    return list(found.values())


def assembled(parts: Sequence[ReadLabels]) -> tuple[TrainingSet, LabelAccount]:
    """Make one training set of the labels of some files of one kind.

    Materials are merged, and stated groups joined, across the files too.

    Returns:
        The training set, in which every material occurs once under equal conditions, and the account of all rows.

    Raises:
        TrainingSetError: If fewer than 20 materials have a label.
    """
    name, property_name = _listed(part.name for part in parts), parts[0].property_name
    conditions = parts[0].conditions
    tables = [part.materials.to_arrow() for part in parts]
    materials = CandidateBatch.from_arrow(pa.concat_tables(tables, promote_options="permissive"))
    known = property_named(property_name)
    rows = [row for part in parts for row in part.rows]
    teaching = [place for place, row in enumerate(rows) if not row.code]
    sound = []
    for position, place in enumerate(teaching):
        code, detail = _beyond(known, rows[place].cell.value)
        if code:
            rows[place] = rows[place]._replace(code=code, detail=detail)
        else:
            sound.append(position)
    materials = materials.take(np.array(sound, np.int64))
    teaching = [teaching[position] for position in sound]
    places = features_among(conditions)
    kept = [tuple(rows[place].conditions[at] for at in places) for place in teaching]
    first, member = _firsts(list(zip(materials.ids, kept, strict=True)))
    distinct = len(set(materials.ids))
    if distinct < _FEWEST:
        raise TrainingSetError(
            f"{counted(distinct, 'material')} with a label of {property_name} in {name}"
            f"{_why(rows)}", f"at least {_FEWEST}", "add labels, or mend the rows that are left out",
        )  # fmt: skip
    scaled = _scaled(known, np.array([rows[place].cell.value for place in teaching]))
    taught = [rows[place] for place in teaching]
    merged = merge_repeats(
        scaled, member, errors=_scaled_errors(known, taught), weights=np.array([row.weight for row in taught]),
        odd=_are_odd(taught, member),
    )  # fmt: skip
    chosen = materials.take(first)
    groups = joined_groups(chosen.groups(), member, [row.group for row in taught])
    origin = pa.array([rows[teaching[position]].place for position in first], pa.string())
    values = 10.0**merged.means if known.transform == "log10" else merged.means
    columns = {conditions[at].condition.column: [kept[row][k] for row in first] for k, at in enumerate(places)}
    training = TrainingSet(
        name, property_name, chosen.with_columns({Column.ORIGIN: origin, **columns}), values, parts[0].provenance,
        groups, merged.weights, _listed(part.licence for part in parts),
        _listed(part.citation for part in parts if part.citation), merged.noise,
    )  # fmt: skip
    remarks = [remark for part in parts for remark in part.remarks]
    return training, LabelAccount(
        name, property_name, rows, distinct, len(np.unique(groups)), (float(values.min()), float(values.max())),
        len(teaching) - len(first), [*remarks, *_limits(rows), *_suspicious(known, taught, scaled, member, groups)],
        merged.noise, conditions,
    )  # fmt: skip


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _unfit(rows: Sequence[LabelRow], groups: NDArray[np.int64]) -> Iterable[str]:
    """Say why no surrogate can be trained of these labels alone."""
    if len({row.cell.value for row in rows}) == 1:
        yield f"every label is {rows[0].written}: nothing can be learned"
    if (count := len(np.unique(groups))) < _FEWEST_GROUPS:
        yield f"{counted(count, 'group')} of what belongs together; a surrogate needs {_FEWEST_GROUPS} independent ones"


def _why(rows: Iterable[LabelRow]) -> str:
    codes = Counter(row.code for row in rows if row.code)
    return f" ({', '.join(f'{count} rows {code}' for code, count in codes.most_common(_MOST_SHOWN))})" if codes else ""


def _beyond(known: Property, value: float) -> tuple[str, str]:
    """Why a value cannot be one of a property; empty if it can."""
    if not known.lower <= value <= known.upper:
        allowed = f"{known.lower:g} to {known.upper:g} {known.unit}"
        return BOUNDS, f"{value:g} {known.unit} is not possible for {known.label_en} ({allowed}); look at the unit"
    if known.transform == "log10" and value <= 0:
        return NO_LOGARITHM, f"{known.label_en} is learned on its logarithm, and {value:g} has none"
    if known.transform != "log10" and abs(value) > _LARGEST:
        return SIZE, (
            f"{value:g} {known.unit} is too large to learn from on a linear scale (at most {_LARGEST:g}); look at the"
            " cell and its unit, or learn the property on the scale log10"
        )
    return "", ""


def _scaled(known: Property, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log10(values) if known.transform == "log10" else values


def _firsts(ids: Sequence[Hashable]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each id in their order, and for each row which of these it repeats."""
    number: dict[Hashable, int] = {}
    member = np.array([number.setdefault(one, len(number)) for one in ids], np.int64)
    first = np.full(len(number), len(ids), np.int64)
    np.minimum.at(first, member, np.arange(len(ids)))
    return first, member


def _suspicious(
    known: Property, rows: Sequence[LabelRow], scaled: NDArray[np.float64], member: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> Iterable[str]:  # fmt: skip
    """Say what somebody should look at: repeats that contradict each other, units off by a thousand, a rare sign."""
    yield from _unfit(rows, groups)
    yield from _far_from_all(known, rows, scaled)
    values = np.array([row.cell.value for row in rows])
    repeats = _repeats(member)
    spreads = np.array([np.ptp(scaled[group]) for group in repeats])
    if len(repeats):
        typical = max(float(np.median(spreads)), 1e-9)
        jumps = [_is_unit_jump(values[group]) for group in repeats]
        for group, spread, is_jump in zip(repeats, spreads, jumps, strict=True):
            ends = [rows[group[int(at(scaled[group]))]] for at in (np.argmin, np.argmax)]
            written = " and ".join(f"{row.written} ({row.place})" for row in ends)
            if is_jump:
                yield f"{ends[0].formula} has values a factor of 1,000 apart, perhaps of another unit: {written}"
            elif spread > _CONFLICT * typical and len(repeats) > _MOST_SHOWN:
                yield f"{ends[0].formula} has values that contradict each other: {written}"
    negative = values < 0
    if 0 < negative.sum() <= 0.05 * len(values):
        row = rows[int(np.flatnonzero(negative)[0])]
        yield f"{counted(int(negative.sum()), 'value')} below zero, first {row.written} ({row.place})"


def _far_from_all(known: Property, rows: Sequence[LabelRow], scaled: NDArray[np.float64]) -> Iterable[str]:
    """Name values so far from all others that they alone would decide what is learned: slips of a unit or a digit."""
    apart = np.abs(scaled - np.median(scaled))
    if not apart.any():
        return
    typical = float(np.median(apart)) or float(np.median(apart[apart > 0]))
    far = np.flatnonzero(apart > _FAR[known.transform] * typical)
    if len(far):
        row, factor = rows[int(far[0])], apart[far[0]] / typical
        yield (
            f"{counted(len(far), 'value')} far from all others, first {row.written[:20]} ({row.place}), {factor:.0e} "
            "times the typical distance from the median: look at the cell and its unit"
        )


def _repeats(member: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of each material that has several."""
    order = np.argsort(member, kind="stable")
    starts = np.flatnonzero(np.diff(member[order], prepend=-1))
    return [group for group in np.split(order, starts[1:]) if len(group) > 1]


def _is_unit_jump(values: NDArray[np.float64]) -> bool:
    """Whether the smallest and the largest of some values are a power of 1,000 apart."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = float(np.ptp(np.log10(np.abs(values))))
    return math.isfinite(decades) and decades > 1 and abs(round(decades / _UNIT_JUMP) * _UNIT_JUMP - decades) < _NEAR


def _are_odd(rows: Sequence[LabelRow], member: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the values of each material seem to be of several units."""
    values, odd = np.array([row.cell.value for row in rows]), np.zeros(int(member.max()) + 1, bool)
    for group in _repeats(member):
        odd[member[group[0]]] = _is_unit_jump(values[group])
    return odd


def _scaled_errors(known: Property, rows: Sequence[LabelRow]) -> NDArray[np.float64]:
    """Stated errors on the scale of the property; small ones of a logarithm are relative ones."""
    errors = np.array([row.cell.uncertainty for row in rows])
    return errors / np.array([row.cell.value for row in rows]) / np.log(10) if known.transform == "log10" else errors


def _limits(rows: Sequence[LabelRow]) -> Iterable[str]:
    """Say how many limits are left out, and what that does to the range that is learned."""
    for end, upper in (("low", True), ("high", False)):
        found = [row for row in rows if row.code == LIMIT and is_upper_limit(row.written) == upper]
        if found:
            shift = "higher" if upper else "lower"
            yield (
                f"{counted(len(found), 'limit')} left out, such as {found[0].written[:20]} ({found[0].place}): {end} "
                f"values are missing from the labels, so predictions at that end come out {shift} than they should"
            )
