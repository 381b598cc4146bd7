"""The life of an item, as a pure fold: yesterday's items and today's signals give today's items.

    pending → new → ongoing → recovering → resolved      30 open days: accepted

One episode is one item, whatever the number of horizons, days and triggers that see it. Everything the next day needs
is in the items themselves, and every rule is about dates, so a day can be repeated and a gap does no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from insights_pipeline.drift.constants import LATENCY, LATENCY_P95, REACH_DAYS
from insights_pipeline.drift.detect import CONFIRMED, EXTREME, MONTH, WEEK, Evidence, Signal
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.statistics import floors
from insights_pipeline.lake import DayRange

PENDING, NEW_ITEM, ONGOING, RECOVERING = "pending", "new", "ongoing", "recovering"
RESOLVED, ACCEPTED = "resolved", "accepted"
OPEN = frozenset({NEW_ITEM, ONGOING, RECOVERING})
CLOSED = frozenset({RESOLVED, ACCEPTED})

QUIET_DAYS = 3  # quiet evaluations with data that close an item
CONFIRM_DAYS = 3  # trigger B: two hits within so many days
FLAPPING_DAYS = 7
ACCEPT_DAYS = 30
ACCEPTED_LEVEL_DAYS = 14  # the level that an accepted item's series is compared with from then on
# Quarantined on opening: the days that the trigger judged. More would cost young series their baseline.
_QUARANTINE_DAYS = {WEEK: 7, CONFIRMED: CONFIRM_DAYS, EXTREME: 1, MONTH: 30}
_HORIZON_OF = {WEEK: "7d", CONFIRMED: "1d", EXTREME: "1d", MONTH: "30d"}


@dataclass(frozen=True, slots=True)
class Onset:
    """When a change began: the likeliest first day, a 95 % interval of days, and whether it came at once or grew."""

    day: date
    first: date
    last: date
    shape: str  # step | ramp


@dataclass(frozen=True, slots=True)
class Item:
    """One (series, metric, direction) episode as of a day. `last_fired` is the last day it was seen at all."""

    item_id: str
    series: str
    metric: str
    direction: str
    state: str
    opened: date
    last_fired: date
    closed: date | None = None
    quiet_days: int = 0
    trigger: str | None = None
    severity: str = floors.INFO  # the gravest so far
    evidence: Evidence | None = None
    reopened: int = 0
    quarantined: tuple[date, ...] = ()
    traffic_share: float | None = None
    trace_ids: tuple[str, ...] = ()
    baseline_trace_ids: tuple[str, ...] = ()  # … of before the change, to compare with
    onset: Onset | None = None
    explanation: Mapping[str, object] = field(default_factory=dict)

    @property
    def intent_id(self) -> str:
        return intent_of(self.series)

    @property
    def slice(self) -> str | None:
        return slice_of(self.series)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.series, family(self.metric), self.direction


def family(metric: str) -> str:
    """Metrics that tell one story: a latency whose mean and p95 move is one item."""
    return LATENCY if metric == LATENCY_P95 else metric


def item_id(series: str, metric: str, direction: str, opened: date) -> str:
    digest = hashlib.sha256(f"{series}\x1f{metric}\x1f{direction}\x1f{opened}".encode())
    return "drf_" + digest.hexdigest()[:16]


def step(
    day: date,
    items: Sequence[Item],
    signals: Sequence[Signal],
    evaluable: Collection[tuple[str, str]],
) -> list[Item]:
    """Today's items, sorted by id. `evaluable`: the (series, metric) with a verdict today; without, a state carries."""
    seen: dict[tuple[str, str, str], list[Signal]] = {}
    for signal in signals:
        seen.setdefault((signal.series, family(signal.metric), signal.direction), []).append(signal)
    kept = [item for item in items if not forgotten(item, day)]
    current = {item.key: item for item in kept if item.state in OPEN or item.state == PENDING}
    closed: dict[tuple[str, str, str], Item] = {}
    for item in sorted(
        (item for item in kept if item.state in CLOSED), key=lambda item: (item.opened, item.item_id)
    ):
        closed[item.key] = item
    today: dict[str, Item] = {item.item_id: _trimmed(item, day) for item in kept if item.state in CLOSED}
    for key in sorted(current.keys() | seen.keys()):
        advanced = _advance(day, key, current.get(key), closed.get(key), seen.get(key, []), evaluable)
        if advanced is not None:
            today[advanced.item_id] = _trimmed(advanced, day)
    return sorted(today.values(), key=lambda item: item.item_id)


