"""Output of a Matbench run: lines on the screen, ``matbench.json``, ``predictions.parquet`` and a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from markupsafe import Markup
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from matloop.data.properties.catalogue import property_named
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.models.surrogates.classification import reliability
from matloop.screening.report.page import asset, content_policy, page_template, script_json
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.matbench import FOLD_SEED, FOLDS, MatbenchRun
from matloop.workflows.bench.matbench_fold import FoldResult
from matloop.workflows.bench.matbench_tasks import SOURCE

_TEMPLATES = Path(__file__).parent / "templates"
_POINTS_SHOWN = 2000
_BLUE, _GREY, _INK, _GRID = "#0072B2", "#8a9099", "#1f2933", "#e6e9ed"  # as in the run report
_SCORE_WORDS = {
    "mae": "mean absolute error", "rmse": "root mean square error", "max_error": "largest error",
    "coverage_90": "share inside the 90 % interval", "width_90": "mean width of the 90 % interval",
    "roc_auc_of_answers": "ROC-AUC of answers, cut where the training rows say",
    "roc_auc_cut_at_half": "ROC-AUC of answers cut at 0.5", "roc_auc": "ROC-AUC of probabilities",
    "f1": "F1 of answers",
    "brier": "Brier score", "calibration_error": "expected calibration error",
}  # fmt: skip
_HEADINGS = {
    "mae": "MAE", "rmse": "RMSE", "max_error": "largest", "coverage_90": "in 90 %", "width_90": "width",
    "roc_auc_of_answers": "ROC-AUC", "roc_auc_cut_at_half": "at 0.5", "roc_auc": "of prob.", "f1": "F1",
    "brier": "Brier", "calibration_error": "ECE",
}  # fmt: skip
_OF_CLASSIFICATION = ("roc_auc_of_answers", "roc_auc_cut_at_half", "roc_auc", "f1", "brier", "calibration_error")
_OF_REGRESSION = ("mae", "rmse", "max_error", "coverage_90", "width_90")


class Line(NamedTuple):
    """A line of the comparison.

    Attributes:
        model: Name of the model.
        score: Mean over the folds.
        ours: Whether it is this run.
    """

    model: str
    score: float
    ours: bool


def write_matbench(run: MatbenchRun, folder: Path, file_name: str) -> None:
    """Write the three files of a run into a folder."""
    result = matbench_json(run, file_name)
    write_json(folder / "matbench.json", result)
    write_table(folder / "predictions.parquet", _predictions(run))
    write_text(folder / "report.html", render_matbench(run, result))


def matbench_json(run: MatbenchRun, file_name: str) -> dict[str, Any]:
    """The run as plain JSON values: scores by fold, what was chosen, data hash, machine and versions."""
    folds = [
        {
            "scores": fold.scores,
            "trivial": fold.trivial,
            "chosen": fold.chosen,
            "rows_held_out": len(fold.rows),
            "rows_without_features": fold.rows_without_features,
            "seconds": round(fold.seconds, 1),
        }
        for fold in run.folds
    ]
    names = score_names(run)
    return {
        "benchmark": "Matbench 0.1",
        "task": run.task.name,
        "unit": run.task.unit,
        "file": file_name,
        "sha256": run.data.sha256,
        "data": standing(run),
        "rows": len(run.data.target),
        "rows_refused": _counts(run.data.refused),
        "protocol": f"{'StratifiedKFold' if run.task.is_classification else 'KFold'}(5, shuffle=True, "
        f"random_state={FOLD_SEED}) over the rows in mbid order; tuned within each training fold"
        + ("" if len(run.folds) == FOLDS else f"; {folds_worked_on(run)}"),
        "mean": {name: _mean(run.folds, name) for name in score_names(run)},
        "trivial": {"rival": trivial_rival(run), **{name: _mean_of_trivial(run.folds, name) for name in names}},
        "settings": {
            "families": [str(candidate) for candidate in run.settings.candidates],
            "seed": run.settings.seed,
            "folds": run.settings.folds,
            "budget": run.settings.budget,
        },
        "folds": folds,
        "published": {line.model: line.score for line in run.task.published},
        "published_source": SOURCE,
        "feature_fingerprint": run.fingerprint,
        "seconds": {"features": round(run.feature_seconds, 1), "all": round(run.seconds, 1)},
        "machine": describe_machine(),
    }


def standing(run: MatbenchRun) -> str:
    """Whether data and folds are the published ones, in words."""
    rows = len(run.data.target)
    if run.data.sha256 == run.task.sha256:
        words = "the published file"
    elif rows == run.task.rows:
        words = f"{rows:,} rows like the published file, but packed in another way: its sha256 is a different one"
    else:
        words = f"not the published data: {rows:,} rows instead of {run.task.rows:,}; do not compare the scores"
    if run.data.kind != run.task.kind:
        words += "; by composition alone, while the published models saw the structures"
    return words if len(run.folds) == FOLDS else f"{words}; {folds_worked_on(run)}"


def folds_worked_on(run: MatbenchRun) -> str:
    """How many of the published folds the run has, in words."""
    return f"the first {len(run.folds)} of {FOLDS} folds" if len(run.folds) > 1 else f"the first of {FOLDS} folds"


def trivial_rival(run: MatbenchRun) -> str:
    """The rival that needs no model, in words."""
    return "always yes" if run.task.is_classification else "mean of the training rows"


def score_names(run: MatbenchRun) -> tuple[str, ...]:
    """Names of the scores, the one of the comparison first."""
    return _OF_CLASSIFICATION if run.task.is_classification else _OF_REGRESSION


def comparison(run: MatbenchRun) -> list[Line]:
    """This run among the published scores, best first."""
    lines = {(line.model, line.score): Line(line.model, line.score, False) for line in run.task.published}
    other = "" if run.data.kind == run.task.kind else ", by composition"
    other += "" if len(run.data.target) == run.task.rows else ", on other data"
    other += "" if len(run.folds) == FOLDS else f", {folds_worked_on(run)}"
    name = score_names(run)[0]
    own = [
        Line(f"matloop (this run{other})", _mean(run.folds, name), True),
        Line(f"{trivial_rival(run)} (the same rows)", _mean_of_trivial(run.folds, name), False),
    ]
    sign = -1 if run.task.is_classification else 1
    return sorted([*lines.values(), *own], key=lambda line: sign * line.score)


def print_matbench(run: MatbenchRun, console: Console) -> None:
    """Scores by fold, their means, and the published ones."""
    names = score_names(run)
    unit = f" ({run.task.unit})" if run.task.unit else ""
    console.print(f"{run.task.name}{unit}: {standing(run)}", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("fold", *(_HEADINGS[name] for name in names), "chosen", "seconds"):
        table.add_column(heading, justify="left" if heading in ("fold", "chosen") else "right")
    for number, fold in enumerate(run.folds, 1):
        scores = (f"{fold.scores[name]:.4f}" for name in names)
        table.add_row(str(number), *scores, escape(chosen_words(fold)), f"{fold.seconds:.0f}")
    table.add_row("mean", *(f"{_mean(run.folds, name):.4f}" for name in names), "", f"{run.seconds:.0f}")
    trivial = (f"{_mean_of_trivial(run.folds, name):.4f}" for name in names)
    table.add_row("trivial", *trivial, escape(trivial_rival(run)), "")
    console.print(table)
    told = ", ".join(f"{_HEADINGS[name]}: {_SCORE_WORDS[name]}" for name in names)
    console.print(f"{told}. Seconds of the mean: everything, with features.", highlight=False, soft_wrap=True)
    for sentence in _limits_of_choice(run):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    left_out = sum(fold.rows_without_features for fold in run.folds)
    if left_out:
        console.print(f"{left_out} rows without features got the middle of the training targets.", highlight=False)
    console.print(f"\nBeside the {SOURCE}:", markup=False, highlight=False, soft_wrap=True)
    others = Table(box=None, pad_edge=False)
    others.add_column("model")
    others.add_column(_HEADINGS[names[0]], justify="right")
    for line in comparison(run):
        others.add_row(line.model, f"{line.score:.4f}", style="bold" if line.ours else "")
    console.print(others)


def chosen_words(fold: FoldResult) -> str:
    """Family, and the scale of the target or the probability from which on the answer is yes.

    >>> chosen_words(FoldResult(np.arange(2), {}, {}, {}, {"family": "extra_trees", "transform": "log10"}, 0, 1.0))
    'extra_trees, log10'
    """
    words = [str(fold.chosen[key]) for key in ("family", "transform") if key in fold.chosen]
    return ", ".join([*words, *([f"yes from {fold.chosen['cut']:.2f}"] if "cut" in fold.chosen else [])])


def _limits_of_choice(run: MatbenchRun) -> list[str]:
    """Sentences about families that were not tried, and about the rows they were compared on."""
    reasons: dict[tuple[str, str], list[int]] = {}
    for number, fold in enumerate(run.folds, 1):
        for family, why in fold.chosen.get("not_tried", {}).items():
            reasons.setdefault((family, why), []).append(number)
    sentences = [
        f"{family} was not tried in {'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}: {why}"
        for (family, why), folds in reasons.items()
    ]
    if rows := [fold.chosen["rows_compared"] for fold in run.folds if "rows_compared" in fold.chosen]:
        sentences.append(f"Because of the budget, families were compared on {max(rows):,} training rows of each fold.")
    return sentences


def render_matbench(run: MatbenchRun, result: dict[str, Any]) -> str:
    """The run as one HTML page that opens from a disk without network.

    Args:
        run: The run.
        result: The same as JSON values, see :func:`matbench_json`.
    """
    scripts = [asset("vendor/plotly-basic.min.js"), asset("templates/report.js")]
    names = score_names(run)
    figures = {
        "folds": _folds_figure(run),
        "rows": _reliability_figure(run) if run.task.is_classification else _parity(run),
    }
    return page_template(_TEMPLATES, "matbench.html.j2").render(
        run=run,
        result=result,
        names=[_SCORE_WORDS[name] for name in names],
        folds=[([fold.scores[name] for name in names], chosen_words(fold), fold) for fold in run.folds],
        means=[_mean(run.folds, name) for name in names],
        trivial=[_mean_of_trivial(run.folds, name) for name in names],
        rival=trivial_rival(run),
        limits=_limits_of_choice(run),
        lines=comparison(run),
        label=property_named(run.task.property_name).label_en if run.task.property_name else run.task.column,
        comparable=run.is_whole,
        licence=asset("vendor/plotly-basic.LICENSE.txt"),
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
        data=script_json({"figures": figures, "tradeoff": None, "crystals": []}),
    )  # fmt: skip


def _mean(folds: list[FoldResult], name: str) -> float:
    return float(np.mean([fold.scores[name] for fold in folds]))


def _mean_of_trivial(folds: list[FoldResult], name: str) -> float:
    return float(np.mean([fold.trivial[name] for fold in folds]))


def _counts(refused: dict[int, str]) -> dict[str, int]:
    codes = list(refused.values())
    return {code: codes.count(code) for code in sorted(set(codes))}


def _predictions(run: MatbenchRun) -> pa.Table:
    """Target and prediction of every row, in the order of the mbid, with the fold that held it out."""
    rows = np.concatenate([fold.rows for fold in run.folds])
    order = np.argsort(rows)
    numbers = np.repeat(np.arange(1, len(run.folds) + 1), [len(fold.rows) for fold in run.folds])
    columns = {name: np.concatenate([fold.columns[name] for fold in run.folds]) for name in run.folds[0].columns}
    named = {"row": rows, "fold": numbers, "target": run.data.target[rows], **columns}
    return pa.table({name: values[order] for name, values in named.items()})


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 8}, "gridcolor": _GRID, "zeroline": False, "linecolor": "#b8bfc7",
        "ticks": "outside", "tickcolor": "#b8bfc7", "automargin": True, **more,
    }  # fmt: skip


def _figure(traces: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    layout = {
        "xaxis": x, "yaxis": y, "margin": {"l": 56, "r": 16, "t": 16, "b": 48}, "font": {"color": _INK, "size": 13},
        "paper_bgcolor": "white", "plot_bgcolor": "white", "showlegend": False,
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _short(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


def _folds_figure(run: MatbenchRun) -> dict[str, Any]:
    """Score of each fold beside the published means."""
    name = score_names(run)[0]
    scores = np.array([fold.scores[name] for fold in run.folds])
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "markers", "x": list(range(1, len(scores) + 1)), "y": _short(scores),
            "marker": {"size": 11, "color": _BLUE}, "hovertemplate": "fold %{x}: %{y}<extra></extra>",
        }
    ]  # fmt: skip
    for line in {line.score: line for line in run.task.published}.values():
        traces.append(
            {
                "type": "scatter", "mode": "lines+text", "x": [0.5, len(scores) + 0.5], "y": [line.score] * 2,
                "text": ["", line.model], "textposition": "top left", "textfont": {"color": _GREY, "size": 12},
                "line": {"color": _GREY, "width": 1, "dash": "dot"}, "hoverinfo": "skip",
            }
        )  # fmt: skip
    return _figure(traces, _axis("fold", dtick=1), _axis(_SCORE_WORDS[name]))


def _parity(run: MatbenchRun) -> dict[str, Any]:
    """Held-out predictions against the target, at most 2,000 of them."""
    table = _predictions(run)
    count = min(_POINTS_SHOWN, table.num_rows)
    rows = np.sort(np.random.default_rng(0).choice(table.num_rows, count, replace=False))
    target, predicted, low, high = (
        table.column(name).to_numpy()[rows] for name in ("target", "prediction", "lo", "hi")
    )
    ends = [float(min(target.min(), predicted.min())), float(max(target.max(), predicted.max()))]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "markers", "x": _short(target), "y": _short(predicted),
            "error_y": {
                "type": "data", "symmetric": False, "array": _short(high - predicted),
                "arrayminus": _short(predicted - low), "thickness": 0.6, "width": 0, "color": "rgba(0,114,178,0.2)",
            },
            "marker": {"size": 5, "color": _BLUE, "opacity": 0.7},
            "hovertemplate": "target %{x}<br>predicted %{y}<extra></extra>",
        },
        {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": {"color": _INK, "width": 1},
         "hoverinfo": "skip"},
    ]  # fmt: skip
    unit = f" ({run.task.unit})" if run.task.unit else ""
    return _figure(traces, _axis(f"target{unit}"), _axis(f"predicted{unit}"))


def _reliability_figure(run: MatbenchRun) -> dict[str, Any]:
    """How often yes was right against how probable it was said to be."""
    table = _predictions(run)
    steps = reliability(table.column("prediction").to_numpy(), table.column("target").to_numpy())
    said, found, count = (np.array(part, float) for part in zip(*steps, strict=True))
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "x": _short(said), "y": _short(found), "text": _short(count),
            "marker": {"size": 8, "color": _BLUE}, "line": {"color": _BLUE},
            "hovertemplate": "said %{x}, found %{y}, %{text} rows<extra></extra>",
        },
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"color": _INK, "width": 1},
         "hoverinfo": "skip"},
    ]  # fmt: skip
    return _figure(traces, _axis("probability of yes", range=[0, 1]), _axis("share of yes", range=[0, 1]))
