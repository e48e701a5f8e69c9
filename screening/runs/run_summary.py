"""``run.json``: counts and settings of a finished run; written and read as one model."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=10**15)]
Name = Annotated[str, Field(max_length=500)]
_RARE = 0.025
Seconds = Annotated[float, Field(ge=0, le=1e12)]


class _Part(BaseModel):
    """A model that refuses unknown keys: they would belong to another version, or to another file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LostRows(_Part):
    """Rows that ended in one stage for one reason.

    Attributes:
        outcome: ``rejected`` or ``quarantined``.
        code: Code of the reason.
        value: Value of the candidates, if it is a text such as an element.
        limit: Limit of the value.
        rows: Number of rows.
    """

    outcome: Name
    code: Name
    value: Name
    limit: Name
    rows: Count


class FunnelStage(_Part):
    """One stage of the funnel.

    Attributes:
        stage: Its name.
        rows_in: Rows that entered it.
        rows_out: Rows that went on.
        lost: The others, the most frequent reason first.
    """

    stage: Name
    rows_in: Count
    rows_out: Count
    lost: tuple[LostRows, ...] = ()


class MetTogether(_Part):
    """How often targets are met together whose truth is known of the same crystals.

    Attributes:
        targets: The properties.
        crystals: Crystals with known values of all of them.
        promised: How many would meet all targets if the products of single probabilities were right.
        met: How many do.
        odds: What the odds of meeting them together are multiplied by.
    """

    targets: Annotated[tuple[Name, ...], Field(min_length=2, max_length=100)]
    crystals: Count
    promised: Seconds
    met: Count
    odds: Annotated[float, Field(ge=0)]


class SupportedProbability(_Part):
    """The largest probability of meeting targets that calibration rows support; no larger one is claimed.

    Attributes:
        targets: The properties, one or several that are met together.
        rows: Calibration rows.
        highest: The probability.
        fewest: How many of the rows reach it at least.
        makeable: Whether the probability is that of a makeable phase, which counts for the energy above hull.
    """

    targets: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    rows: Count
    highest: Annotated[float, Field(ge=0, le=1)]
    fewest: Count = 20
    makeable: bool = False


class BackTestedLists(_Part):
    """Hits in lists of known materials that were made like the shortlist, each material predicted as a new one.

    Attributes:
        targets: What the listed materials were to meet.
        materials: Known materials that lists were made of.
        hits: How many of these meet the targets.
        size: Places of a list.
        lists: How many lists were made, each without a random fifth of the compositions.
        met: Materials of a list that meet the targets, mean over the lists.
        promised: Sum of their probabilities.
        random: What as many materials drawn at random hold.
    """

    targets: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    materials: Count
    hits: Count
    size: Annotated[int, Field(ge=1, le=10**6)]
    lists: Annotated[int, Field(ge=1, le=10**6)]
    met: Seconds
    promised: Seconds
    random: Seconds

    @property
    def promises_too_much(self) -> bool:
        """Whether so few hits would be rarer than 1 in 40 if the promise were right (Poisson)."""
        from scipy.stats import poisson

        return bool(poisson.cdf(math.ceil(self.met), self.promised) < _RARE)


class MovedLimit(_Part):
    """A weight or limit that was moved by a fifth, and what became of the shortlist.

    Attributes:
        kind: ``target`` for a limit of a target; ``weight``, ``worst`` or ``best`` of an objective.
        name: The property, or the objective.
        before: In its unit.
        after: The same, moved.
        stay: How many of the shortlisted stay.
        leave: Formulas of those that leave, at most ten.
        enter: Formulas of those that come in their place, at most ten.
    """

    kind: Literal["target", "weight", "worst", "best"]
    name: Name
    before: float
    after: float
    stay: Count
    leave: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    enter: Annotated[tuple[Name, ...], Field(max_length=10)] = ()


class ListSpread(_Part):
    """How good a list is, and how far its members are from each other.

    Attributes:
        score: Mean score.
        probability: Mean probability of meeting all targets.
        chemistry: Mean element mover's distance of its pairs.
        structure: Mean distance of the structures of its pairs.
    """

    score: float
    probability: float
    chemistry: float | None = None
    structure: float | None = None


class DiversityPrice(_Part):
    """What diversity costs: the shortlist, and the one that would have been chosen without diversity."""

    chosen: ListSpread
    undiversified: ListSpread


class FormationEnergies(_Part):
    """How formation energies came from the energies of a potential.

    Attributes:
        crystals: Packaged crystals with a known formation energy to which energies of the elements were fitted.
        corrections: What an atom of an element counts besides in compounds with oxygen or fluorine, in eV, by its
            symbol; empty where the potential needs none.
        error: Mean absolute error of formation energies in eV/atom, on compositions that the fit had not seen.
        error_uncorrected: The same without the corrections.
    """

    crystals: Count
    corrections: dict[Name, float] = {}
    error: Annotated[float, Field(ge=0)] | None = None
    error_uncorrected: Annotated[float, Field(ge=0)] | None = None


class RunSummary(_Part):
    """Counts and settings of a finished run.

    Attributes:
        campaign: Name of the campaign.
        seed: Of everything random.
        rows_in: Rows that came in.
        outcomes: Rows by outcome.
        funnel: Stage by stage, how many went in and stayed.
        ranges: Wanted range of each target in the property's unit; None where open.
        python: Version of Python.
        versions: Versions of the libraries.
        energies: Name of the energies by which stability was judged; None without a potential.
        device: What the potential computed on: ``cpu`` or ``cuda``, a GPU; None without a potential.
        formation_energies: How formation energies came from them; None without a potential.
        met_together: Of targets that are known of the same crystals.
        supported: The largest probability of each target, and of targets together, that is claimed.
        back_tests: Hits in lists of known materials that were made like the shortlist.
        diversity: What diversity of the shortlist costs; None for an empty shortlist.
        moved: Weights and limits that were moved by a fifth, and what became of the shortlist.
        seconds: By step.
        sessions: How often the run was started or resumed.
        workers: Worker processes of the last session.
    """

    campaign: Name
    seed: int
    rows_in: Count
    outcomes: dict[Name, Count]
    funnel: tuple[FunnelStage, ...]
    ranges: dict[Name, tuple[float | None, float | None]]
    python: Name
    versions: dict[Name, Name]
    energies: Name | None = None
    device: Name | None = None
    formation_energies: FormationEnergies | None = None
    met_together: tuple[MetTogether, ...] = ()
    supported: tuple[SupportedProbability, ...] = ()
    back_tests: tuple[BackTestedLists, ...] = ()
    diversity: DiversityPrice | None = None
    moved: Annotated[tuple[MovedLimit, ...], Field(max_length=1000)] = ()
    seconds: dict[Name, Seconds]
    sessions: Count
    workers: Count
