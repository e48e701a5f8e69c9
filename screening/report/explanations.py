"""Why a shortlisted candidate stands where it does, as its card tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from matloop.data.properties.catalogue import catalogue, property_named
from matloop.screening.language.stages import stage_words
from matloop.screening.language.text import (
    Words,
    formula_markup,
    ion_markup,
    number,
    percent,
    property_words,
    unit_text,
    with_unit,
)  # fmt: skip
from matloop.screening.language.tradeoffs import CRITERIA


class NearTraining(NamedTuple):
    """A training compound near the candidate.

    Attributes:
        formula: Its formula, a dash where it is not known.
        material_id: Its id.
        value: Its computed value.
        distance: To the candidate in the surrogate's own features.
        composition_distance: Element mover's distance to the candidate.
    """

    formula: Markup
    material_id: str
    value: str
    distance: str
    composition_distance: str


class TargetExplanation(NamedTuple):
    """One target of one candidate.

    Attributes:
        label: The property.
        unit: Its unit.
        ranked_by: What the ranking has this target's probability from instead; empty if from this surrogate.
        base: Prediction before anything is known of the candidate; empty without contributions.
        prediction: Prediction by the surrogate.
        only_insulators: Whether the prediction holds if the candidate is an insulator, and the card counts metals too.
        contributions: Sentences, the largest first, and what calibration adds.
        nearest: Nearest training compounds.
        cut: At what probability and value the candidate falls out.
        domain: Distance from the training data and its limit.
        swap: The element swap that helps this target most, and what it does to all.
    """

    label: Words
    unit: str
    ranked_by: Words
    base: str
    prediction: str
    only_insulators: bool
    contributions: list[Words]
    nearest: list[NearTraining]
    cut: Words
    domain: Words
    swap: Words


class ExplanationWords(NamedTuple):
    """One candidate.

    Attributes:
        targets: Its targets, in the campaign's order.
        cut: Probability of all targets below which it falls out.
        filters: By what margin it passes each filter.
        stages: Below what probability of all targets it would not have gone on from each scoring stage.
        nearest_rows: How many training compounds the longest list has.
    """

    targets: list[TargetExplanation]
    cut: Words
    filters: list[tuple[Words, Words]]
    stages: list[tuple[Words, Words]]
    nearest_rows: int


def explanation_words(reports: Mapping[str, Mapping[str, Any]], candidate_id: str) -> ExplanationWords | None:
    """A candidate's explanation in words, None where the run has none.

    Args:
        reports: Finalists of ``explanations.json`` by candidate id.
        candidate_id: The candidate.
    """
    report = reports.get(candidate_id)
    if report is None:
        return None
    targets = [_target(report, name, told) for name, told in report["targets"].items() if name in catalogue()]
    cut = _cut_of_all(report)
    if report["max_false_discovery"] is not None:
        most, now = percent(report["max_false_discovery"]), percent(report["expected_misses"])
        cut = Words(
            f"{cut.en}, or with an expected share of misses above {most} (now {now})",
            f"{cut.zh}，或预期未达标比例高于 {most}（现为 {now}）",
        )
    filters = [
        (stage_words(line["stage"]), Words(line["text"]["en"], line["text"]["zh"])) for line in report["filters"]
    ]
    stages = [(stage_words(one["stage"]), _stage_cut(one)) for one in report["stages"]]
    return ExplanationWords(targets, cut, filters, stages, max((len(target.nearest) for target in targets), default=0))


def _cut_of_all(report: Mapping[str, Any]) -> Words:
    """Below what score a candidate falls out; the score is the probability, or weighs objectives."""
    needed = report["needed"]
    if not needed:
        return _ALWAYS
    if not _weighs_objectives(report):
        cut = Words(f"below {percent(needed)}", f"低于 {percent(needed)}")
        if report["ranking_score_needed"] is None:
            return cut
        return Words(f"{cut.en}, or if others of the same probability rank before it", f"{cut.zh}，或同概率者排在其前")
    score = CRITERIA[report["criterion"]]
    return Words(
        f"with a {score.en} below {needed:.3f} (now {report['score']:.3f})",
        f"{score.zh}低于 {needed:.3f}（现为 {report['score']:.3f}）",
    )


_ALWAYS = Words("never: the shortlist has room for all", "不会：名单尚有余位")
_NOTHING = Words("–", "–")
_BY_SURROGATE = Words("", "")
_RANKED_BY = {
    "potential": Words("ranked by the potential instead", "排序时改用势函数结果"),
    "kinship": Words("ranked by P(makeable phase) instead", "排序时改用可制备相概率"),
}


def _target(report: Mapping[str, Any], name: str, told: Mapping[str, Any]) -> TargetExplanation:
    unit = property_named(name).unit
    if told["code"]:
        code = Words(told["code"], told["code"])
        return TargetExplanation(
            property_words(name), unit_text(unit), _BY_SURROGATE, "", "–", False, [code], [], _NOTHING, _NOTHING,
            _NOTHING,
        )  # fmt: skip
    parts = told["contributions"]
    base = "" if parts is None else _on_property_scale(parts["base"], told["transform"])
    told_parts = [] if parts is None else [*(group["text"] for group in parts["groups"]), parts["calibration_text"]]
    return TargetExplanation(
        label=property_words(name),
        unit=unit_text(unit),
        ranked_by=_RANKED_BY.get(told["judged_by"], _BY_SURROGATE),
        base=base and with_unit(base, unit),
        prediction=with_unit(number(told["prediction"]), unit),
        only_insulators=told["only_insulators"],
        contributions=[Words(text["en"], text["zh"]) for text in told_parts],
        nearest=[_near(compound) for compound in told["nearest_training"]],
        cut=_cut(report["margins"][name], unit) if not _weighs_objectives(report) else _NOTHING,
        domain=_domain(told["domain"]),
        swap=_swap(report["swaps"], name),
    )


def _domain(reach: Mapping[str, Any]) -> Words:
    english = f"{reach['distance']:.2f}, at most {reach['limit']:.2f}"
    chinese = f"{reach['distance']:.2f}，上限 {reach['limit']:.2f}"
    nonmetals = reach.get("hardly_seen") or ()
    if not nonmetals:
        return Words(english, chinese)
    return Words(
        f"{english}; hardly a training compound has {' or '.join(nonmetals)}",
        f"{chinese}；训练数据中几乎没有含 {'、'.join(nonmetals)} 的化合物",
    )


def _weighs_objectives(report: Mapping[str, Any]) -> bool:
    """Whether places follow objectives that are weighed against each other."""
    return (report.get("criterion") or "most_probable") != "most_probable"


def _on_property_scale(value: float, transform: str) -> str:
    return number(10**value if transform == "log10" else value)


def _near(compound: Mapping[str, Any]) -> NearTraining:
    formula = compound["formula"]
    return NearTraining(
        Markup("–") if formula is None else formula_markup(str(formula)),
        str(compound["material_id"] or ""),
        number(compound["value"]),
        f"{compound['distance']:.2f}",
        number(compound["composition_distance"], 0.1),
    )


def _stage_cut(stage: Mapping[str, Any]) -> Words:
    now = percent(stage["probability"])
    if stage["cut"] is None:
        return Words(f"all went on (probability {now})", f"全部进入下一步（概率 {now}）")
    cut = percent(stage["cut"])
    return Words(f"falls out below {cut} (was {now})", f"低于 {cut} 则出局（当时为 {now}）")


def _cut(margin: Mapping[str, Any], unit: str) -> Words:
    """At what probability of one target, the others unchanged, a candidate falls out."""
    if not margin["at_cut"]:
        return _ALWAYS
    chance, present = percent(margin["at_cut"]), percent(margin["probability"])
    english, chinese = f"below {chance} (now {present})", f"低于 {chance}（现为 {present}）"
    if margin["value_at_cut"] is not None:
        value = with_unit(number(margin["value_at_cut"]), unit)
        return Words(f"{english}; predicted value {value}", f"{chinese}；对应预测值 {value}")
    return Words(english, chinese)


def _swap(swaps: Mapping[str, Any] | None, name: str) -> Words:
    """``Ti4+ → Zr4+: band gap 70 % → 95 %; refractive index 79 % → 12 %; all 51 % → 11 %``."""
    if swaps is None:
        return _NOTHING
    best = swaps["best"].get(name)
    if best is None:
        return Words(f"none of {swaps['proposable']} helps", f"可行的 {swaps['proposable']} 种替换均无改善")
    english, chinese = [], []
    for other, change in sorted(best["targets"].items(), key=lambda item: item[0] != name):
        before, after = (percent(chance) for chance in change["probability"])
        label = property_words(other)
        english.append(f"{label.en} {before} → {after}")
        chinese.append(f"{label.zh} {before} → {after}")
    before, after = (percent(chance) for chance in best["probability_of_all"])
    change = Markup("{} → {}").format(ion_markup(str(best["old"])), ion_markup(str(best["new"])))
    formula = formula_markup(str(best["formula"]))
    return Words(
        Markup("{} ({}): {}").format(change, formula, f"{'; '.join(english)}; all {before} → {after}"),
        Markup("{}（{}）：{}").format(change, formula, f"{'；'.join(chinese)}；全部 {before} → {after}"),
    )
