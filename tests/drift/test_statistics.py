from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from insights_pipeline.drift.constants import COST, DEFAULT, ERRORS, LATENCY, TOOLS, UP, Constants
from insights_pipeline.drift.statistics import error_rate, floors, numeric, tool_mix
from insights_pipeline.drift.statistics.arrays import latest, masked_median
from insights_pipeline.drift.statistics.moderation import (
    autocorrelation,
    huber_mean,
    paule_mandel,
    prior_variance,
    squeeze,
    vif,
)
from insights_pipeline.drift.statistics.multiplicity import benjamini_hochberg
from insights_pipeline.drift.statistics.result import Status

INF = float("inf")
PLAIN = Constants(
    prior_days=0,
    prior_within=0,
    huber=INF,
    winsor=INF,
    consistency=1,
    phi_max=0,
    weekday_days=10**6,
    tau2_floor=1e-12,
)


def days_of(log_means: np.ndarray, n: float, within: float = 1e-6) -> numeric.Daily:
    """Days whose log-means are given exactly, of `n` traces with almost no scatter inside a day."""
    counts = np.full(log_means.shape, n)
    return numeric.log_means(log_means * counts, (log_means**2 + within) * counts, counts, first_weekday=0)


def split(width: int, window: int, rows: int = 1) -> tuple[np.ndarray, np.ndarray]:
    base, inside = np.zeros((rows, width), bool), np.zeros((rows, width), bool)
    base[:, : width - window] = inside[:, width - window :] = True
    return base, inside


@pytest.mark.parametrize("window", [1, 7])
def test_without_priors_the_numeric_test_is_students_t(window: int) -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 0.1, (1, 30 + window))
    y[:, 30:] += 0.2
    base, inside = split(30 + window, window)
    result = numeric.compare(days_of(y, 1e6), base, inside, cap=INF, alpha=0.05, c=PLAIN)
    before, now = y[0, :30], y[0, 30:]
    se = before.std(ddof=1) * np.sqrt(1 / 30 + 1 / window)
    t = (now.mean() - before.mean()) / se
    assert result.statistic[0] == pytest.approx(t, rel=1e-4)
    assert result.df[0] == pytest.approx(29, rel=1e-3)
    assert result.p[0] == pytest.approx(2 * stats.t.sf(abs(t), 29), rel=2e-3)
    low, high = stats.t.interval(0.95, 29, now.mean() - before.mean(), se)
    assert (result.low[0], result.high[0]) == pytest.approx((np.expm1(low), np.expm1(high)), rel=1e-3)


def test_without_day_effects_the_numeric_test_is_the_z_test_of_two_means() -> None:
    n, within = 50.0, 0.25
    y = np.zeros((1, 31))
    y[:, 30] = 0.3
    base, inside = split(31, 1)
    result = numeric.compare(
        days_of(y, n, within), base, inside, cap=INF, alpha=0.05, c=replace(PLAIN, prior_days=1e12)
    )
    s2 = within * n / (n - 1)
    expected = 0.3 / np.sqrt(s2 / n + s2 / (30 * n))
    assert result.statistic[0] == pytest.approx(expected, rel=1e-6)
    assert result.p[0] == pytest.approx(2 * stats.norm.sf(expected), rel=1e-6)


def test_paule_mandel_solves_its_equation_and_is_zero_without_scatter() -> None:
    rng = np.random.default_rng(1)
    v = rng.uniform(0.01, 0.05, (4, 25))
    y = rng.normal(0, np.sqrt(v + 0.04))
    mask = np.ones(y.shape, bool)
    mask[2, 10:] = False
    tau2 = paule_mandel(y, v, mask, c=PLAIN)
    for row in range(4):
        w = mask[row] / (tau2[row] + v[row])
        mu = (w * y[row]).sum() / w.sum()
        assert (w * (y[row] - mu) ** 2).sum() == pytest.approx(mask[row].sum() - 1, rel=1e-4)
    assert paule_mandel(np.zeros((1, 9)), v[:1, :9], mask[:1, :9], c=PLAIN)[0] == 0


