"""P(makeable phase) takes the place of the surrogate's probability of the energy above the hull alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ModelError
from matloop.data.properties.columns import Column
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.relaxed_makeable import makeable_after_relaxing
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.stages import makeable
from matloop.workflows.stages.makeable import (
    by_kinship,
    by_kinship_and_potential,
    counted_column,
    kinship_targets,
    makeable_phases,
)

HULL: dict[str, Any] = {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"}
WANTED = {"energy_above_hull": (-np.inf, 0.05)}


def campaign(**changes: Any) -> Campaign:
    gap = {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"}
    return Campaign.model_validate(
        {
            "name": "kin", "title": "kin", "sources": [{"composition_enumeration": {"elements": ["Mg", "O"]}}],
            "targets": [{**HULL, **changes}, gap], "surrogates": {"features": ["stoichiometry"], "keep": 10},
            "shortlist": {"size": 1},
        }
    )  # fmt: skip


def predicted(n: int, **changes: Any) -> Prediction:
    residuals = np.linspace(-1, 1, 200)
    made: dict[str, Any] = {
        "centre": np.zeros(n), "scale": np.ones(n), "in_domain": np.ones(n, bool), "codes": np.full(n, ""), "bins": 0,
        "calibration": Calibration.fit(residuals, np.ones(200), np.zeros(200)),
        "transform": "identity", "bounds": (-np.inf, np.inf),
    }  # fmt: skip
    return Prediction(**{**made, **changes})


@pytest.mark.parametrize(
    ("changes", "ends", "asked"),
    [
        ({}, (-np.inf, 0.05), True),
        ({"provenance": "dft:pbe"}, (-np.inf, 0.05), True),
        ({"provenance": "dft:r2scan"}, (-np.inf, 0.05), False),  # the lists hold energies of another functional
        ({"provenance": "exp"}, (-np.inf, 0.05), False),
        ({}, (0.1, 0.2), False),  # whoever wants unstable candidates
        ({}, (0.1, np.inf), False),
    ],
)
def test_it_judges_what_the_lists_can_tell(changes: dict[str, Any], ends: tuple[float, float], asked: bool) -> None:
    ranges = {"energy_above_hull": ends, "band_gap": (2.5, np.inf)}
    assert kinship_targets(campaign(**changes), ranges) == (("energy_above_hull",) if asked else ())
    assert kinship_targets(campaign(**changes), {"band_gap": (2.5, np.inf)}) == ()


def test_the_probability_is_that_of_the_composition_for_the_most_probable_crystal_and_less_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(makeable, "makeable_phases", lambda compositions, limit: np.array([0.4, 0.4, 0.1, np.nan]))
    batch = CandidateBatch.from_formulas(["SrHfO3", "SrHfO3", "NaCl", "Fe0.5Ni0.5"]).batch
    batch = batch.with_columns({Column.RELATIVE_SUBSTITUTION_PROBABILITY: [1.0, 0.25, None, None]})
    given = {"energy_above_hull": predicted(4), "band_gap": predicted(4)}
    ranges = {**WANTED, "band_gap": (2.5, np.inf)}
    own = given["energy_above_hull"].probability_between(*WANTED["energy_above_hull"])
    changed = by_kinship(campaign(), ranges, given, batch)
    found = changed["energy_above_hull"].probability_between(*WANTED["energy_above_hull"])
    assert found.tolist() == [0.4, 0.1, 0.1, own[3]]
    assert changed["band_gap"] is given["band_gap"]
    assert changed["energy_above_hull"].median.tolist() == given["energy_above_hull"].median.tolist()


def test_a_row_without_prediction_stays_without_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(makeable, "makeable_phases", lambda compositions, limit: np.full(2, 0.4))
    given = {"energy_above_hull": predicted(2, centre=np.array([0.0, np.nan]), codes=np.array(["", "E-FEATURE"]))}
    changed = by_kinship(campaign(), WANTED, given, CandidateBatch.from_formulas(["NaCl", "KCl"]).batch)
    assert np.isnan(changed["energy_above_hull"].probability_between(*WANTED["energy_above_hull"])).tolist() == [
        False,
        True,
    ]


def test_close_relatives_of_what_is_known_are_more_makeable_than_far_fetched_compositions() -> None:
    batch = CandidateBatch.from_formulas(["SrHfO3", "RbMgF3", "BiScN3", "LaHfN3", "Si"]).batch
    chance = makeable_phases(batch.compositions, 0.05)
    assert chance[:2].min() > 0.3 > 0.2 > chance[2:4].max()
    assert np.isnan(chance[4])
    assert (makeable_phases(batch.compositions, 0.1)[:4] >= chance[:4] - 0.01).all()


def by_potential() -> LocalPrediction:
    residuals = np.tile(np.linspace(-0.1, 0.1, 200), (4, 1))
    return LocalPrediction(np.array([0.0, 0.0, 0.4, np.nan]), residuals, np.full(4, ""), (0.0, np.inf))


def relaxed(chances: list[float | None]) -> CandidateBatch:
    batch = CandidateBatch.from_formulas(["SrHfO3", "BiScN3", "KCl", "NaCl"]).batch
    return batch.with_columns({Column.MAKEABLE_PROBABILITY: chances})


def test_after_relaxing_kinship_and_potential_judge_together() -> None:
    given, ends = by_potential(), WANTED["energy_above_hull"]
    own = given.probability_between(*ends)
    found = by_kinship_and_potential(campaign(), WANTED, {"energy_above_hull": given}, relaxed([0.6, 0.02, 0.6, 0.6]))[
        "energy_above_hull"
    ]
    chance = found.probability_between(*ends)
    assert chance[:3] == pytest.approx(makeable_after_relaxing(np.array([0.6, 0.02, 0.6]), own[:3]))
    assert (chance[:3] <= own[:3]).all()  # a listed phase near the hull is near the hull
    assert chance[0] > 0.5 > 0.1 > chance[1]  # of equal distance, but of very different kinship
    assert chance[2] < 0.02  # far above the hull, whatever its kin
    assert np.isnan(chance[3])
    assert (found.median[:3] == given.median[:3]).all()
    with pytest.raises(ModelError, match=r"0\.1"):
        found.probability_between(-np.inf, 0.1)


def test_the_potential_alone_judges_where_kinship_did_not() -> None:
    given: dict[str, LocalPrediction] = {"energy_above_hull": by_potential()}
    asked = relaxed([0.6, 0.02, 0.6, 0.6])
    unasked = asked.without_columns(Column.MAKEABLE_PROBABILITY)
    assert by_kinship_and_potential(campaign(), WANTED, given, unasked) == given
    assert by_kinship_and_potential(campaign(provenance="dft:r2scan"), WANTED, given, asked) == given


def test_that_of_a_makeable_phase_counts_where_it_was_asked() -> None:
    asked = [Column.PROBABILITY_MAKEABLE]
    assert counted_column(asked, "energy_above_hull") == "probability_makeable_phase"
    assert counted_column(asked, "formation_energy_per_atom") == "probability_formation_energy_per_atom"
    assert counted_column([], "energy_above_hull") == "probability_energy_above_hull"
