"""Runs that come in pieces, scores that come before their trace: across batches, restarts and kills."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.lake import DuckDBEngine, Lake
from insights_pipeline.lake.days import NS_PER_DAY
from insights_pipeline.receiver import pending, unplaced
from insights_pipeline.receiver.drain import drain_once
from insights_pipeline.receiver.draining import BatchSize
from insights_pipeline.receiver.pending import Pending, open_state
from insights_pipeline.receiver.segments import Entry
from insights_pipeline.traces.exports.pieces import Piece
from insights_pipeline.traces.ids import span_id_of, trace_id_of
from insights_pipeline.traces.table import Labels
from tests.receiver.drain_cases import json_entry, rows, spans_entry, write_log
from tests.traces.otlp_cases import NOW, SECOND, START

RUN = "0195b1c2-0000-7000-8000-000000000001"
TRACE = trace_id_of(RUN)
HOUR = 3_600 * SECOND


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "receiver"


def run_entry(operation: str, *, received_ns: int = NOW, tenant: str | None = None, **fields: Any) -> Entry:
    body = {operation: [{"id": RUN, "trace_id": RUN, **fields}]}
    return json_entry("langsmith.batch", body, received_ns=received_ns, tenant=tenant)


def created(**fields: Any) -> Entry:
    begun = {"name": "agent", "run_type": "chain", "start_time": "2026-03-01T12:00:00"}
    return run_entry("post", **{**begun, "inputs": {"question": "where is it?"}, **fields})


def ended(**fields: Any) -> Entry:
    return run_entry("patch", **{"end_time": "2026-03-01T12:00:07", "outputs": {"answer": "here"}, **fields})


def newest(lake: Lake) -> dict[str, Any]:
    return max(rows(lake, "spans"), key=lambda row: row["ingested_ns"])


def is_whole(row: dict[str, Any]) -> bool:
    return (
        row["name"] == "agent"
        and row["end_ns"] == START + 7 * SECOND
        and "where is it?" in row["input_text"]
        and "here" in row["output_text"]
    )


def test_pieces_of_one_batch_are_one_row(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, created(), ended(received_ns=NOW + 1))
    assert drain_once(lake, engine, folder).spans == 1
    assert is_whole(newest(lake)) and newest(lake)["ingested_ns"] == NOW + 1


def test_a_run_over_two_batches_is_a_row_as_known_and_then_a_whole_one(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, created(), spans_entry([1]), ended(received_ns=NOW + 1))
    drain_once(lake, engine, folder, size=BatchSize(rows=1))
    first, last = sorted(
        (row for row in rows(lake, "spans") if row["trace_id"] == TRACE), key=lambda row: row["ingested_ns"]
    )
    assert first["end_ns"] is None and first["output_text"] is None
    assert is_whole(last)


def test_a_run_is_whole_that_began_while_an_earlier_batch_was_on_its_way(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, created(id="other", trace_id="other"), created(), ended(received_ns=NOW + 1))
    drain_once(lake, engine, folder, size=BatchSize(rows=1))
    assert is_whole(newest(lake))


def test_a_run_over_a_restart_and_days_is_whole(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, created())
    drain_once(lake, engine, folder)
    write_log(folder, ended(received_ns=NOW + 6 * NS_PER_DAY))
    drain_once(lake, engine, folder)
    assert is_whole(newest(lake))


def test_an_update_that_overtakes_its_creation_is_no_reject(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, ended())
    assert drain_once(lake, engine, folder).spans == 0
    write_log(folder, created(received_ns=NOW + HOUR - 1))
    drain_once(lake, engine, folder)
    assert is_whole(newest(lake))
    assert rows(lake, "rejects") == []


def test_an_update_whose_creation_never_came_is_told_once_and_still_joined_later(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, ended())
    drain_once(lake, engine, folder)
    for number in range(1, 4):
        write_log(folder, spans_entry([number], received_ns=NOW + number * HOUR))
        drain_once(lake, engine, folder)
    [reject] = rows(lake, "rejects")
    assert reject["source"] == "receiver /runs/batch" and reject["position"].startswith("entry ")
    assert "without start" in reject["reason"] and reject["ingested_ns"] == NOW
    write_log(folder, created(received_ns=NOW + 5 * HOUR))
    drain_once(lake, engine, folder)
    assert is_whole(newest(lake))


def test_an_update_that_says_trace_and_start_is_a_row(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, ended(dotted_order=f"20260301T120000000000Z{RUN}"))
    assert drain_once(lake, engine, folder).spans == 1
    assert (newest(lake)["trace_id"], newest(lake)["start_ns"]) == (TRACE, START)


def test_a_repeated_creation_does_not_replace_the_run_by_its_beginning(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    for number, item in enumerate((created, ended, created)):
        write_log(folder, item(received_ns=NOW + number))
        drain_once(lake, engine, folder)
    assert is_whole(newest(lake)) and newest(lake)["ingested_ns"] == NOW + 2


def test_tenants_cannot_write_into_runs_of_each_other(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, created(tenant="a"), ended(tenant="b", outputs={"answer": "forged"}))
    drain_once(lake, engine, folder)
    assert [(row["tenant_id"], row["output_text"]) for row in rows(lake, "spans")] == [("a", None)]


@pytest.mark.parametrize("appends", [0, 1])
def test_a_kill_before_the_state_is_stored_merges_each_piece_once(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch, appends: int
) -> None:
    write_log(folder, created())
    drain_once(lake, engine, folder)
    write_log(folder, ended(received_ns=NOW + 1), spans_entry([1]))
    append = lake.append
    left = appends

    def mortal(*args: Any, **options: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            append(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(lake, "append", mortal)
        with pytest.raises(KeyboardInterrupt):
            drain_once(lake, engine, folder)
    drain_once(lake, engine, folder)
    of_run = [row for row in rows(lake, "spans") if row["trace_id"] == TRACE]
    assert len(of_run) == 2 and len(rows(lake, "spans")) == 3
    assert is_whole(newest(lake))


def piece(key: str, **fields: Any) -> Piece:
    return Piece("langsmith", key, fields, "test")


def sent(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without the bookkeeping of the merge."""
    return {name: value for name, value in fields.items() if not name.startswith("_")}


