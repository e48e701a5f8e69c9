"""The command ``matloop retrain``: decisions about models, as they are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from matloop.data.label import Label
from matloop.data.plain_text import counted, one_line
from matloop.workflows.loop import back as put_back
from matloop.workflows.loop import retrain
from matloop.workflows.looping.champions import ModelDecision
from matloop.workflows.looping.decision_words import HEADINGS, REASONS, TESTS, cells_of, comparisons_of
from matloop.workflows.terminal_tables import Heading, print_table


def retrain_and_print(
    campaign: str,
    *,
    records: str | None,
    laboratory: str,
    models: Path | None,
    properties: Sequence[str],
    back: bool,
    as_json: bool,
    language: str,
) -> None:
    """Decide about the models of a campaign, and print each decision with its figures.

    Args:
        campaign: A campaign file, or the name of a packaged campaign.
        records: The records database.
        laboratory: Whose results teach; all if empty.
        models: Folder of the models; beside the records if None.
        properties: Properties of the targets wanted; all if empty.
        back: Whether to put back the models that were in use before, in place of learning.
        as_json: Whether to print JSON.
        language: Of what is printed.
    """
    console = Console(highlight=False)

    def told(decision: ModelDecision) -> None:
        if not as_json:
            print_decision(console, decision, language)

    if back:
        decisions = put_back(campaign, records=records, properties=properties)
        for decision in decisions:
            told(decision)
    else:
        decisions = retrain(
            campaign, records=records, laboratory=laboratory, models=models, properties=properties, told=told
        )  # fmt: skip
    if as_json:
        print(json.dumps([decision_json(decision) for decision in decisions], ensure_ascii=False, indent=2))


def decision_json(decision: ModelDecision) -> dict[str, Any]:
    """A decision as plain JSON values."""
    return {"number": decision.number, "at": decision.at, "by": decision.by, **decision.details()}


def print_decision(console: Console, decision: ModelDecision, language: str) -> None:
    """Print a decision and the comparisons it rests on."""
    mark = "：" if language == "zh" else ": "
    console.print(
        Text(f"{one_line(decision.property_name)}{mark}{_in(language, REASONS[decision.reason])}"), soft_wrap=True
    )
    if decision.fault:
        console.print(Text(f"  {one_line(decision.fault)}"), soft_wrap=True)
    if decision.reason in ("waits", "few_results", "nothing_new"):
        far = Label(
            f"{counted(decision.results, 'compound')} with a value that teaches",
            f"有可用于学习的数值的化合物 {decision.results:,} 个",
        )
        console.print(Text(f"  {_in(language, far)}"), soft_wrap=True)
    if decision.reason == "taken_back":
        gone = Label(f"{counted(decision.results, 'value')} of those", f"此类数值 {decision.results:,} 个")
        console.print(Text(f"  {_in(language, gone)}"), soft_wrap=True)
    if decision.champion is not None and decision.replaces:
        in_use = Label(f"in use: {decision.champion.folder}", f"现用模型：{decision.champion.folder}")
        console.print(Text(f"  {one_line(_in(language, in_use))}"), soft_wrap=True)
    found = comparisons_of(decision)
    if found:
        headings = [Heading(_in(language, label), right=place > 0) for place, label in enumerate(HEADINGS)]
        rows = [(_in(language, TESTS[name]), *cells_of(one)) for name, one in found.items()]
        print_table(console, "", headings, rows)


def _in(language: str, label: Label) -> str:
    return label.zh if language == "zh" else label.en
