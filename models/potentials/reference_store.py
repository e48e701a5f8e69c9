"""Energies of reference phases, kept so that a potential evaluates a set of them once and not in every run.

One file holds the energies of one set of reference phases by one potential. Its name holds the key of everything that
decides the energies, and the sha256 of its own content. A damaged file, or one whose content differs from its name,
counts as missing, and the energies are computed again.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.bounded_files import read_bounded, read_table
from matloop.data.errors import ROW_CODES, DamagedFileError
from matloop.data.properties.columns import Column
from matloop.data.whole_files import write_whole

SCHEMA = pa.schema([("row", pa.int64()), ("id", pa.string()), ("energy_per_atom", pa.float64()), ("code", pa.string())])
DEPENDS_ON_THE_MACHINE = frozenset({"E-POTENTIAL-TIMEOUT", "E-POTENTIAL-CRASH", "E-POTENTIAL-MEMORY"})
"""Codes of phases that may do better next time or elsewhere; they are not kept."""
_LARGEST_FILE = 200_000_000  # bytes
_LARGEST_ID = 1_000  # bytes of one row, on average


@dataclass(frozen=True)
class ReferenceEnergies:
    """Energies of some phases of a set.

    Attributes:
        rows: Positions of the phases in the set, ascending, shape (m,).
        energies: eV/atom, nan where there is none, shape (m,).
        codes: Row code of a missing or doubtful energy, else empty, shape (m,).
    """

    rows: NDArray[np.int64]
    energies: NDArray[np.float64]
    codes: NDArray[np.object_]

    @classmethod
    def none(cls) -> ReferenceEnergies:
        """Return the energies of no phases."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0, object))

    def joined(self, other: ReferenceEnergies) -> ReferenceEnergies:
        """Join the energies of these phases and others, in the order of the set."""
        rows = np.concatenate([self.rows, other.rows])
        order = np.argsort(rows, kind="stable")
        energies, codes = np.concatenate([self.energies, other.energies]), np.concatenate([self.codes, other.codes])
        return ReferenceEnergies(rows[order], energies[order], codes[order])


@dataclass(frozen=True)
class ReferenceStore:
    """The kept energies of one user.

    Attributes:
        folder: The folder of the files; it is made when the first energies are stored.
    """

    folder: Path

    def find(self, key: str, ids: Sequence[str]) -> ReferenceEnergies:
        """Find the stored energies of a set of reference phases.

        Args:
            key: Hash of all that decides the energies: the potential, its options and code, and the crystals.
            ids: Identifier of each phase of the set.

        Returns:
            The stored energies; of no phases if no sound file is there.
        """
        for path in self._files(key):
            try:
                return _read(path, ids)
            except (DamagedFileError, ValueError):
                continue
        return ReferenceEnergies.none()

    def keep(self, key: str, ids: Sequence[str], found: ReferenceEnergies) -> None:
        """Store energies of a set of reference phases, in place of those stored before.

        If that fails, one warning says so; nothing else depends on it.

        Args:
            key: As in :meth:`find`.
            ids: Likewise.
            found: The energies; those with a code that may differ on another machine are left out.
        """
        lasting = ~np.isin(found.codes.astype(str), list(DEPENDS_ON_THE_MACHINE))
        rows = found.rows[lasting]
        columns = [
            pa.array(rows), pa.array([ids[row] for row in rows]).cast(pa.string()),
            pa.array(found.energies[lasting], from_pandas=True).cast(pa.float64()),
            pa.array(found.codes[lasting].astype(str)).cast(pa.string()),
        ]  # fmt: skip
        sink = io.BytesIO()
        pq.write_table(pa.table(columns, schema=SCHEMA), sink, compression="zstd")
        content = sink.getvalue()
        path = self.folder / f"{key}-{hashlib.sha256(content).hexdigest()}.parquet"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            earlier = [other for other in self._files(key) if other != path]
            write_whole(path, lambda draft: _fill(draft, content))
            for other in earlier:
                other.unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(
                f"energies of reference phases are not kept for the next run: {error}. To mend it: set MATLOOP_CACHE "
                "to a folder you may write to.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _files(self, key: str) -> list[Path]:
        try:
            return sorted(path for path in self.folder.glob(f"{key}-*.parquet") if path.is_file())
        except OSError:
            return []


def _fill(draft: Path, content: bytes) -> None:
    draft.write_bytes(content)


def _read(path: Path, ids: Sequence[str]) -> ReferenceEnergies:
    """Read the energies from a file.

    Raises:
        ValueError: If the content differs from the name, or does not belong to the phases.
        DamagedFileError: If it cannot be read, or takes more memory than the phases need.
    """
    content = read_bounded(path, most_bytes=_LARGEST_FILE)
    if not path.stem.endswith(f"-{hashlib.sha256(content).hexdigest()}"):
        raise ValueError("the content is not what the name says")
    table = read_table(path, most_rows=len(ids), most_bytes=_LARGEST_ID * (len(ids) + 100))
    if not table.schema.remove_metadata().equals(SCHEMA):
        raise ValueError("other columns")
    rows, codes = table[Column.ROW].to_numpy(), table[Column.CODE].to_numpy(zero_copy_only=False)
    energies = table["energy_per_atom"].to_numpy().astype(np.float64)
    ordered = (np.diff(rows) > 0).all() and (not len(rows) or (rows[0] >= 0 and rows[-1] < len(ids)))
    if not ordered or [ids[row] for row in rows] != table["id"].to_pylist():
        raise ValueError("other phases")
    if not set(codes) <= {"", *ROW_CODES} or np.isinf(energies).any() or (np.isnan(energies) & (codes == "")).any():
        raise ValueError("a code or an energy that cannot be")
    return ReferenceEnergies(rows, energies, codes)
