"""A bounded window over a stream of bytes: what the wire-format walk and the line reader see of a file."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import BinaryIO

CHUNK = 1 << 20
_FEED = 1 << 14  # of gzip: what follows a member is copied for each, and there may be a million empty ones
# gzip can reach 1,032 to 1; real trace files stay below 60. Small files may be as repetitive as they like.
MAX_RATIO = 200
_RATIO_FROM = 256 * CHUNK
_DAMAGED = (EOFError, OSError, ValueError, zlib.error)  # what gzip and Arrow raise amid a damaged stream


class Window:
    """The bytes from `at` on, refilled from `read(size)` on demand; `position` counts from the stream's start.

    A stream that breaks (damaged or hostile compression) ends there, with the cause in `damage`.
    """

    __slots__ = ("_ended", "_read", "_start", "at", "damage", "data")

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._start = 0
        self._ended = False
        self.data = b""
        self.at = 0
        self.damage: str | None = None

    @property
    def position(self) -> int:
        return self._start + self.at

    def fill(self, size: int) -> bool:
        """Make `size` bytes available at `at`; False when the stream ends before. Allocates what arrives, no more."""
        have = len(self.data) - self.at
        if have >= size:
            return True
        parts = [self.data[self.at :]]
        while have < size and not self._ended:
            chunk = self._next()
            parts.append(chunk)
            have += len(chunk)
        self._start += self.at
        self.data = b"".join(parts)
        self.at = 0
        return have >= size

    def take(self, size: int) -> bytes:
        """The next `size` bytes, which `fill` has made available."""
        start = self.at
        self.at = start + size
        return self.data[start : self.at]

    def skip_to(self, position: int) -> bool:
        """Move on to a position without keeping what lies between; False when the stream ends before."""
        ahead = position - self.position
        while ahead > (have := len(self.data) - self.at):
            self._start += len(self.data)
            ahead -= have
            self.data, self.at = self._next(), 0
            if not self.data:
                return False
        self.at = max(0, self.at + ahead)
        return True

    def _next(self) -> bytes:
        if self._ended:
            return b""
        try:
            chunk = self._read(CHUNK)
        except _DAMAGED as error:
            self.damage = f"the stream breaks off ({error})"
            chunk = b""
        self._ended = not chunk
        return chunk


def decompressed(raw: BinaryIO, *, max_bytes: int | None = None) -> Window:
    """A window over a stream that may be gzip or zstd: told by its first bytes, not by a name.

    Decompression is streamed. It stops (as damage) after `max_bytes`, or, without a limit, when what comes out is
    more than 200 times what went in.
    """
    head = raw.read(4)
    raw.seek(-len(head), 1)
    if head[:2] == b"\x1f\x8b":
        unpacked = _gunzip(raw)
    elif head == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        unpacked = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd").read
    else:
        unpacked = raw.read
    out = 0

    def read(size: int) -> bytes:
        nonlocal out
        chunk = unpacked(size)
        out += len(chunk)
        if max_bytes is not None and out > max_bytes:
            raise OSError(f"more than {max_bytes:,} bytes after decompression")
        if max_bytes is None and out > _RATIO_FROM and out > MAX_RATIO * raw.tell():
            raise OSError(f"decompresses to more than {MAX_RATIO} times its size")
        return chunk

    return Window(read)


def _gunzip(raw: BinaryIO) -> Callable[[int], bytes]:
    """Reads at most so many bytes of what a gzip file holds (one member after the other).

    Unlike the standard library's file object it gives what precedes a cut before it raises EOFError.
    """
    unpack = zlib.decompressobj(wbits=31)
    pending, begun, full = b"", False, False

    def read(size: int) -> bytes:
        nonlocal unpack, pending, begun, full
        while True:
            if unpack.eof:
                pending = unpack.unused_data.lstrip(b"\0")  # padding between members
                unpack, begun, full = zlib.decompressobj(wbits=31), False, False
            if not pending and not full and not (pending := raw.read(_FEED)):
                if begun:
                    raise EOFError("the compressed file is cut")
                return b""
            chunk = unpack.decompress(pending, size)
            pending, begun, full = unpack.unconsumed_tail, True, len(chunk) == size
            if chunk:
                return chunk

    return read
