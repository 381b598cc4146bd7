"""One line of a brief in words: what changed by how much, since when, and what else is known about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import ALL_INTENTS, WORSENED, Also, Line
from insights_pipeline.drift.constants import ERRORS, GONE, NEW, PROMPT, RELEASE, TOOLS, VOLUME
from insights_pipeline.drift.life.item import DISMISS, RESOLVED

_MEMBERS = 4
_ALSO = 3
_A_DAY = timedelta(days=1)
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
    change, between = units.scaled(line.metric, line.effect, line.effect_low, line.effect_high)
    if line.effect is None:
        change = ""
    parts = []
    if line.state == WORSENED and line.before is not None:
        parts.append(f"was {units.effect(line.metric, line.before)}")
    if line.metric != TOOLS and line.baseline is not None:
        normal, now = (units.value(line.metric, one) for one in (line.baseline, line.observed))
        parts.append(
            f"at its worst {now} instead of {normal}" if line.state == RESOLVED else f"{normal} → {now}"
        )
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
    elif line.members:
        yield f"also on its own in {_members(line)}"
    if line.metric == TOOLS:
        yield from (f"calls of {move}" for move in _tool_moves(line.explanation))
    if line.carriers:
        yield from _carried(line)
    elif line.slices:
        yield "seen in " + ", ".join(
            units.defanged(one.replace("=", " "), limit=50) for one in line.slices[:3]
        )
    if line.state != RESOLVED:
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
    others = [one for one in line.coincident if _place(one) != carrier and _then(line, one)]
    if not others or any(_place(one) == carrier for one in line.coincident):
        return
    first = others[0]  # beside it only what a release brings: its prompt
    beside = [one for one in others if {one["dimension"], first["dimension"]} == {RELEASE, PROMPT}]
    told = " and ".join(f"{_named(one)} ({_first_seen(one)})" for one in (first, *beside[:1]))
    yield f"same days as {told}"


def _then(line: Line, one: Mapping[str, Any]) -> bool:
    """Whether it appeared within a day of the days on which the change may have begun."""
    seen = _seen_on(one)
    first, last = line.since_first or line.since, line.since_last or line.since
    return first - _A_DAY <= seen <= last + _A_DAY


def _place(one: Mapping[str, Any]) -> tuple[str, str]:
    return str(one["dimension"]), str(one["value"])


def _named(one: Mapping[str, Any]) -> str:
    dimension, value = _place(one)
    return f"{units.defanged(dimension, limit=30)} {units.defanged(value, limit=50)}"


def _first_seen(one: Mapping[str, Any]) -> str:
    return f"first seen {units.day(_seen_on(one))}"


def _seen_on(one: Mapping[str, Any]) -> date:
    return date.fromisoformat(str(one["first_seen"])[:10])


def _also(also: tuple[Also, ...]) -> str:
    shown = [_one_also(one) for one in also[:_ALSO]]
    if len(also) > _ALSO:
        shown.append(f"{len(also) - _ALSO} more")
    return "also " + ", ".join(shown)


def _one_also(one: Also) -> str:
    what = units.verb(one.metric, one.direction)
    if one.effect is None:
        return what
    change = units.effect(one.metric, one.effect)
    return f"{what} ({change})" if one.metric == TOOLS else f"{what} {change}"


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
    if line.n and line.metric == VOLUME and line.direction == NEW:
        yield f"{line.n:,} traces when found"  # its share of a week that it was hardly there would only mislead
        return
    if line.n:
        errors = line.explanation.get("errors") if line.metric == ERRORS else None
        told = f"{line.n:,} traces" if errors is None else f"{errors:,} of {line.n:,} traces failed"
        yield told + _within(line)
    if line.traffic_share and line.scope != ALL_INTENTS:
        yield f"{units.share(line.traffic_share)} of traffic"


def _within(line: Line) -> str:
    """Over how many days the traces were counted, where those are several: a daily brief may judge a week."""
    window = line.explanation.get("window") or ()
    if len(window) != 2 or line.scope == ALL_INTENTS:
        return ""
    first, last = (date.fromisoformat(str(day)[:10]) for day in window)
    days = (last - first).days + 1
    return f" in {days} days" if days > 1 else ""
