from __future__ import annotations

from datetime import date
from itertools import permutations
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tenacity import stop_after_attempt

from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, Slice, rows_to_table
from insights_pipeline.lake import lake as lake_module
from insights_pipeline.traces import assemble as assemble_module
from insights_pipeline.traces.assemble import assemble_traces, compact_spans
from tests.traces.assemble_cases import D0, D1, D2, D3, D4, HOUR, assemble, span, traces

ALL = DayRange(D0, D4)


def append(lake: Lake, *spans: dict[str, object]) -> None:
    for each in spans:
        lake.append("spans", rows_to_table("spans", [each]))


def spans(lake: Lake, day: date | None = None) -> list[dict[str, object]]:
    return lake.read(Slice("spans", day and DayRange.single(day))).to_pylist()


def test_the_last_arrival_of_a_span_is_kept_and_the_day_is_sorted_by_trace(engine: DuckDBEngine) -> None:
    append(
        engine.lake,
        span("b", at=5),
        span("a", trace_id="z"),
        span("b", at=5, name="second", ingested_ns=2**62),
        span("b", at=5, name="third", ingested_ns=2**61),
        span("c", at=1),
    )
    assert compact_spans(engine, ALL) == 3
    assert [(row["trace_id"], row["span_id"]) for row in spans(engine.lake)] == [
        ("t", "c"),
        ("t", "b"),
        ("z", "a"),
    ]
    assert spans(engine.lake)[1]["name"] == "second"


