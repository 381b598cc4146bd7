"""What a person accepted or dismissed is counted, and told nowhere else."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.brief.made import facts, item, observation, week

DISMISSED = {"decision": {"kind": "dismiss", "by": "ana", "day": "2026-03-05", "until": None}}
ACCEPTED = {"decision": {"kind": "accept", "by": "ana", "day": "2026-03-05"}}


def decided(state: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "item_id": "quiet",
        "state": state,
        "opened": date(2026, 3, 3),
        "closed": None if state == "dismissed" else date(2026, 3, 5),
        "explanation": DISMISSED if state == "dismissed" else ACCEPTED,
    }
    return item(**{**made, **changes})


@pytest.mark.parametrize("state", ["dismissed", "accepted"])
def test_what_a_person_decided_on_is_no_line_of_the_weeks_own_test(state: str) -> None:
    slow = decided(state)
    same = observation(metric="latency_ms", severity="high")
    tail, of_tenant = {**same, "metric": "latency_p95_ms"}, {**same, "slice": "tenant=acme"}
    found = week(slow, observations=[same, tail, of_tenant])
    assert found.lines == () and found.ongoing == ()
    assert [(one.kind, one.by, one.count) for one in found.decided] == [(state, "ana", 1)]
    others = [{**same, "direction": "down"}, {**same, "metric": "cost_usd"}, {**same, "intent_id": "int_2"}]
    for other in others:
        assert len(week(slow, observations=[other]).lines) == 1, other


def test_what_a_person_decided_on_is_not_told_as_the_change_of_all_traffic_that_it_makes() -> None:
    slow = decided("dismissed", traffic_share=0.8)
    found = week(slow, observations=[observation(intent_id="all", metric="latency_ms", effect=0.5)])
    assert found.lines == ()


def test_a_decision_of_an_earlier_week_hides_what_came_after_it_only_while_the_change_or_the_pause_lasts() -> (
    None
):
    then = date(2026, 2, 20)
    same = observation(metric="latency_ms")
    past = {"opened": date(2026, 2, 10), "closed": then}
    paused = {"decision": {**DISMISSED["decision"], "until": "2026-03-10"}}
    for over in (decided("accepted", **past), decided("dismissed", **past)):
        assert [line.metric for line in week(over, observations=[same]).lines] == ["latency_ms"]
    for lasting in (
        decided("dismissed", **past, explanation=paused),
        decided("dismissed", opened=past["opened"]),
    ):
        assert week(lasting, observations=[same]).lines == ()


def test_what_30_days_accepted_hides_no_drift_of_the_week() -> None:
    aged = item(state="accepted", opened=date(2026, 2, 3), closed=date(2026, 3, 5))
    assert len(week(aged, observations=[observation(metric="latency_ms")]).lines) == 1


def test_a_metric_that_a_person_decided_on_is_not_named_beside_another() -> None:
    moved = {"moved_with": [{"metric": "latency_p95_ms", "direction": "up", "effect": 0.3}]}
    cost = item(item_id="cost", metric="cost_usd", explanation=moved)
    (line,) = week(cost, decided("dismissed")).lines
    assert (line.metric, line.also) == ("cost_usd", ())
    (line,) = facts(cost, decided("dismissed")).lines
    assert line.also == ()
    (line,) = facts(cost, decided("dismissed", direction="down")).lines
    assert [one.metric for one in line.also] == ["latency_p95_ms"], "the other way is another change"