def test_moderation_is_limmas_formula_and_pulls_a_poor_estimate_towards_the_pool() -> None:
    tau2, vbar, m = np.array([0.01, 0.01]), np.array([0.0, 1.0]), np.array([30.0, 30.0])
    moderated, d = squeeze(tau2, 0.04, vbar, m, c=DEFAULT)
    assert d[0] == 29
    assert moderated[0] == pytest.approx((8 * 0.04 + 29 * 0.01) / 37)
    assert d[1] < 0.1 and moderated[1] == pytest.approx(0.04, rel=0.01)


def test_one_wild_series_hardly_moves_the_prior() -> None:
    tau2 = np.array([0.01, 0.011, 0.009, 0.01, 5.0])
    pooled = prior_variance(tau2, np.full(5, 1e-3), np.full(5, 30.0), np.ones(5, bool), floor=1e-5)
    assert 0.009 < pooled < 0.04


def test_a_huber_mean_is_the_weighted_mean_without_outliers_and_resists_one() -> None:
    y, w = np.array([[1.0, 1.2, 0.8, 1.0]]), np.array([[1.0, 2.0, 2.0, 1.0]])
    mask = np.ones((1, 4), bool)
    mu, a = huber_mean(y, w, mask, huber=2.0)
    assert mu[0] == pytest.approx(np.average(y[0], weights=w[0]))
    assert a.sum() == pytest.approx(1)
    y[0, 3] = 100
    assert huber_mean(y, w, mask, huber=2.0)[0][0] < 2


@given(st.integers(1, 40), st.floats(0.01, 0.7))
def test_the_variance_inflation_is_that_of_an_ar1_mean(k: int, phi: float) -> None:
    lag = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    assert vif(np.array([float(k)]), phi)[0] == pytest.approx((phi**lag).sum() / k, rel=1e-9)


def test_autocorrelation_is_found_between_neighbouring_days_only() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 30))
    for day in range(1, 30):
        z[:, day] = 0.5 * z[:, day - 1] + np.sqrt(0.75) * z[:, day]
    z -= z.mean(axis=1, keepdims=True)  # as residuals are: from a mean that they have pulled along
    column, mask, share = np.tile(np.arange(30), (200, 1)), np.ones(z.shape, bool), np.ones(z.shape)
    assert autocorrelation(z, share, column, mask, c=DEFAULT) == pytest.approx(0.5, abs=0.03)
    noisy = (z + rng.normal(size=z.shape)) / np.sqrt(
        2
    )  # half of what varies is sampling, which has no memory
    assert autocorrelation(noisy, share / 2, column, mask, c=DEFAULT) == pytest.approx(0.5, abs=0.06)
    assert autocorrelation(z, share, column * 2, mask, c=DEFAULT) == DEFAULT.phi_prior


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_scipys(p: list[float]) -> None:
    expected = stats.false_discovery_control(p)
    assert benjamini_hochberg(np.array(p)) == pytest.approx(expected)
    gaps = np.array([x for value in p for x in (np.nan, value)])
    assert benjamini_hochberg(gaps)[1::2] == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_a_numeric_test_does_not_depend_on_the_unit(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.1, (3, 37))
    base, inside = split(37, 7, 3)
    one = numeric.compare(days_of(y, 50, 0.2), base, inside, cap=10, alpha=0.01)
    other = numeric.compare(days_of(y + np.log(unit), 50, 0.2), base, inside, cap=10, alpha=0.01)
    assert other.p == pytest.approx(one.p, rel=1e-5)
    assert other.effect == pytest.approx(one.effect, rel=1e-6, abs=1e-9)
    assert other.observed == pytest.approx(one.observed * unit, rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)))
def test_the_order_of_the_series_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(0, 0.1, (6, 31))
    base, inside = split(31, 1, 6)
    straight = numeric.compare(days_of(y, 40, 0.2), base, inside, cap=8, alpha=0.01)
    shuffled = numeric.compare(days_of(y[order], 40, 0.2), base, inside, cap=8, alpha=0.01)
    assert shuffled.p == pytest.approx(straight.p[order], rel=1e-9)


