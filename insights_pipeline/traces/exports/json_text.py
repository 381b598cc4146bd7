"""JSON text as values: a document, or one value a line; tolerant of what others write although it is no JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Reject, excerpt
from insights_pipeline.traces.text import MISSING

MAX_LINE_BYTES = 64 * 2**20
MAX_DOCUMENT_BYTES = 256 * 2**20
_NOT_JSON = "Write one JSON object a line, or one JSON document."
_SMALLER = "Write one JSON object a line: such a file may be of any size."


class Value(NamedTuple):
    """A JSON value and where it stood: `line` is 0 for a document."""

    line: int
    value: Any


class _Line(NamedTuple):
    number: int
    data: bytes | None  # None: longer than MAX_LINE_BYTES


def json_values(window: Window) -> Iterator[Value | Reject]:
    """The document, or the value of each line, of JSON text; a line or a document that is none is a Reject.

    A text is read line by line as soon as it is clear that its lines stand for themselves; until then it may be one
    document, so its lines are gathered, up to 256 MiB.
    """
    lines = _lines(window)
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


def parsed_json(data: bytes | None) -> Any:
    """The JSON value, or MISSING. NaN and infinities become null, what is not UTF-8 a replacement character."""
    if data is None:
        return MISSING
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if data.lstrip()[:1] not in (b"{", b"["):
            return MISSING
    text = data.decode("utf-8", "replace")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if not any(mark in text for mark in ("NaN", "Infinity", "\\u")):
            return MISSING
    try:
        lenient = json.loads(text, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return MISSING


def _after_whole_line(first: Value, lines: Iterator[_Line]) -> Iterator[Value | Reject]:
    second = next(lines, None)
    if second is None:
        yield Value(0, first.value)
        return
    yield first
    yield _line(second)
    yield from _each(lines)


def _gathered(first: _Line, lines: Iterator[_Line]) -> Iterator[Value | Reject]:
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


def _each(lines: Iterator[_Line]) -> Iterator[Value | Reject]:
    return map(_line, lines)


def _line(line: _Line) -> Value | Reject:
    parsed = parsed_json(line.data)
    return Value(line.number, parsed) if isinstance(parsed, (dict, list)) else _bad(line)


def _bad(line: _Line) -> Reject:
    if line.data is None:
        return Reject(f"line {line.number}", f"a line of more than {MAX_LINE_BYTES:,} bytes", _SMALLER, "")
    reason = "the line is not JSON" if parsed_json(line.data) is MISSING else "the line is no JSON object"
    return Reject(f"line {line.number}", reason, _NOT_JSON, excerpt(line.data))


def _lines(window: Window) -> Iterator[_Line]:
    """The lines that hold anything, under their numbers."""
    number = 0
    while window.fill(1):
        number += 1
        data = _next_line(window)
        if data is None or data.strip():
            yield _Line(number, data)


def _next_line(window: Window) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while window.fill(1):
        end = window.data.find(b"\n", window.at)
        stop = len(window.data) if end < 0 else end
        size += stop - window.at
        if size <= MAX_LINE_BYTES:
            parts.append(window.data[window.at : stop])
        else:
            parts.clear()
        window.at = stop
        if end >= 0:
            window.at += 1
            break
    return b"".join(parts) if size <= MAX_LINE_BYTES else None
