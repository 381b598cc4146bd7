"""JSON fields within their size: what is cut first, and the mark that says so."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import cut, dump_bytes


def messages_json(messages: list[Message], *, limit: int) -> bytes:
    """Messages as JSON within `limit` bytes: long contents are cut first, then the oldest messages go."""
    text = dump_bytes(messages)
    if len(text) <= limit:
        return text
    share = max(200, limit // 8)
    short = [shortened(message, share) for message in messages]
    kept: list[Message] = []
    room = limit - 120
    for message in reversed(short):
        room -= len(dump_bytes(message)) + 1
        if room < 0:
            break
        kept.append(message)
    left_out = len(short) - len(kept)
    mark = [{"role": "cut", "content": f"… [cut: {left_out} earlier messages]"}] if left_out else []
    return dump_bytes([*mark, *reversed(kept)])


def shortened(message: Message, share: int) -> Message:
    """The message with its texts within `share` characters each."""
    short = {**message, "content": cut(message["content"], share)}
    if calls := message.get("tool_calls"):
        short["tool_calls"] = [{**call, "arguments": cut(call["arguments"], share)} for call in calls]
    return short


def attributes_json(attributes: Attributes, *, limit: int) -> bytes:
    """Attributes as JSON within `limit` bytes: long values are cut, then the last ones are left out."""
    text = dump_bytes(attributes)
    if len(text) <= limit:
        return text
    kept: dict[str, Any] = {}
    room = limit - 80
    for key, value in attributes.items():
        short = cut(value, limit // 10) if isinstance(value, str) else value
        room -= len(dump_bytes({key: short}))
        if room < 0:
            break
        kept[key] = short
    left_out = len(attributes) - len(kept)
    return dump_bytes({**kept, "…": f"cut: {left_out} attributes"} if left_out else kept)
