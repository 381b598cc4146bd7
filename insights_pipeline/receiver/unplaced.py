"""Scores that came before what they judge: kept until the spans are there, then written again in their place.

A score of a session goes to the newest trace that had begun, and the spans of that trace may come after the score:
such scores are looked at again for a day, and written again when their trace turns out to be another one.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import date
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from insights_pipeline.lake import Engine
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.lake.tables import FEEDBACK
from insights_pipeline.traces.feedback import DAYS, find_scores

KEPT_NS = 7 * NS_PER_DAY
SESSION_KEPT_NS = NS_PER_DAY
MAX_BYTES = 32 * 2**20
# Most scores judge what ran a moment ago. Among the spans of a month is looked now and then only, for all that wait
# (spans also come by other ways than the receiver): on a large lake that takes long, and traffic must not wait for it.
NEAR_DAYS = 2
_PAUSES, _LONGEST_PAUSE_S = 20, 600.0  # times as long as the last such look took
_IDS = ("trace_id", "span_id", "session_id")

Changes = dict[str, "bytes | None"]


class Settled(NamedTuple):
    """Rows to append to `feedback`, and what waits from now on (None: no longer)."""

    rows: pa.Table
    changes: Changes


class _Waiting(NamedTuple):
    """A score as it was sent, and where it lies now."""

    row: dict[str, Any]
    trace_id: str | None
    day: date
    data: bytes


class Unplaced:
    """The scores that wait, in memory (at most 32 MiB) and in the drain's SQLite file."""

    def __init__(self, state: sqlite3.Connection) -> None:
        self._state = state
        self._bytes = 0
        self._next_look = 0.0
        self._waiting: dict[str, _Waiting] = {}
        for score_id, data in state.execute("SELECT score_id, score FROM unplaced ORDER BY seen_ns, rowid"):
            self._keep(score_id, data)

    def __len__(self) -> int:
        return len(self._waiting)

    def settle(self, engine: Engine, fresh: pa.Table, spans: pa.Table | None, *, now_ns: int) -> Settled:
        """Place new scores, and those that waited for these spans (None: there are none). The spans are in the lake."""
        new = fresh.to_pylist()
        arrived = {row["score_id"] for row in new}
        began = time.monotonic()
        is_far = began >= self._next_look
        due = self._waiting.values() if is_far else self._due(spans)
        again = [kept for kept in due if kept.row["score_id"] not in arrived]
        if not new and not again:
            return Settled(FEEDBACK.schema.empty_table(), {})
        asked = pa.Table.from_pylist([*new, *(kept.row for kept in again)], schema=FEEDBACK.schema)
        scores, found = find_scores(engine, asked, days=DAYS if is_far else NEAR_DAYS)
        if is_far:
            ended = time.monotonic()
            self._next_look = ended + min(_PAUSES * (ended - began), _LONGEST_PAUSE_S)
        rows: list[dict[str, Any]] = []
        changes: Changes = {}
        places = zip(scores.select(["trace_id", "date"]).to_pylist(), found, strict=True)
        for number, (place, is_found) in enumerate(places):
            kept = again[number - len(new)] if number >= len(new) else None
            row = kept.row if kept else new[number]
            if kept is None:
                rows.append({**row, **place})
            elif is_found and (kept.trace_id, kept.day) != (place["trace_id"], place["date"]):
                rows.append({**row, **place, "ingested_ns": max(now_ns, row["ingested_ns"] + 1)})
            of_session = not row["trace_id"] and not row["span_id"]
            is_settled = is_found and not of_session
            if kept is None or is_found:
                changes[row["score_id"]] = None if is_settled else _packed(row, place)
        return Settled(pa.Table.from_pylist(rows, schema=FEEDBACK.schema), changes)

    def unsettled(self, fresh: pa.Table) -> Settled:
        """For scores that were appended before a kill, nobody knows at which place: all wait to be looked for again."""
        rows = fresh.to_pylist()
        return Settled(
            FEEDBACK.schema.empty_table(),
            {
                row["score_id"]: _packed(row, {name: row[name] for name in ("trace_id", "date")})
                for row in rows
            },
        )

    def store(self, changes: Changes, *, now_ns: int) -> None:
        """Keep what waits, within the caller's transaction; what waited for too long is let go where it lies."""
        for score_id, data in changes.items():
            self._drop(score_id)
            if data is not None:
                self._keep(score_id, data)
                seen_ns = self._waiting[score_id].row["ingested_ns"]
                self._state.execute(
                    "INSERT OR REPLACE INTO unplaced VALUES (?, ?, ?)", (score_id, data, seen_ns)
                )
        for score_id, kept in list(self._waiting.items()):
            age = now_ns - kept.row["ingested_ns"]
            limit = KEPT_NS if kept.row["trace_id"] or kept.row["span_id"] else SESSION_KEPT_NS
            if age > limit or self._bytes > MAX_BYTES:  # they stand in the order of arrival
                self._drop(score_id)

    def _due(self, spans: pa.Table | None) -> list[_Waiting]:
        if not self._waiting or spans is None:
            return []
        there = {name: set(spans.column(name).to_pylist()) for name in _IDS}
        return [
            kept
            for kept in self._waiting.values()
            if any(kept.row[name] and kept.row[name] in there[name] for name in _IDS)
        ]

    def _keep(self, score_id: str, data: bytes) -> None:
        stored = orjson.loads(data)
        row, place = stored["row"], stored["place"]
        row["date"] = date.fromisoformat(row["date"])
        self._waiting[score_id] = _Waiting(row, place["trace_id"], date.fromisoformat(place["date"]), data)
        self._bytes += len(data)

    def _drop(self, score_id: str) -> None:
        if (kept := self._waiting.pop(score_id, None)) is not None:
            self._bytes -= len(kept.data)
            self._state.execute("DELETE FROM unplaced WHERE score_id = ?", (score_id,))


def _packed(row: dict[str, Any], place: dict[str, Any]) -> bytes:
    return orjson.dumps({"row": row, "place": place})
