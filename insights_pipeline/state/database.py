"""The database: SQLite in a file by default, Postgres by URL; made and brought up to date on first use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from insights_pipeline.state.tables import SCHEMA, VERSIONS

_BUSY_SECONDS = 30  # how long a writer waits for another
_CONNECT_SECONDS = 10
_LOCK = 0x696E7369  # of the migration, in Postgres


class StateError(ValueError):
    """The database cannot be used; the message says why and what to do, without any secret."""


class State:
    """The database of what people edit. Raises StateError, whose message never shows a password.

    Nothing is opened before it is needed, and only a write makes a database where none is.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._ready = False

    def __repr__(self) -> str:
        return f"State({self.where})"

    @property
    def where(self) -> str:
        """The URL for people to read."""
        return _shown(self._url)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """A connection in a transaction of its own, or None where there is no database yet."""
        path = _file_of(self._url)
        if path is not None and not path.exists():
            yield None
            return
        with self._told():
            if not self._ready:
                with self._engine().begin() as connection:
                    version = _version(connection)
                if version is None:
                    yield None
                    return
                self._up_to_date(version)
            with self._engine().begin() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end; the tables are there."""
        path = _file_of(self._url)
        if path is not None:
            _make_folder(path)
        with self._told():
            if not self._ready:
                with self._engine().begin() as connection:
                    version = _version(connection)
                self._up_to_date(version)
            with self._writer().begin() as connection:
                yield connection

    def _up_to_date(self, version: str | None) -> None:
        if version != SCHEMA:
            with self._writer().begin() as connection:
                _lock(connection)
                _migrate(connection, self.where)
        self._ready = True

    def _engine(self) -> Engine:
        return _engine_at(self._url, os.getpid())

    def _writer(self) -> Engine:
        # A SQLite transaction that begins as a reader cannot wait for a writer when it comes to write.
        return self._engine().execution_options(begin="BEGIN IMMEDIATE")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            # the driver's own words, once they can hold no secret; never the statement with its values
            said = _without(str(error.orig), self._url)
            remedy = ": another process is writing to it, try again" if said == "database is locked" else ""
            raise StateError(f"{self.where}: {said}{remedy}") from None
        except ModuleNotFoundError as error:
            raise StateError(
                f"{self.where}: {error.name} is not installed: pip install 'insights-pipeline[postgres]'"
            ) from None
        except SQLAlchemyError as error:
            raise StateError(f"{self.where}: {_without(str(error), self._url)}") from None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise StateError("INSIGHTS_STATE_URL: only sqlite:///PATH and postgresql://… are supported")
        if parsed.get_backend_name() == "sqlite" and _file_of(parsed) is None:
            raise StateError("INSIGHTS_STATE_URL: SQLite needs a file, as in sqlite:///data/state.db")
    except (ArgumentError, NoSuchModuleError, TypeError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(  # the value itself may hold a password
            "INSIGHTS_STATE_URL is not a database URL: write sqlite:///PATH or postgresql://USER@HOST/NAME"
        ) from None
    return parsed


def _shown(url: URL) -> str:
    """The URL without password, and without its query, where drivers take passwords too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _without(message: str, url: URL) -> str:
    secrets = [str(url.password or ""), *(str(value) for value in url.query.values())]
    for secret in filter(None, secrets):
        message = message.replace(secret, "***")
    return " ".join(message.split())


def _file_of(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{path.parent}: cannot be made ({error.strerror})") from None


@cache
def _engine_at(url: URL, process: int) -> Engine:
    """One engine a process; connections are not carried over a fork, and none is kept open."""
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}, hide_parameters=True
        )
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's own transactions begin after a DDL statement has run: SQLAlchemy says BEGIN instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")  # what a person was told is done outlasts a power cut
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Change the journal; SQLite does not wait for others here, so we do."""
    import sqlite3

    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _version(connection: Connection) -> str | None:
    """The schema of the database, None where it has none of ours."""
    if not inspect(connection).has_table(VERSIONS):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalars().all()
    return str(found[0]) if found else None


def _lock(connection: Connection) -> None:
    """One migration at a time; in SQLite BEGIN IMMEDIATE has seen to it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _migrate(connection: Connection, where: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    version = _version(connection)  # another process may have been here while we waited
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StateError(
            f"{where}: made by a newer release (schema {version}, this one knows {SCHEMA}): upgrade Insights"
        )
    if version == SCHEMA:
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
