"""The drain's keeper, with real processes: started, started again, asked to finish, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from insights_pipeline.receiver.child import DrainChild

OBEDIENT = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
line = sys.stdin.readline()
(folder / f"started-{os.getpid()}").write_text(line)
sys.stdin.readline()
(folder / "stopped").write_text("")
"""
STUBBORN = OBEDIENT + "import time; time.sleep(60)"
FAILING = "import sys; sys.exit(7)"


def eventually(check: Callable[[], object], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def started(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("started-*"))


def child_of(script: str, folder: Path) -> DrainChild:
    return DrainChild({"lake_uri": "x", "secret": "s"}, command=[sys.executable, "-c", script, str(folder)])


def test_the_options_go_to_its_input_and_not_to_its_arguments(tmp_path: Path) -> None:
    child = child_of(OBEDIENT, tmp_path)
    assert child.trouble() == "the drain has not started yet"
    child.start()
    eventually(lambda: started(tmp_path))
    [process] = started(tmp_path)
    assert orjson.loads((tmp_path / f"started-{process}").read_text()) == {"lake_uri": "x", "secret": "s"}
    eventually(lambda: child.trouble() is None)
    assert child.stop(20) is True
    assert (tmp_path / "stopped").exists()


def test_one_that_is_stopped_before_it_has_come_up_still_does_its_work(tmp_path: Path) -> None:
    child = child_of(OBEDIENT, tmp_path)
    child.start()
    eventually(lambda: child.trouble() is None)
    assert child.stop(20) is True
    assert (tmp_path / "stopped").exists()


def test_after_a_crash_it_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    child = child_of(OBEDIENT, tmp_path)
    child.start()
    eventually(lambda: started(tmp_path))
    os.kill(started(tmp_path)[0], signal.SIGKILL)
    eventually(lambda: child.trouble() == "the drain ended with exit code -9")
    eventually(lambda: len(started(tmp_path)) == 2 and child.trouble() is None)
    assert "the drain ended with exit code -9; it starts again in 1 s" in caplog.text
    assert child.stop(20) is True


def test_one_that_fails_at_once_is_tried_again_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    child = DrainChild({}, command=[sys.executable, "-c", FAILING])
    child.start()
    eventually(lambda: "exit code 7; it starts again in 2 s" in caplog.text)
    assert child.trouble() == "the drain ended with exit code 7"
    child.stop(5)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    child = DrainChild({}, command=[str(tmp_path / "nothing")])
    child.start()
    eventually(lambda: "No such file" in (child.trouble() or ""))
    assert child.stop(5) is False


def test_one_that_does_not_finish_in_time_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    child = child_of(STUBBORN, tmp_path)
    child.start()
    eventually(lambda: started(tmp_path))
    assert child.stop(0.3) is False
    assert "did not finish in" in caplog.text
    with pytest.raises(ProcessLookupError):
        os.kill(started(tmp_path)[0], 0)


_PARENT = """
import sys, time
from insights_pipeline.receiver.child import DrainChild
child = DrainChild({}, command=[sys.executable, "-c", sys.argv[1], sys.argv[2]])
child.start()
time.sleep(60)
"""


def test_it_sees_the_end_of_its_input_when_the_receiver_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT, OBEDIENT, str(tmp_path)]) as parent:
        eventually(lambda: started(tmp_path))
        parent.kill()
    eventually((tmp_path / "stopped").exists)


def test_one_that_crashed_is_started_once_more_to_bring_the_backlog_in(tmp_path: Path) -> None:
    child = child_of(OBEDIENT, tmp_path)
    child.start()
    eventually(lambda: started(tmp_path))
    os.kill(started(tmp_path)[0], signal.SIGKILL)
    eventually(lambda: child.trouble() == "the drain ended with exit code -9")
    assert child.stop(20) is True
    assert len(started(tmp_path)) == 2 and (tmp_path / "stopped").exists()
