"""Check that a source keeps its contract. Authors of new sources can run the check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.contract_checks import Clauses
from matloop.data.errors import ROW_CODES
from matloop.data.properties.columns import Column
from matloop.data.sources.contract import FileSource, GeneratingSource, Source


def validate_source(make: Callable[[], Source]) -> None:
    """Hold a source to its contract; it is streamed four times, so set it up small.

    Checked: the parts of the contract are there, the count is that of the stream, batches are no larger than asked for,
    the stream is the same every time and for any batch size, candidates say where they come from and are identified by
    their content, refused rows have an id and a known row code, files that it names exist, and recipes make the same
    stream in any process.

    Args:
        make: Makes the source, with two candidates or more; called twice.

    Raises:
        ContractError: Naming the first clause that is broken.

    >>> from matloop.data.generators.alloy_grid import AlloyGrid
    >>> validate_source(lambda: AlloyGrid(["Cr", "Fe", "Ni"], step=0.25))
    """
    source = make()
    clauses = Clauses(f"source {getattr(source, 'name', source)!r}", "matloop.data.sources.contract.Source")
    clauses.require(isinstance(source, Source), "parts of the contract are missing")
    clauses.require(bool(source.name), "its name is no text")
    count = source.count()
    whole = list(source.intakes(max(count, 1)))
    streamed = sum(len(intake.batch) + len(intake.refused) for intake in whole)
    clauses.require(count == streamed, f"it counts {count} rows and streams {streamed}")
    clauses.require(count >= 2, "it is tried with fewer than two rows")
    expected = _rows(whole)
    clauses.require(_rows(list(source.intakes(count))) == expected, "it streams other rows the second time")
    clauses.require(_rows(list(make().intakes(count))) == expected, "another one of its kind streams other rows")
    size = max(count // 3, 1)
    parts = list(source.intakes(size))
    clauses.require(
        all(len(part.batch) + len(part.refused) <= size for part in parts),
        f"a batch is larger than the {size} asked for",
    )
    clauses.require(_rows(parts) == expected, "the stream depends on the size of the batches")
    for intake in whole:
        _check_candidates(intake.batch, clauses)
        _check_refused(intake, count, clauses)
    if isinstance(source, FileSource):
        missing = [str(path) for path in source.files() if not path.is_file()]
        clauses.require(not missing, f"files that it names do not exist: {', '.join(missing)}")
    if isinstance(source, GeneratingSource):
        made = [recipe() for recipe in reversed([clauses.copied(recipe) for recipe in source.recipes(size)])]
        clauses.require(_rows(made[::-1]) == expected, "its recipes make another stream")


def _rows(intakes: Sequence[Intake]) -> list[Any]:
    """Candidates and refused rows of a stream, each in its order."""
    names = (Column.CANDIDATE_ID, Column.FORMULA, Column.ORIGIN)
    candidates = [
        row
        for intake in intakes
        for row in zip(*(_texts(intake.batch, name) for name in names), strict=True)
    ]  # fmt: skip
    return [candidates, [(row.candidate_id, row.code) for intake in intakes for row in intake.refused]]


def _texts(batch: CandidateBatch, name: str) -> list[Any]:
    missing = [None] * len(batch)
    return batch.table.column(name).to_pylist() if name in batch.table.column_names else missing


def _check_candidates(batch: CandidateBatch, clauses: Clauses) -> None:
    clauses.require(all(_texts(batch, Column.ORIGIN)), "a candidate does not say where it comes from (column origin)")
    if Column.KNOWN in batch.table.column_names:
        truths = all(value in (True, False) for value in _texts(batch, Column.KNOWN))
        clauses.require(truths, "the column known holds something else than true and false")
    if batch.crystals is None:
        again = CandidateBatch.from_formulas(batch.formulas, exact=True).batch.ids
    else:
        clauses.require(set(batch.crystals.row_codes()) <= {""}, "a crystal that should be refused is a candidate")
        again = CandidateBatch.from_crystals(batch.crystals).ids
    clauses.require(batch.ids == again, "the id of a candidate is not that of its content")


def _check_refused(intake: Intake, count: int, clauses: Clauses) -> None:
    for refused in intake.refused:
        clauses.require(refused.code in ROW_CODES, f"a row is refused with {refused.code!r}, which is no row code")
        clauses.require(refused.candidate_id.startswith("r"), "the id of a refused row does not begin with r")
        clauses.require(0 <= refused.row < count, f"a refused row has number {refused.row} of {count}")
