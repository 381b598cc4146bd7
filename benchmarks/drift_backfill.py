"""A year of drift in one go: seconds and peak memory of every stage, and whether single days give the same items.

    python -m benchmarks.drift_backfill [--days 365] [--intents 50] [--per-day 40] [--check-days 60] [--check-all]

Traces are made up (an intent has about `--per-day` a day, ten tenants, three models, a release every three weeks, eight
tools) and rolled up by the real SQL; then observations and items, baselines and daily briefs of the whole span are made
in one run each. A stage has a process of its own, so its peak memory is its own; seconds leave out Python's start.

The check folds the first `--check-days` days (all of them with `--check-all`) a second time, one day at a time, each in
a call of its own as daily runs do, and compares items and observations row by row.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from insights_pipeline.brief.write import write_daily_briefs
from insights_pipeline.drift.baselines import baseline_days
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
    start_ns,
)
from insights_pipeline.lake.tables import TABLES

START = date(2025, 1, 6)
CHUNK = 30
TENANTS, MODELS, RELEASE_DAYS = 10, 3, 21
PLANS = (
    (), ("search",), ("search", "lookup"), ("lookup", "refund"), ("orders",), ("orders", "search", "refund"),
    ("ship", "track"), ("quote", "stock"),
)  # fmt: skip


def traces_of(day: int, intents: int, per_day: float, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Traces and their intents of one day; a tenth of the intents changes for good, spread over the year."""
    date_ = START + timedelta(days=day)
    volume = per_day * np.geomspace(3, 0.2, intents) * (0.4 if date_.weekday() >= 5 else 1.0)
    counts = rng.poisson(volume)
    intent = np.repeat(np.arange(intents), counts)
    n = len(intent)
    mood = rng.standard_t(5, (4, intents)) * 0.04
    shift = np.where((np.arange(intents) % 10 == 3) & (day > 25 + 7 * np.arange(intents) % 300), 0.5, 0.0)
    tenant, model = rng.integers(TENANTS, size=n), rng.integers(MODELS, size=n)

    def lognormal(middle: float, row: int, sd: float) -> np.ndarray:
        return np.asarray(middle * np.exp(mood[row][intent] + sd * rng.standard_normal(n)))

    ids = [f"t{day:04d}{number:07d}" for number in range(n)]
    plans = pa.array(PLANS, type=pa.list_(pa.string()))
    values = {
        "date": pa.array([date_] * n, pa.date32()),
        "trace_id": pa.array(ids),
        "start_ns": pa.array(start_ns(date_) + np.arange(n)),
        "latency_ms": pa.array(lognormal(2_000, 0, 0.5) * np.exp(shift[intent])),
        "ttft_ms": pa.array(lognormal(400, 0, 0.3)),
        "cost_usd": pa.array(lognormal(0.01, 1, 0.6) * (1 + model)),
        "total_tokens": pa.array(lognormal(1_500, 1, 0.5).astype(np.int64)),
        "step_count": pa.array(1 + rng.poisson(4, n)),
        "output_chars": pa.array(lognormal(400, 2, 0.5).astype(np.int64) + 1),
        "is_error": pa.array(rng.random(n) < 0.04 * np.exp(mood[3][intent])),
        "tool_calls": plans.take(pa.array(rng.integers(len(PLANS), size=n))),
        "tenant_id": pa.array([f"tenant-{one}" for one in tenant]),
        "primary_model": pa.array([f"model-{one}" for one in model]),
        "environment": pa.array(["production"] * n),
        "service": pa.array(["agent"] * n),
        "release": pa.array([f"1.{day // RELEASE_DAYS}"] * n),
        "is_evaluation": pa.array(np.zeros(n, dtype=bool)),
    }
    schema = TABLES["traces"].schema
    traces = pa.table(
        [
            values[field.name].cast(field.type) if field.name in values else pa.nulls(n, field.type)
            for field in schema
        ],
        schema=schema,
    )
    names = pa.array([f"int_{one:03d}" for one in intent])
    known = {
        "date": values["date"], "trace_id": values["trace_id"], "intent_id": names,
        "model_version": pa.array(["m1"] * n),
    }  # fmt: skip
    of = TABLES["trace_intents"].schema
    assigned = pa.table([known[f.name] if f.name in known else pa.nulls(n, f.type) for f in of], schema=of)
    return traces, assigned


def engine_at(folder: Path) -> DuckDBEngine:
    config = engine_config(threads=2, memory_mb=1024, temp_dir=folder / "spill")
    return DuckDBEngine(Lake(str(folder / "lake")), connect_with(config))


