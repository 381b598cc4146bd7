"""A change that most intents share: one line with its members, whatever metrics it shows in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median
from typing import Any

from insights_pipeline.brief.changes import Change
from insights_pipeline.brief.facts import ALL_INTENTS, WORSENED, Also, Line, Member
from insights_pipeline.brief.one_line import NEWS, TOGETHER_DAYS, first_traces, ids_of, line_of, near
from insights_pipeline.drift.constants import ALL, VOLUME
from insights_pipeline.drift.life.item import NEW_ITEM, ONGOING, RESOLVED
from insights_pipeline.drift.statistics import floors

MOST_MEMBERS = 10
_SHARED = 0.5  # of the intents that could have moved
_FEWEST = 3  # of two intents, one that moves is no common cause
_EVERY = "All intents"


@dataclass(frozen=True, slots=True)
class Shared:
    """A change that most intents share, with the item of all traffic for it, if there is one."""

    members: tuple[Change, ...]
    eligible: int
    total: Change | None
    told: bool  # before this window: of all traffic, or of enough members; one more of them is no news


def shared_change(
    story: tuple[str, str], changes: Sequence[Change], eligible: Mapping[str, int]
) -> Shared | None:
    own = [change for change in changes if change.whole and change.story == story and story[0] != VOLUME]
    metric_eligible = max((eligible.get(change.metric, 0) for change in own), default=0)
    least = max(_FEWEST, _SHARED * metric_eligible)
    together = _nearest(own)
    if len({change.intent_id for change in together}) < least:
        return None
    began = _middle(together)
    total = next(
        (
            c
            for c in changes
            if c.intent_id == ALL and c.slice is None and c.story == story and near(c, began)
        ),
        None,
    )
    open_before = {change.intent_id for change in together if change.state not in (*NEWS, RESOLVED)}
    told = len(open_before) >= least or (total is not None and total.state not in (*NEWS, RESOLVED))
    return Shared(tuple(together), max(metric_eligible, len(together)), total, told)


def _nearest(changes: Sequence[Change]) -> list[Change]:
    """The most changes that began within `TOGETHER_DAYS` of one day; of equal ones the earliest."""
    best: list[Change] = []
    for day in sorted({change.began for change in changes}):
        found = [change for change in changes if near(change, day)]
        if len(found) > len(best):
            best = found
    return best


def _middle(changes: Sequence[Change]) -> date:
    return sorted(change.began for change in changes)[(len(changes) - 1) // 2]


def shared_lines(shared: Sequence[Shared]) -> Iterable[Line]:
    """A line for each time at which most intents moved: the metrics that moved then are together in it."""
    left = sorted(shared, key=lambda one: (-_weight(one), one.members[0].story))
    while left:
        lead = left[0]
        began = _middle(lead.members)
        with_it = [one for one in left if abs((_middle(one.members) - began).days) <= TOGETHER_DAYS]
        left = [one for one in left if one not in with_it]
        for members in _by_outcome(lead.members):
            # what is over in one metric may go on in another: each outcome tells the metrics that share it
            outcome = _outcome(members[0])
            also = [_of_all(one) for one in with_it[1:] if any(_outcome(m) == outcome for m in one.members)]
            yield _shared_line(lead, members, also)
        rest = {_outcome(member) for member in lead.members}
        for one in with_it[1:]:
            for members in _by_outcome(one.members):
                if _outcome(members[0]) not in rest:
                    yield _shared_line(one, members, [])


def _by_outcome(members: Sequence[Change]) -> list[list[Change]]:
    by: dict[str, list[Change]] = {}
    for member in members:
        by.setdefault(_outcome(member), []).append(member)
    # a member that is new today makes the news, the others that still go on are part of it
    if "news" in by and "ongoing" in by:
        by["news"] += by.pop("ongoing")
    return [by[outcome] for outcome in sorted(by)]


def _outcome(change: Change) -> str:
    if change.state in NEWS:
        return "news"
    return "over" if change.state == RESOLVED else "ongoing"


def _weight(one: Shared) -> float:
    return sum(member.rank for member in one.members)


def _of_all(one: Shared) -> Also:
    lead = one.total or one.members[0]
    effect = lead.effect if one.total else _median(member.effect for member in one.members)
    return Also(lead.metric, lead.direction, effect, one.total.item_id if one.total else None)


def _shared_line(shared: Shared, members: Sequence[Change], also: Sequence[Also]) -> Line:
    ordered = sorted(members, key=lambda member: (-member.rank, member.intent_id))
    lead = shared.total or ordered[0]
    states = {member.state for member in members}
    news = (WORSENED, RESOLVED) if shared.told else (NEW_ITEM, WORSENED, RESOLVED)
    going_on = ONGOING if NEW_ITEM in states else ordered[0].state
    state = next((one for one in news if one in states), going_on)
    line = line_of(lead, (), ALL_INTENTS)
    numbers: dict[str, Any] = {}
    if shared.total is None:
        numbers = {
            "baseline": None,
            "observed": None,
            "effect": _median(member.effect for member in members),
            "effect_low": None,
            "effect_high": None,
            "n": sum(int(member.row["n"] or 0) for member in members) or None,
            "since_first": None,
            "since_last": None,
            "since": _middle(shared.members),
            "explanation": {},
        }
    severity = lead.severity
    for member in members:
        severity = floors.worst(severity, member.severity)
    return replace(
        line,
        state=state,
        intent_id=ALL,
        intent=_EVERY,
        severity=severity,
        until=max((m.over for m in members if m.over), default=None) if state == RESOLVED else None,
        traffic_share=min(1.0, sum(member.share for member in members)),
        rank=sum(member.rank for member in members),
        item_ids=ids_of([*([shared.total] if shared.total else []), *ordered]),
        trace_ids=tuple(lead.row["trace_ids"] or ()) or first_traces(ordered),
        also=tuple(also),
        members=members_of(ordered),
        member_count=len({member.intent_id for member in members}),
        eligible=shared.eligible,
        **numbers,
    )


def members_of(changes: Sequence[Change]) -> tuple[Member, ...]:
    """The first `MOST_MEMBERS` of them, as a line shows them."""
    return tuple(_member(change) for change in changes[:MOST_MEMBERS])


def _member(change: Change) -> Member:
    return Member(
        change.intent_id,
        change.intent,
        change.slice,
        change.effect,
        change.row["traffic_share"],
        change.item_id,
    )


def _median(effects: Iterable[float | None]) -> float | None:
    known = [effect for effect in effects if effect is not None]
    return median(known) if known else None
