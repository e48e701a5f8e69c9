"""What the run report reads: the files of one run directory, and nothing else of the run."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.training_files import read_training_sets
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import read_campaign

_LARGEST_CIF = 500_000  # bytes


class HeldOut(NamedTuple):
    """Predictions of training rows by models that had not seen their composition, in the property's unit.

    Attributes:
        target: Computed values, shape (n,).
        mean: Predicted values.
        lo: Lower end of the 90 % interval.
        hi: Upper end.
    """

    target: NDArray[np.float64]
    mean: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]


@dataclass(frozen=True)
class RunFiles:
    """Content of a run directory.

    Attributes:
        campaign: The resolved campaign.
        campaign_text: The same as written.
        summary: Content of ``run.json``.
        ranked: The ranked candidates.
        cards: Card of each surrogate by property; empty where there is none.
        held_out: Held-out predictions by property; only where they were kept.
        cifs: Name and text of the CIF of each place of the shortlist.
        novelty: What is known that is like each shortlisted candidate, by its id.
        explanations: Why each shortlisted candidate is predicted so, by its id.
        training: What the surrogates learned from.
    """

    campaign: Campaign
    campaign_text: str
    summary: dict[str, Any]
    ranked: CandidateBatch
    cards: dict[str, dict[str, Any]]
    held_out: dict[str, HeldOut]
    cifs: dict[int, tuple[str, str]]
    novelty: dict[str, dict[str, Any]]
    explanations: dict[str, dict[str, Any]]
    training: TrainingSets

    @functools.cached_property
    def properties(self) -> list[str]:
        """Names of the targets, in the campaign's order."""
        return [target.property for target in self.campaign.targets]

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        """Wanted range of each target in the property's unit, None where open."""
        written = self.summary.get("ranges", {})
        return {name: tuple(written.get(name, (None, None))) for name in self.properties}

    @functools.cached_property
    def shortlisted(self) -> CandidateBatch:
        """The shortlisted candidates, best place first."""
        place = self.ranked.column(Column.SHORTLISTED)
        return self.ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])

    def on_log_scale(self, name: str) -> bool:
        """Whether the surrogate of a property works on its logarithm."""
        return any(target.property == name and target.scale() == "log10" for target in self.campaign.targets)


def numbers(batch: CandidateBatch, name: str) -> NDArray[np.float64]:
    """A numeric column, nan throughout where the batch has no such column."""
    if name not in batch.table.column_names:
        return np.full(len(batch), np.nan)
    return np.asarray(batch.table.column(name).to_numpy(), np.float64)


def texts(batch: CandidateBatch, name: str) -> list[str | None]:
    """A text column, None throughout where the batch has no such column."""
    if name not in batch.table.column_names:
        return [None] * len(batch)
    return [None if value is None else str(value) for value in batch.table.column(name).to_pylist()]


def read_run(folder: Path) -> RunFiles:
    """Read a run directory.

    Args:
        folder: A finished run.

    Raises:
        OSError: If a file every run has is missing.
        RunError: If the training sets of the run are missing or were changed.
        CampaignError: If the resolved campaign cannot be read back.
        UnknownNameError: If it names a property this version does not know.
    """
    run = RunDirectory(folder)
    campaign_path = folder / "campaign.yaml"
    campaign = read_campaign(campaign_path)
    cards, held_out = {}, {}
    stage = list(campaign.scoring_stages)[-1]  # whose predictions the ranked candidates carry
    for target in campaign.targets:
        property_named(target.property)  # a name that is no property must not become part of a path
        card_path = run.model(stage, target.property) / "card.json"
        if card_path.is_file():
            cards[target.property] = json.loads(card_path.read_text(encoding="utf-8"))
        held_out_path = run.model(stage, target.property) / "out_of_fold.parquet"
        if held_out_path.is_file():
            table = pq.read_table(held_out_path, columns=list(HeldOut._fields))
            columns = [table.column(name).to_numpy().astype(np.float64) for name in HeldOut._fields]
            sound = np.isfinite(columns).all(axis=0)
            held_out[target.property] = HeldOut(*(column[sound] for column in columns))
    return RunFiles(
        campaign,
        campaign_path.read_text(encoding="utf-8"),
        json.loads(run.summary.read_text(encoding="utf-8")),
        CandidateBatch.from_arrow(pq.read_table(run.ranked)),
        cards,
        held_out,
        _cifs(run.cif),
        _finalists(run.novelty),
        _finalists(run.explanations),
        read_training_sets(run),
    )


def _finalists(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    return {report["candidate_id"]: report for report in json.loads(path.read_text(encoding="utf-8"))["finalists"]}


def _cifs(folder: Path) -> dict[int, tuple[str, str]]:
    """CIFs by place, which their names start with."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(folder.glob("*.cif")) if folder.is_dir() else ():
        place = path.name.partition("_")[0]
        if place.isascii() and place.isdigit() and path.stat().st_size <= _LARGEST_CIF and not path.is_symlink():
            found[int(place)] = path.name, path.read_text(encoding="utf-8", errors="replace")
    return found
