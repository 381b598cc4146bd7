"""Messages that an SDK spread over numbered attributes, read from whatever indexes are there."""

from __future__ import annotations

from typing import Any, NamedTuple

from insights_pipeline.traces.key_sets import by_keys
from insights_pipeline.traces.message_parts import Message, tool_call
from insights_pipeline.traces.messages import is_plain, read_messages
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_text

# OpenInference says `message.` and `tool_call.function.` where OpenLLMetry says nothing.
_NOISE = frozenset({"message", "tool_call", "function", "message_content"})


class Flattened(NamedTuple):
    """Messages in numeric order, and whether they begin at 0 and leave no gap."""

    messages: list[Message]
    whole: bool


class _Slot(NamedTuple):
    """One message: where each of its fields goes and its key; role and content's keys if it has just these two."""

    paths: tuple[tuple[tuple[str, ...], str], ...]
    plain: tuple[str, str] | None


class _Layout(NamedTuple):
    """What a set of keys spreads out: the messages of each side in order, and whether they are whole."""

    sent: tuple[_Slot, ...]
    sent_whole: bool
    returned: tuple[_Slot, ...]
    returned_whole: bool


_NONE = Flattened([], True)


def pop_flattened(attributes: Attributes, inputs: str, outputs: str) -> tuple[Flattened, Flattened]:
    """Take `<inputs>N.…` and `<outputs>N.…` out.

    OpenTelemetry keeps 128 attributes of a span and drops the oldest: on a long chat those of message 0, 1, ….
    """
    layout = _layout((inputs, outputs, *attributes))
    if layout is None:
        return _NONE, _NONE
    sent = _messages(layout.sent, attributes, "user")
    returned = _messages(layout.returned, attributes, "assistant")
    return Flattened(sent, layout.sent_whole), Flattened(returned, layout.returned_whole)


@by_keys
def _layout(keys: tuple[str, ...]) -> _Layout | None:
    """The layout of the keys after the first two, which are the prefixes."""
    inputs, outputs, *others = keys
    sent: dict[int, list[tuple[tuple[str, ...], str]]] = {}
    returned: dict[int, list[tuple[tuple[str, ...], str]]] = {}
    for key in others:
        for prefix, found in ((inputs, sent), (outputs, returned)):
            if key.startswith(prefix) and (place := _place(key, len(prefix))) is not None:
                index, path = place
                found.setdefault(index, []).append((path, key))
    return _Layout(*_slots(sent), *_slots(returned)) if sent or returned else None


def _slots(found: dict[int, list[tuple[tuple[str, ...], str]]]) -> tuple[tuple[_Slot, ...], bool]:
    slots: list[_Slot] = []
    whole = True
    for expected, index in enumerate(sorted(found)):
        paths = found[index]
        fields = [path for path, _ in paths if _is_field(path)]
        by_path = dict(paths)
        plain = None
        if sorted(fields) == [("content",), ("role",)] and len(fields) == len(paths):
            plain = by_path["role",], by_path["content",]
        slots.append(_Slot(tuple(paths), plain))
        if fields:  # else a lone finish_reason, one past the last message
            whole = whole and index == expected and ("role",) in by_path
    return tuple(slots), whole


def _messages(slots: tuple[_Slot, ...], attributes: Attributes, default: str) -> list[Message]:
    take = attributes.pop
    messages: list[Message] = []
    for paths, plain in slots:
        if plain is not None:
            role, content = take(plain[0]), take(plain[1])
            if type(role) is str and type(content) is str and is_plain(role, content):
                messages.append({"role": role, "content": content})
            else:
                messages += _message({"role": role, "content": content}, default)
            continue
        fields: dict[str, Any] = {}
        for path, key in paths:
            _put(fields, path, take(key))
        if fields:
            messages += _message(fields, default)
    return messages


def _place(key: str, start: int) -> tuple[int, tuple[str, ...]] | None:
    """`llm.input_messages.3.message.tool_calls.0.tool_call.id` → 3 and (tool_calls, 0, id)."""
    number, *path = key[start:].split(".")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        return None
    return int(number), tuple(part for part in path if part not in _NOISE)


def _is_field(path: tuple[str, ...]) -> bool:
    """Whether `_put` keeps what stands under a path."""
    if len(path) == 1:
        return path[0] != "finish_reason"
    return len(path) == 3 and path[0] in ("tool_calls", "contents") and path[1].isdigit()


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
