"""Spans written shortly, and what they become."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, day_of_ns, rows_to_table, start_ns
from insights_pipeline.traces.assemble import assemble_traces

D0, D1, D2, D3, D4 = (date(2026, 3, day) for day in (1, 2, 3, 4, 5))
SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3_600 * 10**9


def span(span_id: str, kind: str = "llm", *, at: int = 0, **columns: Any) -> dict[str, Any]:
    """A span of trace "t" that starts `at` ns after the noon of D1, takes a second and arrives a second later."""
    start = start_ns(D1) + 12 * HOUR + at
    row = {
        "trace_id": "t",
        "span_id": span_id,
        "kind": kind,
        "name": f"{kind} {span_id}",
        "start_ns": start,
        "end_ns": start + SECOND,
        "is_error": False,
        "source": "otlp",
    } | columns
    row.setdefault("ingested_ns", row["end_ns"] + SECOND)
    row.setdefault("date", day_of_ns(row["start_ns"]))
    return row


def assemble(
    engine: DuckDBEngine, *spans: dict[str, Any], days: DayRange | None = None
) -> list[dict[str, Any]]:
    """Traces of D0..D4 after these spans were appended."""
    engine.lake.append("spans", rows_to_table("spans", list(spans)))
    assemble_traces(engine, days or DayRange(D0, D4))
    return traces(engine.lake)


def traces(lake: Lake) -> list[dict[str, Any]]:
    return lake.read(Slice("traces")).sort_by([("date", "ascending"), ("trace_id", "ascending")]).to_pylist()


def content(span_id: str, *, at: int = 0, trace_id: str = "t", **columns: Any) -> dict[str, Any]:
    """A log record of a span, `at` ns after the noon of D1; `inputs` and `outputs` are pairs of role and text."""
    at_ns = start_ns(D1) + 12 * HOUR + at
    row: dict[str, Any] = {"ordinal": 0, "inputs": [], "outputs": [], "source": "otlp", "ingested_ns": at_ns}
    row |= {"trace_id": trace_id, "span_id": span_id, "at_ns": at_ns, "date": day_of_ns(at_ns)} | columns
    for side in ("inputs", "outputs"):
        row[side] = [
            json.dumps({"role": role, "content": text}, separators=(",", ":"), ensure_ascii=False)
            for role, text in row[side]
        ]
    return row


def score(
    score_id: str, name: str, value: float | None, *, at: int = 0, trace_id: str = "t", **columns: Any
) -> dict[str, Any]:
    """A row of `feedback` for a trace, `at` ns after the noon of D1."""
    at_ns = start_ns(D1) + 12 * HOUR + at
    row = {"score_id": score_id, "trace_id": trace_id, "name": name, "value": value, "at_ns": at_ns}
    return row | {"source": "test", "ingested_ns": at_ns, "date": day_of_ns(at_ns)} | columns


def add(lake: Lake, table: str, *rows: dict[str, Any]) -> None:
    lake.append(table, rows_to_table(table, list(rows)))
