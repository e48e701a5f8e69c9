"""The command ``matloop loop status``: what came back, whether predictions held, and when to stop."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.workflows.loop import status
from matloop.workflows.loop_status.page import write_loop_page
from matloop.workflows.loop_status.standing_words import sections_of
from matloop.workflows.looping.decision_words import HEADINGS, TESTS, cells_of, comparisons_of
from matloop.workflows.modelling.model_card import check_page
from matloop.workflows.terminal_tables import Heading, print_table


def print_loop_status(
    campaign: str,
    *,
    records: str | None,
    laboratory: str,
    models: Path | None,
    run: Path | None,
    cost: float | None,
    output: Path | None,
    as_json: bool,
    language: str,
) -> None:
    """Print how a loop stands, or write it as a page.

    Args:
        campaign: A campaign file, or the name of a packaged campaign.
        records: The records database.
        laboratory: Whose results; those of all laboratories if empty.
        models: Folder of the models; beside the records if None.
        run: The run whose ranked candidates are the pool; None to leave out what is left of it.
        cost: Of one experiment; None if it is not stated.
        output: The page; None to print.
        as_json: Whether to print JSON.
        language: Of what is printed, and in which the page opens.
    """
    if output is not None:
        check_page(output, language)
    chosen, standing = status(campaign, records=records, laboratory=laboratory, models=models, run=run)
    standing = standing.with_cost(math.nan if cost is None else cost)
    console = Console(highlight=False)
    with using(chosen.catalogue):
        if as_json:
            print(json.dumps(standing.to_json(), ensure_ascii=False, indent=2))
        elif output is not None:
            write_loop_page(output, standing, language=language)
            console.print(Text(one_line(str(output))), soft_wrap=True)
        else:
            for title, lines in sections_of(standing):
                console.print(Text(getattr(title, language), style="bold"))
                for line in lines:
                    console.print(Text(f"  {one_line(getattr(line, language))}"), soft_wrap=True)
            newest = next((one for one in reversed(standing.decisions) if comparisons_of(one)), None)
            if newest is not None:
                headings = [Heading(getattr(label, language), right=place > 0) for place, label in enumerate(HEADINGS)]
                rows = [
                    (getattr(TESTS[name], language), *cells_of(one)) for name, one in comparisons_of(newest).items()
                ]
                print_table(console, "", headings, rows)
