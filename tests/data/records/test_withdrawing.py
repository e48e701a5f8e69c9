"""A proposal that nobody will follow is taken back by a record of its own."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text
from typer.testing import CliRunner

from matloop.data.errors import RecordsError
from matloop.data.records import database as records_database
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import contents_of
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.proposals import ProposedCandidate, add_proposal, taken_candidates
from matloop.data.records.questions import open_questions
from matloop.data.records.tables import ACTIONS, PROPOSALS, WITHDRAWALS
from matloop.data.records.withdrawing import withdraw_proposals
from matloop.workflows.cli import app
from tests.data.records.result_sheets import result, write_sheet

BATCH = {"cand-tio2": "TiO2", "cand-gan-1": "GaN", "cand-gan-2": "GaN", "cand-zno": "ZnO"}


def propose(database: RecordsDatabase, *names: str) -> None:
    batch = [ProposedCandidate(name, KnownCandidate(BATCH[name]), {"probability": 0.4}) for name in names]
    add_proposal(database, batch, details={})


def test_withdrawn_candidates_may_be_proposed_again_and_nothing_is_overwritten(place: str, tmp_path: Path) -> None:
    database = open_records(place)
    propose(database, *BATCH)
    told = CliRunner().invoke(app, ["withdraw", "cand-tio", "cand-zno", "--reason", "no furnace", "--records", place])
    assert told.exit_code == 0, told.output
    assert "withdrawn: cand-tio2, cand-zno" in told.output
    assert taken_candidates(database).pending == {"cand-gan-1", "cand-gan-2"}
    with database.reading() as connection:
        ((kind, note, by),) = connection.execute(
            select(ACTIONS.c.kind, ACTIONS.c.note, ACTIONS.c.by)
            .join(WITHDRAWALS, WITHDRAWALS.c.action_id == ACTIONS.c.id)
            .distinct()
        )
        assert (kind, note) == ("withdraw", "no furnace")
        assert by
        assert len(connection.execute(select(PROPOSALS.c.id)).all()) == 4
    with pytest.raises(RecordsError, match="withdrawn already"):
        withdraw_proposals(database, ["cand-gan-1", "cand-zno"], reason="again")
    assert "cand-gan-1" in taken_candidates(database).pending  # all or nothing
    propose(database, "cand-zno")
    assert "cand-zno" in taken_candidates(database).pending

    sheet = write_sheet(tmp_path / "late.csv", [result("cand-tio2", "TiO2", "A1", "3.1")])
    told = CliRunner().invoke(app, ["import", str(sheet), "--records", place, "--lang", "zh"])
    assert "接受 1 行" in told.output
    assert "cand-tio2 的提议此前已撤回" in told.output
    assert taken_candidates(database).made == {"cand-tio2"}
    found = contents_of(database)
    assert (found.proposed, found.withdrawn) == (4, 1)


@pytest.mark.parametrize(
    ("candidate", "reason", "message"),
    [
        ("cand-tio2", "why", "a result of cand-tio2 is back"), ("cand-zno", "why", "waits for an answer"),
        ("cand-gan", "why", "2 ids begin. Allowed: the id of a proposed candidate"),
        ("cand", "why", "no proposed candidate"), ("cand-gan-1", " ", "reason"),
    ],
)  # fmt: skip
def test_what_is_back_or_not_meant_is_refused(tmp_path: Path, candidate: str, reason: str, message: str) -> None:
    database = open_records(tmp_path / "records.sqlite")
    propose(database, *BATCH)
    held = result("cand-zno", "ZnO", "Z1", "3.3", unit="")
    import_sheet(database, write_sheet(tmp_path / "s.csv", [result("cand-tio2", "TiO2", "A1", "3.1"), held]))
    if candidate == "cand-zno":  # the row is about the candidate that an answer names
        [question] = open_questions(database)
        answer_questions(database, {question.id: Answer("refuse")})
        wrong = {**held, "candidate_id": "cand-zn0"}
        import_sheet(database, write_sheet(tmp_path / "s.csv", [wrong]))
        [question] = [one for one in open_questions(database) if one.doubt.column == "candidate_id"]
        answer_questions(database, {question.id: Answer("instead", "cand-zno")})
    with pytest.raises(RecordsError, match=message) as caught:
        withdraw_proposals(database, [candidate], reason=reason)
    assert caught.value.code == "E-RECORDS"
    assert contents_of(database).withdrawn == 0


def test_records_of_the_version_before_are_brought_up_to_date(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = command.upgrade

    def older(config: Config, _: str) -> None:
        whole(config, "0001")

    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", older)
        database = open_records(place)
        database.write(
            lambda connection: connection.execute(
                text(
                    'INSERT INTO actions (id, number, kind, at, "by", version, note, details_json)'
                    " VALUES ('act-1', 1, 'import', '', '', '', '', '{}')"
                )
            )
        )
    assert records_database.open_records(place, may_create=False).write(
        lambda connection: connection.execute(select(ACTIONS.c.id)).scalars().all()
    ) == ["act-1"]
    assert contents_of(open_records(place)).withdrawn == 0
