"""Sealed batches to the lake, exactly once: each table remembers the position up to which it has rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from insights_pipeline.lake import Engine, Lake
from insights_pipeline.lake.tables import FEEDBACK
from insights_pipeline.receiver.filling import Sealed
from insights_pipeline.receiver.unplaced import Changes, Unplaced

# Spans first: the scores of a batch are placed by them.
TABLES = ("spans", "span_contents", "feedback", "rejects")

Connect: TypeAlias = "Callable[[], tuple[Lake, Engine]]"


class Landed(NamedTuple):
    """What an append did: rows by table, and what the scores that wait have become."""

    rows: dict[str, int]
    changes: Changes


class Appender:
    """Appends batches of one log under its id, so that two logs that feed one lake never skip each other's rows.

    A batch may be appended again after any failure, also one that came after a commit: a table that has the
    batch's position already is left as it is. Errors of the lake are passed on, and the next try connects anew.
    """

    def __init__(self, connect: Connect, log: str) -> None:
        self._connect = connect
        self._app = f"insights.receiver.{log}"
        self._open: tuple[Lake, Engine] | None = None
        self._stored: dict[str, int] = {}

    def stored(self) -> dict[str, int]:
        """The position that each table has rows up to, -1 for one that never had any."""
        self._connected()
        return dict(self._stored)

    def append(self, sealed: Sealed, unplaced: Unplaced) -> Landed:
        try:
            return self._append(sealed, unplaced)
        except BaseException:
            self._open = None
            raise

    def _connected(self) -> tuple[Lake, Engine]:
        if self._open is None:
            lake, engine = self._connect()
            self._stored = {table: lake.transaction(table, self._app) for table in TABLES}
            for table in TABLES:  # also what an earlier drain appended just before it was killed
                lake.sync(table, since=0.0)
            self._open = lake, engine
        return self._open

    def _append(self, sealed: Sealed, unplaced: Unplaced) -> Landed:
        lake, engine = self._connected()
        tables = sealed.tables
        rows = {name: self._put(lake, sealed, name, tables.get(name)) for name in ("spans", "span_contents")}
        fresh = tables.get("feedback", FEEDBACK.schema.empty_table())
        if self._stored["feedback"] >= sealed.position:
            settled = unplaced.unsettled(fresh)
        else:
            settled = unplaced.settle(engine, fresh, tables.get("spans"), now_ns=sealed.newest_ns)
        rows["feedback"] = self._put(lake, sealed, "feedback", settled.rows)
        rows["rejects"] = self._put(lake, sealed, "rejects", tables.get("rejects"))
        return Landed(rows, settled.changes)

    def _put(self, lake: Lake, sealed: Sealed, name: str, rows: pa.Table | None) -> int:
        if rows is None or not rows.num_rows or self._stored[name] >= sealed.position:
            return 0
        lake.keep()
        began = time.time()
        lake.append(name, rows, transaction=(self._app, sealed.position))
        lake.sync(name, since=began)  # the log's segments, which were synced too, are removed only then
        self._stored[name] = sealed.position
        return int(rows.num_rows)
