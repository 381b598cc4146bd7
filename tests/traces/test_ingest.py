from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import Lake, Slice
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.traces import ingest
from insights_pipeline.traces.ingest import ingest_paths, trace_files
from tests.traces.otlp_cases import NOW, SECOND, START, make_span, request


def bring(lake: Lake, *paths: Path | str, **options: Any) -> ingest.IngestReport:
    return ingest_paths(lake, paths, now_ns=NOW, **options)


def rejects_of(lake: Lake) -> list[dict[str, Any]]:
    return sorted(lake.read(Slice("rejects")).to_pylist(), key=lambda row: (row["source"], row["position"]))


def as_json(number: int, **changes: Any) -> dict[str, Any]:
    span = {
        "traceId": "ab" * 16,
        "spanId": f"{number:016x}",
        "name": f"json {number}",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 1),
        **changes,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def test_bad_files_cost_exactly_their_bad_records(lake: Lake, tmp_path: Path) -> None:
    whole = request(make_span(number=1, name="whole")).SerializeToString()
    (tmp_path / "cut.pb").write_bytes(whole + request(make_span(number=2)).SerializeToString()[:-9])
    lines = [as_json(3), "this is not JSON", as_json(4, spanId="")]
    lines += [
        as_json(5, endTimeUnixNano=str(START - 1)),
        as_json(6, startTimeUnixNano=str(7_258_118_400 * SECOND)),
        as_json(7),
    ]
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    report = bring(lake, tmp_path)
    assert (report.files, report.spans, report.rejects, report.traces) == (2, 3, 5, 2)
    names = lake.read(Slice("spans")).column("name").to_pylist()
    assert sorted(names) == ["json 3", "json 7", "whole"]
    found = rejects_of(lake)
    assert [(Path(row["source"]).name, row["position"].split()[0], row["reason"]) for row in found] == [
        ("cut.pb", "byte", "the file ends in the middle of a message"),
        ("lines.jsonl.gz", "line", "the line is not JSON"),
        ("lines.jsonl.gz", "line", "no span id"),
        ("lines.jsonl.gz", "line", "the end is before the start"),
        ("lines.jsonl.gz", "line", "the start is more than a day after its arrival"),
    ]
    assert [row["position"] for row in found[1:]] == [
        "line 2",
        "line 3, span 1",
        "line 4, span 1",
        "line 5, span 1",
    ]
    for row in found:
        assert row["remedy"] and len(row["raw"]) <= 2_000
        assert (row["date"], row["ingested_ns"]) == (date(2026, 3, 1), NOW)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "no trace id"),
        ({"trace_id": bytes(16)}, "no trace id"),
        ({"trace_id": b"\x01" * 8}, "the trace id is not 16 bytes"),
        ({"span_id": bytes(8)}, "no span id"),
        ({"span_id": b"\x01" * 16}, "the span id is not 8 bytes"),
        ({"start_time_unix_nano": 0}, "no start time"),
        ({"start_time_unix_nano": 946_684_800 * SECOND - 1}, "the start is before 2000-01-01"),
        (
            {"start_time_unix_nano": NOW + NS_PER_DAY + 1, "end_time_unix_nano": 0},
            "the start is more than a day after its arrival",
        ),
        ({"start_time_unix_nano": 2**64 - 1}, "the start is more than a day after its arrival"),
        ({"end_time_unix_nano": NOW + NS_PER_DAY + 1}, "the end is more than a day after its arrival"),
        ({"end_time_unix_nano": START}, "the end is before the start"),
    ],
)
def test_a_span_that_cannot_be_true_is_rejected_with_its_reason(
    lake: Lake, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span(**fields), make_span(number=2)).SerializeToString())
    report = bring(lake, tmp_path / "a.pb")
    assert (report.spans, report.rejects) == (1, 1)
    [reject] = rejects_of(lake)
    assert reject["reason"] == reason
    assert reject["source"] == str(tmp_path / "a.pb")


@pytest.mark.parametrize(
    "fields",
    [
        {"start_time_unix_nano": 946_684_800 * SECOND},
        {"start_time_unix_nano": NOW + NS_PER_DAY, "end_time_unix_nano": NOW + NS_PER_DAY},
        {"parent_span_id": b"\x01"},
    ],
)
def test_a_span_at_the_edge_of_what_can_be_is_kept(
    lake: Lake, tmp_path: Path, fields: dict[str, Any]
) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span(**fields)).SerializeToString())
    assert bring(lake, tmp_path).rejects == 0


