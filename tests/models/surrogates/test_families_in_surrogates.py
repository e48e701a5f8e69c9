"""Every family behind a surrogate: trained on packaged crystals, saved, loaded, predicting new ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.registry import feature_set
from matloop.models.families.making import make_ensemble
from matloop.models.registry import MODELS
from matloop.models.surrogates.surrogate import Surrogate
from tests.models.families.test_validation import SMALL


@pytest.fixture(scope="module")
def formation_energies() -> tuple[Any, np.ndarray, np.ndarray]:
    materials = load_materials()
    target = materials.column("formation_energy_per_atom_dft")
    batch = materials.take(np.flatnonzero(np.isfinite(target))[:400])
    features = feature_set(["element_fraction", "stoichiometry", "density"]).featurize(batch)
    groups = batch.groups()
    return features, batch.column("formation_energy_per_atom_dft"), groups


@pytest.mark.parametrize("family", sorted(MODELS))
def test_family_serves_a_surrogate(family: str, formation_energies: Any, tmp_path: Path) -> None:
    if family in ("deep_ensemble", "element_attention"):
        pytest.importorskip("torch")
    features, target, groups = formation_energies
    train, new = np.arange(250), np.arange(250, 400)
    settings = {name: value for name, value in SMALL[family].items() if name != "epochs"}
    settings |= {"epochs": 8} if "epochs" in SMALL[family] else {}
    model = Surrogate.fit(
        "formation_energy_per_atom", features.take(train), target[train], groups[train],
        family=family, parameters=settings,
    )  # fmt: skip
    model.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model")
    assert loaded.card["family"] == family
    ours, theirs = model.predict(features.take(new)), loaded.predict(features.take(new))
    np.testing.assert_array_equal(ours.median, theirs.median)
    seen = theirs.codes == ""
    assert np.abs(theirs.centre - target[new])[seen].mean() < np.abs(target[train].mean() - target[new])[seen].mean()
    low, high = theirs.interval(0.9)
    inside = ((low <= target[new]) & (target[new] <= high))[seen]
    assert 0.75 < inside.mean() <= 1


def five_columns(values: np.ndarray) -> FeatureMatrix:
    names = ("of trees", "also of trees", "of both", "of the process", "of neither")
    return FeatureMatrix(values, names, "five", np.zeros((len(values), 119), bool), np.full(len(values), "", "<U32"))


def test_members_of_a_mean_may_read_different_columns(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(120, 5))
    target = 9 + values[:, 0] + 0.5 * values[:, 2] + np.sin(values[:, 3]) + 0.05 * random.normal(size=120)
    members: list[dict[str, dict[str, Any]]] = [
        {"extra_trees": {"trees": 20, "columns": [[0, 3]]}}, {"gaussian_process": {"rounds": 3, "columns": [[2, 4]]}}
    ]  # fmt: skip
    groups, shares = np.arange(120) // 2, [0.3, 0.7]
    settings = {"families": members, "weights": shares}
    model = Surrogate.fit("band_gap", five_columns(values), target, groups, family="mean", parameters=settings)

    new = random.normal(size=(40, 5))
    alone = [make_ensemble(*next(iter(each.items()))).fit(values, target, groups=groups) for each in members]
    expected = np.array(shares) @ np.array([ensemble.predict(new)[0] for ensemble in alone])
    np.testing.assert_allclose(model.ensemble.predict(new)[0], expected)

    trees, process = (ensemble.importances() for ensemble in alone)
    np.testing.assert_allclose(model.domain.importances, 0.3 * trees + 0.7 * process)
    plain, beyond = model.predict(five_columns(new)), new.copy()
    beyond[:, 4] = 1e6  # read by neither: no other number, and no less in domain
    wild = model.predict(five_columns(beyond))
    np.testing.assert_array_equal(wild.centre, plain.centre)
    np.testing.assert_array_equal(wild.in_domain, plain.in_domain)
    assert plain.in_domain.mean() > 0.5
    for column in (0, 3):  # read by one of them: far outside the training rows
        beyond = new.copy()
        beyond[:, column] = 1e6
        assert not model.predict(five_columns(beyond)).in_domain.any()

    model.save(tmp_path / "model")
    np.testing.assert_array_equal(Surrogate.load(tmp_path / "model").predict(five_columns(new)).median, plain.median)
