"""Figures of the run report as plain data: what plotly.js draws, and the paths of the small drawings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import escape
from numpy.typing import NDArray

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of, property_column
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.language.model_words import in_both_languages
from matloop.screening.language.text import Words, axis_words, formula_markup, property_words, unit_text, with_bracketed
from matloop.screening.report.axes import DENSITY_BINS, Axis, density, property_axis
from matloop.screening.report.batch_columns import numbers
from matloop.screening.runs.run_view import HeldOut, RunView

# Okabe and Ito's palette, told apart by colour-blind readers: jfly.uni-koeln.de/color.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8a9099"
_INK, _GRID = "#1f2933", "#e6e9ed"
_SQUARE = {"scaleanchor": "x", "scaleratio": 1, "constrain": "domain"}  # both axes in the same steps
_POINTS_SHOWN = 900
_KNOWN_SHOWN = 1200
_RANKED_SHOWN = 1000

Figure = dict[str, Any]


def rounded(values: NDArray[np.float64] | Sequence[float], digits: int = 4) -> list[float | None]:
    """Numbers for JSON: four digits, None for what is not finite."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]


def _layout(x_title: Words, y_title: Words, **more: Any) -> Figure:
    def axis(title: Words) -> Figure:
        return {
            "title": {"text": _escaped(title)._asdict(), "standoff": 8}, "gridcolor": _GRID, "zeroline": False,
            "linecolor": "#b8bfc7", "ticks": "outside", "tickcolor": "#b8bfc7", "automargin": True,
            "exponentformat": "power",
        }  # fmt: skip

    layout: Figure = {
        "xaxis": axis(x_title), "yaxis": axis(y_title), "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "font": {"color": _INK, "size": 13}, "paper_bgcolor": "white", "plot_bgcolor": "white",
        "hoverlabel": {"bgcolor": "white", "bordercolor": "#b8bfc7", "font": {"color": _INK}, "align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "hovermode": "closest",
    }  # fmt: skip
    for key, value in more.items():
        layout[key] = {**layout[key], **value} if isinstance(layout.get(key), dict) else value
    return layout


def _escaped(words: Words) -> Words:
    """Words as plotly.js takes them: it reads tags and entities in every text."""
    return Words(str(escape(words.en)), str(escape(words.zh)))


def parity_figure(
    name: str,
    held_out: HeldOut,
    *,
    log: bool,
    truth: Words = Words("computed", "计算"),  # noqa: B008  # it is frozen
) -> Figure:
    """Predicted against true value of held-out rows, each with its 90 % interval.

    Args:
        name: Property.
        held_out: The rows.
        log: Whether both axes are logarithmic.
        truth: What the true values are.
    """
    shown = np.arange(len(held_out.target))
    if len(shown) > _POINTS_SHOWN:
        shown = np.sort(np.random.default_rng(0).choice(shown, _POINTS_SHOWN, replace=False))
    part = HeldOut(*(values[shown] for values in held_out))
    inside = (part.target >= part.lo) & (part.target <= part.hi)
    unit = unit_text(property_named(name).unit)
    traces = []
    for chosen, colour, label in (
        (inside, BLUE, Words("inside its 90 % interval", "落在 90 % 区间内")),
        (~inside, ORANGE, Words("outside", "落在区间外")),
    ):
        rows = HeldOut(*(values[chosen] for values in part))
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": label._asdict(),
                "x": rounded(rows.target), "y": rounded(rows.median),
                "customdata": [list(pair) for pair in zip(rounded(rows.lo), rounded(rows.hi), strict=True)],
                "error_y": {
                    "type": "data", "symmetric": False, "array": rounded(rows.hi - rows.median),
                    "arrayminus": rounded(rows.median - rows.lo), "thickness": 0.7, "width": 0,
                    "color": _faint(colour),
                },
                "marker": {"color": colour, "size": 5, "opacity": 0.75},
                "hovertemplate": Words(
                    f"{truth.en} %{{x}} {unit}<br>predicted %{{y}} {unit}<br>"
                    "90 %: %{customdata[0]} to %{customdata[1]}<extra></extra>",
                    f"{truth.zh}值 %{{x}} {unit}<br>预测值 %{{y}} {unit}<br>"
                    "90 % 区间：%{customdata[0]} 至 %{customdata[1]}<extra></extra>",
                )._asdict(),
            }
        )  # fmt: skip
    ends = _parity_ends(held_out, log=log)
    line = {
        "type": "scatter", "mode": "lines", "x": rounded(ends), "y": rounded(ends), "line": {"color": _INK, "width": 1},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    label = axis_words(name)
    view = {**Axis(*ends, log).plotly(), "constrain": "domain"}
    layout = _layout(
        Words(f"{truth.en} {label.en}", f"{truth.zh}{label.zh}"), Words(f"predicted {label.en}", f"预测{label.zh}"),
        xaxis=view, yaxis={**view, **_SQUARE},
    )  # fmt: skip
    return {"data": [*traces, line], "layout": layout}


def _parity_ends(held_out: HeldOut, *, log: bool) -> tuple[float, float]:
    """Ends of both axes: all but the outermost half percent of each side."""
    both = np.concatenate([held_out.target, held_out.median])
    if log:
        both = np.log10(both[both > 0])
    low, high = np.quantile(both, (0.005, 0.995))
    margin = 0.05 * (high - low) or 0.5
    ends = float(low - margin), float(high + margin)
    return (10 ** ends[0], 10 ** ends[1]) if log else ends


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.28)"


