"""One record of the segment log: a mark, lengths, a checksum, a JSON header and the body as it was received."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, NamedTuple

import orjson

REFUSED = "refused"
MAX_REFUSED_BYTES = 1_000
MARK_BYTES = 8
_LENGTHS = struct.Struct("<III")  # header, body, crc32 of both lengths, header and body
_FRAME = MARK_BYTES + _LENGTHS.size
_MAX_HEADER = 2**20
_SCAN = 2**20


class Entry(NamedTuple):
    """A request body as it arrived (`body` still compressed); `headers` are few, lower case and never credentials."""

    kind: str
    received_ns: int
    content_type: str
    headers: dict[str, str]
    environment: str | None
    tenant: str | None
    body: bytes


def refused(
    body: bytes,
    *,
    reason: str,
    remedy: str,
    received_ns: int,
    content_type: str = "",
    environment: str | None = None,
    tenant: str | None = None,
) -> Entry:
    """An entry that becomes a row of `rejects`: why, what to do, and the first 1,000 bytes."""
    headers = {"reason": reason, "remedy": remedy}
    head = body[:MAX_REFUSED_BYTES]
    return Entry(REFUSED, received_ns, content_type, headers, environment, tenant, head)


def encoded(mark: bytes, entry: Entry) -> list[bytes]:
    header = orjson.dumps({name: value for name, value in entry._asdict().items() if name != "body"})
    lengths = _LENGTHS.pack(len(header), len(entry.body), _checksum(header, entry.body))
    return [mark + lengths + header, entry.body]


def _checksum(header: bytes, body: bytes) -> int:
    lengths = struct.pack("<II", len(header), len(body))
    return zlib.crc32(body, zlib.crc32(header, zlib.crc32(lengths)))


def read_record(file: BinaryIO, mark: bytes, start: int) -> tuple[int, Entry] | None:
    """The record at an offset and its end; None when there is no whole one."""
    file.seek(start)
    frame = file.read(_FRAME)
    if len(frame) < _FRAME or frame[:MARK_BYTES] != mark:
        return None
    header_size, body_size, checksum = _LENGTHS.unpack_from(frame, MARK_BYTES)
    end = start + _FRAME + header_size + body_size
    if header_size > _MAX_HEADER or end > os.fstat(file.fileno()).st_size:
        return None
    header, body = file.read(header_size), file.read(body_size)
    if _checksum(header, body) != checksum:
        return None
    try:
        values = orjson.loads(header)
        return end, Entry(**values, body=body)
    except (orjson.JSONDecodeError, TypeError):  # the checksum holds: written by another version
        return None


def next_record(file: BinaryIO, mark: bytes, start: int) -> int | None:
    """Where the next whole record begins at or after an offset."""
    while True:
        file.seek(start)
        chunk = file.read(_SCAN)
        place = chunk.find(mark)
        if place >= 0:
            if read_record(file, mark, start + place) is not None:
                return start + place
            start += place + 1
        elif len(chunk) < _SCAN:
            return None
        else:
            start += len(chunk) - len(mark) + 1


def is_torn(file: BinaryIO, mark: bytes, start: int) -> bool:
    """Whether what lies from `start` to the end is the beginning of a record that was never written in full."""
    size = os.fstat(file.fileno()).st_size
    file.seek(start)
    frame = file.read(_FRAME)
    if len(frame) < _FRAME:
        return mark.startswith(frame[:MARK_BYTES]) or frame.startswith(mark)
    if frame[:MARK_BYTES] != mark:
        return not any(frame)  # a power cut may leave zeros where data was to be
    header_size, body_size, _ = _LENGTHS.unpack_from(frame, MARK_BYTES)
    return bool(start + _FRAME + header_size + body_size > size)
