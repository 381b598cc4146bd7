"""What people decide about items: from which day on, how long it holds, and that it can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from insights_pipeline.drift.constants import ERRORS, LATENCY, LATENCY_P95, UP
from insights_pipeline.drift.detect import Signal
from insights_pipeline.drift.life.decisions import (
    MOST_QUIET_DAYS,
    Decision,
    decided,
    decisions_of,
    effective,
    followed,
    payload_of,
)
from insights_pipeline.drift.life.item import Item, Onset, accepted_since
from insights_pipeline.drift.life.item_rows import from_rows, to_row
from insights_pipeline.drift.life.lifecycle import step
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.lineage import Lineage
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    connect_with,
    engine_config,
    rows_to_table,
)
from insights_pipeline.state import DriftDecision
from tests.drift.test_lifecycle import D0, signal
from tests.drift.traffic import START, Behaviour, fill, read

NS_A_DAY = 86_400 * 10**9


def on(offset: int) -> date:
    return D0 + timedelta(days=offset)


def decision(
    kind: str, offset: int, *, until: int | None = None, number: int = 1, metric: str = ERRORS
) -> Decision:
    last = None if until is None else on(until)
    return Decision(number, kind, "i", metric, UP, on(offset), "ada", last, "known")


def play(
    days: Sequence[Sequence[Signal] | None], decisions: Sequence[Decision] = (), *, by_table: bool = False
) -> list[list[Item]]:
    """Items after each day; None is a day without data. `by_table`: every day starts from the rows of the last."""
    items: list[Item] = []
    out = []
    for offset, found in enumerate(days):
        known = set() if found is None else {("i", ERRORS), ("i", LATENCY), ("i", LATENCY_P95)}
        items = decided(on(offset), step(on(offset), items, found or [], known), decisions)
        out.append(items)
        if by_table:
            rows = rows_to_table("drift_items", [to_row(item, on(offset)) for item in items])
            items = from_rows(rows.to_pylist())
    return out


def states(history: list[list[Item]]) -> list[str]:
    """Of the latest episode of each day."""
    return [max(day, key=lambda item: item.opened).state if day else "-" for day in history]


SHOWS = [signal("A")]
QUIET: list[Signal] = []


def test_an_accepted_item_is_closed_on_that_day_and_its_level_since_the_change_is_the_new_normal() -> None:
    history = play([SHOWS] * 6, [decision("accept", 4)])
    assert states(history)[:5] == ["new", "ongoing", "ongoing", "ongoing", "accepted"]
    item = history[4][0]
    assert item.closed == on(4)
    assert accepted_since(item) == on(-6)  # the first of the days that the week which opened it judged
    assert accepted_since(replace(item, onset=Onset(on(-2), on(-3), on(-1), "step"))) == on(-2)
    assert accepted_since(replace(item, onset=Onset(on(-20), on(-22), on(-19), "ramp"))) == on(4 - 13)
    assert accepted_since(replace(item, onset=Onset(on(9), on(9), on(9), "step"))) == on(4)


def test_a_dismissed_item_is_no_line_and_its_days_count_as_normal_until_it_is_over() -> None:
    history = play([SHOWS, SHOWS, SHOWS, SHOWS, QUIET, QUIET, None, QUIET, SHOWS], [decision("dismiss", 1)])
    assert states(history)[:8] == ["new"] + ["dismissed"] * 7
    assert all(day[0].quarantined == () for day in history[1:8])
    assert [day[0].closed for day in history[:8]] == [None] * 7 + [on(7)]
    assert "resolved" not in states(history)
    # what comes after it has been quiet is another story, and told
    assert sorted(item.state for item in history[8]) == ["dismissed", "new"]
    assert len({item.item_id for item in history[8]}) == 2


def test_a_change_kept_quiet_until_a_day_stays_quarantined_and_is_told_again_after_it() -> None:
    history = play([SHOWS] * 8, [decision("dismiss", 1, until=5)])
    assert states(history) == ["new", *["dismissed"] * 5, "new", "ongoing"]
    assert len({day[0].item_id for day in history}) == 1
    assert set(history[5][0].quarantined) >= {on(offset) for offset in range(6)}
    assert history[6][0].decision is not None and history[6][0].decision.until == on(5)


def test_a_change_kept_quiet_that_ends_before_the_day_is_never_told() -> None:
    quiet = [QUIET] * 3
    history = play([SHOWS, SHOWS, *quiet, QUIET, QUIET], [decision("dismiss", 1, until=20)])
    assert states(history) == ["new", *["dismissed"] * 6]
    assert history[4][0].closed == on(4) and on(2) not in history[4][0].quarantined


def test_what_comes_back_before_the_day_it_is_kept_quiet_until_stays_quiet_as_the_same_item() -> None:
    quiet = [QUIET] * 12
    history = play([SHOWS, *quiet, SHOWS, *[SHOWS] * 8], [decision("dismiss", 0, until=20)])
    assert states(history) == ["dismissed"] * 21 + ["new"]
    assert len({item.item_id for day in history for item in day}) == 1


def test_of_two_decisions_the_later_counts_from_its_own_day() -> None:
    both = [decision("dismiss", 1, number=1), decision("accept", 3, number=2)]
    assert states(play([SHOWS] * 5, both))[:4] == ["new", "dismissed", "dismissed", "accepted"]
    assert states(play([SHOWS] * 5, both[::-1]))[:4] == ["new", "dismissed", "dismissed", "accepted"]


def test_a_decision_taken_back_leaves_no_trace_once_its_days_are_folded_again() -> None:
    days = [SHOWS, SHOWS, QUIET, SHOWS, QUIET, QUIET, QUIET]
    plain = play(days)
    row = DriftDecision(1, 0, "ada", "dismiss", {}, undone_at_ns=1, undone_by="ada")
    assert play(days, decisions_of([row])) == plain
    decisions = [decision("dismiss", 3)]
    assert play(days, decisions)[:3] == plain[:3]
    assert play(days, decisions)[3:] != plain[3:]


@pytest.mark.parametrize("kind", ["accept", "dismiss"])
@pytest.mark.parametrize("until", [None, 7])
def test_days_from_the_table_give_what_days_in_memory_give(kind: str, until: int | None) -> None:
    days = [[signal(hit=True)], SHOWS, SHOWS, None, QUIET, QUIET, QUIET, SHOWS, SHOWS, QUIET, QUIET, QUIET]
    for at in range(8):
        decisions = [decision(kind, at, until=until if until is not None and at < until else None)]
        assert play(days, decisions, by_table=True) == play(days, decisions)


def test_a_decision_waits_for_nothing_older_and_touches_nothing_newer() -> None:
    # made on a day that was never folded: the first one after it counts
    history = play([SHOWS, SHOWS, SHOWS], [decision("accept", 0)])
    assert states(history) == [
        "accepted",
        "new",
        "ongoing",
    ]  # what opens after the decision is not meant by it
    other = [replace(decision("accept", 1), direction="down"), replace(decision("accept", 1), series="j")]
    assert states(play([SHOWS] * 3, other)) == ["new", "ongoing", "ongoing"]


def test_a_pending_item_can_be_decided_and_a_latency_is_one_story_with_its_p95() -> None:
    assert states(play([[signal(hit=True)], SHOWS], [decision("dismiss", 0)])) == ["dismissed", "dismissed"]
    tail = [signal("A", metric=LATENCY_P95, effect=0.3)]
    assert states(play([tail], [decision("accept", 0, metric=LATENCY)])) == ["accepted"]


def test_a_decision_on_an_intent_that_was_merged_is_about_the_whole() -> None:
    one = replace(decision("accept", 0), series=series_key("slow", "tenant=acme"))
    (moved,) = followed([one], Lineage({"slow": "fast"}))
    assert moved.series == series_key("fast", "tenant=acme")
    assert followed([one], Lineage()) == [one]


def row_of(item: Item) -> dict[str, object]:
    return rows_to_table("drift_items", [to_row(item, on(0))]).to_pylist()[0]


def test_what_the_commands_store_is_what_the_fold_reads() -> None:
    item = play([SHOWS])[0][0]
    payload = payload_of(row_of(item), day=on(0), until=on(9), note="planned")
    stored = DriftDecision(7, 20_000 * NS_A_DAY, "ada", "dismiss", payload)
    assert decisions_of([stored]) == [Decision(7, "dismiss", "i", ERRORS, UP, on(0), "ada", on(9), "planned")]
    told = from_rows([row_of(decided(on(0), [item], decisions_of([stored]))[0])])[0]
    assert told.state == "dismissed" and told.decision == decisions_of([stored])[0].decided
    undated = DriftDecision(8, 20_000 * NS_A_DAY, "ada", "accept", payload | {"day": None, "until": None})
    assert decisions_of([undated])[0].day == date(1970, 1, 1) + timedelta(days=20_000)


@pytest.mark.parametrize("until", [0, -3, MOST_QUIET_DAYS + 1])
def test_nothing_is_kept_quiet_into_the_past_or_beyond_what_a_baseline_bears(until: int) -> None:
    item = row_of(play([SHOWS])[0][0])
    with pytest.raises(ValueError, match="can be kept quiet until a day from 2026-03-02 to 2026-03-31"):
        payload_of(item, day=on(0), until=on(until))


def test_what_is_over_cannot_be_decided() -> None:
    over = play([SHOWS, QUIET, QUIET, QUIET])[-1][0]
    with pytest.raises(ValueError, match="was resolved on 2026-03-04"):
        payload_of(row_of(over), day=on(3))


@pytest.mark.parametrize(
    "payload", [{}, {"intent_id": "i", "metric": "m", "direction": "up", "until": "soon"}]
)
def test_a_decision_that_cannot_be_read_says_which(payload: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="decision 4 in the state database cannot be read"):
        decisions_of([DriftDecision(4, 0, "ada", "accept", payload)])


def test_a_decision_of_an_unknown_kind_is_refused() -> None:
    payload = payload_of(row_of(play([SHOWS])[0][0]), day=on(0))
    with pytest.raises(ValueError, match="its kind is 'ignore'"):
        decisions_of([DriftDecision(4, 0, "ada", "ignore", payload)])


def test_a_person_is_told_from_when_on_a_decision_holds() -> None:
    assert "From the run of 2026-03-01 on" in effective("accept", day=on(0))
    assert "not told until 2026-03-05" in effective("dismiss", day=on(0), until=on(4))
    assert "count as normal" in effective("dismiss", day=on(0))


def test_days_one_by_one_give_what_a_range_gives_with_decisions_and_a_day_without_traffic(
    tmp_path: Path,
) -> None:
    def change(intent: str, offset: int, b: Behaviour) -> Behaviour:
        if offset == 17:
            return replace(b, volume=0.0)
        return replace(b, latency=b.latency * 2) if intent != "i2" and offset >= 13 else b

    usual = {name: Behaviour(volume=90) for name in ("i0", "i1", "i2")}
    lake = Lake(str(tmp_path / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=1, memory_mb=512, temp_dir=tmp_path)))
    span = fill(lake, usual, 22, change=change, seed=5)
    rollup_days(engine, span)
    days = DayRange(START + timedelta(days=12), span.last)
    words = [
        Decision(1, "accept", "i0", LATENCY, UP, START + timedelta(days=15), "ada"),
        Decision(2, "dismiss", "i1", LATENCY, UP, START + timedelta(days=16), "ada", span.last),
    ]

    def tables() -> list[list[dict[str, object]]]:
        return [read(lake, "drift_items", days), read(lake, "drift_observations", days)]

    observe_days(engine, days)
    plain = tables()
    observe_days(engine, days, decisions=words)
    once = tables()
    decided_states = {(row["intent_id"], row["state"]) for row in once[0] if row["date"] == span.last}
    assert {("i0", "accepted"), ("i1", "dismissed")} <= decided_states
    quiet_day = [row for row in plain[0] if row["date"] == START + timedelta(days=17)]
    assert {row["state"] for row in quiet_day if row["state"] != "pending"} == {"no_data"}
    for one in DayRange(words[0].day, span.last):
        observe_days(engine, DayRange.single(one), decisions=words)
    assert tables() == once
    # taken back: folded again from the day it was made on, all is as if it had never been said
    observe_days(engine, DayRange(words[0].day, span.last))
    assert tables() == plain
