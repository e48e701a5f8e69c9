"""The records database keeps what was written, whoever else writes and whatever is killed."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, insert, select, text

from matloop.data.errors import RecordsConnectionError, RecordsError, RecordsVersionError
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.identifiers import new_id
from matloop.data.records.tables import ACTIONS, APPEND_ONLY, METADATA


def add_action(connection: Connection, kind: str = "import") -> None:
    number = select(func.coalesce(func.max(ACTIONS.c.number), 0) + 1).scalar_subquery()
    texts = dict.fromkeys(("at", "by", "version", "note"), "")
    connection.execute(
        insert(ACTIONS).values(id=new_id("action"), number=number, kind=kind, details_json="{}", **texts)
    )


def numbers(database: RecordsDatabase) -> list[int]:
    with database.reading() as connection:
        return list(connection.execute(select(ACTIONS.c.number).order_by(ACTIONS.c.number)).scalars())


def test_migrations_make_the_tables_that_the_code_knows(place: str) -> None:
    with open_records(place).reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_no_row_can_be_changed_or_removed(place: str) -> None:
    database = open_records(place)
    database.write(add_action)
    for statement in ("UPDATE actions SET kind = 'other'", "DELETE FROM actions"):
        with pytest.raises(RecordsError, match="only added to"):
            database.write(lambda connection, statement=statement: connection.execute(text(statement)))
    assert numbers(database) == [1]


def test_every_table_is_guarded(tmp_path: Path) -> None:
    open_records(tmp_path / "records.sqlite")
    with sqlite3.connect(tmp_path / "records.sqlite") as connection:
        triggers = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert triggers == {f"{table}_no_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")}


def test_work_that_fails_leaves_nothing(place: str) -> None:
    database = open_records(place)

    def fail(connection: Connection) -> None:
        add_action(connection)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(fail)
    assert numbers(database) == []


def test_writers_wait_for_each_other(place: str) -> None:
    open_records(place).close()

    def write() -> None:
        database = open_records(place)
        for _ in range(10):
            database.write(add_action)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(open_records(place)) == list(range(1, 31))


def test_first_openings_at_once_make_the_tables_once(place: str) -> None:
    opened: list[RecordsDatabase] = []
    threads = [threading.Thread(target=lambda: opened.append(open_records(place))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [numbers(database) for database in opened] == [[], [], []]


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from matloop.data.records.database import open_records
left = 0
@event.listens_for(Engine, "after_cursor_execute")
def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
open_records(Path(sys.argv[1]) / "imported.sqlite")
for number in range(1, 1000):
    child = os.fork()
    if not child:
        left = number
        open_records(Path(sys.argv[1]) / f"{number}.sqlite")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


def test_migration_killed_at_any_statement_is_taken_back(tmp_path: Path) -> None:
    """SQLite: the tables are all there or none; the next opening makes them."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, check=True)
    (tmp_path / "imported.sqlite").unlink()
    files = sorted(tmp_path.glob("*.sqlite"))
    assert len(files) > 50
    for path in files:
        with sqlite3.connect(path) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        connection.close()
        assert tables in (0, len(APPEND_ONLY) + 1, len(APPEND_ONLY) + 2)  # with Alembic's and SQLite's own
    for path in files[::8]:
        with open_records(path).reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


@pytest.mark.parametrize(("name", "content", "message"), [
    ("notes.txt", b"some words that are no database", "no SQLite file"),
    ("short", b"x", "no SQLite file"),
])  # fmt: skip
def test_files_of_another_kind_are_refused_and_stay_as_they_are(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordsError, match=message):
        open_records(path)
    assert path.read_bytes() == content


def test_database_of_something_else_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RecordsError, match="something else"):
        open_records(path)
    assert path.read_bytes() == before


def test_newer_tables_are_refused(place: str) -> None:
    database = open_records(place)
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(RecordsVersionError, match="9999"):
        open_records(place)


@pytest.mark.parametrize(
    "place", ["mysql://host/db", "postgresql://lab:secret@127.0.0.1/db", "sqlite:////tmp/x", "://"]
)
def test_addresses_that_are_refused(place: str) -> None:
    with pytest.raises(RecordsError) as caught:
        open_records(place)
    assert "secret" not in str(caught.value)


def test_no_database_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="import a result sheet first"):
        open_records(tmp_path / "records.sqlite", may_create=False)
    assert not list(tmp_path.iterdir())


def test_password_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matloop.data.records.database._WAIT", 0.5)
    monkeypatch.setenv("MATLOOP_RECORDS", "postgresql://lab:very-secret@127.0.0.1:1/nowhere")
    with pytest.raises(RecordsConnectionError, match="out of reach") as caught:
        open_records()
    assert "very-secret" not in str(caught.value)


def test_server_that_is_started_again_loses_and_doubles_nothing(server: Any, place: str) -> None:
    if "://" not in place:
        pytest.skip("there is no server")
    database = open_records(place)
    restarted = threading.Event()

    def work(connection: Connection) -> None:
        add_action(connection)
        if not restarted.is_set():
            restarted.set()
            server.stop(mode="immediate")
            threading.Thread(target=lambda: (time.sleep(0.5), server.start())).start()
        add_action(connection)

    database.write(work)
    assert numbers(database) == [1, 2]


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        open_records(tmp_path / "records.sqlite")
    finally:
        os.umask(before)
    assert (tmp_path / "records.sqlite").stat().st_mode & 0o777 == 0o600
