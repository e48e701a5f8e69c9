"""Output of ``matloop models RUN``: scores of the surrogates of a run, from their cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from matloop.data.errors import RunError
from matloop.data.plain_text import one_line
from matloop.screening.report.error_words import hull_order_words, learning_words, noise_words, split_words
from matloop.screening.report.surrogates import error_unit, region_tables
from matloop.screening.runs.card_records import ModelCard
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import number_text

Cards = Sequence[tuple[str, ModelCard]]
"""Stage and card of each surrogate."""


@in_catalogue_of_run
def print_scores(folder: Path) -> None:
    """Print the scores of the surrogates of a run.

    Raises:
        RunError: If the folder has no models.
        DamagedFileError: If a card is not one that a run writes.
    """
    cards = [(stage, card) for (stage, _), card in RunView(folder).cards_of_stages.items()]
    if not cards:
        raise RunError(f"{folder} holds no models", "a run directory made by matloop screen", "look at the path")
    print_cards(cards, Console(highlight=False))


def print_cards(cards: Cards, console: Console) -> None:
    """Print the scores of surrogates.

    Args:
        cards: Their cards.
        console: Where to.
    """
    headings = ("stage", "property", "family", "rows", "MAE", "MAE of the mean", "R2", "90 % coverage", "width ~ error")
    rows = []
    for stage, card in cards:
        scores = card.scores
        numbers = (
            scores.mae, scores.mae_of_mean, scores.r2, scores.coverage_90, scores.width_error_rank_correlation
        )  # fmt: skip
        label = f"{card.property} ({card.unit})" if card.transform == "identity" else f"log10 {card.property}"
        rounded = (None if number is None else round(number, 4) for number in numbers)
        rows.append((stage, label, card.family, f"{card.rows_trained:,}", *map(_figure, rounded)))
    _print(
        console,
        "Scores of the printed value, folds grouped by reduced formula, four fifths of the rows",
        headings,
        rows,
        left=headings[:3],
    )
    _print_transfers(cards, console)
    _print_extrapolation(cards, console)
    _print_learning(cards, console)
    _print_choices(cards, console)
    _print_classifiers(cards, console)


def _print_transfers(cards: Cards, console: Console) -> None:
    """Print what measured rows bought: the error of each transfer beside those without it."""
    title = "MAE on held-out measured rows before calibration: with transfer, and with either kind of labels alone"
    headings = (
        "stage", "property", "from", "rows", "computed rows", "transfer", "measured alone", "computed alone",
        "computed and a line", "mean",
    )  # fmt: skip
    rows = []
    for stage, card in cards:
        if card.transfer is None:
            continue
        found, errors = card.transfer, card.transfer.mae
        each = (
            errors.transfer, errors.measured_only, errors.computed_only, errors.computed_and_line, errors.mean
        )  # fmt: skip
        rows.append(
            (stage, card.property, found.source, f"{card.rows_trained:,}", f"{found.rows:,}", *map(_figure, each))
        )  # fmt: skip
    _print(console, title, headings, rows, left=headings[:3])


def _print_extrapolation(cards: Cards, console: Console) -> None:
    """Print errors where whole clusters or elements were left out, by ensembles small enough for so many fits."""
    headings = (
        "stage", "property", "ensemble", "formulas", "clusters", "elements", "outside : inside", "outside", "hardest"
    )  # fmt: skip
    title = "MAE of a small ensemble with whole clusters or elements left out"
    rows = []
    for stage, card in cards:
        small, elements = card.scores.held_out_ensemble, card.scores.leave_one_element_out
        clusters = card.scores.leave_one_cluster_out
        if small is None or elements is None or clusters is None:
            continue
        share = elements.share_outside
        errors = (small.grouped_mae, clusters.mae, elements.mae, elements.outside_over_inside)
        hardest = ", ".join(f"{one.element} {_figure(one.mae, 2)}" for one in elements.worst[:3])
        rows.append(
            (stage, card.property, f"{small.family}, {small.size}", *map(_figure, errors),
             "" if share is None else f"{share:.0%}", hardest)
        )  # fmt: skip
    _print(console, title, headings, rows, left=(*headings[:3], headings[-1]))


def _print_learning(cards: Cards, console: Console) -> None:
    """Print what more labels would buy, and how much easier random folds are."""
    told = False
    for stage, card in cards:
        found = card.model_dump(include={"transform", "label_noise", "learning_curve", "random_split", "hull_order"})
        lines = []
        if found["hull_order"]:
            lines.append(hull_order_words(found["hull_order"]).en)
        if found["label_noise"]:
            lines.append(noise_words(found["label_noise"], card.scores.rmse, error_unit(found, card.unit)).en)
        if found["learning_curve"]:
            lines.append(learning_words(found["learning_curve"], error_unit(found, card.unit)).en)
        if found["random_split"]:
            lines.append(split_words(found["random_split"]).en)
        if lines:
            told = True
            console.print(one_line(f"{stage}, {card.property}: {' '.join(lines)}"), markup=False, highlight=False)
    if told:
        console.print()


def print_regions(card: ModelCard, console: Console) -> None:
    """Print where the errors of a model are.

    Args:
        card: Its card.
        console: Where to.
    """
    found = card.model_dump(include={"transform", "error_regions"})
    for table in region_tables(found, card.unit):
        headings = [heading.en for heading in table.headings]
        rows = [[cell if isinstance(cell, str) else cell.en for cell in row] for row in table.rows]
        columns = [Heading(text, right=at > 0) for at, text in enumerate(headings)]
        print_table(console, table.caption.en, columns, rows)
        console.print()


def _print_choices(cards: Cards, console: Console) -> None:
    """Print what was tried where families were chosen, and why the winners won."""
    headings = ("stage", "property", "family", "MAE", "seconds", "outcome")
    rows, reasons = [], []
    for stage, card in cards:
        if card.choice is None:
            continue
        for trial in card.choice.tried:
            outcome = "chosen" if trial.candidate == card.choice.winner else trial.outcome
            error = _figure(trial.mae, 4)
            rows.append((stage, card.property, trial.candidate, error, f"{trial.seconds:.1f}", outcome))
        reasons.append(
            f"{stage}, {card.property}: {card.choice.reason} Error of the whole procedure before calibration, choosing "
            f"included: {_figure(card.choice.nested_mae, 4)}."
        )
    left = (*headings[:3], headings[-1])
    _print(
        console,
        "Families tried, by nested cross-validation: errors of means of ensembles, before calibration",
        headings,
        rows,
        left=left,
        breaks=headings[-1:],
    )
    for reason in reasons:
        console.print(one_line(reason), markup=False, highlight=False)


def _print_classifiers(cards: Cards, console: Console) -> None:
    """Print the scores of the classifiers of meeting a target."""
    title = "Classifiers of meeting a target, out of fold; in brackets: giving every row the share that meets it"
    headings = ("stage", "property", "rows", "meet it", "Brier score", "log loss", "calibration error")
    rows = []
    for stage, card in cards:
        found = card.probability
        if found is None:
            continue
        scores = found.scores
        rows.append(
            (stage, card.property, f"{found.rows:,}", f"{found.rows_met / found.rows:.1%}",
             f"{scores.brier:.3f} ({scores.brier_of_share:.3f})",
             f"{scores.log_loss:.3f} ({scores.log_loss_of_share:.3f})", f"{scores.calibration_error:.3f}")
        )  # fmt: skip
    _print(console, title, headings, rows, left=headings[:2])


def _print(
    console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *,
    left: Sequence[str], breaks: Sequence[str] = (),
) -> None:  # fmt: skip
    """Print a table that tells by its first two columns what a row is about; nothing without rows."""
    columns = [Heading(text, right=text not in left, breaks=text in breaks) for text in headings]
    if rows:
        print_table(console, title, columns, rows, keys=2)
        console.print()


def _figure(number: float | None, digits: int = 3) -> str:
    return "" if number is None else number_text(number, digits)