def coverage_figure(card: dict[str, Any]) -> Figure:
    """How often intervals of a stated level held the computed value, with the scatter that chance alone would bring."""
    curve = np.array(card["scores"]["coverage_curve"], np.float64)
    level = np.linspace(0, 1, 41)
    spread = 1.96 * np.sqrt(level * (1 - level) / max(card.get("rows_trained", 1), 1))
    band = {"mode": "lines", "type": "scatter", "line": {"width": 0}, "hoverinfo": "skip", "x": rounded(level)}
    traces = [
        {**band, "y": rounded(level - spread), "showlegend": False},
        {
            **band, "y": rounded(level + spread), "fill": "tonexty", "fillcolor": "rgba(138,144,153,0.25)",
            "name": Words("expected scatter (95 %)", "随机波动范围（95 %）")._asdict(),
        },
        {
            "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"color": _INK, "width": 1},
            "hoverinfo": "skip", "showlegend": False,
        },
        {
            "type": "scatter", "mode": "lines+markers", "x": rounded(curve[:, 0]), "y": rounded(curve[:, 1]),
            "line": {"color": BLUE}, "marker": {"size": 7}, "name": Words("this surrogate", "本模型")._asdict(),
            "hovertemplate": "%{x:.0%} → %{y:.1%}<extra></extra>",
        },
    ]  # fmt: skip
    view = {"range": [0, 1], "tickformat": ".0%", "dtick": 0.2, "constrain": "domain"}
    layout = _layout(
        Words("stated level of the interval", "区间的名义水平"),
        Words("computed values inside", "计算值落入区间的比例"),
        xaxis=view, yaxis={**view, **_SQUARE},
    )  # fmt: skip
    return {"data": traces, "layout": layout}


