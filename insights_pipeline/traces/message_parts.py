"""What is inside a message: parts of text, calls of tools, results of tools."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from insights_pipeline.traces.text import MISSING, dumps, loads

Message: TypeAlias = dict[str, Any]
_TEXT_PARTS = frozenset({None, "text", "input_text", "output_text", "refusal"})
CALL_PARTS = frozenset({"tool_call", "tool_use", "tool-call", "function_call"})
RESULT_PARTS = frozenset({"tool_call_response", "tool_result", "tool-result", "function_call_output"})


def read_parts(content: object, texts: list[str], calls: list[Message], results: list[Message]) -> None:
    if isinstance(content, str):
        if content[:2] == "[{" and _are_parts(parsed := loads(content)):
            return read_parts(parsed, texts, calls, results)
        if content:
            texts.append(content)
        return None
    for part in content if isinstance(content, list) else (content,):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            _part(part, texts, calls, results)
    return None


def _are_parts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value)


def _part(part: dict[str, Any], texts: list[str], calls: list[Message], results: list[Message]) -> None:
    kind = part.get("type")
    if kind is not None and not isinstance(kind, str):
        return
    if kind in CALL_PARTS:
        calls.append(read_call(part))
    elif kind in RESULT_PARTS:
        results.append(_result(part))
    elif kind in _TEXT_PARTS:
        text = part.get("text") or part.get("content") or part.get("refusal")
        if isinstance(text, str):
            texts.append(text)


def _result(part: dict[str, Any]) -> Message:
    content: Any = ""
    for key in ("result", "response", "content", "output"):
        if (content := part.get(key)) is not None:
            break
    message: Message = {"role": "tool", "content": _result_text(content)}
    call_id = part.get("id") or part.get("tool_use_id") or part.get("call_id") or part.get("toolCallId")
    if isinstance(call_id, str):
        message["tool_call_id"] = call_id
    return message


def _result_text(content: object) -> str:
    if isinstance(content, str) and content[:2] != "[{":
        return content
    texts: list[str] = []
    if isinstance(content, (str, list)):
        read_parts(content, texts, [], [])
    return "\n".join(texts) if texts or not content else dumps(content)


def read_call(call: dict[str, Any]) -> Message:
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    arguments = next(
        (inner[key] for key in ("arguments", "args", "input") if inner.get(key) is not None), None
    )
    call_id = call.get("id") or call.get("call_id") or call.get("toolCallId")
    return tool_call(call_id, inner.get("name") or call.get("toolName"), arguments)


def tool_call(call_id: object, name: object, arguments: object) -> Message:
    """A tool call; arguments become compact JSON text, so that every SDK's spelling of them is the same."""
    return {
        "id": call_id if isinstance(call_id, str) else None,
        "name": name if isinstance(name, str) else None,
        "arguments": _arguments(arguments),
    }


def _arguments(arguments: object) -> str:
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return _compact(arguments) if len(arguments) < 4_096 else arguments
    return dumps(arguments)


@lru_cache(maxsize=4_096)
def _compact(text: str) -> str:
    parsed = loads(text)
    return text if parsed is MISSING else dumps(parsed)
