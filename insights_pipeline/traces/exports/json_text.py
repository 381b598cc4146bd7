"""JSON text as values: a document, or one value a line; tolerant of what others write although it is no JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from insights_pipeline.traces.json_lines import (
    MAX_DOCUMENT_BYTES,
    Line,
    lines_of,
    parsed_json,
    too_long,
)
from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Reject, excerpt
from insights_pipeline.traces.text import MISSING

_NOT_JSON = "Write one JSON object a line, or one JSON document."
_SMALLER = "Write one JSON object a line: such a file may be of any size."


class Value(NamedTuple):
    """A JSON value and where it stood: `line` is 0 for a document."""

    line: int
    value: Any


def json_values(window: Window) -> Iterator[Value | Reject]:
    """The document, or the value of each line, of JSON text; a line or a document that is none is a Reject.

    A text is read line by line as soon as it is clear that its lines stand for themselves; until then it may be one
    document, so its lines are gathered, up to 256 MiB.
    """
    lines = lines_of(window)
    first = next(lines, None)
    if first is not None:
        parsed = parsed_json(first.data)
        if isinstance(parsed, (dict, list)):
            yield from _after_whole_line(Value(first.number, parsed), lines)
        elif first.data is not None and first.data.lstrip(b"\xef\xbb\xbf \t")[:1] in (b"{", b"["):
            yield from _gathered(first, lines)
        else:
            yield _bad(first)
            yield from _each(lines)
    if window.damage:
        remedy = "Copy the file again; what precedes the damage was read."
        yield Reject(f"byte {window.position}", window.damage, remedy, "")


def _after_whole_line(first: Value, lines: Iterator[Line]) -> Iterator[Value | Reject]:
    second = next(lines, None)
    if second is None:
        yield Value(0, first.value)
        return
    yield first
    yield _line(second)
    yield from _each(lines)


def _gathered(first: Line, lines: Iterator[Line]) -> Iterator[Value | Reject]:
    """What begins like a document. Two whole objects in a row show that it is lines, of which the first are broken."""
    held = [first]
    size = len(first.data or b"")
    alone = False
    for line in lines:
        held.append(line)
        size += len(line.data or b"")
        was_alone, alone = alone, line.data is not None and line.data[:1] == b"{" and _is_object(line.data)
        if was_alone and alone:
            yield from map(_line, held)
            yield from _each(lines)
            return
        if line.data is None or size > MAX_DOCUMENT_BYTES:
            reason = f"a JSON document of more than {min(size, MAX_DOCUMENT_BYTES):,} bytes"
            yield Reject(f"line {line.number}", reason, _SMALLER, excerpt(first.data or b""))
            return
    data = b"\n".join(line.data or b"" for line in held)
    parsed = parsed_json(data)
    if isinstance(parsed, (dict, list)):
        yield Value(0, parsed)
    elif any(line.data is not None and _is_object(line.data) for line in held):
        yield from map(_line, held)
    else:
        yield _bad_document(data)


def _bad_document(data: bytes) -> Reject:
    try:
        orjson.loads(data)
        position, reason = "line 1", "the document is neither an object nor a list"
    except orjson.JSONDecodeError as error:
        position, reason = f"line {error.lineno}", f"the document is not JSON ({error.msg})"
    return Reject(position, reason, _NOT_JSON, excerpt(data[:8_000]))


def _is_object(data: bytes) -> bool:
    return isinstance(parsed_json(data), dict)


def _each(lines: Iterator[Line]) -> Iterator[Value | Reject]:
    return map(_line, lines)


def _line(line: Line) -> Value | Reject:
    parsed = parsed_json(line.data)
    return Value(line.number, parsed) if isinstance(parsed, (dict, list)) else _bad(line)


def _bad(line: Line) -> Reject:
    if line.data is None:
        return too_long(line, _SMALLER)
    reason = "the line is not JSON" if parsed_json(line.data) is MISSING else "the line is no JSON object"
    return Reject(f"line {line.number}", reason, _NOT_JSON, excerpt(line.data))
