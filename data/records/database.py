"""Open a records database: an SQLite file, or a PostgreSQL server by its URL.

Everything that is written goes through one transaction at a time: SQLite takes its write lock when the transaction
begins, PostgreSQL an advisory lock. Two writers therefore wait for each other, and what a killed process had begun is
as if it had never been. A broken connection is tried again from the start of the transaction.
"""

from __future__ import annotations

import importlib.resources
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from matloop.data.errors import RecordsConnectionError, RecordsError, RecordsVersionError
from matloop.data.plain_text import one_line
from matloop.data.records.tables import APPLICATION_ID

ENVIRONMENT = "MATLOOP_RECORDS"
"""Environment variable with the path or URL of the records database; only there may a URL hold a password."""

DEFAULT_FILE = Path("records.sqlite")
_WAIT = 120.0  # seconds for another writer, or for a server that is started again
_LOCK = 0x6D61746C6F6F70  # the advisory lock of all writers
_HEADER = b"SQLite format 3\0"

T = TypeVar("T")


class RecordsDatabase:
    """A records database with its tables in their newest version.

    Args:
        engine: Of SQLAlchemy.
        shown: How it is called in messages, without any password.
    """

    def __init__(self, engine: Engine, shown: str) -> None:
        self.engine, self.shown = engine, shown

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for reading; what it sees does not change while it is open.

        Raises:
            RecordsConnectionError: If the database is out of reach.
        """
        with self._coded(), self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do all of some work on the database, or nothing of it, while nobody else writes.

        Args:
            work: Called with a connection; called again from the start if the connection breaks before the end.

        Returns:
            What the work returns.

        Raises:
            RecordsConnectionError: If the database stays out of reach; nothing was written.
        """
        end = time.monotonic() + _WAIT
        pause = 0.2
        while True:
            try:
                with self._coded():
                    return self._write_once(work)
            except RecordsConnectionError:
                if time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 5.0)

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            if self.engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            return work(connection)

    @contextmanager
    def _coded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = one_line(str(error.orig))[:200]
            if isinstance(error, OperationalError | InterfaceError) or _is_starting(reason):
                raise RecordsConnectionError(
                    f"{self.shown} is out of reach: {reason}", "a file or server that answers",
                    "try again; nothing was written",
                ) from error  # fmt: skip
            raise RecordsError(f"{self.shown} refused: {reason}") from error
        except OSError as error:  # the driver of PostgreSQL lets some through
            raise RecordsConnectionError(
                f"{self.shown} is out of reach: {one_line(str(error))[:200]}", "a server that answers",
                "try again; nothing was written",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_records(place: str | Path | None = None, *, may_create: bool = True) -> RecordsDatabase:
    """Open a records database and bring its tables to their newest version.

    Args:
        place: Path of an SQLite file, or ``postgresql://user@host/database``; if None, what the environment variable
            ``MATLOOP_RECORDS`` says, or ``records.sqlite`` in the working folder. A password comes from that variable
            or from ``PGPASSWORD``, and never from ``place``.
        may_create: Whether to make an SQLite file that does not exist, and tables in an empty database.

    Raises:
        RecordsError: If it is no records database, or the place is not written as one.
        RecordsVersionError: If it was made by a newer version of matloop.
        RecordsConnectionError: If it is out of reach.
    """
    stated = os.environ.get(ENVIRONMENT, "") if place is None else str(place)
    if "://" in stated:
        database = _open_server(stated, with_password=place is None)
    else:
        database = _open_file(Path(stated) if stated else DEFAULT_FILE, may_create=may_create)
    _bring_up_to_date(database, may_create=may_create)
    return database


def _open_server(stated: str, *, with_password: bool) -> RecordsDatabase:
    try:
        url = make_url(stated)
    except (ArgumentError, ValueError) as error:
        raise RecordsError(
            "an address of a records database that cannot be read", "postgresql://user@host:port/database"
        ) from error
    if url.get_backend_name() != "postgresql":
        raise RecordsError(
            f"a records database by '{url.drivername[:40]}'", "the path of an SQLite file, or postgresql://..."
        )
    if url.password and not with_password:
        raise RecordsError(
            "a password in the address of a records database", "an address without one",
            f"put the password into the environment variable PGPASSWORD, or the whole address into {ENVIRONMENT}",
        )  # fmt: skip
    password = url.password or os.environ.get("PGPASSWORD")
    full = URL.create(
        "postgresql+pg8000", url.username or os.environ.get("PGUSER"), str(password) if password else None,
        url.host or "localhost", url.port, url.database,
    )  # fmt: skip
    connect: dict[str, Any] = {"timeout": _WAIT, "application_name": "matloop"}
    if socket := url.query.get("unix_sock"):
        connect["unix_sock"] = str(socket)
    engine = create_engine(full, poolclass=NullPool, connect_args=connect)
    engine.dialect.use_insertmanyvalues_wo_returning = True  # this driver sends one row at a time by itself
    return RecordsDatabase(engine, url._replace(password=None).render_as_string())


def _open_file(path: Path, *, may_create: bool) -> RecordsDatabase:
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise RecordsError(f"{path} is no file", "the path of a records database")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as stream:
            if stream.read(len(_HEADER)) != _HEADER:
                raise RecordsError(f"{path} is no SQLite file", "the path of a records database, or of a new file")
    elif not may_create:
        raise RecordsError(
            f"no records database {path}", "an existing one",
            f"import a result sheet first, or name the database with --records or {ENVIRONMENT}",
        )  # fmt: skip
    if not path.absolute().parent.is_dir():
        raise RecordsError(f"no folder {path.absolute().parent}", "a folder that exists", "make it first")
    engine = create_engine(
        URL.create("sqlite", database=str(path.absolute())), poolclass=NullPool, connect_args={"timeout": _WAIT}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return RecordsDatabase(engine, str(path))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, also before changes of tables
    for pragma in (
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "synchronous = FULL",
        f"busy_timeout = {_WAIT * 1000:.0f}",
    ):
        connection.execute(f"PRAGMA {pragma}")  # a rollback journal, the default, also holds on shared file systems


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_starting(reason: str) -> bool:
    """Whether a server of PostgreSQL answered that it is being stopped or started (SQLSTATE class 57P)."""
    return any(code in reason for code in ("57P01", "57P02", "57P03"))


def _bring_up_to_date(database: RecordsDatabase, *, may_create: bool) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files("matloop.data.records") / "migrations"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    with database.reading() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == newest:
        return

    def upgrade(connection: Connection) -> None:
        found = MigrationContext.configure(connection).get_current_revision()  # another process may have done it
        known = {script.revision for script in scripts.walk_revisions()}
        if found is not None and found not in known:
            raise RecordsVersionError(
                f"{database.shown} has tables of version {found[:40]}", f"one of {', '.join(sorted(known))}",
                "install the version of matloop that made it, or a newer one",
            )  # fmt: skip
        tables = [] if found else inspect(connection).get_table_names()
        if tables or (found is None and not may_create):
            got = f"{database.shown} holds tables of something else" if tables else f"{database.shown} is empty"
            raise RecordsError(got, "a records database, or a new and empty one")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    database.write(upgrade)
