"""Chat messages of every shape the SDKs send, in one: role, content, tool_calls, tool_call_id."""

from __future__ import annotations

from typing import Any

from insights_pipeline.traces.message_parts import (
    CALL_PARTS,
    RESULT_PARTS,
    Message,
    read_call,
    read_parts,
    tool_call,
)
from insights_pipeline.traces.text import MISSING, loads, loads_container

_MAX_NESTING = 8

_ROLES = {
    "human": "user", "humanmessage": "user", "humanmessagechunk": "user",
    "ai": "assistant", "aimessage": "assistant", "aimessagechunk": "assistant", "model": "assistant",
    "systemmessage": "system", "developer": "system", "toolmessage": "tool", "function": "tool",
}  # fmt: skip
_KNOWN = frozenset({"user", "assistant", "system", "tool", *_ROLES})
_CANONICAL = ("user", "assistant", "tool", "system")
_PLAIN = frozenset({"user", "system", "tool"})
_MORE_THAN_TEXT = frozenset({"tool_calls", "function_call", "tool_call_id", "data"})
# Where requests and responses of the providers and frameworks keep their messages.
_LISTS = (
    "messages",
    "choices",
    "generations",
    "contents",
    "candidates",
    "output",
    "outputs",
    "input",
    "inputs",
)


def is_message(value: object) -> bool:
    """Whether this is one message: OpenAI, Anthropic, Gemini, OpenTelemetry or LangChain shape."""
    if isinstance(value, dict):
        if isinstance(value.get("role"), str):
            return True
        return (
            isinstance(kind := value.get("type"), str)
            and kind in _KNOWN
            and ("data" in value or "content" in value)
        )
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(item, str) for item in value)
        and value[0] in _KNOWN
    )


def is_messages(value: list[Any]) -> bool:
    """Whether a list holds messages (LangChain nests them one list deeper); pairs are `["user", "…"]`."""
    if not value:
        return False
    first = value[0]
    if isinstance(first, list) and first and not is_message(first):
        return len(value) == 1 and is_messages(first)
    return is_message(first) or _is_constructor(first)


def is_response(value: dict[str, Any]) -> bool:
    """Whether this is a model's response object that wraps its message."""
    return any(isinstance(value.get(key), list) for key in ("choices", "generations", "candidates"))


def last_text(messages: list[Message], role: str) -> str | None:
    """Text of the last message of a role that has any."""
    for message in reversed(messages):
        if message["role"] == role and message["content"].strip():
            return str(message["content"])
    return None


def first_text(messages: list[Message], role: str) -> str | None:
    """Text of the first message of a role that has any (of several choices the first is the answer)."""
    for message in messages:
        if message["role"] == role and message["content"].strip():
            return str(message["content"])
    return None


def read_messages(value: object, role: str) -> list[Message]:
    """Messages in a JSON value (or JSON text) of any known shape; `role` is for those that name none."""
    parsed = loads_container(value)
    if parsed is MISSING:
        return [{"role": role, "content": value}] if isinstance(value, str) and value else []
    return _read(parsed, role, 0)


def is_plain(role: str, content: str) -> bool:
    """Whether a message of a role with this text is just that: no list of parts, no call written as content."""
    return content[:2] != "[{" and (role in _PLAIN or (role == "assistant" and content[:1] != "{"))


def _read(value: object, role: str, depth: int) -> list[Message]:
    if depth > _MAX_NESTING:
        return []
    if isinstance(value, str):
        return [{"role": role, "content": value}] if value else []
    if isinstance(value, list):
        if is_message(value):
            return [{"role": _role(value[0], role), "content": value[1]}]
        found: list[Message] = []
        for item in value:
            if type(item) is not dict or type(named := item.get("role")) is not str:
                found += _read(item, role, depth + 1)
            elif (
                len(item) == 2
                and type(content := item.get("content")) is str
                and named in _CANONICAL
                and is_plain(named, content)
            ):
                found.append({"role": named, "content": content})
            else:
                found += _message(item, role)
        return found
    if not isinstance(value, dict):
        return []
    if _is_constructor(value):
        path = value.get("id")
        kind = path[-1] if isinstance(path, list) and path else None
        return _message({"type": kind, **value["kwargs"]}, role)
    if is_message(value):
        return _message(value, role)
    return _read_wrapped(value, role, depth)


