"""The segment log: what was acknowledged lies here, as received, until the drain has put it into the lake.

A segment is a file `NNNNNNN-MARK.seg`. A record in it is

    MARK (8 random bytes, the segment's own) | header length | body length | crc32 | header (JSON) | body

The mark stands in the file's name, so a body cannot contain one: whatever a sender writes, a reader that looks for the
next whole record after damage never takes a piece of a body for a record.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from insights_pipeline.receiver.framing import (
    MARK_BYTES,
    MAX_REFUSED_BYTES,
    Entry,
    encoded,
    is_torn,
    next_record,
    read_record,
    refused,
)
from insights_pipeline.receiver.progress import published

__all__ = [
    "Entry",
    "Segment",
    "SegmentWriter",
    "backlog_bytes",
    "folder_id",
    "read_entries",
    "refused",
    "remove_through",
    "segments",
]

SEGMENT_BYTES = 64 * 2**20
_SUFFIX = ".seg"
_OFFSET_BITS = 40
_OFFSET = (1 << _OFFSET_BITS) - 1


class Segment(NamedTuple):
    number: int
    mark: bytes
    path: Path


def folder_id(folder: Path) -> str:
    """A random name of this log, made on first use: positions of two logs must never be taken for one another.

    Whoever stores "read up to position p" stores it under this name; a log that was deleted and begun anew has
    another one.
    """
    path = folder / "id"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"id.{secrets.token_hex(8)}"
        with draft.open("w") as file:
            file.write(secrets.token_hex(16))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # the first one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync_folder(folder)
    return path.read_text().strip()


def segments(folder: Path) -> list[Segment]:
    """The segments of a folder in order; other files are ignored."""
    found = []
    for path in folder.glob(f"*-*{_SUFFIX}"):
        number, _, mark = path.stem.partition("-")
        if number.isdecimal() and len(mark) == 2 * MARK_BYTES:
            found.append(Segment(int(number), bytes.fromhex(mark), path))
    return sorted(found)


def backlog_bytes(folder: Path, after: int) -> int:
    """Bytes on disk behind a position, those of a torn tail included."""
    total = 0
    for segment in segments(folder):
        if segment.number >= after >> _OFFSET_BITS:
            start = _start(segment, after)
            total += max(0, _size(segment.path) - start)
    return total


def remove_through(folder: Path, position: int) -> None:
    """Delete segments that were read to the end; never the newest, whose number the next one must exceed."""
    for segment in segments(folder)[:-1]:
        if segment.number < position >> _OFFSET_BITS or (
            segment.number == position >> _OFFSET_BITS and position & _OFFSET >= _size(segment.path)
        ):
            segment.path.unlink(missing_ok=True)


class SegmentWriter:
    """Appends entries; one writer a folder. The first append opens a new segment, as does one after 64 MiB.

    A failed append leaves nothing acknowledged: the torn bytes are cut off and the next append begins a new segment,
    so that a reader that saw them never stands in the middle of another record.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        folder_id(folder)
        # where somebody deleted the segments, new ones must still lie behind what the drain has read
        told = published(folder).get("position")
        drained = told >> _OFFSET_BITS if isinstance(told, int) else 0
        self._number = max((segment.number for segment in segments(folder)), default=drained)
        self._mark = b""
        self._file = -1
        self._size = 0
        self._failed: Path | None = None
        self._path: Path | None = None

    @property
    def position(self) -> int:
        """The end of the last record that is safely on disk."""
        return self._number << _OFFSET_BITS | self._size

    def append(self, entries: Sequence[Entry]) -> int:
        """Write and sync all entries, or none; the position after them. Raises OSError when the disk fails."""
        if not entries:
            return self.position
        try:
            if self._file < 0 or self._size >= self._segment_bytes:
                self._next_segment()
            size = self._size
            for entry in entries:
                size += _write(self._file, encoded(self._mark, entry))
            os.fsync(self._file)
        except OSError:
            self._give_up()
            raise
        self._size = size
        return self.position

    def close(self) -> None:
        """Close the file; everything appended is on disk already."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _next_segment(self) -> None:
        self.close()
        mark = secrets.token_bytes(MARK_BYTES)
        path = self._folder / f"{self._number + 1:07d}-{mark.hex()}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._number, self._mark, self._size, self._path = self._number + 1, mark, 0, path
        _sync_folder(self._folder)
        if self._failed is not None:  # only now: a number that was used must not be given twice
            self._failed.unlink(missing_ok=True)
            self._failed = None

    def _give_up(self) -> None:
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError:
            pass  # the tail stays: a reader may see what was not acknowledged, which is harmless
        else:
            if not self._size:
                self._failed = self._path
        self.close()


def read_entries(folder: Path, after: int) -> Iterator[tuple[int, Entry]]:
    """Entries behind a position (0 or less: from the start), each with the position to go on from.

    Ends at the last whole record. A tail that was torn by a crash was never acknowledged and is left out; damage before
    whole records yields an entry of kind `refused` that says which bytes were lost. Holds one entry in memory.
    """
    position = max(after, 0)
    done = 0  # the last segment that was closed when it was read to its end
    while True:
        found = [item for item in segments(folder) if item.number >= max(position >> _OFFSET_BITS, done + 1)]
        newest = found[-1].number if found else position >> _OFFSET_BITS
        for segment in found:
            is_closed = segment.number < newest
            for end, entry in _segment_entries(segment, _start(segment, position), is_closed=is_closed):
                position = end
                yield end, entry
            if is_closed:
                done = segment.number
        latest = segments(folder)
        if not latest or latest[-1].number <= newest:
            return


def _segment_entries(segment: Segment, start: int, *, is_closed: bool) -> Iterator[tuple[int, Entry]]:
    base = segment.number << _OFFSET_BITS
    try:
        file = segment.path.open("rb")
    except FileNotFoundError:  # read and removed by now
        return
    with file:
        while True:
            found = read_record(file, segment.mark, start)
            if found is not None:
                start, entry = found
                yield base | start, entry
                continue
            behind = next_record(file, segment.mark, start + 1)
            if behind is None:
                end = os.fstat(file.fileno()).st_size
                if is_closed and start < end and not is_torn(file, segment.mark, start):
                    yield base | end, _lost(file, segment, start, end)
                return
            if read_record(file, segment.mark, start) is None:  # else it was being written a moment ago
                yield base | behind, _lost(file, segment, start, behind)
                start = behind


def _lost(file: BinaryIO, segment: Segment, start: int, end: int) -> Entry:
    file.seek(start)
    return refused(
        file.read(min(end - start, MAX_REFUSED_BYTES)),
        reason=f"{end - start:,} bytes at byte {start:,} of {segment.path.name} are damaged",
        remedy="Check the disk; what was sent in these bytes is lost unless it is sent again.",
        received_ns=int(segment.path.stat().st_mtime_ns),
    )


def _write(file: int, parts: list[bytes]) -> int:
    written = 0
    for part in parts:
        rest = memoryview(part)
        while rest:
            count = os.write(file, rest)
            rest = rest[count:]
            written += count
    return written


def _start(segment: Segment, position: int) -> int:
    """Where to go on in a segment of the position's number or a later one."""
    return position & _OFFSET if segment.number == position >> _OFFSET_BITS else 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
