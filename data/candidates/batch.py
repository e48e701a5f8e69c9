"""CandidateBatch: some thousand candidates as one Arrow table and flat arrays, the unit of every stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS, Block
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystal_faults import fault_detail
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.formula import explain_refusal, parse_formulas, write_formulas
from matloop.data.candidates.identity import text_id
from matloop.data.candidates.kinds import COMPOSITION, CRYSTAL, KINDS, CandidateKind, compositions_in, rows_by_kind
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import BatchError
from matloop.data.html_table import MOST_ROWS, html_table
from matloop.data.plain_text import counted
from matloop.data.properties.columns import Column

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

BLOCK_TYPES: Mapping[str, type[Block]] = MappingProxyType({COMPOSITIONS: Compositions, CRYSTALS: Crystals})
"""Type of each block by its name, in the order in which their columns stand in a table."""
_MOST_SHOWN = 12  # columns in a notebook
_MOST_NAMED = 6  # formulas at a prompt
_NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})


class Refused(NamedTuple):
    """An input row that cannot become a candidate; it is counted and reported under its row code, never dropped.

    Attributes:
        row: Number of the row in the input.
        candidate_id: Hash of the content of the row.
        formula: Formula, or the text that should have been one.
        code: Row code.
        detail: Further text about the refusal.
    """

    row: int
    candidate_id: str
    formula: str
    code: str
    detail: str = ""


class Intake(NamedTuple):
    """Candidates and refused rows from a source.

    Attributes:
        batch: The candidates.
        refused: The rows it could not read; candidates are the other rows, in order.
    """

    batch: CandidateBatch
    refused: list[Refused]


@dataclass(frozen=True)
class CandidateBatch:
    """``n`` candidates: one table, and blocks of flat arrays on its rows.

    Attributes:
        table: One row per candidate; ``candidate_id`` and ``formula`` (reduced) always, then any typed columns.
        blocks: Flat arrays by name: ``compositions`` (elements and amounts) and, if they are known, ``crystals`` (cells
            and sites). In a batch that mixes both, a candidate without a crystal has no sites and a cell of zeros.

    Raises:
        BatchError: If a block has another number of candidates than the table.
    """

    table: pa.Table
    blocks: Mapping[str, Block]

    def __post_init__(self) -> None:
        sizes = {"table": self.table.num_rows, **{name: len(block) for name, block in self.blocks.items()}}
        if len(set(sizes.values())) != 1:
            raise BatchError(f"parts of different length: {sizes}", "the same number of rows in every part")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        shown = ", ".join(self.table.column(Column.FORMULA)[:_MOST_NAMED].to_pylist())
        more = ", ..." if len(self) > _MOST_NAMED else ""
        return f"CandidateBatch({counted(len(self), 'candidate')}: {shown}{more})"

    def _repr_html_(self) -> str:
        """The first candidates for a notebook, with the first simple columns of the table."""
        simple = [field.name for field in self.table.schema if not pa.types.is_nested(field.type)][:_MOST_SHOWN]
        rows = self.table.select(simple).slice(0, MOST_ROWS).to_pylist()
        crystals, columns = int(self.has_crystal.sum()), counted(self.table.num_columns, "column")
        told = f"{counted(len(self), 'candidate')}, {crystals:,} with a crystal, {columns}"
        return f"<p>{told}</p>{html_table(simple, (list(row.values()) for row in rows))}"

    @property
    def ids(self) -> list[str]:
        """Candidate ids, in row order."""
        return self.table.column(Column.CANDIDATE_ID).to_pylist()

    @property
    def formulas(self) -> list[str]:
        """Reduced formulas, in row order."""
        return self.table.column(Column.FORMULA).to_pylist()

    @property
    def compositions(self) -> Compositions:
        """Elements and amounts.

        Raises:
            BatchError: If the batch has no compositions.
        """
        return compositions_in(self.blocks)

    @property
    def crystals(self) -> Crystals | None:
        """Cells and sites, or None where only compositions are known."""
        found = self.blocks.get(CRYSTALS)
        return found if isinstance(found, Crystals) else None

    @property
    def has_crystal(self) -> NDArray[np.bool_]:
        """Which candidates have cells and sites, shape (n,)."""
        return self.has(CRYSTALS)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Return which candidates have content in a block, shape (n,); none if the batch lacks the block.

        >>> CandidateBatch.from_formulas(["NaCl"]).batch.has("crystals").tolist()
        [False]
        """
        return self.blocks[name].present() if name in self.blocks else np.zeros(len(self), bool)

    @property
    def kinds(self) -> list[CandidateKind]:
        """Kind of each candidate, in row order.

        >>> [kind.name for kind in CandidateBatch.from_formulas(["NaCl"]).batch.kinds]
        ['composition']
        """
        names = np.empty(len(self), object)
        for name, rows in rows_by_kind(self).items():
            names[rows] = name
        return [KINDS[name] for name in names]

    def groups(self) -> NDArray[np.int64]:
        """Number of the group of each candidate, shape (n,); no split of data may separate a group.

        >>> CandidateBatch.from_formulas(["ZnO", "GaN", "Zn2O2"]).batch.groups().tolist()
        [1, 0, 1]
        """
        keys = np.zeros(len(self), np.uint64)
        for name, rows in rows_by_kind(self).items():
            blocks = self.blocks if len(rows) == len(self) else self.take(rows).blocks
            keys[rows] = KINDS[name].group_keys(blocks)
        return np.unique(keys, return_inverse=True)[1].astype(np.int64)

    def with_block(self, name: str, block: Block) -> CandidateBatch:
        """A batch with a further (or replaced) block of n candidates."""
        return replace(self, blocks={**self.blocks, name: block})

    def column(self, name: str) -> NDArray[Any]:
        """A typed column as an array; nulls of a numeric column become nan."""
        return self.table.column(name).to_numpy()

    def with_columns(self, columns: Mapping[str, Any] = _NO_COLUMNS, /, **named: Any) -> CandidateBatch:
        """A batch with further (or replaced) typed columns, each of length n.

        Args:
            columns: Values by name of the column.
            named: The same, as keywords.
        """
        table = self.table
        for name, values in {**columns, **named}.items():
            array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
            if len(array) != len(self):
                raise BatchError(f"column '{name}' with {len(array)} values", f"{len(self)}, one per candidate")
            at = table.schema.get_field_index(name)
            table = table.append_column(name, array) if at < 0 else table.set_column(at, name, array)
        return replace(self, table=table)

    def without_columns(self, *names: str) -> CandidateBatch:
        """A batch that lacks these typed columns."""
        return replace(self, table=self.table.drop_columns(list(names)))

    def take(self, indices: NDArray[np.integer] | Sequence[int]) -> CandidateBatch:
        """The candidates at ``indices``, in that order."""
        rows = np.asarray(indices, np.int64)
        blocks = {name: block.take(rows) for name, block in self.blocks.items()}
        return CandidateBatch(self.table.take(pa.array(rows)), blocks)

    def slices(self, size: int) -> Iterable[CandidateBatch]:
        """Consecutive batches of at most ``size`` candidates."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    @classmethod
    def from_formulas(cls, formulas: Sequence[str | None], *, exact: bool = False) -> Intake:
        """Candidates known by composition alone.

        Args:
            formulas: Formulas as text.
            exact: Whether a program wrote them, so that no symbol or amount can be a slip.

        Returns:
            One candidate per readable formula, in order, and the rest as refused rows.

        >>> intake = CandidateBatch.from_formulas(["SiO2", "Fe0"])
        >>> intake.batch.formulas, intake.refused[0].code
        (['SiO2'], 'E-FORMULA-AMOUNT')
        """
        compositions, codes = parse_formulas(formulas, exact=exact)
        good = np.flatnonzero(codes == "")
        compositions = compositions.take(good)
        refused = [
            Refused(
                row,
                text_id(formulas[row] or ""),
                _storable(formulas[row] or ""),
                str(codes[row]),
                explain_refusal(formulas[row]),
            )
            for row in np.flatnonzero(codes != "").tolist()
        ]
        return Intake(cls.of_kind(COMPOSITION, {COMPOSITIONS: compositions}), refused)

    @classmethod
    def of_kind(cls, kind: CandidateKind, blocks: Mapping[str, Block]) -> CandidateBatch:
        """Candidates of one kind, with the two columns that every batch has: their ids and reduced formulas.

        Args:
            kind: Makes the ids.
            blocks: What is known of n candidates, compositions among it.
        """
        columns = {Column.CANDIDATE_ID: kind.ids(blocks), Column.FORMULA: write_formulas(compositions_in(blocks))}
        # Text even where there are no rows to infer it from.
        table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        return cls(table, blocks)

    @classmethod
    def from_crystals(
        cls, crystals: Crystals, columns: Mapping[str, Any] = _NO_COLUMNS, /, **named: Any
    ) -> CandidateBatch:
        """Candidates from crystal arrays that passed :meth:`Crystals.row_codes`.

        Args:
            crystals: n crystals.
            columns: Further typed columns by name, each of length n.
            named: The same, as keywords.
        """
        blocks: dict[str, Block] = {COMPOSITIONS: crystals.compositions(), CRYSTALS: crystals}
        return cls.of_kind(CRYSTAL, blocks).with_columns(columns, **named)

    @classmethod
    def from_structures(cls, structures: Sequence[Structure]) -> Intake:
        """Candidates from pymatgen structures; disordered and unsound ones are refused with a row code."""
        ordered = [row for row, structure in enumerate(structures) if structure.is_ordered]
        disordered = [
            Refused(row, text_id(str(s.composition)), s.composition.reduced_formula, "E-STRUCT-DISORDER")
            for row, s in enumerate(structures)
            if not s.is_ordered
        ]
        batch, unsound = cls._from_cells(
            [structures[row].lattice.matrix for row in ordered],
            [_numbers([ATOMIC_NUMBERS.get(s.specie.symbol, 0) for s in structures[row]]) for row in ordered],
            [structures[row].frac_coords.reshape(-1, 3) for row in ordered],
        )
        return Intake(batch, disordered + [refused._replace(row=ordered[refused.row]) for refused in unsound])

    @classmethod
    def from_atoms(cls, atoms: Sequence[Atoms]) -> Intake:
        """Candidates from periodic ASE atoms; unsound ones are refused with a row code."""
        return cls._from_cells(
            [np.asarray(image.cell) for image in atoms],
            [_numbers(image.numbers) for image in atoms],
            [_fractional(image) for image in atoms],
        )

    @classmethod
    def _from_cells(
        cls,
        cells: list[NDArray[np.float64]],
        species: list[NDArray[np.uint8]],
        frac_coords: list[NDArray[np.float64]],
    ) -> Intake:
        offsets = np.concatenate([[0], np.cumsum([len(sites) for sites in species])]).astype(np.int64)
        crystals = Crystals(
            np.array(cells, np.float64).reshape(-1, 3, 3),
            offsets,
            np.concatenate([*species, np.empty(0, np.uint8)]).astype(np.uint8),
            np.concatenate([*frac_coords, np.empty((0, 3))]).astype(np.float64),
        )
        codes = crystals.row_codes()
        bad = np.flatnonzero(codes != "")
        names = write_formulas(crystals.take(bad).compositions()) if len(bad) else []
        refused = [
            Refused(
                int(row),
                text_id(crystals.lattice[row].tobytes().hex() + name),
                name,
                str(codes[row]),
                fault_detail(crystals, int(row), str(codes[row])),
            )
            for row, name in zip(bad, names, strict=True)
        ]
        return Intake(cls.from_crystals(crystals.take(np.flatnonzero(codes == ""))), refused)

    def structure(self, row: int) -> Structure:
        """One crystal as a pymatgen structure.

        Raises:
            BatchError: If the batch has no crystals.
        """
        from pymatgen.core import Lattice, Structure

        cell, numbers, frac_coords = self.cell(row)
        return Structure(Lattice(cell), [SYMBOLS[z] for z in numbers], frac_coords)

    def atoms(self, row: int) -> Atoms:
        """One crystal as ASE atoms.

        Raises:
            BatchError: If the batch has no crystals.
        """
        from ase import Atoms

        cell, numbers, frac_coords = self.cell(row)
        return Atoms(numbers=numbers, scaled_positions=frac_coords, cell=cell, pbc=True)

    def cell(self, row: int) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
        """Cell row vectors in Å, atomic numbers and fractional coordinates of one crystal.

        Raises:
            BatchError: If the candidate has no crystal.
        """
        if self.crystals is None or self.crystals.site_counts[row] == 0:
            raise BatchError("a candidate without crystal", "one with cell and sites")
        sites = slice(self.crystals.offsets[row], self.crystals.offsets[row + 1])
        return self.crystals.lattice[row], self.crystals.species[sites], self.crystals.frac_coords[sites]

    def to_arrow(self) -> pa.Table:
        """Everything in one Arrow table; the arrays of the blocks become columns of lists."""
        table = self.table
        for name in [*BLOCK_TYPES, *(other for other in self.blocks if other not in BLOCK_TYPES)]:
            for column, array in self.blocks[name].to_columns().items() if name in self.blocks else ():
                table = table.append_column(column, array)
        return table

    @classmethod
    def from_arrow(cls, table: pa.Table, *, block_types: Mapping[str, type[Block]] = BLOCK_TYPES) -> CandidateBatch:
        """Read the batch that :meth:`to_arrow` wrote.

        Args:
            table: Its table.
            block_types: Type of each block that the table may hold, by name.
        """
        blocks = {}
        for name, kind in block_types.items():
            if set(kind.columns) <= set(table.column_names):
                blocks[name] = kind.from_columns({column: table[column].combine_chunks() for column in kind.columns})
                table = table.drop_columns(list(kind.columns))
        return cls(table, blocks)

    def write_parquet(self, path: str | Path) -> None:
        """Write to one Parquet file."""
        pq.write_table(self.to_arrow(), path, compression="zstd")

    @classmethod
    def read_parquet(cls, path: str | Path) -> CandidateBatch:
        """Read what :meth:`write_parquet` wrote."""
        return cls.from_arrow(pq.read_table(path))


def _storable(text: str) -> str:
    """Replace lone surrogates, which Arrow refuses to hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _numbers(numbers: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return atomic numbers; dummy atoms and other symbols that are no element become 0, so that the gate sees them."""
    array = np.asarray(numbers, np.int64)
    return np.where((array > 0) & (array < len(SYMBOLS)), array, 0).astype(np.uint8)


def _fractional(image: Atoms) -> NDArray[np.float64]:
    """Return fractional coordinates; nan if the cell is singular or not finite, so that the gate codes it."""
    cell = np.asarray(image.cell)
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(cell).all() or not abs(np.linalg.det(cell)) > 1e-12:
            return np.full((len(image), 3), np.nan)
        return np.asarray(image.cell.scaled_positions(image.positions))