def learning_figure(card: dict[str, Any], unit: str) -> Figure:
    """How the error falls with the number of training rows, and where it may go with up to twice as many.

    Args:
        card: Of a surrogate, with a learning curve.
        unit: Of its errors.
    """
    curve, unit = card["learning_curve"], unit_text(unit)
    hover = in_both_languages("%{x:,} → %{y} " + unit + "<extra></extra>")._asdict()
    traces = [*_expected_traces(curve, hover)]
    for of_model, colour, label in (
        (False, GREY, Words("small ensemble, scaled to this model", "小型模型（按本模型换算）")),
        (True, BLUE, Words("this model, out of fold", "本模型（交叉验证）")),
    ):
        points = [point for point in curve["points"] if (point["ensemble"] == "model") == of_model]
        if points:
            mae, low, high = (
                np.array([point[name] for point in points], np.float64) for name in ("mae", "low", "high")
            )
            traces.append(
                {
                    "type": "scatter", "mode": "markers", "name": label._asdict(),
                    "x": [point["rows"] for point in points], "y": rounded(mae), "hovertemplate": hover,
                    "error_y": {
                        "type": "data", "symmetric": False, "array": rounded(high - mae),
                        "arrayminus": rounded(mae - low), "thickness": 1.2, "width": 4, "color": _faint(colour),
                    },
                    "marker": {"color": colour, "size": 9},
                }
            )  # fmt: skip
    layout = _layout(
        Words("rows trained on", "训练数据行数"),
        in_both_languages(with_bracketed(Words("mean absolute error", "平均绝对误差"), unit)),
        xaxis={"rangemode": "tozero", "tickformat": ",.6~r"}, yaxis={"rangemode": "tozero"},
    )  # fmt: skip
    return {"data": traces, "layout": layout}


def _expected_traces(curve: dict[str, Any], hover: Figure) -> list[Figure]:
    """The range of the error that is expected with more rows, and the error expected with all rows there are."""
    steps = [{"labels": 0, "mae": curve["mae"], "low": curve["mae"], "high": curve["mae"]}, *curve["more"]]
    rows = [curve["rows"] + step["labels"] for step in steps]
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": rows}
    return [
        {**band, "y": rounded([step["low"] for step in steps]), "showlegend": False},
        {
            **band, "y": rounded([step["high"] for step in steps]), "fill": "tonexty", "fillcolor": _faint(ORANGE),
            "name": Words("expected with more labels (90 %)", "增加标注数据后的预期范围（90 %）")._asdict(),
        },
        {
            "type": "scatter", "mode": "lines+markers", "x": rows, "y": rounded([step["mae"] for step in steps]),
            "line": {"color": ORANGE, "width": 1.5, "dash": "dot"}, "marker": {"size": 7, "symbol": "diamond"},
            "name": Words("expected with all rows, and more", "使用全部数据及更多数据时的预期")._asdict(),
            "hovertemplate": hover,
        },
    ]  # fmt: skip


def distribution_figure(run: RunView, name: str) -> Figure:
    """Where the ranked and shortlisted candidates lie on the range of a single target."""
    axis = property_axis(run, name)
    low, high = axis.plotly()["range"]
    grid = low + (high - low) * (np.arange(DENSITY_BINS) + 0.5) / DENSITY_BINS
    x = rounded(10**grid if axis.log else grid)
    ranked = numbers(run.ranked, property_column(name, "pred"))
    traces = []
    for values, colour, label in (
        (run.held_out[name].target if name in run.held_out else np.empty(0), GREY, Words("training data", "训练数据")),
        (ranked[np.isfinite(ranked)], BLUE, Words("ranked candidates", "已排序候选材料")),
    ):
        if len(values):
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "x": x, "y": rounded(density(values, axis)), "fill": "tozeroy",
                    "fillcolor": _faint(colour), "line": {"color": colour, "width": 1.5}, "name": label._asdict(),
                    "hoverinfo": "skip",
                }
            )  # fmt: skip
    chosen = run.shortlisted
    value, lo, hi = (numbers(chosen, f"{name}_{suffix}") for suffix in ("pred", "lo", "hi"))
    hi = np.where(hi == np.inf, np.maximum(axis.high, value), hi)  # an open interval goes to the edge
    heights = 0.08 + 0.84 * (np.arange(len(chosen)) + 0.5) / max(len(chosen), 1)
    traces.append(
        {
            "type": "scatter", "mode": "markers+text", "x": rounded(value), "y": rounded(1 - heights),
            "text": [str(formula_markup(formula)) for formula in chosen.formulas], "textposition": "top center",
            "error_x": {
                "type": "data", "symmetric": False, "array": rounded(hi - value), "arrayminus": rounded(value - lo),
                "color": ORANGE, "thickness": 1.5, "width": 4,
            },
            "marker": {"color": ORANGE, "size": 9, "symbol": "diamond"},
            "name": Words("shortlisted, with 90 % interval", "入选，附 90 % 区间")._asdict(),
            "hovertemplate": f"%{{text}}: %{{x}} {unit_text(property_named(name).unit)}<extra></extra>",
        }
    )  # fmt: skip
    frequency = Words("relative frequency", "相对频率")
    layout = _layout(axis_words(name), frequency, xaxis=axis.plotly(), yaxis={"range": [0, 1.1]})
    layout["shapes"] = [_wanted_band(run.ranges[name], axis)]
    return {"data": traces, "layout": layout}


