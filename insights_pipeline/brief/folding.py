"""What is told already by another line: all traffic by the intent that carries it, a slice by its whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from insights_pipeline.brief.changes import Change
from insights_pipeline.brief.one_line import near
from insights_pipeline.drift.constants import ALL, ERRORS, SCORE, TOOLS, VOLUME
from insights_pipeline.drift.life.item import RESOLVED

CARRIES = 0.6  # of the change of all traffic
_ALIKE = 1.5  # an intent that moved by more than this times what all traffic did has a line of its own


def without_carried(left: Sequence[Change], changes: Sequence[Change]) -> list[Change]:
    """Without changes of all traffic that are those of one intent."""
    return [
        change
        for change in left
        if not (change.intent_id == ALL and change.slice is None and _carried(change, changes))
    ]


def parts_of_all(left: Sequence[Change]) -> dict[int, list[Change]]:
    """The intents that show what all traffic shows already, and not much more of it, by the id of that change."""
    parts: dict[int, list[Change]] = {}
    for total in left:
        if total.intent_id == ALL and total.slice is None and total.state != RESOLVED:
            found = [one for one in left if one.whole and _like(one, total)]
            if found:
                parts[id(total)] = sorted(found, key=lambda one: one.gravity)
    return parts


def _like(change: Change, total: Change) -> bool:
    if change.story != total.story or change.state == RESOLVED or not near(change, total.began):
        return False
    return abs(change.effect or 0.0) <= _ALIKE * abs(total.effect or 0.0)


def _carried(total: Change, changes: Sequence[Change]) -> bool:
    named = {
        str(one.get("value"))
        for one in total.explanation.get("carriers") or ()
        if one.get("dimension") == "intent" and (one.get("part") or 0) >= CARRIES
    }
    for change in changes:
        over = change.state == RESOLVED and total.state != RESOLVED
        # no matter when it began: what it makes of the whole is what counts
        if not change.whole or change.story != total.story or over:
            continue
        if change.intent_id in named or _part(change, total) >= CARRIES:
            return True
    return False


def _part(change: Change, total: Change) -> float:
    """How much of the change of all traffic an intent's own makes: its share × its effect, on the metric's scale."""
    if not change.effect or not total.effect:
        return 0.0
    if change.metric == VOLUME:
        own, whole = (_moved(one.row) for one in (change, total))
        return own / whole if own is not None and whole else 0.0
    scale = _scale(change.metric)
    return change.share * scale(change.effect) / scale(total.effect)


def _moved(row: Mapping[str, Any]) -> float | None:
    if row["observed"] is None or row["baseline_value"] is None:
        return None
    return float(row["observed"]) - float(row["baseline_value"])


def _scale(metric: str) -> Callable[[float], float]:
    """Daily means of logarithms add up over intents, as rates and shares do."""
    if metric in (ERRORS, TOOLS) or metric.startswith(SCORE):
        return float
    return lambda effect: math.log1p(max(effect, -1 + 1e-9))


def slices_apart(
    left: Sequence[Change], changes: Sequence[Change]
) -> tuple[list[Change], dict[int, list[str]]]:
    """The changes without slices whose whole tells the same, and the slices that each of them tells too.

    A slice of one intent is told with that intent, or with the same slice of all traffic.
    """
    kept: list[Change] = []
    of: dict[int, list[str]] = {}
    for change in left:
        whole = _whole_of(change, changes) if change.slice else None
        if whole is None:
            kept.append(change)
        else:
            of.setdefault(id(whole), []).append(str(change.slice))
    return kept, of


def _whole_of(change: Change, changes: Sequence[Change]) -> Change | None:
    alongside = [
        other
        for other in changes
        if other is not change and other.story == change.story and near(other, change.began)
    ]
    whole = next((o for o in alongside if o.intent_id == change.intent_id and o.slice is None), None)
    alike = {o.intent_id: o for o in (*alongside, change) if o.slice == change.slice}
    several = len(alike.keys() - {ALL}) > 1
    if whole is not None or change.intent_id != ALL:
        return whole or (alike.get(ALL) if several else None)
    if several or len(alike) == 1:
        return None
    # all traffic of a tenant moved, and one intent of it alone
    (one,) = (other for intent_id, other in alike.items() if intent_id != ALL)
    return next((o for o in alongside if o.intent_id == one.intent_id and o.slice is None), one)
