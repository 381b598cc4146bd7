"""Which days a series must not count, from the items as they stood yesterday."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import LATENCY, LATENCY_P95, VOLUME
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.judge import LeftOut
from insights_pipeline.drift.life.item import Item, accepted_since
from insights_pipeline.drift.series.panel import Panel


def left_out(panel: Panel, items: Sequence[Item], *, complete_until: date | None = None) -> LeftOut:
    """Quarantine as masks.

    The days of an episode that goes on are out of the baseline only: the window must go on seeing them. One that is
    over is out of the windows too, or a month would report it a second time. An accepted one makes the series start
    anew. Dismissed for good, an item has no quarantined days. Of days after `complete_until`, the last that is over,
    traces cannot be counted yet: they are out of volume.
    """
    shape = panel.n.shape
    baseline = {metric: np.zeros(shape, dtype=bool) for metric in panel.metrics}
    window = {metric: np.zeros(shape, dtype=bool) for metric in panel.metrics}
    row = {one: position for position, one in enumerate(panel.series)}
    for item in items:
        if item.series not in row or family(item.metric) not in panel.metrics:
            continue
        at = row[item.series]
        metrics = (LATENCY, LATENCY_P95) if family(item.metric) == LATENCY else (item.metric,)
        days = [panel.column(day) for day in item.quarantined if day in panel.days]
        since = accepted_since(item)
        for metric in metrics:
            if since is not None:
                before = max(0, min(panel.column(since), shape[1]))
                baseline[metric][at, :before] = True
                window[metric][at, :before] = True
                continue
            baseline[metric][at, days] = True
            if not item.live:
                window[metric][at, days] = True
    if complete_until is not None:
        going_on = max(0, panel.column(complete_until + timedelta(days=1)))
        for masks in (baseline, window):
            masks[VOLUME][:, going_on:] = True
    return LeftOut(baseline, window)
