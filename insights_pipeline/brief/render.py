"""Facts to markdown, by the template in `templates/brief.md`; the same facts always give the same text."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import Facts, Line
from insights_pipeline.brief.intent_changes import changes_line

if TYPE_CHECKING:
    from jinja2 import Template

_PERIOD = {"daily": "day", "weekly": "week", "monthly": "month"}


def headline(facts: Facts) -> str:
    """The one line that a person reads if no other."""
    period = _PERIOD[facts.cadence]
    match facts.status:
        case "learning":
            progress = f"learning ({facts.traces_seen:,} of {facts.bootstrap_traces:,})"
            return f"{progress}: intents appear once enough traces have been seen."
        case "no_data":
            return f"No traces arrived this {period}."
        case "quiet":
            return f"Nothing significant changed: {_watched(facts)} over {facts.traces:,} traces."
    new = sum(line.state == "new" for line in facts.lines)
    resolved = len(facts.lines) - new
    parts = [f"{new} new change{'s' * (new != 1)}"] * bool(new) + [f"{resolved} resolved"] * bool(resolved)
    return f"{' and '.join(parts)} this {period}; the largest: {_short(facts.lines[0])}."


def markdown(facts: Facts) -> str:
    """The whole brief. Text that came from traces is escaped, so that it cannot become markup."""
    return (
        _template()
        .render(
            facts=facts,
            headline=headline(facts),
            title=_title(facts),
            lines=[sentence(line) for line in facts.lines],
            still_open=[_still_open(line) for line in facts.ongoing],
            intents=changes_line(facts.intent_changes, escape),
            watched=_watched(facts),
            traffic=_traffic(facts),
        )
        .strip()
        + "\n"
    )


def sentence(line: Line) -> str:
    """One change as a markdown line: state, intent, change with interval, counts, since, traces."""
    lead, changes = f"**{escape(line.intent)}**: {_verb(line)}", _changes(line)
    parts = (
        [f"{lead} {changes[0]}", *changes[1:]] if line.state == "resolved" and changes else [lead, *changes]
    )
    if line.n:
        errors = line.explanation.get("errors")
        parts.append(f"{line.n:,} traces" if errors is None else f"{errors:,} of {line.n:,} traces failed")
    if line.traffic_share:
        parts.append(f"{units.share(line.traffic_share)} of traffic")
    is_new = line.state == "new"
    parts.append(f"since {_day(line.since)}" if is_new else f"{_day(line.since)} – {_day(line.until)}")
    text = ", ".join(parts)
    if line.trace_ids:
        text += ". Traces: " + ", ".join(f"`{_code(trace_id)}`" for trace_id in line.trace_ids[:3])
    return f"{_MARK.get(line.severity, '')}[new] {text}" if is_new else f"[resolved] {text}"


def _changes(line: Line) -> list[str]:
    """From what to what, with the interval; for tools which ones, for volume how much."""
    if line.metric == "volume":
        return [] if line.observed is None else [f"{line.observed:.0f} traces a day"]
    change = units.effect(line.metric, line.effect)
    if line.metric == "tool_mix":
        return [change, *_tool_moves(line)]
    between = units.interval(line.metric, line.effect_low, line.effect_high)
    values = f"{units.value(line.metric, line.baseline)} → {units.value(line.metric, line.observed)}"
    return [f"{values} ({change}{', 95 % ' + between if between else ''})"]


def _verb(line: Line) -> str:
    if line.state == "resolved" and line.metric == "volume":
        return "asked again"
    if line.state == "resolved" and line.metric in units.LABELS:
        return f"{units.LABELS[line.metric]} back to normal after"
    return units.verb(line.metric, line.direction)


_MARK = {"critical": "‼ ", "high": "! "}


def escape(text: str) -> str:
    """Trace text as literal markdown: no links, images, emphasis, HTML, line breaks or control characters."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+!|~" else char for char in units.one_line(text))


def _code(text: str) -> str:
    return "".join(char for char in text if char.isalnum() or char in "-_.:")


def _tool_moves(line: Line) -> list[str]:
    """The tools that gained and lost most, with their share of a trace's calls before and now."""
    moves = [move for side in ("gained", "lost") for move in (line.explanation.get(side) or [])[:2]]
    return [
        f"{_code(str(move['tool']))} {units.value('error_rate', move['before'])} → "
        f"{units.value('error_rate', move['now'])}"
        for move in moves
    ]


def _short(line: Line) -> str:
    text = f"{escape(line.intent)}, {_verb(line)}"
    if line.metric == "volume" or (line.metric == "tool_mix" and line.state != "resolved"):
        return text
    return f"{text} {units.effect(line.metric, line.effect)}"


def _still_open(line: Line) -> str:
    ending = ", recovering" if line.state == "recovering" else ""
    return f"{_short(line)} since {_day(line.since)}{ending}"


def _watched(facts: Facts) -> str:
    learning = f" ({facts.series_learning} more still learning)" if facts.series_learning else ""
    intents = f"{facts.intents} intent{'s' * (facts.intents != 1)}"
    return f"{intents}, {facts.series_watched} series watched{learning}"


def _traffic(facts: Facts) -> str:
    if not facts.traces:
        return "no traces"
    text = f"{facts.traces:,} traces"
    if facts.traces_per_day_before:
        days = (facts.last - facts.first).days + 1
        usual = facts.traces_per_day_before * days
        text += f" (usual {usual:,.0f})"
    text += f", {100 * facts.errors / facts.traces:.1f} % with an error"
    if facts.status != "learning":
        text += f", {100 * facts.unknown_traces / facts.traces:.0f} % of no known intent"
    return text


def _title(facts: Facts) -> str:
    if facts.first == facts.last:
        return f"{facts.first:%A} {facts.first.day} {facts.first:%B %Y}"
    return f"{facts.first.day} {facts.first:%B} – {facts.last.day} {facts.last:%B %Y}"


def _day(day: date | None) -> str:
    return "–" if day is None else f"{day.day} {day:%b}"


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Markdown, not HTML: `escape` above does the escaping.
    environment = Environment(
        loader=PackageLoader("insights_pipeline.brief"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template("brief.md")
