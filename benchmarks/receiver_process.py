"""`insights receive` as a process of its own: started, killed, stopped, and measured through /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from insights_pipeline.receiver.segments import backlog_bytes

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY_SECONDS = 0.05
COMMAND = (sys.executable, "-m", "insights_pipeline.cli.app", "receive")


@dataclass(slots=True)
class Usage:
    """Of one role over all its processes: peak memory of any, CPU seconds of all."""

    peak_mb: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu.values())


class ReceiverProcess:
    """A receiver with its drain, on a folder and a lake below `home`.

    `environment` holds further INSIGHTS_ settings, `options` further options of the command.
    `start` may be called again after `kill` and `stop`, on the same port.
    """

    def __init__(
        self, home: Path, *, port: int, environment: dict[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        self.home = home
        self.port = port
        self.door = Usage()
        self.drain = Usage()
        self._environment = environment or {}
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lake_uri(self) -> str:
        return str(self.home / "lake")

    @property
    def folder(self) -> Path:
        return self.home / "receiver"

    @property
    def log(self) -> str:
        return (self.home / "receiver.log").read_text()

    def start(self, *, wait: bool = True) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "receiver.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "--port", str(self.port), *self._options],
                cwd=self.home,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "INSIGHTS_LAKE_URI": self.lake_uri,
                    "INSIGHTS_RECEIVER_DIR": str(self.folder),
                    "INSIGHTS_TEMP_DIR": str(self.home / "tmp"),
                    **self._environment,
                },
            )
        self._ended.clear()
        self._watch = threading.Thread(target=self._measure, args=(self._process.pid,), daemon=True)
        self._watch.start()
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Raises RuntimeError when it ends or says nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the receiver ended:\n{self.log[-4000:]}")
            if self.is_up():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the receiver was not ready after {seconds:.0f} s:\n{self.log[-4000:]}")

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def drain_state(self) -> dict[str, Any]:
        """What the drain last said of itself; empty before its first word."""
        path = self.folder / "drain.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def backlog_bytes(self) -> int:
        """Bytes of the log that are not in the lake yet."""
        return backlog_bytes(self.folder, int(self.drain_state().get("position", 0)))

    def drain_pid(self) -> int | None:
        return next(iter(_children(self._process.pid)), None) if self._process else None

    def kill_door(self) -> None:
        """kill -9; the drain of it reads the end of its input and finishes by itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._stop_watching()

    def kill_drain(self) -> bool:
        """kill -9 of the drain alone; False when there was none just then."""
        pid = self.drain_pid()
        return pid is not None and _killed(pid)

    def kill_both(self) -> None:
        pid = self.drain_pid()
        self.kill_door()
        if pid is not None:
            _killed(pid)

    def stop(self, seconds: float = 120) -> int:
        """SIGTERM; the exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(seconds)
        self._stop_watching()
        return code

    def rss_mb(self) -> float:
        """Memory of the door now."""
        assert self._process is not None
        return _status(self._process.pid, "VmRSS:")

    def forget_peak(self) -> None:
        """Begin a new `recent_peak_mb`."""
        assert self._process is not None
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def recent_peak_mb(self) -> float:
        """The most memory the door had since `forget_peak`."""
        assert self._process is not None
        return _status(self._process.pid, "VmHWM:")

    def _stop_watching(self) -> None:
        self._ended.set()
        if self._watch is not None:
            self._watch.join()

    def _measure(self, pid: int) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            _look(pid, self.door)
            for child in _children(pid):
                _look(child, self.drain)


def _look(pid: int, usage: Usage) -> None:
    usage.peak_mb = max(usage.peak_mb, _status(pid, "VmHWM:"))
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return
    usage.cpu[pid] = (int(fields[11]) + int(fields[12])) / _TICKS


def _status(pid: int, name: str) -> float:
    """A figure of /proc/PID/status in MiB; 0 when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
