"""The segment log: what was appended comes back, whatever a crash or a bad disk did to the rest."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from insights_pipeline.receiver.segments import (
    Entry,
    SegmentWriter,
    backlog_bytes,
    folder_id,
    read_entries,
    refused,
    remove_through,
    segments,
)


def entry(number: int, *, size: int = 100) -> Entry:
    body = f"{number:08d}".encode() + os.urandom(max(0, size - 8))
    return Entry("otlp.traces", number, "application/x-protobuf", {"n": str(number)}, None, "acme", body)


def numbers(folder: Path, after: int = 0) -> list[int]:
    return [found.received_ns for _, found in read_entries(folder, after) if found.kind != "refused"]


def losses(folder: Path, after: int = 0) -> list[str]:
    return [found.headers["reason"] for _, found in read_entries(folder, after) if found.kind == "refused"]


def damage(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def written(folder: Path, count: int = 5) -> tuple[list[int], Path]:
    """Positions of entries in one segment, and its file."""
    writer = SegmentWriter(folder)
    positions = [writer.append([entry(number)]) for number in range(1, count + 1)]
    writer.close()
    return positions, segments(folder)[0].path


def test_entries_come_back_as_they_were_with_growing_positions(tmp_path: Path) -> None:
    sent = [entry(number, size=size) for number, size in enumerate([0, 1, 5_000, 3_000_000], start=1)]
    writer = SegmentWriter(tmp_path)
    end = writer.append(sent)
    found = list(read_entries(tmp_path, 0))
    assert [item for _, item in found] == sent
    assert [place for place, _ in found] == sorted({place for place, _ in found})
    assert found[-1][0] == end == writer.position


def test_a_reader_goes_on_from_any_position_it_was_given(tmp_path: Path) -> None:
    positions, _ = written(tmp_path)
    for read, position in enumerate(positions, start=1):
        assert numbers(tmp_path, position) == list(range(read + 1, 6))


def test_a_reader_of_a_live_segment_stops_and_goes_on_later(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    end = writer.append([entry(1)])
    assert numbers(tmp_path, end) == []
    writer.append([entry(2)])
    assert numbers(tmp_path, end) == [2]


def test_every_writer_and_every_full_segment_begins_a_new_file(tmp_path: Path) -> None:
    first = SegmentWriter(tmp_path, segment_bytes=1_000)
    for number in range(1, 31):
        first.append([entry(number)])
    count = len(segments(tmp_path))
    assert count > 3
    SegmentWriter(tmp_path).append([entry(31)])
    assert len(segments(tmp_path)) == count + 1
    assert numbers(tmp_path) == list(range(1, 32))


def test_starting_without_traffic_makes_no_files(tmp_path: Path) -> None:
    for _ in range(3):
        SegmentWriter(tmp_path).close()
    assert segments(tmp_path) == []
    assert list(read_entries(tmp_path, 0)) == []


def test_entries_appended_while_reading_are_not_skipped_when_a_new_segment_begins(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, segment_bytes=1)
    writer.append([entry(1)])
    reader = read_entries(tmp_path, 0)
    assert next(reader)[1].received_ns == 1
    for number in (2, 3, 4):
        writer.append([entry(number)])
    assert [found.received_ns for _, found in reader] == [2, 3, 4]


@pytest.mark.parametrize("kept", [1, 7, 8, 12, 19, 20, 60, 150])
def test_a_torn_tail_ends_the_segment_without_a_word(tmp_path: Path, kept: int) -> None:
    positions, path = written(tmp_path)
    end = positions[-2] & (2**40 - 1)
    os.truncate(path, end + kept)
    assert (numbers(tmp_path), losses(tmp_path)) == ([1, 2, 3, 4], [])
    SegmentWriter(tmp_path).append([entry(6)])  # the segment is closed now
    assert (numbers(tmp_path), losses(tmp_path)) == ([1, 2, 3, 4, 6], [])


def test_zeros_that_a_power_cut_left_are_a_torn_tail(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    os.truncate(path, path.stat().st_size + 5_000)
    SegmentWriter(tmp_path).append([entry(6)])
    assert (numbers(tmp_path), losses(tmp_path)) == ([1, 2, 3, 4, 5, 6], [])


@pytest.mark.parametrize("place", [0, 8, 9, 13, 17, 25, 150])
@pytest.mark.parametrize("is_closed", [False, True])
def test_damage_in_the_middle_costs_one_record_and_is_told(
    tmp_path: Path, place: int, is_closed: bool
) -> None:
    positions, path = written(tmp_path)
    before, after = positions[1] & (2**40 - 1), positions[2] & (2**40 - 1)
    old = path.read_bytes()[before + place]
    damage(path, before + place, bytes([old ^ 0xFF]))
    if is_closed:
        SegmentWriter(tmp_path).append([entry(6)])
    assert numbers(tmp_path) == [1, 2, 4, 5] + [6] * is_closed
    assert losses(tmp_path) == [
        f"{after - before:,} bytes at byte {before:,} of {path.name} are damaged",
    ]
    assert numbers(tmp_path, positions[2]) == [4, 5] + [6] * is_closed


def test_a_damaged_last_record_of_a_closed_segment_is_told(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    damage(path, path.stat().st_size - 1, b"\x00\x00")
    SegmentWriter(tmp_path).append([entry(6)])
    assert numbers(tmp_path) == [1, 2, 3, 4, 6]
    assert len(losses(tmp_path)) == 1


def test_a_body_that_looks_like_records_is_not_read_as_records_after_damage(tmp_path: Path) -> None:
    _, path = written(tmp_path / "other")
    forged = path.read_bytes()
    writer = SegmentWriter(tmp_path / "log")
    end = writer.append([entry(1)])
    writer.append([entry(2)._replace(body=forged)])
    writer.append([entry(3)])
    damage(segments(tmp_path / "log")[0].path, (end & (2**40 - 1)) + 30, b"\xff\xff")
    assert numbers(tmp_path / "log") == [1, 3]


def test_segments_that_were_read_are_removed_but_never_the_newest(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, segment_bytes=1)
    positions = [writer.append([entry(number)]) for number in range(1, 6)]
    assert backlog_bytes(tmp_path, 0) == sum(item.path.stat().st_size for item in segments(tmp_path))
    remove_through(tmp_path, positions[2])
    assert [item.number for item in segments(tmp_path)] == [4, 5]
    assert numbers(tmp_path, positions[2]) == [4, 5]
    remove_through(tmp_path, positions[4])
    assert [item.number for item in segments(tmp_path)] == [5]
    assert backlog_bytes(tmp_path, positions[4]) == 0
    assert SegmentWriter(tmp_path).append([entry(6)]) > positions[4]


def test_a_segment_that_is_only_partly_read_stays(tmp_path: Path) -> None:
    positions, path = written(tmp_path)
    SegmentWriter(tmp_path).append([entry(6)])
    remove_through(tmp_path, positions[3])
    assert path.exists()


def test_a_log_begun_anew_has_another_name(tmp_path: Path) -> None:
    first = folder_id(tmp_path / "one")
    assert folder_id(tmp_path / "one") == first
    assert folder_id(tmp_path / "two") != first


def test_a_refused_entry_keeps_the_first_thousand_bytes(tmp_path: Path) -> None:
    SegmentWriter(tmp_path).append([refused(b"x" * 5_000, reason="why", remedy="what", received_ns=7)])
    [(_, found)] = read_entries(tmp_path, 0)
    assert (found.kind, found.headers, found.body) == (
        "refused",
        {"reason": "why", "remedy": "what"},
        b"x" * 1_000,
    )


@pytest.fixture
def limit_file_size() -> Callable[[int], None]:
    """Writes beyond so many bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # type: ignore[misc]
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_fails_leaves_no_trace_and_the_next_one_succeeds(
    tmp_path: Path, limit_file_size: Callable[[int], None]
) -> None:
    writer = SegmentWriter(tmp_path)
    position = writer.append([entry(1)])
    size = segments(tmp_path)[0].path.stat().st_size
    limit_file_size(size + 1_000)
    with pytest.raises(OSError, match="File too large"):
        writer.append([entry(2), entry(3, size=5_000)])
    assert segments(tmp_path)[0].path.stat().st_size == size
    assert writer.position == position
    writer.append([entry(4)])
    assert numbers(tmp_path) == [1, 4]


