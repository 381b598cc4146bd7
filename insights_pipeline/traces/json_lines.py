"""JSON text line by line, each in bounded memory; tolerant of what others write although it is no JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from insights_pipeline.traces.otlp.window import Window
from insights_pipeline.traces.records import Reject
from insights_pipeline.traces.text import MISSING

MAX_LINE_BYTES = 64 * 2**20
MAX_DOCUMENT_BYTES = 256 * 2**20


class Line(NamedTuple):
    """A line under its number; `data` is None for one that is longer than MAX_LINE_BYTES."""

    number: int
    data: bytes | None


def lines_of(window: Window) -> Iterator[Line]:
    """The lines that hold anything, under their numbers."""
    number = 0
    while window.fill(1):
        number += 1
        data = _next_line(window)
        if data is None or data.strip():
            yield Line(number, data)


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


def too_long(line: Line, remedy: str) -> Reject:
    """The reject of a line whose data is None."""
    return Reject(f"line {line.number}", f"a line of more than {MAX_LINE_BYTES:,} bytes", remedy, "")


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
