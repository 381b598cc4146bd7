"""Logs as the door writes them, and what the lake holds after the drain."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from insights_pipeline.lake import Lake, Slice
from insights_pipeline.receiver.segments import Entry, SegmentWriter
from tests.traces.otlp_cases import NOW, SECOND, START, make_span, request

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


def entry(
    body: bytes,
    kind: str = "otlp.traces",
    *,
    content_type: str = PROTOBUF,
    received_ns: int = NOW,
    environment: str | None = None,
    tenant: str | None = None,
    **headers: str,
) -> Entry:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Entry(kind, received_ns, content_type, named, environment, tenant, body)


def json_entry(kind: str, body: Any, **options: Any) -> Entry:
    return entry(json.dumps(body).encode(), kind, content_type=JSON, **options)


def spans_entry(numbers: Iterable[int], *, received_ns: int = NOW, trace: int = 1, **options: Any) -> Entry:
    """A request of one trace with these spans; every span of a log needs a number of its own."""
    spans = [
        make_span(
            {"input.value": f"question {n}"}, number=n, name=f"span {n}", trace_id=trace.to_bytes(16, "big")
        )
        for n in numbers
    ]
    for span in spans:  # numbers may be large, times must not be
        span.start_time_unix_nano, span.end_time_unix_nano = START, START + SECOND
    return entry(request(*spans).SerializeToString(), received_ns=received_ns, **options)


def write_log(folder: Path, *entries: Entry, segment_bytes: int = 64 * 2**20) -> int:
    """Append entries in a new segment, one commit each; the position after them."""
    writer = SegmentWriter(folder, segment_bytes=segment_bytes)
    for item in entries:
        writer.append([item])
    writer.close()
    return writer.position


def rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    return lake.read(Slice(table)).to_pylist()


def span_ids(lake: Lake) -> list[str]:
    return sorted(row["span_id"] for row in rows(lake, "spans"))


def drain_process(config: dict[str, Any]) -> subprocess.Popen[str]:
    """The drain as a process of its own; closing its stdin asks it to finish."""
    process = subprocess.Popen(
        [sys.executable, "-m", "insights_pipeline.receiver.drain"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(config) + "\n")
    process.stdin.flush()
    return process
