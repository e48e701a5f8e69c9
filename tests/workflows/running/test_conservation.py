"""Every row that came in has one fate, compared by ids; a row that is lost where partitions are merged is noticed."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.reasons import CHOSEN, REPEATED, Reason
from matloop.data.errors import FateError, RunError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.intake_files import write_intake
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows import decision
from matloop.workflows import screen as module
from matloop.workflows.deciding import shortlisting
from matloop.workflows.running import stage
from matloop.workflows.running.conservation import Account, account_of, check_conservation
from matloop.workflows.stages.fates import SHORTLISTED, Ending, Fates, fate_table
from tests.strategies import batch_of
from tests.workflows.conftest import campaign

FORMULAS = [f"{metal}{anion}" for metal in ("Na", "K", "Rb", "Cs", "Ag") for anion in ("F", "Cl", "Br", "I")]


class Books:
    """A run directory with nothing but candidates and fates: one partition, and one merge."""

    def __init__(self, folder: Path, refused: Iterable[Refused] = ()) -> None:
        self.run = RunDirectory.create(folder, "unused")
        self.batch = batch_of(*FORMULAS).with_columns({"origin": FORMULAS})
        self.refused, self.manifest = list(refused), Manifest(self.run.folder)
        paths = write_intake(self.run.candidate_part(0), Intake(self.batch, self.refused))
        self.manifest.append("candidates", index=0, rows=len(self.batch), files={path.name: "" for path in paths})

    def write(self, ended: Iterable[int], merged: Iterable[int], refused: Iterable[Refused] | None = None) -> None:
        """Write the fates: rows that end in the partition, and rows that end in the merge."""
        fates, rows = Fates(len(self.batch), "surrogates"), np.array(list(ended), np.int64)
        fates.end(rows, "rejected", "filter x", Reason("R-X"))
        told = self.refused if refused is None else refused
        self._table(self.run.partition("surrogates", 0), fates.table(self.batch, rows, {}, told))
        self.manifest.append("partition", stage="surrogates", index=0, key="k", rows=0, files={}, counts=[])
        chosen = self.batch.table.take(pa.array(list(merged), pa.int64()))
        table = fate_table(chosen, SHORTLISTED, "shortlist", [Reason(CHOSEN)] * len(chosen))
        self._table(self.run.merge("shortlist", "choice"), table)
        self.manifest.append("fates", stage="shortlist", merge="choice", files={}, counts=[], least=None)

    def _table(self, path: Path, table: pa.Table) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def account(self) -> Account:
        return account_of(self.run, self.manifest, ["surrogates", "structure"])


def test_every_row_once(tmp_path: Path) -> None:
    same = [Refused(row, "r" + "1" * 20, "?", "E-FORMULA-SYNTAX") for row in (3, 9)]
    repeat = Refused(0, batch_of("NaF").ids[0], "NaF", REPEATED)
    books = Books(tmp_path / "run", [*same, repeat])
    books.write(range(12), range(12, 20))
    account = books.account()
    assert (account.intake, account.fates, account.balanced) == (23, 23, True)
    assert account.counts == {
        Ending("filter x", "rejected", "R-X"): 12, Ending("shortlist", SHORTLISTED, CHOSEN): 8,
        Ending("intake", "quarantined", "E-FORMULA-SYNTAX"): 2, Ending("intake", "rejected", REPEATED): 1,
    }  # fmt: skip
    check_conservation(account, 23)
    with pytest.raises(RunError, match="announced 24 rows and 23 came in"):
        check_conservation(account, 24)


def test_rows_without_fate_and_with_two_are_named(tmp_path: Path) -> None:
    books = Books(tmp_path / "run")
    books.write(range(12), [11, *range(14, 20)])
    account = books.account()
    assert set(account.lost) == set(books.batch.ids[12:14])
    assert (account.lost_rows, account.surplus_rows) == (2, 1)
    assert set(account.surplus) == {books.batch.ids[11]}
    with pytest.raises(FateError, match="2 of 20 rows have no fate") as raised:
        check_conservation(account, 20)
    for name in books.batch.ids[11:14]:
        assert name in str(raised.value)


def test_a_repeat_cannot_stand_for_the_candidate_it_repeats(tmp_path: Path) -> None:
    """As many rows as came in, and the same ids, but one candidate has no fate and its repeat has two."""
    repeat = Refused(0, batch_of("NaF").ids[0], "NaF", REPEATED)
    books = Books(tmp_path / "run", [repeat])
    books.write(range(1, 12), range(12, 20), [repeat, repeat._replace(row=1)])
    account = books.account()
    assert account.intake == account.fates == 21
    assert (account.lost, account.surplus) == ([repeat.candidate_id], [repeat.candidate_id])
    assert not account.balanced


def lose_ten_rows(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a fault: ten rows are neither kept where partitions are merged, nor is their fate written."""
    if fault == "joining partitions":
        join, left = stage.joined, iter([10])
        monkeypatch.setattr(stage, "joined", lambda tables: join(tables).slice(next(left, 0)))
    elif fault == "merging equal crystals":

        def merge(ranked: CandidateBatch, part: str) -> shortlisting.Decided:
            rest, fates = shortlisting.distinct(ranked, part)
            return shortlisting.Decided(rest.take(np.arange(len(rest) - 10)), fates)

        monkeypatch.setattr(module, "distinct", merge)
    else:

        def choose(ranked: CandidateBatch, chosen: Campaign) -> shortlisting.Decided:
            made = shortlisting.choose(ranked, chosen)
            return made._replace(fates=made.fates.slice(10))

        monkeypatch.setattr(decision, "choose", choose)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("fault", ["joining partitions", "merging equal crystals", "choosing"])
def test_ten_rows_lost_in_a_merge_are_noticed_and_named(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_ten_rows(fault, monkeypatch)
    named = r"10 of 2,300 rows have no fate \((x[0-9a-f]{20}, ){5}\.\.\.\)"
    with pytest.raises(FateError, match=rf"E-RUN-FATES: {named}\. Allowed: exactly one fate") as raised:
        module.screen(campaign(), output=tmp_path / "run", partition_rows=300)
    run = RunDirectory(tmp_path / "run")
    assert not run.ranked.exists()
    assert not run.is_complete
    assert len(set(re.findall("x[0-9a-f]{20}", str(raised.value)))) == 5
