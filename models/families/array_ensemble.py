"""What ensembles share whose whole fitted state is named arrays: one ``npz`` file beside their parameters."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.contract import Ensemble


class ArrayEnsemble(Ensemble):
    """Parameters, fitted arrays, and how both are saved and read back without running code from a file.

    A family sets ``file`` and fills ``_arrays`` in its ``fit``, the array ``importances`` among them.

    Args:
        parameters: What it is set up with, by the names of its constructor's arguments; plain JSON values.

    Attributes:
        parameters: The same.
    """

    file: ClassVar[str]
    """Name of the file with the arrays."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters: dict[str, Any] = parameters
        self._arrays: dict[str, NDArray[Any]] = {}

    def importances(self) -> NDArray[np.float64]:
        """Share of each feature in the fit, shape (k,), sums to 1; the class tells how it is measured."""
        return self._fitted()["importances"]

    def save(self, folder: Path) -> None:
        """Write the arrays and ``parameters.json``."""
        np.savez_compressed(folder / self.file, **self._fitted())  # type: ignore[arg-type]
        (folder / "parameters.json").write_text(json.dumps(self.parameters))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; arrays only, never objects.

        Raises:
            ModelError: If the arrays do not fit together.
        """
        ensemble = cls(**json.loads((folder / "parameters.json").read_text()))
        ensemble._arrays = read_arrays(folder / cls.file)
        ensemble._check()
        return ensemble

    def _check(self) -> None:
        """Refuse arrays that :meth:`load` read but that cannot be predicted with."""

    def _fitted(self) -> dict[str, NDArray[Any]]:
        if not self._arrays:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
        return self._arrays


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an ``npz`` file, never objects."""
    # From memory: numpy leaves the file of a damaged archive open.
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
