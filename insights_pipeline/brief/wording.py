"""Facts as the words of a brief, for every format alike: plain text that a renderer only has to escape.

What came from traces is defanged here (`units.defanged`), so that no format, and no program that shows it, makes a
link or a mention of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import ALL_INTENTS, SLICE, WORSENED, Facts, Line
from insights_pipeline.brief.intent_changes import changes_line
from insights_pipeline.brief.line_words import details, lead, since
from insights_pipeline.brief.links import Links, command
from insights_pipeline.drift.constants import LATENCY, TOOLS
from insights_pipeline.drift.life.item import NEW_ITEM, RESOLVED
from insights_pipeline.drift.statistics import floors

PERIOD = {"daily": "day", "weekly": "week", "monthly": "month"}
MARKS = {floors.CRITICAL: "‼", floors.HIGH: "!"}
_STILL_OPEN = 10  # that are named; the rest is counted


@dataclass(frozen=True, slots=True)
class Told:
    """One line in words. `change` is the size alone (“+72 %”), `values` from what to what with the interval."""

    state: str
    severity: str
    subject: str
    what: str
    change: str
    values: str
    since: str
    details: tuple[str, ...]
    traces: tuple[str, ...]
    traces_before: tuple[str, ...]
    more: str | None  # the command that tells more
    line: Line

    @property
    def mark(self) -> str:
        return MARKS.get(self.severity, "") if self.state != RESOLVED else ""

    @property
    def label(self) -> str:
        """The state, with the severity where that is grave: “new, critical”."""
        return f"{self.state}, {self.severity}" if self.mark else self.state

    @property
    def verb(self) -> str:
        """`what`, as it is followed by the change in a sentence."""
        return joined(self.what, self.change, self.line)


@dataclass(frozen=True, slots=True)
class Page:
    """A whole brief in words."""

    title: str
    headline: str
    summary: str | None
    lines: tuple[Told, ...]
    more: str | None
    still_open: str | None
    decided: str | None
    intents: str | None
    traffic: str | None
    watched: str | None
    unwatched: str | None
    link: str | None


def page(facts: Facts, *, links: Links | None = None, summary: str | None = None) -> Page:
    """The words of a brief; parts that have nothing to say are None."""
    nothing_to_watch = facts.status in ("no_data", "learning")
    return Page(
        title=title(facts),
        headline=headline(facts),
        summary=summary,
        lines=tuple(told(line) for line in facts.lines),
        more=_more(facts),
        still_open=_still_open(facts.ongoing),
        decided=_decided(facts),
        intents=changes_line(facts.intent_changes, units.defanged) or None,
        traffic=None if facts.status == "no_data" else _traffic(facts),
        # the headline of a quiet brief says it
        watched=_watched(facts, "") if facts.status == "changed" else None,
        unwatched=None if nothing_to_watch else _unwatched(facts),
        link=links.brief(facts.cadence, facts.first) if links else None,
    )


def told(line: Line) -> Told:
    words = lead(line)
    return Told(
        state=line.state,
        severity=line.severity,
        subject=subject(line),
        what=words.what,
        change=words.change,
        values=words.values,
        since=since(line),
        details=tuple(details(line)),
        traces=tuple(units.code(one) for one in line.trace_ids[:2]),
        traces_before=tuple(units.code(one) for one in line.baseline_trace_ids[:1]),
        more=command(units.code(line.item_ids[0])) if line.item_ids else None,
        line=line,
    )


def subject(line: Line) -> str:
    """Whom a line is about."""
    name = units.defanged(line.intent, limit=80) or units.defanged(line.intent_id)
    if line.scope == SLICE and line.slice:
        part = units.defanged(line.slice.replace("=", " "), limit=50)
        return f"{name} ({part})"
    if line.scope == ALL_INTENTS:
        every = line.member_count >= line.eligible
        return f"All {line.eligible} intents" if every else f"{line.member_count} of {line.eligible} intents"
    return name


def headline(facts: Facts) -> str:
    """The one line that a person reads if no other."""
    match facts.status:
        case "learning":
            progress = f"learning ({facts.traces_seen:,} of {facts.bootstrap_traces:,})"
            return f"{progress}: intents appear once enough traces have been seen."
        case "no_data":
            return f"No traces arrived this {PERIOD[facts.cadence]}."
        case "quiet":
            if not facts.watched.series:
                # nothing was tested, so nothing can be said of what did not change
                return f"Nothing to compare with yet: {_watched(facts, '')} over {facts.traces:,} traces."
            still = f" ({len(facts.ongoing)} still open)" if facts.ongoing else ""
            return f"Nothing significant changed{still}: {_watched(facts)} over {facts.traces:,} traces."
    when = "" if facts.cadence == "daily" else f" this {PERIOD[facts.cadence]}"
    lead_in = ":" if len(facts.lines) == 1 else "; the largest:"
    return f"{counts(facts)}{when}{lead_in} {short(facts.lines[0])}."


def counts(facts: Facts) -> str:
    """ "2 new changes, 1 worsened and 1 resolved", of all lines, also those that are not shown."""

    def count(state: str) -> int:
        return sum(line.state == state for line in facts.lines) + facts.more.get(state, 0)

    new, worse, over = count(NEW_ITEM), count(WORSENED), count(RESOLVED)
    parts = [f"{new} new change{'s' * (new != 1)}"] * bool(new)
    parts += [f"{worse} worsened"] * bool(worse) + [f"{over} resolved"] * bool(over)
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def short(line: Line) -> str:
    """A line in a few words."""
    words = lead(line)
    what = joined(words.what, words.change, line)
    return " ".join(part for part in (f"{subject(line)}, {what}", words.change) if part)


def joined(what: str, change: str, line: Line) -> str:
    """`what`, so that the change can follow: “error rate back to normal after”, “tool mix changed,”."""
    if not change:
        return what
    return f"{what} after" if line.state == RESOLVED else f"{what}," if line.metric == TOOLS else what


def title(facts: Facts) -> str:
    if facts.first == facts.last:
        return f"{facts.first:%A} {facts.first.day} {facts.first:%B %Y}"
    return f"{facts.first.day} {facts.first:%B} – {facts.last.day} {facts.last:%B %Y}"


def _more(facts: Facts) -> str | None:
    hidden = sum(facts.more.values())
    by_state = ", ".join(f"{number} {state}" for state, number in facts.more.items())
    return f"and {hidden} more ({by_state})" if hidden else None


def _still_open(ongoing: tuple[Line, ...]) -> str | None:
    if not ongoing:
        return None
    shown = [_one_still_open(line) for line in ongoing[:_STILL_OPEN]]
    if len(ongoing) > _STILL_OPEN:
        shown.append(f"{len(ongoing) - _STILL_OPEN} more")
    return f"Still open ({len(ongoing)}): {'; '.join(shown)}."


def _one_still_open(line: Line) -> str:
    ending = {"recovering": ", recovering", "no_data": ", no data now"}.get(line.state, "")
    return f"{short(line)} since {units.day(line.since)}{ending}"


def _decided(facts: Facts) -> str | None:
    parts = [
        f"{one.count} {one.kind} by {units.defanged(one.by, limit=40)}"
        if one.by
        else f"{one.count} open for 30 days, now the new normal"
        for one in facts.decided
    ]
    return f"Decided: {', '.join(parts)}." if parts else None


def _watched(facts: Facts, ending: str = " watched") -> str:
    intents = f"{facts.intents} intent{'s' * (facts.intents != 1)}"
    if not facts.watched.series and facts.watched.learning:
        return f"{intents}, {facts.watched.learning:,} series still learning what is normal"
    learning = f" ({facts.watched.learning:,} more still learning)" if facts.watched.learning else ""
    return f"{intents}, {facts.watched.series:,} series{ending}{learning}"


def _unwatched(facts: Facts) -> str | None:
    """What could not be told apart from the weather, and why."""
    parts = list(_blind_spots(facts))
    if reach := facts.watched.detectable.get(LATENCY):
        lasting = (
            "month" if facts.cadence == "monthly" else "week"
        )  # what is tested over, also by a day's brief
        parts.append(
            f"in a typical intent, a change of latency that lasts a {lasting} is found from {100 * reach:.0f} % on"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else None


def _blind_spots(facts: Facts) -> Iterator[str]:
    for metric, number in facts.watched.coverage_moved.items():
        yield (
            f"{units.label(metric).removeprefix('typical ')} not compared for {number} series: "
            "the share of traces that tell it moved"
        )
    if facts.watched.no_data:
        yield f"{facts.watched.no_data:,} series without enough traces to test"


def _traffic(facts: Facts) -> str:
    if not facts.traces:
        return "Traffic: no traces."
    text = f"{facts.traces:,} traces"
    if facts.traces_per_day_before:
        days = (facts.last - facts.first).days + 1
        text += f" (usual {facts.traces_per_day_before * days:,.0f})"
    text += f", {100 * facts.errors / facts.traces:.1f} % with an error"
    if facts.status != "learning":
        text += f", {100 * facts.unknown_traces / facts.traces:.0f} % of no known intent"
    return f"Traffic: {text}."
