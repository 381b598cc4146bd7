"""The messages of a record, whatever their spelling, or the steps of an agent as messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from insights_pipeline.traces.exports.chat_tools import Said
from insights_pipeline.traces.exports.mapped_fields import Found, failed
from insights_pipeline.traces.exports.mapping import Steps
from insights_pipeline.traces.exports.paths import lookup
from insights_pipeline.traces.exports.times import duration_ns, time_ns
from insights_pipeline.traces.messages import read_messages
from insights_pipeline.traces.otlp.values import keep
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_text, loads_container

_COMMAND = re.compile(r"\s*(\S{1,64})")
_MAX_MESSAGES = 100_000


def said_of(found: Found) -> list[Said]:
    """What was said in a record, in order; empty where the record has no messages."""
    mapping = found.mapping
    raw = loads_container(found.at(mapping.fields.messages)) if mapping.fields.messages else None
    messages = list(_messages(found, raw if isinstance(raw, list) else []))
    if mapping.steps is not None:
        steps = loads_container(found.at(mapping.steps.list))
        if isinstance(steps, list):
            return [*_asked(messages), *_steps(found, mapping.steps, steps)]
    return messages or list(_question_and_answer(found))


def _messages(found: Found, raw: list[Any]) -> Iterator[Said]:
    fields, mapping = found.mapping.message, found.mapping
    asked = False
    for item in raw[:_MAX_MESSAGES]:
        if not isinstance(item, dict):
            yield from (Said(message) for message in read_messages([item], "user"))
            continue
        if fields.skip_when and _holds(item, fields.skip_when):
            continue
        own = _first(item, fields.tool_name)
        tool_name = own if isinstance(own, str) else None
        read = read_messages([_normal(found, item)], "user")
        asked = asked or any(message["role"] == "user" for message in read)
        # What an assistant says before anybody asked is a greeting that somebody wrote.
        is_call = asked if fields.call_when is None else _holds(item, fields.call_when)
        at = time_ns(_first(item, fields.time), unit=mapping.time_unit, form=mapping.time_format)
        took = duration_ns(_first(item, fields.duration), mapping.duration_unit)
        wrong = failed(_first(item, fields.error)) is not None
        for message in read:
            role = message["role"]
            mine = role == "assistant" and is_call
            facts: Attributes = found.usage_of(item) if mine else {}
            yield Said(message, at, took, mine, wrong, tool_name if role == "tool" else None, facts)


def _normal(found: Found, item: dict[str, Any]) -> dict[str, Any]:
    """A message under the usual names of its fields."""
    fields = found.mapping.message
    role = _first(item, fields.role)
    changed = {**item}
    if isinstance(role, str):
        changed["role"] = found.mapping.roles.get(role.lower(), role)
    content = _first(item, fields.content)
    if content is not None:
        changed["content"] = content
    if isinstance(call_id := _first(item, fields.tool_call_id), str) and role in ("tool", "function"):
        changed["tool_call_id"] = call_id
    return changed


def _holds(item: dict[str, Any], condition: str) -> bool:
    """`path`: there and not false; `path=value`: just that."""
    path, equals, wanted = condition.partition("=")
    value = lookup(item, path)
    if equals:
        return value is not None and as_text(value).strip('"') == wanted
    return keep(value) and value is not False and value != 0


def _first(item: dict[str, Any], paths: list[str]) -> Any:
    return next((value for path in paths if keep(value := lookup(item, path))), None)


def _asked(messages: list[Said]) -> list[Said]:
    """What stands before the first answer: the instructions and the task."""
    end = next((place for place, said in enumerate(messages) if said.message["role"] == "assistant"), None)
    return messages[:end]


def _steps(found: Found, steps: Steps, items: list[Any]) -> Iterator[Said]:
    for number, item in enumerate(items[:_MAX_MESSAGES], start=1):
        if not isinstance(item, dict):
            continue
        output, action = _text(item, steps.output), _text(item, steps.action)
        call_id = f"step-{number}"
        message: dict[str, Any] = {"role": "assistant", "content": output}
        command = _COMMAND.match(action)
        if command:
            call = {"id": call_id, "name": command[1], "arguments": action.strip()}
            message["tool_calls"] = [call]
        yield Said(message, is_call=True, facts=found.usage_of(item))
        if command:
            result = {"role": "tool", "content": _text(item, steps.observation), "tool_call_id": call_id}
            took = duration_ns(_first(item, steps.duration), found.mapping.duration_unit)
            yield Said(result, took_ns=took)


def _text(item: dict[str, Any], paths: list[str]) -> str:
    value = _first(item, paths)
    return "" if value is None else as_text(value)


def _question_and_answer(found: Found) -> Iterator[Said]:
    """A record with what was asked and answered as two fields, as tables have it."""
    sent, returned = found.field("input"), found.field("output")
    if sent is None and returned is None:
        return
    if sent is not None:
        yield from (Said(message) for message in read_messages(as_text(sent), "user"))
    for message in read_messages(as_text(returned), "assistant") if returned is not None else ():
        start, end = found.times()
        took = end - start if start is not None and end is not None else None
        mine = message["role"] == "assistant"
        yield Said(message, end, took, mine, False, None, found.usage() if mine else {})
