"""Scores to the traces that they judge: each gets the trace's id and the day on which the trace began."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from insights_pipeline.lake import DayRange, Engine, Slice, load_sql
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.lake.tables import FEEDBACK

DAYS = 35
_SPAN_COLUMNS = ("date", "trace_id", "span_id", "session_id", "start_ns")


class Placed(NamedTuple):
    """Scores as rows of `feedback`, in the order given, and which of them were found."""

    scores: pa.Table
    found: list[bool]


def place_scores(engine: Engine, scores: pa.Table, *, days: int = DAYS) -> pa.Table:
    """The rows of `feedback` with the `date` and the `trace_id` of what they judge; order and schema stay.

    Looked for among the traces that began on the `days` before a score or on the day after: by trace id; by span id
    when no trace is named; a score of a session goes to the newest trace of it that had begun. What is not found
    keeps the day of its own time.
    """
    return find_scores(engine, scores, days=days).scores


def find_scores(engine: Engine, scores: pa.Table, *, days: int = DAYS) -> Placed:
    """As `place_scores`, and tells which were found."""
    if scores.num_rows == 0:
        return Placed(scores, [])
    days += 1  # tells of a trace whether it began before
    own_day = _days_of(scores.column("at_ns"))
    first, last = pc.min_max(own_day).values()
    around = DayRange(first.as_py() - timedelta(days=days), last.as_py() + timedelta(days=1))
    asked = pa.table(
        {
            "place": pa.array(range(scores.num_rows), pa.int64()),
            "day": own_day,
            **{name: scores.column(name) for name in ("trace_id", "span_id", "session_id", "at_ns")},
        }
    )
    sources = {"scores": asked, "spans": Slice("spans", around, columns=_SPAN_COLUMNS)}
    answer = engine.query(load_sql("insights_pipeline.traces", "place_scores"), sources, {"days": days})
    found = dict(
        zip(
            answer.column("place").to_pylist(),
            zip(answer.column("trace_id").to_pylist(), answer.column("date").to_pylist(), strict=True),
            strict=True,
        )
    )
    given = zip(scores.column("trace_id").to_pylist(), own_day.to_pylist(), strict=True)
    places = [found.get(place, unknown) for place, unknown in enumerate(given)]
    columns = {name: scores.column(name) for name in FEEDBACK.schema.names}
    columns["trace_id"] = pa.array([trace_id for trace_id, _ in places], pa.string())
    columns["date"] = pa.array([day for _, day in places], pa.date32())
    return Placed(pa.table(columns, schema=FEEDBACK.schema), [place in found for place in range(len(places))])


def _days_of(times_ns: pa.ChunkedArray) -> pa.Array:
    numbers = times_ns.to_numpy() // NS_PER_DAY
    return pa.array(numbers.astype("int32")).cast(pa.date32())
