"""The brief as Slack blocks, within Slack's limits, and the text that stands for them in a notification."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.wording import Page, Told, headline, page

# docs.slack.dev/reference/block-kit/blocks
MAX_BLOCKS, MAX_TEXT, MAX_HEADER = 50, 3_000, 150
Block = dict[str, Any]

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# mrkdwn has no escape for its marks of emphasis and code: look-alikes stand for them.
_MARKS = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
_ITALIC = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def blocks(facts: Facts, *, links: Links | None = None, summary: str | None = None) -> list[Block]:
    """The whole brief: a header, a section a line, and small print."""
    words = page(facts, links=links, summary=summary)
    return list(_blocks(words))


def fallback(facts: Facts) -> str:
    """The `text` beside the blocks: what a notification shows."""
    return _cut(escape(headline(facts)), MAX_TEXT)


def escape(text: str) -> str:
    """Text as literal mrkdwn: no mentions, links, emphasis, code or line breaks."""
    line = units.one_line(text).replace("@", "＠").translate(_MARKS)
    return _ITALIC.sub("＿", line).translate(_ENTITIES)


def _blocks(words: Page) -> Iterator[Block]:
    yield {
        "type": "header",
        "text": {"type": "plain_text", "text": _cut(words.title, MAX_HEADER), "emoji": False},
    }
    yield _section(escape(words.headline))
    if words.summary:
        yield _section(f"_{escape(words.summary)}_")
    for line in words.lines:
        yield _section("\n".join(_line(line)))
    if words.more:
        yield _context(escape(words.more))
    for part in (words.still_open, words.decided, f"Intents: {words.intents}." if words.intents else None):
        if part:
            yield _context(escape(part))
    watched = f"Watched: {words.watched}." if words.watched else None
    foot = [escape(part) for part in (words.traffic, watched, words.unwatched) if part]
    if words.link:
        foot.append(f"<{words.link.translate(_ENTITIES).replace('|', '%7C')}|Open in Dagster>")
    if foot:
        yield _context(" ".join(foot))


def _line(line: Told) -> Iterator[str]:
    mark = f"{line.mark} " if line.mark else ""
    change = f" *{escape(line.change)}*" if line.change else ""
    values = f" ({escape(line.values)})" if line.values else ""
    yield f"{mark}{line.label} – *{escape(line.subject)}*: {escape(line.verb)}{change}{values}, {escape(line.since)}"
    if line.details:
        yield escape("; ".join(line.details))
    references = [f"`{line.more}`"] if line.more else []
    if line.traces:
        references.append("traces " + ", ".join(f"`{one}`" for one in line.traces))
    if references:
        yield " · ".join(references)


def _section(text: str) -> Block:
    # verbatim: Slack makes no links, channels or mentions of plain words
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, MAX_TEXT), "verbatim": True}}


def _context(text: str) -> Block:
    element = {"type": "mrkdwn", "text": _cut(text, MAX_TEXT), "verbatim": True}
    return {"type": "context", "elements": [element]}


def _cut(text: str, limit: int) -> str:
    """At most so many characters, never with half an entity at the end."""
    if len(text) <= limit:
        return text
    return re.sub(r"&[a-z]{0,4}$", "", text[: limit - 1]) + "…"
