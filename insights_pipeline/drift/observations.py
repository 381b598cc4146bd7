"""Verdicts of a window as rows of `drift_observations`, by columns: there are thousands a day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from insights_pipeline.drift.constants import BASELINE_DAYS, CHANGED, DOWN, TOOLS, UP
from insights_pipeline.drift.explanation.explain import explain, significant
from insights_pipeline.drift.judge import Judged, LeftOut
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics import floors
from insights_pipeline.drift.statistics.result import Status
from insights_pipeline.lake.tables import TABLES

_SCHEMA = TABLES["drift_observations"].schema
_VERDICT = {
    Status.TESTED: "quiet",
    Status.LEARNING: "learning",
    Status.NO_DATA: "no_data",
    Status.COVERAGE: "no_data",
}
_MEASURED = {
    "observed": "observed",
    "baseline_value": "baseline_value",
    "effect": "effect",
    "effect_low": "low",
    "effect_high": "high",
    "statistic": "statistic",
    "df": "df",
    "p": "p",
    "smallest_detectable": "smallest_detectable",
}


def observation_table(
    day: date,
    cadence: str,
    panel: Panel,
    judged: Judged,
    out: LeftOut,
    *,
    triggers: Mapping[tuple[str, str, str], str],
    items: Mapping[tuple[str, str, str], str],
) -> pa.Table:
    """Rows of one horizon. `triggers` and `items` are by (series, metric, direction)."""
    columns = panel.columns(judged.window)
    reach = slice(max(0, columns.start - BASELINE_DAYS), columns.stop)
    rows = np.flatnonzero(panel.n[:, reach].sum(axis=1) > 0)
    tables = [
        _metric_table(day, cadence, panel, judged, out, metric, rows, triggers=triggers, items=items)
        for metric in judged.results
    ]
    return pa.concat_tables(tables)


def _metric_table(
    day: date,
    cadence: str,
    panel: Panel,
    judged: Judged,
    out: LeftOut,
    metric: str,
    rows: np.ndarray,
    *,
    triggers: Mapping[tuple[str, str, str], str],
    items: Mapping[tuple[str, str, str], str],
) -> pa.Table:
    result = judged.results[metric]
    series = [panel.series[row] for row in rows]
    directions = [_direction(metric, float(result.effect[row])) for row in rows]
    keys = [(one, metric, direction or "") for one, direction in zip(series, directions, strict=True)]
    fired = [triggers.get(key) for key in keys]
    first, last = first_and_last(panel, judged.baseline[metric], rows)
    values: dict[str, Sequence[object] | np.ndarray] = {
        "date": [day] * len(rows),
        "cadence": [cadence] * len(rows),
        "horizon": [judged.horizon] * len(rows),
        "intent_id": [intent_of(one) for one in series],
        "slice": [slice_of(one) for one in series],
        "metric": [metric] * len(rows),
        "window_first": [judged.window.first] * len(rows),
        "window_last": [judged.window.last] * len(rows),
        "n": result.n[rows].astype(np.int64),
        "baseline_first": first,
        "baseline_last": last,
        "baseline_days": result.baseline_days[rows].astype(np.int64),
        "baseline_n": result.baseline_n[rows].astype(np.int64),
        "days_left_out": days_left_out(panel, out.baseline[metric], rows, before=judged.window.first),
        "q": judged.q[metric][rows],
        "trigger": fired,
        "verdict": [
            "drift" if trigger else _VERDICT[status]
            for status, trigger in zip(result.status[rows].tolist(), fired, strict=True)
        ],
        "severity": [
            floors.severity(metric, direction or "", effect=float(result.effect[row]), p=float(result.p[row]))
            if trigger
            else None
            for row, trigger, direction in zip(rows, fired, directions, strict=True)
        ],
        "direction": directions,
        "item_id": [items.get(key) for key in keys],
        "explanation": [
            _explanation(panel, judged, metric, int(row), fired=trigger is not None)
            if trigger is not None or moved
            else None
            for row, trigger, moved in zip(
                rows, fired, (result.status[rows] == int(Status.COVERAGE)).tolist(), strict=True
            )
        ],
    }
    values |= {column: getattr(result, name)[rows] for column, name in _MEASURED.items()}
    return pa.table(
        [pa.array(values[field.name], type=field.type, from_pandas=True) for field in _SCHEMA], schema=_SCHEMA
    )


def _direction(metric: str, effect: float) -> str | None:
    if not np.isfinite(effect):
        return None
    if metric == TOOLS:
        return CHANGED
    return UP if effect > 0 else DOWN


def first_and_last(
    panel: Panel, base: np.ndarray, rows: np.ndarray
) -> tuple[list[date | None], list[date | None]]:
    """First and last day with traffic that each row's baseline has."""
    used = base[rows] & (panel.n[rows] > 0)
    some = used.any(axis=1)
    width = used.shape[1]
    first = np.argmax(used, axis=1)
    last = width - 1 - np.argmax(used[:, ::-1], axis=1)

    named = list(panel.days)

    def days(columns: np.ndarray) -> list[date | None]:
        return [
            named[column] if there else None
            for column, there in zip(columns.tolist(), some.tolist(), strict=True)
        ]

    return days(first), days(last)


def days_left_out(panel: Panel, out: np.ndarray, rows: np.ndarray, *, before: date) -> list[list[date]]:
    """Of the 30 days before the window, those that the baseline did without."""
    stop = panel.column(before)
    start = max(0, stop - BASELINE_DAYS)
    left: list[list[date]] = [[] for _ in rows]
    for place, column in zip(*np.nonzero(out[rows, start:stop]), strict=True):  # by row, then by day
        left[place].append(panel.days.first + timedelta(days=start + int(column)))
    return left


def _explanation(panel: Panel, judged: Judged, metric: str, row: int, *, fired: bool) -> str | None:
    result = judged.results[metric]
    if result.status[row] == Status.COVERAGE:
        moved = {name: significant(float(part[row])) for name, part in result.parts.items()}
        return json.dumps({"suppressed": "coverage moved", **moved}, sort_keys=True)
    return json.dumps(explain(panel, judged, metric, row), sort_keys=True) if fired else None
