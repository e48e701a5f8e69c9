"""A dossier as one HTML file in one language, which opens without network and prints on A4."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from matloop.data.errors import DiffractionError
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.records.result_sheet import RESULTS, STEPS, Language, SheetColumn
from matloop.screening.dossier.diffraction import DEFINITION, Peak
from matloop.screening.dossier.diffraction_figure import diffraction_figure
from matloop.screening.dossier.dossier import Dossier, StageValue, wanted_back
from matloop.screening.dossier.number_sources import stability_sources
from matloop.screening.dossier.shortlist_files import safe_name
from matloop.screening.dossier.synthesis_section import synthesis_words
from matloop.screening.language.stages import stage_words
from matloop.screening.language.text import (
    Words,
    formula_markup,
    interval_words,
    listed,
    number,
    percent,
    property_words,
    unit_text,
    with_bracketed,
    with_unit,
)  # fmt: skip
from matloop.screening.report.cards import Card, Strip, element_gradients, scenes_json
from matloop.screening.report.page import (
    asset,
    campaign_title,
    cleaned,
    cleaned_strings,
    content_policy,
    page_template,
    script_json,
)  # fmt: skip

_HERE = Path(__file__).parent
_PEAK_COLUMNS = 3
_BY_PROBABILITY = "most_probable"
_EVERY_FORM, _SOME_FORMS = Words("every form", "各种形态"), Words("some forms", "部分形态")
_IN_DOMAIN, _OUTSIDE, _NOT_ASKED = Words("inside", "域内"), Words("outside", "域外"), Words("–", "–")
_TOO_LARGE = Words(
    "The cell has more lattice planes than a pattern is computed of; compute it from the CIF with another program.",
    "晶胞的晶面数超过计算上限；请用其他程序由 CIF 计算。",
)


class Code(NamedTuple):
    """A QR code (ISO/IEC 18004) as an outline.

    Attributes:
        size: Modules along an edge, with the quiet zone.
        path: SVG path of the dark modules.
    """

    size: int
    path: str


def qr_code(text: str) -> Code:
    """The QR code of a text, such as the id of a candidate.

    >>> qr_code("x4f534caa7f0ac7662d79").size
    33
    """
    import segno

    rows = [bytes(row) for row in segno.make(text, micro=False, error="m").matrix]
    quiet = 4
    path = "".join(
        f"M{quiet + found.start()},{quiet + at}h{len(found[0])}v1h-{len(found[0])}z"
        for at, row in enumerate(rows)
        for found in re.finditer(b"\x01+", row)
    )
    return Code(len(rows) + 2 * quiet, path)


def render_dossier(dossier: Dossier, card: Card, strips: Mapping[str, Strip], *, language: Language) -> str:
    """The dossier as HTML.

    Args:
        dossier: What is known of the finalist.
        card: The same as the report tells it.
        strips: Stretch of each property.
        language: Of all its texts.
    """
    scripts = [asset("vendor/3Dmol-min.js")] if card.scene else []
    scripts.append(asset("templates/report.js"))
    title = campaign_title(dossier.view.campaign)
    content = {
        "title": {"en": card.plain_formula, "zh": card.plain_formula}, "language": language, "figures": {},
        "tradeoff": None, "crystals": scenes_json([card]),
    }  # fmt: skip
    page = page_template(_HERE / "templates", "dossier.html.j2", language=language).render(
        language=language, dossier=dossier, card=card, strips=strips, title=title, crystal_place=0,
        crystal=dossier.crystal, ranked=len(dossier.view.ranked), code=qr_code(dossier.candidate_id),
        element_gradients=element_gradients([card]), mark=dossier.sources.mark, sources=list(dossier.sources),
        stability_sources=stability_sources(dossier.sources),
        stages=[_stage_row(value) for value in dossier.stages], eliminated=_eliminated(dossier),
        competition=_competition(dossier), licence=asset("vendor/3Dmol.LICENSE.txt"),
        style=Markup(asset("templates/report.css") + _style(dossier)), scripts=[Markup(text) for text in scripts],
        policy=content_policy(scripts), data=script_json(cleaned_strings(content)), sheet=_sheet(dossier),
        **_cell(dossier), **_diffraction(dossier), **_risk(dossier),
        **synthesis_words(dossier.synthesis, dossier.no_synthesis),
    )  # fmt: skip
    return cleaned(page)


def _style(dossier: Dossier) -> str:
    """The style sheet, with the candidate in the margin of each printed page."""
    name = f"{safe_name(dossier.formula)[:60]}   {safe_name(dossier.candidate_id)}"
    corner = "font: 8pt system-ui, sans-serif; color: #52606d;"
    margins = (
        f'@page {{ size: A4; margin: 16mm 14mm; @top-left {{ content: "{name}"; {corner} }} '
        f'@top-right {{ content: "matloop"; {corner} }} '
        f'@bottom-right {{ content: counter(page) " / " counter(pages); {corner} }} }}\n'
    )
    return (_HERE / "templates" / "dossier.css").read_text(encoding="utf-8") + margins


def _stage_row(value: StageValue) -> dict[str, Any]:
    known = property_named(value.property)
    low, high = value.low, value.high
    ends, width = Words("–", "–"), None
    if low is not None:
        top = math.inf if high is None else high  # an open end
        width = top - low
        ends = interval_words(low, top, width)
    domain = _NOT_ASKED if value.in_domain is None else _IN_DOMAIN if value.in_domain else _OUTSIDE
    return {
        "stage": stage_words(value.stage), "label": property_words(value.property),
        "value": with_unit(number(value.value, width), known.unit), "interval": ends, "probability": value.probability,
        "domain": domain, "source": value.source,
    }  # fmt: skip


def _eliminated(dossier: Dossier) -> list[dict[str, Any]]:
    """The best ranked candidates that were not chosen, and what would have been enough."""
    found = []
    for missed in dossier.view.near_misses.values():
        by_probability = (missed.get("criterion") or _BY_PROBABILITY) == _BY_PROBABILITY
        score = (lambda value: percent(value, 1)) if by_probability else number
        found.append(
            {
                "rank": missed.get("rank", ""), "formula": formula_markup(str(missed.get("formula", ""))),
                "candidate_id": missed["candidate_id"], "lacking": _lacking(missed, by_probability=by_probability),
                "probability": score(missed.get("probability") if by_probability else missed.get("score")),
                "needed": score(missed["needed"]),
            }
        )  # fmt: skip
    return found


def _lacking(missed: Mapping[str, Any], *, by_probability: bool) -> Words:
    """What a candidate would have needed in one target alone, or beyond the cap of probabilities."""
    beyond = missed.get("ranking_score_needed")
    if by_probability and beyond is not None:
        needed, now = number(beyond), number(missed.get(Column.RANKING_SCORE))
        return Words(f"ranking score {needed} (now {now})", f"排序分 {needed}（现为 {now}）")
    en, zh = [], []
    for name, margin in missed["margins"].items() if by_probability else ():
        now, needed = margin["probability"], margin["at_cut"]
        if needed and now is not None and percent(now) != percent(needed) and needed > now:
            label = property_words(name)
            en.append(f"{label.en}: {percent(now)} → {percent(needed)}")
            zh.append(f"{label.zh}：{percent(now)} → {percent(needed)}")
    if not en:
        return Words("no single target would be enough", "任何单一目标都不足以改变")
    return Words("; ".join(en), "；".join(zh))


def _competition(dossier: Dossier) -> dict[str, Any]:
    told = dossier.competition
    return {
        "phases": [phase._replace(formula=formula_markup(phase.formula)) for phase in told.phases],
        "without_energy": listed([formula_markup(name) for name in told.without_energy]) if told.without_energy else "",
        "known": f"{told.known:,}", "with_energy": f"{told.with_energy:,}",
    }  # fmt: skip


def _cell(dossier: Dossier) -> dict[str, Any]:
    crystal = dossier.crystal
    if crystal is None:
        return {"lengths": [], "angles": []}
    return {
        "lengths": [(name, f"{length:.4f}") for name, length in zip("abc", crystal.lengths, strict=True)],
        "angles": [(name, f"{angle:.2f}") for name, angle in zip("αβγ", crystal.angles, strict=True)],
    }


def _diffraction(dossier: Dossier) -> dict[str, Any]:
    found = dossier.diffraction
    if found is None:
        return {"diffraction": None, "figure": None}
    rows = [_peak(peak) for peak in found.listed]
    size = -(-len(rows) // _PEAK_COLUMNS) or 1
    return {
        "diffraction": found, "figure": diffraction_figure(found, dossier.formula), "definition": DEFINITION,
        "refused": Words(f"{_TOO_LARGE.en} ({DiffractionError.code})", f"{_TOO_LARGE.zh}（{DiffractionError.code}）"),
        "telling": [_peak(peak) for peak in found.telling],
        "peak_parts": [rows[at : at + size] for at in range(0, len(rows), size)],
        "without_crystal": listed([formula_markup(name) for name in found.without_crystal]),
    }  # fmt: skip


def _peak(peak: Peak) -> dict[str, Any]:
    more = f" +{len(peak.planes) - 1}" if len(peak.planes) > 1 else ""
    return {
        "planes": f"{peak.planes[0]}{more}", "spacing": f"{peak.spacing:.4f}", "angle": f"{peak.two_theta:.2f}°",
        "intensity": f"{peak.intensity:.1f}",
    }  # fmt: skip


def _risk(dossier: Dossier) -> dict[str, Any]:
    risk = dossier.risk
    scores = [
        {
            "label": score.label,
            "value": Words(f"not known: {score.unknown}", f"未知：{score.unknown}")
            if score.unknown
            else with_unit(number(score.value), score.unit),
            "date": score.table.as_of, "source": f"table/{score.table.name}",
        }
        for score in risk.scores
    ]  # fmt: skip
    listings = [
        {
            "symbol": found.symbol, "list": Words(*found.table.label), "entry": found.entry,
            "form": _EVERY_FORM if found.every_form else _SOME_FORMS, "in_force": found.in_force,
            "suspended": found.suspended_until, "source": f"table/{found.table.name}",
        }
        for found in risk.listings
    ]  # fmt: skip
    named = {found.table.name for found in risk.listings}
    others = [Words(*table.label) for table in risk.looked_at if table.name not in named]
    return {
        "risk": risk, "scores": scores, "listings": listings, "not_listed": _joined(others),
        "expired": _joined([Words(*table.label) for table in risk.expired]),
    }  # fmt: skip


def _joined(labels: Sequence[Words]) -> Words | None:
    """Labels one after another; None where there are none."""
    if not labels:
        return None
    return Words("; ".join(label.en for label in labels), "；".join(label.zh for label in labels))


def _sheet(dossier: Dossier) -> dict[str, Any]:
    """What the result sheet asks for."""

    def told(columns: Sequence[SheetColumn]) -> list[dict[str, Any]]:
        return [{"label": Words(*column.label), "unit": column.unit, "needed": column.needed} for column in columns]

    wanted = [
        with_bracketed(property_words(name), unit_text(property_named(name).unit)) for name in wanted_back(dossier)
    ]
    tables = ((Words("Results", "结果"), told(RESULTS)), (Words("Process steps", "工艺步骤"), told(STEPS)))
    return {"wanted": _joined(wanted), "tables": tables}
