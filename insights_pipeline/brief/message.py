"""A stored brief as a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.plain import plain_text, subject
from insights_pipeline.notify import Message


def brief_key(cadence: str, day: date) -> str:
    """What names a brief wherever it was sent: the same for every sending of it."""
    return f"brief:{cadence}:{day}"


def message_of(brief: Mapping[str, Any], *, links: Links | None = None, suffix: str = "") -> Message:
    """A row of `briefs` as a message; `data` is what webhooks get. `suffix` makes it a message of its own."""
    facts = json.loads(brief["facts"])
    title, text = _words(brief, facts, links)
    return Message(
        key=brief_key(brief["cadence"], brief["date"]) + suffix,
        subject=title,
        text=text,
        html=brief["html"],
        blocks=json.loads(brief["slack"]) if brief["slack"] else None,
        data={
            "cadence": brief["cadence"],
            "window_first": str(brief["window_first"]),
            "window_last": str(brief["window_last"]),
            "status": brief["status"],
            "headline": brief["headline"],
            "summary": brief["summary"],
            "facts": facts,
        },
    )


def _words(brief: Mapping[str, Any], facts: Mapping[str, Any], links: Links | None) -> tuple[str, str]:
    """Subject and plain text; of a brief that another release wrote, what it stored of them."""
    try:
        read = Facts.from_json(facts)
    except ValueError:
        return f"Insights, {brief['date']}: {brief['headline']}", brief["markdown"]
    return subject(read), plain_text(read, links=links, summary=brief["summary"])
