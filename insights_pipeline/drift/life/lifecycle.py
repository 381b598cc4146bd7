"""The life of an item, as a pure fold: yesterday's items and today's signals give today's items.

    pending → new → ongoing → recovering → resolved      30 open days: accepted
                  no_data: an open item on a day that cannot tell      a person: accepted, dismissed

One episode is one item, whatever the number of horizons, days and triggers that see it. Everything the next day needs
is in the items themselves, and every rule is about dates, so a day can be repeated and a gap does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta

from insights_pipeline.drift.constants import (
    LASTING_DAYS,
    LASTING_HORIZON,
    LATENCY,
    LATENCY_P95,
    REACH_DAYS,
    RECENT_HORIZON,
)
from insights_pipeline.drift.detect import CONFIRMED, EXTREME, LASTING, MONTH, WEEK, Signal
from insights_pipeline.drift.life.item import (
    ACCEPTED,
    DISMISSED,
    NEW_ITEM,
    NO_DATA,
    ONGOING,
    OPEN,
    PENDING,
    RECOVERING,
    RESOLVED,
    Item,
    item_id,
)
from insights_pipeline.drift.statistics import floors
from insights_pipeline.lake import DayRange

# Quiet evaluations with data that close an item. With 2, false ones were open a quarter less long in the rough world
# (seeds 0 to 7), but true ones lost 3 to 4 % of their open days and one of 15 lapsed and came back.
QUIET_DAYS = 3
CONFIRM_DAYS = 3  # trigger B where nothing sees three days together: two hits within so many days
FLAPPING_DAYS = 7
ACCEPT_DAYS = 30
# Quarantined on opening: the days that the trigger judged. More would cost young series their baseline.
_QUARANTINE_DAYS = {WEEK: 7, CONFIRMED: CONFIRM_DAYS, EXTREME: 1, LASTING: LASTING_DAYS, MONTH: 30}
_HORIZON_OF = {WEEK: "7d", CONFIRMED: RECENT_HORIZON, EXTREME: "1d", LASTING: LASTING_HORIZON, MONTH: "30d"}


def step(
    day: date,
    items: Sequence[Item],
    signals: Sequence[Signal],
    evaluable: Collection[tuple[str, str]],
) -> list[Item]:
    """Today's items, sorted by id. `evaluable`: the (series, metric) with a verdict today; without, a state carries."""
    seen: dict[tuple[str, str, str], list[Signal]] = {}
    for signal in signals:
        seen.setdefault(signal.key, []).append(signal)
    kept = [item for item in items if not forgotten(item, day)]
    current = {item.key: item for item in kept if item.live}
    over = sorted((item for item in kept if not item.live), key=lambda item: (item.opened, item.item_id))
    closed = {item.key: item for item in over}
    today: dict[str, Item] = {item.item_id: trimmed(item, day) for item in over}
    for key in sorted(current.keys() | seen.keys()):
        advanced = _advance(day, key, current.get(key), closed.get(key), seen.get(key, []), evaluable)
        if advanced is not None:
            today[advanced.item_id] = trimmed(advanced, day)
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
    if item is not None and item.state == DISMISSED:
        return _dismissed_day(day, item, seen, evaluable)
    trigger = _trigger(day, item, seen)
    if trigger is not None:
        if closed is not None and _hushed(closed, day):
            again = _open(day, key, closed, trigger, seen, reopen=True)
            # it is not taken apart anew: what was known of it stays
            return replace(
                again,
                state=DISMISSED,
                decision=closed.decision,
                explanation={**closed.explanation, **again.explanation},
                trace_ids=closed.trace_ids,
                baseline_trace_ids=closed.baseline_trace_ids,
            )
        flapping = closed is not None and _flapping(closed, day)
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


def _flapping(closed: Item, day: date) -> bool:
    """Whether an episode that resolved comes back so soon that it is the same one."""
    return (
        closed.state == RESOLVED and closed.closed is not None and (day - closed.closed).days <= FLAPPING_DAYS
    )


