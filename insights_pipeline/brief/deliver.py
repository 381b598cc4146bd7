"""Finished briefs to contact points, each once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from insights_pipeline.brief.links import Links
from insights_pipeline.brief.message import brief_key, message_of
from insights_pipeline.brief.read import read_brief
from insights_pipeline.lake import DayRange, Lake, Slice, day_of_ns, start_ns
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.notify import ContactPoint, DeliveryError, Outbound, send
from insights_pipeline.state import Delivery, State, claim, deliveries, mark_failed, mark_sent
from insights_pipeline.state.deliveries import FAILED, SENT, WAITING

MAX_AGE_DAYS = 3  # an older brief is history: a backfill tells nobody
MAX_ATTEMPTS = 11  # 1, 2, 4 … minutes apart: given up after about 17 hours
LEASE_NS = 10 * 60 * 10**9  # far longer than one delivery may take
_MINUTE_NS = 60 * 10**9
_LONGEST_WAIT_NS = NS_PER_DAY
# A brief of a day that was still going on is written again when the day is run whole (00:30): it is waited for.
_SETTLED_NS = 20 * _MINUTE_NS
_LONGEST_WINDOW = {"daily": 1, "weekly": 7, "monthly": 31}
_UNTOLD = "learning"  # nothing to say yet, and to everybody each day


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one brief for one contact point. `retry_ns`: when it is tried again."""

    cadence: str
    day: date
    contact_point: str
    status: Literal["sent", "waiting", "failed"]
    error: str | None = None
    retry_ns: int | None = None

    def __str__(self) -> str:
        what = f"{self.cadence} brief of {self.day} to {self.contact_point}"
        return f"{what}: {self.status}" + (f" ({self.error})" if self.error else "")


@dataclass(frozen=True, slots=True)
class Report:
    """What was done. `waiting` deliveries are tried again later; `untried` were due and no time was left for them."""

    outcomes: tuple[Outcome, ...] = ()
    waiting: int = 0
    untried: int = 0

    def of(self, status: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status == status]


def deliver_due(
    lake: Lake,
    state: State,
    points: Sequence[ContactPoint],
    *,
    cadences: Collection[str],
    when_quiet: bool,
    config: Outbound,
    links: Links | None = None,
    max_age_days: int = MAX_AGE_DAYS,
    seconds: float = 30.0,
    now_ns: Callable[[], int] = time.time_ns,
) -> Report:
    """Send each finished brief that a point has not got yet; one that fails stops no other. Raises StateError.

    A brief is finished when it was written after its window had ended; it is sent within `max_age_days` of that end or
    never. Quiet ones go out only with `when_quiet`; that no data arrived is news, that the intents are still being
    learnt is not. After `seconds` nothing more is begun: the rest is due at the next call.
    """
    began = now_ns()
    found = _finished(lake, cadences, when_quiet=when_quiet, now=began, max_age_days=max_age_days)
    keys = {brief_key(cadence, day): (cadence, day) for cadence, day in found}
    known = {(one.key, one.contact_point): one for one in deliveries(state, keys=keys)} if keys else {}
    outcomes: list[Outcome] = []
    waiting = untried = 0
    down: set[str] = set()
    for key, point, (cadence, day) in _pairs(keys, points):
        row = known.get((key, point.name))
        if row is not None and row.status in (SENT, FAILED):
            continue
        if row is not None and row.status == WAITING and row.claimed_ns > now_ns():
            waiting += 1
            continue
        if point.name in down or now_ns() - began > seconds * 10**9:
            untried += 1
            continue
        brief = read_brief(lake, cadence, day)
        if brief is None:  # it is being replaced: the next call finds it
            continue
        mine = claim(state, key, point.name, now_ns=now_ns(), lease_ns=LEASE_NS, max_attempts=MAX_ATTEMPTS)
        if mine is None:
            outcomes.extend(_given_up(state, key, point, cadence, day))
            continue
        outcome = _deliver(state, mine, brief, point, config=config, links=links, now_ns=now_ns)
        outcomes.append(outcome)
        if outcome.status == WAITING:
            down.add(point.name)
    return Report(tuple(outcomes), waiting, untried)


