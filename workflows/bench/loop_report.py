"""Output of a replayed loop: lines on the screen, ``loop.json`` and a page in English and Chinese."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from matloop.data.whole_files import write_json, write_text
from matloop.screening.language.text import Words
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.loop_measures import (
    Figures,
    Spread,
    expected_by_chance,
    fewer_than,
    figures_of,
    measurements_to,
    oracle_acceleration,
    place_of,
)
from matloop.workflows.bench.loop_replay import LoopRun
from matloop.workflows.bench.loop_strategies import RANDOM
from matloop.workflows.bench.loop_words import data_words, plain_sentence, saving_sentence, strategy_words
from matloop.workflows.bench.pages import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    axis,
    band,
    figure,
    left_out_words,
    line,
    print_table,
    render,
)
from matloop.workflows.bench.seeds import plain
from matloop.workflows.bench.wanted_targets import hits_among

_HEADINGS = (
    Words("strategy", "策略"), Words("to the goal", "达标测量数"),
    Words("one by one", "逐个计"), Words("seeds", "种子"),
    Words("acceleration", "加速因子"), Words("enhanced", "增强因子"), Words("yield", "发现率"),
    Words("a hit", "命中概率"), Words("sooner", "早于随机"),
)  # fmt: skip
_BANDS = {
    BLUE: "rgba(0,114,178,0.15)", ORANGE: "rgba(213,94,0,0.15)", GREEN: "rgba(0,158,115,0.15)",
    GREY: "rgba(138,144,153,0.15)",
}  # fmt: skip


def write_loop(run: LoopRun, folder: Path) -> None:
    """Write ``loop.json`` and ``report.html`` into a folder."""
    result = loop_json(run)
    write_json(folder / "loop.json", result)
    write_text(folder / "report.html", render_loop(run, result))


def loop_json(run: LoopRun) -> dict[str, Any]:
    """The run as plain JSON values; all but ``seconds`` and ``machine`` is the same for the same seeds and versions."""
    data, settings = run.data, run.settings
    names = (RANDOM, *settings.strategies)
    first, rivals = settings.strategies[0], settings.strategies[1:]
    content: dict[str, Any] = plain(
        {
            "benchmark": "loop",
            "data": data.name,
            "sha256": data.sha256,
            "column": ", ".join(data.columns.values()),
            "rows": data.rows,
            "rows_used": len(data.candidates),
            "rows_left_out": data.left_out,
            "formulas": len(np.unique(data.groups)),
            "hits": int(hits_among(data.labels, run.ranges).sum()),
            "ranges": run.ranges,
            "features": data.feature_names,
            "feature_fingerprint": data.features.fingerprint,
            "strategies_replayed": list(settings.strategies),
            "command": command(run),
            "settings": {**vars(settings), "targets": [str(target) for target in settings.targets]},
            "sentence": plain_sentence(run)._asdict(),
            "oracle_acceleration": oracle_acceleration(run),
            "strategies": {name: _as_json(figures_of(run, name)) for name in names},
            "fewer_measurements": {name: fewer_than(run, first, name) for name in rivals},
            "fewer_one_by_one": {
                name: fewer_than(run, first, name, count=place_of) for name in settings.strategies[1:]
            },
            "by_seed": [replay._asdict() for replay in run.replays],
            "machine": describe_machine(),
            "seconds": {"features": round(data.seconds, 1), "all": round(run.seconds, 1)},
        }
    )
    return content


def _as_json(figures: Figures) -> dict[str, Any]:
    spreads = ("needed", "one_by_one", "acceleration")
    return {**figures._asdict(), **{name: getattr(figures, name)._asdict() for name in spreads}}


def command(run: LoopRun) -> str:
    """The command that repeats the figures; the file is named without its folder."""
    settings, words = run.settings, ["matloop", "bench", "loop", "--data", run.data.name]
    words += [word for target in settings.targets for word in ("--target", str(target))]
    words += [word for name in settings.strategies for word in ("--strategy", name)]
    for option in ("top", "first", "batch", "budget", "goal", "seeds"):
        words += [f"--{option}", str(getattr(settings, option))]
    words += [word for feature in run.data.feature_names for word in ("--features", feature)]
    return shlex.join(words)


def loop_rows(run: LoopRun) -> list[list[Any]]:
    """Name and figures of chance and of each strategy; where a figure has no value, a dash."""
    rows: list[list[Any]] = []
    for name in (RANDOM, *run.settings.strategies):
        found = figures_of(run, name)
        by_chance = name == RANDOM
        rows.append([
            strategy_words(name), _counts(found.needed), _counts(found.one_by_one), f"{found.reached}/{found.seeds}",
            "1" if by_chance else _factors(found.acceleration), "1" if by_chance else f"{found.enhancement:.1f}",
            f"{100 * found.discovery_yield:.0f} %", f"{100 * found.probability:.1f} %",
            "–" if by_chance else f"{found.sooner}/{found.seeds}",
        ])  # fmt: skip
    return rows


def _counts(needed: Spread) -> str:
    ends = [f"{value:,.0f}" if math.isfinite(value) else "–" for value in needed]
    return f"{ends[0]} ({ends[1]}-{ends[2]})"


def _factors(factors: Spread) -> str:
    return f"{factors.median:.1f} ({factors.low:.1f}-{factors.high:.1f})"


def print_loop(run: LoopRun, console: Console) -> None:
    """Print what was replayed, the figures of each strategy, and the plain sentence in both languages."""
    for sentence in data_words(run):
        console.print(sentence.en, markup=False, highlight=False, soft_wrap=True)
    for reason, count in left_out_words(run.data.left_out):
        console.print(f"  left out: {count:,} – {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    rows = [[cell.en if isinstance(cell, Words) else cell for cell in row] for row in loop_rows(run)]
    print_table(console, [heading.en for heading in _HEADINGS], rows)
    console.print()
    for name in run.settings.strategies[1:]:
        console.print(saving_sentence(run, name).en, markup=False, highlight=False, soft_wrap=True)
    for text in plain_sentence(run):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def render_loop(run: LoopRun, result: dict[str, Any]) -> str:
    """The page: the plain sentence, figures of each strategy, and hits found against measurements."""
    ranges = " and ".join(result["settings"]["targets"])
    return render(
        "loop.html.j2", run.data, {"found": _found_figure(run)}, bilingual=True,
        result={**result, "family": ", ".join(run.settings.strategies), "transform": ""},
        title=Words(f"Replayed loop: {ranges}", f"回放闭环：{ranges}"),
        headline=plain_sentence(run),
        sentences=[*data_words(run), *(saving_sentence(run, name) for name in run.settings.strategies[1:])],
        headings=_HEADINGS, strategies=loop_rows(run),
        seed_headings=[
            Words("seed", "种子"), Words("hits", "目标材料"), Words("chance on average", "随机平均"),
            *(strategy_words(name) for name in (RANDOM, *run.settings.strategies)),
        ],
        seeds=_by_seed(run),
    )  # fmt: skip


def _by_seed(run: LoopRun) -> list[list[str]]:
    """Measurements of each seed to the goal, by chance on average, by its own order of chance, and by each strategy."""
    goal, rows = run.settings.goal, []
    for number, chance in enumerate(run.of(RANDOM)):
        own = [measurements_to(run.of(name)[number], goal) for name in (RANDOM, *run.settings.strategies)]
        cells = [f"{value:,.0f}" if math.isfinite(value) else "–" for value in own]
        rows.append([str(chance.seed), str(chance.hits), f"{expected_by_chance(chance, goal):,.0f}", *cells])
    return rows


def _found_figure(run: LoopRun) -> dict[str, Any]:
    """Median share of the hits found against measurements, with bands over all seeds; chance as it is on average."""
    end = min(run.settings.budget, len(run.data.candidates) - run.settings.first)
    steps = np.arange(0, end + 1)
    traces = []
    for name, color in zip(run.settings.strategies, (BLUE, ORANGE, GREEN, GREY), strict=False):
        curves = _curves(run, name, steps)
        words = strategy_words(name)
        if len(curves):
            traces += band(steps, curves.min(axis=0), curves.max(axis=0), _BANDS[color])
            traces.append(line(steps, np.median(curves, axis=0), color, name=words._asdict()))
    pool = float(np.mean([replay.pool for replay in run.of(RANDOM)]))
    traces.append(
        line([0, end], [0, end / pool], INK, name={"en": "at random", "zh": "随机"})
        | {"line": {"color": INK, "width": 1}}
    )
    return figure(
        traces, axis({"en": "measurements after the first ones", "zh": "初始测量之后的测量数"}),
        axis({"en": "share of the hits found", "zh": "已找到的目标材料比例"}, tickformat=".0%", range=[0, 1.03]),
    )  # fmt: skip


def _curves(run: LoopRun, strategy: str, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the hits found after each number of measurements, whole batches only, by seed."""
    found = []
    for replay in run.of(strategy):
        if replay.hits:
            place = np.searchsorted(replay.evaluated, steps, side="right") - 1
            found.append(np.array(replay.found)[place] / replay.hits)
    return np.array(found)
