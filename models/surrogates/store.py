"""The user's store of trained surrogates: each is trained once, and every campaign that needs it copies it.

A surrogate lies in the folder of its key, the hash of all that decides its numbers. ``entry.json`` beside its files
names them with size and sha256, and is protected by a hash of its own. Nothing in the store is trusted: whatever is
damaged counts as missing and is removed, and a folder that other users can write to is not used at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import time
import uuid
import warnings
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from matloop.data.bounded_files import read_json
from matloop.data.cache_folder import cache_folder
from matloop.data.errors import DamagedFileError, ModelError
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.whole_files import json_file, write_folder, write_new_folder

FOLDER = "surrogates"
LIMIT_VARIABLE = "MATLOOP_STORE_LIMIT"
DEFAULT_LIMIT = 4_000_000_000
"""Bytes that the store may take unless the user says otherwise."""
_ENTRY, _MODEL = "entry.json", "model"
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_KEY = re.compile(r"[0-9a-f]{32,64}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}){0,4}")
_LARGEST_ENTRY, _MOST_FILES, _MOST_ENTRIES = 1_000_000, 500, 10_000
_CHUNK = 1 << 20
_AGE_OF_ORPHANS = 86_400.0  # s; a draft that old has lost its writer


@dataclass(frozen=True)
class StoredSurrogate:
    """What the store says of one of its surrogates.

    Attributes:
        key: Hash of all that decides its numbers.
        property_name: What it predicts.
        unit: Of its error; ``decades`` for a property that is learned on its logarithm.
        family: Its model family.
        features: Names of the featurizers.
        training_set: Name of the training set.
        rows: Number of training rows.
        mae: Its mean absolute error out of fold, in ``unit``.
        files: sha256 and size in bytes of each file, by its path.
        last_use: When it was made or copied last, in seconds since 1970.
    """

    key: str
    property_name: str
    unit: str
    family: str
    features: tuple[str, ...]
    training_set: str
    rows: int
    mae: float
    files: Mapping[str, tuple[str, int]]
    last_use: float = field(default=0.0, compare=False)

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(size for _, size in self.files.values())

    @classmethod
    def of(cls, key: str, folder: Path, card: Mapping[str, Any], *, features: tuple[str, ...]) -> Self:
        """Describe a saved surrogate.

        Args:
            key: Hash of all that decides its numbers.
            folder: Where it was saved.
            card: Its card.
            features: Names of the featurizers.
        """
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        unit = card["unit"] if card["transform"] == "identity" else "decades"
        return cls(
            key, card["property"], unit, card["family"], features, (card["training_set"] or {}).get("name", ""),
            card["rows_trained"], float(card["scores"]["mae"]),
            {path.relative_to(folder).as_posix(): (sha256_of(path), path.stat().st_size) for path in paths},
        )  # fmt: skip


class SurrogateStore:
    """The stored surrogates of one user.

    Several processes may use a store at once: a surrogate appears whole or not at all, and one that is removed while
    it is copied counts as missing.

    Args:
        folder: The folder of the store; it is made when the first surrogate is stored.
        limit: Bytes that it may take.
    """

    def __init__(self, folder: Path, *, limit: int = DEFAULT_LIMIT) -> None:
        self.folder, self.limit = folder, limit

    @classmethod
    def of_user(cls) -> Self | None:
        """Return the store in the user's cache folder; None if ``MATLOOP_STORE_LIMIT`` is 0.

        Raises:
            ModelError: If the variable holds no size.
        """
        limit = read_limit(os.environ.get(LIMIT_VARIABLE, ""))
        return cls(cache_folder() / FOLDER, limit=limit) if limit else None

    def copy(self, key: str, place: Path) -> dict[str, str] | None:
        """Copy a stored surrogate to a new folder, whole or not at all.

        Args:
            key: Hash of all that decides its numbers.
            place: The folder to be; its parent exists.

        Returns:
            sha256 of each file by its path in the folder; None if no sound surrogate of the key is there.
        """
        if not self._is_usable():
            return None
        home = self.folder / key
        try:
            found = _read_entry(home)
            write_folder(place, lambda draft: _copy_files(found.files, home / _MODEL, draft))
        except DamagedFileError:
            if os.path.lexists(home):
                self._remove(home)
            return None
        with contextlib.suppress(OSError):  # another process may have removed it meanwhile
            os.utime(home / _ENTRY)
        return {name: sha256 for name, (sha256, _) in found.files.items()}

    def keep(self, surrogate: StoredSurrogate, folder: Path) -> None:
        """Store a surrogate, and remove those that were not used for the longest time if the store grows too large.

        If that fails, one warning says so; nothing else depends on it.

        Args:
            surrogate: What it is.
            folder: Where it was saved.
        """
        if surrogate.size > self.limit:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_usable():
                return
            write_new_folder(self.folder / surrogate.key, lambda draft: _fill(draft, surrogate, folder))
            self._shrink(kept=surrogate.key)
        except (OSError, DamagedFileError) as error:
            _warn(f"a trained surrogate is not stored for the next run: {error}")

    def entries(self) -> list[StoredSurrogate]:
        """All sound entries, the one used last first. The content of files is checked when they are copied."""
        found = []
        for home in self._homes():
            with contextlib.suppress(DamagedFileError):
                found.append(_read_entry(home))
        return sorted(found, key=lambda entry: (-entry.last_use, entry.key))

    def clear(self) -> int:
        """Remove all surrogates; returns how many there were."""
        homes = self._homes()
        for home in homes:
            self._remove(home)
        return len(homes)

    def _homes(self) -> list[Path]:
        if not self._is_usable():
            return []
        try:
            with os.scandir(self.folder) as found:
                names = [item.name for item in found if _KEY.fullmatch(item.name)]
        except OSError:
            return []
        return [self.folder / name for name in sorted(names)[:_MOST_ENTRIES]]

    def _is_usable(self) -> bool:
        """Whether the folder is there and belongs to this user alone; a warning says why it is not used otherwise."""
        try:
            state = os.lstat(self.folder)
        except OSError:
            return False
        if not stat.S_ISDIR(state.st_mode):
            reason = "it is a link or a file"
        elif state.st_uid != os.geteuid():
            reason = "it belongs to another user"
        elif state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            reason = "other users may write to it"
        else:
            return True
        _warn(f"the store of surrogates {self.folder} is not used: {reason}")
        return False

    def _shrink(self, *, kept: str) -> None:
        """Remove the surrogates used longest ago until the rest fits, and drafts whose writer is gone."""
        total = 0
        for home in self._by_last_use(kept):
            total += _bytes_of(home)
            if total > self.limit and home.name != kept:
                self._remove(home)
        for draft in self.folder.glob(".*.partial"):
            with contextlib.suppress(OSError):
                if time.time() - draft.lstat().st_mtime > _AGE_OF_ORPHANS:
                    shutil.rmtree(draft, ignore_errors=True)

    def _by_last_use(self, first: str) -> list[Path]:
        return sorted(self._homes(), key=lambda home: (home.name != first, -_last_use(home), home.name))

    def _remove(self, home: Path) -> None:
        """Take an entry out of the store at once, then delete its files."""
        draft = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}.partial")
        with contextlib.suppress(OSError):  # another process was faster
            home.rename(draft)
            if draft.is_symlink() or not draft.is_dir():
                draft.unlink()
            else:
                shutil.rmtree(draft, ignore_errors=True)


def read_limit(text: str) -> int:
    """Read the largest size of the store in bytes; an empty text means the default, 0 no store.

    Raises:
        ModelError: If the text is no size.

    >>> read_limit("500MB"), read_limit("1.5 GB"), read_limit("0")
    (500000000, 1500000000, 0)
    """
    if not text.strip():
        return DEFAULT_LIMIT
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(MB|GB|TB)", text.strip())
    if found:
        return round(float(found[1]) * _UNITS[found[2]])
    if text.strip() == "0":
        return 0
    raise ModelError(
        f"{LIMIT_VARIABLE}={text[:40]!r}", "a size such as 500MB or 4GB, or 0 for no store", "change the variable"
    )


def _warn(what: str) -> None:
    warnings.warn(
        f"{what}. To mend it: set MATLOOP_CACHE to a folder that only you may write to.", RuntimeWarning, stacklevel=3
    )


def _last_use(home: Path) -> float:
    try:
        return (home / _ENTRY).stat().st_mtime
    except OSError:
        return 0.0


def _bytes_of(home: Path) -> int:
    """Bytes of the files below a folder; those that vanish meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(home):  # unlike rglob it passes over folders that vanish
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _fill(draft: Path, surrogate: StoredSurrogate, folder: Path) -> None:
    draft.mkdir(mode=0o700)
    _copy_files(surrogate.files, folder, draft / _MODEL)
    said = {**asdict(surrogate), "features": list(surrogate.features)}
    said["files"] = {name: list(about) for name, about in surrogate.files.items()}
    del said["last_use"]
    (draft / _ENTRY).write_text(json_file({**said, "check": key_of(**said)}), encoding="utf-8")


