"""Group commit: nothing is acknowledged that is not synced, and waiting requests share a sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from insights_pipeline.receiver import writer as writer_module
from insights_pipeline.receiver.segments import Entry, SegmentWriter, read_entries
from insights_pipeline.receiver.writer import GroupWriter, NotWrittenError


def entry(number: int, size: int = 10) -> Entry:
    return Entry("otlp.traces", number, "", {}, None, None, bytes(size))


class SlowLog(SegmentWriter):
    """A real log whose appends can be held back, and can fail as a disk does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.go = threading.Event()
        self.began = threading.Event()
        self.fails = False
        self.groups: list[int] = []

    def append(self, entries: Sequence[Entry]) -> int:
        self.began.set()
        assert self.go.wait(10)
        if self.fails:
            raise OSError(28, "No space left on device")
        self.groups.append(len(entries))
        return super().append(entries)


def test_requests_that_wait_for_a_sync_share_the_next_one(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    syncs: list[int] = []
    writer = GroupWriter(log, on_sync=lambda _, count: syncs.append(count))

    async def run() -> None:
        first = asyncio.create_task(writer.write(entry(0)))
        await asyncio.to_thread(log.began.wait, 10)
        others = [asyncio.create_task(writer.write(entry(number))) for number in range(1, 20)]
        await asyncio.sleep(0.05)
        assert not first.done()
        assert writer.queued_bytes == 200
        log.go.set()
        await asyncio.gather(first, *others)

    asyncio.run(run())
    writer.close()
    assert log.groups == syncs == [1, 19]
    assert [found.received_ns for _, found in read_entries(tmp_path, 0)] == list(range(20))
    assert writer.queued_bytes == 0


def test_threads_and_a_loop_may_write_at_once(tmp_path: Path) -> None:
    writer = GroupWriter(SegmentWriter(tmp_path))

    async def run() -> None:
        await asyncio.gather(*(writer.write(entry(number)) for number in range(50)))

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(writer.write_blocking, entry(number)) for number in range(50, 100)]
        asyncio.run(run())
        for future in waiting:
            future.result(10)
    writer.close()
    assert sorted(found.received_ns for _, found in read_entries(tmp_path, 0)) == list(range(100))


def test_a_failing_disk_is_told_to_each_of_the_group_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_PAUSE_SECONDS", 0.0)
    log = SlowLog(tmp_path)
    log.fails = True
    log.go.set()
    writer = GroupWriter(log)

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(
            *(writer.write(entry(number)) for number in range(5)), return_exceptions=True
        )

    for error in asyncio.run(run()):
        assert isinstance(error, NotWrittenError)
        assert "No space left on device" in str(error)
    assert writer.failure is not None
    log.fails = False
    writer.write_blocking(entry(7))
    assert writer.failure is None
    writer.close()
    assert [found.received_ns for _, found in read_entries(tmp_path, 0)] == [7]


def test_after_a_failure_the_disk_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    log.fails = True
    log.go.set()
    writer = GroupWriter(log)
    with pytest.raises(NotWrittenError):
        writer.write_blocking(entry(1))
    log.began.clear()
    with pytest.raises(NotWrittenError, match="No space left"):
        writer.write_blocking(entry(2))
    assert not log.began.is_set()
    writer.close()


def test_closing_writes_what_waits_and_then_refuses(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    writer = GroupWriter(log)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(writer.write_blocking, entry(number)) for number in range(4)]
        assert log.began.wait(10)
        while writer.queued_bytes < 40:
            threading.Event().wait(0.005)
        log.go.set()
        writer.close()
        for future in waiting:
            future.result(10)
    with pytest.raises(NotWrittenError, match="stopping"):
        writer.write_blocking(entry(9))
    assert len(list(read_entries(tmp_path, 0))) == 4


def test_a_request_that_gave_up_does_no_harm(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    writer = GroupWriter(log)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.write(entry(1)), 0.05)
        log.go.set()
        await writer.write(entry(2))

    asyncio.run(run())
    writer.write_blocking(entry(3))
    writer.close()
    assert [found.received_ns for _, found in read_entries(tmp_path, 0)] == [1, 2, 3]


def test_a_loop_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    log = SlowLog(tmp_path)
    writer = GroupWriter(log)

    async def run() -> None:
        task = asyncio.create_task(writer.write(entry(1)))
        await asyncio.to_thread(log.began.wait, 10)
        task.cancel()

    asyncio.run(run())
    log.go.set()
    writer.write_blocking(entry(2))
    writer.close()
    assert len(list(read_entries(tmp_path, 0))) == 2
