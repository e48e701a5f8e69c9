import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from matloop.data.errors import ModelError
from matloop.data.runs.manifest import key_of
from matloop.models.surrogates.store import LIMIT_VARIABLE, StoredSurrogate, SurrogateStore
from matloop.models.surrogates.surrogate import Surrogate
from tests.models.conftest import Labelled

KEYS = [letter * 64 for letter in "abcd"]


@pytest.fixture(scope="module")
def saved(synthetic: Labelled, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Surrogate]:
    folder = tmp_path_factory.mktemp("saved") / "model"
    surrogate = Surrogate.fit("band_gap", *synthetic.take(np.arange(300)), parameters={"trees": 10})
    surrogate.save(folder)
    return folder, surrogate


@pytest.fixture
def described(saved: tuple[Path, Surrogate]) -> Callable[[str], StoredSurrogate]:
    return lambda key: StoredSurrogate.of(key, saved[0], saved[1].card, features=("magpie",))


@pytest.fixture
def store(tmp_path: Path, saved: tuple[Path, Surrogate], described: Callable[[str], StoredSurrogate]) -> SurrogateStore:
    """A store that holds the surrogate under the first key."""
    made = SurrogateStore(tmp_path / "cache" / "surrogates")
    made.keep(described(KEYS[0]), saved[0])
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_copy_is_equal_to_the_last_bit(store: SurrogateStore, saved: tuple[Path, Surrogate], tmp_path: Path) -> None:
    files = store.copy(KEYS[0], tmp_path / "copy")
    assert files is not None
    assert contents(tmp_path / "copy") == contents(saved[0])
    assert files.keys() == contents(saved[0]).keys()
    assert Surrogate.load(tmp_path / "copy").card == saved[1].card
    assert store.copy(KEYS[1], tmp_path / "other") is None
    assert not (tmp_path / "other").exists()


def test_the_list_says_what_is_there(store: SurrogateStore, saved: tuple[Path, Surrogate]) -> None:
    (entry,) = store.entries()
    card = saved[1].card
    assert (entry.property_name, entry.unit, entry.family, entry.rows) == ("band_gap", "eV", "extra_trees", 300)
    assert entry.mae == card["scores"]["mae"]
    assert entry.size == sum(map(len, contents(saved[0]).values()))
    assert store.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "longer", "gone", "link", "pipe", "entry", "renamed"])
def test_a_damaged_entry_is_not_used_and_makes_room(store: SurrogateStore, damage: str, tmp_path: Path) -> None:
    home = store.folder / KEYS[0]
    path, key = home / "model" / "surrogate.npz", KEYS[0]
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b"x")
    elif damage in ("gone", "link", "pipe"):
        path.unlink()
        if damage == "link":
            (tmp_path / "elsewhere").write_bytes(content)
            path.symlink_to(tmp_path / "elsewhere")
        elif damage == "pipe":
            os.mkfifo(path)
    elif damage == "entry":
        said = home / "entry.json"
        said.write_text(said.read_text("utf-8").replace('"rows": 300', '"rows": 301'), "utf-8")
    else:
        key = KEYS[1]
        home.rename(store.folder / key)
    assert store.copy(key, tmp_path / "copy") is None
    assert not (tmp_path / "copy").exists()
    assert store.entries() == []
    assert not list(store.folder.iterdir())


def test_names_that_lead_out_of_the_entry_are_damage(store: SurrogateStore, tmp_path: Path) -> None:
    path = store.folder / KEYS[0] / "entry.json"
    said = json.loads(path.read_text("utf-8"))
    del said["check"]
    said["files"]["../../../../secret"] = [hashlib.sha256(b"secret").hexdigest(), 6]
    (tmp_path / "secret").write_bytes(b"secret")
    path.write_text(json.dumps({**said, "check": key_of(**said)}), "utf-8")
    assert store.entries() == []
    assert store.copy(KEYS[0], tmp_path / "a" / "copy") is None


def test_a_damaged_surrogate_is_stored_again(
    store: SurrogateStore, described: Callable[[str], StoredSurrogate], saved: tuple[Path, Surrogate], tmp_path: Path
) -> None:
    (store.folder / KEYS[0] / "model" / "card.json").write_text("{}", "utf-8")
    assert store.copy(KEYS[0], tmp_path / "first") is None
    store.keep(described(KEYS[0]), saved[0])
    assert store.copy(KEYS[0], tmp_path / "second") is not None


def test_those_used_longest_ago_make_room(
    store: SurrogateStore, described: Callable[[str], StoredSurrogate], saved: tuple[Path, Surrogate], tmp_path: Path
) -> None:
    size = described(KEYS[0]).size
    small = SurrogateStore(store.folder, limit=round(3.5 * size))
    for key in KEYS[1:3]:
        small.keep(described(key), saved[0])
    for age, key in enumerate(KEYS[:3]):
        os.utime(store.folder / key / "entry.json", (1e9 - age, 1e9 - age))
    assert small.copy(KEYS[2], tmp_path / "copy") is not None, "the oldest is now the one used last"
    small.keep(described(KEYS[3]), saved[0])
    assert {entry.key for entry in small.entries()} == {KEYS[0], KEYS[2], KEYS[3]}
    assert [entry.key for entry in small.entries()][-1] == KEYS[0]
    SurrogateStore(store.folder, limit=size - 1).keep(described(KEYS[1]), saved[0])
    assert len(small.entries()) == 3, "what is larger than the store alone is not kept"
    assert small.clear() == 3
    assert not list(store.folder.iterdir())


def test_several_may_use_it_at_once(
    store: SurrogateStore, described: Callable[[str], StoredSurrogate], saved: tuple[Path, Surrogate], tmp_path: Path
) -> None:
    def work(number: int) -> int:
        if number % 5 == 4:
            store.clear()
        else:
            store.keep(described(KEYS[number % 2]), saved[0])
        place = tmp_path / f"copy-{number}"
        found = store.copy(KEYS[number % 2], place)
        assert place.exists() == (found is not None)
        return 0 if found is None else int(contents(place) == expected or -1)

    expected = contents(saved[0])
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(40)))
    assert set(results) <= {0, 1}
    assert not list(store.folder.glob(".*.partial"))


@pytest.mark.parametrize("reason", ["other users may write", "another user", "a link"])
def test_the_store_of_others_is_not_used(
    reason: str, store: SurrogateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "another user":
        monkeypatch.setattr(os, "geteuid", lambda: store.folder.stat().st_uid + 1)
    elif reason == "a link":
        store.folder.rename(tmp_path / "real")
        store.folder.symlink_to(tmp_path / "real")
    else:
        store.folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match=reason):
        assert store.copy(KEYS[0], tmp_path / "copy") is None
    with pytest.warns(RuntimeWarning, match=reason):
        assert store.entries() == []
    with pytest.warns(RuntimeWarning, match=reason):
        assert store.clear() == 0


def test_the_user_says_how_large_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path))
    monkeypatch.setenv(LIMIT_VARIABLE, "20MB")
    store = SurrogateStore.of_user()
    assert store is not None
    assert (store.limit, store.folder) == (20_000_000, tmp_path / "surrogates")
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    assert SurrogateStore.of_user() is None
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(ModelError, match="500MB"):
        SurrogateStore.of_user()
