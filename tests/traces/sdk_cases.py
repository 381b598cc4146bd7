"""The captured requests of real SDKs, read as the receiver reads them and assembled in a lake of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, connect_with, engine_config
from insights_pipeline.traces.assemble import assemble_traces
from insights_pipeline.traces.exports.pieces import Piece, live_records, merged, to_span
from insights_pipeline.traces.otlp.logs import read_logs
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Record, Reject
from insights_pipeline.traces.table import Batch

NOW = 1_796_000_000 * 1_000_000_000  # after the captures
_KINDS = {"/runs/multipart": "langsmith.multipart", "/api/public/scores": "langfuse.scores"}


class Captured(NamedTuple):
    """What the requests of one SDK became; `metrics` are the requests of metrics, of which nothing is kept."""

    traces: list[dict[str, Any]]
    spans: list[dict[str, Any]]
    rejects: list[Reject]
    metrics: int


def captured(folder: Path, work: Path) -> Captured:
    """All requests of a folder, in the order in which the SDK sent them; logs before spans, as they may come."""
    requests = sorted(folder.glob("*.bin"))
    heads = {path: json.loads(path.with_suffix(".headers.json").read_text()) for path in requests}
    requests.sort(key=lambda path: heads[path]["path"] != "/v1/logs")
    batch = Batch(NOW, 100_000)
    rejects: list[Reject] = []
    pieces: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
    for path in requests:
        for record in _records(path.read_bytes(), heads[path]):
            if isinstance(record, Piece):
                key = (record.system, record.key)
                held, position = pieces.get(key, (None, record.position))
                pieces[key] = (merged(held, record), position)
            elif isinstance(record, Reject):
                rejects.append(record)
            else:
                batch.add(record, folder.name)
    for (system, _), (fields, position) in pieces.items():
        batch.add(to_span(system, fields, position), folder.name)
    tables = batch.tables()
    assert "rejects" not in tables, tables["rejects"].to_pylist()
    lake = Lake(str(work / "lake"))
    for name, table in tables.items():
        lake.append(name, table)
    engine = DuckDBEngine(
        lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=work / "spill"))
    )
    days = sorted(lake.days("spans"))
    assemble_traces(engine, DayRange(days[0], days[-1]))
    return Captured(
        lake.read(Slice("traces")).sort_by("start_ns").to_pylist(),
        lake.read(Slice("spans")).sort_by("start_ns").to_pylist(),
        rejects,
        sum(head["path"] == "/v1/metrics" for head in heads.values()),
    )


def _records(body: bytes, head: dict[str, Any]) -> Iterator[Record | Piece]:
    window = decompressed(BytesIO(body))
    content_type = head["headers"]["content-type"]
    if head["path"] == "/v1/logs":
        return read_logs(window, hint=content_type)
    if (kind := _KINDS.get(head["path"])) is None:
        return read_records(window, hint=content_type)
    window.fill(1 << 26)
    return live_records(kind, window.data, content_type, {})
