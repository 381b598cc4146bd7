"""Messages that an SDK spread over numbered attributes, read from whatever indexes are there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from insights_pipeline.traces.message_parts import Message, tool_call
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_text

# OpenInference says `message.` and `tool_call.function.` where OpenLLMetry says nothing.
_NOISE = frozenset({"message", "tool_call", "function", "message_content"})


class Flattened(NamedTuple):
    """Messages in numeric order, and whether they begin at 0 and leave no gap."""

    messages: list[Message]
    whole: bool


def pop_flattened(attributes: Attributes, inputs: str, outputs: str) -> tuple[Flattened, Flattened]:
    """Take `<inputs>N.…` and `<outputs>N.…` out, in one pass.

    OpenTelemetry keeps 128 attributes of a span and drops the oldest: on a long chat those of message 0, 1, ….
    """
    both = (inputs, outputs)
    taken = [key for key in attributes if key.startswith(both)]
    sent: dict[int, dict[str, Any]] = {}
    returned: dict[int, dict[str, Any]] = {}
    for key in taken:
        is_input = key.startswith(inputs)
        if (place := _place(key, len(inputs if is_input else outputs))) is not None:
            index, path = place
            found = sent if is_input else returned
            fields = found.get(index)
            if fields is None:
                fields = found[index] = {}
            _put(fields, path, attributes.pop(key))
    return _in_order(sent, "user"), _in_order(returned, "assistant")


def _in_order(found: dict[int, dict[str, Any]], role: str) -> Flattened:
    messages: list[Message] = []
    whole = True
    for expected, index in enumerate(sorted(found)):
        fields = found[index]
        if not fields:  # a lone finish_reason, one past the last message
            continue
        whole = whole and index == expected and "role" in fields
        messages.extend(_message(fields, role))
    return Flattened(messages, whole)


@lru_cache(maxsize=16_384)
def _place(key: str, start: int) -> tuple[int, tuple[str, ...]] | None:
    """`llm.input_messages.3.message.tool_calls.0.tool_call.id` → 3 and (tool_calls, 0, id)."""
    number, *path = key[start:].split(".")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        return None
    return int(number), tuple(part for part in path if part not in _NOISE)


def _put(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if len(path) == 1 and path[0] != "finish_reason":
        fields[path[0]] = value
    elif len(path) == 3 and path[0] in ("tool_calls", "contents") and path[1].isdigit():
        fields.setdefault(path[0], {}).setdefault(int(path[1]), {})[path[2]] = value


def _message(fields: dict[str, Any], role: str) -> list[Message]:
    content = fields.get("content", "")
    if contents := fields.get("contents"):
        parts = (part.get("text") or part.get("content") for _, part in sorted(contents.items()))
        content = "\n".join(as_text(part) for part in parts if part)
    message: Message = {"role": fields.get("role", role), "content": as_text(content)}
    calls = fields.get("tool_calls")
    if isinstance(calls, dict):
        ordered = (call for _, call in sorted(calls.items()))
        called = [tool_call(call.get("id"), call.get("name"), call.get("arguments")) for call in ordered]
        return [{**message, "tool_calls": called}]
    if (call_id := fields.get("tool_call_id")) is not None:
        message["tool_call_id"] = call_id
    if (legacy := fields.get("function_call_name")) is not None:
        message["function_call"] = {"name": legacy, "arguments": fields.get("function_call_arguments_json")}
    if message["role"] in ("user", "system", "tool") and message["content"][:2] != "[{":
        return [message]
    return read_messages([message], role)
