from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from insights_pipeline.drift.constants import ERRORS, LATENCY, LATENCY_P95, REACH_DAYS, UP
from insights_pipeline.drift.detect import Evidence, Signal
from insights_pipeline.drift.life.item import CLOSED, OPEN, Item, accepted_since
from insights_pipeline.drift.life.item_rows import from_rows, to_row
from insights_pipeline.drift.life.lifecycle import ACCEPT_DAYS, step
from insights_pipeline.lake import rows_to_table

D0 = date(2026, 3, 1)


def signal(
    *triggers: str, hit: bool = False, metric: str = ERRORS, effect: float = 0.06, recent: bool = True
) -> Signal:
    proof = {
        horizon: Evidence(horizon, 100, 0.11, 0.05, effect, 0.02, 0.1, 1e-5, 1e-3)
        for horizon in ("1d", "7d", "30d")
    }
    return Signal("i", metric, UP, triggers, hit, recent, proof)


def play(days: Sequence[Sequence[Signal] | None], items: Sequence[Item] = ()) -> list[list[Item]]:
    """Items after each day; None is a day without data."""
    out = []
    for offset, found in enumerate(days):
        known = set() if found is None else {("i", metric) for metric in (ERRORS, LATENCY, LATENCY_P95)}
        items = step(D0 + timedelta(days=offset), items, found or [], known)
        out.append(list(items))
    return out


def states(history: list[list[Item]]) -> list[str]:
    return [day[0].state if day else "-" for day in history]


def test_an_item_is_new_then_ongoing_then_resolves_after_three_quiet_days_with_data() -> None:
    history = play([[signal("A")], [signal()], [], None, [], []])
    assert states(history) == ["new", "ongoing", "recovering", "no_data", "recovering", "resolved"]
    assert len({day[0].item_id for day in history}) == 1
    last = history[-1][0]
    assert last.closed == D0 + timedelta(days=5)
    assert last.quarantined == tuple(D0 + timedelta(days=d) for d in range(-6, 2))


def test_days_that_cannot_tell_neither_resolve_nor_accept_an_item() -> None:
    silent: list[None] = [None] * (ACCEPT_DAYS + 5)
    history = play([[signal("A")], *silent, [], [], []])
    assert set(states(history)[1:-3]) == {"no_data"}
    assert history[-4][0].quiet_days == 0
    # the first day with data is quiet: on the way to resolved, but so old that its level is accepted
    assert states(history)[-3] == "accepted"
    assert states(play([[signal("A")], None, [signal()], None, []])) == [
        "new",
        "no_data",
        "ongoing",
        "no_data",
        "recovering",
    ]


def test_a_window_that_only_repeats_itself_on_a_day_without_data_does_not_keep_an_item_ongoing() -> None:
    items = step(D0, [], [signal("A")], {("i", ERRORS)})
    (carried,) = step(D0 + timedelta(days=1), items, [signal("A")], set())
    assert (carried.state, carried.last_fired) == ("no_data", D0)
    (today,) = step(D0 + timedelta(days=1), items, [signal("C")], set())  # the day itself says so
    assert today.state == "ongoing"


def test_an_item_whose_series_never_comes_back_is_over_when_nothing_of_it_is_within_reach() -> None:
    history = play([[signal("A")], *[None] * REACH_DAYS])
    assert states(history)[-2:] == ["no_data", "accepted"]


def test_every_state_is_open_or_closed_or_pending() -> None:
    assert OPEN.isdisjoint(CLOSED)
    assert OPEN | CLOSED | {"pending"} == {
        "pending", "new", "ongoing", "recovering", "no_data", "resolved", "accepted", "dismissed",
    }  # fmt: skip


