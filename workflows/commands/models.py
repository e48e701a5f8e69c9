"""The commands ``matloop train`` and ``matloop predict``, and what ``matloop models MODEL`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.data.errors import RunError, unknown_name
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.data.training.packaged_tables import TRAINING_SETS
from matloop.screening.language.text import range_text
from matloop.workflows.commands.model_scores import print_cards, print_regions
from matloop.workflows.modelling.model_card import check_page, lacking_words, write_card
from matloop.workflows.modelling.trained_model import TrainedModel, read_model


def require_options_of_a_file(data: Path | None, given: Mapping[str, object]) -> None:
    """Make sure that options which describe a table of one's own stand beside one; elsewhere they would be ignored.

    Args:
        data: The file, or the name of a packaged table; None for a campaign.
        given: Options by name; None where one is not given.

    Raises:
        UnknownNameError: If the table is neither a file nor a packaged one.
        RunError: If there is such an option beside a packaged table or a campaign.
    """
    if data is not None and str(data) not in TRAINING_SETS:
        if not data.suffix:
            raise unknown_name("packaged table of labels", str(data), list(TRAINING_SETS))
        return
    if wrong := [name for name, value in given.items() if value]:
        told = "a campaign" if data is None else f"the packaged table {data}"
        raise RunError(
            f"{' and '.join(wrong)} with {told}, which says this itself", "these options with --data FILE",
            f"leave {' and '.join(wrong)} out",
        )  # fmt: skip


def print_model(folder: Path) -> None:
    """Print the card of a model.

    Raises:
        ModelError: If the folder is no model, or it predicts other numbers here than where it was trained.
    """
    show_model(read_model(folder))


def show_model(model: TrainedModel) -> None:
    """Print what a model predicts, what it learned from, and its scores."""
    console, card = Console(highlight=False), model.surrogate.card
    training, known = card["training_set"] or {}, model.known
    lines = [
        f"{model.folder}: {known.label}, {card['family']}, {card['rows_trained']:,} rows of "
        f"{card['formulas']:,} formulas",
        f"trained on {training.get('name', 'unnamed labels')} ({training.get('provenance', 'unknown provenance')}); "
        f"{card['licence']}",
        f"features: {', '.join(featurizer.name for featurizer in model.features.featurizers)}",
    ]
    for one in model.surrogate.conditions:
        span = " to ".join(dict.fromkeys(one.condition.write(end) for end in (one.lower, one.upper)))
        asked = (model.surrogate.asked or {}).get(one.condition.name)
        told = "" if asked is None else f", predicts at {one.condition.write(asked)} unless asked otherwise"
        lines.append(f"labels with {one.condition.label.en} {span}{told}")
    if model.wanted is not None:
        low, high = (end if math.isfinite(end) else None for end in model.wanted)
        lines.append(f"probability of a value {range_text((low, high), known.unit)}")
    lines += [f"differs from where it was trained: {note}" for note in model.notes]
    for line in lines:
        console.print(Text(one_line(line)), soft_wrap=True)
    console.print()
    with using(model.catalogue):
        print_cards([(model.name, model.card)], console)
        print_regions(model.card, console)
    if lacking := lacking_words(model):
        console.print(Text(one_line(lacking.en)), soft_wrap=True)


def write_page(folder: Path, output: Path, language: str) -> None:
    """Write the card of a model as a page, and say where it lies.

    Args:
        folder: Of the model.
        output: The page.
        language: In which it opens.

    Raises:
        ModelError: If the folder is no model, or it predicts other numbers here than where it was trained.
        RunError: If the page cannot be written.
    """
    check_page(output, language)
    path = write_card(read_model(folder), output, language=language)
    print(f"Card: {one_line(str(path))}")
