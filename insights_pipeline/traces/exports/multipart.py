"""The parts of a multipart/form-data body, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from insights_pipeline.traces.records import Reject, excerpt

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 100_000
_STEP = 64 * 1024  # parts are handed on while the rest is still being read
_WHOLE = "Send the body whole, as multipart/form-data with the boundary that its header names."
_FEWER = f"Send at most {MAX_PARTS:,} parts in one body."


class Part(NamedTuple):
    """A part: the name in its content-disposition, and its bytes."""

    name: str
    data: bytes


def read_multipart(body: bytes, content_type: str) -> Iterator[Part | Reject]:
    """Parts in their order. A body that breaks off or is damaged gives the parts before that, and a Reject."""
    boundary = parse_options_header(content_type.encode("latin-1", "replace"))[1].get(b"boundary", b"")
    if not boundary:
        yield Reject("body", "a multipart body whose header names no boundary", _WHOLE, excerpt(body[:2_000]))
        return
    parts = _Parts()
    callbacks = parts.callbacks()
    given = 0
    try:
        parser = MultipartParser(boundary, callbacks)
        for start in range(0, len(body), _STEP):
            parser.write(body[start : start + _STEP])
            given += len(parts.done)
            if given > MAX_PARTS:
                yield Reject("body", f"a body of more than {MAX_PARTS:,} parts", _FEWER, "")
                return
            yield from parts.done
            parts.done.clear()
        parser.finalize()
    except FormParserError as error:
        yield from parts.done
        yield Reject(f"after part {given}", f"the multipart body is damaged ({error})"[:500], _WHOLE, "")
        return
    if not parts.is_whole:
        yield Reject(f"after part {given}", "the multipart body breaks off", _WHOLE, "")


class _Parts:
    """What the parser tells, gathered into parts."""

    def __init__(self) -> None:
        self.done: list[Part] = []
        self.is_whole = False
        self._header = b""
        self._value = b""
        self._name = ""
        self._data = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._extend,
            "on_part_end": self._end,
            "on_header_field": self._extend_header,
            "on_header_value": self._extend_value,
            "on_header_end": self._end_header,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._name, self._data = "", bytearray()

    def _extend(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        self.done.append(Part(self._name, bytes(self._data)))

    def _extend_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _extend_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.strip().lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"name", b"")
            self._name = name.decode("utf-8", "replace")
        self._header = self._value = b""

    def _finish(self) -> None:
        self.is_whole = True