def _read_entry(home: Path) -> StoredSurrogate:
    """Read what an entry says of itself.

    Raises:
        DamagedFileError: If it is not what the store wrote.
    """
    path = home / _ENTRY
    said = read_json(path, inside=home, most_bytes=_LARGEST_ENTRY)
    if not isinstance(said, dict) or said.pop("check", None) != key_of(**said) or said.get("key") != home.name:
        raise _no_entry(home)
    try:
        files = {name: (str(sha256), int(size)) for name, (sha256, size) in said.pop("files").items()}
        said["features"] = tuple(map(str, said["features"]))
        found = StoredSurrogate(**said, files=files, last_use=_last_use(home))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _no_entry(home) from error
    if len(files) > _MOST_FILES or not all(map(_FILE.fullmatch, files)):
        raise _no_entry(home)
    return found


def _copy_files(files: Mapping[str, tuple[str, int]], home: Path, draft: Path) -> None:
    """Copy files into a new folder, and make sure that each is what was said of it.

    Raises:
        DamagedFileError: If one is missing or differs.
    """
    draft.mkdir()
    for name, (sha256, size) in files.items():
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), size
        with contextlib.closing(_chunks(home / name, most=size)) as chunks, (draft / name).open("xb") as copy:
            for chunk in chunks:
                digest.update(chunk)
                copy.write(chunk)
                left -= len(chunk)
        if left or digest.hexdigest() != sha256:
            raise DamagedFileError(f"{name} of a stored surrogate has changed", "the file as it was stored")


def _chunks(path: Path, *, most: int) -> Generator[bytes]:
    """Content of a regular file that is no link, at most a byte more than it should have."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DamagedFileError(f"{path.name} of a stored surrogate is no file", "the file as it was stored")
            left = most + 1
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk
    except OSError as error:
        raise DamagedFileError(f"{path.name}: {error.strerror}", "the file as it was stored") from error


def _no_entry(home: Path) -> DamagedFileError:
    return DamagedFileError(f"{home.name} in the store of surrogates is damaged", "an entry as it was stored")
