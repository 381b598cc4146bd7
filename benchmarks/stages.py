"""Speed and peak memory of each stage on this machine, and beside our assembling the same step in pandas and polars.

    python benchmarks/stages.py [--spans 1000000] [--threads 2] [--memory-mb 1024] [--json]

Each stage runs in a process of its own, so that its peak memory is its own; seconds leave out starting Python
and imports. To add a stage, write a function `Bench -> Measured` and name it in `STAGES`, in order.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from peers import SHARED, pandas_traces, polars_traces
from synthetic_spans import synthetic_spans

from insights_pipeline.demo.traffic import write_traffic
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    start_ns,
)
from insights_pipeline.traces.assemble import assemble_traces, compact_spans

DAY = date(2026, 3, 2)
BOOTSTRAP_TRACES = 500
DEMO_SPANS_A_DAY = 3_300
DAYS = DayRange(DAY, date(2026, 3, 3))  # traces begin on the first; what crosses midnight ends on the second


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a run keeps its tables and what it may use."""

    folder: Path
    spans: int
    threads: int
    memory_mb: int

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    @property
    def engine(self) -> DuckDBEngine:
        config = engine_config(threads=self.threads, memory_mb=self.memory_mb, temp_dir=self.folder / "spill")
        return DuckDBEngine(self.lake, connect_with(config))

    def span_files(self) -> list[str]:
        return self.lake.snapshot(Slice("spans", DAYS)).files()


@dataclass(frozen=True, slots=True)
class Measured:
    """`items` of `unit` done in `seconds`.

    `cpu_seconds` tell more on a busy machine. `rss_mb` is the peak of the stage's process, `base_mb` before it began.
    """

    stage: str
    items: int
    unit: str
    seconds: float
    cpu_seconds: float
    base_mb: int
    rss_mb: int


def generate(bench: Bench) -> tuple[int, str]:
    lake, rows = bench.lake, 0
    for table in synthetic_spans(DAY, spans=bench.spans):
        lake.append("spans", table)
        rows += table.num_rows
    return rows, "spans"


