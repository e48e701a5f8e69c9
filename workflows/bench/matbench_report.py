"""Output of a Matbench run: lines on the screen, ``matbench.json``, ``predictions.parquet`` and a page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from markupsafe import Markup
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from matloop.data.errors import RunError
from matloop.data.properties.catalogue import property_named
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.models.surrogates.classification import reliability
from matloop.screening.report.page import asset, content_policy, page_template, script_json
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.matbench import FOLD_SEED, FoldResult, MatbenchRun
from matloop.workflows.bench.matbench_tasks import SOURCE

_TEMPLATES = Path(__file__).parent / "templates"
_POINTS_SHOWN = 2000
_BLUE, _GREY, _INK, _GRID = "#0072B2", "#8a9099", "#1f2933", "#e6e9ed"  # as in the run report
_SCORE_WORDS = {
    "mae": "mean absolute error", "rmse": "root mean square error", "max_error": "largest error",
    "coverage_90": "share inside the 90 % interval", "width_90": "mean width of the 90 % interval",
    "roc_auc_of_answers": "ROC-AUC of answers", "roc_auc": "ROC-AUC of probabilities", "f1": "F1 of answers",
    "brier": "Brier score", "calibration_error": "expected calibration error",
}  # fmt: skip
_HEADINGS = {
    "mae": "MAE", "rmse": "RMSE", "max_error": "largest", "coverage_90": "in 90 %", "width_90": "width",
    "roc_auc_of_answers": "ROC-AUC", "roc_auc": "of prob.", "f1": "F1", "brier": "Brier", "calibration_error": "ECE",
}  # fmt: skip
_OF_CLASSIFICATION = ("roc_auc_of_answers", "roc_auc", "f1", "brier", "calibration_error")
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


def new_folder(output: Path | None, task: str) -> Path:
    """Make a new or empty folder for the files of a run, by default ``runs/TASK-DATE-TIME``.

    Raises:
        RunError: If the folder holds something or cannot be made.
    """
    folder = output or Path("runs") / f"{task}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunError(f"{folder} is not empty", "a new or empty folder", "choose another --output")
    except OSError as error:
        raise RunError(f"cannot create {folder}: {error.strerror}", "a folder you may write to") from error
    return folder


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
            "scores": fold.scores, "chosen": fold.chosen, "rows_held_out": len(fold.rows),
            "rows_without_features": fold.rows_without_features, "seconds": round(fold.seconds, 1),
        }
        for fold in run.folds
    ]  # fmt: skip
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
        f"random_state={FOLD_SEED}) over the rows in mbid order; tuned within each training fold",
        "mean": {name: _mean(run.folds, name) for name in score_names(run)},
        "folds": folds,
        "published": {line.model: line.score for line in run.task.published},
        "published_source": SOURCE,
        "feature_fingerprint": run.fingerprint,
        "seconds": {"features": round(run.feature_seconds, 1), "all": round(run.seconds, 1)},
        "machine": describe_machine(),
    }


def standing(run: MatbenchRun) -> str:
    """Whether the file is the published one, in words."""
    rows = len(run.data.target)
    if run.data.sha256 == run.task.sha256:
        return "the published file"
    if rows == run.task.rows:
        return f"{rows:,} rows like the published file, but packed in another way: its sha256 is a different one"
    return f"not the published data: {rows:,} rows instead of {run.task.rows:,}; do not compare the scores"


def score_names(run: MatbenchRun) -> tuple[str, ...]:
    """Names of the scores, the one of the comparison first."""
    return _OF_CLASSIFICATION if run.task.is_classification else _OF_REGRESSION


def comparison(run: MatbenchRun) -> list[Line]:
    """This run among the published scores, best first."""
    lines = {(line.model, line.score): Line(line.model, line.score, False) for line in run.task.published}
    own = "matloop (this run)" if len(run.data.target) == run.task.rows else "matloop (this run, on other data)"
    ours = Line(own, _mean(run.folds, score_names(run)[0]), True)
    sign = -1 if run.task.is_classification else 1
    return sorted([*lines.values(), ours], key=lambda line: sign * line.score)


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
    console.print(table)
    told = ", ".join(f"{_HEADINGS[name]}: {_SCORE_WORDS[name]}" for name in names)
    console.print(f"{told}. Seconds of the mean: everything, with features.", highlight=False, soft_wrap=True)
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
    """Family, and the scale of the target where there was a choice.

    >>> chosen_words(FoldResult(np.arange(2), {}, {}, {"family": "extra_trees", "transform": "log10"}, 0, 1.0))
    'extra_trees, log10'
    """
    return ", ".join(str(fold.chosen[key]) for key in ("family", "transform") if key in fold.chosen)


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
        lines=comparison(run),
        label=property_named(run.task.property_name).label_en if run.task.property_name else run.task.column,
        comparable=len(run.data.target) == run.task.rows,
        licence=asset("vendor/plotly-basic.LICENSE.txt"),
        style=Markup(asset("templates/report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=content_policy(scripts),
        data=script_json({"figures": figures, "tradeoff": None, "crystals": []}),
    )  # fmt: skip


def _mean(folds: list[FoldResult], name: str) -> float:
    return float(np.mean([fold.scores[name] for fold in folds]))


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
