"""A training set: rows with one property's values, and who measured or computed them, how, and under which licence."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import TrainingSetError
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.conditions import CONDITIONS, condition_named
from matloop.data.properties.provenance import Provenance
from matloop.data.training.label_noise import LabelNoise, joined_noise

_NAME_COLUMNS = (Column.MATERIAL_ID, Column.ORIGIN)
_NO_CONDITIONS: Mapping[str, Sequence[float]] = {}


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Values of one property for n materials, from one provenance.

    Attributes:
        name: What the set is called.
        property_name: Property in the catalogue.
        rows: The materials; a column ``condition_NAME`` has the value of a condition in the unit in which it is stored
            (:mod:`matloop.data.properties.conditions`).
        values: In the property's unit, finite, shape (n,).
        provenance: Where every value comes from, such as ``dft:pbe`` or ``exp``
            (:mod:`matloop.data.properties.provenance`).
        groups: Reduced-formula group of each row, shape (n,); splits never separate a group.
        weights: How much each row counts, positive, shape (n,).
        licence: Under which the data may be used and passed on.
        citation: What to cite for them.
        noise: What is known of the noise of the values; None where nothing is.
    """

    name: str
    property_name: str
    rows: CandidateBatch
    values: NDArray[np.float64]
    provenance: str
    groups: NDArray[np.int64]
    weights: NDArray[np.float64]
    licence: str
    citation: str
    noise: LabelNoise | None = None

    def __post_init__(self) -> None:
        property_named(self.property_name)
        sizes = {"rows": len(self.rows)}
        sizes |= {name: len(getattr(self, name)) for name in ("values", "groups", "weights")}
        sizes |= {} if self.noise is None else {"errors": len(self.noise.errors)}
        if len(set(sizes.values())) != 1:
            raise TrainingSetError(f"parts of different length: {sizes}", "one value, group and weight per row")
        if bad := int((~np.isfinite(self.values)).sum()):
            raise TrainingSetError(
                f"{bad} of {len(self.values)} values of {self.name} are not finite", "finite values",
                "leave out the rows without a value, as TrainingSet.of_rows does",
            )  # fmt: skip
        if not (np.isfinite(self.weights) & (self.weights > 0)).all():
            raise TrainingSetError(f"weights of {self.name} that are not positive numbers", "weights above zero")
        if self.noise is not None and (self.noise.errors < 0).any():
            raise TrainingSetError(f"errors of {self.name} below zero", "standard errors, nan where unknown")
        for condition, kept in self.conditions.items():
            if bad := int((~np.isfinite(kept)).sum()):
                raise TrainingSetError(
                    f"{bad} of {len(self)} rows of {self.name} without {condition}", "a finite value for every row",
                    "state it for every row, or leave these rows out",
                )  # fmt: skip
        if missing := [name for name in ("name", "provenance", "licence") if not getattr(self, name).strip()]:
            raise TrainingSetError(
                f"a training set without {' and '.join(missing)}", "a text for each",
                "write 'unknown' where it is not known",
            )  # fmt: skip
        Provenance.read(self.provenance)

    @classmethod
    def of_rows(
        cls,
        rows: CandidateBatch,
        values: NDArray[np.float64],
        *,
        property_name: str,
        name: str,
        provenance: str,
        licence: str,
        citation: str = "",
    ) -> Self:
        """The rows that have a value, grouped by reduced formula, each of weight 1.

        Args:
            rows: m materials.
            values: In the property's unit, nan where unknown, shape (m,).
            property_name: Property in the catalogue.
            name: What the set is called.
            provenance: Where every value comes from.
            licence: Of the data.
            citation: What to cite for them.

        Raises:
            TrainingSetError: If the parts do not fit together.
            UnknownNameError: For an unknown property.
        """
        values = np.asarray(values, np.float64)
        if values.shape != (len(rows),):
            raise TrainingSetError(f"{values.shape} values of {len(rows)} rows", "one value per row")
        labelled = np.flatnonzero(np.isfinite(values))
        rows = rows.take(labelled)
        groups = rows.groups()
        weights = np.ones(len(rows))
        return cls(name, property_name, rows, values[labelled], provenance, groups, weights, licence, citation)

    @classmethod
    def of_formulas(
        cls,
        formulas: Sequence[str],
        values: Sequence[float],
        *,
        property_name: str,
        name: str,
        provenance: str,
        licence: str,
        citation: str = "",
        conditions: Mapping[str, Sequence[float]] = _NO_CONDITIONS,
    ) -> Self:
        """A training set of formulas and values, as they stand in a table of one's own.

        Args:
            formulas: m formulas.
            values: In the property's unit, nan where unknown, length m.
            property_name: Property in the catalogue.
            name: What the set is called.
            provenance: Where every value comes from.
            licence: Of the data.
            citation: What to cite for them.
            conditions: By name, such as ``temperature``, in the unit in which it is stored, each of length m.

        Raises:
            TrainingSetError: If a formula cannot be read, or the parts do not fit together.
            UnknownNameError: For an unknown property or condition.

        >>> gaps = TrainingSet.of_formulas(
        ...     ["GaN", "ZnO", "Ga2N2"], [3.4, 3.3, 3.2],
        ...     property_name="band_gap", name="our films", provenance="exp", licence="CC0",
        ... )
        >>> len(gaps), gaps.groups.tolist(), gaps.sha256[:8]
        (3, [0, 1, 0], '122194e9')
        """
        rows, refused = CandidateBatch.from_formulas(formulas)
        if refused:
            first = refused[0]
            raise TrainingSetError(
                f"{len(refused)} of {len(formulas)} formulas that cannot be read, first {first.formula!r} in row "
                f"{first.row + 1} ({first.code}{first.detail and f': {first.detail}'})", "formulas such as Ba2NaOsO6",
                "correct these rows, or leave them out",
            )  # fmt: skip
        columns = {condition_named(name).column: np.asarray(kept, float) for name, kept in conditions.items()}
        rows = rows.with_columns(columns)
        return cls.of_rows(
            rows, np.asarray(values, np.float64), property_name=property_name, name=name, provenance=provenance,
            licence=licence, citation=citation,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the training set of some of the rows, with their groups as they are.

        Args:
            rows: Their places, shape (m,).
        """
        noise = None if self.noise is None else replace(self.noise, errors=self.noise.errors[rows])
        return replace(
            self, rows=self.rows.take(rows), values=self.values[rows], groups=self.groups[rows],
            weights=self.weights[rows], noise=noise,
        )  # fmt: skip

    @functools.cached_property
    def conditions(self) -> Mapping[str, NDArray[np.float64]]:
        """Value of each condition in every row by its name, in the unit in which it is stored, each of shape (n,)."""
        there = set(self.rows.table.column_names)
        return {
            name: np.asarray(self.rows.column(one.column), np.float64)
            for name, one in CONDITIONS.items()
            if one.column in there
        }

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of all that a model learns from: rows, property, values, provenance, groups, weights and errors."""
        digest = hashlib.sha256(json.dumps([self.property_name, self.provenance]).encode())
        table, compositions, crystals = self.rows.table, self.rows.compositions, self.rows.crystals
        for column in sorted(table.column_names):
            digest.update(json.dumps([column, str(table.schema.field(column).type)]).encode())
            digest.update(repr(table.column(column).to_pylist()).encode("utf-8", "surrogatepass"))
        arrays: list[NDArray[Any]] = [compositions.offsets, compositions.elements, compositions.amounts]
        if crystals is not None:
            arrays += [crystals.lattice, crystals.offsets, crystals.species, crystals.frac_coords]
        known = [] if self.noise is None else [self.noise.errors]
        for array in (*arrays, self.values, self.groups, self.weights, *known):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def about(self) -> dict[str, str]:
        """What a card or a report says of the data, as plain JSON values."""
        return {
            "name": self.name, "property": self.property_name, "provenance": self.provenance, "licence": self.licence,
            "citation": self.citation, "sha256": self.sha256,
        }  # fmt: skip


def joined(sets: Sequence[TrainingSet]) -> TrainingSet:
    """One training set of several of one property and provenance; a material may occur in more than one of them.

    Raises:
        TrainingSetError: If they are of different properties, provenances or conditions, which are never mixed.
    """
    first, *others = sets
    if not others:
        return first
    for other in others:
        if (other.property_name, other.provenance) != (first.property_name, first.provenance):
            raise TrainingSetError(
                f"'{first.name}' has {first.property_name} with provenance {first.provenance}, and '{other.name}' "
                f"{other.property_name} with {other.provenance}", "one property and one provenance",
                "name the provenance in the target, or leave one of the sets out",
            )  # fmt: skip
    for other in others:
        if set(other.conditions) != set(first.conditions):
            stated = [", ".join(one.conditions) or "no conditions" for one in (first, other)]
            raise TrainingSetError(
                f"'{first.name}' states {stated[0]}, and '{other.name}' {stated[1]}",
                "the same conditions in all labels of a property",
                "give the value that held for all its rows, such as 'conditions: {temperature: 298 K}'",
            )  # fmt: skip
    rows = CandidateBatch.from_arrow(
        pa.concat_tables([one.rows.to_arrow() for one in sets], promote_options="permissive")
    )
    words = [[f"{number} {group}" for group in one.groups.tolist()] for number, one in enumerate(sets)]
    own = [word for some in words for word in some]
    return TrainingSet(
        _listed(one.name for one in sets), first.property_name, rows, np.concatenate([one.values for one in sets]),
        first.provenance, joined_groups(rows.groups(), np.arange(len(rows)), own),
        np.concatenate([one.weights for one in sets]), _listed(one.licence for one in sets),
        _listed(one.citation for one in sets if one.citation),
        joined_noise([one.noise for one in sets], [len(one) for one in sets]),
    )  # fmt: skip


def groups_of_both(first: TrainingSet, second: TrainingSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Formula groups of the rows of two training sets; equal formulas have the same number in both.

    Args:
        first: A training set of n rows.
        second: A training set of m rows, of any provenance.

    Returns:
        Groups of either set, shapes (n,) and (m,).
    """
    tables = [one.rows.to_arrow() for one in (first, second)]
    groups = CandidateBatch.from_arrow(pa.concat_tables(tables, promote_options="permissive")).groups()
    return groups[: len(first)], groups[len(first) :]


def joined_groups(groups: NDArray[np.int64], member: NDArray[np.int64], words: Sequence[str]) -> NDArray[np.int64]:
    """Join groups of materials whose rows share a stated group, so that no split separates either of them.

    Args:
        groups: Group of each of n materials, shape (n,).
        member: Material of each row.
        words: Stated group of each row; rows without one join nothing.

    >>> joined_groups(np.array([0, 1, 2]), np.array([0, 1, 2]), ["a paper", "", "a paper"]).tolist()
    [0, 1, 0]
    """
    parent = list(range(int(groups.max(initial=-1)) + 1))

    def root(group: int) -> int:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    seen: dict[str, int] = {}
    for material, word in zip(member.tolist(), words, strict=True):
        if word:
            group = root(int(groups[material]))
            parent[group] = root(seen.setdefault(word, group))
    roots = [root(int(group)) for group in groups]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def row_names(rows: CandidateBatch) -> list[str]:
    """What each material is called: its id in the database it comes from, its place in a file, or its own id.

    >>> row_names(CandidateBatch.from_formulas(["NaCl"]).batch.with_columns(origin=["films.csv row 3"]))
    ['films.csv row 3']
    """
    there = [rows.table.column(name).cast(pa.string()) for name in _NAME_COLUMNS if name in rows.table.column_names]
    return pc.coalesce(*there, rows.table.column(Column.CANDIDATE_ID)).to_pylist() if there else rows.ids
