"""The drain as a process: killed at any moment, told to stop, without a lake – each row is in the lake once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from insights_pipeline.lake import DuckDBEngine, Lake
from insights_pipeline.receiver import filling
from insights_pipeline.receiver.drain import drain_once
from insights_pipeline.receiver.draining import BatchSize
from insights_pipeline.receiver.segments import Entry, segments
from tests.receiver.drain_cases import (
    drain_process,
    entry,
    json_entry,
    rows,
    span_ids,
    spans_entry,
    write_log,
)
from tests.traces.otlp_cases import NOW, make_span, request

_PATIENCE_S = 240  # of a machine that does much else
WITHOUT_ID = request(make_span(trace_id=b"")).SerializeToString()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "receiver"


@pytest.fixture
def config(lake: Lake, folder: Path) -> dict[str, Any]:
    return {"lake_uri": lake.uri, "folder": str(folder), "batch_seconds": 0.3, "keep_alive": True}


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "drain.json").read_text())
    return found


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits for what must come; a drain that dies, or minutes without it, is a failure."""
    end = time.monotonic() + _PATIENCE_S
    try:
        while not condition():
            assert process.poll() is None, "the drain died"
            assert time.monotonic() < end, "it never came"
            time.sleep(0.05)
    except BaseException:
        process.kill()
        print(process.communicate()[1])  # noqa: T201 – why it died, beside the failure
        raise


def finished(process: subprocess.Popen[str]) -> int:
    _, error = process.communicate(timeout=_PATIENCE_S)
    assert error == ""
    return process.returncode


def score_entry(number: int, trace: int) -> Entry:
    body = {"id": f"score-{number}", "traceId": f"{trace:032x}", "name": "good", "value": number}
    return json_entry("langfuse.scores", body, received_ns=NOW + number)


def mixed_log(folder: Path, *, bodies: int) -> None:
    """Spans, rejects and scores all along, in many small segments."""
    entries: list[Entry] = []
    for number in range(bodies):
        entries.append(spans_entry(range(20 * number + 1, 20 * number + 21), received_ns=NOW + number))
        if number % 5 == 0:
            entries.append(entry(WITHOUT_ID, received_ns=NOW + number))
        if number % 7 == 0:
            entries.append(score_entry(number, trace=1))
    write_log(folder, *entries, segment_bytes=40_000)


def commits(lake: Lake) -> int:
    return sum(1 for _ in Path(lake.uri).glob("*/_delta_log/*.json"))


def test_a_drain_that_is_killed_at_any_moment_brings_each_row_once(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    """Killed a moment after one of the next commits to a table: amid a batch, or between it and its checkpoint."""
    bodies, kills = 250, 12
    mixed_log(folder, bodies=bodies)
    moments = random.Random(7)
    settings = {**config, "batch_rows": 100, "keep_alive": False}
    for _ in range(kills):
        wanted = commits(lake) + moments.randrange(5)
        process = drain_process(settings)
        until(lambda: commits(lake) >= wanted, process)  # noqa: B023
        time.sleep(moments.uniform(0.0, 0.05))
        assert process.poll() is None  # it was at work
        process.kill()
        process.communicate()
    assert finished(drain_process(settings)) == 0
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 20 * bodies + 1)]
    assert len(rows(lake, "rejects")) == bodies // 5
    assert len(segments(folder)) == 1
    scores = [row["score_id"] for row in rows(lake, "feedback")]
    assert sorted(scores) == sorted(f"score-{number}" for number in range(0, bodies, 7))


