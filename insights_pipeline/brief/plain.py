"""The brief as plain text: the subject and the text part of a mail."""

from __future__ import annotations

from collections.abc import Iterator

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.wording import PERIOD, Told, counts, page, short

_LONGEST_SUBJECT = 150


def subject(facts: Facts) -> str:
    """One line: the window, and what is in the brief."""
    when = f"{facts.first:%a} {units.day(facts.first)}"
    if facts.cadence != "daily":
        when = f"{PERIOD[facts.cadence]} of {units.day(facts.first)}"
    match facts.status:
        case "changed":
            said = f"{counts(facts)}: {short(facts.lines[0])}"
        case "quiet":
            said = "nothing significant changed" if facts.watched.series else "nothing to compare with yet"
        case "learning":
            said = f"learning ({facts.traces_seen:,} of {facts.bootstrap_traces:,})"
        case _:
            said = "no traces arrived"
    text = units.one_line(f"Insights, {when}: {said}")
    return text if len(text) <= _LONGEST_SUBJECT else text[: _LONGEST_SUBJECT - 1].rstrip() + "…"


def plain_text(facts: Facts, *, links: Links | None = None, summary: str | None = None) -> str:
    """The whole brief in lines that wrap well; no markup."""
    words = page(facts, links=links, summary=summary)
    parts = [words.title, words.headline]
    if words.summary:
        parts.append(words.summary)
    if words.lines:
        told = ["\n   ".join(_line(line, number)) for number, line in enumerate(words.lines, start=1)]
        parts.append("\n\n".join([*told, *([words.more] if words.more else [])]))
    parts += [part for part in (words.still_open, words.decided) if part]
    if words.intents:
        parts.append(f"Intents: {words.intents}.")
    watched = f"Watched: {words.watched}." if words.watched else None
    foot = " ".join(part for part in (words.traffic, watched, words.unwatched) if part)
    parts += [part for part in (foot, words.link) if part]
    return "\n\n".join(parts) + "\n"


def _line(line: Told, number: int) -> Iterator[str]:
    mark = f"{line.mark} " if line.mark else ""
    change = f" {line.change}" if line.change else ""
    yield f"{number}. {mark}[{line.label}] {line.subject}: {line.verb}{change}, {line.since}"
    if line.values:
        yield line.values
    if line.details:
        yield "; ".join(line.details)
    if line.more:
        yield line.more
    if line.traces:
        yield "traces " + ", ".join(line.traces)
