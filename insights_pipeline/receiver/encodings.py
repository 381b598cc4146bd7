"""Content encodings, counted in a bounded stream: a bomb costs time for 64 MiB and memory for one piece."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

_PIECE = 1 << 20
_FEED = 1 << 13
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ENCODINGS = ("identity", "gzip", "zstd")


class DamagedError(Exception):
    """The body does not decompress; the message says why."""


class TooLargeError(Exception):
    """More bytes after decompression than allowed."""


class Unpacked(NamedTuple):
    size: int
    content: bytes | None  # None: larger than what was to be kept


def encoding_of(header: str) -> str | None:
    """The one content encoding a header names; None when it is not one of ours."""
    name = header.strip().lower().removeprefix("x-") or "identity"
    return name if name in ENCODINGS else None


def unpack(body: bytes, encoding: str, *, max_bytes: int, keep_bytes: int) -> Unpacked:
    """Size of the content, and the content itself when it is at most `keep_bytes`.

    A body that is plainly compressed counts as such although no header says so: the drain, which tells by the first
    bytes, will decompress it. Raises DamagedError and TooLargeError.
    """
    if encoding == "identity":
        encoding = "gzip" if body.startswith(_GZIP) else "zstd" if body.startswith(_ZSTD) else encoding
    if encoding == "identity":
        return Unpacked(len(body), body if len(body) <= keep_bytes else None)
    size = 0
    kept: list[bytes] = []
    for piece in _gunzip(body) if encoding == "gzip" else _unzstd(body):
        size += len(piece)
        if size > max_bytes:
            raise TooLargeError
        if size <= keep_bytes:
            kept.append(piece)
        else:
            kept.clear()
    return Unpacked(size, b"".join(kept) if size <= keep_bytes else None)


def _gunzip(body: bytes) -> Iterator[bytes]:
    """What the members hold. What follows a member is copied for each of them, and a body may be a million empty ones:
    so it is fed in small parts.
    """
    fed, pending = 0, b""
    member, begun, full = zlib.decompressobj(wbits=31), False, False
    while True:
        if member.eof:
            pending = member.unused_data
            member, begun, full = zlib.decompressobj(wbits=31), False, False
        if not pending and not full:
            pending = body[fed : fed + _FEED]
            fed += len(pending)
            if not pending:
                if begun:
                    raise DamagedError("the gzip body is cut")
                return
        if not begun and not (pending := pending.lstrip(b"\0")):  # padding between members
            continue
        try:
            piece = member.decompress(pending, _PIECE)
        except zlib.error as error:
            raise DamagedError(f"the gzip body is damaged ({error})") from error
        pending, begun, full = member.unconsumed_tail, True, len(piece) == _PIECE
        if piece:
            yield piece


def _unzstd(body: bytes) -> Iterator[bytes]:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.BufferReader(body), "zstd")
    while True:
        try:
            piece = stream.read(_PIECE)
        except (OSError, ValueError) as error:
            raise DamagedError(f"the zstd body is damaged ({error})") from error
        if not piece:
            return
        yield piece
