"""The run report: one HTML file that opens from a disk without network and tells what a run found, and why."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from matloop.data.packaged.citations import Citation
from matloop.data.plain_text import plain
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_text
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.filters.used_facts import used_fact_tables
from matloop.screening.language.aged_facts import expiry_words
from matloop.screening.language.back_test import list_words
from matloop.screening.language.links import linked
from matloop.screening.language.text import OUTCOMES, Words, finalize, number, percent
from matloop.screening.report.batch_columns import numbers
from matloop.screening.report.cards import MOST_CARDS, cards, element_gradients, scenes_json, strips
from matloop.screening.report.figures import coverage_figure, distribution_figure, parity_figure, tradeoff_data
from matloop.screening.report.flags import flag_meanings
from matloop.screening.report.hull_evidence import hull_name
from matloop.screening.report.hull_figure import hull_figure
from matloop.screening.report.sources import cautions_of, sources_of
from matloop.screening.report.stability import formation_energy_words
from matloop.screening.report.surrogates import SurrogateSection, surrogate_sections
from matloop.screening.report.tables import LAPS, met_together, ranked_table, run_funnel, run_headline, target_words
from matloop.screening.report.tradeoffs import about_list
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run

_HERE = Path(__file__).parent


@in_catalogue_of_run
def write_report(folder: str | Path, *, further: Sequence[Citation] = ()) -> None:
    """Write ``report.html`` of a finished run from the files of its directory.

    Args:
        folder: The run directory.
        further: What to cite besides what the campaign and its training data name, such as potentials.

    Raises:
        DamagedFileError: If a file that every run has is missing, or one is not what a run writes.
        CampaignError: If the resolved campaign cannot be read back.
    """
    write_text(RunDirectory(folder).report, render_report(RunView(folder), further=further))


@in_catalogue_of_run
def render_report(run: RunView, *, further: Sequence[Citation] = ()) -> str:
    """The report as HTML.

    Args:
        run: A finished run.
        further: What else to cite.
    """
    title = campaign_title(run.campaign)
    drawn = strips(run)
    chosen = cards(run, drawn)
    sections = surrogate_sections(run)
    scripts = [asset("vendor/plotly-basic.min.js")]
    if any(card.scene for card in chosen):
        scripts.append(asset("vendor/3Dmol-min.js"))
    scripts.append(asset("templates/report.js"))
    page = page_template(_HERE / "templates", "report.html.j2").render(
        run=run,
        title=title,
        headline=run_headline(run),
        targets=target_words(run),
        met_together=met_together(run),
        list_words=list_words(run.summary, numbers(run.shortlisted, Column.PROBABILITY)),
        about_list=about_list(run),
        strips=drawn,
        cards=chosen,
        hulls=hull_figure(run.shortlisted),
        hull_name=hull_name(),
        aged_facts=expiry_words(used_fact_tables(run.campaign), dt.date.today()),
        cards_left_out=max(len(run.shortlisted) - MOST_CARDS, 0),
        cautions=cautions_of(run.campaign),
        funnel=run_funnel(run),
        flag_meanings=flag_meanings(run),
        ranked=ranked_table(run),
        set_aside=OUTCOMES["quarantined"],
        laps=LAPS,
        element_gradients=element_gradients(chosen),
        sections=sections,
        formation_energies=formation_energy_words(run.summary),
        sources=sources_of(run.campaign, run.training, further=further),
        licences={name: asset(f"vendor/{name}.LICENSE.txt") for name in ("plotly-basic", "3Dmol")},
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
        data=script_json(
            cleaned_strings(
                {
                    "title": title._asdict(),
                    "figures": _figures(run, sections),
                    "tradeoff": tradeoff_data(run) if len(run.properties) > 1 and len(run.ranked) else None,
                    "crystals": scenes_json(chosen),
                }
            )
        ),
    )
    return cleaned(page)


def cleaned(page: str) -> str:
    """A page without characters that deceive in its text; scripts stay as they are, since their hashes are allowed.

    Args:
        page: HTML.
    """
    parts = re.split(r"(<script\b.*?</script>)", page, flags=re.DOTALL)
    return "".join(part if part.startswith("<script") else plain(part) for part in parts)


def cleaned_strings(content: Any) -> Any:
    """Plain JSON values without characters that deceive in their strings.

    Args:
        content: Plain JSON values.
    """
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, Mapping):
        return {cleaned_strings(key): cleaned_strings(value) for key, value in content.items()}
    return [cleaned_strings(item) for item in content] if isinstance(content, list | tuple) else content


def campaign_title(campaign: Campaign) -> Words:
    """Title of a campaign in both languages; a campaign without one goes by its name.

    A title in one language stands for both.
    """
    title = campaign.title or campaign.title_zh or campaign.name
    return Words(title, campaign.title_zh or title)


def page_template(folder: Path, name: str, *, language: str = "") -> Any:
    """A template of a page: everything it prints is escaped and rid of characters that deceive.

    Templates may include those of this folder. ``tr(en, zh)`` in them is a text in both languages.

    Args:
        folder: Where the template lies.
        name: Of its file.
        language: The one language that is printed, ``en`` or ``zh``; by default both, of which the page shows one.
    """
    import jinja2

    def printed(value: Any) -> Any:
        return finalize(getattr(value, language) if language and isinstance(value, Words) else value)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE / "templates"]),
        autoescape=True,
        finalize=printed,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["tr"] = Words
    environment.filters.update(percent=percent, number=number, linked=linked)
    return environment.get_template(name)


@functools.cache
def asset(name: str) -> str:
    """Text of a file packaged with the reports: a style sheet, a script or its licence.

    Raises:
        ValueError: If a script could end its own element or be taken for a comment.
    """
    text = (_HERE / name).read_text(encoding="utf-8")
    if name.endswith(".js") and ("</script" in text.lower() or "<!--" in text):
        raise ValueError(f"{name} cannot stand inside a page")
    return text


def content_policy(scripts: list[str]) -> str:
    """Content security policy: nothing is fetched, and only exactly these scripts run."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def script_json(content: Any) -> Markup:
    r"""JSON that is safe inside a script element, whatever the strings in it.

    >>> print(script_json({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    # Without ensure_ascii U+2028 and U+2029 would pass, which end a line in older script engines.
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))


def _figures(run: RunView, sections: list[SurrogateSection]) -> dict[str, Any]:
    """Figures by the name of the element they are drawn in."""
    figures: dict[str, Any] = {}
    if len(run.properties) == 1 and len(run.ranked):
        figures["distribution"] = distribution_figure(run, run.properties[0])
    for section in sections:
        if section.has_parity:
            log = run.on_log_scale(section.name)
            figures[f"parity-{section.name}"] = parity_figure(section.name, run.held_out[section.name], log=log)
        if section.has_coverage:
            figures[f"coverage-{section.name}"] = coverage_figure(run.cards[section.name])
    return figures
