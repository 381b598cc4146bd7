"""Intents that are silent on many days by habit: no alarm of their gaps, and their real changes are found."""

from __future__ import annotations

import numpy as np
import pytest

from insights_pipeline.drift.constants import DEFAULT
from insights_pipeline.drift.statistics import volume
from insights_pipeline.drift.statistics.arrays import Mask
from insights_pipeline.drift.statistics.result import Status, TestResult
from insights_pipeline.drift.statistics.silence import habit

DAYS = 70


def judged(k: np.ndarray, *, window: int = 7, end: int = DAYS) -> TestResult:
    k = k[:, :end]
    before, inside = np.zeros(k.shape, bool), np.zeros(k.shape, bool)
    inside[:, end - window :] = True
    before[:, end - window - 30 : end - window] = True
    cap = DEFAULT.cap_day if window == 1 else DEFAULT.cap_week
    daily = volume.exposed(k, k.sum(axis=0), first_weekday=0)
    return volume.compare(daily, before, inside, cap=cap, alpha=1e-4)


def traffic(rng: np.random.Generator, *, rows: int = 40, gaps: float = 0.3) -> np.ndarray:
    """Intents of 20 to 3,000 traces a day, of which a share of the days at random has none at all."""
    level = np.linspace(np.log(20), np.log(3_000), rows)[:, None]
    scatter = 0.12 * rng.standard_t(5, (rows, DAYS)) / np.sqrt(5 / 3)
    k = rng.poisson(np.exp(level + scatter)).astype(float)
    return np.where(rng.random(k.shape) < gaps, 0.0, k)


def alarms(result: TestResult, p: float = 0.001) -> np.ndarray:
    return np.asarray((result.p < p) & (result.magnitude >= 1))


@pytest.mark.parametrize("window", [1, 7, 30])
@pytest.mark.parametrize("gaps", [0.15, 0.3, 0.6])
def test_days_that_are_empty_as_often_as_ever_raise_no_alarm(gaps: float, window: int) -> None:
    fired = tested = 0
    for seed in range(4):
        result = judged(traffic(np.random.default_rng(seed), gaps=gaps), window=window)
        fired += int(alarms(result).sum())
        tested += int((result.status == Status.TESTED).sum())
    assert tested >= 0.3 * 160
    assert fired <= 1


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_real_change_of_an_intent_with_gaps_is_found(factor: float) -> None:
    found = []
    for seed in range(8):
        k = traffic(np.random.default_rng(seed))
        k[20, -7:] = np.round(k[20, -7:] * factor)
        result = judged(k)
        found.append(bool(alarms(result)[20]))
        assert result.effect[20] == pytest.approx(factor - 1, abs=0.4 * factor)
    assert np.mean(found) >= 0.75


def test_a_weekly_batch_job_moves_neither_itself_nor_everybody_else() -> None:
    rng = np.random.default_rng(3)
    k = rng.poisson(np.full((12, DAYS), 200.0)).astype(float)
    k[0] = np.where(
        np.arange(DAYS) % 9 == 0, 4_000.0, 0.0
    )  # not on the same weekday: two thirds of the traffic
    for window in (1, 7):
        told = [alarms(judged(k, window=window, end=end), p=0.01) for end in range(50, DAYS + 1)]
        assert np.sum(told) == 0
    k[5, -7:] *= 2
    assert alarms(judged(k))[5]


def test_an_intent_that_is_used_on_fewer_days_than_ever_is_told_by_those() -> None:
    rng = np.random.default_rng(4)
    k = traffic(rng, gaps=0.0)
    k[20] = np.where(rng.random(DAYS) < 0.25, 0.0, k[20])
    k[20, -30:] = np.where(np.arange(30) % 6 == 0, k[10, -30:].max() + k[20].max(), 0.0)
    k[20, -30:] = np.where(k[20, -30:] > 0, np.median(k[20, :40][k[20, :40] > 0]), 0.0)
    result = judged(k, window=30)
    assert result.p[20] < 1e-3
    assert result.effect[20] < -0.6
    assert result.low[20] <= result.effect[20] <= result.high[20]
    assert result.observed[20] == pytest.approx(k[20, -30:].mean())


def test_a_few_empty_days_are_no_habit_and_count_as_they_did() -> None:
    k = np.full((2, 30), 100.0)
    k[0, [3, 9]] = 0
    n = np.full(k.shape, 1_000.0)
    every = np.ones(k.shape, bool)
    assert habit(k, n, every).silent.tolist() == [0, 0]
    k[0, 20] = 0
    three = habit(k, n, every)
    assert three.silent.tolist() == [3, 0]
    assert three.of(k, n, every).sum() == 3


def test_empty_days_of_an_intent_that_is_rarely_asked_are_chance_and_no_habit() -> None:
    rng = np.random.default_rng(5)
    k = rng.poisson(np.linspace(0.2, 3, 30)[:, None], (30, 30)).astype(float)
    assert habit(k, np.full(k.shape, 1_000.0), np.ones(k.shape, bool)).silent.sum() == 0


def test_silence_that_comes_in_runs_counts_as_fewer_days() -> None:
    mask: Mask = np.ones((2, 30), bool)
    k = np.full((2, 30), 100.0)
    k[0, 6:15] = 0
    k[1, np.arange(9) * 3] = 0
    seen = habit(k, np.full(k.shape, 1_000.0), mask)
    assert seen.memory[0] > 0.6
    assert seen.memory[1] == 0
    few, days = np.full(2, 5.0), np.full(2, 7.0)
    from insights_pipeline.drift.statistics.silence import usage

    z = usage(seen, few, days).z
    assert z[1] < z[0] <= 0
