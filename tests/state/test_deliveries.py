"""The ledger of what was sent: one sender at a time, never after it was sent, again after a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from insights_pipeline.state import Delivery, State, claim, deliveries, mark_failed, mark_sent
from insights_pipeline.state.deliveries import ABANDONED, FAILED, SENDING, SENT, WAITING
from tests.state.test_state import url  # noqa: F401 – a fixture

LEASE = 100
KEY = "brief:daily:2026-03-02"


def take(
    state: State, now: int, *, point: str = "ops", attempts: int = 3, anew: bool = False
) -> Delivery | None:
    return claim(state, KEY, point, now_ns=now, lease_ns=LEASE, max_attempts=attempts, anew=anew)


def taken(state: State, now: int, *, attempts: int = 3, anew: bool = False) -> Delivery:
    found = take(state, now, attempts=attempts, anew=anew)
    assert found is not None
    return found


@pytest.fixture
def state(url: str) -> State:  # noqa: F811
    return State(url)


def test_what_was_sent_is_never_claimed_again(state: State) -> None:
    assert deliveries(state) == []
    mine = taken(state, 1_000)
    assert mine == Delivery(KEY, "ops", SENDING, 1, 1_000)
    mark_sent(state, mine, now_ns=1_010)
    assert take(state, 10**18) is None
    assert deliveries(state) == [Delivery(KEY, "ops", SENT, 1, 1_000, sent_ns=1_010)]


def test_a_delivery_under_way_is_left_alone_until_its_lease_runs_out(state: State) -> None:
    taken(state, 1_000)
    assert take(state, 1_000 + LEASE - 1) is None
    assert taken(state, 1_000 + LEASE).attempts == 2


def test_points_have_their_own_deliveries(state: State) -> None:
    taken(state, 1_000)
    assert take(state, 1_000, point="team") is not None
    assert len(deliveries(state, keys=[KEY])) == 2 and deliveries(state, keys=["other"]) == []
    assert deliveries(state, keys=[]) == []


def test_a_failure_waits_for_its_time_and_a_grave_one_for_ever(state: State) -> None:
    mark_failed(state, taken(state, 1_000), "busy", retry_ns=5_000)
    assert deliveries(state) == [Delivery(KEY, "ops", WAITING, 1, 5_000, error="busy")]
    assert take(state, 4_999) is None
    again = taken(state, 5_000)
    assert again.attempts == 2
    mark_failed(state, again, "revoked", retry_ns=None)
    assert take(state, 10**18) is None
    assert deliveries(state) == [Delivery(KEY, "ops", FAILED, 2, 5_000, error="revoked")]


def test_who_is_stopped_on_the_last_attempt_leaves_a_failure_that_is_seen(state: State) -> None:
    for attempt in range(3):
        assert taken(state, 1_000 * (attempt + 1)).attempts == attempt + 1
    assert take(state, 3_000 + LEASE - 1) is None and deliveries(state)[0].status == SENDING
    assert take(state, 3_000 + LEASE) is None
    assert deliveries(state) == [Delivery(KEY, "ops", FAILED, 3, 3_000, error=ABANDONED)]


def test_a_late_failure_of_a_claim_that_was_taken_over_changes_nothing(state: State) -> None:
    slow, quick = taken(state, 1_000), taken(state, 2_000)
    mark_failed(state, slow, "timed out", retry_ns=None)
    assert deliveries(state)[0].status == SENDING
    mark_sent(state, quick, now_ns=2_001)
    mark_failed(state, slow, "timed out", retry_ns=9)
    assert [(one.status, one.error) for one in deliveries(state)] == [(SENT, None)]


def test_a_late_success_counts_whoever_holds_the_claim(state: State) -> None:
    slow, quick = taken(state, 1_000), taken(state, 2_000)
    mark_sent(state, slow, now_ns=2_001)
    mark_failed(state, quick, "down", retry_ns=3_000)
    assert take(state, 10**18) is None and deliveries(state)[0].sent_ns == 2_001


def test_a_person_may_send_anew_but_not_beside_another_sender(state: State) -> None:
    mine = taken(state, 1_000)
    assert take(state, 1_050, anew=True) is None
    mark_sent(state, mine, now_ns=1_060)
    anew = taken(state, 2_000, anew=True)
    assert (anew.attempts, anew.sent_ns) == (1, 1_060)
    mark_failed(state, anew, "revoked", retry_ns=None)
    assert take(state, 3_000) is None and taken(state, 3_000, anew=True).attempts == 1


RACER = """
import sys, time
from insights_pipeline.state import State, claim
state = State(sys.argv[1])
won = 0
for number in range(20):
    time.sleep(max(0, float(sys.argv[2]) + number * 0.02 - time.time()))
    won += claim(state, f"k{number}", "ops", now_ns=1, lease_ns=100, max_attempts=3) is not None
print(won)
"""


def test_of_processes_that_claim_at_the_same_moment_one_gets_it(url: str) -> None:  # noqa: F811
    import time

    start = str(time.time() + 2)
    racers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RACER, url, start],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    won = []
    for racer in racers:
        out, errors = racer.communicate(timeout=120)
        assert racer.returncode == 0, errors.decode()
        won.append(int(out))
    assert sum(won) == 20
    assert all(one.attempts == 1 for one in deliveries(State(url)))
