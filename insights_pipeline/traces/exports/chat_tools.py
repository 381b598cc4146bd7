"""The messages of a chat, and which tool message answers which tool call."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from insights_pipeline.traces.message_parts import Message
from insights_pipeline.traces.records import Attributes


class Said(NamedTuple):
    """A message of a chat and what is known about it: `took_ns` is how long it took to make (call or tool)."""

    message: Message
    at_ns: int | None = None
    took_ns: int | None = None
    is_call: bool = False  # written by the model in this chat: not a greeting, not an example
    is_error: bool = False
    tool_name: str | None = None
    facts: Attributes = {}  # noqa: RUF012 – never changed  # gen_ai.* attributes of the call: model, tokens, cost


class ToolUse(NamedTuple):
    """A tool call: place of the message that made it, the call, place of the message with its result."""

    made: int | None
    call: Message
    result: int | None


def tool_uses(said: Sequence[Said], first: int, end: int) -> list[ToolUse]:
    """Tool calls with their results: by id (in whatever order they stand), else by name, else one after the other."""
    made = [
        (place, call)
        for place in range(first, end)
        if said[place].message["role"] == "assistant"
        for call in said[place].message.get("tool_calls", ())
    ]
    by_id: dict[str, deque[int]] = defaultdict(deque)
    unnamed: list[int] = []
    called = {call["id"] for _, call in made if call["id"]}
    for place in range(first, end):
        message = said[place].message
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if call_id in called:
                by_id[str(call_id)].append(place)
            else:
                unnamed.append(place)
    found: list[ToolUse] = []
    for place, call in made:
        if call["id"] and by_id[call["id"]]:
            found.append(ToolUse(place, call, by_id[call["id"]].popleft()))
            continue
        result = next((at for at in unnamed if at > place and _may_be(said[at], call)), None)
        if result is not None:
            unnamed.remove(result)
        found.append(ToolUse(place, call, result))
    left = sorted([*unnamed, *(place for places in by_id.values() for place in places)])
    nobody: Message = {"id": None, "name": None, "arguments": ""}
    found += [ToolUse(place - 1 if place else None, nobody, place) for place in left]
    return sorted(found, key=lambda use: use.made if use.made is not None else -1)


def _may_be(result: Said, call: Message) -> bool:
    """Whether a result that no call of this turn has the id of may be this call's."""
    named = result.tool_name
    return named is None or call["name"] is None or named == call["name"]
