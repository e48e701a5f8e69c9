"""Output of a test of intervals: lines on the screen, ``calibration.json`` and a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from matloop.data.whole_files import write_json, write_text
from matloop.models.surrogates.training import COVERAGE_LEVELS
from matloop.screening.language.text import number, percent, unit_text
from matloop.workflows.bench.calibration import (
    LEVEL,
    CalibrationRun,
    Held,
    SplitResult,
    SpreadBin,
    best_counts,
    spread_bins,
)
from matloop.workflows.bench.pages import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    axis,
    band,
    command_line,
    diagonal,
    figure,
    interval_text,
    line,
    mean_and_error,
    print_data,
    print_table,
    provenance,
    reach_of_shares,
    render,
)
from matloop.workflows.bench.seeds import plain, summary

_STEPS = 20  # of the histogram of positions


def write_calibration(run: CalibrationRun, folder: Path) -> None:
    """Write ``calibration.json`` and ``report.html`` into a folder."""
    result = calibration_json(run)
    write_json(folder / "calibration.json", result)
    write_text(folder / "report.html", render_calibration(run, result))


def calibration_json(run: CalibrationRun) -> dict[str, Any]:
    """The run as plain JSON values; all but ``seconds`` and ``machine`` is the same for the same seeds and versions."""
    settings, splits, model = run.settings, run.splits, run.settings.model
    options = {"direction": settings.direction, "splits": settings.splits, "held-out": settings.held_out}
    curves = np.array([split.curve for split in splits])
    return plain(
        {
            "benchmark": "calibration",
            **provenance(run.data, model, command_line("calibration", run.data, model, options)),
            "settings": {name.replace("-", "_"): value for name, value in options.items()},
            "level": LEVEL,
            "mean": {
                "trained": summary([split.trained for split in splits]),
                "predicted": summary([len(split.held.error) for split in splits]),
                "not_predicted": summary([split.not_predicted for split in splits]),
                **{name: summary([split.figures[name] for split in splits]) for name in splits[0].figures},
            },
            "splits_below_80_percent": {
                name: sum(split.figures[name] < 0.8 for split in splits)
                for name in splits[0].figures if name.startswith("coverage")
            },
            "by_distance": {
                name: {key: summary([split.by_distance[name][key] for split in splits]) for key in figures}
                for name, figures in splits[0].by_distance.items()
            },
            "coverage_curve": [
                {"level": level, **summary(list(curves[:, place]))} for place, level in enumerate(COVERAGE_LEVELS)
            ],
            "positions": {"edges": np.linspace(0, 1, _STEPS + 1), "rows": _positions(splits)},
            "spread_bins": [found._asdict() for found in pooled_spread_bins(splits)],
            "by_split": [
                {"seed": s.seed, "trained": s.trained, "predicted": len(s.held.error),
                 "not_predicted": s.not_predicted, **s.figures}
                for s in splits
            ],
            "seconds": {"features": round(run.data.seconds, 1), "all": round(run.seconds, 1)},
        }
    )  # fmt: skip


def pooled_spread_bins(splits: list[SplitResult]) -> list[SpreadBin]:
    """Pool the rows of all splits and divide them into bins of similar spread."""
    sigma, error, inside = (_pooled(splits, part) for part in (_sigma, _error, _inside))
    return spread_bins(sigma, error, inside)


def _sigma(held: Held) -> NDArray[Any]:
    return held.sigma


def _error(held: Held) -> NDArray[Any]:
    return held.error


def _inside(held: Held) -> NDArray[Any]:
    return held.inside


def _pooled(splits: list[SplitResult], part: Callable[[Held], NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([part(split.held) for split in splits])


def _positions(splits: list[SplitResult]) -> NDArray[np.int64]:
    return np.histogram(_pooled(splits, lambda held: held.position), bins=_STEPS, range=(0, 1))[0]


def print_calibration(run: CalibrationRun, console: Console) -> None:
    """Print coverage overall, among the best and by distance, and how well widths follow errors."""
    result = calibration_json(run)
    print_data(run.data, console)
    for sentence in _sentences(run, result):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    console.print()
    print_table(console, _COVERAGE_HEADINGS, coverage_rows(run, result))
    console.print()
    print_table(console, _DISTANCE_HEADINGS, distance_rows(result))
    console.print()
    print_table(console, ("", "mean ± standard error"), other_rows(run, result))


_COVERAGE_HEADINGS = (f"{LEVEL:.0%} intervals".replace("%", " %"), "coverage", "95 % interval", "below 80 %", "width")


def coverage_rows(run: CalibrationRun, result: dict[str, Any]) -> list[list[str]]:
    """Coverage, splits in which it is below 80 %, and width: of all rows and among the best."""
    mean = result["mean"]
    names = {"all": ""} | {
        f"{best}, {kind}": f", {best}, {kind}" for best in best_counts(1) for kind in ("plain", "selection-conditional")
    }
    return [
        [
            label, mean_and_error(mean[f"coverage{suffix}"], share=True),
            interval_text(mean[f"coverage{suffix}"], share=True),
            f"{result['splits_below_80_percent'][f'coverage{suffix}']} of {run.settings.splits}",
            mean_and_error(mean[f"width{suffix}"]),
        ]
        for label, suffix in names.items()
    ]  # fmt: skip


_DISTANCE_HEADINGS = ("distance to the training data", "rows", "coverage", "width", "mean absolute error")


def distance_rows(result: dict[str, Any]) -> list[list[str]]:
    """Figures by distance, and inside and outside the domain."""
    return [
        [
            name, number(found["rows"]["mean"]), mean_and_error(found["coverage"], share=True),
            mean_and_error(found["width"]), mean_and_error(found["mean absolute error"]),
        ]
        for name, found in result["by_distance"].items()
    ]  # fmt: skip


def other_rows(run: CalibrationRun, result: dict[str, Any]) -> list[list[str]]:
    """Error, and rank correlation of width and error."""
    unit = unit_text(run.data.known.unit)
    error = f"mean absolute error ({unit})" if unit else "mean absolute error"
    mean = result["mean"]
    name = "rank correlation of width and error"
    return [[error, mean_and_error(mean["mean absolute error"])], [name, mean_and_error(mean[name])]]


def _sentences(run: CalibrationRun, result: dict[str, Any]) -> list[str]:
    mean, settings = result["mean"], run.settings
    which = "highest" if settings.direction == "max" else "lowest"
    sentences = [
        f"{settings.splits} splits: {mean['trained']['mean']:,.0f} rows to train on, {mean['predicted']['mean']:,.0f} "
        f"predicted. The best are the {which} predictions. Mean ± standard error over the splits."
    ]
    if mean["not_predicted"]["mean"]:
        sentences.append(
            f"{number(mean['not_predicted']['mean'])} held-out rows on average got no prediction (an element new to "
            "the model) and are in none of the figures."
        )
    return sentences


def render_calibration(run: CalibrationRun, result: dict[str, Any]) -> str:
    """The run as one HTML page.

    Args:
        run: The run.
        result: The same as JSON values, see :func:`calibration_json`.
    """
    figures = {
        "best": _best_figure(run, result), "curve": _curve_figure(run), "positions": _positions_figure(run),
        "spread": _spread_figure(run, result), "distance": _distance_figure(result),
    }  # fmt: skip
    mean = result["mean"]
    return render(
        "calibration.html.j2", run.data, figures,
        result=result,
        title=f"Calibration of {run.data.known.label_en}",
        headline=[
            mean_and_error(mean[name], share=True)
            for name in ("coverage", "coverage, top 20, plain", "coverage, top 20, selection-conditional")
        ],
        sentences=_sentences(run, result),
        coverage_headings=_COVERAGE_HEADINGS,
        coverage=coverage_rows(run, result),
        distance_headings=_DISTANCE_HEADINGS,
        distance=distance_rows(result),
        others=other_rows(run, result),
        spread=[
            (f"{found.rows:,}", number(found.sigma), number(found.rmse), percent(found.coverage, 1))
            for found in pooled_spread_bins(run.splits)
        ],
        by_split=run.splits,
    )  # fmt: skip


def _best_figure(run: CalibrationRun, result: dict[str, Any]) -> dict[str, Any]:
    """Coverage of each split, overall and among the best."""
    names = ["coverage", *(name for name in result["mean"] if name.startswith("coverage, "))]
    labels = ["all", *(name.removeprefix("coverage, ").replace(", ", "<br>") for name in names[1:])]
    traces: list[dict[str, Any]] = []
    for label, name in zip(labels, names, strict=True):
        color = GREEN if "selection" in name else BLUE
        values = [split.figures[name] for split in run.splits]
        traces.append(
            line([label] * len(values), values, color, mode="markers", hovertemplate="%{y:.1%}<extra></extra>")
            | {"marker": {"color": color, "size": 8, "opacity": 0.35}}
        )
        traces.append(
            line(
                [label], [result["mean"][name]["mean"]], color, mode="markers", hovertemplate="%{y:.1%}<extra></extra>"
            )
            | {"marker": {"color": color, "size": 26, "symbol": "line-ew", "line": {"color": color, "width": 3}}}
        )
    wanted = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": LEVEL, "y1": LEVEL,
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }  # fmt: skip
    return figure(traces, axis(""), axis("coverage", tickformat=".0%"), shapes=[wanted])


def _curve_figure(run: CalibrationRun) -> dict[str, Any]:
    """Share of truths in central intervals against what they promise."""
    curves = np.array([split.curve for split in run.splits])
    mean = curves.mean(axis=0)
    error = curves.std(axis=0, ddof=1) / np.sqrt(len(curves)) if len(curves) > 1 else np.zeros_like(mean)
    levels = list(COVERAGE_LEVELS)
    traces = [
        diagonal(1),
        *band(levels, mean - error, mean + error, "rgba(0,114,178,0.18)"),
        line(levels, mean, BLUE, mode="lines+markers", hovertemplate="said %{x:.0%}, found %{y:.1%}<extra></extra>"),
    ]
    ends = {"range": [0, 1], "tickformat": ".0%"}
    return figure(traces, axis("probability of the interval", **ends), axis("share of truths inside", **ends))


def _positions_figure(run: CalibrationRun) -> dict[str, Any]:
    """Where the truths lie in their predictive distributions; level for calibrated ones."""
    rows = _positions(run.splits)
    centres = (np.arange(_STEPS) + 0.5) / _STEPS
    bars = {
        "type": "bar", "x": plain(centres), "y": plain(rows / rows.sum() * _STEPS), "width": 1 / _STEPS,
        "marker": {"color": BLUE, "opacity": 0.75, "line": {"color": "white", "width": 1}},
        "hovertemplate": "%{x:.2f}: %{y:.2f}<extra></extra>",
    }  # fmt: skip
    level = line([0, 1], [1, 1], INK, hoverinfo="skip") | {"line": {"color": INK, "width": 1}}
    return figure([bars, level], axis("position of the truth", range=[0, 1]), axis("density", rangemode="tozero"))


def _spread_figure(run: CalibrationRun, result: dict[str, Any]) -> dict[str, Any]:
    """Root mean square error in bins of similar spread."""
    bins = result["spread_bins"]
    sigma, rmse = ([found[key] for found in bins] for key in ("sigma", "rmse"))
    points = line(
        sigma, rmse, ORANGE, mode="lines+markers", hovertemplate="said %{x:.3g}, found %{y:.3g}<extra></extra>"
    )
    unit = f" ({unit_text(run.data.known.unit)})" if unit_text(run.data.known.unit) else ""
    return figure(
        [diagonal(max([*sigma, *rmse])), points], axis(f"predicted spread{unit}", rangemode="tozero"),
        axis(f"root mean square error{unit}", rangemode="tozero"),
    )  # fmt: skip


def _distance_figure(result: dict[str, Any]) -> dict[str, Any]:
    """Coverage by distance to the training data, with 95 % intervals."""
    found = [figures["coverage"] for figures in result["by_distance"].values()]
    points = {
        "type": "scatter", "mode": "markers", "x": list(result["by_distance"]), "y": [one["mean"] for one in found],
        "error_y": reach_of_shares(found, BLUE),
        "marker": {"color": BLUE, "size": 9}, "hovertemplate": "%{y:.1%}<extra></extra>",
    }  # fmt: skip
    wanted = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": LEVEL, "y1": LEVEL,
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }  # fmt: skip
    return figure([points], axis(""), axis("coverage", tickformat=".0%"), shapes=[wanted])