def _wanted_band(ends: tuple[float | None, float | None], axis: Axis) -> Figure:
    low = axis.low if ends[0] is None else max(ends[0], axis.low)
    high = axis.high if ends[1] is None else min(ends[1], axis.high)
    # plotly takes positions of shapes on a logarithmic axis as they are, not as exponents.
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 1, "layer": "below",
        "fillcolor": "rgba(0,158,115,0.12)", "line": {"width": 0},
    }  # fmt: skip


def tradeoff_data(run: RunView) -> dict[str, Any]:
    """Everything the page needs to plot any two targets against each other."""
    ranked = run.ranked.take(np.arange(min(len(run.ranked), _RANKED_SHOWN)))
    properties = {}
    for name in run.properties:
        axis = property_axis(run, name)
        values = {key: rounded(numbers(ranked, f"{name}_{key}")) for key in ("pred", "lo", "hi")}
        properties[name] = {
            "label": property_words(name)._asdict(), "axis": _escaped(axis_words(name))._asdict(),
            "wanted": run.ranges[name],
            "unit": unit_text(property_named(name).unit), "view": axis.plotly(), "ends": [axis.low, axis.high],
            **values, "probability": rounded(numbers(ranked, probability_of(name))),
        }  # fmt: skip
    return {
        "properties": properties,
        "first": _hardest_two(run),
        "formula": [str(formula_markup(formula)) for formula in ranked.formulas],
        "place": [int(place) for place in ranked.column(Column.SHORTLISTED)],
        "rank": [int(rank) for rank in ranked.column(Column.RANK)],
        "probability": rounded(numbers(ranked, Column.PROBABILITY)),
        "known": _known_values(run.training.known, run.properties),
    }


def _hardest_two(run: RunView) -> list[str]:
    """The two targets that ranked candidates are least likely to meet, which is where choices have to be made."""
    chance = {name: np.nan_to_num(numbers(run.ranked, probability_of(name))).mean() for name in run.properties}
    hardest = sorted(run.properties, key=lambda name: chance[name])[:2]
    return sorted(hardest, key=run.properties.index)


def _known_values(known: KnownMaterials, names: list[str]) -> dict[str, Any]:
    """Labels of known compounds that have at least two of the properties, at most some hundred of them."""
    columns = {name: known.labels[name] for name in names}
    rows = np.flatnonzero(np.isfinite(list(columns.values())).sum(axis=0) >= min(2, len(names)))
    if len(rows) > _KNOWN_SHOWN:
        rows = np.sort(np.random.default_rng(0).choice(rows, _KNOWN_SHOWN, replace=False))
    formulas = [str(formula_markup(formula)) for formula in known.rows.table[Column.FORMULA].take(rows).to_pylist()]
    return {"formula": formulas, **{name: rounded(values[rows]) for name, values in columns.items()}}
