"""Changes to lines: what is one story is told once.

In this order: a change that most intents share is one line; what all traffic shows and one intent, or most of them,
carries is not told again; a slice is told with its whole; and what began together in one intent is one line, led by
the gravest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from insights_pipeline.brief.changes import Change, Story
from insights_pipeline.brief.facts import ALL_TRAFFIC, INTENT, SLICE, WORSENED, Line
from insights_pipeline.brief.folding import parts_of_all, slices_apart, without_carried
from insights_pipeline.brief.one_line import NEWS, ids_of, line_of, together, told_first
from insights_pipeline.brief.shared import members_of, shared_change, shared_lines
from insights_pipeline.drift.constants import ALL, COST, LATENCY, TOKENS, TTFT
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.item import NEW_ITEM, ONGOING, RESOLVED

_PART_OF = {TTFT: LATENCY, TOKENS: COST}
_FELT = 0.5  # of the part's effect, for the whole to be what is told


def lines_of(
    changes: Sequence[Change], eligible: Mapping[str, int], hushed: Sequence[Change] = ()
) -> list[Line]:
    """One line per story, in no order. `eligible` counts, by metric, the intents that were tested.

    `hushed` is what people decided on: never a line, nor named in one, nor is what only it makes of all traffic.
    """
    known = [*changes, *hushed]
    left = list(changes)
    lines: list[Line] = []
    shared = []
    for story in sorted({change.story for change in left if change.whole}):
        if (one := shared_change(story, left, eligible)) is not None:
            shared.append(one)
            taken = {id(change) for change in (*one.members, *([one.total] if one.total else []))}
            left = [change for change in left if id(change) not in taken]
    lines += shared_lines(shared)
    told = {one.members[0].story for one in shared}
    left = without_carried(left, known)
    parts = parts_of_all(left)
    of_all = {id(part) for found in parts.values() for part in found}
    left = [change for change in left if id(change) not in of_all]
    whole, slices = slices_apart(left, known)
    for group in _together(whole):
        lead, *rest = _voiced(sorted(group, key=told_first))
        scope = SLICE if lead.slice else ALL_TRAFFIC if lead.intent_id == ALL else INTENT
        of = [name for change in group for name in slices.get(id(change), ())]
        elsewhere = {one.story for one in known if (one.intent_id, one.slice) == (lead.intent_id, lead.slice)}
        line = line_of(lead, rest, scope, slices=tuple(sorted(set(of))), elsewhere=elsewhere)
        lines.append(
            _without(told, _with_members(line, [one for c in group for one in parts.get(id(c), ())]))
        )
    return lines


def _with_members(line: Line, members: Sequence[Change]) -> Line:
    """The line of all traffic with the intents that show the same."""
    if not members:
        return line
    ids = (*line.item_ids, *ids_of(members))
    return replace(line, members=members_of(members), member_count=len(members), item_ids=ids)


def _without(told: Collection[Story], line: Line) -> Line:
    """The line without what moved with it only because it moved in most intents, which has a line of its own."""
    also = (one for one in line.also if one.item_id or (family(one.metric), one.direction) not in told)
    return replace(line, also=tuple(also))


def _voiced(group: Sequence[Change]) -> list[Change]:
    """Led by what users feel: the latency before the first token that is a part of it, the cost before its tokens.

    So a line does not change its metric from day to day as one or the other is a little larger.
    """
    lead = group[0]
    felt = next((one for one in group if _part_of(lead, one)), None)
    # what just goes on is not led into the news by its part
    if felt is None or (felt.state in NEWS) != (lead.state in NEWS):
        return list(group)
    before = felt.before if felt.state == lead.state else None
    rest = [one for one in group if one is not felt]
    return [replace(felt, state=lead.state, before=before), *rest]


def _part_of(change: Change, whole: Change) -> bool:
    if whole.story != (_PART_OF.get(change.metric), change.direction):
        return False
    return abs(whole.effect or 0.0) >= _FELT * abs(change.effect or 0.0)


def _together(changes: Sequence[Change]) -> Iterable[list[Change]]:
    """Changes of one series that began together, the news with what already went on; what is over stays apart."""
    by: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        by.setdefault((change.intent_id, change.slice or ""), []).append(change)
    for _, series in sorted(by.items()):
        current = _retold([change for change in series if change.state != RESOLVED])
        for part in (
            [change for change in series if change.state == RESOLVED],
            current,
        ):
            left = sorted(part, key=told_first)
            while left:
                with_it = [change for change in left if together(change, left[0])]
                yield with_it
                left = [change for change in left if change not in with_it]


def _retold(changes: Sequence[Change]) -> list[Change]:
    """What is news only as far as another metric of its story, which was told of before, just goes on."""
    return [
        replace(change, state=ONGOING, before=None)
        if any(_told_with(change, other) for other in changes if other is not change)
        else change
        for change in changes
    ]


def _told_with(change: Change, other: Change) -> bool:
    """Whether the line that told the other, which is as grave, told this change too."""
    if other.state == NEW_ITEM or other.gravity[0] > change.gravity[0] or not together(change, other):
        return False
    if change.state == NEW_ITEM:
        return _part_of(change, other) or change.story in other.named
    return change.state == WORSENED and other.state not in NEWS and other.rank >= change.rank
