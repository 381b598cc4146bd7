"""How many spans a core ingests a second, stage by stage: from the bytes of OTLP requests to rows in the lake.

    python benchmarks/ingest.py [--spans 16384] [--repeat 3] [--real ../shared/data/otlp] [--only netra] [--json]

Inputs: requests as netra-sdk and as traceloop-sdk send them (512 spans of about 5.2 kB, see
`synthetic_requests.py`), and the OTLP protobuf files of `--real`, if there are any, with new ids each time round.
Each stage runs in a process of its own on what the stage before it made:

    gunzip     the requests out of gzip (SDKs mostly send them plain: not part of `whole`)
    decode     protobuf to RawSpan
    canonical  RawSpan to rows (the dialects)
    arrow      rows to an Arrow table, priced and sorted
    delta      the table appended to the lake (Parquet, zstd)
    whole      decode … delta, as ingest and the receiver's drain do it; `whole gz` begins with gunzip
    minimal    for comparison: the least that any reader does. Parse, 22 attributes to columns, the rest as JSON,
               no dialects, no messages; to an Arrow table ("minimal") and to the lake ("minimal whole")

Figures are spans per CPU second of the process, all of its threads counted; the best of `--repeat`. A first, small
run before the clock starts loads libraries, prices and the table. `peak MB` is that of the process: the stages
between hold all their input at once, only `whole` is how ingest works.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from synthetic_requests import SPANS_A_REQUEST, netra_requests, openllmetry_requests, real_requests

from insights_pipeline.lake import Lake
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.lake.tables import SPANS
from insights_pipeline.traces.otlp.read import read_records
from insights_pipeline.traces.otlp.window import decompressed
from insights_pipeline.traces.records import Record
from insights_pipeline.traces.table import Batch

NOW_NS = 1_800_000_000_000_000_000
MAX_FIELD_CHARS = 100_000
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "otlp"
INPUTS: dict[str, Callable[[Path, int], Iterator[bytes]]] = {
    "netra": lambda _, count: netra_requests(count),
    "openllmetry": lambda _, count: openllmetry_requests(count),
    "real": real_requests,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """The best run of a stage. `bytes` is what went in; `base_mb` was the peak before the stage began."""

    input: str
    stage: str
    spans: int
    bytes: int
    seconds: float
    cpu_seconds: float
    base_mb: int
    rss_mb: int

    @property
    def rate(self) -> float:
        return self.spans / self.cpu_seconds


def decode(bodies: list[bytes]) -> list[Record]:
    return [record for body in bodies for record in read_records(decompressed(BytesIO(body)))]


def canonical(records: list[Record]) -> Batch:
    batch = Batch(NOW_NS, MAX_FIELD_CHARS)
    for record in records:
        batch.add(record, "bench")
    return batch


def arrow(batch: Batch) -> pa.Table:
    found = batch.tables()
    assert set(found) == {"spans"}, "a record was not read"
    return found["spans"]


def gunzip(bodies: list[bytes]) -> list[bytes]:
    found = []
    for body in bodies:
        window = decompressed(BytesIO(body))
        while window.fill(1):
            found.append(window.take(len(window.data) - window.at))
    return found


def whole(bodies: list[bytes], lake: Lake) -> None:
    """All bodies through one batch, as the drain does it, record by record."""
    batch = Batch(NOW_NS, MAX_FIELD_CHARS)
    for body in bodies:
        for record in read_records(decompressed(BytesIO(body))):
            batch.add(record, "bench")
    lake.append("spans", arrow(batch))


# The 22 columns of the minimal reader and the attributes they are read from, without any fallback.
_MINIMAL = {
    "kind": "llm.request.type",
    "model": "gen_ai.response.model",
    "provider": "gen_ai.provider.name",
    "tool_name": "tool.name",
    "input_text": "input",
    "output_text": "output",
    "messages": "gen_ai.input.messages",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "llm.usage.total_tokens",
    "session_id": "netra.session_id",
    "user_id": "netra.user_id",
    "tenant_id": "netra.tenant_id",
    "is_streaming": "gen_ai.is_streaming",
}


def minimal(bodies: list[bytes]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("trace_id", "span_id", "parent_span_id", "name", "start_ns", "end_ns", "is_error")
    }
    columns |= {name: [] for name in (*_MINIMAL, "attributes")}
    for body in bodies:
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    _minimal_row(columns, span)
    given = {**columns, "date": [start // NS_PER_DAY for start in columns["start_ns"]]}
    count = len(columns["name"])
    arrays = [
        pa.array(given[field.name], pa.int32() if field.name == "date" else field.type).cast(field.type)
        if field.name in given
        else pa.nulls(count, field.type)
        for field in SPANS.schema
    ]
    return pa.Table.from_arrays(arrays, schema=SPANS.schema)


def _minimal_row(columns: dict[str, list[Any]], span: Any) -> None:
    attributes: dict[str, Any] = {}
    for item in span.attributes:
        value = item.value
        if text := value.string_value:
            attributes[item.key] = text
        elif (kind := value.WhichOneof("value")) is not None:
            given = getattr(value, kind)
            attributes[item.key] = given if isinstance(given, (bool, int, float, str)) else str(given)
    columns["trace_id"].append(span.trace_id.hex())
    columns["span_id"].append(span.span_id.hex())
    columns["parent_span_id"].append(span.parent_span_id.hex())
    columns["name"].append(span.name)
    columns["start_ns"].append(span.start_time_unix_nano)
    columns["end_ns"].append(span.end_time_unix_nano)
    columns["is_error"].append(span.status.code == 2)
    for column, key in _MINIMAL.items():
        columns[column].append(attributes.pop(key, None))
    columns["attributes"].append(orjson.dumps(attributes))


STAGES = ("gunzip", "decode", "canonical", "arrow", "delta", "whole", "whole gz", "minimal", "minimal whole")


def prepared(stage: str, bodies: list[bytes], lake: Lake) -> Callable[[], object]:
    """The stage as a function of nothing; what it works on is made anew here, so that it can be called once."""
    match stage:
        case "gunzip" | "whole gz":
            packed = [gzip.compress(body, 6) for body in bodies]
            return (lambda: gunzip(packed)) if stage == "gunzip" else (lambda: whole(packed, lake))
        case "decode":
            return lambda: decode(bodies)
        case "canonical":
            records = decode(bodies)
            return lambda: canonical(records)
        case "arrow":
            batch = canonical(decode(bodies))
            return lambda: arrow(batch)
        case "delta":
            table = arrow(canonical(decode(bodies)))
            return lambda: lake.append("spans", table)
        case "whole":
            return lambda: whole(bodies, lake)
        case "minimal":
            return lambda: minimal(bodies)
        case _:
            return lambda: lake.append("spans", minimal(bodies))


def run_here(source: str, stage: str, options: argparse.Namespace) -> Measured:
    counted = next(iter(INPUTS[source](options.real, 1)))
    a_request = len(decode([counted]))
    bodies = list(INPUTS[source](options.real, -(-options.spans // a_request)))
    spans = len(decode(bodies))
    times = []
    with tempfile.TemporaryDirectory(prefix="insights-bench-") as folder:
        lake = Lake(folder)
        prepared(stage, bodies[:1], lake)()
        if stage.startswith("whole") or stage in ("delta", "minimal whole"):
            whole(bodies[:1], lake)
        base = _peak_mb()
        for _ in range(options.repeat):
            run = prepared(stage, bodies, lake)
            gc.collect()
            cpu, begun = time.process_time(), time.perf_counter()
            run()
            times.append((time.process_time() - cpu, time.perf_counter() - begun))
    cpu_seconds, seconds = min(times)
    return Measured(source, stage, spans, sum(map(len, bodies)), seconds, cpu_seconds, base, _peak_mb())


def _peak_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (2**20 if sys.platform == "darwin" else 2**10))


def run_apart(source: str, stage: str, options: argparse.Namespace) -> Measured:
    command = [sys.executable, __file__, "--only", source, "--stage", stage, "--real", str(options.real)]
    command += ["--spans", str(options.spans), "--repeat", str(options.repeat)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout))


def show(measured: list[Measured]) -> None:
    for source in dict.fromkeys(each.input for each in measured):
        rows = [each for each in measured if each.input == source]
        size = rows[0].bytes / rows[0].spans
        print(f"{source}: {rows[0].spans:,} spans of {size:,.0f} bytes")
        print(f"  {'stage':<14}{'spans/core-s':>13}{'MB/core-s':>11}{'µs CPU':>8}{'wall s':>8}{'peak MB':>9}")
        for each in rows:
            micros = each.cpu_seconds / each.spans * 1e6
            print(
                f"  {each.stage:<14}{each.rate:>13,.0f}{each.bytes / each.cpu_seconds / 1e6:>11,.0f}"
                f"{micros:>8.1f}{each.seconds:>8.2f}{each.rss_mb:>9,}"
            )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=32 * SPANS_A_REQUEST)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--real", type=Path, default=REAL, help="folder of OTLP protobuf files (*.pb)")
    parser.add_argument("--only", choices=INPUTS)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(asdict(run_here(options.only, options.stage, options))))
        return 0
    sources = [options.only] if options.only else list(INPUTS)
    if not any(options.real.glob("*.pb")) and "real" in sources:
        print(f"no *.pb in {options.real}: real requests are left out", file=sys.stderr)
        sources.remove("real")
    measured = [run_apart(source, stage, options) for source in sources for stage in options.stages]
    if options.json:
        print(json.dumps([{**asdict(each), "spans_per_core_second": each.rate} for each in measured]))
    else:
        show(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
