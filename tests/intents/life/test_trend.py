from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.intents.life.trend import DECLINING, GROWING, NEW, STABLE, trends

DAYS = np.arange(30)


def poisson(rates: np.ndarray, *, intents: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(rates, (intents, len(rates)))


def test_counts_that_follow_the_model_exactly_give_its_slope() -> None:
    counts = np.rint(1_000 * np.exp(np.log(2) * DAYS / 30)).astype(int)[None, :]
    found = trends(counts)[0]
    assert found.verdict == GROWING
    assert found.change == pytest.approx(1.0, abs=0.01)
    assert found.p is not None and found.p < 1e-6


def test_the_slope_solves_the_score_equations_of_the_likelihood() -> None:
    counts = np.array([[3, 5, 2, 6, 4, 7, 5, 8, 6, 9, 7, 6, 10, 8, 11, 9, 12, 10, 13, 11]])
    found = trends(counts)[0]
    assert found.change is not None and found.p is not None
    days = np.arange(20)
    x = (days - days.mean()) / 30
    slope = np.log1p(found.change)
    fitted = np.exp(slope * x)
    fitted *= counts.sum() / fitted.sum()
    # totals and first moments of counts and of the fit agree
    assert float((counts[0] - fitted) @ x) == pytest.approx(0, abs=1e-2)
    assert found.verdict == GROWING


def test_a_tripled_and_a_third_intent_among_steady_ones_are_told_apart() -> None:
    steady = poisson(np.full(30, 20.0), intents=10)
    up = poisson(20 * 3 ** ((DAYS - 15) / 30), seed=1)
    down = poisson(20 * 3 ** ((15 - DAYS) / 30), seed=2)
    found = [one.verdict for one in trends(np.concatenate([steady, up, down]))]
    assert found == [STABLE] * 10 + [GROWING, DECLINING]


def test_weekends_are_no_trend() -> None:
    weekly = np.where(DAYS % 7 < 5, 60.0, 5.0)
    assert {one.verdict for one in trends(poisson(weekly, intents=20))} == {STABLE}


def test_a_sure_but_small_change_is_stable() -> None:
    counts = np.rint(100_000 * np.exp(np.log(1.2) * DAYS / 30)).astype(int)[None, :]
    found = trends(counts)[0]
    assert found.verdict == STABLE and found.p is not None and found.p < 1e-6


def test_bursts_beyond_poisson_are_no_trend() -> None:
    rng = np.random.default_rng(3)
    bursts = rng.poisson(rng.gamma(0.5, 40, (200, 30)))
    moving = [one for one in trends(bursts) if one.verdict != STABLE]
    assert len(moving) <= 10


def test_steady_intents_raise_false_alarms_at_no_more_than_the_stated_rate() -> None:
    alarms = sum(
        any(one.verdict != STABLE for one in trends(poisson(np.full(30, 8.0), intents=20, seed=seed)))
        for seed in range(60)
    )
    assert alarms <= 6  # 5 % of days on which nothing changed


def test_a_sampled_day_counts_for_what_it_stands_for() -> None:
    share = np.where(DAYS < 15, 1.0, 0.25)  # four times the traffic, of which the same number was looked at
    counts = np.full((1, 30), 50)
    found = trends(counts, exposure=share)[0]
    assert found.verdict == GROWING and found.change is not None and found.change > 2


def test_days_without_any_traffic_say_nothing() -> None:
    counts = np.full((1, 30), 40)
    counts[0, 20:25] = 0
    exposure = np.ones(30)
    exposure[20:25] = 0
    assert trends(counts, exposure=exposure)[0].change == pytest.approx(0, abs=1e-6)


def test_too_few_days_or_traces_give_no_verdict() -> None:
    exposure = np.zeros(30)
    exposure[-5:] = 1
    few_days = trends(np.full((1, 30), 50), exposure=exposure)[0]
    few_traces = trends(np.eye(1, 30, dtype=int))[0]
    assert few_days == few_traces == (None, None, None)


def test_a_young_intent_is_new_whatever_its_counts() -> None:
    counts = np.stack([2 ** np.minimum(DAYS, 10), np.full(30, 30)])
    assert [one.verdict for one in trends(counts, new=[True, False])] == [NEW, STABLE]


def test_a_verdict_stands_while_the_change_lasts_and_ends_when_it_does() -> None:
    counts = np.rint(30 * np.exp(np.log(1.35) * DAYS / 30)).astype(int)[None, :]
    assert trends(counts)[0].verdict == STABLE
    assert trends(counts, before=[GROWING])[0].verdict == GROWING
    assert trends(np.full((1, 30), 30), before=[GROWING])[0].verdict == STABLE


def test_lengths_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 intents and 30 days"):
        trends(np.ones((2, 30), dtype=int), exposure=np.ones(29))


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=30, max_size=30), min_size=1, max_size=4))
def test_no_counts_break_it_and_p_is_a_probability(rows: list[list[int]]) -> None:
    for one in trends(np.array(rows)):
        assert one.verdict in (None, GROWING, DECLINING, STABLE)
        assert one.p is None or 0 <= one.p <= 1
        assert one.change is None or np.isfinite(one.change)
