"""Seeded traffic for the drift tests: traces and their intents, straight into the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from insights_pipeline.lake import DayRange, Lake, Slice, rows_to_table, start_ns

START = date(2026, 1, 5)  # a Monday


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one intent does on one day."""

    volume: float = 60
    latency: float = 2_000.0
    cost: float = 0.01
    steps: float = 5.0
    output: float = 400.0
    ttft: float = 500.0
    tokens: float = 900.0
    errors: float = 0.05
    tools: Mapping[str, float] = None  # type: ignore[assignment]
    tenants: tuple[str, ...] = ()


DEFAULT_TOOLS = {"search": 0.5, "lookup": 0.3, "refund": 0.2}
Change = Callable[[str, int, Behaviour], Behaviour]


def unchanged(intent: str, day: int, usual: Behaviour) -> Behaviour:
    return usual


def one_change(intent: str, first: int, last: int, **changes: object) -> Change:
    """`changes` for one intent on the days from `first` to `last`; a number multiplies, anything else replaces."""

    def change(name: str, day: int, usual: Behaviour) -> Behaviour:
        if name != intent or not first <= day <= last:
            return usual
        new = {
            key: getattr(usual, key) * value if isinstance(value, float) else value
            for key, value in changes.items()
        }
        return replace(usual, **new)

    return change


def day_traces(
    rng: np.random.Generator, day: date, intent: str | None, b: Behaviour, *, name: str
) -> list[dict[str, object]]:
    n = int(rng.poisson(b.volume * (0.45 if day.weekday() >= 5 else 1.0)))
    mood = rng.standard_t(5) * 0.04 / 1.29
    latency = b.latency * np.exp(mood + rng.normal(0, 0.5, n)) * np.where(rng.random(n) < 0.02, 4.0, 1.0)
    cost = b.cost * np.exp(rng.standard_t(5) * 0.03 + rng.normal(0, 0.6, n))
    steps = 1 + rng.poisson(b.steps - 1, n)
    output = np.maximum(1, b.output * np.exp(rng.standard_t(5) * 0.03 + rng.normal(0, 0.5, n))).astype(int)
    rate = 1 / (1 + np.exp(-(np.log(b.errors / (1 - b.errors)) + rng.normal(0, 0.2))))
    failed = rng.random(n) < rate
    shares = b.tools or DEFAULT_TOOLS
    tools, weights = list(shares), np.asarray(list(shares.values()))
    today = rng.dirichlet(weights * 150)
    calls = [list(rng.choice(tools, size=rng.integers(1, 4), p=today)) for _ in range(n)]
    beside = rng.spawn(1)[0]
    ttft = b.ttft * np.exp(beside.standard_t(5) * 0.03 + beside.normal(0, 0.5, n))
    tokens = np.maximum(1, b.tokens * np.exp(beside.standard_t(5) * 0.03 + beside.normal(0, 0.5, n)))
    tenant = [str(one) for one in beside.choice(b.tenants, n)] if b.tenants else [None] * n
    start = start_ns(day)
    return [
        {
            "date": day,
            "trace_id": f"{name}-{day:%m%d}-{i:04d}",
            "start_ns": start + i * 1_000_000,
            "latency_ms": float(latency[i]),
            "ttft_ms": float(ttft[i]),
            "total_tokens": int(tokens[i]),
            "tenant_id": tenant[i],
            "cost_usd": float(cost[i]),
            "step_count": int(steps[i]),
            "output_chars": int(output[i]),
            "is_error": bool(failed[i]),
            "tool_calls": [str(call) for call in calls[i]],
            "is_evaluation": False,
        }
        for i in range(n)
    ]


def fill(
    lake: Lake,
    usual: Mapping[str, Behaviour],
    days: int,
    *,
    change: Change = unchanged,
    seed: int = 0,
    learning_days: int = 0,
) -> DayRange:
    """Traces, their intents and the intents table of `days` days; gives the days. Intents with volume 0 have no row."""
    rng = np.random.default_rng(seed)
    traces, assigned, intents = [], [], []
    born: dict[str, date] = {}
    for offset in range(days):
        day = START + timedelta(days=offset)
        for name, behaviour in usual.items():
            today = change(name, offset, behaviour)
            rows = day_traces(rng, day, name, today, name=name) if today.volume > 0 else []
            traces += rows
            known = offset >= learning_days
            assigned += [
                {
                    "date": day,
                    "trace_id": row["trace_id"],
                    "intent_id": name if known else None,
                    "model_version": "m1" if known else None,
                }
                for row in rows
            ]
            if rows and known:
                born.setdefault(name, day)
        intents += [
            {"date": day, "intent_id": name, "born": first, "status": "active"}
            for name, first in born.items()
        ]
    put(lake, "traces", traces)
    put(lake, "trace_intents", assigned)
    put(lake, "intents", intents)
    return DayRange(START, START + timedelta(days=days - 1))


def put(lake: Lake, table: str, rows: list[dict[str, object]]) -> None:
    lake.append(table, rows_to_table(table, rows))


def read(lake: Lake, table: str, days: DayRange | None = None, **narrow: str) -> list[dict[str, Any]]:
    """Rows in key order."""
    from insights_pipeline.lake.tables import TABLES

    rows: pa.Table = lake.read(Slice(table, days, **narrow))  # type: ignore[arg-type]
    keys = [(key, "ascending") for key in TABLES[table].key]
    return rows.sort_by(keys).to_pylist()