def test_an_unfinished_span_is_kept_without_an_end(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span(end_time_unix_nano=0)).SerializeToString())
    assert bring(lake, tmp_path).rejects == 0
    assert lake.read(Slice("spans")).column("end_ns").to_pylist() == [None]


@pytest.mark.parametrize("parent", [b"", bytes(8), (1).to_bytes(8, "big"), b"\x05" * 3])
def test_a_parent_that_cannot_be_is_none(lake: Lake, tmp_path: Path, parent: bytes) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span(parent_span_id=parent)).SerializeToString())
    bring(lake, tmp_path)
    assert lake.read(Slice("spans")).column("parent_span_id").to_pylist() == [None]


def test_spans_land_on_the_day_they_start_and_the_report_counts_them(lake: Lake, tmp_path: Path) -> None:
    late = {"start_time_unix_nano": START - 12 * 3_600 * SECOND - 1, "end_time_unix_nano": START}
    body = request(
        make_span({"traceloop.span.kind": "task"}), make_span(number=2, **late)
    ).SerializeToString()
    (tmp_path / "a.bin").write_bytes(body)
    report = bring(lake, str(tmp_path / "a.bin"))
    assert report == ingest.IngestReport(
        files=1,
        spans=2,
        traces=1,
        rejects=0,
        days=(date(2026, 2, 28), date(2026, 3, 1)),
        spans_by_dialect={"openllmetry": 1, "otlp": 1},
        bytes=len(body),
    )
    assert lake.days("spans") == set(report.days)
    assert set(lake.read(Slice("spans")).column("ingested_ns").to_pylist()) == {NOW}


def test_small_batches_give_the_same_rows_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [make_span(number=n, trace_id=bytes([n % 7 + 1]) * 16) for n in range(1, 60)]
    (tmp_path / "a.pb").write_bytes(request(*spans).SerializeToString())
    found = []
    for rows in (20_000, 10):
        monkeypatch.setattr(ingest, "FLUSH_ROWS", rows)
        lake = Lake(str(tmp_path / f"lake{rows}"))
        report = bring(lake, tmp_path / "a.pb")
        assert (report.spans, report.traces) == (59, 7)
        order = [("trace_id", "ascending"), ("span_id", "ascending")]
        found.append(lake.read(Slice("spans")).sort_by(order).to_pylist())
    assert found[0] == found[1]


def test_text_alone_can_fill_a_batch(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FLUSH_CHARS", 1_000)
    spans = [make_span({"custom": "x" * 600}, number=n) for n in range(1, 9)]
    (tmp_path / "a.pb").write_bytes(request(*spans).SerializeToString())
    assert bring(lake, tmp_path).spans == 8
    assert len(lake.snapshot(Slice("spans")).files()) == 4


def test_folders_are_walked_in_order_and_only_for_trace_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in (
        "b/2.JSONL.gz",
        "b/1.pb",
        "a.json",
        "c.ndjson",
        "d.bin",
        "notes.md",
        ".e.pb",
        ".hidden/f.pb",
        "x.gz",
    ):
        (tmp_path / name).touch()
    found = [
        Path(path).relative_to(tmp_path).as_posix() for path in trace_files([tmp_path, tmp_path / "a.json"])
    ]
    assert found == ["a.json", "b/1.pb", "b/2.JSONL.gz", "c.ndjson", "d.bin"]
    assert trace_files([tmp_path / "notes.md"]) == [str(tmp_path / "notes.md")]


def test_a_missing_path_is_told_before_anything_is_read(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span()).SerializeToString())
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pb: no such file or folder\. Give OTLP files"):
        bring(lake, tmp_path / "a.pb", tmp_path / "nowhere.pb")
    assert lake.row_count("spans") == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no trace files in this folder"):
        bring(lake, tmp_path / "empty")


