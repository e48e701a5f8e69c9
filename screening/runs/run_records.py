"""Content of the files that tell what a run is, how far it is, and what is known that is like its finalists."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from matloop.screening.runs.record_fields import Number, Record, Text
from matloop.screening.runs.run_summary import Count, Name


class RunIdentity(Record):
    """``identity.json``: what decides the result of a run.

    Attributes:
        campaign: Content of the campaign.
        partition_rows: Candidates in a partition of the first stage.
    """

    campaign: dict[Name, Any]
    partition_rows: Annotated[int, Field(ge=1, le=1_000_000)]


class RunProgress(Record):
    """``progress.json``: how far a run is, or how it ended.

    Attributes:
        state: ``running``, ``complete``, ``prepared``, ``interrupted`` or ``failed``.
        step: What is done, in words.
        done: Units of the step that are finished.
        total: Units it has.
        rate: Units per second.
        eta_seconds: Time left of the step; None where that is not known.
        counts: What became of all rows so far: stage, outcome, code, value, limit, rows.
        driver_memory: In bytes.
        worker_memory: Of the largest worker, in bytes.
        updated: When this was written, in unix seconds.
        message: What was said last, such as why the run stopped.
    """

    state: Name
    step: Text
    done: Count
    total: Count
    rate: float
    eta_seconds: Number
    counts: list[tuple[Text, Text, Text, Text, Text, Count]]
    driver_memory: Count
    worker_memory: Count
    updated: Annotated[float, Field(ge=0, le=1e11)]
    message: Text


class NoveltyRecord(Record):
    """What is known that is like one finalist; neighbours are name, formula, distance of composition and structure."""

    candidate_id: Name
    novelty: Name
    equal: list[Name]
    equal_count: Count
    same_composition: list[Name]
    same_composition_count: Count
    nearest_structures: list[tuple[Name, Name, Number, float]]


class NoveltyRecords(Record):
    """``novelty.json``."""

    finalists: list[NoveltyRecord]
