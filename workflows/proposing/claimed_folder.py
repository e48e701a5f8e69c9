"""A folder for the files of a batch: claimed before the batch is recorded, and filled once it is."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from matloop.data.errors import RunFilesError

_DRAFT = ".draft.partial"


class ClaimedFolder:
    """A folder that nobody else writes a batch into.

    Attributes:
        draft: Where files are written first.
    """

    def __init__(self, draft: Path, folder: Path | None) -> None:
        self.draft, self._folder = draft, folder

    def put_in_place(self, name: str) -> Path:
        """Give the files their final names and return their folder.

        Args:
            name: Of the folder, in the working folder, where none was asked for.
        """
        if self._folder is None:
            return self.draft.rename(name)
        for path in sorted(self.draft.iterdir()):
            path.rename(self._folder / path.name)
        self.draft.rmdir()
        return self._folder


@contextlib.contextmanager
def claimed_folder(folder: Path | None) -> Iterator[ClaimedFolder]:
    """Claim a new or empty folder; what was not put in place is removed.

    Args:
        folder: The folder; None for a new one in the working folder, whose name is found later.

    Raises:
        RunFilesError: If it holds something, is no folder, or cannot be written.
    """
    draft = Path(f".proposal.{uuid.uuid4().hex[:8]}.partial") if folder is None else folder / _DRAFT
    is_new = folder is not None and not folder.exists()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise _not_empty(folder)
        draft.mkdir()
        if folder is not None and len(list(folder.iterdir())) > 1:
            draft.rmdir()
            raise _not_empty(folder)
    except FileExistsError as error:  # a file of that name, or another process was first
        raise _not_empty(folder or draft) from error
    except OSError as error:
        place = folder or Path.cwd()
        raise RunFilesError(f"cannot write {place}: {error.strerror}", "a folder you may write to") from error
    try:
        yield ClaimedFolder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if folder is not None and is_new:
            with contextlib.suppress(OSError):  # it holds the files
                folder.rmdir()


def _not_empty(folder: Path) -> RunFilesError:
    got = f"{folder} is not empty" if folder.is_dir() else f"{folder} is a file"
    return RunFilesError(got, "a new or empty folder", "choose another --output")
