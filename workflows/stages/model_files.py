"""The files of a model that a run keeps, by their content: what a worker has read once it does not read again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from matloop.data.runs.manifest import key_of, sha256_of


@dataclass(frozen=True)
class ModelFiles:
    """The files of a saved model, equal to others of the same content wherever they lie.

    A worker may outlive a run, and another run may use the same folder: what a worker keeps goes by content.

    Attributes:
        content: Hash of the files.
        folder: Where they are.
    """

    content: str
    folder: Path = field(compare=False)

    @classmethod
    def of(cls, folder: Path) -> ModelFiles:
        """The files in a folder; reading a few megabytes takes some milliseconds."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls(key_of(files={path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}), folder)
