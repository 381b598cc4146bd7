"""The smallest detectable change that is told of every kind of metric is one that is found four times in five."""

from __future__ import annotations

import numpy as np
import pytest

from insights_pipeline.drift.statistics import error_rate, floors, numeric, rates, tool_mix
from insights_pipeline.drift.statistics.arrays import Floats, Mask

Cell = tuple[int, float]
OFTEN_ENOUGH = (
    0.68,
    0.95,
)  # 80 %, give or take what a hundred or two hundred series and the normal theory leave open


def split(rows: int, window: int) -> tuple[Mask, Mask]:
    before, inside = np.zeros((rows, 30 + window), bool), np.zeros((rows, 30 + window), bool)
    before[:, :30], inside[:, 30:] = True, True
    return before, inside


def cap_of(window: int) -> float:
    return 8.0 if window == 1 else 10.0


@pytest.mark.parametrize("window", [1, 7])
@pytest.mark.parametrize(("n", "p"), [(50, 0.05), (50, 0.2), (400, 0.03)])
def test_of_error_rates(window: int, n: int, p: float) -> None:
    rows, alpha = 200, 0.01
    before, inside = split(rows, window)
    found = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        log_odds = np.log(p / (1 - p)) + 0.3 * rng.normal(size=inside.shape)
        counts = np.full(inside.shape, float(n))
        usual = rng.binomial(n, 1 / (1 + np.exp(-log_odds))).astype(float)
        model = error_rate.fit(counts, usual, before)
        least = error_rate.detectable(model, days=window, cap=cap_of(window), alpha=alpha)
        risen = np.log((p + least) / (1 - p - least)) - np.log(p / (1 - p))
        now = rng.binomial(n, 1 / (1 + np.exp(-(log_odds + risen[:, None])))).astype(float)
        k = np.where(inside, now, usual)
        result = error_rate.compare(counts, k, before, inside, cap=cap_of(window), alpha=alpha)
        assert np.median(result.smallest_detectable) == pytest.approx(np.median(least), rel=0.15)
        found.append((result.p <= alpha).mean())
    assert OFTEN_ENOUGH[0] <= np.mean(found) <= OFTEN_ENOUGH[1]


@pytest.mark.parametrize(("n", "concentration"), [(50, 150), (400, 150), (400, 60)])
def test_of_tool_mixes(n: int, concentration: float) -> None:
    rows, window, alpha = 80, 7, 0.01
    before, inside = split(rows, window)
    usual = np.array([0.4, 0.25, 0.15, 0.1, 0.1])
    rng = np.random.default_rng(7)

    def drawn(mix: Floats) -> Floats:
        return np.array([rng.multinomial(n, rng.dirichlet(mix * concentration)) for _ in range(30 + window)])

    shares = np.stack([drawn(usual) for _ in range(rows)]).astype(float)
    counts = np.full(inside.shape, float(n))
    model = tool_mix.fit(counts, shares, before)
    least = tool_mix.detectable(model, days=window, cap=10, alpha=alpha)
    for row in range(rows):
        swapped = usual + least[row] * np.array([-1, 1, 0, 0, 0])
        shares[row, 30:] = drawn(swapped)[30:]
    result = tool_mix.compare(counts, shares, before, inside, cap=10, alpha=alpha)
    assert OFTEN_ENOUGH[0] <= (result.p <= alpha).mean() <= OFTEN_ENOUGH[1]


@pytest.mark.parametrize(("n", "window"), [(200, 1), (200, 7), (60, 7)])
def test_of_p95s(n: int, window: int) -> None:
    rows, alpha = 150, 0.01
    before, inside = split(rows, window)
    rng = np.random.default_rng(8)
    logs = 0.05 * rng.normal(size=inside.shape)[:, :, None] + 0.6 * rng.normal(size=(*inside.shape, n))

    def daily(values: Floats) -> numeric.Daily:
        counts = np.full(inside.shape, float(n))
        means = numeric.log_means(values.sum(axis=-1), (values**2).sum(axis=-1), counts, first_weekday=0)
        return numeric.log_p95(means, np.exp(np.sort(values, axis=-1)[:, :, int(0.95 * (n - 1))]))

    least = numeric.detectable(
        numeric.fit(daily(logs), before),
        days=window,
        cap=cap_of(window),
        alpha=alpha,
        floor=floors.LOG_RATIO_P95,
    )
    slower = logs + np.where(inside, np.log1p(least)[:, None], 0.0)[:, :, None]
    result = numeric.compare(
        daily(slower), before, inside, cap=cap_of(window), alpha=alpha, floor=floors.LOG_RATIO_P95
    )
    assert result.smallest_detectable == pytest.approx(least, rel=0.3)
    assert OFTEN_ENOUGH[0] <= (result.p <= alpha).mean() <= OFTEN_ENOUGH[1]


def test_a_rate_that_not_even_certain_failure_would_show_promises_nothing() -> None:
    one = np.ones(1)
    risen = rates.smallest_rise(0.9 * one, 5 * one, 4 * one, 0.2 * one, alpha=1e-6, df=8 * one)
    assert np.isnan(risen[0])
