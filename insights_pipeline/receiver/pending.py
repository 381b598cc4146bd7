"""What the drain must remember beyond the lake: how far it came, unfinished runs, and scores without a trace.

LangSmith and Langfuse send a run in pieces that may be minutes and restarts apart. `Pending` keeps what is known of
each run in a SQLite file, which is committed with the position it belongs to: state and position never disagree, so
reading on from there after a kill gives the same rows again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.traces.exports.pieces import Piece, is_finished, merged
from insights_pipeline.traces.ids import fingerprint
from insights_pipeline.traces.table import Labels

UNFINISHED_KEPT_NS = 7 * NS_PER_DAY
# A finished run stays for a while: senders repeat requests whose answer got lost, and a repeated creation must
# not replace the whole run by its beginning.
FINISHED_KEPT_NS = 10 * 60 * 1_000_000_000
FINISHED_KEPT = 20_000
# An update may overtake its creation. Only one whose creation stays away this long is told as a reject; should the
# creation come after all, the run still becomes a row.
CREATION_AWAITED_NS = 60 * 60 * 1_000_000_000
_OVERDUE_AT_ONCE = 1_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (log TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    system TEXT NOT NULL,
    fields BLOB NOT NULL,
    finished INTEGER NOT NULL,
    lacking INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    position TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_seen ON runs (seen_ns);
CREATE INDEX IF NOT EXISTS runs_finished ON runs (seq) WHERE finished = 1;
CREATE INDEX IF NOT EXISTS runs_finished_seen ON runs (seen_ns) WHERE finished = 1;
CREATE INDEX IF NOT EXISTS runs_lacking ON runs (seen_ns) WHERE lacking = 1;
CREATE TABLE IF NOT EXISTS unplaced (
    score_id TEXT PRIMARY KEY,
    score BLOB NOT NULL,
    seen_ns INTEGER NOT NULL
);
"""


class Run(NamedTuple):
    """A run as known so far, and how its newest piece came; `lacking`: not enough of it to be a row."""

    system: str
    fields: dict[str, Any]
    position: str
    source: str
    received_ns: int
    labels: Labels
    lacking: bool = False


Runs = dict[str, Run]


def open_state(path: Path) -> sqlite3.Connection:
    """The drain's state; a commit is on disk when it returns. A file that is damaged is put aside for a new one.

    Without its state the drain goes on by what the tables of the lake say; unfinished runs begin anew.
    """
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, unreadable, no space: not damaged
            raise
    for suffix in ("-wal", "-shm", ""):
        damaged = path.with_name(path.name + suffix)
        if damaged.exists():
            damaged.replace(path.with_name(f"{path.name}.damaged{suffix}"))
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def position_of(state: sqlite3.Connection, log: str) -> int:
    """Up to where a log was drained, 0 when never: positions of another log say nothing of this one."""
    found = state.execute("SELECT position FROM progress WHERE log = ?", (log,)).fetchone()
    return int(found[0]) if found else 0


def store_position(state: sqlite3.Connection, log: str, position: int) -> None:
    state.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (log, position))


class Pending:
    """Runs in pieces. Merges go into the batch at hand; `seal` hands them over, `store` keeps them for good."""

    def __init__(self, state: sqlite3.Connection) -> None:
        self._state = state
        self._batch: Runs = {}
        self._sealed: Runs = {}

    def merge(
        self, piece: Piece, *, source: str = "", received_ns: int = 0, labels: Labels | None = None
    ) -> dict[str, Any]:
        """The fields of the piece's run as known so far. Runs of different tenants are never merged."""
        labels = labels or Labels()
        key = fingerprint(piece.system, piece.key, labels.tenant_id or "")
        fields = merged(self._known(key), piece)
        self._batch[key] = Run(piece.system, fields, piece.position, source, received_ns, labels)
        return fields

    def touched(self) -> Iterator[tuple[str, Run]]:
        """The last state of each run that the batch at hand touched, in the order of their first pieces."""
        yield from list(self._batch.items())

    def mark_lacking(self, key: str) -> None:
        """A run of the batch at hand cannot be a row yet."""
        self._batch[key] = self._batch[key]._replace(lacking=True)

    def overdue(self, *, now_ns: int) -> list[Run]:
        """Runs that cannot be a row and waited for too long; each is given once, and is of the batch at hand then."""
        found = self._state.execute(
            "SELECT id, system, fields, position, source, seen_ns FROM runs "
            "WHERE lacking = 1 AND seen_ns < ? ORDER BY seen_ns, seq LIMIT ?",
            (now_ns - CREATION_AWAITED_NS, _OVERDUE_AT_ONCE),
        )
        runs = {
            key: Run(system, orjson.loads(data), position, source, seen_ns, Labels())
            for key, system, data, position, source, seen_ns in found
            if key not in self._batch and key not in self._sealed
        }
        self._batch.update(runs)
        return list(runs.values())

    def seal(self) -> Runs:
        """End the batch at hand: its runs, to be given to `store` once they are in the lake."""
        self._sealed, self._batch = self._batch, {}
        return self._sealed

    def store(self, runs: Runs) -> None:
        """Keep sealed runs within the caller's transaction, and forget what need not be known any longer."""
        rows = []
        for key, run in runs.items():
            if (data := _packed(run.fields)) is not None:
                is_done = is_finished(run.system, run.fields) and not run.lacking
                state = (is_done, run.lacking, run.received_ns, run.source, run.position)
                rows.append((key, run.system, data, *state))
        self._state.executemany(
            "INSERT OR REPLACE INTO runs (id, system, fields, finished, lacking, seen_ns, source, position) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        if rows:
            self._forget(now_ns=max(run.received_ns for run in runs.values()))

    def stored(self, runs: Runs) -> None:
        """These sealed runs are committed: from here on they are read from the file. Later ones may be sealed."""
        if self._sealed is runs:
            self._sealed = {}

    def _known(self, key: str) -> dict[str, Any] | None:
        for runs in (self._batch, self._sealed):
            if key in runs:
                return runs[key].fields
        found = self._state.execute("SELECT fields FROM runs WHERE id = ?", (key,)).fetchone()
        return orjson.loads(found[0]) if found else None

    def _forget(self, *, now_ns: int) -> None:
        self._state.execute("DELETE FROM runs WHERE seen_ns < ?", (now_ns - UNFINISHED_KEPT_NS,))
        self._state.execute(
            "DELETE FROM runs WHERE finished = 1 AND seen_ns < ?", (now_ns - FINISHED_KEPT_NS,)
        )
        self._state.execute(
            "DELETE FROM runs WHERE finished = 1 AND seq <= (SELECT max(seq) FROM runs) - ?", (FINISHED_KEPT,)
        )
        self._state.execute("PRAGMA incremental_vacuum(1000)").fetchall()


def _packed(fields: dict[str, Any]) -> bytes | None:
    """Fields as JSON; None for what JSON cannot hold: such a run has been stored as known so far."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):
        return None
