"""Output of a replay of labelled data: lines on the screen, ``discovery.json`` and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from matloop.data.whole_files import write_json, write_text
from matloop.screening.language.text import number, percent, with_unit
from matloop.workflows.bench.discovery import CURVE, DiscoveryRun
from matloop.workflows.bench.discovery_rounds import SHARES, Replay
from matloop.workflows.bench.pages import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    Summary,
    axis,
    band,
    command_line,
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

_FIGURES = {
    "chosen": "rows", "precision": "precision", "recall": "recall", "f1": "F1", "daf": "DAF",
    "false_discovery": "share of misses",
}  # fmt: skip
_SHARES = ("precision", "recall", "false_discovery")
_BAND = {BLUE: "rgba(0,114,178,0.18)", ORANGE: "rgba(213,94,0,0.18)"}


def write_discovery(run: DiscoveryRun, folder: Path) -> None:
    """Write ``discovery.json`` and ``report.html`` into a folder."""
    result = discovery_json(run)
    write_json(folder / "discovery.json", result)
    write_text(folder / "report.html", render_discovery(run, result))


def discovery_json(run: DiscoveryRun) -> dict[str, Any]:
    """The run as plain JSON values; all but ``seconds`` and ``machine`` is the same for the same seeds and versions."""
    settings, seeds = run.settings, run.seeds
    model = settings.model
    options = {
        "direction": settings.direction, "top": settings.top, "seeds": settings.seeds, "labelled": settings.labelled,
        "shortlist": settings.shortlist, "max-false-discovery": settings.max_false_discovery,
        "batch": settings.batch, "rounds": settings.rounds, "threshold": settings.threshold,
    }  # fmt: skip
    by_seed = [seed._replace(rounds=None)._asdict() for seed in seeds]
    for entry, seed in zip(by_seed, seeds, strict=True):
        del entry["seconds"], entry["found"], entry["rounds"]
        entry["hits_at"] = {k: hits for k, (hits, _) in seed.hits_at.items()}
        if seed.rounds:
            entry["rounds"] = seed.rounds._asdict()
    return plain(
        {
            "benchmark": "discovery",
            **provenance(run.data, model, command_line("discovery", run.data, model, options)),
            "settings": {name.replace("-", "_"): value for name, value in options.items()},
            "mean": {
                "labelled": summary([seed.labelled for seed in seeds]),
                "pool": summary([seed.pool for seed in seeds]),
                "not_predicted": summary([seed.not_predicted for seed in seeds]),
                "prevalence": summary([seed.prevalence for seed in seeds]),
                "threshold": summary([seed.threshold for seed in seeds]),
                "shortlists": {
                    name: {key: summary([seed.shortlists[name][key] for seed in seeds]) for key in figures}
                    for name, figures in seeds[0].shortlists.items()
                },
                "hits_at": {
                    k: {
                        "hits": summary([seed.hits_at[k][0] for seed in seeds if k in seed.hits_at]),
                        "at_random": summary([seed.hits_at[k][1] for seed in seeds if k in seed.hits_at]),
                    }
                    for k in seeds[0].hits_at
                },
            },
            "rounds": _rounds_json([seed.rounds for seed in seeds if seed.rounds]),
            "seeds_without_a_hit": sum(seed.prevalence == 0 for seed in seeds),
            "by_seed": by_seed,
            "seconds": {"features": round(run.data.seconds, 1), "all": round(run.seconds, 1)},
        }
    )


def _rounds_json(replays: list[Replay]) -> dict[str, Any] | None:
    if not replays:
        return None
    last = [replay.enhancement[-1] if len(replay.enhancement) else np.nan for replay in replays]
    return {
        "best_in_pool": summary([replay.best for replay in replays]),
        "evaluated": summary([replay.evaluated[-1] for replay in replays]),
        "share_found": summary([replay.found[-1] / replay.best if replay.best else np.nan for replay in replays]),
        "enhancement": summary(last),
        "to_find": {
            f"{share:.0%}": {
                "evaluations": summary([replay.evaluations[place] for replay in replays]),
                "acceleration": summary([replay.acceleration[place] for replay in replays]),
            }
            for place, share in enumerate(SHARES)
        },
    }


def print_discovery(run: DiscoveryRun, console: Console) -> None:
    """Print shortlists, hits at the top of the ranking, and rounds."""
    result = discovery_json(run)
    print_data(run.data, console)
    for sentence in _sentences(run, result):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    console.print()
    print_table(console, ("shortlist", *_FIGURES.values()), shortlist_rows(result))
    console.print(
        f"Mean ± standard error over {run.settings.seeds} seeds; (n of m): seeds in which the figure is defined. "
        "DAF: precision over prevalence.\n",
        highlight=False,
        soft_wrap=True,
    )
    print_table(console, ("first of the ranking", "hits", "at random"), hits_rows(result))
    if result["rounds"]:
        console.print()
        console.print(_rounds_sentence(run, result), markup=False, highlight=False, soft_wrap=True)
        print_table(console, _ROUND_HEADINGS, round_rows(result))


def shortlist_rows(result: dict[str, Any]) -> list[list[str]]:
    """Name and figures of each shortlist."""
    return [
        [
            name,
            *(
                mean_and_error(figures[key], share=key in _SHARES, seeds=result["settings"]["seeds"])
                for key in _FIGURES
            ),
        ]
        for name, figures in result["mean"]["shortlists"].items()
    ]


def hits_rows(result: dict[str, Any]) -> list[list[str]]:
    """Hits among the first k of the ranking, and among k random rows."""
    return [
        [k, mean_and_error(found["hits"]), mean_and_error(found["at_random"])]
        for k, found in result["mean"]["hits_at"].items()
    ]


_ROUND_HEADINGS = ("share of the best", "evaluations", "acceleration", "95 % interval", "seeds that reached it")


def round_rows(result: dict[str, Any]) -> list[list[str]]:
    """Evaluations and acceleration to find shares of the best."""
    return [
        [
            share, mean_and_error(found["evaluations"]), mean_and_error(found["acceleration"]),
            interval_text(found["acceleration"]), f"{found['acceleration']['seeds']} of {result['settings']['seeds']}",
        ]
        for share, found in result["rounds"]["to_find"].items()
    ]  # fmt: skip


def _sentences(run: DiscoveryRun, result: dict[str, Any]) -> list[str]:
    settings, mean = run.settings, result["mean"]
    sign = "≥" if settings.direction == "max" else "≤"
    threshold = with_unit(number(mean["threshold"]["mean"]), run.data.known.unit)
    top = f"the top {percent(settings.top, 1)} of the labelled rows"
    reached = top if settings.threshold is None else "the threshold"
    sentences = [
        f"{settings.seeds} seeds: {mean['labelled']['mean']:,.0f} rows labelled, {mean['pool']['mean']:,.0f} to choose "
        f"from. A hit reaches {reached} ({sign} {threshold} on average): "
        f"{mean_and_error(mean['prevalence'], share=True)} of the pool.",
        f"Conformal selection: expected share of misses at most {percent(settings.max_false_discovery)}.",
    ]
    if mean["not_predicted"]["mean"]:
        sentences.append(
            f"{number(mean['not_predicted']['mean'])} rows of the pool on average got no prediction (an element new to "
            "the model); they are ranked last and count as not chosen."
        )
    if result["seeds_without_a_hit"]:
        sentences.append(f"{result['seeds_without_a_hit']} seeds had no hit in the pool: no recall and no DAF.")
    return sentences


def _rounds_sentence(run: DiscoveryRun, result: dict[str, Any]) -> str:
    settings, rounds = run.settings, result["rounds"]
    count = f"{settings.rounds} round{'s' if settings.rounds > 1 else ''} of {settings.batch}"
    return (
        f"{count}: {number(rounds['evaluated']['mean'])} evaluations found "
        f"{mean_and_error(rounds['share_found'], share=True)} of the {number(rounds['best_in_pool']['mean'])} rows of "
        f"the pool that are in the top {percent(settings.top, 1)} of all rows; "
        f"enhancement over a random order {mean_and_error(rounds['enhancement'])}."
    )


def render_discovery(run: DiscoveryRun, result: dict[str, Any]) -> str:
    """The run as one HTML page.

    Args:
        run: The run.
        result: The same as JSON values, see :func:`discovery_json`.
    """
    figures = {"found": _found_figure(run), "daf": _daf_figure(result)}
    if result["rounds"]:
        figures["rounds"] = _rounds_figure(run)
    best = result["mean"]["shortlists"]["most probable"]
    return render(
        "discovery.html.j2", run.data, figures,
        result=result,
        title=f"Discovery of {'high' if run.settings.direction == 'max' else 'low'} {run.data.known.label_en}",
        headline=(mean_and_error(best["daf"]), interval_text(best["daf"])),
        sentences=_sentences(run, result),
        rounds_sentence=_rounds_sentence(run, result) if result["rounds"] else "",
        headings=list(_FIGURES.values()),
        shortlists=shortlist_rows(result),
        hits=hits_rows(result),
        round_headings=_ROUND_HEADINGS,
        rounds=round_rows(result) if result["rounds"] else [],
        by_seed=[(seed, seed.shortlists["most probable"]) for seed in run.seeds],
    )  # fmt: skip


def _mean_band(curves: np.ndarray) -> tuple[Any, Any, Any]:
    """Mean of curves, one a row, and one standard error below and above."""
    usable = curves[np.isfinite(curves).any(axis=1)]
    if len(usable) == 0:
        empty = np.full(curves.shape[1], np.nan)
        return empty, empty, empty
    mean = usable.mean(axis=0)
    error = usable.std(axis=0, ddof=1) / np.sqrt(len(usable)) if len(usable) > 1 else np.zeros_like(mean)
    return mean, mean - error, mean + error


def _found_figure(run: DiscoveryRun) -> dict[str, Any]:
    """Share of the hits among the first rows of the ranking."""
    mean, low, high = _mean_band(np.array([seed.found for seed in run.seeds]))
    prevalence = float(np.mean([seed.prevalence for seed in run.seeds]))
    traces = [
        *band(CURVE, low, high, _BAND[BLUE]),
        line(CURVE, mean, BLUE, name="by probability"),
        line([0, prevalence, 1], [0, 1, 1], GREY, name="perfect order") | {"line": {"color": GREY, "dash": "dot"}},
        line([0, 1], [0, 1], INK, name="at random") | {"line": {"color": INK, "width": 1}},
    ]
    return figure(
        traces, axis("share of the pool, most probable first", tickformat=".0%", range=[0, 1]),
        axis("share of the hits", tickformat=".0%", range=[0, 1.03]),
    )  # fmt: skip


def _daf_figure(result: dict[str, Any]) -> dict[str, Any]:
    """Precision and recall of each shortlist with their 95 % intervals."""
    names = list(result["mean"]["shortlists"])

    def bars(key: str, label: str, color: str) -> dict[str, Any]:
        found: list[Summary] = [result["mean"]["shortlists"][name][key] for name in names]
        return {
            "type": "bar", "name": label, "x": names, "y": [one["mean"] for one in found],
            "error_y": reach_of_shares(found, INK), "marker": {"color": color},
            "hovertemplate": "%{y:.1%}<extra></extra>",
        }  # fmt: skip

    traces = [bars("precision", "precision", BLUE), bars("recall", "recall", ORANGE)]
    return figure(traces, axis(""), axis("share", tickformat=".0%", range=[0, 1.03]), barmode="group")


def _rounds_figure(run: DiscoveryRun) -> dict[str, Any]:
    """Share of the best found against evaluations."""
    replays = [seed.rounds for seed in run.seeds if seed.rounds and seed.rounds.best]
    if not replays:
        return figure([], axis("evaluations"), axis("share of the best found"))
    end = max(int(replay.evaluated[-1]) for replay in replays)
    steps = np.linspace(0, end, 101)
    curves = np.array([np.interp(steps, replay.evaluated, replay.found / replay.best) for replay in replays])
    mean, low, high = _mean_band(curves)
    pool = float(np.mean([replay.pool for replay in replays]))
    traces = [
        *band(steps, low, high, _BAND[ORANGE]),
        line(steps, mean, ORANGE, name="rounds"),
        line([0, end], [0, min(end / pool, 1)], INK, name="at random") | {"line": {"color": INK, "width": 1}},
    ]
    return figure(traces, axis("evaluations"), axis("share of the best found", tickformat=".0%", range=[0, 1.03]))
