"""The store of reference energies: what it gives is what was kept, and whatever is not sound counts as not there."""

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.models.potentials.reference_store import SCHEMA, ReferenceEnergies, ReferenceStore

KEY, OTHER = "a" * 64, "b" * 64
IDS = ["mp-1", "mp-2", "mp-2", "mp-3"]


def energies(rows: list[int], values: list[float], codes: list[str]) -> ReferenceEnergies:
    return ReferenceEnergies(np.array(rows, np.int64), np.array(values, float), np.array(codes, object))


ALL = energies([0, 1, 2, 3], [-1.5, -2.25, np.nan, 0.1 + 0.2], ["", "", "E-POTENTIAL-ELEMENT", ""])


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    return ReferenceStore(tmp_path / "cache" / "references")


def same(found: ReferenceEnergies, expected: ReferenceEnergies) -> bool:
    return (
        found.rows.tolist() == expected.rows.tolist()
        and np.array_equal(found.energies, expected.energies, equal_nan=True)
        and found.codes.tolist() == expected.codes.tolist()
    )


def file_of(store: ReferenceStore) -> Path:
    (path,) = store.folder.iterdir()
    return path


def test_what_was_kept_is_found_to_the_last_bit(store: ReferenceStore) -> None:
    assert len(store.find(KEY, IDS).rows) == 0
    store.keep(KEY, IDS, ALL)
    assert same(store.find(KEY, IDS), ALL)
    assert len(store.find(OTHER, IDS).rows) == 0
    assert len(store.find(KEY, ["mp-1", "mp-2", "mp-9", "mp-3"]).rows) == 0
    assert len(store.find(KEY, IDS[:3]).rows) == 0
    nothing = ReferenceEnergies.none()
    store.keep(OTHER, IDS, nothing)
    assert same(store.find(OTHER, IDS), nothing)


def test_what_hangs_on_the_machine_is_not_kept(store: ReferenceStore) -> None:
    codes = ["E-POTENTIAL-TIMEOUT", "", "E-POTENTIAL-MEMORY", "E-POTENTIAL-CRASH"]
    store.keep(KEY, IDS, energies([0, 1, 2, 3], [-1.0, -2.0, np.nan, np.nan], codes))
    found = store.find(KEY, IDS)
    assert same(found, energies([1], [-2.0], [""]))
    store.keep(KEY, IDS, found.joined(energies([0, 2, 3], [-1.5, np.nan, 0.5], ["", "E-POTENTIAL-ELEMENT", ""])))
    assert store.find(KEY, IDS).rows.tolist() == [0, 1, 2, 3]
    assert file_of(store).is_file()  # the earlier one is gone


def named(folder: Path, content: bytes) -> None:
    """Replace what is kept by other content, under a name that fits it."""
    for path in folder.iterdir():
        path.unlink()
    (folder / f"{KEY}-{hashlib.sha256(content).hexdigest()}.parquet").write_bytes(content)


def parquet(**columns: Any) -> bytes:
    given = {"row": [0, 1], "id": IDS[:2], "energy_per_atom": [1.0, 2.0], "code": ["", ""], **columns}
    sink = io.BytesIO()
    pq.write_table(pa.table(given, schema=None if set(given) - set(SCHEMA.names) else SCHEMA), sink)
    return sink.getvalue()


def test_sound_content_under_a_fitting_name_is_found(store: ReferenceStore) -> None:
    store.keep(KEY, IDS, ALL)
    named(store.folder, parquet())
    assert same(store.find(KEY, IDS), energies([0, 1], [1.0, 2.0], ["", ""]))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PAR1 and no more", b"\x80\x04cos\nsystem\n",
        parquet(more=[1, 2]),
        parquet(row=[1, 0]), parquet(row=[0, 0]), parquet(row=[-1, 1]), parquet(row=[0, 4]), parquet(row=[0, 3]),
        parquet(id=["mp-2", "mp-1"]), parquet(code=["", "E-MADE-UP"]), parquet(code=["", "<script>"]),
        parquet(energy_per_atom=[1.0, np.inf]), parquet(energy_per_atom=[None, 1.0]),
        parquet(row=[*range(9)], id=["mp-1"] * 9, energy_per_atom=[1.0] * 9, code=[""] * 9),
        parquet(id=["mp-1", "x" * 1_000_000]),
    ],
)  # fmt: skip
def test_foreign_content_counts_as_not_there_even_under_a_fitting_name(store: ReferenceStore, content: bytes) -> None:
    store.keep(KEY, IDS, ALL)
    named(store.folder, content)
    assert len(store.find(KEY, IDS).rows) == 0


def test_any_damaged_byte_counts_as_not_there_and_is_replaced(store: ReferenceStore) -> None:
    store.keep(KEY, IDS, ALL)
    path = file_of(store)
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert len(store.find(KEY, IDS).rows) == 0
    path.write_bytes(whole[:-10])
    assert len(store.find(KEY, IDS).rows) == 0
    store.keep(KEY, IDS, ALL)
    assert same(store.find(KEY, IDS), ALL)


def test_what_is_no_file_is_not_waited_for(store: ReferenceStore) -> None:
    store.folder.mkdir(parents=True)
    os.mkfifo(store.folder / f"{KEY}-{'0' * 64}.parquet")
    (store.folder / f"{KEY}-{'1' * 64}.parquet").mkdir()
    assert len(store.find(KEY, IDS).rows) == 0


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ReferenceStore(tmp_path / "file" / "references")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for key in (KEY, OTHER):
            store.keep(key, IDS, ALL)
            assert len(store.find(key, IDS).rows) == 0
    assert len(told) == 1
    assert "MATLOOP_CACHE" in str(told[0].message)
