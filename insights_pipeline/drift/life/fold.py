"""One day of the fold, pure: the days up to it and yesterday's items give its verdicts and items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from insights_pipeline.drift.constants import DEFAULT, REACH_DAYS, Constants
from insights_pipeline.drift.detect import Signal, evaluable, judge_day, signals
from insights_pipeline.drift.explanation.explain import significant
from insights_pipeline.drift.explanation.of_item import explained
from insights_pipeline.drift.judge import Judged, LeftOut
from insights_pipeline.drift.life.arrivals import (
    Known,
    arrives_or_leaves,
    beside_arrivals,
    step_arrivals,
)
from insights_pipeline.drift.life.decisions import Decision, decided
from insights_pipeline.drift.life.item import OPEN, Item
from insights_pipeline.drift.life.left_out import left_out
from insights_pipeline.drift.life.lifecycle import step
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
    out: LeftOut


def fold_day(
    panel: Panel,
    day: date,
    items: Sequence[Item],
    known: Known,
    *,
    decisions: Sequence[Decision] = (),
    complete_until: date | None = None,
    c: Constants = DEFAULT,
) -> Day:
    """Judge `day` and take yesterday's items one day on. `panel` must cover the `REACH_DAYS` days up to `day`.

    Decisions come last: what a person decided about the items of a day counts for the tests of the days after it.
    `complete_until` is the last day that is over (None: every day is): of a later one volume is not judged.
    """
    recent = panel.ending(day, REACH_DAYS)
    out = left_out(recent, items, complete_until=complete_until)
    judged = judge_day(recent, day, out, c=c) if recent.series else {}
    found = beside_arrivals(signals(recent, judged, c=c), day, items, recent, known) if judged else []
    quiet = evaluable(recent, judged) if judged else set()
    drifts = step(day, [item for item in items if not arrives_or_leaves(item)], found, quiet)
    arrivals = step_arrivals(day, items, recent, known)
    told = [_told(item, day, recent, judged, found, out) for item in (*drifts, *arrivals)]
    after = decided(day, told, decisions)
    return Day(day, recent, judged, found, sorted(after, key=lambda item: item.item_id), out)


def _told(
    item: Item,
    day: date,
    panel: Panel,
    judged: Mapping[str, Judged],
    found: Sequence[Signal],
    out: LeftOut,
) -> Item:
    """The item with its explanation and traffic share, where today has something to say about it."""
    if item.state not in OPEN or item.last_fired != day or item.series not in panel.series:
        return item
    row = panel.series.index(item.series)
    total = float(panel.total[-_SHARE_DAYS:].sum())
    share = significant(float(panel.n[row, -_SHARE_DAYS:].sum()) / total) if total > 0 else None
    return explained(replace(item, traffic_share=share), day, panel, judged, found, out)
