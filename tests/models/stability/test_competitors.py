"""Which known phases are worth an energy of their own."""

import numpy as np

from matloop.data.candidates.formula import parse_formulas
from matloop.models.stability.competitors import missing_competitors
from matloop.models.stability.hull import Hull, PhaseEnergies

ENERGIES = {
    "Mg": 0.0, "Ti": 0.0, "O": 0.0, "Na": 0.0, "MgO": -3.0, "TiO2": -3.2, "MgTiO3": -3.3, "Mg2TiO4": -3.1,
    "TiO": -2.3, "Na2O": -1.4, "MgTi2O5": -1.0,
}  # fmt: skip
DATABASE = Hull(PhaseEnergies.from_table(list(ENERGIES), list(ENERGIES.values()), ["db"] * len(ENERGIES)))


def missing(systems: list[str], evaluated: list[str] = ["MgO"], reach: float = 0.5) -> list[str]:  # noqa: B006
    return missing_competitors(DATABASE, parse_formulas(evaluated)[0], parse_formulas(systems)[0], reach=reach).ids


def test_phases_on_the_hull_come_first_and_the_first_system_before_the_next() -> None:
    above = DATABASE.distances(DATABASE.references).energy_above_hull
    distance = dict(zip(DATABASE.references.ids, above, strict=True))
    found = missing(["Mg3TiO5", "Na2TiO3"])
    assert found[-1] == "Na2O"
    assert set(found[:-1]) == {"TiO2", "MgTiO3", "Mg2TiO4", "TiO"}
    assert (np.diff([distance[name] for name in found[:-1]]) >= 0).all()
    assert "MgTi2O5" not in found, "far above the hull it decides nothing"


def test_what_is_evaluated_and_the_candidate_itself_are_left_out() -> None:
    assert missing(["Mg4Ti2O8"], ["MgO", "TiO2", "MgTiO3"]) == ["TiO"]
    assert missing(["Mg4Ti2O8"], ["MgO", "TiO2", "MgTiO3"], reach=-1.0) == []
    assert missing(["NaF"]) == []
