"""The loop of the drain: read on, fill a batch, append it while the next one is read, remember, remove."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from insights_pipeline.receiver.appends import Appender, Connect, Landed
from insights_pipeline.receiver.filling import Filling, Reading, Sealed
from insights_pipeline.receiver.pending import Pending, open_state, position_of, store_position
from insights_pipeline.receiver.progress import Progress
from insights_pipeline.receiver.segments import folder_id, read_entries, remove_through
from insights_pipeline.receiver.suspects import Suspects
from insights_pipeline.receiver.unplaced import Unplaced

_POLL_S = 0.2
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0
# A batch that never fills (bodies without rows) is ended after so many times `seconds`, so that the log shrinks.
_PATIENCE = 12
_T = TypeVar("_T")


class BatchSize(NamedTuple):
    """A batch is appended when it has so many rows, or characters, or else so many seconds after its first entry."""

    rows: int = 20_000
    chars: int = 32 * 2**20
    seconds: float = 5.0


class StoppedError(Exception):
    """The time to finish is over; what is not in the lake stays in the log."""


class Drain:
    """Brings one log into one lake. Only one drain of a folder runs at a time.

    `told` turns an error of the lake into the text of `drain.json`; without it the first error is raised, with it
    the drain tries again for ever. Raises ValueError when another drain keeps the folder for `lock_seconds`: that of
    a receiver that was killed finishes first.
    """

    def __init__(
        self,
        folder: Path,
        connect: Connect,
        *,
        size: BatchSize | None = None,
        reading: Reading | None = None,
        told: Callable[[BaseException], str] | None = None,
        finish_seconds: float = 25.0,
        lock_seconds: float = 0.0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.progress = Progress(folder)
        self._folder = folder
        self._size = size or BatchSize()
        self._told = told
        self._finish_seconds = finish_seconds
        self._deadline: float | None = None
        self._lock = _locked(folder / "drain.lock", seconds=lock_seconds)
        self._log = folder_id(folder)
        self._state = open_state(folder / "pending.db")
        self._pending = Pending(self._state)
        self._unplaced = Unplaced(self._state)
        self._filling = Filling(self._pending, reading or Reading())
        self._appender = Appender(connect, self._log)
        self._flight: tuple[Sealed, Future[Landed]] | None = None
        self._position = self.progress.position = position_of(self._state, self._log)
        self._suspects = Suspects(self._state, self._log, folder)
        self._cuts: set[int] = set()

    def close(self) -> None:
        """Free the folder for another drain, after an append that is under way."""
        if self._flight is not None:
            self._flight[1].exception()
        self._state.close()
        os.close(self._lock)

    def run(self, stop: threading.Event, *, keep_alive: bool) -> bool:
        """Drain until `stop`, or without `keep_alive` until the end of the log; whether all of the log was drained.

        After `stop` what is in the log is finished within `finish_seconds`.
        """
        self.progress.publish()
        try:
            stored = self._insist(self._appender.stored, stop)
            # Batches of a killed drain: cut at the same places, a table either has a batch or lacks it.
            self._cuts = {position for position in stored.values() if position > self._position}
            while not stop.is_set():
                self._read(stop)
                if not keep_alive:
                    break
                if self._filling.entries and time.monotonic() - self._filling.since >= self._size.seconds:
                    self._send(self._filling.seal(self._position), stop)
                self._land(stop, wait=False)
                self.progress.beat()
                stop.wait(_POLL_S)
            return self._finish(stop)
        except StoppedError:
            return False
        finally:
            with suppress(sqlite3.Error):
                self._suspects.progress()  # it ends, but does not die
            self.progress.publish()

    def _finish(self, stop: threading.Event) -> bool:
        self._read(stop)
        if self._filling.entries:
            self._send(self._filling.seal(self._position), stop)
        self._land(stop, wait=True)
        return True

    def _read(self, stop: threading.Event) -> None:
        """Take entries to the end of the log, sealing full batches on the way."""
        for position, found in read_entries(self._folder, self._position):
            self._check(stop)
            is_alone = self._suspects.careful
            entry = self._suspects.checked(position, found) if is_alone else found
            for cut in self._filling.take(position, entry):
                part = self._filling.seal(self._position + cut, checkpoint=self._position)
                self._send(part, stop)
            self._position = position
            if is_alone or self._is_full() or position in self._cuts:
                sealed = self._filling.seal(position)
                if is_alone:
                    self._suspects.acquit()
                self._send(sealed, stop)
            if is_alone:  # so that after a death reading begins with the entry that was noted
                self._land(stop, wait=True)
            self.progress.beat()
        self._suspects.careful = False

    def _is_full(self) -> bool:
        filling, size = self._filling, self._size
        return (
            filling.size >= size.rows
            or filling.chars >= size.chars
            or time.monotonic() - filling.since >= _PATIENCE * size.seconds
        )

    def _send(self, sealed: Sealed, stop: threading.Event) -> None:
        """Append a batch in the background, once the one before it has landed."""
        self._land(stop, wait=True)
        future: Future[Landed] = Future()

        def work() -> None:
            try:
                future.set_result(self._insist(lambda: self._appender.append(sealed, self._unplaced), stop))
            except BaseException as error:  # noqa: BLE001 – raised where the result is asked for
                future.set_exception(error)

        threading.Thread(target=work, name="append", daemon=True).start()
        self._flight = sealed, future

    def _land(self, stop: threading.Event, *, wait: bool) -> None:
        """Remember a batch that is in the lake; only then is its part of the log removed."""
        if self._flight is None:
            return
        sealed, future = self._flight
        while not future.done():
            if not wait:
                return
            self._check(stop)
            with suppress(TimeoutError):
                future.exception(timeout=_POLL_S)
            self.progress.beat()
        landed = future.result()
        self._flight = None
        self._insist(lambda: self._remember(sealed, landed), stop)
        self._insist(lambda: remove_through(self._folder, sealed.checkpoint), stop)
        self.progress.count(landed.rows, ignored_logs=sealed.ignored_logs, position=sealed.checkpoint)
        self.progress.publish()

    def _remember(self, sealed: Sealed, landed: Landed) -> None:
        state = self._state
        state.execute("BEGIN IMMEDIATE")
        try:
            self._pending.store(sealed.runs)
            self._unplaced.store(landed.changes, now_ns=sealed.newest_ns)
            store_position(state, self._log, sealed.checkpoint)
            self._suspects.progress()
            state.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                state.execute("ROLLBACK")
            raise
        self._pending.stored(sealed.runs)

    def _insist(self, action: Callable[[], _T], stop: threading.Event) -> _T:
        """Do it until it is done: a lake that cannot be written is waited for, and nothing is lost meanwhile."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                done = action()
            except Exception as error:
                if self._told is None:
                    raise
                self.progress.error = self._told(error)
                self.progress.publish()
            else:
                self.progress.error = (
                    None  # also without a batch: not ready, the receiver would never get one
                )
                return done
            until = time.monotonic() + wait
            while time.monotonic() < until:
                self._check(stop)
                self.progress.beat()
                time.sleep(min(_POLL_S, wait))
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _check(self, stop: threading.Event) -> None:
        """Raises StoppedError when it is time to end without having finished."""
        if not stop.is_set():
            return
        if self._deadline is None:
            self._deadline = time.monotonic() + self._finish_seconds
        if time.monotonic() > self._deadline:
            raise StoppedError


def _locked(path: Path, *, seconds: float) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(handle)
                raise ValueError(
                    f"{path.parent}: another drain is reading this folder; stop it first"
                ) from None
            time.sleep(_POLL_S)
        else:
            return handle