def commit(state: Any, runs: Pending) -> None:
    sealed = runs.seal()
    state.execute("BEGIN")
    runs.store(sealed)
    state.execute("COMMIT")
    runs.stored(sealed)


def known(state: Any) -> int:
    return int(state.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_merges_are_known_in_the_batch_in_flight_and_from_the_file(tmp_path: Path) -> None:
    state = open_state(tmp_path / "pending.db")
    runs = Pending(state)
    assert sent(runs.merge(piece("r", a=1))) == {"a": 1}
    sealed = runs.seal()
    assert sent(runs.merge(piece("r", b=2))) == {"a": 1, "b": 2}  # the first batch is on its way
    state.execute("BEGIN")
    runs.store(sealed)
    state.execute("COMMIT")
    runs.stored(sealed)
    assert sent(runs.merge(piece("r", c=3))) == {"a": 1, "b": 2, "c": 3}
    commit(state, runs)
    assert sent(Pending(open_state(tmp_path / "pending.db")).merge(piece("r"))) == {"a": 1, "b": 2, "c": 3}


def test_what_was_not_stored_is_unknown_after_a_restart(tmp_path: Path) -> None:
    runs = Pending(open_state(tmp_path / "pending.db"))
    runs.merge(piece("r", a=1))
    runs.seal()
    assert sent(Pending(open_state(tmp_path / "pending.db")).merge(piece("r", b=2))) == {"b": 2}


def test_runs_of_tenants_and_systems_are_apart(tmp_path: Path) -> None:
    runs = Pending(open_state(tmp_path / "pending.db"))
    runs.merge(piece("r", a=1), labels=Labels(None, "one"))
    assert sent(runs.merge(piece("r", b=2), labels=Labels(None, "two"))) == {"b": 2}
    assert sent(runs.merge(Piece("langfuse", "r", {"c": 3}, ""), labels=Labels(None, "one"))) == {"c": 3}


def test_unfinished_runs_are_forgotten_after_a_week_and_finished_ones_after_minutes(tmp_path: Path) -> None:
    state = open_state(tmp_path / "pending.db")
    runs = Pending(state)
    runs.merge(piece("open", start_time=1), received_ns=NOW)
    runs.merge(piece("done", start_time=1, end_time=2), received_ns=NOW)
    commit(state, runs)
    assert known(state) == 2
    runs.merge(piece("next"), received_ns=NOW + pending.FINISHED_KEPT_NS + 1)
    commit(state, runs)
    assert known(state) == 2  # "open" and "next"
    runs.merge(piece("last"), received_ns=NOW + pending.UNFINISHED_KEPT_NS + 1)
    commit(state, runs)
    assert known(state) == 2  # "next" and "last"


def test_only_so_many_finished_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "FINISHED_KEPT", 10)
    state = open_state(tmp_path / "pending.db")
    runs = Pending(state)
    for number in range(50):
        runs.merge(piece(f"r{number}", end_time=2), received_ns=NOW)
        commit(state, runs)
    assert known(state) == 10