def write_otlp(bench: Bench) -> tuple[int, str]:
    days = max(1, bench.spans // DEMO_SPANS_A_DAY)
    return write_traffic(bench.folder / "landing", days=days, end=DAY).spans, "spans"


def ingest(bench: Bench) -> tuple[int, str]:
    """OTLP protobuf in gzip, 1.3 kB a span, into a lake of its own."""
    from insights_pipeline.traces.ingest import ingest_paths

    lake = Lake(str(bench.folder / "ingested"))
    report = ingest_paths(lake, [bench.folder / "landing" / "otlp"], now_ns=start_ns(DAYS.last))
    return report.spans, "spans"


def compact(bench: Bench) -> tuple[int, str]:
    return compact_spans(bench.engine, DAYS), "spans"


def assemble(bench: Bench) -> tuple[int, str]:
    return assemble_traces(bench.engine, DAYS), "traces"


def assemble_pandas(bench: Bench) -> tuple[int, str]:
    return pandas_traces(bench.span_files(), bench.folder / "assemble_pandas.parquet"), "traces"


def assemble_polars(bench: Bench) -> tuple[int, str]:
    return polars_traces(bench.span_files(), bench.folder / "assemble_polars.parquet"), "traces"


def embed(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.intents.daily import embed_days

    return embed_days(bench.engine, DAYS, bootstrap_traces=BOOTSTRAP_TRACES, seed=0).rows, "traces"


def discover(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.intents.daily import update_model_days

    report = update_model_days(bench.engine, DAYS, bootstrap_traces=BOOTSTRAP_TRACES, seed=0)
    return report.traces_seen, "traces"


def classify(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.intents.daily import classify_days

    return classify_days(bench.engine, DAYS).rows, "traces"


def rollup(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.drift.series.rollups import rollup_days

    rollup_days(bench.engine, DAYS)
    return bench.lake.row_count("traces"), "traces"


def baseline(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.drift.baselines import baseline_days

    return baseline_days(bench.engine, DAYS), "series"


def observe(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.drift.observe import observe_days

    return observe_days(bench.engine, DAYS), "series"


def brief(bench: Bench) -> tuple[int, str]:
    from insights_pipeline.brief.write import write_daily_briefs

    return write_daily_briefs(bench.engine, DAYS, bootstrap_traces=BOOTSTRAP_TRACES), "briefs"


STAGES: dict[str, Callable[[Bench], tuple[int, str]]] = {
    stage.__name__: stage
    for stage in (
        write_otlp,
        ingest,
        generate,
        compact,
        assemble,
        assemble_pandas,
        assemble_polars,
        embed,
        discover,
        classify,
        rollup,
        baseline,
        observe,
        brief,
    )
}
PEERS = {"assemble": ("assemble_pandas", "assemble_polars")}
LIBRARIES = {"assemble_pandas": "pandas", "assemble_polars": "polars"}  # imported before the clock starts
FLOATS = ("latency_ms", "cost_usd")  # polars divides by multiplying, pandas adds floats in its own order


def differences(bench: Bench) -> dict[str, list[str]]:
    """For each peer the shared columns whose values differ from ours: floats beyond 1e-9 of them, all else at all."""
    ours = bench.lake.read(Slice("traces", columns=SHARED)).sort_by("trace_id")
    found = {}
    for peer in PEERS["assemble"]:
        theirs = pq.read_table(bench.folder / f"{peer}.parquet", columns=list(SHARED)).sort_by("trace_id")
        found[peer] = [
            name
            for name in SHARED
            if not _same(name, ours.column(name).to_pylist(), theirs.column(name).to_pylist())
        ]
    return found


def _same(name: str, ours: list[object], theirs: list[object]) -> bool:
    if name == "tool_calls":  # no tool is an empty list here and a missing one in pandas
        theirs = [value if value is not None else [] for value in theirs]
    if name not in FLOATS:
        return ours == theirs
    return len(ours) == len(theirs) and all(map(_close, ours, theirs))


def _close(ours: object, theirs: object) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(float(str(ours)), float(str(theirs)), rel_tol=1e-9, abs_tol=1e-12)


def _peak_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (2**20 if sys.platform == "darwin" else 2**10))


def run_here(name: str, bench: Bench) -> Measured:
    if name in LIBRARIES:
        importlib.import_module(LIBRARIES[name])
    base, cpu, begun = _peak_mb(), time.process_time(), time.perf_counter()
    items, unit = STAGES[name](bench)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    return Measured(name, items, unit, seconds, cpu_seconds, base, _peak_mb())


def run_apart(name: str, bench: Bench) -> Measured:
    command = [sys.executable, __file__, "--stage", name, "--folder", str(bench.folder), "--json"]
    for option in ("spans", "threads", "memory_mb"):
        command += [f"--{option.replace('_', '-')}", str(getattr(bench, option))]
    environment = dict(os.environ, POLARS_MAX_THREADS=str(bench.threads), OMP_NUM_THREADS=str(bench.threads))
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return Measured(**json.loads(done.stdout))


def show(measured: dict[str, Measured], found: dict[str, list[str]]) -> None:
    print(f"{'stage':<18}{'items':>11} {'unit':<7}{'seconds':>8}{'CPU s':>7}{'per second':>12}{'peak MB':>9}")
    for each in measured.values():
        rate = each.items / each.seconds
        counted = f"{each.stage:<18}{each.items:>11,} {each.unit:<7}"
        print(f"{counted}{each.seconds:>8.1f}{each.cpu_seconds:>7.1f}{rate:>12,.0f}{each.rss_mb:>9,}")
    for stage, peers in PEERS.items():
        for peer in peers:
            ours, theirs = measured[stage], measured[peer]
            ratios = (
                f"{theirs.seconds / ours.seconds:.2f} × our time, "
                f"{theirs.cpu_seconds / ours.cpu_seconds:.2f} × our CPU, "
                f"{theirs.rss_mb / ours.rss_mb:.2f} × our memory"
            )
            values = "same values" if not found[peer] else f"DIFFERENT: {', '.join(found[peer])}"
            print(f"{peer}: {ratios}, {values} ({len(SHARED)} columns)")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--memory-mb", type=int, default=1_024, help="limit of our engine; the peers have none"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        bench = Bench(options.folder, options.spans, options.threads, options.memory_mb)
        print(json.dumps(asdict(run_here(options.stage, bench))))
        return 0
    with tempfile.TemporaryDirectory(prefix="insights-bench-") as folder:
        bench = Bench(Path(folder), options.spans, options.threads, options.memory_mb)
        measured = {name: run_apart(name, bench) for name in STAGES}
        found = differences(bench)
    if options.json:
        print(json.dumps({"stages": [asdict(each) for each in measured.values()], "differences": found}))
    else:
        show(measured, found)
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