def _advance(
    day: date,
    key: tuple[str, str, str],
    item: Item | None,
    closed: Item | None,
    seen: Sequence[Signal],
    evaluable: Collection[tuple[str, str]],
) -> Item | None:
    if item is not None and item.state in OPEN:
        return _open_day(day, item, seen, evaluable)
    trigger = _trigger(day, item, seen)
    if trigger is not None:
        flapping = (
            closed is not None
            and closed.state == RESOLVED
            and closed.closed is not None
            and (day - closed.closed).days <= FLAPPING_DAYS
        )
        return _open(day, key, closed if flapping else item, trigger, seen, reopen=flapping)
    if any(signal.hit for signal in seen):
        lead = _lead(seen)
        opened = day if item is None else item.opened
        return Item(
            item_id=item_id(lead.series, lead.metric, lead.direction, opened)
            if item is None
            else item.item_id,
            series=lead.series,
            metric=lead.metric if item is None else item.metric,
            direction=lead.direction,
            state=PENDING,
            opened=opened,
            last_fired=day,
            evidence=lead.evidence.get("1d"),
        )
    return item


def _trigger(day: date, pending: Item | None, seen: Sequence[Signal]) -> str | None:
    """The strongest trigger of today: a week, an extreme day, a confirmed day, a month."""
    fired = {trigger for signal in seen for trigger in signal.triggers}
    hit = any(signal.hit for signal in seen)
    if hit and pending is not None and 0 < (day - pending.last_fired).days < CONFIRM_DAYS:
        fired.add(CONFIRMED)
    return next((trigger for trigger in (WEEK, EXTREME, CONFIRMED, MONTH) if trigger in fired), None)


def _lead(seen: Sequence[Signal]) -> Signal:
    """The signal an item is named after: the mean before its p95."""
    return min(seen, key=lambda signal: (signal.metric == LATENCY_P95, signal.metric))


def _open(
    day: date,
    key: tuple[str, str, str],
    before: Item | None,
    trigger: str,
    seen: Sequence[Signal],
    *,
    reopen: bool,
) -> Item:
    firing = [signal for signal in seen if signal.triggers or signal.hit]
    lead = _lead(firing or seen)
    opened = day if before is None else before.opened
    days = set(DayRange.ending(day, _QUARANTINE_DAYS[trigger])) | set(
        before.quarantined if before is not None else ()
    )
    item = Item(
        item_id=before.item_id if before is not None else item_id(key[0], lead.metric, key[2], opened),
        series=key[0],
        metric=before.metric if before is not None and before.metric == LATENCY else lead.metric,
        direction=key[2],
        state=NEW_ITEM,
        opened=opened,
        last_fired=day,
        trigger=trigger,
        reopened=0 if before is None else before.reopened + int(reopen),
        quarantined=tuple(sorted(days)),
    )
    return _shown(item, seen, _HORIZON_OF[trigger])


def _open_day(day: date, item: Item, seen: Sequence[Signal], evaluable: Collection[tuple[str, str]]) -> Item:
    item = replace(item, quarantined=(*item.quarantined, day))
    if item.trigger != MONTH:
        # the 30-day mean remembers an incident for weeks after its end; only what opened on it may live on it
        seen = [signal for signal in seen if signal.recent]
    if seen:
        item = _shown(replace(item, state=ONGOING, last_fired=day, quiet_days=0), seen, "7d")
    elif (item.series, item.metric) in evaluable:
        item = replace(item, state=RECOVERING, quiet_days=item.quiet_days + 1)
    elif item.state == NEW_ITEM:
        item = replace(item, state=ONGOING)
    if item.quiet_days >= QUIET_DAYS:
        # the quiet days were normal: they may serve as a baseline again
        affected = tuple(past for past in item.quarantined if past <= item.last_fired)
        return replace(item, state=RESOLVED, closed=day, quarantined=affected)
    if (day - item.opened).days >= ACCEPT_DAYS:
        return replace(item, state=ACCEPTED, closed=day, quiet_days=0)
    return item


def _shown(item: Item, seen: Sequence[Signal], horizon: str) -> Item:
    """The item with today's numbers: of its metric over `horizon`, else over the horizon that has any."""
    mean_moved = any(signal.metric == LATENCY and (signal.triggers or signal.hit) for signal in seen)
    metric = LATENCY if item.metric == LATENCY_P95 and mean_moved else item.metric
    own = next((signal for signal in seen if signal.metric == metric), None)
    if own is None or not own.evidence:
        return replace(item, metric=metric)
    evidence = own.evidence.get(horizon) or next(iter(own.evidence.values()))
    now = floors.severity(metric, item.direction, effect=evidence.effect, p=evidence.p)
    return replace(item, metric=metric, severity=floors.worst(item.severity, now), evidence=evidence)


def _trimmed(item: Item, day: date) -> Item:
    first = day - timedelta(days=REACH_DAYS - 1)
    return replace(item, quarantined=tuple(past for past in item.quarantined if past >= first))


def forgotten(item: Item, day: date) -> bool:
    """A pending item whose hit can no longer be confirmed, or a closed one out of reach of every baseline."""
    if item.state == PENDING:
        return (day - item.last_fired).days >= CONFIRM_DAYS
    return item.closed is not None and (day - item.closed).days >= REACH_DAYS


def accepted_since(item: Item) -> date | None:
    """First day of the level that an accepted item's series is compared with; earlier days no longer count."""
    if item.state != ACCEPTED or item.closed is None:
        return None
    return item.closed - timedelta(days=ACCEPTED_LEVEL_DAYS - 1)