def _read_wrapped(value: dict[str, Any], role: str, depth: int) -> list[Message]:
    kind = value.get("type")
    if isinstance(kind, str) and (
        kind in CALL_PARTS or kind in RESULT_PARTS
    ):  # items of OpenAI's responses API
        return _message({"role": role, "content": [value]}, role)
    if "toolCallId" in value and "toolName" in value:  # a call as the Vercel AI SDK returns it
        return _message({"role": role, "content": "", "tool_calls": [value]}, role)
    for key in ("message", "content"):
        if isinstance(value.get(key), (dict, list)):
            return _read(value[key], role, depth + 1)
    before: list[Message] = []
    if isinstance(system := value.get("system") or value.get("instructions"), str) and "messages" in value:
        before.append({"role": "system", "content": system})
    for key in _LISTS:
        if value.get(key):
            return before + _read(value[key], role, depth + 1)
    text = value.get("text")
    return [{"role": role, "content": text}] if isinstance(text, str) and text else before


def _is_constructor(value: object) -> bool:
    return isinstance(value, dict) and "lc" in value and isinstance(value.get("kwargs"), dict)


def _message(value: dict[str, Any], default: str) -> list[Message]:
    """One message; the results of tools that Anthropic and OpenTelemetry put inside become messages of their own."""
    role = _role(value.get("role") or value.get("type"), default)
    if (text := _only_text(value)) is not None and not (role == "assistant" and text[:1] == "{"):
        return [{"role": role, "content": text}]
    if isinstance(data := value.get("data"), dict):  # LangChain's {"type": "human", "data": {…}}
        value = {**data, "type": value.get("type")}
    texts: list[str] = []
    calls: list[Message] = []
    results: list[Message] = []
    read_parts(value["parts"] if "parts" in value else value.get("content"), texts, calls, results)
    made = value.get("tool_calls")
    calls.extend(
        read_call(call) for call in (made if isinstance(made, list) else ()) if isinstance(call, dict)
    )
    if isinstance(legacy := value.get("function_call"), dict):
        calls.append(read_call(legacy))
    message: Message = {"role": role, "content": "\n".join(texts)}
    call_id = value.get("tool_call_id")
    if role == "assistant" and not calls and message["content"][:1] == "{":
        calls = _call_in_content(message, call_id)
        call_id = None if calls else call_id
    if calls:
        message["tool_calls"] = calls
    if isinstance(call_id, str) and call_id:
        message["tool_call_id"] = call_id
    return results if results and not texts and not calls else [*results, message]


def _only_text(value: dict[str, Any]) -> str | None:
    """The text of a message that holds nothing but one; most messages are such, and this is the fast way."""
    if not _MORE_THAN_TEXT.isdisjoint(value):
        return None
    if "parts" not in value:
        content = value.get("content")
        return content if type(content) is str and content[:2] != "[{" else None
    parts = value["parts"]
    if (
        type(parts) is list
        and len(parts) == 1
        and type(part := parts[0]) is dict
        and part.get("type") == "text"
    ):
        text = part.get("content")
        return text if type(text) is str and text[:2] != "[{" else None
    return None


def _role(name: object, default: str) -> str:
    if not isinstance(name, str) or not name:
        return default
    if name in _CANONICAL:
        return name
    lower = name.lower()
    return _ROLES.get(lower, lower)


def _call_in_content(message: Message, call_id: object) -> list[Message]:
    """Netra writes an assistant's tool call as its content: `{"name": …, "arguments": "…"}`."""
    parsed = loads(message["content"])
    if not isinstance(parsed, dict) or set(parsed) != {"name", "arguments"}:
        return []
    message["content"] = ""
    return [tool_call(call_id, parsed["name"], parsed["arguments"])]
