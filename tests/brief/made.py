"""Rows of the tables as briefs read them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.gather import gather

DAY = date(2026, 3, 2)
SUNDAY = date(2026, 3, 8)
READY = {"status": "ready", "traces_seen": 9_000}
NAMES = {"int_1": "Where is my order", "int_2": "Refund status", "int_3": "Change address"}


def item(**changes: Any) -> dict[str, Any]:
    return {
        "date": DAY,
        "item_id": "drf_1",
        "intent_id": "int_1",
        "slice": None,
        "metric": "latency_ms",
        "direction": "up",
        "state": "new",
        "opened": DAY,
        "last_fired": DAY,
        "closed": None,
        "horizon": "7d",
        "severity": "high",
        "baseline_value": 1_800.0,
        "observed": 3_100.0,
        "effect": 0.72,
        "effect_low": 0.55,
        "effect_high": 0.91,
        "n": 840,
        "traffic_share": 0.2,
        "trace_ids": ["a" * 32, "b" * 32],
        "baseline_trace_ids": [],
        "onset": None,
        "onset_first": None,
        "onset_last": None,
        "shape": None,
        "explanation": {},
        **changes,
    }


def watched(metric: str = "latency_ms", **changes: Any) -> dict[str, Any]:
    row = {"tested": 1, "learning": 0, "coverage_moved": 0, "no_data": 0, "eligible": 1, "detectable": None}
    return {"metric": metric, **row, **changes}


def facts(
    *items: dict[str, Any],
    model: Mapping[str, Any] | None = READY,
    traces: int = 642,
    names: Mapping[str, str] = NAMES,
    active: int = 1,
    cadence: str = "daily",
    first: date = DAY,
    last: date | None = None,
    history: Mapping[date, Sequence[Mapping[str, Any]]] | None = None,
    observed: Sequence[Mapping[str, Any]] | None = None,
    **more: Any,
) -> Facts:
    """Facts of a day (or of a window that ends on `last`) whose items these are; `history` is that of days before."""
    end = last or first
    return gather(
        cadence=cadence,
        first=first,
        last=end,
        items={**(history or {}), end: [{**one, "date": end} for one in items]},
        watched=[watched()] if observed is None else observed,
        model=model,
        intents=[
            {"intent_id": key, "name": name, "status": "active" if at < active else "retired"}
            for at, (key, name) in enumerate(names.items())
        ],
        traffic=more.pop("traffic", None)
        or [
            {"date": first, "intent_id": "all", "n": traces, "k": 12},
            {"date": first, "intent_id": "unknown", "n": 32, "k": 0},
            {"date": first - timedelta(days=1), "intent_id": "all", "n": 600, "k": 9},
        ],
        bootstrap_traces=500,
        **more,
    )


def before(day: date, *items: dict[str, Any]) -> dict[date, list[dict[str, Any]]]:
    """The items as of one earlier day."""
    return {day: [{**one, "date": day} for one in items]}


def observation(**changes: Any) -> dict[str, Any]:
    return {
        "intent_id": "int_1",
        "slice": None,
        "metric": "cost_usd",
        "direction": "up",
        "verdict": "drift",
        "severity": "warning",
        "n": 4_000,
        "observed": 0.013,
        "baseline_value": 0.010,
        "effect": 0.3,
        "effect_low": 0.2,
        "effect_high": 0.4,
        "explanation": {},
        **changes,
    }


def week(*items: dict[str, Any], observations: Sequence[dict[str, Any]] = (), **more: Any) -> Facts:
    """The items as they stood on the last day; those that opened in the week were new on their first day."""
    history = more.pop("history", {})
    for one in items:
        if one["opened"] >= DAY and one["state"] != "pending":
            history = {**history, **before(one["opened"], {**one, "state": "new", "closed": None})}
    return facts(
        *items,
        cadence="weekly",
        last=SUNDAY,
        history=history,
        drifted=observations,
        traffic=[
            {"date": DAY, "intent_id": "all", "n": 5_000, "k": 12},
            {"date": DAY, "intent_id": "int_1", "n": 4_000, "k": 12},
        ],
        **more,
    )
