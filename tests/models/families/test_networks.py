"""Deep ensemble and attention over elements: what they learn, how honest their spread is, and what they refuse."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import element_table
from matloop.data.errors import ModelError
from matloop.data.installation import install_command
from matloop.featurizers.registry import feature_set
from matloop.models.families.deep_ensemble import DeepEnsemble
from matloop.models.families.element_attention import ElementAttention
from matloop.models.families.networks import moments

torch = pytest.importorskip("torch")

SMALL: dict[str, Any] = {"members": 3, "width": 24, "blocks": 1, "epochs": 60, "batch": 32}
RANDOM = np.random.default_rng(4)
VALUES = RANDOM.uniform(-1, 1, (700, 4))
NOISE = np.where(VALUES[:, 3] > 0, 0.5, 0.05)
TARGET = 10 + 2 * VALUES[:, 0] ** 2 + VALUES[:, 1] + NOISE * RANDOM.normal(size=700)
SYMBOLS = "Li Na K Mg Ca Al Ti Fe Zn O S F Cl".split()


@pytest.fixture(scope="module")
def ensemble() -> DeepEnsemble:
    return DeepEnsemble(**SMALL).fit(VALUES[:500], TARGET[:500])


def fractions(formulas: list[str], *more: str) -> np.ndarray:
    return feature_set(["element_fraction", *more]).featurize(CandidateBatch.from_formulas(formulas).batch).values


@pytest.fixture(scope="module")
def oxides() -> tuple[np.ndarray, np.ndarray]:
    """Binaries and ternaries with the mean electronegativity times the largest fraction of an element."""
    random = np.random.default_rng(0)
    formulas = []
    for _ in range(400):
        chosen = random.permutation(SYMBOLS)[: random.integers(2, 4)]
        formulas.append("".join(f"{symbol}{random.integers(1, 5)}" for symbol in chosen))
    values = fractions(sorted(set(formulas)))
    pull = np.nan_to_num(element_table().columns(("Electronegativity",))[1:, 0])
    return values, (values @ pull) * values.max(axis=1)


def test_spread_follows_the_noise_and_has_its_size(ensemble: DeepEnsemble) -> None:
    mean, spread = ensemble.predict(VALUES[500:])
    loud = VALUES[500:, 3] > 0
    assert np.median(spread[loud]) > 2 * np.median(spread[~loud])
    assert np.median(spread[loud]) == pytest.approx(0.5, rel=0.4)
    miss = (mean - TARGET[500:]) / spread
    assert 0.7 < np.sqrt((miss**2).mean()) < 1.4
    assert np.abs(mean - TARGET[500:])[~loud].mean() < 0.15


def test_total_deviation_is_that_of_the_mixture() -> None:
    members = np.array([[[1.0, np.log(0.04)]], [[3.0, np.log(0.36)]]])
    draws = np.concatenate([RANDOM.normal(1, 0.2, 200_000), RANDOM.normal(3, 0.6, 200_000)])
    np.testing.assert_allclose(moments(members)[0], [draws.mean(), draws.std()], rtol=5e-3)


def test_prediction_without_torch_is_that_of_the_trained_tensors(ensemble: DeepEnsemble) -> None:
    from matloop.models.families.inputs import Scaling

    a = ensemble._arrays
    layers = []
    for member in range(3):
        w = {name: torch.from_numpy(a[name][member]) for name in a if a[name].ndim == 3}
        x = torch.from_numpy(Scaling.from_arrays(a).apply(VALUES[500:]).astype(np.float32))
        hidden = torch.relu(torch.addmm(w["enter_bias"], x, w["enter"]))
        inner = torch.relu(torch.addmm(w["block_0_in_bias"], hidden, w["block_0_in"]))
        hidden = hidden + torch.addmm(w["block_0_out_bias"], inner, w["block_0_out"])
        layers.append(torch.addmm(w["leave_bias"], hidden, w["leave"])[:, 0].numpy())
    expected = np.mean(layers, axis=0) * a["level"][1] + a["level"][0]
    np.testing.assert_allclose(ensemble.predict(VALUES[500:])[0], expected, rtol=1e-5)


def test_importances_are_high_where_the_target_depends(ensemble: DeepEnsemble) -> None:
    importances = ensemble.importances()
    assert importances[:2].sum() > 0.7


def test_members_are_stopped_by_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    from matloop.models.families import networks

    seen = []
    held_out = networks._held_out

    def spy(groups: np.ndarray, members: int, seed: int) -> Any:
        kept, held = held_out(groups, members, seed)
        seen.extend(set(groups[k]) & set(groups[h]) for k, h in zip(kept, held, strict=True))
        assert all(len(k) + len(h) == len(groups) for k, h in zip(kept, held, strict=True))
        assert len({tuple(h) for h in held}) == members
        return kept, held

    monkeypatch.setattr(networks, "_held_out", spy)
    DeepEnsemble(**{**SMALL, "epochs": 1}).fit(VALUES, TARGET, groups=np.arange(700) // 7)
    assert seen == [set(), set(), set()]


def test_training_stops_early_where_nothing_can_be_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    from matloop.models.families import networks

    epochs = []
    batches = networks._batches
    monkeypatch.setattr(networks, "_batches", lambda *a: epochs.append(1) or batches(*a))
    DeepEnsemble(**{**SMALL, "epochs": 60, "patience": 4}).fit(VALUES[:200], RANDOM.normal(size=200))
    assert len(epochs) < 40


def test_training_leaves_torch_as_it_was() -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        DeepEnsemble(**{**SMALL, "epochs": 1}).fit(VALUES[:50], TARGET[:50])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_attention_learns_from_elements_and_amounts(oxides: tuple[np.ndarray, np.ndarray]) -> None:
    values, target = oxides
    cut = len(values) * 3 // 4
    model = ElementAttention(**{**SMALL, "layers": 1}).fit(values[:cut], target[:cut])
    mean, spread = model.predict(values[cut:])
    error = np.abs(mean - target[cut:])
    assert error.mean() < 0.3 * np.abs(target[cut:] - target[:cut].mean()).mean()
    assert np.isfinite(spread).all()
    importances = model.importances()
    assert importances[[7, 15]].min() > importances[[0, 91]].max() == 0  # no hydrogen and no uranium among them


def test_attention_ignores_the_order_of_elements_and_the_size_of_a_formula(
    oxides: tuple[np.ndarray, np.ndarray],
) -> None:
    model = ElementAttention(**{**SMALL, "epochs": 2, "layers": 2}).fit(*oxides)
    same = fractions(["Li2FeO4", "O4FeLi2", "Li4Fe2O8"])
    mean, spread = model.predict(same)
    np.testing.assert_allclose(mean, mean[0], rtol=1e-12)
    np.testing.assert_allclose(spread, spread[0], rtol=1e-12)


def test_a_trace_of_an_element_changes_little(oxides: tuple[np.ndarray, np.ndarray]) -> None:
    model = ElementAttention(**{**SMALL, "epochs": 5, "layers": 2}).fit(*oxides)
    pure, traced = model.predict(fractions(["MgO", "MgOFe0.000001"]))[0]
    assert traced == pytest.approx(pure, abs=1e-3)


def test_further_columns_join_and_fractions_may_stand_elsewhere() -> None:
    random = np.random.default_rng(3)
    values = np.zeros((200, 118))
    values[np.arange(200), random.integers(2, 12, 200)] = 1.0
    extra = random.normal(size=(200, 2))
    target = extra[:, 1]
    settings = {**SMALL, "layers": 1, "epochs": 20}
    behind = ElementAttention(**settings).fit(np.hstack([values, extra]), target)
    before = ElementAttention(**settings, first=2).fit(np.hstack([extra, values]), target)
    np.testing.assert_array_equal(
        behind.predict(np.hstack([values, extra]))[0], before.predict(np.hstack([extra, values]))[0]
    )
    np.testing.assert_allclose(np.roll(behind.importances(), 2), before.importances())
    assert before.importances().argmax() == 1


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=(50, 6)),
        np.full((50, 118), 1 / 100),
        np.hstack([np.full((50, 117), -0.01), np.full((50, 1), 2.17)]),
        np.hstack([np.ones((50, 1)), np.full((50, 118), 1 / 118)]),
    ],
    ids=["too few columns", "sum", "negative", "other place"],
)
def test_columns_that_are_no_fractions_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"no atomic fractions.*set first to the column of hydrogen"):
        ElementAttention(**SMALL).fit(values, np.arange(50.0))


def test_a_single_formula_is_refused() -> None:
    with pytest.raises(ModelError, match="1 formula to train on"):
        DeepEnsemble(**SMALL).fit(VALUES, TARGET, groups=np.zeros(700, int))


@pytest.mark.parametrize("family", [DeepEnsemble, ElementAttention])
def test_width_that_does_not_fill_tiles_is_refused(family: Any) -> None:
    with pytest.raises(ModelError, match=r"layers of 20 units. Allowed: a multiple of 8"):
        family(**{**SMALL, "width": 20}).fit(np.eye(118), np.arange(118.0))


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from matloop.models.families.deep_ensemble import DeepEnsemble
print(DeepEnsemble.load(Path(sys.argv[1])).predict(np.zeros((1, 4)))[0][0])
try:
    DeepEnsemble().fit(np.zeros((50, 4)), np.arange(50.0))
except Exception as error:
    print(error)
"""


def test_without_torch_a_saved_ensemble_predicts_and_training_says_what_is_missing(
    ensemble: DeepEnsemble, tmp_path: Path
) -> None:
    ensemble.save(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, tmp_path], capture_output=True, text=True, check=True
    )  # fmt: skip
    number, message = done.stdout.splitlines()
    assert float(number) == ensemble.predict(np.zeros((1, 4)))[0][0]
    assert message == f"E-MODEL: torch is not installed. To mend it: {install_command('matloop[potentials]')}."
