"""Spans that the importers of chats and of mapped files write: `gen_ai.*`, and what has no convention yet."""

from __future__ import annotations

from insights_pipeline.traces.draft import Draft
from insights_pipeline.traces.records import Attributes, RawSpan

NAME = "chat"
CHAT_SCOPE = "insights.chat"
TAGS = "insights.tags"
UNDATED = "insights.undated"  # of a trace whose day is that of its file, or one that was given


def speaks(raw: RawSpan, roots: set[str]) -> bool:
    return raw.scope == CHAT_SCOPE


def fill(draft: Draft, raw: RawSpan, attributes: Attributes) -> None:
    """Tags, as a list of texts."""
    tags = attributes.pop(TAGS, None)
    if isinstance(tags, list):
        draft.tags = [str(tag) for tag in tags]
