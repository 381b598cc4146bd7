"""One day of the fold, pure: the days up to it and yesterday's items give its verdicts and items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from insights_pipeline.drift.constants import DEFAULT, REACH_DAYS, Constants
from insights_pipeline.drift.detect import Signal, evaluable, judge_day, signals
from insights_pipeline.drift.explanation.explain import beside, explain, significant
from insights_pipeline.drift.judge import Judged
from insights_pipeline.drift.life.arrivals import Known, arrives_or_leaves, step_arrivals
from insights_pipeline.drift.life.left_out import left_out
from insights_pipeline.drift.life.lifecycle import CLOSED, Item, family, step
from insights_pipeline.drift.series.panel import Panel

_SHARE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Day:
    """What a day came to."""

    day: date
    panel: Panel
    judged: Mapping[str, Judged]
    signals: Sequence[Signal]
    items: Sequence[Item]


def fold_day(panel: Panel, day: date, items: Sequence[Item], known: Known, *, c: Constants = DEFAULT) -> Day:
    """Judge `day` and take yesterday's items one day on. `panel` must cover the `REACH_DAYS` days up to `day`."""
    recent = panel.ending(day, REACH_DAYS)
    judged = judge_day(recent, day, left_out(recent, items), c=c) if recent.series else {}
    found = signals(recent, judged, c=c) if judged else []
    quiet = evaluable(recent, judged) if judged else set()
    drifts = step(day, [item for item in items if not arrives_or_leaves(item)], found, quiet)
    volumes = step_arrivals(day, [item for item in items if arrives_or_leaves(item)], recent, known)
    told = [_told(item, day, recent, judged, found) for item in (*drifts, *volumes)]
    return Day(day, recent, judged, found, sorted(told, key=lambda item: item.item_id))


def _told(item: Item, day: date, panel: Panel, judged: Mapping[str, Judged], found: Sequence[Signal]) -> Item:
    """The item with its explanation and traffic share, where today has something to say about it."""
    if item.state in CLOSED or item.last_fired != day or item.series not in panel.series:
        return item
    row = panel.series.index(item.series)
    total = float(panel.total[-_SHARE_DAYS:].sum())
    share = significant(float(panel.n[row, -_SHARE_DAYS:].sum()) / total) if total > 0 else None
    if item.evidence is None:
        return replace(item, traffic_share=share)
    horizon = item.evidence.horizon
    own = [signal for signal in found if (signal.series, family(signal.metric), signal.direction) == item.key]
    facts = explain(panel, judged[horizon], item.metric, row)
    if also := beside(own, item.metric, horizon):
        facts["also"] = also
    if item.reopened:
        facts["reopened"] = item.reopened
    return replace(item, traffic_share=share, explanation=facts)