@pytest.mark.parametrize("appends", range(1, 12))
def test_a_kill_between_the_appends_of_two_tables_repeats_and_loses_nothing(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch, appends: int
) -> None:
    """The drain ends after so many appends, each time; batches have other sizes each time it starts again."""
    mixed_log(folder, bodies=30)
    append = lake.append
    left = 0

    def mortal(*args: Any, **options: Any) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        append(*args, **options)

    monkeypatch.setattr(lake, "append", mortal)
    for attempt in range(200):
        left = appends
        try:
            drain_once(lake, engine, folder, size=BatchSize(rows=37 + 11 * (attempt % 5)))
            break
        except KeyboardInterrupt:
            continue
    else:
        pytest.fail("it never ends")
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 601)]
    assert len(rows(lake, "rejects")) == 6
    assert sorted(row["score_id"] for row in rows(lake, "feedback")) == sorted(
        f"score-{number}" for number in range(0, 30, 7)
    )


def test_a_kill_after_a_commit_that_was_not_answered_repeats_nothing(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed_log(folder, bodies=30)
    append = lake.append
    calls = 0

    def deaf(table: str, table_rows: pa.Table, **options: Any) -> None:
        nonlocal calls
        append(table, table_rows, **options)
        calls += 1
        if calls % 2:
            raise ConnectionError("the answer got lost")

    monkeypatch.setattr(lake, "append", deaf)
    for _ in range(100):
        try:
            drain_once(lake, engine, folder, size=BatchSize(rows=45))
            break
        except ConnectionError:
            continue
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 601)]
    assert len(rows(lake, "rejects")) == 6


def test_a_kill_amid_the_parts_of_a_large_body_repeats_no_part(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "CUT_RECORDS", 50)
    write_log(
        folder, *(spans_entry([n]) for n in range(1, 8)), spans_entry(range(8, 508)), spans_entry([508])
    )
    append = lake.append
    for allowed in (3, 1, 2, 0, 4, 100):
        left = allowed

        def mortal(*args: Any, **options: Any) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            append(*args, **options)

        monkeypatch.setattr(lake, "append", mortal)
        try:
            drain_once(lake, engine, folder, size=BatchSize(rows=5 + allowed))
        except KeyboardInterrupt:
            assert allowed < 100
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 509)]


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_a_drain_that_is_told_to_stop_finishes_what_is_there(
    lake: Lake, folder: Path, config: dict[str, Any], how: str
) -> None:
    process = drain_process({**config, "batch_seconds": 600})
    until((folder / "drain.json").exists, process)
    write_log(folder, spans_entry(range(1, 50)))
    if how == "SIGTERM":
        process.terminate()
    assert finished(process) == 0
    assert len(span_ids(lake)) == 49
    assert told(folder)["spans"] == 49


def test_rows_appear_after_a_few_seconds_however_few_they_are(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    process = drain_process(config)
    for number in range(1, 4):
        position = write_log(folder, spans_entry([number]))
        until(lambda: (folder / "drain.json").exists() and told(folder)["position"] == position, process)  # noqa: B023
        assert len(span_ids(lake)) == number
    assert finished(process) == 0


def test_a_lake_that_cannot_be_written_is_waited_for(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    write_log(folder, *(spans_entry([n]) for n in range(1, 9)), segment_bytes=1)
    in_the_way = Path(lake.uri)
    in_the_way.write_text("a file where the lake should be")
    process = drain_process({**config, "storage_options": {"secret": "hush-hush", "where": str(in_the_way)}})
    until(lambda: (folder / "drain.json").exists() and told(folder)["error"] is not None, process)
    assert str(in_the_way) not in told(folder)["error"]  # stands for a credential: no option is ever shown
    assert (told(folder)["position"], len(segments(folder))) == (0, 8)
    in_the_way.unlink()
    until(lambda: told(folder)["spans"] == 8, process)
    assert told(folder)["error"] is None
    assert finished(process) == 0
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 9)]