def test_two_hits_within_three_days_confirm_and_one_is_forgotten() -> None:
    assert states(play([[signal(hit=True)], [], [signal(hit=True)]])) == ["pending", "pending", "new"]
    assert states(play([[signal(hit=True)], [], [], []])) == ["pending", "pending", "pending", "-"]
    late = play([[signal(hit=True)], [], [], [signal(hit=True)]])
    assert states(late)[-1] == "pending"
    assert late[-1][0].opened == D0 + timedelta(days=3)


def test_a_confirmed_item_is_dated_from_its_first_hit() -> None:
    last = play([[signal(hit=True)], [signal(hit=True)]])[-1][0]
    assert (last.opened, last.trigger) == (D0, "B")


def test_an_item_that_comes_back_within_a_week_is_the_same_item() -> None:
    quiet: list[list[Signal]] = [[]] * 3
    history = play([[signal("A")], *quiet, [], [signal("C")]])
    assert states(history)[-1] == "new"
    assert history[-1][0].item_id == history[0][0].item_id
    assert history[-1][0].reopened == 1
    later = play([[signal("A")], *quiet, *[[]] * 8, [signal("C")]])[-1]
    assert sorted(item.state for item in later) == ["new", "resolved"]


def test_thirty_open_days_are_accepted_and_start_a_new_level() -> None:
    history = play([[signal("A")]] * (ACCEPT_DAYS + 1))
    assert states(history)[-2:] == ["ongoing", "accepted"]
    assert accepted_since(history[-1][0]) == D0 + timedelta(days=ACCEPT_DAYS - 13)


def test_closed_items_are_forgotten_when_no_baseline_reaches_them() -> None:
    assert states(play([[signal("A")], *[[]] * (REACH_DAYS + 4)]))[-3:] == ["resolved", "-", "-"]


def test_a_mean_and_its_p95_are_one_item_named_after_the_mean() -> None:
    both = [signal("A", metric=LATENCY, effect=0.2), signal("A", metric=LATENCY_P95, effect=0.3)]
    (item,) = play([both])[0]
    assert item.metric == LATENCY


def test_a_p95_alone_is_its_own_item_until_the_mean_follows() -> None:
    tail = signal("A", metric=LATENCY_P95, effect=0.3)
    weak = signal(metric=LATENCY, effect=0.06)
    moved = signal("A", metric=LATENCY, effect=0.2)
    history = play([[tail], [tail, weak], [tail, moved], [tail]])
    assert [day[0].metric for day in history] == [LATENCY_P95, LATENCY_P95, LATENCY, LATENCY]
    assert {len(day) for day in history} == {1}


def test_severity_of_an_episode_never_falls() -> None:
    history = play([[signal("A", effect=0.2)], [signal(effect=0.02)]])
    assert [day[0].severity for day in history] == ["critical", "critical"]
    assert history[-1][0].evidence is not None and history[-1][0].evidence.effect == 0.02


def test_a_month_that_still_remembers_an_incident_does_not_keep_it_open() -> None:
    past = signal("D", recent=False)
    assert states(play([[signal("A")], [past], [past], [past]]))[-1] == "resolved"
    assert states(play([[past], [past], [past]])) == ["new", "ongoing", "ongoing"]


def test_items_survive_the_table_without_loss() -> None:
    days: list[list[Signal] | None] = [[signal(hit=True)], [signal("A")], [], None, [], [], [signal("C")]]
    for day, items in enumerate(play(days)):
        table = rows_to_table("drift_items", [to_row(item, D0 + timedelta(days=day)) for item in items])
        assert from_rows(table.to_pylist()) == items
    assert items[0].reopened == 1


def test_a_day_can_be_repeated_and_the_order_of_signals_does_not_matter() -> None:
    found = [signal("A"), signal("A", metric=LATENCY), signal("A", metric=LATENCY_P95)]
    known = {("i", ERRORS), ("i", LATENCY)}
    before = step(D0, [], found, known)
    tomorrow = D0 + timedelta(days=1)
    assert step(D0, [], found[::-1], known) == before
    assert step(tomorrow, before[::-1], found, known) == step(tomorrow, before, found[::-1], known)
