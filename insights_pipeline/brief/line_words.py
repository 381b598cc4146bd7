"""One line of a brief in words: what changed by how much, since when, and what else is known about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import ALL_INTENTS, WORSENED, Also, Line
from insights_pipeline.drift.constants import ERRORS, GONE, NEW, TOOLS, VOLUME
from insights_pipeline.drift.life.item import DISMISS, RESOLVED

_MEMBERS = 4
_ALSO = 3
_MOST_OF_IT = 0.5  # a slice with less of the change does not carry it


@dataclass(frozen=True, slots=True)
class Lead:
    """The first words of a line. `change` and `values` may be empty."""

    what: str
    change: str
    values: str


def lead(line: Line) -> Lead:
    """What changed, by how much, and from what to what with the 95 % interval."""
    if line.metric == VOLUME and line.direction in (NEW, GONE):
        return Lead(_arrival(line), "", "")
    what = units.verb(line.metric, line.direction)
    if line.state == RESOLVED:
        what = f"{units.label(line.metric)} back to normal"
    change = units.effect(line.metric, line.effect) if line.effect is not None else ""
    between = units.interval(line.metric, line.effect_low, line.effect_high)
    parts = []
    if line.state == WORSENED and line.before is not None:
        parts.append(f"was {units.effect(line.metric, line.before)}")
    if line.metric != TOOLS and line.baseline is not None:
        parts.append(f"{units.value(line.metric, line.baseline)} → {units.value(line.metric, line.observed)}")
    if between:
        parts.append(f"95 % {between}")
    return Lead(what, change, ", ".join(parts))


def _arrival(line: Line) -> str:
    return "asked again" if line.state == RESOLVED else units.verb(line.metric, line.direction)


def since(line: Line) -> str:
    """When it began, with the uncertainty where that is known; of what is over, from when to when."""
    if line.state == RESOLVED:
        return f"{units.day(line.since)} – {units.day(line.until)}"
    words = "growing since" if line.shape == "ramp" else "since"
    again = f", {line.reopened + 1}. time" if line.reopened else ""
    return f"{words} {units.day(line.since)}{_uncertain(line)}{again}"


def _uncertain(line: Line) -> str:
    if line.since_first is None or line.since_last is None:
        return ""
    before, after = (line.since - line.since_first).days, (line.since_last - line.since).days
    if max(before, after) <= 0:
        return ""
    if before == after or max(before, after) == 1:
        days = max(before, after)
        return f" (±{days} day{'s' * (days != 1)})"
    return f" ({units.day(line.since_first)} – {units.day(line.since_last)})"


def details(line: Line) -> Iterator[str]:
    """What else is known, in short phrases, the most useful first."""
    if line.scope == ALL_INTENTS:
        yield f"largest: {_members(line)}"
    if line.metric == TOOLS:
        yield from (f"calls of {move}" for move in _tool_moves(line.explanation))
    if line.state != RESOLVED:
        if line.carriers:
            yield from _carried(line)
        elif line.slices:
            yield "seen in " + ", ".join(
                units.defanged(one.replace("=", " "), limit=50) for one in line.slices[:3]
            )
        yield from _coincident(line)
    if line.also:
        yield _also(line.also)
    if (hushed := _hushed(line)) is not None:
        yield hushed
    yield from _counts(line)


def _members(line: Line) -> str:
    shown = [
        f"{units.defanged(one.intent, limit=50)} {units.effect(line.metric, one.effect)}"
        for one in line.members[:_MEMBERS]
    ]
    if line.member_count > len(shown):
        shown.append(f"{line.member_count - len(shown)} more")
    return ", ".join(shown)


def _tool_moves(explanation: Mapping[str, Any]) -> Iterator[str]:
    """The tools that gained and lost most, with their share of a trace's calls before and now."""
    for side in ("gained", "lost"):
        for move in (explanation.get(side) or [])[:2]:
            yield (
                f"{units.defanged(str(move['tool']), limit=50)} {units.value(ERRORS, move['before'])} → "
                f"{units.value(ERRORS, move['now'])}"
            )


def _carried(line: Line) -> Iterator[str]:
    best = line.carriers[0]
    part = best.get("part")
    if part is None or part < _MOST_OF_IT:
        return
    seen = next((f", {_first_seen(one)}" for one in line.coincident if _place(one) == _place(best)), "")
    yield f"carried by {_named(best)} ({100 * min(part, 1.0):.0f} % of it{seen})"


def _coincident(line: Line) -> Iterator[str]:
    carrier = next((_place(one) for one in line.carriers[:1] if (one.get("part") or 0) >= _MOST_OF_IT), None)
    other = next((one for one in line.coincident if _place(one) != carrier), None)
    if other is not None and not any(_place(one) == carrier for one in line.coincident):
        yield f"same days as {_named(other)} ({_first_seen(other)})"


def _place(one: Mapping[str, Any]) -> tuple[str, str]:
    return str(one["dimension"]), str(one["value"])


def _named(one: Mapping[str, Any]) -> str:
    dimension, value = _place(one)
    return f"{units.defanged(dimension, limit=30)} {units.defanged(value, limit=50)}"


def _first_seen(one: Mapping[str, Any]) -> str:
    return f"first seen {units.day(date.fromisoformat(str(one['first_seen'])[:10]))}"


def _also(also: tuple[Also, ...]) -> str:
    shown = [
        f"{units.verb(one.metric, one.direction)} {units.effect(one.metric, one.effect)}"
        if one.effect is not None
        else units.verb(one.metric, one.direction)
        for one in also[:_ALSO]
    ]
    if len(also) > _ALSO:
        shown.append(f"{len(also) - _ALSO} more")
    return "also " + ", ".join(shown)


def _hushed(line: Line) -> str | None:
    """Of a change that is told again after a person had dismissed it for a while."""
    decision = line.explanation.get("decision") or {}
    if line.state == RESOLVED or decision.get("kind") != DISMISS or not decision.get("until"):
        return None
    by = f" by {units.defanged(str(decision['by']), limit=40)}" if decision.get("by") else ""
    return (
        f"again after it was dismissed{by} until {units.day(date.fromisoformat(str(decision['until'])[:10]))}"
    )


def _counts(line: Line) -> Iterator[str]:
    if line.n:
        errors = line.explanation.get("errors") if line.metric == ERRORS else None
        yield f"{line.n:,} traces" if errors is None else f"{errors:,} of {line.n:,} traces failed"
    if line.traffic_share and line.scope != ALL_INTENTS:
        yield f"{units.share(line.traffic_share)} of traffic"
