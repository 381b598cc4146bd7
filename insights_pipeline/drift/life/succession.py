"""Which items go on when intents are merged or divided, or slices no longer watched, and under which series."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from insights_pipeline.drift.constants import GONE, NEW
from insights_pipeline.drift.life.item import ACCEPTED, DISMISSED, PENDING, Item
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import Lineage


def that_go_on(
    items: Sequence[Item], day: date, lineage: Lineage, *, groups: Collection[str] | None = None
) -> list[Item]:
    """Yesterday's items as `day` takes them on, in the order given.

    An episode of an intent that became part of another goes on as one of the whole, under its own id, so that it is
    not told a second time; where the whole has the same episode already, it is over. Episodes of before a series began
    anew are over too, and those of slices by a dimension that is none of `groups` (None: any is). What is over is
    accepted without a word; of a pending one nothing is left.
    """
    taken = {item.key for item in items if item.live and item.intent_id not in lineage.target}
    today = []
    for item in items:
        if not item.live:
            today.append(item)
            continue
        whole = lineage.of(item.intent_id)
        heir = item if whole == item.intent_id else replace(item, series=series_key(whole, item.slice))
        over = item.opened < lineage.since.get(whole, date.min) or not _watched(item, groups)
        moved = heir is not item
        if not over and not (moved and (heir.key in taken or item.direction in (NEW, GONE))):
            taken.add(heir.key)
            today.append(heir)
        elif item.state != PENDING:
            state = DISMISSED if item.state == DISMISSED else ACCEPTED
            today.append(replace(item, state=state, closed=day))
    return today


def _watched(item: Item, groups: Collection[str] | None) -> bool:
    return groups is None or item.slice is None or item.slice.partition("=")[0] in groups