def score_entry(score_id: str = "s", *, received_ns: int, value: float = 1, **target: Any) -> Entry:
    body = {"id": score_id, "name": "good", "value": value, **target}
    return json_entry("langfuse.scores", body, received_ns=received_ns)


def last_scores(lake: Lake) -> dict[str, tuple[Any, Any, Any]]:
    found = sorted(rows(lake, "feedback"), key=lambda row: row["ingested_ns"])
    return {row["score_id"]: (row["trace_id"], row["date"], row["value"]) for row in found}


DAY = date(2026, 3, 1)
LATER = NOW + 3 * NS_PER_DAY
KNOWN = f"{1:032x}"


def test_a_score_of_the_same_batch_is_placed_by_the_spans_of_it(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, score_entry(received_ns=LATER, traceId=KNOWN), spans_entry([1], received_ns=LATER))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, DAY, 1)}
    assert len(rows(lake, "feedback")) == 1


def test_a_score_that_comes_before_its_spans_finds_them_later(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(folder, score_entry(received_ns=LATER, traceId=KNOWN))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, date(2026, 3, 4), 1)}
    write_log(folder, spans_entry([7], trace=9, received_ns=LATER + 1))
    drain_once(lake, engine, folder)
    write_log(folder, spans_entry([1], received_ns=LATER + 2))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, DAY, 1)}
    write_log(folder, spans_entry([2], received_ns=LATER + 3))
    drain_once(lake, engine, folder)
    assert len(rows(lake, "feedback")) == 2  # it was settled: no further row for a further span


def test_a_score_of_a_run_finds_its_span_later(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    feedback = {"id": "f", "run_id": RUN, "key": "correct", "score": 0.5}
    write_log(folder, json_entry("langsmith.feedback", feedback, received_ns=LATER))
    drain_once(lake, engine, folder)
    assert last_scores(lake)["f"][0] is None
    write_log(folder, created(received_ns=LATER + 1))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"f": (TRACE, DAY, 0.5)}
    [span] = rows(lake, "spans")
    assert span["span_id"] == span_id_of(RUN)


def test_a_score_that_was_sent_again_while_it_waited_counts_with_its_newest_value(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    for number, value in enumerate((0.25, 0.75)):
        write_log(folder, score_entry(received_ns=LATER + number, value=value, traceId=KNOWN))
        drain_once(lake, engine, folder)
    write_log(folder, spans_entry([1], received_ns=LATER + 2))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, DAY, 0.75)}


def test_spans_that_came_by_another_way_are_found_after_a_while(
    lake: Lake, engine: DuckDBEngine, folder: Path, tmp_path: Path
) -> None:
    write_log(folder, score_entry(received_ns=LATER, traceId=KNOWN))
    drain_once(lake, engine, folder)
    write_log(tmp_path / "other", spans_entry([1]))
    drain_once(lake, engine, tmp_path / "other")
    write_log(folder, spans_entry([7], trace=9, received_ns=LATER + HOUR))
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, DAY, 1)}


def test_only_now_and_then_a_score_is_looked_for_among_the_spans_of_a_month(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unplaced, "_PAUSES", 10**9)  # one such look a drain
    looks: list[int] = []
    find = unplaced.find_scores
    monkeypatch.setattr(
        unplaced, "find_scores", lambda *args, days: (looks.append(days), find(*args, days=days))[1]
    )
    soon, late = NOW + NS_PER_DAY, NOW + 5 * NS_PER_DAY
    write_log(
        folder,
        spans_entry([1]),
        score_entry("first", received_ns=soon, traceId=KNOWN),
        score_entry("near", received_ns=soon + 1, traceId=KNOWN),
        score_entry("far", received_ns=late, traceId=KNOWN),
    )
    drain_once(lake, engine, folder, size=BatchSize(rows=1))
    assert looks == [unplaced.DAYS, unplaced.NEAR_DAYS, unplaced.NEAR_DAYS]
    unknown = (KNOWN, date(2026, 3, 6), 1)
    assert last_scores(lake) == {"first": (KNOWN, DAY, 1), "near": (KNOWN, DAY, 1), "far": unknown}
    write_log(folder, score_entry("next", received_ns=late + 1, traceId=KNOWN))
    drain_once(lake, engine, folder)
    assert set(last_scores(lake).values()) == {(KNOWN, DAY, 1)} and len(rows(lake, "feedback")) == 5


