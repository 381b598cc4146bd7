"""Back-pressure: when the receiver says 503 instead of taking more than memory, disk or drain can bear."""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

from insights_pipeline.receiver.config import MIB, ReceiverConfig
from insights_pipeline.receiver.progress import FILE, published
from insights_pipeline.receiver.segments import backlog_bytes
from insights_pipeline.receiver.writer import GroupWriter

RETRY_AFTER_SECONDS = 1
_REFRESH_SECONDS = 1.0


class DrainState(NamedTuple):
    """What the drain last published; `age_seconds` is None when it has published nothing yet."""

    values: dict[str, object]
    age_seconds: float | None

    def number(self, name: str) -> float | None:
        value = self.values.get(name)
        return float(value) if isinstance(value, (int, float)) else None


class OverloadedError(Exception):
    """Refuse with 503 and Retry-After; the message says what is short."""


class Limits:
    """Counts the bytes of requests under way and looks at backlog and disk once a second. Thread-safe."""

    def __init__(self, config: ReceiverConfig, writer: GroupWriter) -> None:
        self._config = config
        self._writer = writer
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self.in_flight = 0
        self.backlog = 0
        self.free_bytes = 0
        self.drain = DrainState({}, None)

    def check(self, expected_bytes: int = 0) -> None:
        """Raises OverloadedError when a body of so many bytes should not be read now."""
        if self.in_flight + expected_bytes > self._config.in_flight_bytes:
            raise OverloadedError("too many requests are under way")
        if self._writer.queued_bytes > self._config.queue_bytes:
            raise OverloadedError("the disk is slower than what arrives")
        for reason in self.shortages():
            raise OverloadedError(reason)

    def grow(self, size: int) -> None:
        """Count bytes that were read. Raises OverloadedError, without counting them, when they are too many."""
        with self._lock:
            if self.in_flight + size > self._config.in_flight_bytes:
                raise OverloadedError("too many requests are under way")
            self.in_flight += size

    def shrink(self, size: int) -> None:
        with self._lock:
            self.in_flight -= size

    def shortages(self) -> list[str]:
        """What is short on disk, by looks at most a second old."""
        try:
            self.look()
        except OSError as error:
            self._looked_at = float("-inf")
            return [f"the folder of the log cannot be read ({error.strerror})"]
        found = []
        if self.free_bytes < self._config.min_free_mb * MIB:
            found.append(f"less than {self._config.min_free_mb} MiB of disk are free")
        if self.backlog > self._config.max_backlog_mb * MIB:
            found.append(f"more than {self._config.max_backlog_mb} MiB wait for the drain")
        return found

    def look(self) -> None:
        """Refresh backlog, free disk and the drain's state when they are older than a second."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at < _REFRESH_SECONDS:
                return
            self._looked_at = now
        self.drain = self._drain_state()
        self.backlog = backlog_bytes(self._config.folder, int(self.drain.number("position") or 0))
        disk = os.statvfs(self._config.folder)
        self.free_bytes = disk.f_bavail * disk.f_frsize

    def _drain_state(self) -> DrainState:
        values = published(self._config.folder)
        try:
            age = time.time() - (self._config.folder / FILE).stat().st_mtime
        except OSError:
            return DrainState({}, None)
        return DrainState(values, age)
