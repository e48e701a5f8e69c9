"""A model's folder that was changed, damaged or made by somebody hostile is refused with one kind of error."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import ModelError
from matloop.models.surrogates.surrogate import Surrogate


class Bomb:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.fixture
def folder(surrogate: Surrogate, tmp_path: Path) -> Path:
    surrogate.save(tmp_path / "model")
    return tmp_path / "model"


def change_arrays(path: Path, **changes: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(path) as saved:
        arrays = dict(saved)
    np.savez_compressed(path, **{name: changes.get(name, lambda a: a)(array) for name, array in arrays.items()})


def test_folder_holds_no_pickle(folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"card.json", "surrogate.npz", "trees.npz", "parameters.json"} <= set(files)
    for name, content in files.items():
        assert name.endswith((".json", ".npz", ".parquet", ".txt"))
        assert not content.startswith(b"\x80")
    for name in ("surrogate.npz", "trees.npz"):
        with np.load(folder / name, allow_pickle=False) as arrays:
            assert all(arrays[key].dtype != object for key in arrays.files)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transform", "identity"),
        ("property", "shear_modulus_vrh"),
        ("feature_fingerprint", "x"),
        ("rows_trained", 10**6),
    ],
)
def test_changed_card_is_refused(folder: Path, key: str, value: object) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps({**card, key: value}), "utf-8")
    with pytest.raises(ModelError, match="card in model was changed"):
        Surrogate.load(folder)


@pytest.mark.parametrize(
    ("file", "name"),
    [("surrogate.npz", "golden"), ("surrogate.npz", "golden_values"), ("trees.npz", "threshold")],
)
def test_other_golden_predictions_are_refused(folder: Path, file: str, name: str) -> None:
    change_arrays(folder / file, **{name: lambda a: a * a.dtype.type(1.01)})
    with pytest.raises(ModelError, match="bulk_modulus_vrh model predicts other numbers here") as caught:
        Surrogate.load(folder)
    assert "numpy" in caught.value.allowed


@pytest.mark.parametrize("damage", ["missing", "empty", "torn", "pickle", "text"])
def test_any_damaged_file_is_refused_and_runs_nothing(folder: Path, tmp_path: Path, damage: str) -> None:
    trace = tmp_path / "exploded"
    replacements = {"empty": b"", "pickle": pickle.dumps(Bomb(trace)), "text": b"[1, 2]"}
    paths = [path for path in folder.rglob("*") if path.is_file()]
    for path in paths:
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(replacements.get(damage, content[: len(content) // 2]))
        with pytest.raises(ModelError, match="E-MODEL"):
            Surrogate.load(folder)
        path.write_bytes(content)
    assert not trace.exists()
    Surrogate.load(folder)  # all mended again


@pytest.mark.parametrize("name", ["surrogate.npz", "trees.npz"])
def test_objects_inside_arrays_are_refused_and_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    trace = tmp_path / "exploded"
    with np.load(folder / name) as saved:
        arrays = dict(saved)
    first = next(iter(arrays))
    np.savez_compressed(folder / name, **{**arrays, first: np.array([Bomb(trace)], dtype=object)})
    with pytest.raises(ModelError, match="no readable model in model"):
        Surrogate.load(folder)
    assert not trace.exists()


def test_bomb_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded")))  # noqa: S301  # shows that the tests above can fail
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "name", ["residuals", "calibration_sizes", "domain_points", "domain_own", "elements", "card_sha256"]
)
def test_missing_array_is_refused(folder: Path, name: str) -> None:
    with np.load(folder / "surrogate.npz") as saved:
        arrays = {key: saved[key] for key in saved.files if key != name}
    np.savez_compressed(folder / "surrogate.npz", **arrays)
    with pytest.raises(ModelError, match=f"no readable model in model.*{name}"):
        Surrogate.load(folder)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("support", lambda a: a[:5, :5]), ("support", lambda a: -a), ("support", lambda a: a.astype(float) * np.nan),
        ("hardly_seen", lambda a: a[:5]), ("hardly_seen", lambda a: a.astype("<U5")),
    ],
)  # fmt: skip
def test_counts_of_formulas_that_are_none_are_refused(folder: Path, name: str, change: Any) -> None:
    change_arrays(folder / "surrogate.npz", **{name: change})
    with pytest.raises(ModelError, match="no readable model in model: counts of formulas"):
        Surrogate.load(folder)


def test_a_model_of_an_earlier_version_is_refused_by_name(folder: Path) -> None:
    change_arrays(folder / "surrogate.npz", golden_novelty=lambda a: a[:, 1:])
    with pytest.raises(ModelError, match="model in model, which an earlier version of matloop trained") as caught:
        Surrogate.load(folder)
    assert caught.value.fix == "train again"


def test_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no readable model in nothing"):
        Surrogate.load(tmp_path / "nothing")