def test_a_weekday_rhythm_is_taken_out_of_a_single_day() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(0, 0.02, (12, 36)) + np.where(np.arange(36) % 7 >= 5, 0.5, 0.0)
    base, inside = split(35, 1, 12)
    base, inside = np.pad(base, ((0, 0), (0, 1))), np.pad(inside, ((0, 0), (0, 1)))
    blind = replace(DEFAULT, weekday_days=10**6)
    seen = numeric.compare(days_of(y, 100, 0.1), base, inside, cap=8, alpha=0.01)
    unseen = numeric.compare(days_of(y, 100, 0.1), base, inside, cap=8, alpha=0.01, c=blind)
    assert np.abs(seen.effect).max() < 0.15
    assert unseen.effect.min() > 0.3


def rates(days: int, n: float, p: float, last: float, *, window: int = 1) -> tuple[np.ndarray, np.ndarray]:
    counts = np.full((1, days), n)
    k = np.round(counts * p)
    k[:, days - window :] = np.round(n * last)
    return counts, k


def test_without_day_scatter_the_error_test_is_close_to_the_exact_binomial() -> None:
    n, k = rates(31, 200.0, 0.05, 0.10)
    n[:, :30] = 1e6  # so long a baseline that its rate is known
    k[:, :30] = 5e4
    c = replace(PLAIN, tau2_floor=1e-12)
    base, inside = split(31, 1)
    result = error_rate.compare(n, k, base, inside, cap=INF, alpha=0.05, c=replace(c, prior_days=1e9))
    exact = stats.binom.sf(19, 200, 0.05) / 2 + stats.binom.sf(20, 200, 0.05) / 2
    logit = np.log(0.1 / 0.9) - np.log(0.05 / 0.95)
    wald = logit * np.sqrt(200 * 0.1 * 0.9 + 0.5)
    assert result.statistic[0] == pytest.approx(min(stats.norm.isf(exact), wald), rel=0.02)
    assert result.effect[0] == pytest.approx(0.05, abs=1e-6)


def test_scatter_between_days_makes_the_same_error_rate_less_surprising() -> None:
    rng = np.random.default_rng(4)
    n = np.full((2, 31), 200.0)
    k = rng.binomial(200, 0.1, n.shape).astype(float)
    k[1] = rng.binomial(200, rng.beta(2, 18, 31))
    k[:, 30] = 36
    base, inside = split(31, 1, 2)
    result = error_rate.compare(n, k, base, inside, cap=8, alpha=0.01, c=replace(DEFAULT, prior_days=1.0))
    assert result.p[1] > 5 * result.p[0]


def test_without_day_scatter_the_tool_test_is_close_to_the_chi_square() -> None:
    shares = np.tile([1_000.0, 600.0, 400.0], (1, 31, 1))
    shares[0, 30] = [920, 640, 440]
    n = np.full((1, 31), 2_000.0)
    base, inside = split(31, 1)
    c = replace(PLAIN, prior_days=1e9)
    result = tool_mix.compare(n, shares, base, inside, cap=INF, alpha=0.05, c=c)
    table = np.stack([shares[0, 30], shares[0, :30].sum(axis=0)])
    expected = stats.chi2_contingency(table, correction=False)
    assert result.statistic[0] * 2 == pytest.approx(expected.statistic, rel=0.01)
    assert result.p[0] == pytest.approx(expected.pvalue, rel=0.05)


def test_one_trace_with_a_never_seen_tool_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    shares = rng.multinomial(30, [0.6, 0.4, 0.0], (1, 31)).astype(float)
    shares[0, 30] = [18, 11, 1]
    base, inside = split(31, 1)
    result = tool_mix.compare(np.full((1, 31), 30.0), shares, base, inside, cap=8, alpha=0.05)
    assert result.p[0] > 0.1


