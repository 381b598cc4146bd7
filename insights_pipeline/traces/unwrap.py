"""What was said and told, out of what programs passed: call arguments, message lists, response objects."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.messages import is_message, is_messages, is_response, last_text, read_messages
from insights_pipeline.traces.text import dumps, loads

_OPENERS = ("{", "[", '"')
_MAX_NESTING = 8

# Parameter names under which programs pass what a person said, or return what the person was told.
_SAID = (
    "user_input", "input", "question", "query", "user_message", "message", "prompt", "text", "content",
    "task", "request", "inputs", "messages",
)  # fmt: skip
_TOLD = (
    "output", "answer", "response", "reply", "result", "final_output", "output_text", "text", "content",
    "message", "completion", "outputs", "messages",
)  # fmt: skip


def said(value: object) -> str | None:
    """What a person said in the input of a call, or None when it cannot be told."""
    return _plain(value, "user", _SAID, 0)


def told(value: object) -> str | None:
    """What a person was told in the output of a call, or None when it cannot be told."""
    return _plain(value, "assistant", _TOLD, 0)


def _plain(value: object, role: str, keys: tuple[str, ...], depth: int) -> str | None:
    if depth > _MAX_NESTING:
        return None
    if isinstance(value, str):
        return _plain_string(value, role, keys, depth)
    if isinstance(value, list):
        return _plain_list(value, role, keys, depth)
    if isinstance(value, dict):
        return _plain_object(value, role, keys, depth)
    return None


def _plain_string(value: str, role: str, keys: tuple[str, ...], depth: int) -> str | None:
    if value.lstrip()[:1] in _OPENERS and value:
        parsed = loads(value)
        if isinstance(parsed, (dict, list, str)):
            return _plain(parsed, role, keys, depth + 1)
        if value.lstrip()[0] in "{[":
            return None  # JSON that an SDK cut short
    return value if value.strip() else None


def _plain_list(value: list[Any], role: str, keys: tuple[str, ...], depth: int) -> str | None:
    if is_messages(value):
        return last_text(read_messages(value, role), role)
    if len(value) == 1:
        return _plain(value[0], role, keys, depth + 1)
    strings = [item for item in value if isinstance(item, str) and item.strip()]
    return _plain(strings[0], role, keys, depth + 1) if len(strings) == 1 else None


def _plain_object(value: dict[str, Any], role: str, keys: tuple[str, ...], depth: int) -> str | None:
    if is_message(value) or is_response(value):
        return last_text(read_messages(value, role), role)
    if set(value) <= {"args", "kwargs"}:
        found = _plain(value.get("args") or None, role, keys, depth + 1)
        return found if found is not None else _plain(value.get("kwargs"), role, keys, depth + 1)
    for key in keys:
        if key in value and (found := _plain(value[key], role, keys, depth + 1)) is not None:
            return found
    if len(value) == 1:
        return _plain(next(iter(value.values())), role, keys, depth + 1)
    strings = [item for item in value.values() if isinstance(item, str) and item.strip()]
    return _plain(strings[0], role, keys, depth + 1) if len(strings) == 1 and role == "user" else None


def call_arguments(value: str) -> str:
    """Arguments of a tool call as sent, with the `{"args": [], "kwargs": {…}}` of a decorator unwrapped."""
    if not value.startswith('{"args"'):
        return value
    parsed = loads(value)
    if isinstance(parsed, dict) and set(parsed) == {"args", "kwargs"}:
        if not parsed["args"]:
            return dumps(parsed["kwargs"])
        if not parsed["kwargs"]:
            return dumps(parsed["args"])
    return value


def call_result(value: str) -> str:
    """Result of a tool call: a JSON-quoted string is unquoted, a serialised tool message gives its content."""
    if value[:1] == '"':
        parsed = loads(value)
        return parsed if isinstance(parsed, str) else value
    if value[:1] == "{" and '"tool"' in value:
        parsed = loads(value)
        if isinstance(parsed, dict) and is_message(parsed):
            messages = read_messages(parsed, "tool")
            return messages[0]["content"] if messages and messages[0]["role"] == "tool" else value
    return value
