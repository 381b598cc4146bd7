"""Spans to traces: one of each span, with what came apart from it, then one row a trace.

Messages that were sent as log records (`span_contents`) complete the spans they belong to, scores (`feedback`) the
traces, whenever they arrive; what belongs to no span or trace waits and makes none.

A trace belongs to the UTC day of its earliest span and may run on into the next: a day reads its neighbours.
Both steps replace whole days and depend on nothing but the rows there are, so they can be repeated, and a
range in one call gives the rows that day by day gives.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from insights_pipeline.lake import ConflictError, DayRange, Engine, Slice, load_sql
from insights_pipeline.lake.tables import TRACES
from insights_pipeline.traces.contents import gather_contents
from insights_pipeline.traces.prices import MAX_COST_USD
from insights_pipeline.traces.text import MAX_COUNT

_log = logging.getLogger(__name__)

# Days beyond its first on which spans still join a trace. A trace id that is silent for a whole UTC day starts
# anew (another row, on its new day); of one active for longer without such a pause, what follows the horizon
# is left out, and the quality check `traces_fit_the_horizon` tells of it.
HORIZON_DAYS = 1
MAX_USER_CHARS = 20_000
MAX_METADATA_CHARS = 20_000  # cut JSON is no JSON: longer metadata is left out, and stays readable in `spans`
MAX_DEPTH = 64
MAX_PROMPTS = 4  # of a trace, in the order of their names
LATE_AFTER_NS = 10 * 60 * 1_000_000_000

# What one query assembles at once: about 350 MiB of DuckDB memory, whatever the size of the day.
PART_SPANS = 250_000
PART_TEXT_BYTES = 2**30
SAID_WEIGHT = (
    8  # texts of log records are held in memory while they are joined, those of spans stream through
)

# Every trace id lies from _LOWEST to below _HIGHEST (the last code point, which Unicode reserves as no character).
_LOWEST, _HIGHEST = "", "\U0010ffff"
_PACKAGE = "insights_pipeline.traces"


def compact_spans(engine: Engine, days: DayRange) -> int:
    """Keep one copy of each span of `days`, sorted by trace; gives the rows kept.

    The last arrival wins. A span that was sent again with a start on a neighbouring day lives on the day of its
    last arrival: compacting the other day drops it there, whichever of the two days is compacted first. Copies
    further apart than `HORIZON_DAYS` both stay: a run of either day could not know of the other. Messages that
    came as log records are stored with their span.

    Days of live traffic may get rows faster than they are rewritten: these stay as they are until a later run, which
    costs reading but changes no trace.
    """
    sql = _sql("one_of_each", "contents", "compact")
    rows = 0
    for chunk in engine.lake.chunks("spans", days):
        params = {
            "first": chunk.first,
            "last": chunk.last,
            "low": _LOWEST,
            "high": _HIGHEST,
            "horizon_days": HORIZON_DAYS,
        }
        with _folder(engine) as folder:
            sources = {
                "spans": _around("spans", chunk, HORIZON_DAYS),
                "said": gather_contents(engine, chunk, folder / "said.arrow", horizon_days=HORIZON_DAYS),
            }
            try:
                rows += engine.write(sql, sources, Slice("spans", chunk), params)
            except ConflictError as error:
                _log.warning("%s; it is compacted by a later run", error)
                there = engine.lake.rows_by_day("spans")
                rows += sum(there.get(day, 0) for day in chunk)
    return rows


def assemble_traces(engine: Engine, days: DayRange, *, part_spans: int = PART_SPANS) -> int:
    """Write the traces that start on `days`; gives their number. The spans need not be compacted.

    A day of more than `part_spans` spans is assembled in parts of neighbouring trace ids, one after the other.
    """
    chunks = engine.lake.chunks("spans", days)
    return sum(_replace_traces(engine, chunk, part_spans=part_spans) for chunk in chunks)


def _replace_traces(engine: Engine, days: DayRange, *, part_spans: int) -> int:
    with ExitStack() as stack:

        def make() -> pa.RecordBatchReader:
            # Spans are read only after the table is open, and again on a retry: whoever commits in between is a
            # conflict, so that older traces never replace newer ones.
            stack.close()
            folder = stack.enter_context(_folder(engine))
            spool = folder / "traces.arrow"
            _spool(spool, _assembled(engine, days, folder, part_spans=part_spans))
            return _spooled(spool)

        return engine.lake.replace(Slice("traces", days), make)


@contextmanager
def _folder(engine: Engine) -> Iterator[Path]:
    """A folder beside the engine's spilled data, for what does not fit in memory: /tmp may be memory itself."""
    sql = "SELECT current_setting('temp_directory') AS folder"
    spill = Path(engine.query(sql, {}).column("folder")[0].as_py())
    spill.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="insights-traces-", dir=spill) as folder:
        yield Path(folder)


def _assembled(engine: Engine, days: DayRange, folder: Path, *, part_spans: int) -> Iterator[pa.RecordBatch]:
    sql = _sql("one_of_each", "contents", "assemble")
    around = days.widen(before=HORIZON_DAYS, after=HORIZON_DAYS)
    said = gather_contents(engine, around, folder / "said.arrow", horizon_days=HORIZON_DAYS)
    # A copy of a span on the outermost day that is assembled may have lost to one on the day beyond.
    sources = {
        "spans": _around("spans", days, 2 * HORIZON_DAYS),
        "said": said,
        "feedback": _around("feedback", days, HORIZON_DAYS),
    }
    for low, high in pairwise(_cuts(engine, days, said.nbytes, part_spans=part_spans)):
        params = {
            "first": days.first,
            "last": days.last,
            "low": low,
            "high": high,
            "horizon_days": HORIZON_DAYS,
            "late_after_ns": LATE_AFTER_NS,
            "max_cost_usd": MAX_COST_USD,
            "max_depth": MAX_DEPTH,
            "max_prompts": MAX_PROMPTS,
            "max_metadata_chars": MAX_METADATA_CHARS,
            "max_tokens": MAX_COUNT,
            "max_user_chars": MAX_USER_CHARS,
        }
        yield from engine.query(sql, sources, params).cast(TRACES.schema).to_batches()


def _spool(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Keep finished parts on disk: delta-rs cannot be entered again (to read spans) while it pulls from a reader."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(path, TRACES.schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _spooled(path: Path) -> pa.RecordBatchReader:
    return pa.ipc.open_stream(pa.memory_map(str(path)))


def _cuts(engine: Engine, days: DayRange, said_bytes: int, *, part_spans: int) -> list[str]:
    """Trace ids that cut the spans of `days` into parts of bounded size; which ones they are changes no row."""
    sources = {"spans": Slice("spans", days)}
    size = engine.query(load_sql(_PACKAGE, "size"), sources).to_pylist()[0]
    text_bytes = size["text_bytes"] + SAID_WEIGHT * said_bytes
    parts = max(1, -(-size["spans"] // part_spans), -(-text_bytes // PART_TEXT_BYTES))
    if parts == 1:
        return [_LOWEST, _HIGHEST]
    shares = [part / parts for part in range(1, parts)]
    inner = engine.query(load_sql(_PACKAGE, "cuts"), sources, {"shares": shares}).column("cut").to_pylist()
    return [_LOWEST, *inner, _HIGHEST]


def _sql(*names: str) -> str:
    return "".join(load_sql(_PACKAGE, name) for name in names)


def _around(table: str, days: DayRange, more: int) -> Slice:
    return Slice(table, days.widen(before=more, after=more))
