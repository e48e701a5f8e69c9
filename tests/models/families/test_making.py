"""Columns by their names: a family finds those it needs wherever they stand, and others need not read them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.elements import SYMBOLS
from matloop.data.errors import MissingColumnsError, ModelError, UnknownNameError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.making import columns_without, load_ensemble, make_ensemble, settings_by_name
from matloop.models.families.part_reader import columns_in_ranges
from matloop.models.registry import MODELS
from matloop.models.surrogates.choice import choose
from matloop.models.surrogates.family_candidates import Budget, Candidate
from matloop.models.surrogates.surrogate import Surrogate

FRACTIONS = SYMBOLS[1:]
TINY: dict[str, Any] = {"members": 1, "width": 8, "layers": 1, "blocks": 1, "epochs": 2}
RANDOM = np.random.default_rng(3)


def compositions(before: int, after: int) -> FeatureMatrix:
    """Fractions of oxygen and one of eight other elements among columns of noise."""
    fractions = np.zeros((120, 118))
    fractions[:, 7] = RANDOM.uniform(0.2, 0.8, 120)
    fractions[np.arange(120), RANDOM.integers(10, 18, 120)] = 1 - fractions[:, 7]
    values = np.hstack([RANDOM.normal(size=(120, before)), fractions, RANDOM.normal(size=(120, after))])
    names = (*(f"before {k}" for k in range(before)), *FRACTIONS, *(f"after {k}" for k in range(after)))
    elements = np.hstack([np.zeros((120, 1), bool), fractions > 0])
    return FeatureMatrix(values, names, f"{before} {after}", elements, np.full(120, "", "<U32"))


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (3, 2)])
def test_fractions_are_found_wherever_they_stand(before: int, after: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    features = compositions(before, after)
    target = features.values[:, before + 7]
    groups = np.arange(120) // 2
    model = Surrogate.fit(
        "band_gap", features, target, groups, family="element_attention", parameters=TINY
    )  # fmt: skip
    assert model.card["parameters"]["first"] == before
    assert model.ensemble.importances().shape == (118 + before + after,)
    model.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(features).median, model.predict(features).median)
    candidates = [Candidate("element_attention", parameters=TINY)]
    assert choose(candidates, {"": features}, target=target, groups=groups, budget=Budget()).trials[0].mae < 0.5


def test_features_without_the_fractions_are_refused_with_a_way_out() -> None:
    with pytest.raises(
        MissingColumnsError, match=r"E-MODEL-COLUMNS: .*columns H, He, Li and 115 others.*add.*element_fraction"
    ):
        settings_by_name("element_attention", {}, ["density", "volume"])
    with pytest.raises(MissingColumnsError, match="without the columns Og for"):
        settings_by_name("element_attention", {}, FRACTIONS[:-1])
    with pytest.raises(MissingColumnsError, match="without the columns H for"):  # it is there, but not read
        settings_by_name("element_attention", {"columns": [[1, None]]}, FRACTIONS)
    with pytest.raises(ModelError, match="another order"):
        settings_by_name("element_attention", {}, FRACTIONS[::-1])
    with pytest.raises(UnknownNameError, match="did you mean 'extra_trees'"):
        settings_by_name("extra_tree", {}, FRACTIONS)


def test_place_counts_from_the_columns_that_are_read() -> None:
    names = ["density", "volume", *FRACTIONS]
    placed = settings_by_name("element_attention", {"columns": [[1, None]]}, names)
    assert placed == {"columns": [[1, None]], "first": 1}


def test_families_in_a_stack_do_not_read_what_only_another_needs() -> None:
    names = ["density", *FRACTIONS, "volume"]
    settings = {
        "families": ["extra_trees", {"element_attention": {"epochs": 3}}, {"boosted_trees": {"columns": [[0, 5]]}}]
    }
    placed = settings_by_name("stack", settings, names)
    assert placed["families"] == [
        {"extra_trees": {"columns": [[0, 1], [119, None]]}},
        {"element_attention": {"epochs": 3, "first": 1}},
        {"boosted_trees": {"columns": [[0, 5]]}},
    ]
    assert settings_by_name("stack", {}, names) == {"families": ["extra_trees", "boosted_trees", "gaussian_process"]}
    with pytest.raises(MissingColumnsError, match="for the family stack"):
        settings_by_name("stack", settings, names[:50])


@pytest.mark.parametrize("family", sorted(MODELS))
def test_any_family_may_read_some_of_the_columns(family: str) -> None:
    reader = make_ensemble(family, {"columns": [[0, 3]]})
    assert reader.parameters["columns"] == [[0, 3]]
    assert make_ensemble(family, reader.parameters).parameters == reader.parameters


def test_surrogate_of_some_columns_is_read_back(tmp_path: Path) -> None:
    features = compositions(3, 0)
    target, groups = features.values[:, 0] + features.values[:, 10], np.arange(120) // 2
    settings = {"trees": 20, "columns": columns_without(features.names, FRACTIONS)}
    model = Surrogate.fit("band_gap", features, target, groups, parameters=settings)
    model = model.with_classifier(features, target, groups, wanted=(0.0, 1.0))
    model.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model")
    assert loaded.card["parameters"]["columns"] == [[0, 3]]
    assert not loaded.ensemble.importances()[3:].any()
    np.testing.assert_array_equal(loaded.predict(features).median, model.predict(features).median)
    ensemble = load_ensemble("extra_trees", loaded.card["parameters"], tmp_path / "model")
    np.testing.assert_array_equal(ensemble.importances(), model.ensemble.importances())


def test_ranges_leave_out_the_hidden_columns_and_no_others() -> None:
    names = [f"column {k}" for k in range(12)]
    for seed in range(30):
        hidden = [name for name, hide in zip(names, np.random.default_rng(seed).random(12) > 0.5, strict=True) if hide]
        if len(hidden) < len(names):
            read = columns_in_ranges(columns_without(names, hidden), len(names))
            assert [names[column] for column in read] == [name for name in names if name not in hidden]
