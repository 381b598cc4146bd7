"""Group commit: requests hand in entries, one thread writes all that wait with one sync and wakes the requests."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from insights_pipeline.receiver.segments import Entry, SegmentWriter

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0  # after a failure: no hammering on a full disk, and no segment per attempt
_GROUP_BYTES = 64 * 2**20


class NotWrittenError(Exception):
    """The entry is not on disk and must not be acknowledged; the message says why."""


class _Waiting(NamedTuple):
    entry: Entry
    done: Callable[[str | None], None]  # called with the reason when it failed


class GroupWriter:
    """Owns the one writer thread of a folder; `write` and `write_blocking` return only when the entry is synced.

    `on_sync(seconds, entries)` is told each sync.
    """

    def __init__(self, log: SegmentWriter, *, on_sync: Callable[[float, int], None] | None = None) -> None:
        self._log = log
        self._on_sync = on_sync
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._closing = False
        self._retry_at = 0.0
        self.queued_bytes = 0
        self.failure: str | None = None
        self.position = log.position
        self._thread = threading.Thread(target=self._run, name="segment-writer", daemon=True)
        self._thread.start()

    async def write(self, entry: Entry) -> None:
        """Raises NotWrittenError."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()

        def settle(reason: str | None) -> None:
            if not future.done():  # the request may have gone
                future.set_result(reason)

        self._submit(entry, lambda reason: _call(loop, settle, reason))
        if reason := await future:
            raise NotWrittenError(reason)

    def write_blocking(self, entry: Entry) -> None:
        """The same for threads. Raises NotWrittenError."""
        future: Future[str | None] = Future()
        self._submit(entry, future.set_result)
        if reason := future.result():
            raise NotWrittenError(reason)

    def close(self) -> None:
        """Write what waits, then stop. Later entries are refused."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._log.close()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _submit(self, entry: Entry, done: Callable[[str | None], None]) -> None:
        with self._changed:
            if self._closing or not self._thread.is_alive():
                raise NotWrittenError("the receiver is stopping")
            if time.monotonic() < self._retry_at:
                raise NotWrittenError(self.failure or "the disk failed")
            self._queue.append(_Waiting(entry, done))
            self.queued_bytes += len(entry.body)
            self._changed.notify()

    def _run(self) -> None:
        while group := self._next_group():
            reason: str | None = None
            began = time.perf_counter()
            try:
                self.position = self._log.append([waiting.entry for waiting in group])
            except Exception as error:  # noqa: BLE001 – the thread must live: each of the group is told
                reason = (
                    f"the log cannot be written ({getattr(error, 'strerror', None) or type(error).__name__})"
                )
                _log.error("%s", reason)
                self._retry_at = time.monotonic() + _PAUSE_SECONDS
            self.failure = reason
            with self._changed:
                self.queued_bytes -= sum(len(waiting.entry.body) for waiting in group)
            if self._on_sync is not None and reason is None:
                self._on_sync(time.perf_counter() - began, len(group))
            for waiting in group:
                waiting.done(reason)

    def _next_group(self) -> list[_Waiting]:
        """Everything that waits, up to 64 MiB; empty when closing and nothing waits."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            size, count = 0, 0
            while count < len(self._queue) and (not count or size < _GROUP_BYTES):
                size += len(self._queue[count].entry.body)
                count += 1
            group, self._queue = self._queue[:count], self._queue[count:]
            return group


def _call(loop: asyncio.AbstractEventLoop, settle: Callable[[str | None], None], reason: str | None) -> None:
    try:
        loop.call_soon_threadsafe(settle, reason)
    except RuntimeError:  # the loop is closed: nobody waits
        _log.debug("a request ended before its entry was written")
