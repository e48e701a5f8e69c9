"""Shared parts of the pages and files of benchmarks on labelled data: provenance, figures, tables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.table import Table

from matloop.data.errors import ROW_CODES
from matloop.screening.language.text import number, percent, unit_text
from matloop.screening.report.page import asset, content_policy, page_template, script_json
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.labelled import OF_COMPOSITIONS, OF_CRYSTALS, ModelChoice, ReplayData
from matloop.workflows.bench.seeds import plain
from matloop.workflows.bench.target_labels import TargetLabels

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8a9099", "#1f2933"  # as in the run report
_GRID, _LINE = "#e6e9ed", "#b8bfc7"
_TEMPLATES = Path(__file__).parent / "templates"

Summary = Mapping[str, Any]


def provenance(data: ReplayData, model: ModelChoice, command: str) -> dict[str, Any]:
    """Describe data with hash, left-out rows, features, model, command and machine, as plain JSON values."""
    return {
        "data": data.name,
        "sha256": data.sha256,
        "property": data.known.name,
        "column": data.column,
        "unit": data.known.unit,
        "rows": data.rows,
        "rows_used": len(data.target),
        "rows_left_out": data.left_out,
        "formulas": int(data.groups.max()) + 1,
        "features": list(data.feature_names),
        "feature_fingerprint": data.features.fingerprint,
        "family": model.family,
        "transform": model.transform,
        "command": command,
        "machine": describe_machine(),
    }


def command_line(name: str, data: ReplayData, model: ModelChoice, options: Mapping[str, Any]) -> str:
    """Return the command that repeats the figures; the file is named without its folder."""
    words = ["matloop", "bench", name, "--data", data.name, "--property", data.known.name, "--column", data.column]
    words += [] if data.formula_column == "formula" else ["--formula-column", data.formula_column]
    for option, value in options.items():
        words += [] if value is None else [f"--{option}", str(value)]
    words += ["--family", model.family, "--transform", model.transform]
    if data.feature_names != (OF_CRYSTALS if data.has_crystals else OF_COMPOSITIONS):
        words += [word for feature in data.feature_names for word in ("--features", feature)]
    return shlex.join(words)


def left_out_words(left_out: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons for leaving rows out, in words, and how many."""
    return [(f"{ROW_CODES[key]} ({key})" if key in ROW_CODES else key, n) for key, n in left_out.items()]


def mean_and_error(found: Summary, *, share: bool = False, seeds: int | None = None) -> str:
    """Mean over the seeds and its standard error.

    Args:
        found: See :func:`~matloop.workflows.bench.seeds.summary`.
        share: Whether it is a share, to be given in percent.
        seeds: Number of all seeds; where fewer of them gave a figure, their number is added.

    >>> mean_and_error({"mean": 0.912, "standard_error": 0.011}, share=True)
    '91.2 ± 1.1 %'
    >>> mean_and_error({"mean": 12.34, "standard_error": None, "seeds": 1}, seeds=3), mean_and_error({"mean": None})
    ('12.3 (1 of 3)', '–')
    """
    mean, error = found["mean"], found.get("standard_error")
    if mean is None:
        return "–"
    if share:
        text = f"{100 * mean:.1f} ± {100 * error:.1f} %" if error else percent(mean, 1)
    else:
        text = f"{number(mean, error)} ± {number(error, error)}" if error else number(mean)
    return text if seeds in (None, found.get("seeds")) else f"{text} ({found['seeds']} of {seeds})"


def interval_text(found: Summary, *, share: bool = False) -> str:
    """The 95 % interval of a mean; a dash where there is none.

    >>> interval_text({"low": 0.853, "high": 1.012}, share=True)
    '85.3 to 100.0 %'
    """
    if found.get("low") is None:
        return "–"
    ends = (found["low"], found["high"])
    if share:
        return " to ".join(f"{100 * min(max(end, 0.0), 1.0):.1f}" for end in ends) + " %"
    return " to ".join(number(end, found["standard_error"] or None) for end in ends)


def print_table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table, the first column to the left and the others to the right."""
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False, highlight=False)


def print_data(data: ReplayData, console: Console) -> None:
    """Rows, formulas, and how many rows were left out for which reason."""
    lines = [
        f"{data.known.label_en} ({data.column}) of {data.name}: {len(data.target):,} of {data.rows:,} rows used, "
        f"{int(data.groups.max()) + 1:,} formulas; a formula is never split between the rows trained on and the others."
    ]
    lines += [f"  left out: {count:,} – {reason}" for reason, count in left_out_words(data.left_out)]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def render(
    template: str,
    data: ReplayData | TargetLabels,
    figures: Mapping[str, Any],
    *,
    bilingual: bool = False,
    **content: Any,
) -> str:
    """Render a page that opens from a disk without network; one that is not bilingual is in English."""
    scripts = [asset("vendor/plotly-basic.min.js"), asset("templates/report.js")]
    language = None if bilingual else "en"  # the reader's own
    titled = {"title": content["title"]._asdict()} if bilingual else {}
    return page_template(_TEMPLATES, template).render(
        labelled=data,
        left_out=left_out_words(data.left_out),
        unit=unit_text(data.known.unit) if isinstance(data, ReplayData) else "",
        licence=asset("vendor/plotly-basic.LICENSE.txt"),
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
        data=script_json({"figures": plain(figures), "tradeoff": None, "crystals": [], "language": language, **titled}),
        bilingual=bilingual,
        **content,
    )


def axis(title: str | Mapping[str, str], **more: Any) -> dict[str, Any]:
    """An axis in the style of the reports; its title may be a mapping of ``en`` and ``zh``."""
    return {
        "title": {"text": title, "standoff": 8}, "gridcolor": _GRID, "zeroline": False, "linecolor": _LINE,
        "ticks": "outside", "tickcolor": _LINE, "automargin": True, **more,
    }  # fmt: skip


def figure(traces: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A figure in the style of the reports; its legend, if there are names, stands above it."""
    layout = {
        "xaxis": x, "yaxis": y, "margin": {"l": 60, "r": 16, "t": 16, "b": 50}, "font": {"color": INK, "size": 13},
        "paper_bgcolor": "white", "plot_bgcolor": "white", "showlegend": any("name" in trace for trace in traces),
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}, **more,
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def line(x: Any, y: Any, color: str, **more: Any) -> dict[str, Any]:
    """A line; dots of plotly's own kind are left out unless ``mode`` says otherwise."""
    return {"type": "scatter", "mode": "lines", "x": plain(x), "y": plain(y), "line": {"color": color}, **more}


def diagonal(end: float) -> dict[str, Any]:
    """Draw the line on which the prediction equals the truth."""
    return line([0, end], [0, end], INK, hoverinfo="skip", showlegend=False) | {"line": {"color": INK, "width": 1}}


def band(x: Any, low: Any, high: Any, color: str) -> list[dict[str, Any]]:
    """A shaded band between two curves; ``color`` with its opacity."""
    edge = {"width": 0}
    return [
        line(x, low, color, hoverinfo="skip", showlegend=False) | {"line": edge},
        line(x, high, color, hoverinfo="skip", showlegend=False, fill="tonexty", fillcolor=color) | {"line": edge},
    ]


def reach_of_shares(found: Sequence[Summary], color: str) -> dict[str, Any]:
    """Return error bars over the 95 % intervals of shares, within 0 and 1."""
    up = [min(one["high"], 1) - one["mean"] if one.get("high") is not None else None for one in found]
    down = [one["mean"] - max(one["low"], 0) if one.get("low") is not None else None for one in found]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": color, "thickness": 1.5}