def test_failing_again_and_again_does_not_fill_the_folder(
    tmp_path: Path, limit_file_size: Callable[[int], None]
) -> None:
    writer = SegmentWriter(tmp_path)
    limit_file_size(50)
    for _ in range(5):
        with pytest.raises(OSError, match="File too large"):
            writer.append([entry(1)])
    assert [item.number for item in segments(tmp_path)] == [5]
    limit_file_size(100_000)
    writer.append([entry(2)])
    assert ([item.number for item in segments(tmp_path)], numbers(tmp_path)) == ([6], [2])


_WRITER = """
import os, sys
from pathlib import Path
from insights_pipeline.receiver.segments import Entry, SegmentWriter
writer = SegmentWriter(Path(sys.argv[1]), segment_bytes=200_000)
number = int(sys.argv[2])
while True:
    number += 1
    writer.append([Entry("otlp.traces", number, "", {}, None, None, os.urandom(20_000))])
    print(number, flush=True)
"""


def test_everything_acknowledged_before_a_kill_is_read_after_it(tmp_path: Path) -> None:
    acknowledged = 0
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.05 * round_)
            process.kill()
            acknowledged = max(map(int, [first, *process.stdout.read().split()]))
        found = numbers(tmp_path)
        assert set(range(1, acknowledged + 1)) <= set(found)
        assert losses(tmp_path) == []
