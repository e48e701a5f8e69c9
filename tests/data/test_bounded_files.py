"""Files that a stranger made: what they may be, and how everything else is refused."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data import bounded_files
from matloop.data.bounded_files import count_rows, parse_json, read_bounded, read_json, read_table, table_pieces
from matloop.data.errors import DamagedFileError, FileAccessError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "run"
    inner.mkdir()
    return inner


def test_content_of_a_regular_file_and_of_a_link_within_the_folder(folder: Path) -> None:
    (folder / "a").write_bytes(b"content")
    (folder / "b").symlink_to("a")
    assert read_bounded(folder / "b", inside=folder, most_bytes=7) == b"content"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link out", "link to itself", "nothing", "large"])
def test_anything_else_is_refused_by_name(kind: str, folder: Path) -> None:
    path = folder / "file"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "link out":
            (folder.parent / "secret").write_text("x")
            path.symlink_to(folder.parent / "secret")
        case "link to itself":
            path.symlink_to(path)
        case "large":
            path.write_bytes(b"12345678")
    with pytest.raises(DamagedFileError, match="E-FILE-DAMAGED: file ") as refused:
        read_bounded(path, inside=folder, most_bytes=7)
    assert refused.value.allowed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 50 + b"]" * 50, "nested more than 40"),
        (b"[" * 200_000, "nested more than 40"),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "nested more than 40"),
        (b'{"a": Infinity}', "Infinity is not finite"),
        (b'{"a": -1e400}', "-1e400 is not finite"),
        (b"[NaN]", "NaN is not finite"),
        (b"1" * 10_000, "integer string conversion"),
        (b'["\\ud800"]', "half of a character"),
        (b"\xff", "utf-8"),
        (b"", "Expecting value"),
    ],
)
def test_json_that_no_run_writes(content: bytes, reason: str, folder: Path) -> None:
    (folder / "a.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=f"a.json cannot be read: .*{reason}"):
        read_json(folder / "a.json", inside=folder)


def test_number_of_json_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_files, "MOST_JSON_VALUES", 100)
    assert len(parse_json(b"[" + b"1," * 98 + b"1]", name="a")) == 99
    with pytest.raises(DamagedFileError, match="more than 100 values"):
        parse_json(b"[" + b"[]," * 98 + b"1]", name="a")


def test_text_of_other_scripts_is_read_as_it_is() -> None:
    assert parse_json('["Å 中文 \\ud83d\\ude00"]'.encode(), name="a") == ["Å 中文 😀"]


def test_a_table_is_read_with_the_columns_that_are_there(folder: Path) -> None:
    written = pa.table({"a": ["x", None, "z"], "b": [1.0, 2.0, None], "c": [[1], [], [2, 3]]})
    pq.write_table(written, folder / "t.parquet")
    assert read_table(folder / "t.parquet", inside=folder).equals(written)
    assert read_table(folder / "t.parquet", inside=folder, columns=["b", "gone"]).column_names == ["b"]
    assert count_rows(folder / "t.parquet", inside=folder) == 3


def test_a_small_file_that_opens_to_gigabytes_is_refused(folder: Path) -> None:
    """One long text that stands for every row: a few kB on the disk, 10 GB in memory."""
    path = folder / "bomb.parquet"
    rows = 100_000
    indices = pa.array([0], pa.int32()).take(pa.array([0] * rows))
    pq.write_table(pa.table({"a": pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 100_000]))}), path)
    assert path.stat().st_size < 200_000
    with pytest.raises(DamagedFileError, match="the text in column a takes 10,000,000,000 bytes"):
        read_table(path, inside=folder, most_bytes=2_000_000_000)


def test_a_long_table_is_read_in_pieces(folder: Path) -> None:
    written = pa.table({"a": range(1000), "b": ["x", None] * 500})
    pq.write_table(written, folder / "t.parquet", row_group_size=300)
    pieces = list(table_pieces(folder / "t.parquet", inside=folder, columns=["b", "a", "gone"], rows=100))
    assert max(piece.num_rows for piece in pieces) == 100
    assert pa.concat_tables(pieces).equals(written)
    (folder / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match=r"t\.parquet cannot be read"):
        list(table_pieces(folder / "t.parquet", inside=folder, columns=["a"], rows=100))


def test_text_that_repeats_is_written_out_where_there_is_room(folder: Path) -> None:
    written = pa.table({"a": ["long text " * 50, "short", None] * 1000, "b": range(3000)})
    pq.write_table(written, folder / "t.parquet")
    assert read_table(folder / "t.parquet", inside=folder, most_bytes=2_000_000).equals(written)


@pytest.mark.parametrize(
    ("table", "limits", "reason"),
    [
        (pa.table({"a": pa.nulls(2000, pa.float64())}), {"most_rows": 1999}, "it has 2,000 rows"),
        (pa.table({"a": pa.array([0.0] * 2000)}), {"most_bytes": 15_999}, "takes 16,000 bytes"),
        (pa.table({"a": pa.array([[0.0] * 2000])}), {"most_bytes": 15_999}, "takes 16,000 bytes"),
        (pa.table({"a": [["x" * 1000] * 2000]}), {"most_bytes": 1_000_000}, "lists of text"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([1])], ["a", "a"]), {}, "same name"),
    ],
)
def test_tables_larger_than_allowed(table: pa.Table, limits: dict[str, int], reason: str, folder: Path) -> None:
    pq.write_table(table, folder / "t.parquet")
    with pytest.raises(DamagedFileError, match=f"t.parquet cannot be read: .*{reason}"):
        read_table(folder / "t.parquet", inside=folder, **limits)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_no_parquet(content: bytes, folder: Path) -> None:
    (folder / "t.parquet").write_bytes(content)
    for read in (read_table, count_rows):
        with pytest.raises(DamagedFileError, match=r"t\.parquet cannot be read"):
            read(folder / "t.parquet", inside=folder)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_r25_a_file_system_that_fails_is_told_from_a_damaged_file(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.json").write_text("{}")
    pq.write_table(pa.table({"a": [1]}), folder / "a.parquet")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for owner, name, read in (
        (os, "open", lambda: read_json(folder / "a.json")),
        (Path, "resolve", lambda: read_json(folder / "a.json")),
        (pq, "ParquetFile", lambda: read_table(folder / "a.parquet")),
        (pq, "read_metadata", lambda: count_rows(folder / "a.parquet")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, refuse)
            with pytest.raises(FileAccessError, match=r"E-FILE-ACCESS: a\.(json|parquet) cannot be read") as caught:
                read()
        assert caught.value.exit_code == 4
    (folder / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError) as caught:
        read_table(folder / "a.parquet")
    assert caught.value.exit_code == 1
