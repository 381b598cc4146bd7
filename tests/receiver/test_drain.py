from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from insights_pipeline.lake import DuckDBEngine, Lake
from insights_pipeline.receiver import filling, suspects
from insights_pipeline.receiver.drain import DrainReport, drain_once
from insights_pipeline.receiver.draining import BatchSize, Drain
from insights_pipeline.receiver.filling import Reading
from insights_pipeline.receiver.segments import Entry, folder_id, refused, segments
from tests.receiver.drain_cases import (
    entry,
    json_entry,
    rows,
    span_ids,
    spans_entry,
    write_log,
)
from tests.traces.otlp_cases import NOW, SECOND, START, make_span, request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "receiver"


def ids(numbers: range) -> list[str]:
    return [f"{number:016x}" for number in numbers]


def test_entries_become_rows_that_carry_the_time_of_their_arrival(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    position = write_log(
        folder, spans_entry([1, 2], received_ns=NOW), spans_entry([3], received_ns=NOW + SECOND)
    )
    report = drain_once(lake, engine, folder)
    assert report == DrainReport(
        position=position, spans=3, contents=0, scores=0, rejects=0, ignored_logs=0, batches=1
    )
    found = {row["span_id"]: row["ingested_ns"] for row in rows(lake, "spans")}
    assert found == {f"{1:016x}": NOW, f"{2:016x}": NOW, f"{3:016x}": NOW + SECOND}


def test_a_second_drain_has_nothing_to_do_and_the_next_entries_are_taken_up(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, spans_entry([1]))
    first = drain_once(lake, engine, folder)
    assert drain_once(lake, engine, folder) == DrainReport(first.position, 0, 0, 0, 0, 0, 0)
    write_log(folder, spans_entry([2]))
    assert drain_once(lake, engine, folder).spans == 1
    assert span_ids(lake) == ids(range(1, 3))


def test_what_a_key_stands_for_replaces_what_a_span_says(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    spans = request(make_span({"tenant.id": "x"}), resource={"deployment.environment": "dev"})
    write_log(folder, entry(spans.SerializeToString(), environment="production", tenant="acme"))
    drain_once(lake, engine, folder)
    [row] = rows(lake, "spans")
    assert (row["environment"], row["tenant_id"]) == ("production", "acme")


@pytest.mark.parametrize(
    "pack", [lambda body: body, gzip.compress, lambda body: pa.compress(body, "zstd", True)]
)
def test_bodies_are_decompressed_here(lake: Lake, engine: DuckDBEngine, folder: Path, pack: Any) -> None:
    plain = spans_entry(range(1, 30))
    write_log(folder, plain._replace(body=pack(plain.body)))
    assert drain_once(lake, engine, folder).spans == 29


POISON: dict[str, Entry] = {
    "noise": entry(bytes(range(256)) * 20),
    "cut": entry(spans_entry([9]).body[:-5]),
    "a broken stream": entry(gzip.compress(b"x" * 100_000)[:60]),
    "not JSON": entry(b"{" * 5_000, content_type="application/json"),
    "deep JSON": entry(b'{"resourceSpans":' + b"[" * 100_000, content_type="application/json"),
    "no id": entry(request(make_span(trace_id=b"")).SerializeToString()),
    "no multipart": entry(b"hello", "langsmith.multipart", content_type="multipart/form-data; boundary=x"),
    "no batch": entry(b"[1, 2", "langsmith.batch", content_type="application/json"),
    "no ingestion": entry(b"\xff\xfe\x00", "langfuse.ingestion", content_type="application/json"),
    "no score": json_entry("langfuse.scores", {"name": 1}),
    "no feedback": json_entry("langsmith.feedback", [None, 7, "x"]),
    "a kind of a later version": entry(b"x", "otlp2.things"),
}


@pytest.mark.parametrize("name", POISON)
def test_a_body_that_cannot_be_read_is_rejected_and_costs_no_other(
    lake: Lake, engine: DuckDBEngine, folder: Path, name: str
) -> None:
    write_log(folder, spans_entry([1]), POISON[name], spans_entry([2]))
    report = drain_once(lake, engine, folder)
    assert span_ids(lake) == ids(range(1, 3))
    found = rows(lake, "rejects")
    assert found and report.rejects == len(found)
    for row in found:
        assert row["source"].startswith("receiver") and row["position"].startswith("entry ")
        assert row["reason"] and row["remedy"] and len(row["raw"]) <= 2_000
        assert row["ingested_ns"] == NOW


def test_a_refused_body_is_a_reject_with_what_the_door_said(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, refused(b"GET / HTTP/0.9", reason="no body", remedy="send one", received_ns=NOW))
    drain_once(lake, engine, folder)
    [row] = rows(lake, "rejects")
    assert (row["reason"], row["remedy"], row["raw"]) == ("no body", "send one", "GET / HTTP/0.9")


def test_a_bug_of_a_reader_rejects_the_body_and_keeps_what_was_read_before(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from insights_pipeline.receiver import entries

    read = entries.read_records

    def failing(*args: Any, **options: Any) -> Any:
        yield from read(*args, **options)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(entries, "read_records", failing)
    write_log(folder, spans_entry([1]), spans_entry([2]))
    assert drain_once(lake, engine, folder).spans == 2
    assert {row["reason"] for row in rows(lake, "rejects")} == {
        "the body cannot be read (ZeroDivisionError: a bug)"
    }


def test_a_row_that_no_table_can_hold_is_rejected_alone(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    def mangle(text: str) -> str:  # what comes of a redaction of one's own
        return text.replace("question 2", "\udc80")

    write_log(folder, spans_entry(range(1, 5)))
    report = drain_once(lake, engine, folder, reading=Reading(redact=mangle))
    assert (report.spans, report.rejects) == (3, 1)
    assert span_ids(lake) == [f"{number:016x}" for number in (1, 3, 4)]
    [row] = rows(lake, "rejects")
    assert "no table can hold it" in row["reason"] and row["raw"] == ""


def test_batches_are_cut_at_rows_and_every_row_is_there_once(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, *(spans_entry(range(n, n + 10)) for n in range(1, 1_001, 10)), segment_bytes=20_000)
    report = drain_once(lake, engine, folder, size=BatchSize(rows=95))
    assert (report.spans, report.batches) == (1_000, 10)
    assert span_ids(lake) == ids(range(1, 1_001))


def test_segments_are_removed_when_they_are_in_the_lake_and_only_then(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(folder, *(spans_entry([n]) for n in range(1, 9)), segment_bytes=1)
    assert len(segments(folder)) == 8

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(lake, "append", full)
        with pytest.raises(OSError, match="No space"):
            drain_once(lake, engine, folder)
    assert len(segments(folder)) == 8
    drain_once(lake, engine, folder)
    assert [segment.number for segment in segments(folder)] == [8]  # the newest stays for its number
    assert span_ids(lake) == ids(range(1, 9))


def test_a_large_body_is_appended_in_parts(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "CUT_RECORDS", 100)
    write_log(folder, spans_entry([1]), spans_entry(range(2, 352)), spans_entry([400]))
    report = drain_once(lake, engine, folder)
    assert (report.spans, report.batches) == (352, 4)
    assert span_ids(lake) == [*ids(range(1, 352)), f"{400:016x}"]


def test_two_drains_of_one_folder_are_refused(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    first = Drain(folder, lambda: (lake, engine))
    try:
        with pytest.raises(ValueError, match="another drain"):
            drain_once(lake, engine, folder)
    finally:
        first.close()
    drain_once(lake, engine, folder)


def test_two_folders_feed_one_lake_and_skip_nothing_of_each_other(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    write_log(tmp_path / "a", *(spans_entry([n]) for n in range(1, 6)))
    write_log(tmp_path / "b", spans_entry([6]))
    drain_once(lake, engine, tmp_path / "a")
    drain_once(lake, engine, tmp_path / "b")
    assert span_ids(lake) == ids(range(1, 7))


def test_a_folder_that_was_deleted_and_begun_anew_is_taken_from_its_start(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, *(spans_entry([n]) for n in range(1, 6)))
    drain_once(lake, engine, folder)
    before = folder_id(folder)
    for path in folder.iterdir():
        path.unlink()
    write_log(folder, spans_entry([6]))
    assert folder_id(folder) != before
    drain_once(lake, engine, folder)
    assert span_ids(lake) == ids(range(1, 7))


def test_what_comes_after_somebody_deleted_the_segments_is_drained(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    for number in range(1, 4):
        write_log(folder, spans_entry([number]))
    drain_once(lake, engine, folder)
    for segment in segments(folder):
        segment.path.unlink()
    write_log(folder, spans_entry([4]))
    assert drain_once(lake, engine, folder).spans == 1


def test_after_deaths_entries_are_read_one_at_a_time_and_soon_in_batches_again(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects, "_CAREFUL_ENTRIES", 2)
    write_log(folder, *(spans_entry([n]) for n in range(1, 9)))
    for _ in range(suspects._DEATHS):
        Drain(folder, lambda: (lake, engine)).close()  # as if killed: it never came to an end
    assert drain_once(lake, engine, folder).batches == 3
    assert span_ids(lake) == ids(range(1, 9))


def test_a_new_lake_gets_what_is_not_drained_yet_and_what_is_stays_in_the_old_one(
    lake: Lake, engine: DuckDBEngine, folder: Path, tmp_path: Path
) -> None:
    write_log(folder, spans_entry([1]))
    drain_once(lake, engine, folder)
    write_log(folder, spans_entry([2]))
    new = Lake(str(tmp_path / "new"))
    drain_once(new, engine, folder)
    assert (span_ids(lake), span_ids(new)) == ([f"{1:016x}"], [f"{2:016x}"])


def test_without_its_state_the_drain_goes_on_by_what_the_tables_say(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, spans_entry([1]), POISON["no id"])
    drain_once(lake, engine, folder)
    for path in folder.glob("pending.db*"):
        path.unlink()
    write_log(folder, spans_entry([2]))
    drain_once(lake, engine, folder)
    assert span_ids(lake) == ids(range(1, 3))
    assert len(rows(lake, "rejects")) == 1


def test_a_damaged_state_is_put_aside(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, spans_entry([1]))
    drain_once(lake, engine, folder)
    for path in folder.glob("pending.db*"):
        path.unlink()
    (folder / "pending.db").write_bytes(b"not a database" * 1_000)
    write_log(folder, spans_entry([2]))
    drain_once(lake, engine, folder)
    assert span_ids(lake) == ids(range(1, 3))
    assert (folder / "pending.db.damaged").exists()


def test_every_file_of_the_lake_is_synced_before_its_part_of_the_log_is_removed(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def noting(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def remove_checked(*_: Any) -> None:
        files = [path for path in Path(lake.uri).rglob("*") if path.is_file()]
        assert [path for path in files if path.stat().st_ino not in synced] == []
        assert {path.suffix for path in files} == {".parquet", ".json"}
        removed.append(True)

    removed: list[bool] = []
    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr("insights_pipeline.receiver.draining.remove_through", remove_checked)
    write_log(folder, spans_entry([1]), POISON["no id"])
    drain_once(lake, engine, folder)
    assert removed


def test_an_idle_table_does_not_make_everything_be_read_again(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(folder, *(spans_entry([n]) for n in range(1, 6)))
    drain_once(lake, engine, folder)
    taken: list[int] = []
    take = filling.Filling.take

    def counting(self: Any, position: int, item: Entry) -> Any:
        taken.append(position)
        return take(self, position, item)

    monkeypatch.setattr(filling.Filling, "take", counting)
    write_log(folder, spans_entry([6]))
    drain_once(lake, engine, folder)
    assert len(taken) == 1


def test_what_the_drain_publishes_are_its_totals(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    position = write_log(folder, spans_entry([1, 2]), POISON["no id"])
    drain_once(lake, engine, folder)
    told = json.loads((folder / "drain.json").read_text())
    assert (told["position"], told["spans"], told["rejects"], told["batches"]) == (position, 2, 1, 1)
    assert (told["contents"], told["scores"], told["ignored_logs"], told["error"]) == (0, 0, 0, None)
    assert 0 < told["last_flush_ns"] <= told["alive_ns"]


CAPTURES = {
    "genai_latest/1": ("otlp.traces", "spans"),
    "genai_latest/2": ("otlp.logs", "span_contents"),
    "netra/1": ("otlp.traces", "spans"),
    "openinference_json/1": ("otlp.traces", "spans"),
    "langfuse/1": ("otlp.traces", "spans"),
    "langfuse/2": ("langfuse.scores", "feedback"),
    "langsmith_otel/1": ("otlp.traces", "spans"),
    "langsmith_zstd/1": ("langsmith.multipart", "spans"),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_what_sdks_sent_lands_in_its_table_without_a_reject(
    lake: Lake, engine: DuckDBEngine, folder: Path, real_data: Path, name: str
) -> None:
    kind, table = CAPTURES[name]
    captured = real_data / "sdk-captures" / name
    headers = json.loads(captured.with_suffix(".headers.json").read_text())["headers"]
    body = captured.with_suffix(".bin").read_bytes()
    received_ns = 1_900_000_000 * SECOND  # after all captures
    write_log(folder, entry(body, kind, content_type=headers["content-type"], received_ns=received_ns))
    report = drain_once(lake, engine, folder)
    assert report.rejects == 0, rows(lake, "rejects")
    assert len(rows(lake, table)) > 0


def test_a_run_of_langsmith_that_came_in_five_bodies_is_whole(
    lake: Lake, engine: DuckDBEngine, folder: Path, real_data: Path
) -> None:
    for number in range(1, 6):
        captured = real_data / "sdk-captures/langsmith_native" / str(number)
        headers = json.loads(captured.with_suffix(".headers.json").read_text())["headers"]
        body = captured.with_suffix(".bin").read_bytes()
        received_ns = 1_900_000_000 * SECOND + number
        item = entry(
            body, "langsmith.multipart", content_type=headers["content-type"], received_ns=received_ns
        )
        write_log(folder, item)
        drain_once(lake, engine, folder)
    newest: dict[str, dict[str, Any]] = {}
    for row in rows(lake, "spans"):
        if row["ingested_ns"] >= newest.get(row["span_id"], row)["ingested_ns"]:
            newest[row["span_id"]] = row
    assert rows(lake, "rejects") == []
    assert len(newest) == 16  # runs of the capture
    assert all(row["end_ns"] for row in newest.values())
    assert Counter(row["kind"] for row in newest.values())["llm"] > 0


def test_starts_of_spans_are_kept(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, spans_entry([1]))
    drain_once(lake, engine, folder)
    assert [row["start_ns"] for row in rows(lake, "spans")] == [START]
