"""Read files and archives as bytes. Nothing is unpacked to disk, and no name in an archive is used as a path."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from matloop.data.errors import InputFileError
from matloop.data.readers.structure_split import MAX_FILE_BYTES

MAX_MEMBERS = 1_000_000
MAX_UNPACKED_BYTES = 20_000_000_000  # all members of an archive together
MAX_RATIO = 200.0  # unpacked bytes per packed byte; structure files shrink by a factor of 3 to 30
_FREE_BYTES = 5_000_000  # the ratio is only checked above this size, since short files of zeros are harmless
_MAX_ZIP_DIRECTORY = 12_000_000  # bytes; the directory of a zip is held in memory
_CHUNK = 1 << 16
_XZ_MEMORY = 200_000_000  # bytes; a header may ask for 4 GB
_LONGEST_NAME = 4_096
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_PACKED = {".gz": "gz", ".tgz": "gz", ".xz": "xz", ".txz": "xz", ".bz2": "bz2", ".tbz2": "bz2"}


class SourceFile(NamedTuple):
    """One file that was read, or the reason why it was not.

    Attributes:
        name: Name to show to people. It is never opened and never becomes part of a path.
        content: Bytes of the file; empty if the file was not read.
        code: Row code that says why the file was not read; empty if it was.
        detail: Details about the code.
    """

    name: str
    content: bytes
    code: str = ""
    detail: str = ""


def is_archive(path: Path) -> bool:
    """Whether the name of a file is that of an archive."""
    return path.name.lower().endswith(_ARCHIVES)


def read_archive(path: Path) -> Iterator[SourceFile]:
    """Yield the files of a zip or tar archive in the order of the archive.

    Links, devices and names that lead out of the archive are returned with a row code. Folders and hidden files are
    skipped.

    Raises:
        InputFileError: If the archive is broken or exceeds a limit.
    """
    try:
        if path.name.lower().endswith(".zip"):
            yield from _read_zip(path)
        else:
            yield from _read_tar(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputFileError(f"{path.name}: {error}"[:300], "a complete zip or tar archive") from error
    except (ValueError, RuntimeError, NotImplementedError) as error:  # encrypted, or packed in an unknown way
        raise InputFileError(f"{path.name}: {error}"[:300], "a complete zip or tar archive, not encrypted") from error


def read_file(path: Path, name: str) -> SourceFile:
    """Read one file. A file that ends in .gz, .xz or .bz2 is unpacked in memory."""
    kind = _PACKED.get(path.suffix.lower())
    try:
        if not path.is_file():
            what = "a folder that cannot be opened or lies above the source" if path.is_dir() else "not a regular file"
            return SourceFile(name, b"", "E-FILE-UNREADABLE", what)
        with path.open("rb") as stream:
            reader = _Unpacked(stream, kind, path.stat().st_size, MAX_FILE_BYTES + 1) if kind else stream
            content = reader.read(MAX_FILE_BYTES + 1)
    except InputFileError as error:
        return SourceFile(name, b"", "E-FILE-TOO-LARGE", error.got)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        return SourceFile(name, b"", "E-FILE-UNREADABLE", f"{type(error).__name__}: {error}"[:200])
    if len(content) > MAX_FILE_BYTES:
        return SourceFile(name, b"", "E-FILE-TOO-LARGE", f"more than {MAX_FILE_BYTES:,} bytes")
    return SourceFile(name.removesuffix(path.suffix) if kind else name, content)


def _leads_out(name: str) -> bool:
    """Whether the name of a member is absolute, has a drive letter or contains ``..``."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/") or "\0" in plain


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in name.split("/"))


def _too_much(what: str) -> InputFileError:
    return InputFileError(what, f"{MAX_MEMBERS:,} files, {MAX_UNPACKED_BYTES:,} bytes, {MAX_RATIO:g}-fold packing")


def _read_zip(path: Path) -> Iterator[SourceFile]:
    check_zip_directory(path)
    total = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or _is_hidden(info.filename):
                continue
            kind = info.external_attr >> 28  # Unix file type: 8 is a regular file, 0 means that none is stated
            if _leads_out(info.filename) or kind not in (0, 8):
                yield SourceFile(info.filename, b"", "E-FILE-MEMBER")
                continue
            if info.file_size > max(_FREE_BYTES, MAX_RATIO * info.compress_size) or info.file_size > MAX_FILE_BYTES:
                yield SourceFile(info.filename, b"", "E-FILE-TOO-LARGE", f"{info.file_size:,} bytes unpacked")
                continue
            with archive.open(info) as member:  # never reads more than the stated size
                content = member.read(MAX_FILE_BYTES + 1)
            total += len(content)
            if total > max(_FREE_BYTES, MAX_RATIO * path.stat().st_size) or total > MAX_UNPACKED_BYTES:
                raise _too_much(f"{path.name}: {total:,} bytes unpacked")
            yield SourceFile(info.filename, content)


