"""What spans said apart from themselves, gathered from log records: one row a span, on disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from insights_pipeline.lake import DayRange, Engine, Slice, load_sql

MAX_CONTENT_CHARS = 100_000  # of the messages of one span, and of each of its texts
PART_TEXT_BYTES = 64 * 2**20  # what one query gathers at once: about 400 MiB of DuckDB memory
_LOWEST, _HIGHEST = "", "\U0010ffff"
_PACKAGE = "insights_pipeline.traces"
_HASHES = pa.list_(pa.uint64())
SAID = pa.schema(
    [
        ("date", pa.date32()),
        ("trace_id", pa.string()),
        ("span_id", pa.string()),
        ("messages", pa.string()),
        ("input_text", pa.string()),
        ("output_text", pa.string()),
        ("known_messages", _HASHES),
        ("known_inputs", _HASHES),
        ("known_outputs", _HASHES),
    ]
)


def gather_contents(
    engine: Engine, days: DayRange, spool: Path, *, horizon_days: int, part_bytes: int = PART_TEXT_BYTES
) -> pa.Table:
    """What the spans of `days` said, out of records of `horizon_days` around them; the rows lie in the file `spool`.

    Columns as in `SAID`, one row for each span and day. Costs nothing when there are no records.
    """
    around = days.widen(before=horizon_days, after=horizon_days)
    filled = engine.lake.rows_by_day("span_contents")
    if not any(day in filled for day in around):
        return SAID.empty_table()
    with pa.ipc.new_stream(
        spool, SAID
    ) as writer:  # not compressed: so the rows stay in the file until they are read
        for batch in _said(engine, days, around, horizon_days, part_bytes):
            writer.write_batch(batch)
    return pa.ipc.open_stream(pa.memory_map(str(spool))).read_all()


def _said(
    engine: Engine, days: DayRange, around: DayRange, horizon_days: int, part_bytes: int
) -> Iterator[pa.RecordBatch]:
    contents = Slice("span_contents", around)
    sources = {
        "spans": Slice("spans", days, columns=("date", "trace_id", "span_id")),
        "span_contents": contents,
    }
    for low, high in pairwise(_cuts(engine, contents, part_bytes)):
        params = {
            "low": low,
            "high": high,
            "horizon_days": horizon_days,
            "max_content_chars": MAX_CONTENT_CHARS,
        }
        yield from engine.query(load_sql(_PACKAGE, "said"), sources, params).cast(SAID).to_batches()


def _cuts(engine: Engine, contents: Slice, part_bytes: int) -> list[str]:
    """Keys that cut the records into parts of bounded text; which ones they are changes no row."""
    sources = {"span_contents": contents}
    [size] = engine.query(load_sql(_PACKAGE, "content_size"), sources).column("text_bytes").to_pylist()
    parts = max(1, -(-size // part_bytes))
    if parts == 1:
        return [_LOWEST, _HIGHEST]
    shares = [part / parts for part in range(1, parts)]
    cuts = engine.query(load_sql(_PACKAGE, "content_cuts"), sources, {"shares": shares})
    return [_LOWEST, *cuts.column("cut").to_pylist(), _HIGHEST]