def test_a_dry_run_counts_and_writes_nothing(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(
        request(make_span(), make_span(number=2, span_id=b"")).SerializeToString()
    )
    report = bring(lake, tmp_path, dry_run=True)
    assert (report.spans, report.traces, report.rejects) == (1, 1, 1)
    assert (lake.row_count("spans"), lake.row_count("rejects")) == (0, 0)


def test_progress_grows_to_the_size_of_all_files(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_PROGRESS_RECORDS", 2)
    body = request(*(make_span(number=n) for n in range(1, 10))).SerializeToString()
    (tmp_path / "a.pb").write_bytes(body)
    (tmp_path / "b.pb.gz").write_bytes(gzip.compress(body))
    seen: list[tuple[int, int]] = []
    report = bring(lake, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {report.bytes}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == report.bytes
    assert len(seen) > 4


def test_a_lake_that_fails_is_not_taken_for_a_bad_file(tmp_path: Path) -> None:
    class Full(Lake):
        def append(self, table: str, rows: Any) -> None:
            raise OSError("no space left on device")

    (tmp_path / "a.pb").write_bytes(request(make_span()).SerializeToString())
    with pytest.raises(OSError, match="no space"):
        bring(Full(str(tmp_path / "lake")), tmp_path / "a.pb")


def test_reading_again_adds_only_rows_with_the_same_ids(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(request(make_span(), make_span(number=2)).SerializeToString())
    bring(lake, tmp_path)
    bring(lake, tmp_path)
    rows = lake.read(Slice("spans", columns=("trace_id", "span_id"))).to_pylist()
    assert len(rows) == 4
    assert len({tuple(row.values()) for row in rows}) == 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(ingest, "FLUSH_CHARS", 2 << 20)
    text = {"custom": "x" * 20_000}
    one = b"".join(request(make_span(text, number=n)).SerializeToString() for n in range(1, 101))
    peaks = []
    for times in (3, 12):
        (tmp_path / "a.pb").write_bytes(one * times)
        tracemalloc.start()
        bring(Lake(str(tmp_path / "lake")), tmp_path / "a.pb", dry_run=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_reading_a_file_again_keeps_its_rejects_once_and_never_reads_tables(
    tmp_path: Path, lake: Lake
) -> None:
    (tmp_path / "bad.jsonl").write_text("this is not JSON\n")
    for _ in range(2):
        report = ingest_paths(lake, [tmp_path], now_ns=NOW)
        assert (report.files, report.rejects) == (1, 1)
    assert lake.row_count("rejects") == 1


def test_another_record_with_the_same_fault_at_the_same_place_is_kept_too(tmp_path: Path, lake: Lake) -> None:
    for text in ("this is not JSON", "this neither", "this neither"):
        (tmp_path / "bad.jsonl").write_text(text + "\n")
        bring(lake, tmp_path)
    assert sorted(row["raw"] for row in rejects_of(lake)) == ["this is not JSON", "this neither"]


def test_counts_and_costs_that_cannot_be_true_are_missing_and_cost_no_other_span(
    lake: Lake, tmp_path: Path
) -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "unheard-of"}
    spans = [
        make_span(
            call
            | {"gen_ai.usage.input_tokens": 5 * 10**18, "gen_ai.usage.output_tokens": 6 * 10**18}
            | {"operation.cost": 1e30}
        ),
        make_span(
            call
            | {"gen_ai.usage.input_tokens": 10**12, "gen_ai.usage.output_tokens": 2, "operation.cost": 1e9},
            number=2,
        ),
    ]
    (tmp_path / "a.pb").write_bytes(request(*spans).SerializeToString())
    report = bring(lake, tmp_path / "a.pb")
    assert (report.spans, report.rejects) == (2, 0)
    columns = ("prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")
    rows = {row["span_id"][-1]: row for row in lake.read(Slice("spans")).to_pylist()}
    assert [rows["1"][column] for column in columns] == [None] * 4
    assert [rows["2"][column] for column in columns] == [10**12, 2, 10**12 + 2, 1e9]


def test_metrics_and_ordinary_logs_beside_traces_are_left_out_and_counted(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "spans.jsonl").write_text(json.dumps(as_json(1)))
    metric = {"name": "requests", "sum": {"dataPoints": [{"asInt": "1", "timeUnixNano": str(START)}]}}
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    record = {"timeUnixNano": str(START), "body": {"stringValue": "server started"}}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, record]}]}]}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(metrics))
    (tmp_path / "logs.jsonl").write_text(json.dumps(logs))
    report = bring(lake, tmp_path)
    assert (report.spans, report.rejects, report.left_out) == (1, 0, 3)
