"""Real agent runs before and after a change of model, re-timed into days: what is told, and what is not.

    python -m benchmarks.drift_pairs --data FOLDER [--resamplings 20] [--json]

FOLDER holds `tau2-bench/runs.jsonl` (retail and airline agents on gpt-4.1 and on a fine-tuned gpt-4.1, the same tasks)
and `tau-bench/gpt-4o-airline.trials01.json` (two trials of the same 50 tasks: nothing changed between them).

The runs of a file are minutes apart, so they are put on days of their own:

- *resampled*: 45 days before and 15 after; a day has `PER_DAY` traces, each the run of a task drawn with replacement,
  of the group that the period has. Beside the intent that changes stands one that does not (the other domain, before).
  What differs between the groups by chance becomes a true difference of the two periods: 40 runs are the population.
- *each once*: every run once, in random order, 5 a day: 10 days of one trial, then 10 of the other. Nothing is
  repeated, so nothing but the model's own randomness lies between the periods.
- *pooled*: like *resampled*, both periods from both trials together: nothing changed, exactly.

`day_sd` is the standard deviation of a day effect on the logarithm of latency, output and tokens (t with 5 degrees of
freedom); one file of runs has no days, so none of them is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

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

START = date(2026, 1, 5)
BEFORE, AFTER, PER_DAY = 45, 15, 40
ONCE_DAYS = 10
_OBSERVED = 20
DAY_SD = (0.0, 0.05)
_T5_SD = np.sqrt(5 / 3)
Run = Mapping[str, Any]


@dataclass(slots=True)
class Told:
    """Of several resamplings: how many had an item, by (intent, metric, direction); `suppressed`: a metric withheld."""

    pair: str
    scheme: str
    day_sd: float
    resamplings: int = 0
    items: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    triggers: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    suppressed: Counter[tuple[str, str]] = field(default_factory=Counter)
    quiet: int = 0  # resamplings without any item

    def rate(self, intent: str, metric: str, direction: str | None = None) -> float:
        """Share of the resamplings with an item of this metric (in either direction by default)."""
        count = sum(
            n
            for (of, what, way), n in self.items.items()
            if of == intent and what == metric and direction in (None, way)
        )
        return count / max(1, self.resamplings)

    def to_json(self) -> dict[str, Any]:
        told = asdict(self)
        told["items"] = {" ".join(key): count for key, count in sorted(self.items.items())}
        told["triggers"] = {" ".join(key): dict(count) for key, count in sorted(self.triggers.items())}
        told["suppressed"] = {" ".join(key): count for key, count in sorted(self.suppressed.items())}
        return told


def tau2_runs(data: Path) -> dict[tuple[str, str], list[Run]]:
    """(domain, "before" | "after") → runs of gpt-4.1 and of the fine-tuned model, in the columns of traces."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for line in (data / "tau2-bench" / "runs.jsonl").read_text().splitlines():
        row = json.loads(line)
        tuned = row["model"].startswith("ft:")
        groups.setdefault((row["domain"], "after" if tuned else "before"), []).append(
            {
                "task": row["task_id"],
                "latency_ms": 1_000 * row["duration_s"],
                "cost_usd": None
                if tuned
                else row["agent_cost"],  # nobody knows the price of a fine-tuned model
                "total_tokens": row["prompt_tokens"] + row["completion_tokens"],
                "step_count": row["n_llm_calls"] + row["n_tool_calls"],
                "output_chars": row["output_chars"],
                "is_error": row["n_tool_errors"] > 0,
                "tool_calls": [tool for tool, count in sorted(row["tools"].items()) for _ in range(count)],
                "primary_model": row["model"],
            }
        )
    return groups


def tau_runs(data: Path) -> dict[str, list[Run]]:
    """Trial "0" and "1" → runs; no times, tokens or cost are known of them."""
    groups: dict[str, list[Run]] = {}
    for row in json.loads((data / "tau-bench" / "gpt-4o-airline.trials01.json").read_text()):
        said = [message for message in row["traj"] if message["role"] == "assistant"]
        calls = [call["function"]["name"] for message in said for call in message.get("tool_calls") or []]
        groups.setdefault(str(row["trial"]), []).append(
            {
                "task": row["task_id"],
                "step_count": len(said) + len(calls),
                "output_chars": sum(len(message.get("content") or "") for message in said),
                "is_error": False,
                "tool_calls": calls,
                "primary_model": "gpt-4o",
            }
        )
    return groups


def resampled(
    before: Sequence[Run], after: Sequence[Run], rng: np.random.Generator, *, day_sd: float
) -> Iterator[tuple[int, Run]]:
    """(day, run) of 45 days of one group and 15 of the other: tasks with replacement, then a run of the task."""
    by_task: list[dict[str, list[Run]]] = [{}, {}]
    for group, runs in zip(by_task, (before, after), strict=True):
        for run in runs:
            group.setdefault(run["task"], []).append(run)
    tasks = sorted(by_task[0].keys() & by_task[1].keys())
    for day in range(BEFORE + AFTER):
        group = by_task[day >= BEFORE]
        mood = {name: np.exp(rng.standard_t(5) / _T5_SD * day_sd) for name in _MOODY}
        for place in rng.integers(len(tasks), size=PER_DAY):
            of_task = group[tasks[place]]
            run = of_task[int(rng.integers(len(of_task)))]
            yield day, {**run, **{name: run[name] * mood[name] for name in _MOODY if run.get(name)}}


_MOODY = ("latency_ms", "output_chars", "total_tokens")


