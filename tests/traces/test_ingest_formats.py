from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice
from insights_pipeline.lake.days import start_ns
from insights_pipeline.traces import ingest
from insights_pipeline.traces.assemble import assemble_traces
from insights_pipeline.traces.exports.mapping import built_in
from insights_pipeline.traces.ingest import ingest_paths
from insights_pipeline.traces.table import Labels
from tests.traces.otlp_cases import NOW, make_span, request

DAY = date(2026, 2, 20)


def chat(number: int = 1) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"q {number}"}, {"role": "assistant", "content": "a"}]}


def span(trace: str, at: str, **more: Any) -> dict[str, Any]:
    return {
        "context.span_id": "01" * 8,
        "context.trace_id": trace,
        "start_time": at,
        "span_kind": "CHAIN",
        "name": "n",
        **more,
    }


def annotation(at: str, **target: str) -> dict[str, Any]:
    return {
        "annotation_name": "stars",
        "annotator_kind": "HUMAN",
        "result.score": 4,
        "created_at": at,
        **target,
    }


def write(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_a_folder_of_many_formats_is_read_in_one_go(lake: Lake, engine: DuckDBEngine, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pb").write_bytes(request(make_span()).SerializeToString())
    write(tmp_path / "in" / "b.jsonl", chat())
    write(tmp_path / "in" / "c.traj", {"a": 1})
    write(tmp_path / "in" / "d.json", span("cd" * 16, "2026-02-25T00:00:00Z"))
    (tmp_path / "in" / "e.csv").write_text("x,y\n1,2\n")
    report = ingest_paths(lake, [tmp_path / "in"], now_ns=NOW, at_ns=start_ns(DAY), engine=engine)
    assert report.formats == {"openai-chat": 1, "otlp": 1, "phoenix": 1, "unknown": 2}
    assert (report.files, report.spans, report.traces, report.rejects) == (5, 4, 3, 2)
    assert report.days == (DAY, date(2026, 2, 25), date(2026, 3, 1))


def test_scores_are_read_after_the_spans_of_the_call_and_lie_on_their_day(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    first = write(tmp_path / "a-scores.jsonl", annotation("2026-02-26T00:00:00Z", span_id="01" * 8))
    second = write(tmp_path / "b-spans.jsonl", span("cd" * 16, "2026-02-20T00:00:00Z"))
    report = ingest_paths(lake, [first, second], now_ns=NOW, engine=engine)
    assert (report.spans, report.scores) == (1, 1)
    [score] = lake.read(Slice("feedback")).to_pylist()
    assert (score["date"], score["trace_id"], score["value"]) == (DAY, "cd" * 16, 4.0)


def test_a_score_given_months_later_finds_its_trace_beside_one_given_at_once(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    traces = [span("ab" * 16, "2026-02-20T10:00:00Z")]
    scores = [
        annotation("2026-02-21T10:00:00Z", trace_id="ab" * 16),
        annotation("2026-08-02T10:00:00Z", trace_id="ab" * 16, annotation_name="later"),
        annotation("2026-02-26T10:00:00Z", trace_id="cd" * 16, annotation_name="of nothing"),
    ]
    for _ in range(2):
        ingest_paths(lake, [write(tmp_path / "a.jsonl", *traces, *scores)], now_ns=NOW, engine=engine)
    found = lake.read(Slice("feedback")).to_pylist()
    assert {(row["name"], row["date"]) for row in found} == {
        ("stars", DAY), ("later", DAY), ("of nothing", date(2026, 2, 26)),
    }  # fmt: skip
    assert (len(found), len({row["score_id"] for row in found})) == (6, 3)
    assemble_traces(engine, DayRange(DAY, DAY))
    [trace] = lake.read(Slice("traces")).to_pylist()
    assert dict(trace["feedback"]) == {"stars": 4.0, "later": 4.0}


def test_a_score_of_a_trace_that_is_not_there_keeps_its_own_day(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    path = write(tmp_path / "s.jsonl", annotation("2026-02-26T00:00:00Z", trace_id="ef" * 16))
    assert ingest_paths(lake, [path], now_ns=NOW, engine=engine).scores == 1
    assert lake.read(Slice("feedback")).column("date").to_pylist() == [date(2026, 2, 26)]


def test_labels_replace_what_the_spans_say(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", {**chat(), "environment": "dev", "tenant_id": "x"})
    ingest_paths(lake, [path], now_ns=NOW, at_ns=start_ns(DAY), labels=Labels("prod", "acme"))
    rows = lake.read(Slice("spans")).to_pylist()
    assert {(row["environment"], row["tenant_id"]) for row in rows} == {("prod", "acme")}


def test_chats_without_times_are_dated_by_their_file_or_by_what_is_given(tmp_path: Path) -> None:
    import os

    path = write(tmp_path / "c.jsonl", chat())
    os.utime(path, ns=(0, start_ns(date(2026, 1, 5)) + 5))
    for at, day in ((None, date(2026, 1, 5)), (start_ns(DAY), DAY)):
        lake = Lake(str(tmp_path / f"lake-{day}"))
        assert ingest_paths(lake, [path], now_ns=NOW, at_ns=at).days == (day,)


def test_a_text_that_was_redacted_is_nowhere_in_the_tables(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", chat(4711), {"secret": "q 4711"})
    ingest_paths(lake, [path], now_ns=NOW, at_ns=NOW, redact=lambda text: text.replace("4711", "[N]"))
    for table in ("spans", "rejects"):
        rows = lake.read(Slice(table)).to_pylist()
        assert "4711" not in str(rows)
        assert "[N]" in str(rows)


def test_a_mapping_reads_what_nobody_recognises(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", [{"traj": chat()["messages"]}])
    assert ingest_paths(lake, [path], now_ns=NOW, at_ns=NOW).rejects == 1
    report = ingest_paths(lake, [path], now_ns=NOW, at_ns=NOW, mapping=built_in("tau_bench"))
    assert (report.spans, report.rejects) == (2, 0)


def test_our_own_tables_and_hidden_files_are_not_read(lake: Lake, tmp_path: Path) -> None:
    write(tmp_path / "c.jsonl", chat())
    ingest_paths(lake, [tmp_path / "c.jsonl"], now_ns=NOW, at_ns=NOW)
    assert list((tmp_path / "lake").rglob("*.parquet"))
    assert ingest.trace_files([tmp_path]) == [str(tmp_path / "c.jsonl")]


def test_asked_to_stop_it_keeps_what_it_read_and_goes_on_from_there(lake: Lake, tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{first}.jsonl", *(chat(number) for number in range(first, first + 50)))
        for first in (100, 200, 300)
    ]
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 130

    options: dict[str, Any] = {"now_ns": NOW, "at_ns": NOW, "state_dir": tmp_path / "state"}
    first = ingest_paths(lake, paths, should_stop=should_stop, **options)
    assert (first.stopped, first.spans) == (True, 130)
    assert lake.row_count("spans") == 130
    resumed: list[tuple[int, int]] = []
    second = ingest_paths(lake, paths, on_resume=lambda *done: resumed.append(done), **options)
    assert resumed == [(1, 30)]
    assert (second.stopped, second.spans, second.formats) == (False, 170, {"openai-chat": 2})
    rows = lake.read(Slice("spans")).to_pylist()
    assert len({(row["trace_id"], row["span_id"]) for row in rows}) == len(rows) == 300
    assert list((tmp_path / "state").iterdir()) == []


def test_another_call_or_a_changed_file_starts_anew(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *(chat(number) for number in range(50)))
    options: dict[str, Any] = {"now_ns": NOW, "at_ns": NOW, "state_dir": tmp_path / "state"}
    stop = iter([False] * 10 + [True])
    assert ingest_paths(lake, [path], should_stop=lambda: next(stop), **options).stopped
    resumed: list[tuple[int, int]] = []
    labelled = {**options, "labels": Labels("prod", None)}
    assert ingest_paths(lake, [path], on_resume=lambda *done: resumed.append(done), **labelled).spans == 100
    write(path, *(chat(number) for number in range(51)))
    assert ingest_paths(lake, [path], on_resume=lambda *done: resumed.append(done), **options).spans == 102
    assert resumed == []


@pytest.mark.parametrize("torn", [b"", b'{"a": ', b"[1]", b'{"x": "y", "z": -7}'])
def test_a_torn_journal_means_that_everything_is_read_again(lake: Lake, tmp_path: Path, torn: bytes) -> None:
    path = write(tmp_path / "a.jsonl", *(chat(number) for number in range(9)))
    options: dict[str, Any] = {"now_ns": NOW, "at_ns": NOW, "state_dir": tmp_path / "state"}
    stop = iter([False] * 4 + [True])
    ingest_paths(lake, [path], should_stop=lambda: next(stop), **options)
    [journal] = (tmp_path / "state").iterdir()
    journal.write_bytes(torn)
    assert ingest_paths(lake, [path], **options).spans == 18