def test_a_lake_that_is_back_is_told_before_anything_arrives(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    """A receiver that is not ready gets no traffic: it must not need some to be ready again."""
    Path(lake.uri).write_text("in the way")
    process = drain_process(config)
    until(lambda: (folder / "drain.json").exists() and told(folder)["error"] is not None, process)
    Path(lake.uri).unlink()
    until(lambda: told(folder)["error"] is None, process)
    assert finished(process) == 0


def test_a_lake_that_goes_away_in_between_is_waited_for(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    process = drain_process(config)
    write_log(folder, spans_entry([1]))
    until(lambda: (folder / "drain.json").exists() and told(folder)["spans"] == 1, process)
    there, away = Path(lake.uri), Path(lake.uri + "-away")
    there.rename(away)
    there.write_text("in the way")
    write_log(folder, spans_entry([2]))
    until(lambda: told(folder)["error"] is not None, process)
    write_log(folder, spans_entry([3]))
    there.unlink()
    away.rename(there)
    until(lambda: told(folder)["spans"] == 3, process)
    assert finished(process) == 0
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 4)]


def test_a_drain_that_must_stop_without_a_lake_says_so_and_loses_nothing(
    lake: Lake, folder: Path, config: dict[str, Any]
) -> None:
    write_log(folder, spans_entry([1]))
    Path(lake.uri).write_text("in the way")
    process = drain_process({**config, "finish_seconds": 0.5})
    until(lambda: (folder / "drain.json").exists() and told(folder)["error"] is not None, process)
    assert finished(process) == 3
    Path(lake.uri).unlink()
    assert finished(drain_process({**config, "keep_alive": False})) == 0
    assert len(span_ids(lake)) == 1


@pytest.mark.parametrize("line", ["", "{}", '{"lake_uri": "x", "folder": "y", "color": 1}', "[1]"])
def test_a_configuration_that_is_none_is_told_in_one_line(line: str) -> None:
    from insights_pipeline.receiver.drain import DrainConfig

    with pytest.raises(ValueError, match="configuration is wrong"):
        DrainConfig.from_line(line)


def test_a_body_that_kills_the_process_is_set_aside_and_the_traffic_behind_it_goes_on(
    lake: Lake, folder: Path
) -> None:
    """The process that reads a certain body is killed at once, as the kernel does when memory runs out."""
    deadly = spans_entry([50])
    write_log(
        folder, *(spans_entry([n]) for n in range(1, 6)), deadly, *(spans_entry([n]) for n in range(6, 9))
    )
    program = f"""
import os, signal, sys
from pathlib import Path
from insights_pipeline.lake import DuckDBEngine, Lake, connect_with, engine_config
from insights_pipeline.receiver import filling
from insights_pipeline.receiver.drain import drain_once
read = filling.records_of
def deadly(entry, **options):
    if b"question 50" in entry.body and entry.kind != "refused":
        os.kill(os.getpid(), signal.SIGKILL)
    return read(entry, **options)
filling.records_of = deadly
lake = Lake({lake.uri!r})
config = engine_config(threads=1, memory_mb=256, temp_dir=Path({str(folder / "spill")!r}))
drain_once(lake, DuckDBEngine(lake, connect_with(config)), Path({str(folder)!r}))
"""
    codes = []
    while len(codes) < 20 and (not codes or codes[-1]):
        codes.append(subprocess.run([sys.executable, "-c", program], check=False).returncode)
    assert codes[-1] == 0 and set(codes[:-1]) == {-signal.SIGKILL}
    assert span_ids(lake) == [f"{number:016x}" for number in range(1, 9)]
    [reject] = rows(lake, "rejects")
    assert "died 3 times" in reject["reason"] and "set-aside/" in reject["remedy"]
    [kept] = (folder / "set-aside").iterdir()
    assert kept.read_bytes() == deadly.body


def test_a_lake_that_fails_again_and_again_makes_no_body_a_suspect(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(folder, spans_entry([1]), spans_entry([2]))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(lake, "append", full)
        for _ in range(10):
            with pytest.raises(OSError, match="No space"):
                drain_once(lake, engine, folder)
    assert drain_once(lake, engine, folder).batches == 1
    assert len(span_ids(lake)) == 2 and rows(lake, "rejects") == []