@pytest.mark.parametrize("kind", ["numeric", "errors", "tools"])
def test_p_values_of_unchanged_traffic_are_not_too_small(kind: str) -> None:
    rng = np.random.default_rng(11)
    rows, width = 400, 31
    n = np.full((rows, width), 60.0)
    base, inside = split(width, 1, rows)
    if kind == "numeric":
        y = rng.normal(0, 0.05, (rows, width)) + rng.normal(0, 0.5 / np.sqrt(60), (rows, width))
        result = numeric.compare(days_of(y, 60, 0.25), base, inside, cap=8, alpha=0.01)
    elif kind == "errors":
        logit = np.log(0.08 / 0.92) + rng.normal(0, 0.3, (rows, width))
        k = rng.binomial(60, 1 / (1 + np.exp(-logit))).astype(float)
        result = error_rate.compare(n, k, base, inside, cap=8, alpha=0.01)
    else:
        day = np.stack([rng.dirichlet(np.array([75, 45, 30]), width) for _ in range(rows)])
        shares = np.array([[rng.multinomial(60, mix) for mix in row] for row in day], dtype=float)
        result = tool_mix.compare(n, shares, base, inside, cap=8, alpha=0.01)
    assert (result.p < 0.05).mean() <= 0.08
    assert (result.p < 0.001).mean() <= 0.005
    assert (result.p < 0.5).mean() >= 0.15  # and not useless either


@pytest.mark.parametrize(
    ("days", "n", "status"), [(2, 50, Status.LEARNING), (4, 4, Status.LEARNING), (9, 50, Status.TESTED)]
)
def test_a_young_series_is_learning(days: int, n: int, status: Status) -> None:
    y = np.zeros((1, days + 1))
    base, inside = split(days + 1, 1)
    result = numeric.compare(days_of(y, n, 0.2), base, inside, cap=8, alpha=0.01)
    assert result.status[0] == status
    assert np.isnan(result.p[0]) == (status != Status.TESTED)


def test_a_window_of_four_traces_is_no_data() -> None:
    counts = np.full((1, 10), 50.0)
    counts[0, 9] = 4
    result = error_rate.compare(counts, counts * 0.1, *split(10, 1), cap=8, alpha=0.01)
    assert result.status[0] == Status.NO_DATA


def test_the_smallest_detectable_change_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(9)
    rows, alpha = 600, 0.01
    y = rng.normal(0, 0.05, (rows, 37)) + rng.normal(0, 0.5 / np.sqrt(80), (rows, 37))
    base, inside = split(37, 7, rows)
    before = numeric.fit(days_of(y[:, :30], 80, 0.25), np.ones((rows, 30), bool))
    least = numeric.detectable(before, days=7, cap=10, alpha=alpha)
    y[:, 30:] += np.log1p(least)[:, None]
    result = numeric.compare(days_of(y, 80, 0.25), base, inside, cap=10, alpha=alpha)
    assert 0.7 < (result.p <= alpha).mean() < 0.97


def test_intervals_cover_the_true_change() -> None:
    rng = np.random.default_rng(10)
    y = rng.normal(0, 0.05, (500, 37)) + rng.normal(0, 0.5 / np.sqrt(80), (500, 37))
    y[:, 30:] += np.log(1.5)
    result = numeric.compare(days_of(y, 80, 0.25), *split(37, 7, 500), cap=10, alpha=0.01)
    assert 0.93 <= ((result.low <= 0.5) & (result.high >= 0.5)).mean() <= 1


@pytest.mark.parametrize(
    ("metric", "effect", "p", "expected"),
    [
        (LATENCY, 0.2, 1e-6, "warning"),
        (LATENCY, 0.6, 1e-6, "high"),
        (LATENCY, 1.1, 1e-6, "critical"),
        (LATENCY, 1.1, 1e-3, "high"),
        (ERRORS, 0.06, 1e-6, "high"),
        (ERRORS, 0.16, 1e-6, "critical"),
        (TOOLS, 0.25, 1e-6, "high"),
        (COST, 0.11, 1e-6, "warning"),
    ],
)
def test_severity_follows_effect_and_p(metric: str, effect: float, p: float, expected: str) -> None:
    assert floors.severity(metric, UP, effect=effect, p=p) == expected


def test_an_improvement_is_only_information() -> None:
    assert floors.severity(COST, "down", effect=-0.6, p=1e-9) == "info"


def test_the_latest_days_keep_their_order_and_a_fixed_width() -> None:
    mask = np.array([[True, False, True, True], [False, False, False, True]])
    column, kept = latest(mask, 2)
    assert column[0].tolist() == [2, 3] and kept.tolist() == [[True, True], [False, True]]
    assert masked_median(np.array([[3.0, 9.0, 1.0, 2.0]]), mask[:1])[0] == 2
