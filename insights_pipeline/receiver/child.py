"""The drain as a child process: started, started again after a crash, asked to finish at the end."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

import orjson

_log = logging.getLogger(__name__)
DRAIN = (sys.executable, "-m", "insights_pipeline.receiver.drain")
_LONGEST_PAUSE = 30.0
_SOUND_SECONDS = 60.0  # a drain that ran so long starts again without a pause that grew


class DrainChild:
    """Keeps one child running. Its options go to its stdin as a line of JSON, where nobody sees them.

    The pipe stays open: when this process dies, however it dies, the child reads the end of it and stops.
    """

    def __init__(self, options: Mapping[str, Any], *, command: Sequence[str] = DRAIN) -> None:
        self._line = orjson.dumps(dict(options)) + b"\n"
        self._command = list(command)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._trouble: str | None = "the drain has not started yet"
        self._thread = threading.Thread(target=self._run, name="drain-child", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def trouble(self) -> str | None:
        """Why the drain does not run, None while it does."""
        return self._trouble

    def stop(self, seconds: float) -> bool:
        """Ask it to bring its backlog in and end; after so many seconds it is killed, which loses nothing.

        One that had crashed is started once more for that. True when it ended by itself and said that all was drained.
        """
        with self._lock:
            self._stopping.set()
            try:
                process = self._process or self._spawned()
            except OSError:
                return False
            assert process.stdin is not None
            _close(process.stdin)  # no signal: it may not listen to signals yet, and would leave the backlog
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _log.warning(
                "the drain did not finish in %.0f s; what is left is drained at the next start", seconds
            )
            process.kill()
            code = process.wait()
        if self._thread.is_alive():
            self._thread.join(5)
        return code == 0

    def _run(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _SOUND_SECONDS:
                pause = 1.0
            self._trouble = f"the drain ended with exit code {code}"
            _log.warning("the drain ended with exit code %s; it starts again in %.0f s", code, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _run_once(self) -> int | str:
        """The child's exit code, or why it could not be started."""
        with self._lock:
            if self._stopping.is_set():
                return 0
            try:
                process = self._process = self._spawned()
            except OSError as error:
                return str(error)
            self._trouble = None
        code = process.wait()
        with self._lock:
            self._process = None
            assert process.stdin is not None
            _close(process.stdin)
        return code

    def _spawned(self) -> subprocess.Popen[bytes]:
        """A drain that has its options. In a session of its own: Ctrl-C reaches the receiver alone, which then asks."""
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        try:
            process.stdin.write(self._line)
            process.stdin.flush()
        except BrokenPipeError:
            _log.debug("the drain ended before it read its options; its exit code tells")
        return process


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:  # what was not yet written has no reader
        _log.debug("the drain did not read its options")