def _hushed(closed: Item, day: date) -> bool:
    """Whether a person wants to hear nothing of the key until a day that has not passed."""
    until = closed.decision.until if closed.decision is not None else None
    return closed.state == DISMISSED and until is not None and day <= until


def _trigger(day: date, pending: Item | None, seen: Sequence[Signal]) -> str | None:
    """The strongest trigger of today: a week, an extreme day, three days, two weeks, a month."""
    fired = {trigger for signal in seen for trigger in signal.triggers}
    hit = any(signal.hit and signal.confirms for signal in seen)
    if hit and pending is not None and 0 < (day - pending.last_fired).days < CONFIRM_DAYS:
        fired.add(CONFIRMED)
    return next((trigger for trigger in (WEEK, EXTREME, CONFIRMED, LASTING, MONTH) if trigger in fired), None)


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
    seen = _of_now(item, seen)
    if seen and not _has_data(item, seen, evaluable):
        seen = ()  # a window without a new day only repeats itself
    if seen:
        item = _shown(replace(item, state=ONGOING, last_fired=day, quiet_days=0), seen, "7d")
    elif (item.series, item.metric) in evaluable:
        item = replace(item, state=RECOVERING, quiet_days=item.quiet_days + 1)
    else:
        # silence proves nothing: the state carries until a day can tell, or nothing of it is within reach
        gone = (day - item.last_fired).days >= REACH_DAYS
        return replace(item, state=ACCEPTED, closed=day) if gone else replace(item, state=NO_DATA)
    if item.quiet_days >= QUIET_DAYS:
        return replace(item, state=RESOLVED, closed=day, quarantined=_affected(item))
    if (day - item.opened).days >= ACCEPT_DAYS:
        return replace(item, state=ACCEPTED, closed=day, quiet_days=0)
    return item


def _dismissed_day(
    day: date, item: Item, seen: Sequence[Signal], evaluable: Collection[tuple[str, str]]
) -> Item:
    """Nobody is told. For good: its days count as normal. Until a day: they do not, and what shows later is told."""
    until = item.decision.until if item.decision is not None else None
    if until is not None:
        item = replace(item, quarantined=(*item.quarantined, day))
    if seen := _of_now(item, seen):
        again = until is not None and day > until
        state = NEW_ITEM if again else DISMISSED
        return _shown(replace(item, state=state, last_fired=day, quiet_days=0), seen, "7d")
    if (item.series, item.metric) in evaluable:
        item = replace(item, quiet_days=item.quiet_days + 1)
    if item.quiet_days >= QUIET_DAYS or (day - item.last_fired).days >= REACH_DAYS:
        return replace(item, closed=day, quarantined=_affected(item))
    return item


def _has_data(item: Item, seen: Sequence[Signal], evaluable: Collection[tuple[str, str]]) -> bool:
    today = any(signal.hit or EXTREME in signal.triggers for signal in seen)
    return today or any((item.series, signal.metric) in evaluable for signal in seen)


def _of_now(item: Item, seen: Sequence[Signal]) -> Sequence[Signal]:
    """The 30-day mean remembers an incident for weeks after its end; only what opened on it may live on it."""
    return seen if item.trigger == MONTH else [signal for signal in seen if signal.recent]


def _affected(item: Item) -> tuple[date, ...]:
    """The quiet days at the end were normal: they may serve as a baseline again."""
    return tuple(past for past in item.quarantined if past <= item.last_fired)


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


def trimmed(item: Item, day: date) -> Item:
    """Without quarantined days that no baseline reaches any more."""
    first = day - timedelta(days=REACH_DAYS - 1)
    return replace(item, quarantined=tuple(past for past in item.quarantined if past >= first))


def forgotten(item: Item, day: date) -> bool:
    """A pending item whose hit can no longer be confirmed, or a closed one out of reach of every baseline."""
    if item.state == PENDING:
        return (day - item.last_fired).days >= CONFIRM_DAYS
    return item.closed is not None and (day - item.closed).days >= REACH_DAYS