def test_a_day_that_gets_rows_faster_than_it_is_compacted_stays_as_it_is(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = engine.lake
    append(lake, span("a", ingested_ns=1), span("a", name="second", ingested_ns=2))
    view, arrivals = engine._slice_view, iter("bcdef")

    def meanwhile(*args: Any) -> None:
        view(*args)
        append(lake, span(next(arrivals)))

    with monkeypatch.context() as live:
        live.setattr(lake_module, "_PATIENCE", stop_after_attempt(3))
        live.setattr(engine, "_slice_view", meanwhile)
        assert compact_spans(engine, ALL) == 5
    assert [row["span_id"] for row in spans(lake)].count("a") == 2
    assert compact_spans(engine, ALL) == 4
    assert [row["name"] for row in spans(lake) if row["span_id"] == "a"] == ["second"]


@pytest.mark.parametrize("swap", [False, True])
def test_of_copies_that_arrived_together_content_decides_not_order(engine: DuckDBEngine, swap: bool) -> None:
    copies = [span("a", name=name, ingested_ns=1) for name in ("x", "y")]
    append(engine.lake, *(copies[::-1] if swap else copies))
    compact_spans(engine, ALL)
    kept = spans(engine.lake)
    assert [row["name"] for row in kept] == [
        "y"
    ]  # by the hash of the whole row: either would do, but always one


def test_of_copies_that_arrived_together_the_finished_one_is_kept(engine: DuckDBEngine) -> None:
    begun = span("a", ingested_ns=1)
    append(engine.lake, begun | {"output_text": "done", "end_ns": begun["end_ns"] + 1}, begun)
    compact_spans(engine, ALL)
    assert [row["output_text"] for row in spans(engine.lake)] == ["done"]


@pytest.mark.parametrize("order", [(D1, D2), (D2, D1)])
def test_a_span_sent_again_with_another_start_day_lives_on_the_day_of_its_last_arrival(
    engine: DuckDBEngine, order: tuple[date, date]
) -> None:
    append(engine.lake, span("a", ingested_ns=1), span("a", at=13 * HOUR, ingested_ns=2))
    uncompacted = assemble(engine)
    for day in order:
        compact_spans(engine, DayRange.single(day))
    assert (spans(engine.lake, D1), len(spans(engine.lake, D2))) == ([], 1)
    assemble_traces(engine, ALL)
    assert traces(engine.lake) == uncompacted
    assert [row["date"] for row in uncompacted] == [D2]


def test_compacting_again_changes_nothing(engine: DuckDBEngine) -> None:
    append(engine.lake, span("a"), span("b", at=HOUR), span("a", ingested_ns=2**60))
    compact_spans(engine, ALL)
    once = spans(engine.lake)
    assert compact_spans(engine, ALL) == 2
    assert spans(engine.lake) == once


def test_a_span_appended_while_its_day_is_compacted_is_not_lost(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(engine.lake, span("a"))
    snapshot, appended = engine.lake.snapshot, []

    def snapshot_then_append(slice_: Slice) -> object:
        taken = snapshot(slice_)
        if not appended:
            appended.append(True)
            append(engine.lake, span("late"))
        return taken

    monkeypatch.setattr(engine.lake, "snapshot", snapshot_then_append)
    compact_spans(engine, DayRange.single(D1))
    assert sorted(str(row["span_id"]) for row in spans(engine.lake)) == ["a", "late"]


def test_days_are_compacted_in_chunks_without_losing_what_crosses_them(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(engine.lake, span("a"), span("b", at=13 * HOUR, parent_span_id="a"), span("a", ingested_ns=2**60))
    monkeypatch.setattr(engine.lake, "chunks", lambda table, days: [DayRange.single(day) for day in days])
    assert compact_spans(engine, ALL) == 2
    assert assemble_traces(engine, ALL) == 1
    assert [row["span_count"] for row in traces(engine.lake)] == [2]


def resent(name: str, days: tuple[int, ...]) -> list[dict[str, object]]:
    """A trace with a span on D1, and copies of another that start so many days later, sent one after the other."""
    copies = [
        span(
            "b", trace_id=name, at=day * 24 * HOUR, ingested_ns=n, input_text=f"day {day}", output_text=f"{n}"
        )
        for n, day in enumerate(days)
    ]
    return [span("a", trace_id=name), *copies]


def test_days_or_a_range_agree_on_spans_sent_again_with_other_start_days(engine: DuckDBEngine) -> None:
    moves = [*permutations(range(-1, 4), 2), *permutations(range(-1, 4), 3)]
    spans_ = [each for move in moves for each in resent(str(move), move)]
    ranged = assemble(engine, *spans_)
    for day in ALL:
        assemble_traces(engine, DayRange.single(day))
    assert traces(engine.lake) == ranged
    assert {row["user_text"] for row in ranged if row["trace_id"] == "(0, 2)" and row["date"] == D1} == {
        "day 0"
    }
    assert {row["user_text"] for row in ranged if row["trace_id"] == "(0, 2)" and row["date"] == D3} == {
        "day 2"
    }
    counts: dict[str, list[object]] = {name: [] for name in ("(0, 1)", "(0, 2)", "(1, 2)", "(1, 3)")}
    for row in ranged:
        if row["trace_id"] in counts:
            counts[row["trace_id"]].append((row["date"], row["span_count"]))
    assert counts == {
        "(0, 1)": [(D1, 2)],
        "(0, 2)": [(D1, 2), (D3, 1)],
        "(1, 2)": [(D1, 1), (D3, 1)],
        "(1, 3)": [(D1, 2), (D4, 1)],
    }


def test_compacting_days_or_a_range_keeps_the_same_copies(engine: DuckDBEngine, tmp_path: Path) -> None:
    rows = [each for move in permutations(range(-1, 4), 2) for each in resent(str(move), move)]
    other = Lake(str(tmp_path / "other"))
    for lake in (engine.lake, other):
        lake.append("spans", rows_to_table("spans", rows))
    compact_spans(engine, ALL)
    assemble_traces(engine, ALL)
    daily = DuckDBEngine(other, engine._connect)
    for day in reversed(list(ALL)):
        compact_spans(daily, DayRange.single(day))
    for day in ALL:
        assemble_traces(daily, DayRange.single(day))
    order = itemgetter("trace_id", "span_id", "start_ns")  # of files a reader may give any first
    assert sorted(spans(other), key=order) == sorted(spans(engine.lake), key=order)
    assert traces(other) == traces(engine.lake)


class Overtaken(DuckDBEngine):
    """After it has read the spans for the first time, another run brings a span and assembles the day."""

    overtaken = False

    def query(self, sql: str, sources: Any, params: Any = None) -> pa.Table:
        found = super().query(sql, sources, params)
        if "max_depth" in (params or {}) and not self.overtaken:
            self.overtaken = True
            append(self.lake, span("late"))
            assemble_traces(DuckDBEngine(self.lake, self._connect), DayRange.single(D1))
        return found


def test_a_run_that_was_overtaken_does_not_replace_newer_traces_with_older_ones(engine: DuckDBEngine) -> None:
    append(engine.lake, span("a"))
    slow = Overtaken(engine.lake, engine._connect)
    assert assemble_traces(slow, DayRange.single(D1)) == 1
    assert slow.overtaken
    assert [row["span_count"] for row in traces(engine.lake)] == [2]


def test_finished_parts_wait_in_the_engines_folder_and_leave_nothing_behind(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools: list[Path] = []
    spool = assemble_module._spool

    def noted(path: Path, batches: Any) -> None:
        spool(path, batches)
        spools.append(path)

    monkeypatch.setattr(assemble_module, "_spool", noted)
    assert len(assemble(engine, span("a"), days=DayRange.single(D1))) == 1
    assert [path.parent.parent for path in spools] == [tmp_path / "spill"]
    assert list((tmp_path / "spill").iterdir()) == []
