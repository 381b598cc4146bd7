"""One line of the changes that it tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date

from insights_pipeline.brief.changes import Change, Story
from insights_pipeline.brief.facts import WORSENED, Also, Line
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.item import NEW_ITEM
from insights_pipeline.drift.statistics import floors

TOGETHER_DAYS = 3  # changes that began within so many days of each other are one
NEWS = (NEW_ITEM, WORSENED)


def near(change: Change, day: date) -> bool:
    return abs((change.began - day).days) <= TOGETHER_DAYS


def together(one: Change, other: Change) -> bool:
    """Whether two changes of one series are one: by when they began, as far as that is known.

    What only the test of a whole window found says nothing of it; there the item counts that names it beside itself.
    """
    if near(one, other.began) or _overlap(one, other):
        return True
    return any(
        a.item_id is None and b.item_id is not None and a.story in b.moved_with
        for a, b in ((one, other), (other, one))
    )


def _overlap(one: Change, other: Change) -> bool:
    """Whether some day lies in the 95 % intervals of both beginnings."""
    first, last = one.row["onset_first"], one.row["onset_last"]
    other_first, other_last = other.row["onset_first"], other.row["onset_last"]
    if None in (first, last, other_first, other_last):
        return False
    return bool(first <= other_last and other_first <= last)


def told_first(change: Change) -> tuple[object, ...]:
    """News before what goes on, new before worsened; then the gravest."""
    place = NEWS.index(change.state) if change.state in NEWS else len(NEWS)
    return (place, *change.gravity)


def ids_of(changes: Iterable[Change]) -> tuple[str, ...]:
    return tuple(change.item_id for change in changes if change.item_id is not None)


def first_traces(changes: Sequence[Change]) -> tuple[str, ...]:
    """The first trace of each of the first members."""
    return tuple(change.row["trace_ids"][0] for change in changes if change.row["trace_ids"])[:3]


def line_of(
    lead: Change,
    rest: Sequence[Change],
    scope: str,
    *,
    slices: tuple[str, ...] = (),
    elsewhere: Collection[Story] = (),
) -> Line:
    """`elsewhere`: what moved with it and is not named here, for a line of its own tells it, or nobody is to."""
    row, explanation = lead.row, lead.explanation
    told = {family(change.metric) for change in (lead, *rest)}
    also = [change.as_also() for change in rest]
    for moved in explanation.get("moved_with") or ():
        story = (family(str(moved["metric"])), str(moved["direction"]))
        if story[0] not in told and story not in elsewhere:
            told.add(story[0])
            also.append(Also(str(moved["metric"]), str(moved["direction"]), moved.get("effect")))
    severity = lead.severity
    for change in rest:
        severity = floors.worst(severity, change.severity)
    return Line(
        state=lead.state,
        scope=scope,
        intent_id=lead.intent_id,
        intent=lead.intent,
        slice=lead.slice,
        metric=lead.metric,
        direction=lead.direction,
        severity=severity,
        since=lead.began,
        since_first=row["onset_first"],
        since_last=row["onset_last"],
        shape=row["shape"],
        opened=lead.opened,
        until=lead.over,
        baseline=row["baseline_value"],
        observed=row["observed"],
        effect=row["effect"],
        effect_low=row["effect_low"],
        effect_high=row["effect_high"],
        before=lead.before,
        n=row["n"],
        traffic_share=row["traffic_share"],
        rank=lead.rank,
        reopened=int(explanation.get("reopened") or 0),
        item_ids=ids_of((lead, *rest)),
        trace_ids=tuple(row["trace_ids"] or ()) or first_traces(rest),
        baseline_trace_ids=tuple(row["baseline_trace_ids"] or ()),
        also=tuple(also),
        slices=slices,
        carriers=tuple(one for one in explanation.get("carriers") or () if one.get("dimension") != "intent"),
        coincident=tuple(explanation.get("coincident") or ()),
        explanation=explanation,
    )
