"""What the report says of scores with whole clusters or elements left out."""

from typing import Any

from matloop.screening.report.extrapolation import extrapolation_scores

ELEMENTS: dict[str, Any] = {
    "mae": 0.41, "folds": 52, "rows": 2706, "mae_inside": 0.3, "mae_outside": 0.63, "outside_over_inside": 2.1,
    "share_outside": 0.31, "fits": 13,
    "worst": [{"element": "H", "rows": 47, "mae": 1.22}, {"element": "Ag", "rows": 33, "mae": 1.0}],
}  # fmt: skip
SCORES: dict[str, Any] = {
    "leave_one_cluster_out": {"mae": 0.6, "folds": 10, "rows": 1056, "worst": []},
    "leave_one_element_out": ELEMENTS,
    "held_out_ensemble": {"family": "extra_trees", "parameters": {}, "stands_in_for": None, "grouped_mae": 0.3},
}


def test_both_scores_are_told_with_what_they_mean() -> None:
    (first, one, clusters), (second, other, elements) = extrapolation_scores({"scores": SCORES}, "eV")
    assert (first, second) == ("0.600 eV", "0.410 eV")
    assert "regions" in one.en
    assert "elements" in other.en
    assert "10 clusters" in clusters.en
    assert "2.0 times the error" in clusters.en
    assert "31 % of their crystals lie outside the domain, where errors are 2.1 times those inside" in elements.en
    assert "Hardest: H 1.22 eV, Ag 1.00 eV." in elements.en
    assert "52" in elements.zh
    assert "2.1 倍" in elements.zh


def test_no_ratio_is_told_where_nothing_lies_outside() -> None:
    none_outside = {**ELEMENTS, "mae_outside": None, "outside_over_inside": None, "share_outside": 0.0}
    ((*_, elements),) = extrapolation_scores({"scores": {"leave_one_element_out": none_outside}}, "")
    assert "0 % of their crystals lie outside the domain. Hardest" in elements.en


def test_older_cards_and_scores_without_rows_are_passed_over() -> None:
    assert extrapolation_scores({}, "eV") == []
    assert extrapolation_scores({"scores": {"mae": 1.0, "leave_one_element_out": {"mae": None}}}, "eV") == []


def test_a_card_tells_how_intervals_hold_for_hidden_chemistry_and_why_the_domain_ends_where_it_does() -> None:
    scores = {"hidden_chemistry": {"coverage_90": 0.87}}
    limits = [
        {"share_of_training": 0.95, "groups": 9, "groups_failing": 3, "chosen": False},
        {
            "share_of_training": 0.85,
            "groups": 8,
            "groups_failing": 1,
            "chosen": True,
            "least_coverage_of_a_group": 0.62,
        },
    ]
    ((value, _, meaning),) = extrapolation_scores({"scores": scores, "domain_limit": limits}, "eV")
    assert value == "87 %"
    assert "as far as 85 % of the training crystals" in meaning.en
    assert "8 hidden groups with enough crystals inside it, 1 hold" in meaning.en
    assert "clearly less than 85 %; the worst holds 62 %." in meaning.en
    assert "最差的一组为 62 %" in meaning.zh
    ((*_, untold),) = extrapolation_scores({"scores": scores}, "eV")
    assert "domain reaches" not in untold.en


def test_a_card_tells_how_intervals_hold_for_materials_with_the_features_of_a_training_row() -> None:
    scores = {"same_features": {"rows": 1200, "mae": 0.21, "coverage_90": 0.89}}
    ((value, _, meaning),) = extrapolation_scores({"scores": scores}, "eV")
    assert value == "89 %"
    assert "1,200 in all: mean absolute error 0.210 eV" in meaning.en
    assert "共 1,200 条" in meaning.zh
