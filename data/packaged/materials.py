"""The packaged crystals with their computed properties (see ``datasets/ATTRIBUTION.md``)."""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import DatasetError

MATERIALS_FILE = Path(__file__).parents[1] / "datasets" / "materials.parquet"
MATERIALS_SHA256 = "cedff1715e58e2906923a2b6988779eaf6d02c4524502a376b8bb4880d8c27e9"


def read_verified(path: Path, sha256: str) -> bytes:
    """Content of a packaged file.

    Raises:
        DatasetError: If the file is missing or its sha256 is another one.
    """
    if not path.is_file():
        raise DatasetError(f"no file {path.name} in the installed package", fix="reinstall matloop")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetError(f"{path.name} has sha256 {found}", sha256, "reinstall matloop; the file was changed")
    return content


class VerifiedFile(NamedTuple):
    """A packaged file as it was released.

    Attributes:
        path: Where it lies.
        sha256: Of its content.
    """

    path: Path
    sha256: str

    def read(self) -> bytes:
        """Content of the file.

        Raises:
            DatasetError: If the file is missing or its sha256 is another one.
        """
        return read_verified(self.path, self.sha256)


@functools.cache
def load_materials() -> CandidateBatch:
    """The 6,317 packaged crystals; properties are columns with the suffix ``_dft``, null where not computed.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    table = pq.read_table(io.BytesIO(read_verified(MATERIALS_FILE, MATERIALS_SHA256)))
    arrays = {name: table.column(name).combine_chunks() for name in Crystals.columns}
    crystals = Crystals.from_columns(arrays)
    return CandidateBatch(table.drop_columns(list(arrays)), {COMPOSITIONS: crystals.compositions(), CRYSTALS: crystals})