def deliver_again(
    state: State,
    brief: Mapping[str, Any],
    point: ContactPoint,
    *,
    config: Outbound,
    links: Links | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> Outcome | None:
    """Send a stored brief because a person wants it, also where it failed for good or was sent before.

    None while another process sends it. What was sent before goes out under a new key, or whoever gets it would take
    it for a duplicate.
    """
    key = brief_key(brief["cadence"], brief["date"])
    before = [one for one in deliveries(state, keys=[key]) if one.contact_point == point.name]
    mine = claim(
        state, key, point.name, now_ns=now_ns(), lease_ns=LEASE_NS, max_attempts=MAX_ATTEMPTS, anew=True
    )
    if mine is None:
        return None
    suffix = f":again:{mine.claimed_ns}" if any(one.sent_ns is not None for one in before) else ""
    return _deliver(state, mine, brief, point, config=config, links=links, now_ns=now_ns, suffix=suffix)


def _pairs(
    keys: Mapping[str, tuple[str, date]], points: Sequence[ContactPoint]
) -> Iterator[tuple[str, ContactPoint, tuple[str, date]]]:
    for key, brief in keys.items():
        for point in points:
            yield key, point, brief


def _given_up(state: State, key: str, point: ContactPoint, cadence: str, day: date) -> Iterator[Outcome]:
    """What the claim itself made of a delivery whose senders were stopped each time."""
    for row in deliveries(state, keys=[key]):
        if row.contact_point == point.name and row.status == FAILED:
            yield Outcome(cadence, day, point.name, "failed", error=row.error)


def _finished(
    lake: Lake, cadences: Collection[str], *, when_quiet: bool, now: int, max_age_days: int
) -> list[tuple[str, date]]:
    """The briefs (cadence, date) that may be sent now, oldest window first."""
    found: list[tuple[date, str, date]] = []
    today = day_of_ns(now)
    columns = ("date", "window_last", "status")
    for cadence in cadences:
        days = DayRange.ending(today, max_age_days + 1 + _LONGEST_WINDOW[cadence])
        rows = lake.read(Slice("briefs", days, columns, cadence=cadence)).to_pylist()
        written = lake.written("briefs", cadence=cadence) if rows else {}
        for row in rows:
            end = start_ns(row["window_last"]) + NS_PER_DAY
            told = row["status"] != _UNTOLD and (when_quiet or row["status"] != "quiet")
            finished = written[row["date"]] >= end + _SETTLED_NS
            if told and finished and now - end <= max_age_days * NS_PER_DAY:
                found.append((row["window_last"], cadence, row["date"]))
    return [(cadence, day) for _, cadence, day in sorted(found)]


def _deliver(
    state: State,
    mine: Delivery,
    brief: Mapping[str, Any],
    point: ContactPoint,
    *,
    config: Outbound,
    links: Links | None,
    now_ns: Callable[[], int],
    suffix: str = "",
) -> Outcome:
    def outcome(status: Literal["sent", "waiting", "failed"], **more: Any) -> Outcome:
        return Outcome(brief["cadence"], brief["date"], point.name, status, **more)

    error = _sent_or_why(brief, point, suffix=suffix, config=config, links=links)
    if error is None:
        mark_sent(state, mine, now_ns=now_ns())
        return outcome("sent")
    retry_ns = _retry_ns(mine, error, now_ns()) if error.retriable else None
    mark_failed(state, mine, error.reason, retry_ns=retry_ns)
    return outcome("failed" if retry_ns is None else "waiting", error=error.reason, retry_ns=retry_ns)


def _sent_or_why(
    brief: Mapping[str, Any], point: ContactPoint, *, suffix: str, config: Outbound, links: Links | None
) -> DeliveryError | None:
    try:
        send(point, message_of(brief, links=links, suffix=suffix), config)
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 – a brief that cannot be sent must not keep the others from going out
        # its text is not kept: it may hold the address, which may be a secret
        return DeliveryError(f"unexpected {type(error).__name__} while sending", retriable=True)
    return None


def _retry_ns(mine: Delivery, error: DeliveryError, now: int) -> int | None:
    """When to try again: after minutes that double, spread by a quarter, and not before the other side allows it."""
    if mine.attempts >= MAX_ATTEMPTS:
        return None
    wait = _MINUTE_NS << (mine.attempts - 1)
    salt = hashlib.sha256(f"{mine.key} {mine.contact_point} {mine.attempts}".encode()).digest()[0]
    wait += wait * salt // 1024
    return now + min(max(wait, int((error.retry_after or 0.0) * 10**9)), _LONGEST_WAIT_NS)