def check_zip_directory(path: Path) -> None:
    """Refuse a zip file whose directory would fill the memory, before that directory is read."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(size - 65_600, 0))
        tail = stream.read()
    end = len(tail) - 22
    if not (end >= 0 and tail[end : end + 4] == b"PK\5\6" and tail[-2:] == b"\0\0"):
        end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise InputFileError(f"{path.name} is no zip archive", "a complete zip or tar archive")
    directory = int.from_bytes(tail[end + 12 : end + 16], "little")
    if directory > _MAX_ZIP_DIRECTORY or b"PK\6\7" in tail[max(end - 20, 0) : end]:
        raise InputFileError(f"{path.name} has more files than a zip may have here", "65,535", "use a tar archive")


def _read_tar(path: Path) -> Iterator[SourceFile]:
    """Yield the members of a tar file, header by header, because tarfile loads extended headers of any size."""
    with path.open("rb") as raw:
        kind = _PACKED.get(path.suffix.lower())
        stream: Any = _Unpacked(raw, kind, path.stat().st_size, MAX_UNPACKED_BYTES) if kind else raw
        long_name = ""
        members = 0
        while True:
            block = _exactly(stream, 512)
            if not block.strip(b"\0"):
                return
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            padded = -(-info.size // 512) * 512
            members += 1
            if members > MAX_MEMBERS:
                raise _too_much(f"{path.name}: more than {MAX_MEMBERS:,} files")
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE) and info.size <= 16 * _LONGEST_NAME:
                extra = _exactly(stream, padded)[: info.size]
                long_name = _long_name(extra, info.type) or long_name
                continue
            name, long_name = long_name or info.name, ""
            wanted = info.isreg() and info.type != tarfile.GNUTYPE_SPARSE and not _leads_out(name)
            if wanted and info.size <= MAX_FILE_BYTES:
                content = _exactly(stream, padded)[: info.size]
                if not _is_hidden(name):
                    yield SourceFile(name, content)
                continue
            _skip(stream, padded)
            if info.isdir() or info.type == tarfile.XGLTYPE or (wanted and _is_hidden(name)):
                continue
            code = "E-FILE-TOO-LARGE" if wanted else "E-FILE-MEMBER"
            yield SourceFile(name, b"", code, f"{info.size:,} bytes" if wanted else "")


def _long_name(extra: bytes, kind: bytes) -> str:
    """Name that an extended header gives to the next member."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return extra.rstrip(b"\0").decode("utf-8", "surrogateescape")
    for record in extra.split(b"\n"):
        _, _, pair = record.partition(b" ")
        if pair.startswith(b"path="):
            return pair[5:].decode("utf-8", "surrogateescape")
    return ""


def _exactly(stream: Any, count: int) -> bytes:
    data = bytes(stream.read(count))
    if len(data) != count:
        raise EOFError("the archive ends too early")
    return data


def _skip(stream: Any, count: int) -> None:
    while count:
        count -= len(_exactly(stream, min(count, _CHUNK)))


class _Unpacked:
    """Unpack gzip, xz or bzip2, and stop at a limit of the bytes and of their ratio to the packed bytes."""

    def __init__(self, stream: BinaryIO, kind: str, packed_size: int, limit: int) -> None:
        self._stream, self._kind = stream, kind
        self._limit = int(min(limit, max(_FREE_BYTES, MAX_RATIO * packed_size)))
        self._total = 0
        self._unpacker = self._new()
        self._pending = b""

    def _new(self) -> Any:
        if self._kind == "gz":
            return zlib.decompressobj(wbits=31)
        return bz2.BZ2Decompressor() if self._kind == "bz2" else lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, count: int) -> bytes:
        """Read ``count`` bytes; fewer are returned only at the end."""
        parts = []
        while count:
            part = self._some(min(count, _CHUNK))
            if not part:
                break
            parts.append(part)
            count -= len(part)
            self._total += len(part)
            if self._total > self._limit:
                raise _too_much(f"more than {self._limit:,} bytes unpacked")
        return b"".join(parts)

    def _some(self, count: int) -> bytes:
        while True:
            if self._unpacker.eof:  # several packed streams may follow each other
                rest = (self._unpacker.unused_data or self._pending or self._stream.read(_CHUNK)).lstrip(b"\0")
                if not rest:
                    return b""
                self._unpacker, self._pending = self._new(), rest
            wants = self._kind == "gz" or self._unpacker.needs_input
            data = (self._pending or self._stream.read(_CHUNK)) if wants else b""
            if wants and not data:
                raise EOFError("the packed file ends too early")
            part = bytes(self._unpacker.decompress(data, count))
            self._pending = self._unpacker.unconsumed_tail if self._kind == "gz" else b"" if wants else self._pending
            if part:
                return part
