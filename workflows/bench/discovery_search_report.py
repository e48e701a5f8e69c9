"""Output of a search for hits: lines on the screen, ``discovery.json`` and a page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from matloop.data.plain_text import counted
from matloop.data.whole_files import write_json, write_text
from matloop.workflows.bench.discovery_search import Search, SearchRun
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.pages import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    axis,
    figure,
    left_out_words,
    line,
    print_table,
    render,
)
from matloop.workflows.bench.quantities import quantity_named
from matloop.workflows.bench.seeds import plain
from matloop.workflows.bench.strategies import RANDOM
from matloop.workflows.bench.wanted_targets import hits_among

SHARES = {"first": 0.0, "half": 0.5, "all": 1.0}
"""Shares of the hits to be found; the first hit counts as one whatever its share."""
_HEADINGS = ("strategy", "first hit", "half", "all", "hits found", "times random")


def write_search(run: SearchRun, folder: Path) -> None:
    """Write ``discovery.json`` and ``report.html`` into a folder."""
    result = search_json(run)
    write_json(folder / "discovery.json", result)
    write_text(folder / "report.html", render_search(run, result))


def search_json(run: SearchRun) -> dict[str, Any]:
    """The run as plain JSON values; all but ``seconds`` and ``machine`` is the same for the same seeds and versions."""
    data, settings = run.data, run.settings
    strategies = [RANDOM, *settings.strategies]
    return plain(
        {
            "benchmark": "discovery",
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
            "family": settings.family,
            "transform": ", ".join(data.transforms.values()),
            "command": command(run),
            "settings": {**vars(settings), "targets": [str(target) for target in settings.targets]},
            "strategies": {name: summary_of(run, name) for name in strategies},
            "by_seed": [search._asdict() for search in run.searches],
            "machine": describe_machine(),
            "seconds": {"features": round(data.seconds, 1), "all": round(run.seconds, 1)},
        }
    )


def command(run: SearchRun) -> str:
    """The command that repeats the figures; the file is named without its folder."""
    settings, words = run.settings, ["matloop", "bench", "discovery", "--data", run.data.name]
    words += [word for target in settings.targets for word in ("--target", str(target))]
    words += [word for name in settings.strategies for word in ("--strategy", name)]
    for option in ("top", "first", "batch", "rounds", "seeds", "family"):
        words += [f"--{option}", str(getattr(settings, option))]
    words += [word for feature in run.data.feature_names for word in ("--features", feature)]
    return shlex.join(words)


def summary_of(run: SearchRun, strategy: str) -> dict[str, Any]:
    """Labels to shares of the hits, and hits found with the labels of all rounds, of one strategy.

    Returns:
        For each of :data:`SHARES` the median number of labels over the seeds (None where less than half of them got so
        far), and how many got so far; the mean number of hits and of hits found within the labels of all rounds; and
        that number over the one expected of an order of chance.
    """
    searches = [search for search in run.searches if search.strategy == strategy]
    budget = run.settings.batch * run.settings.rounds
    to_find = {name: [labels_to(search, share) for search in searches] for name, share in SHARES.items()}
    found = [sum(place <= budget for place in search.places) for search in searches]
    by_chance = [search.hits * min(budget / search.pool, 1.0) for search in searches]
    return {
        "labels": {
            name: {"median": float(np.median(values)), "seeds": int(np.isfinite(values).sum())}
            for name, values in to_find.items()
        },
        "hits": float(np.mean([search.hits for search in searches])),
        "found": float(np.mean(found)),
        "by_chance": float(np.mean(by_chance)),
        "times_chance": float(np.sum(found) / np.sum(by_chance)) if np.sum(by_chance) else math.nan,
    }


def labels_to(search: Search, share: float) -> float:
    """Labels after which a share of the hits of a search was found, at least one; infinite where it was not.

    >>> labels_to(Search("greedy", 0, 90, 3, 0, [0, 20], [0, 2], [4, 9]), 0.5)
    9.0
    """
    needed = max(math.ceil(share * search.hits - 1e-9), 1)
    return float(search.places[needed - 1]) if needed <= len(search.places) else math.inf


def search_rows(result: dict[str, Any]) -> list[list[str]]:
    """Name and figures of each strategy, as text."""
    seeds = result["settings"]["seeds"]
    return [
        [
            name,
            *(_labels(found["labels"][share], seeds) for share in SHARES),
            f"{found['found']:.1f} of {found['hits']:.1f}",
            "–" if found["times_chance"] is None else f"{found['times_chance']:.1f}",
        ]
        for name, found in result["strategies"].items()
    ]


def _labels(found: dict[str, Any], seeds: int) -> str:
    reached = f" ({found['seeds']} of {seeds})"
    return f"{'–' if found['median'] is None else format(found['median'], '.0f')}{reached}"


def search_sentences(run: SearchRun, result: dict[str, Any]) -> list[str]:
    """What was searched for, in what, and what the figures mean."""
    data, settings = run.data, run.settings
    wanted = " and ".join(_in_words(name, ends) for name, ends in run.ranges.items())
    empty = sum(search.hits_before == 0 for search in run.searches if search.strategy == RANDOM)
    budget = settings.batch * settings.rounds
    return [
        f"{result['hits']:,} of {len(data.candidates):,} candidates ({result['formulas']:,} formulas) of {data.name} "
        f"meet {wanted}.",
        f"{counted(settings.seeds, 'seed')}: {settings.first} candidates are labelled at random, then "
        f"{settings.batch} in each of at most {settings.rounds} rounds. The first labels of {empty} seeds hold no hit.",
        "First hit, half, all: labels until they are found, median over the seeds, and in how many of them they were. "
        f"Hits found: within {budget} labels beside the first ones. "
        "Times random: over what an order of chance finds with as many.",
    ]


def _in_words(name: str, ends: Sequence[float]) -> str:
    known = quantity_named(name)
    unit = "" if known.unit == "1" else f" {known.unit}"
    if np.isfinite(ends).all():
        return f"{known.label.en} {ends[0]:.4g} to {ends[1]:.4g}{unit}"
    sign, value = ("≥", ends[0]) if np.isinf(ends[1]) else ("≤", ends[1])
    return f"{known.label.en} {sign} {value:.4g}{unit}"


def print_search(run: SearchRun, console: Console) -> None:
    """Print what was searched for and the figures of each strategy."""
    result = search_json(run)
    for sentence in search_sentences(run, result):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for reason, count in left_out_words(run.data.left_out):
        console.print(f"  left out: {count:,} – {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    print_table(console, _HEADINGS, search_rows(result))


def render_search(run: SearchRun, result: dict[str, Any]) -> str:
    """The page: figures of each strategy, and hits found against labels."""
    return render(
        "search.html.j2", run.data, {"found": _found_figure(run)},
        result=result,
        title="Search for " + " and ".join(_in_words(name, ends) for name, ends in run.ranges.items()),
        sentences=search_sentences(run, result),
        headings=_HEADINGS,
        strategies=search_rows(result),
    )  # fmt: skip


def _found_figure(run: SearchRun) -> dict[str, Any]:
    """Mean share of the hits that each strategy found, against labels; the order of chance as it is on average."""
    budget = min(run.settings.batch * run.settings.rounds, len(run.data.candidates) - run.settings.first)
    steps = np.arange(budget + 1)
    traces = []
    for name, color in zip(run.settings.strategies, (BLUE, ORANGE, GREY), strict=False):
        searches = [search for search in run.searches if search.strategy == name and search.hits]
        shares = [np.searchsorted(search.places, steps, side="right") / search.hits for search in searches]
        if shares:
            traces.append(line(steps, np.mean(shares, axis=0), color, name=name))
    pool = np.mean([search.pool for search in run.searches])
    traces.append(line([0, budget], [0, budget / pool], INK, name="at random") | {"line": {"color": INK, "width": 1}})
    return figure(
        traces, axis("labels beside the first ones"), axis("share of the hits", tickformat=".0%", range=[0, 1.03])
    )
