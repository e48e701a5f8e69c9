"""What ``matloop why`` prints: a candidate's story in sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import OwnList, holders_in_words
from matloop.screening.language.tradeoffs import CRITERIA
from matloop.workflows.inspecting.run_rows import WAITING
from matloop.workflows.inspecting.why import Told, story_of
from matloop.workflows.stages.fates import QUARANTINED, SCORED, SHORTLISTED
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import json_text, number_text, reason_text

_MOST_MATCHES, _MOST_REPEATS = 40, 5


def print_why(folder: Path, text: str, *, as_json: bool = False) -> bool:
    """Print the story of a candidate, or which ones are meant.

    Returns:
        Whether every file could be read.

    Raises:
        RunError: If there is no run in the folder, or no such candidate in the run.
        CampaignError: If the campaign in the run directory cannot be read.
    """
    story = story_of(folder, text)
    if as_json:
        print(json_text(story))
        return not story["problems"]
    console = Console(highlight=False)
    parts = _matches(story["matches"]) if "matches" in story else _story(story)
    for part in parts:
        if isinstance(part, str):
            console.print(Text(part), soft_wrap=True)
        else:
            print_table(console, "", part.headings, part.rows, keys=part.keys)
    for problem in story["problems"]:
        console.print(Text(f"Damaged: {one_line(problem)}"), soft_wrap=True)
    return not story["problems"]


class _Rows(NamedTuple):
    """A table within a story; its first ``keys`` columns tell what a row is about."""

    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    keys: int


def _matches(matches: list[Told]) -> Iterator[str | _Rows]:
    yield f"{len(matches):,} candidates are meant; ask for one of them by its id:"
    headings = [Heading("id"), Heading("formula"), Heading("origin"), Heading("after the first stage", breaks=True)]
    rows = []
    for row in matches[:_MOST_MATCHES]:
        reason = reason_text(row["code"], row["value"], row["limit"]) if row["code"] else ""
        told = f"{row['outcome']} {reason}"
        rows.append((row["candidate_id"], row["formula"], row["origin"] or row["detail"], told))
    yield _Rows(headings, rows, 1)
    if len(matches) > _MOST_MATCHES:
        yield f"and {len(matches) - _MOST_MATCHES:,} more"


def _story(story: Told) -> Iterator[str | _Rows]:
    yield _head(story)
    yield from _origin(story["came_from"])
    if story["crystal"]:
        yield _cell(story["crystal"])
    if any(stage["predictions"] for stage in story["stages"]):
        yield ""
        yield _predictions(story)
        yield ""
    for stage in story["stages"]:
        yield from _stage(stage)
    if story["equal_to"]:
        equal = story["equal_to"]
        yield f"It is the same crystal as {equal['candidate_id']}, which stands for both ({equal['probability']:.3f})."
    yield from _ranking(story)


def _head(story: Told) -> str:
    outcome, name = story["outcome"], f"{one_line(story['formula'])} ({story['candidate_id']})"
    stage, meaning = one_line(outcome["stage"]), one_line(outcome["meaning"])
    if outcome["outcome"] == SHORTLISTED:
        place, size = one_line(outcome["value"]), one_line(outcome["limit"])
        return f"{name} is shortlisted, place {place} of at most {size}."
    if outcome["outcome"] == WAITING:
        return f"{name} has no outcome yet (stage {stage}): {meaning}."
    verb = "quarantined" if outcome["outcome"] == QUARANTINED else "rejected"
    return f"{name} was {verb} (stage {stage}): {meaning}."


def _origin(came: Told) -> Iterator[str]:
    sources = " or ".join(map(one_line, came["sources"]))
    told = f"It came from {sources}" + (f" as {one_line(came['origin'])}" if came["origin"] else "")
    yield f"{told}, in partition {came['partition']}."
    if (holders := came[Column.KNOWN_TO]) is not None:
        own_list = None if came["own_list"] is None else OwnList(**came["own_list"])
        yield f"Its composition is {one_line(holders_in_words(holders, own_list).en)}."
    repeats = came["repeated_by"]
    if repeats:
        shown = ", ".join(one_line(text) or "without a name" for text in repeats[:_MOST_REPEATS])
        more = f" and {len(repeats) - _MOST_REPEATS:,} more" if len(repeats) > _MOST_REPEATS else ""
        yield f"It was given {len(repeats) + 1:,} times; these repeat it: {shown}{more}."


def _cell(crystal: Told) -> str:
    lengths = ", ".join(f"{length:.3f}" for length in crystal["lengths"])
    angles = ", ".join(f"{angle:.1f}" for angle in crystal["angles"])
    group = crystal["space_group_number"]
    symbol = ""
    if group is not None and 1 <= group <= 230:
        from moyopy import SpaceGroupType

        symbol = f"space group {SpaceGroupType(group).hm_short.replace(' ', '')} ({group}), "
    return (
        f"Crystal: {symbol}{crystal['sites']} sites, axes {lengths} Å, angles {angles}°, "
        f"{crystal['volume_per_atom']:.2f} Å3 per atom."
    )


def _predictions(story: Told) -> _Rows:
    """Every stage's predictions; those of the shortlisted hold for what was picked."""
    headings = [Heading(text) for text in ("stage", "property", "prediction", "90 % interval", "P(target)")]
    rows = []
    blocks = [(stage["stage"], stage["predictions"]) for stage in story["stages"]]
    picked = (story["ranking"] or {}).get("predictions", [])
    if story["outcome"]["outcome"] == SHORTLISTED and any(told["low"] is not None for told in picked):
        blocks.append(("as picked", picked))
    for stage, predictions in blocks:
        for told in predictions:
            unit = "" if told["unit"] == "1" else f" {told['unit']}"
            interval = f"{_interval(told)}{unit}" if told["low"] is not None else ""
            computed = told.get("computed")
            value = f"{_figure(told['value'])}{unit}" + (f", computed {_figure(computed)}" if computed else "")
            cells = [stage, told["property"], value, interval, _figure(told["probability"])]
            rows.append(cells)
    return _Rows(headings, rows, 2)