def chunks(days: DayRange) -> list[DayRange]:
    firsts = range(0, len(days), CHUNK)
    return [
        DayRange(days.first + timedelta(days=at), min(days.last, days.first + timedelta(days=at + CHUNK - 1)))
        for at in firsts
    ]


def make(folder: Path, days: DayRange, intents: int, per_day: float) -> None:
    """Traces of the span, their intents, and the intents and models of every day."""
    lake = engine_at(folder).lake
    rng = np.random.default_rng(0)
    for some in chunks(days):
        made = [traces_of((day - START).days, intents, per_day, rng) for day in some]
        for place, table in enumerate(("traces", "trace_intents")):
            lake.append(table, pa.concat_tables([one[place] for one in made]))
        known = [
            {
                "date": day,
                "intent_id": f"int_{one:03d}",
                "name": f"Intent {one}",
                "born": START,
                "status": "active",
            }
            for day in some
            for one in range(intents)
        ]
        lake.append("intents", rows_to_table("intents", known))
        models = [
            {"date": day, "status": "ready", "traces_seen": 9_999, "bootstrap_traces": 500, "events": "[]"}
            for day in some
        ]
        lake.append("intent_models", rows_to_table("intent_models", models))


STAGES: dict[str, Callable[[DuckDBEngine, DayRange], int]] = {
    "rollups": lambda engine, days: sum(rollup_days(engine, some) for some in chunks(days)),
    "observations and items": observe_days,
    "baselines": baseline_days,
    "briefs": lambda engine, days: write_daily_briefs(engine, days, bootstrap_traces=500),
}


def run_stage(name: str, folder: Path, days: DayRange) -> None:
    """One stage, measured; prints JSON."""
    engine = engine_at(folder)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = STAGES[name](engine, days)
    told = {
        "rows": rows,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))


def measured(name: str, folder: Path, days: DayRange) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.drift_backfill", "--stage", name, "--folder", str(folder)]
    span = ["--first", str(days.first), "--last", str(days.last)]
    done = subprocess.run([*command, *span], check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def day_by_day(folder: Path, days: DayRange) -> tuple[int, int, list[str]]:
    """Items and observations that single runs give, and the tables that differ from those of the one run."""
    other = folder / "single"
    for table in ("traces", "trace_intents", "intents", "intent_models", "intent_rollups", "slice_rollups"):
        shutil.copytree(folder / "lake" / table, other / "lake" / table)
    engine, whole = engine_at(other), engine_at(folder).lake
    for day in days:
        observe_days(engine, DayRange.single(day))
    counts, differing = [], []
    for table in ("drift_items", "drift_observations"):
        keys = [(key, "ascending") for key in TABLES[table].key]
        one, single = (lake.read(Slice(table, days)).sort_by(keys) for lake in (whole, engine.lake))
        counts.append(single.num_rows)
        if not one.equals(single):
            differing.append(table)
    return counts[0], counts[1], differing


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--intents", type=int, default=50)
    parser.add_argument("--per-day", type=float, default=40)
    parser.add_argument("--check-days", type=int, default=60)
    parser.add_argument("--check-all", action="store_true")
    for hidden in ("--stage", "--folder", "--first", "--last"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        span = DayRange(date.fromisoformat(options.first), date.fromisoformat(options.last))
        run_stage(options.stage, Path(options.folder), span)
        return
    days = DayRange.beginning(START, options.days)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, days, options.intents, options.per_day)
        print(f"{options.days} days, {options.intents} intents, {options.per_day:g} traces a day each")
        print(f"{'stage':<24}{'rows':>10}{'wall s':>9}{'cpu s':>9}{'peak MB':>9}")
        for stage in STAGES:
            told = measured(stage, folder, days)
            print(
                f"{stage:<24}{told['rows']:>10,}{told['wall_s']:>9.1f}{told['cpu_s']:>9.1f}{told['peak_mb']:>9.0f}",
                flush=True,
            )
        checked = (
            days if options.check_all else DayRange.beginning(START, min(options.days, options.check_days))
        )
        started = time.perf_counter()
        items, observations, differing = day_by_day(folder, checked)
        seconds = time.perf_counter() - started
        verdict = f"DIFFER: {', '.join(differing)}" if differing else "equal"
        print(
            f"{len(checked)} single runs: {items:,} rows of items, {observations:,} of observations, "
            f"{verdict} ({seconds:.0f} s)"
        )
        if differing:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
