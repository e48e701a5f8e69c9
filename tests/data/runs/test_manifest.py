"""The manifest of a run: what it tells after a kill at any byte, after damage, and from several writers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.errors import DamagedFileError, RunError
from matloop.data.runs.manifest import Manifest, key_of, sha256_of, written_line

LINES: list[tuple[str, dict[str, Any]]] = [
    ("event", {"what": "resumed", "detail": "Å, 中文, \u2028 and a \n break", "time": 1.5}),
    ("model", {"stage": "surrogates", "property": "band_gap", "key": "m", "files": {}}),
    ("partition", {"stage": "surrogates", "index": 0, "key": "a", "rows": 3, "files": {}}),
    ("partition", {"stage": "surrogates", "index": 1, "key": "b", "rows": 0, "files": {"best/x": "0"}}),
    ("partition", {"stage": "structure", "index": 0, "key": "c", "rows": 7, "files": {}}),
]
PLAIN = [{"kind": kind, **fields} for kind, fields in LINES]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A manifest of five lines."""
    folder = tmp_path_factory.mktemp("whole")
    manifest = Manifest(folder)
    for kind, fields in LINES:
        manifest.append(kind, **fields)
    assert manifest.lines == PLAIN
    return (folder / "manifest.jsonl").read_bytes()


def test_what_was_written_is_read(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(whole)
    manifest = Manifest(tmp_path)
    assert manifest.lines == PLAIN
    assert manifest.partition("structure", 0) == PLAIN[4]
    assert manifest.partition("structure", 1) is None
    assert manifest.partitions("surrogates") == {0: PLAIN[2], 1: PLAIN[3]}
    assert manifest.with_key("m") == PLAIN[1]
    assert manifest.with_key("nothing") is None
    assert manifest.of_kind("partition") == PLAIN[2:]
    assert manifest.of_kind("candidates_end") == []


@given(cut=st.integers(0, 10_000), data=st.data())
def test_r13_a_manifest_cut_anywhere_tells_of_its_whole_lines_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cut = min(cut % (len(whole) + 1), len(whole))
    # A loss of power may leave other bytes where a line was to be.
    torn = data.draw(st.sampled_from([b"", b"\0\0\0", b"\xff\xfe{"]))
    (folder / "manifest.jsonl").write_bytes(whole[:cut] + torn)
    manifest, count = Manifest(folder), whole[:cut].count(b"\n")
    assert manifest.lines == PLAIN[:count]
    for _ in range(2):
        manifest.append("event", what="resumed", detail="", time=0)
    assert Manifest(folder).lines == manifest.lines == PLAIN[:count] + 2 * [{**PLAIN[0], "detail": "", "time": 0}]


def test_a_line_is_on_the_disk_before_anything_else_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append((tmp_path / "manifest.jsonl").read_bytes()))
    Manifest(tmp_path).append("event", what="x")
    assert flushed == [written_line({"kind": "event", "what": "x"})]


def test_a_line_that_could_not_be_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(tmp_path)
    manifest.append("event", what="before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            manifest.append("partition", stage="s", index=0, key="a", files={})
    assert manifest.partition("s", 0) is None
    assert manifest.with_key("a") is None
    with pytest.raises(ValueError, match="JSON compliant"):
        manifest.append("event", what=float("nan"))
    assert [line["what"] for line in manifest.lines] == ["before"]


@pytest.mark.parametrize(
    "damage", [b"{", b"", b"[1]", b'"text"', b"{}", b'{"kind": 7}', b"\xff\xfe", b"null", b'{"kind": "event"',
     b"[" * 100_000, b'{"kind": "event", "what": "x", "detail": "", "time": Infinity}',
     b'{"kind": "event", "what": "x"}',
     b'{"kind": "candidates", "index": -1, "rows": 1, "files": {}}',
     b'{"kind": "candidates", "index": 0, "rows": "1", "files": {}}',
     b'{"kind": "candidates", "index": 0, "rows": 1, "files": {}, "counts": [["a", 1]]}'],
)  # fmt: skip
def test_a_damaged_line_in_the_middle_is_told_by_its_number(damage: bytes, whole: bytes, tmp_path: Path) -> None:
    lines = whole.split(b"\n")
    (tmp_path / "manifest.jsonl").write_bytes(b"\n".join([*lines[:2], damage, *lines[3:]]))
    with pytest.raises(RunError, match=r"E-RUN: line 3 of manifest\.jsonl cannot be read: .*delete it from that line"):
        Manifest(tmp_path)
    # What the message advises helps.
    (tmp_path / "manifest.jsonl").write_bytes(b"\n".join(lines[:2]) + b"\n")
    assert Manifest(tmp_path).lines == PLAIN[:2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"index": 0', b'"index": 1'), (b'"rows": 3', b'"rows": 30'), (b'"key": "a"', b'"key": "b"'),
        (b'"files": {}', b'"files": {"best/x": "0"}'), (b', "check"', b', "more": 1, "check"'), (b', "rows": 3', b""),
    ],
)  # fmt: skip
def test_r27_a_line_that_was_changed_is_told(before: bytes, after: bytes, whole: bytes, tmp_path: Path) -> None:
    lines = whole.splitlines(keepends=True)
    assert before in lines[2]
    changed = lines[2].replace(before, after)
    (tmp_path / "manifest.jsonl").write_bytes(b"".join([*lines[:2], changed, *lines[3:]]))
    with pytest.raises(RunError, match=r"line 3 of manifest\.jsonl cannot be read"):
        Manifest(tmp_path)
    again = json.dumps(json.loads(lines[2])).encode() + b"\n"  # in other bytes it says the same
    (tmp_path / "manifest.jsonl").write_bytes(b"".join([*lines[:2], again, *lines[3:]]))
    assert Manifest(tmp_path).lines == PLAIN


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../other/run.json", "candidates/../../x", "candidates/./x", "run.json", "candidates", "",
             "candidates//x", "partitions/.hidden", "models/a/b\n/c"],
)  # fmt: skip
def test_s19_a_line_names_only_files_of_partitions_and_models(name: str, tmp_path: Path) -> None:
    line = {"kind": "candidates", "index": 0, "rows": 1, "files": {name: "0"}}
    (tmp_path / "manifest.jsonl").write_bytes(written_line(line))
    with pytest.raises(RunError, match=r"line 1 of manifest\.jsonl cannot be read: it names a file"):
        Manifest(tmp_path)