def each_once(
    before: Sequence[Run], after: Sequence[Run], rng: np.random.Generator
) -> Iterator[tuple[int, Run]]:
    """(day, run): every run once, in random order, over 10 days of one group and 10 of the other."""
    for period, runs in enumerate((before, after)):
        for place, index in enumerate(rng.permutation(len(runs))):
            yield period * ONCE_DAYS + place * ONCE_DAYS // len(runs), runs[index]


def tell(traffic: Mapping[str, Sequence[tuple[int, Run]]], folder: Path, told: Told) -> None:
    """Traces → rollups → observations and items of one resampling, counted into `told`."""
    lake = Lake(str(folder / "lake"))
    engine = DuckDBEngine(
        lake, connect_with(engine_config(threads=1, memory_mb=512, temp_dir=folder / "spill"))
    )
    traces, assigned = [], []
    for intent, runs in traffic.items():
        for number, (offset, run) in enumerate(runs):
            day, trace = START + timedelta(days=offset), f"{intent}-{number:05d}"
            known = {key: value for key, value in run.items() if key != "task"}
            known["output_chars"] = round(known["output_chars"])
            if known.get("total_tokens") is not None:
                known["total_tokens"] = round(known["total_tokens"])
            traces.append(
                {
                    "date": day,
                    "trace_id": trace,
                    "start_ns": start_ns(day) + number,
                    "is_evaluation": False,
                    **known,
                }
            )
            assigned.append({"date": day, "trace_id": trace, "intent_id": intent, "model_version": "m1"})
    last = max(offset for runs in traffic.values() for offset, _ in runs)
    days = DayRange(START, START + timedelta(days=last))
    lake.append("traces", rows_to_table("traces", traces))
    lake.append("trace_intents", rows_to_table("trace_intents", assigned))
    intents = [
        {"date": day, "intent_id": intent, "born": START, "status": "active"}
        for day in days
        for intent in traffic
    ]
    lake.append("intents", rows_to_table("intents", intents))
    rollup_days(engine, days)
    # the three weeks around the change: before, every day is like the one before it
    observe_days(engine, DayRange(START + timedelta(days=max(3, last - _OBSERVED)), days.last))
    _count(lake, told)


def _count(lake: Lake, told: Told) -> None:
    shown = {
        row["item_id"]: row
        for row in lake.read(Slice("drift_items")).to_pylist()
        if row["state"] not in ("pending", "dismissed") and row["metric"] != "volume"
    }
    keys = {
        item: (row["intent_id"], row["metric"].replace("latency_p95_ms", "latency_ms"), row["direction"])
        for item, row in shown.items()
    }
    told.resamplings += 1
    told.quiet += not shown
    told.items.update(set(keys.values()))
    for item, key in keys.items():
        told.triggers.setdefault(key, Counter())[shown[item]["trigger"]] += 1
    withheld = {
        (row["intent_id"], row["metric"])
        for row in lake.read(Slice("drift_observations", cadence="daily")).to_pylist()
        if row["explanation"] and "suppressed" in row["explanation"]
    }
    told.suppressed.update(withheld)


def compare(data: Path, *, resamplings: int, first_seed: int = 200) -> Iterator[Told]:
    """Every pair and scheme, `resamplings` times each, as they are done."""
    tau2, tau = tau2_runs(data), tau_runs(data)
    both = [*tau["0"], *tau["1"]]
    for domain, other in (("retail", "airline"), ("airline", "retail")):
        for day_sd in DAY_SD:
            told = Told(f"tau2-bench {domain}: gpt-4.1 → fine-tuned", "resampled", day_sd)
            for seed in range(first_seed, first_seed + resamplings):
                rng = np.random.default_rng(seed)
                _once(
                    {
                        domain: [
                            *resampled(tau2[domain, "before"], tau2[domain, "after"], rng, day_sd=day_sd)
                        ],
                        other: [*resampled(tau2[other, "before"], tau2[other, "before"], rng, day_sd=day_sd)],
                    },
                    told,
                )
            yield told
    pair = "tau-bench airline: trial 0 → trial 1"
    for scheme in ("each once", "pooled", "resampled"):
        for day_sd in DAY_SD if scheme == "pooled" else (0.0,):
            told = Told(pair, scheme, day_sd)
            for seed in range(first_seed, first_seed + resamplings):
                rng = np.random.default_rng(seed)
                if scheme == "each once":
                    runs = each_once(tau["0"], tau["1"], rng)
                elif scheme == "pooled":
                    runs = resampled(both, both, rng, day_sd=day_sd)
                else:
                    runs = resampled(tau["0"], tau["1"], rng, day_sd=day_sd)
                _once({"airline": [*runs]}, told)
            yield told


def _once(traffic: Mapping[str, Sequence[tuple[int, Run]]], told: Told) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tell(traffic, Path(folder), told)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--resamplings", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    for told in compare(options.data, resamplings=options.resamplings):
        if options.json:
            print(json.dumps(told.to_json()), flush=True)
        else:
            _print(told)
    if not options.json:
        print(f"{time.perf_counter() - started:.0f} s")


def _print(told: Told) -> None:
    print(f"{told.pair} ({told.scheme}, day_sd {told.day_sd}), {told.resamplings} resamplings:")
    print(f"  without any item: {told.quiet}")
    for (intent, metric, direction), count in sorted(told.items.items()):
        by = " ".join(f"{name} {n}" for name, n in sorted(told.triggers[intent, metric, direction].items()))
        print(f"  {intent:<8} {metric:<14} {direction:<8} item in {count:>3}  (trigger {by})")
    for (intent, metric), count in sorted(told.suppressed.items()):
        print(
            f"  {intent:<8} {metric:<14} withheld in {count} (the share of traces with a value moved)",
            flush=True,
        )


if __name__ == "__main__":
    main()
