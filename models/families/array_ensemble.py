"""Base class of ensembles whose fitted state consists of named arrays, stored in one ``npz`` file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import LARGEST_TABLE, read_bounded, read_json
from matloop.data.errors import DamagedFileError, ModelError
from matloop.models.families.contract import Ensemble

LARGEST_ARRAYS = 2_000_000_000
"""Bytes of the file of the arrays of a model."""


class ArrayEnsemble(Ensemble):
    """Holds parameters and fitted arrays, and saves and loads both without running code from a file.

    A family sets ``file`` and fills ``_arrays`` in its ``fit``, including the array ``importances``.

    Args:
        parameters: Settings by the names of the arguments of the constructor, as plain JSON values.

    Attributes:
        parameters: The same settings.
    """

    file: ClassVar[str]
    """Name of the file with the arrays."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters: dict[str, Any] = parameters
        self._arrays: dict[str, NDArray[Any]] = {}

    def importances(self) -> NDArray[np.float64]:
        """Share of each feature in the fit, shape (k,), sums to 1. The class documents how it is measured."""
        return self._fitted()["importances"]

    def save(self, folder: Path) -> None:
        """Write the arrays and ``parameters.json``."""
        np.savez_compressed(folder / self.file, **self._fitted())  # type: ignore[arg-type]
        (folder / "parameters.json").write_text(json.dumps(self.parameters))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote. Only arrays are read, never objects.

        Raises:
            ModelError: If the arrays do not fit together.
        """
        ensemble = cls(**read_json(folder / "parameters.json"))
        ensemble._arrays = read_arrays(folder / cls.file)
        ensemble._check()
        return ensemble

    def _check(self) -> None:
        """Refuse arrays that :meth:`load` has read if they cannot be used for predictions."""

    def _fitted(self) -> dict[str, NDArray[Any]]:
        if not self._arrays:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
        return self._arrays


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``npz`` file, but no objects.

    Raises:
        DamagedFileError: If it is no regular file, or takes more memory than any model.
    """
    # The file is read into memory first, because numpy leaves the file of a damaged archive open.
    with np.load(io.BytesIO(read_bounded(path, most_bytes=LARGEST_ARRAYS)), allow_pickle=False) as arrays:
        size = sum(part.file_size for part in arrays.zip.infolist())
        if size > LARGEST_TABLE:
            raise DamagedFileError(f"{path.name} takes {size:,} bytes", f"at most {LARGEST_TABLE:,}", "train again")
        return {name: arrays[name] for name in arrays.files}