def test_s19_a_file_that_a_link_leads_out_of_the_run_to_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (run / "candidates").symlink_to(tmp_path)
    manifest = Manifest(run)
    manifest.append("candidates", index=0, rows=1, files={"candidates/secret": sha256_of(tmp_path / "secret")})
    with pytest.raises(DamagedFileError, match="a link that leads out"):
        manifest.is_sound(manifest.lines[0])


def test_s20_a_manifest_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.jsonl")
    with pytest.raises(DamagedFileError, match=r"manifest\.jsonl is no regular file"):
        Manifest(tmp_path)


def test_tasks_write_manifests_of_their_own_and_read_all(tmp_path: Path) -> None:
    main, third = Manifest(tmp_path), Manifest(tmp_path, name="manifest-003.jsonl")
    main.append("candidates_end", partitions=2, rows=9)
    third.append("partition", stage="s", index=2, key="c", rows=1, files={})
    assert third.of_kind("candidates_end") == []  # each knows what was there when it began
    tenth = Manifest(tmp_path, name="manifest-010.jsonl")
    tenth.append("partition", stage="s", index=9, key="j", rows=1, files={})
    with (tmp_path / "manifest-003.jsonl").open("ab") as file:
        file.write(b'{"kind": "partition", "stage": "s"')  # its task was killed
    merged = Manifest(tmp_path)
    assert list(merged.partitions("s")) == [2, 9]
    assert len(merged.of_kind("candidates_end")) == 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "manifest-003.jsonl", "manifest-010.jsonl", "manifest.jsonl",
    ]  # fmt: skip


def test_what_was_made_again_counts(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    for rows in (1, 2):
        manifest.append("partition", stage="s", index=0, key="a", rows=rows, files={})
    for one in (manifest, Manifest(tmp_path)):
        assert one.partitions("s")[0]["rows"] == one.with_key("a")["rows"] == 2  # type: ignore[index]


def test_soundness_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    names = ["a.parquet", "sub/b.parquet"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    manifest = Manifest(tmp_path)
    manifest.append(
        "partition", stage="s", index=0, key="a", files={name: sha256_of(tmp_path / name) for name in names}
    )
    (line,) = manifest.lines
    assert manifest.is_sound(line)
    assert manifest.is_sound({"files": {}})
    for name in names:
        content = (tmp_path / name).read_bytes()
        for damage in (content[:-1], content + b"\0", bytes([content[0] ^ 1]) + content[1:], b""):
            (tmp_path / name).write_bytes(damage)
            assert not manifest.is_sound(line)
        (tmp_path / name).unlink()
        assert not manifest.is_sound(line)
        (tmp_path / name).mkdir()
        assert not manifest.is_sound(line)
        (tmp_path / name).rmdir()
        (tmp_path / name).write_bytes(content)
    assert manifest.is_sound(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def turned(value: Any) -> Any:
    """The same with every dictionary in the opposite order."""
    if isinstance(value, dict):
        return {name: turned(inner) for name, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value


@given(inputs=st.dictionaries(st.sampled_from(["a", "b", "stage", "files"]), json_values, min_size=1))
def test_keys_do_not_depend_on_the_order_of_dictionaries(inputs: dict[str, Any]) -> None:
    assert key_of(**turned(inputs)) == key_of(**inputs)
    assert key_of(**json.loads(json.dumps(inputs))) == key_of(**inputs)


def test_keys_tell_apart_what_is_not_the_same() -> None:
    different = [{"a": 1}, {"a": "1"}, {"a": True}, {"a": [1]}, {"a": None}, {"b": 1}, {"a": 1, "b": None}, {"a": 1.5}]
    assert len({key_of(**inputs) for inputs in different}) == len(different)
    with pytest.raises(ValueError, match="JSON compliant"):
        key_of(a=float("nan"))
