"""The order of replacements: no new harm, kept and makeable, little change, safe supply."""

from math import inf, nan

from matloop.screening.substitution.ranking import Standing, places_of


def order(*standings: Standing) -> list[str]:
    return [standings[row].formula for row in places_of(standings)]


def test_harm_stands_last_whatever_else() -> None:
    assert order(Standing(True, 1.0, 1.0, 0.0, 0.0, "HgS"), Standing(False, 0.0, 0.1, inf, inf, "BiS")) == [
        "BiS",
        "HgS",
    ]


def test_kept_and_phase_count_together_and_unknown_is_never_good() -> None:
    kept = Standing(False, 0.9, 0.3, 0.1, 0.1, "A")
    both = Standing(False, 0.6, 0.9, 0.1, 0.1, "B")
    unknown = Standing(False, nan, 1.0, inf, 0.1, "C")
    assert order(unknown, kept, both) == ["B", "A", "C"]


def test_of_equal_chances_the_smaller_change_counts_then_supply_then_the_name() -> None:
    near = Standing(False, 0.0, 1.0, 0.08, 0.9, "ZnSe")
    far = Standing(False, 0.0, 1.0, 0.2, 0.1, "CaSe")
    assert order(far, near) == ["ZnSe", "CaSe"]
    risky, unknown, safe = (
        Standing(False, 1.0, 1.0, 0.0, risk, name) for risk, name in ((0.9, "R"), (inf, "U"), (0.1, "S"))
    )
    assert order(unknown, risky, safe) == ["S", "R", "U"]
    assert order(safe._replace(formula="Z"), safe) == ["S", "Z"]
