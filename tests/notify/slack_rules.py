"""What Slack refuses: the limits of Block Kit in an incoming webhook's message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.notify.http_server import OK, Request, response


def strict_slack(request: Request) -> bytes:
    """An answer as Slack's: ok, or 400 with its word for what is wrong."""
    wrong = list(faults(request.json))
    return response(400, b"invalid_blocks") if wrong else OK


def faults(payload: dict[str, Any]) -> Iterator[str]:
    """Everything that is wrong with a message."""
    if not payload.get("text") or len(payload["text"]) > 40_000:
        yield "text"
    blocks = payload.get("blocks", [])
    if len(blocks) > 50:
        yield "more than 50 blocks"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)) or any(len(one) > 255 for one in ids):
        yield "block_id"
    for block in blocks:
        yield from _of_block(block)


def _of_block(block: dict[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "divider":
            if set(block) - {"type", "block_id"}:
                yield "divider"
        case "header":
            yield from _text(block["text"], "plain_text", 150)
        case "section":
            if "text" in block:
                yield from _text(block["text"], None, 3_000)
            elif not block.get("fields"):
                yield "empty section"
            if len(block.get("fields", [])) > 10:
                yield "more than 10 fields"
            for field in block.get("fields", []):
                yield from _text(field, None, 2_000)
        case "context":
            if not 1 <= len(block["elements"]) <= 10:
                yield "elements of a context"
            for element in block["elements"]:
                yield from _text(element, None, 3_000)
        case "actions":
            if not 1 <= len(block["elements"]) <= 25:
                yield "elements of actions"
            for element in block["elements"]:
                yield from _text(element["text"], "plain_text", 75)
                if len(element.get("url", "")) > 3_000:
                    yield "url"
        case other:
            yield f"a block of type {other}"


def _text(text: dict[str, Any], kind: str | None, longest: int) -> Iterator[str]:
    if text.get("type") not in ((kind,) if kind else ("plain_text", "mrkdwn")):
        yield f"text of type {text.get('type')}"
    if not 1 <= len(text.get("text", "")) <= longest:
        yield f"a text of {len(text.get('text', ''))} characters"
    if set(text) - {"type", "text", "emoji", "verbatim"}:
        yield "a text with other fields"
