"""What first appeared about when a change began: coincident, and never called its cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import ENVIRONMENT, MODEL, PROMPT, RELEASE, SERVICE, TOOL
from insights_pipeline.drift.explanation.carriers import Daily, applies
from insights_pipeline.drift.explanation.texts import bounded
from insights_pipeline.drift.life.item import Onset
from insights_pipeline.drift.series.slices import NONE, OTHER
from insights_pipeline.lake import DayRange

# Tenants come and go by themselves.
_DIMENSIONS = (RELEASE, PROMPT, MODEL, SERVICE, ENVIRONMENT, TOOL)
_LEAST_SHARE = 0.05
_KNOWN_SHARE = 0.01  # of all traffic before: a value that had more was there already
_LEAST_BEFORE = 7  # days with traffic before, or "first" says nothing
_REACH_DAYS = 60
_SLACK = timedelta(days=2)
_MOST = 5


def coincident(
    onset: Onset, day: date, metric: str, days: DayRange, n: Daily, dimensions: Mapping[str, Daily]
) -> list[dict[str, object]]:
    """Values whose first day with 5 % of the traces lies within the onset's interval ± 2 days, nearest first.

    `n` are all traces, `dimensions` those of each value, over `days`, of which the 60 up to `day` are looked at.
    """
    stop = (day - days.first).days + 1
    seen = slice(max(0, stop - _REACH_DAYS), stop)
    found = []
    for order, dimension in enumerate(_DIMENSIONS):
        if dimension not in dimensions or not applies(dimension, metric):
            continue
        slices = dimensions[dimension]
        for row, value in enumerate(slices.values):
            at = None if value in (NONE, OTHER) else _first(slices.n[row, seen], n.n[0, seen])
            if at is None:
                continue
            first_seen = days.first + timedelta(days=seen.start + at)
            if onset.first - _SLACK <= first_seen <= onset.last + _SLACK:
                told = {"dimension": dimension, "value": bounded(value), "first_seen": str(first_seen)}
                found.append((abs((first_seen - onset.day).days), order, value, told))
    return [dict(told) for *_, told in sorted(found, key=lambda entry: entry[:3])[:_MOST]]


def _first(own: np.ndarray, total: np.ndarray) -> int | None:
    """Column of the first day with a share of note, where it was next to nothing on enough days before."""
    large = np.flatnonzero((total > 0) & (own >= _LEAST_SHARE * total))
    if large.size == 0:
        return None
    at = int(large[0])
    if (total[:at] > 0).sum() < _LEAST_BEFORE or own[:at].sum() > _KNOWN_SHARE * total[:at].sum():
        return None
    return at