@pytest.mark.parametrize("appends", range(4))
def test_a_kill_while_a_score_finds_its_trace_places_it_once(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch, appends: int
) -> None:
    write_log(folder, score_entry(received_ns=LATER, traceId=KNOWN))
    drain_once(lake, engine, folder)
    write_log(
        folder, spans_entry([1], received_ns=LATER + 1), score_entry("t", received_ns=LATER, traceId=KNOWN)
    )
    append = lake.append
    left = appends

    def mortal(*args: Any, **options: Any) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        append(*args, **options)

    with monkeypatch.context() as dying:
        dying.setattr(lake, "append", mortal)
        if appends < 2:  # spans, then feedback
            with pytest.raises(KeyboardInterrupt):
                drain_once(lake, engine, folder)
    drain_once(lake, engine, folder)
    assert last_scores(lake) == {"s": (KNOWN, DAY, 1), "t": (KNOWN, DAY, 1)}
    assert len(rows(lake, "feedback")) == 3


def test_a_score_that_was_appended_at_an_unknown_place_before_a_kill_finds_its_trace(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unplaced, "_PAUSES", 10**9)
    write_log(
        folder,
        spans_entry([1]),
        score_entry("first", received_ns=NOW, traceId=KNOWN),
        score_entry("far", received_ns=NOW + 5 * NS_PER_DAY, traceId=KNOWN),
    )
    append = lake.append

    def mortal(table: str, scores: Any, **options: Any) -> None:
        append(table, scores, **options)
        if table == "feedback" and scores.column("score_id").to_pylist() == ["far"]:
            raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(lake, "append", mortal)
        drain_once(lake, engine, folder, size=BatchSize(rows=1))
    assert last_scores(lake)["far"][1] == date(2026, 3, 6)
    drain_once(lake, engine, folder)
    assert len(rows(lake, "feedback")) == 2
    write_log(folder, spans_entry([2], trace=2, received_ns=NOW + 5 * NS_PER_DAY))
    drain_once(lake, engine, folder)
    assert last_scores(lake)["far"] == (KNOWN, DAY, 1)


def test_what_waits_is_bounded(
    lake: Lake, engine: DuckDBEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unplaced, "MAX_BYTES", 2_000)
    flood = [score_entry(f"s{n}", received_ns=LATER + n, traceId=f"{n + 5:032x}") for n in range(60)]
    write_log(folder, *flood)
    drain_once(lake, engine, folder)
    state = open_state(folder / "pending.db")
    kept = [score_id for (score_id,) in state.execute("SELECT score_id FROM unplaced")]
    assert 0 < len(kept) < 10 and "s59" in kept  # the newest
    assert len(rows(lake, "feedback")) == 60


def test_what_waited_for_a_week_is_let_go(lake: Lake, engine: DuckDBEngine, folder: Path) -> None:
    write_log(folder, score_entry(received_ns=LATER, traceId=KNOWN))
    drain_once(lake, engine, folder)
    write_log(folder, score_entry("t", received_ns=LATER + unplaced.KEPT_NS + 1, traceId="e" * 32))
    drain_once(lake, engine, folder)
    state = open_state(folder / "pending.db")
    assert list(state.execute("SELECT score_id FROM unplaced")) == [("t",)]


def test_a_score_of_a_session_is_let_go_after_a_day_also_behind_one_of_a_trace(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    write_log(
        folder,
        score_entry("of trace", received_ns=LATER, traceId=KNOWN),
        score_entry("of session", received_ns=LATER, sessionId="chat"),
        score_entry("next", received_ns=LATER + unplaced.SESSION_KEPT_NS + 1, traceId=KNOWN),
    )
    drain_once(lake, engine, folder)
    state = open_state(folder / "pending.db")
    assert set(state.execute("SELECT score_id FROM unplaced")) == {("of trace",), ("next",)}


def test_a_score_of_a_session_moves_to_the_newest_trace_that_had_begun_when_its_spans_come_later(
    lake: Lake, engine: DuckDBEngine, folder: Path
) -> None:
    def run(number: int, minute: int) -> Entry:
        run_id = f"0195b1c2-0000-7000-8000-00000000000{number}"
        metadata = {"metadata": {"session_id": "chat"}}
        start = f"2026-03-01T12:{minute:02}:00"
        return created(id=run_id, trace_id=run_id, start_time=start, extra=metadata, received_ns=NOW + number)

    score = score_entry(received_ns=NOW, sessionId="chat", timestamp="2026-03-01T12:30:00Z")
    placed = []
    for item in (run(1, 5), score, run(2, 20), run(3, 40), run(4, 10)):  # 3 began after it, 4 before 2
        write_log(folder, item)
        drain_once(lake, engine, folder)
        placed.append(last_scores(lake).get("s", (None,))[0])
    first, second = (trace_id_of(f"0195b1c2-0000-7000-8000-00000000000{number}") for number in (1, 2))
    assert placed == [None, first, second, second, second]
    assert len(rows(lake, "feedback")) == 2
