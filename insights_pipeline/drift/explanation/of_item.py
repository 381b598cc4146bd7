"""What an open item says on a day, as far as the rollups of its own series tell: pure, a part of the fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import DEFAULT, DOWN, ERRORS, LATENCY_P95, TOOLS, UP
from insights_pipeline.drift.detect import Signal, family
from insights_pipeline.drift.explanation.explain import beside, explain, significant
from insights_pipeline.drift.explanation.item_onset import daily, item_onset
from insights_pipeline.drift.judge import Judged, LeftOut
from insights_pipeline.drift.life.item import NEW_ITEM, Item, Onset
from insights_pipeline.drift.series.panel import Panel
from insights_pipeline.drift.statistics.arrays import Mask

# Told by others: what the traces of slices carry, and what a person decided.
CARRIED = ("carriers", "total", "coincident")
_KEPT = (*CARRIED, "decision", "reopened")
_MOST_BESIDE = 5
_SURE = 0.01


def explained(
    item: Item,
    day: date,
    panel: Panel,
    judged: Mapping[str, Judged],
    found: Sequence[Signal],
    out: LeftOut,
) -> Item:
    """The item with today's numbers, when its change began, the days compared, and what moved with it.

    Its onset and the days compared are those of the last day that showed the change by itself.
    `panel` ends on `day`; `found` are the signals of the day; `out` the days that the judgement left out. What is
    known of slices (`CARRIED`) and of decisions stays as it was.
    """
    if item.evidence is None or item.series not in panel.series:
        return item
    row = panel.series.index(item.series)
    now = judged.get(item.evidence.horizon)
    if now is None or (item.metric in (ERRORS, TOOLS) and not now.results[item.metric].parts):
        now = judged["7d"]  # a test with a longer memory keeps no counts: what the last week shows
    base, left_out = now.baseline[item.metric][row], out.window[item.metric][row]
    facts = explain(panel, now, item.metric, row)
    own = [signal for signal in found if signal.key == item.key]
    if also := beside(own, item.metric, item.evidence.horizon):
        facts["also"] = also
    if together := moved_with(item, found):
        facts["moved_with"] = together
    onset = item.onset
    if item.state == NEW_ITEM or "compared" not in item.explanation or _shows(item, judged["1d"], row):
        onset = item_onset(item, day, panel, base, left_out)
        days = compared(panel, now, item.metric, row, onset, base, left_out)
        facts["compared"] = {"day": str(day), "effect": significant(item.evidence.effect), **days}
    else:  # it may be over while the week still holds it: then today says nothing about how it began
        facts["compared"] = item.explanation["compared"]
    facts |= {key: item.explanation[key] for key in _KEPT if key in item.explanation}
    return replace(item, onset=onset, explanation=facts)


def _shows(item: Item, today: Judged, row: int) -> bool:
    """Whether the day alone shows the change: by its own test, or by half of the effect it had when last explained."""
    result = today.results[item.metric]
    effect = float(result.effect[row])
    against = (item.direction == UP and effect <= 0) or (item.direction == DOWN and effect >= 0)
    if not np.isfinite(effect) or against:
        return False
    known = item.explanation["compared"]
    had = float(known.get("effect") or 0.0) if isinstance(known, Mapping) else 0.0
    # a total variation is never 0: what chance gives does not count
    size = effect - float(result.baseline_value[row]) if item.metric == TOOLS else abs(effect)
    return bool(result.p[row] <= DEFAULT.p_hold) or size >= abs(had) / 2 > 0


def moved_with(item: Item, found: Sequence[Signal]) -> list[dict[str, object]]:
    """Other metrics of the same series that clearly moved, surest first; a latency's mean before its p95."""
    rows: dict[str, tuple[float, dict[str, object]]] = {}
    for signal in sorted(found, key=lambda one: (one.metric == LATENCY_P95, one.metric, one.direction)):
        if signal.series != item.series or family(signal.metric) == family(item.metric):
            continue
        evidence = signal.evidence.get("7d") or next(iter(signal.evidence.values()), None)
        if evidence is None or family(signal.metric) in rows:
            continue
        if not (signal.triggers or signal.hit or evidence.p <= _SURE):
            continue
        told: dict[str, object] = {
            "metric": signal.metric,
            "direction": signal.direction,
            "effect": significant(evidence.effect),
        }
        rows[family(signal.metric)] = evidence.p, told
    ranked = sorted(rows.items(), key=lambda entry: (entry[1][0], entry[0]))
    return [told for _, (_, told) in ranked[:_MOST_BESIDE]]


def compared(
    panel: Panel,
    judged: Judged,
    metric: str,
    row: int,
    onset: Onset | None,
    base: Mask,
    left_out: Mask,
) -> dict[str, list[list[str]]]:
    """The days a change is explained by, as runs [first, last]: the baseline used, the window since the onset."""
    columns = panel.columns(judged.window)
    began = (
        columns.start if onset is None else min(max(columns.start, panel.column(onset.day)), columns.stop - 1)
    )
    has = daily(panel, row, metric, base).mask & ~left_out
    at = np.arange(len(has))
    before = base & has & (at < (columns.start if onset is None else panel.column(onset.day)))
    now = has & (at >= began) & (at < columns.stop)
    return {"before": _runs(panel, before), "now": _runs(panel, now)}


def _runs(panel: Panel, days: Mask) -> list[list[str]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], days.astype(np.int8), [0]))))
    first = panel.days.first
    return [
        [str(first + timedelta(days=int(start))), str(first + timedelta(days=int(stop) - 1))]
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