def _stage(stage: Told) -> Iterator[str]:
    name, told = one_line(stage["stage"]), []
    if stage["outcome"] != SCORED:
        told.append(f"ended here ({one_line(stage['part'])}): {one_line(stage['meaning'])}")
    if stage["detail"]:
        told.append(one_line(stage["detail"]))
    if stage["probability"] is not None:
        told.append(f"probability of all targets {stage['probability']:.3f}")
    if stage["in_domain"] is not None:
        told.append(
            "inside the domain of all surrogates" if stage["in_domain"] else "outside the domain of a surrogate"
        )
    if "kept" in stage:
        cut = stage["cut"]
        if cut is None:
            told.append(f"all scored went on, there was room for {stage['keep']:,}")
        else:
            verb = "it went on" if stage["kept"] else "it did not go on"
            told.append(f"{verb}: of the {stage['keep']:,} kept the least probable has {cut:.3f}")
    further = [f"{one_line(key).replace('_', ' ')} {_figure(value)}" for key, value in stage["further"].items()]
    told += [", ".join(further)] * bool(further)
    yield f"{name}: {'; '.join(told)}."


def _ranking(story: Told) -> Iterator[str]:
    ranking, standing = story["ranking"], story["standing"]
    if ranking is None:
        return
    misses = ranking["expected_misses"]
    expected = "" if misses is None else f"; down to here {misses:.0%} of the candidates are expected to be misses"
    yield f"Ranked {ranking['rank']:,} of {ranking['of']:,} with probability {ranking['probability']:.3f}{expected}."
    score = "probability"
    if ranking["score"] is not None:
        score, front = CRITERIA[ranking["criterion"]].en, ranking["front"]
        yield f"The order follows the {score}: {ranking['score']:.3f}. It stands on Pareto front {front:.0f}."
    yield from _chemistry(ranking["chemistry"], ranking["flags"])
    if standing is None or standing["needed"] is None:
        return
    yield from _cut(ranking, standing, score)
    if not ranking["place"]:
        return
    for name, margin in (standing["margins"] or {}).items():
        value = margin["value_at_cut"]
        if value is not None:
            unit = catalogue()[name].unit if name in catalogue() else "1"
            yield f"  in {one_line(name)} alone: if it were {_figure(value)}" + (
                "" if unit == "1" else f" {one_line(unit)}"
            )
    for passed in standing["filters"] or []:
        yield f"  {one_line(passed['stage'])}: {one_line(passed['text']['en'])}"


def _cut(ranking: Told, standing: Told, score: str) -> Iterator[str]:
    """What would put a candidate out of the shortlist, or in; ``score`` is the name of what orders candidates."""
    own = ranking["probability"] if ranking["score"] is None else ranking["score"]
    needed, beyond = standing["needed"], standing["ranking_score_needed"]
    if ranking["place"]:
        or_else = "" if beyond is None else f", or with this one and a ranking score below {beyond:.4g}"
        yield f"Others unchanged, it would fall out with a {score} below {needed:.3f}{or_else}."
    elif beyond is not None:
        had = standing[Column.RANKING_SCORE]
        decides = (
            "have the same ranking score too, and come first by id" if had == beyond else
            f"have a larger ranking score: more than {beyond:.4g} was needed, it has {had:.4g}"
        )  # fmt: skip
        yield f"Its {score} would do, but shortlisted candidates of the same {score} {decides}."
    elif needed > own:
        apart = max(3, 1 - math.floor(math.log10(needed - own)))  # digits in which the two differ
        yield f"To be shortlisted it would have needed a {score} of {needed:.{apart}f}."


def _chemistry(chemistry: Told, flags: Sequence[str]) -> Iterator[str]:
    """Oxidation states with bond-valence sums, and what gives cause to look twice."""
    states, sums = (chemistry.get(name) or "" for name in (Column.OXIDATION_STATES, Column.BOND_VALENCE_SUMS))
    if Column.OXIDATION_STATES in chemistry:
        told = one_line(states) or "no neutral assignment"
        yield f"Oxidation states: {told}" + (f"; bond-valence sums {one_line(sums)}." if sums else ".")
    yield from (f"Look twice: {one_line(flag)}." for flag in flags)


def _interval(told: Told) -> str:
    """The ends of an interval, of which the upper one may be open."""
    low, high = _figure(told["low"]), _figure(told["high"])
    return f"{low} to {high}" if high else f"at least {low}"


def _figure(value: object) -> str:
    return number_text(value) if isinstance(value, float) else "" if value is None else str(value)
