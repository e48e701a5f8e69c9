"""Every family behind a surrogate: trained on packaged crystals, saved, loaded, predicting new ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.packaged.materials import load_materials
from matloop.featurizers.registry import feature_set
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
    np.testing.assert_array_equal(ours.mean, theirs.mean)
    seen = theirs.codes == ""
    assert np.abs(theirs.mean - target[new])[seen].mean() < np.abs(target[train].mean() - target[new])[seen].mean()
    low, high = theirs.interval(0.9)
    inside = ((low <= target[new]) & (target[new] <= high))[seen]
    assert 0.75 < inside.mean() <= 1
