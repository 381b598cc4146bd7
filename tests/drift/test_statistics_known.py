"""Statistics against worked examples of their papers and against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special, stats

from insights_pipeline.drift.constants import DEFAULT, Constants
from insights_pipeline.drift.series.rollups import ACCURACY, GAMMA, bin_value
from insights_pipeline.drift.statistics import error_rate, numeric, rates, tool_mix
from insights_pipeline.drift.statistics.moderation import paule_mandel, prior_variance, squeeze, with_known
from insights_pipeline.drift.statistics.weekday import weekday_effects

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

# Colditz et al. (1994), 13 trials of the BCG vaccine: tpos, tneg, cpos, cneg. `metafor::dat.bcg`.
BCG = np.array([
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
    (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
    (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
], dtype=float)  # fmt: skip


def test_paule_mandel_gives_metafors_tau2_of_the_bcg_trials() -> None:
    tpos, tneg, cpos, cneg = BCG.T
    y = np.log(tpos / (tpos + tneg)) - np.log(cpos / (cpos + cneg))
    v = 1 / tpos - 1 / (tpos + tneg) + 1 / cpos - 1 / (cpos + cneg)
    mask = np.ones((1, 13), bool)
    tau2 = float(paule_mandel(y[None, :], v[None, :], mask, c=PLAIN)[0])

    def surplus(candidate: float) -> float:
        w = 1 / (v + candidate)
        return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum() - 12)

    assert tau2 == pytest.approx(optimize.brentq(surplus, 1e-6, 10), rel=1e-4)
    # rma(yi, vi, data = dat, method = "PM") of the measure "RR": tau^2 0.3181
    assert tau2 == pytest.approx(0.3181, abs=5e-4)
    w = 1 / (v + tau2)
    assert (w * y).sum() / w.sum() == pytest.approx(-0.7150, abs=1e-3)


def test_moderated_variances_are_those_of_limmas_squeeze_var() -> None:
    # squeezeVar(c(1, 2, 0.5), df = 10) with df.prior 8 and var.prior 1.2: (8 * 1.2 + 10 * var) / 18
    var = np.array([1.0, 2.0, 0.5])
    moderated, d = squeeze(var, 1.2, np.zeros(3), np.full(3, 11.0), c=replace(DEFAULT, prior_days=8.0))
    assert d.tolist() == [10, 10, 10]
    assert moderated == pytest.approx((8 * 1.2 + 10 * var) / 18, rel=1e-12)
    # an infinite prior is the prior itself, none is the series' own (limma's df.prior = Inf and 0)
    assert squeeze(var, 1.2, np.zeros(3), np.full(3, 11.0), c=replace(DEFAULT, prior_days=1e12))[
        0
    ] == pytest.approx(np.full(3, 1.2))
    assert squeeze(var, 1.2, np.zeros(3), np.full(3, 11.0), c=replace(DEFAULT, prior_days=0.0))[
        0
    ] == pytest.approx(var)


def test_rows_that_do_not_vote_leave_the_prior_as_it_is() -> None:
    tau2, vbar, m = np.array([0.01, 0.012, 0.9, 0.8]), np.full(4, 1e-3), np.full(4, 30.0)
    usable, pool = np.ones(4, bool), np.array([True, True, False, False])
    of_two = prior_variance(tau2[:2], vbar[:2], m[:2], usable[:2], floor=1e-5)
    assert prior_variance(tau2, vbar, m, usable, floor=1e-5, pool=pool) == of_two
    assert prior_variance(tau2, vbar, m, usable & ~pool, floor=1e-5, pool=pool) > 0.5  # nobody else is there


def test_a_weekday_effect_is_the_mean_shrunk_by_its_own_noise() -> None:
    rng = np.random.default_rng(0)
    column = np.tile(np.arange(28), (400, 1))
    effect = 0.3 * rng.normal(size=(400, 7))
    effect -= effect.mean(axis=1, keepdims=True)
    noise = 0.2 * rng.normal(size=(400, 28))
    mask = np.ones((400, 28), bool)
    found, variance = weekday_effects(
        effect[:, np.arange(28) % 7] + noise, np.ones((400, 28)), mask, column, 0, min_days=14
    )
    # Efron and Morris: kappa2 / (kappa2 + sigma2 / 4), and what is left varies by the posterior variance
    keep = 0.09 / (0.09 + 0.04 / 4)
    slope = (found * effect).sum() / (effect**2).sum()
    assert slope == pytest.approx(keep, abs=0.03)
    assert ((found - effect) ** 2).mean() == pytest.approx(variance.mean(), rel=0.25)


@pytest.mark.parametrize(("k", "n", "p"), [(3, 40, 0.02), (19, 200, 0.05), (0, 60, 0.1), (40, 40, 0.9)])
def test_the_tail_is_scipys_mid_p_binomial_at_whole_counts(k: int, n: int, p: float) -> None:
    z = rates.tail_z(np.array([k / n]), np.array([p]), np.array([float(n)]))[0]
    at_least, more = stats.binom.sf(k - 1, n, p), stats.binom.sf(k, n, p)
    upper = (at_least + more) / 2
    expected = upper if k / n > p else 1 - upper
    assert special.ndtr(-z) == pytest.approx(expected, rel=1e-8)


def test_overdispersed_days_give_the_variance_of_the_beta_binomial() -> None:
    # beta(2, 18) days of 50 traces: rho = 1 / (2 + 18 + 1), and Var(k) = n p q (1 + (n − 1) rho) as in scipy
    rng = np.random.default_rng(3)
    n = np.full((40, 30), 50.0)
    k = rng.binomial(50, rng.beta(2, 18, n.shape)).astype(float)
    model = error_rate.fit(n, k, np.ones(n.shape, bool), c=replace(DEFAULT, prior_days=1e9))
    assert model.rho.mean() == pytest.approx(1 / 21, rel=0.1)
    variance = 50 * model.p0 * (1 - model.p0) * (1 + 49 * model.rho)
    assert variance.mean() == pytest.approx(stats.betabinom.var(50, 2, 18), rel=0.1)


def test_the_effective_sample_of_a_clustered_rate_is_rao_and_scotts() -> None:
    # equal clusters of m traces with correlation rho: design effect 1 + (m − 1) rho (Rao and Scott 1984, Kish 1965)
    n, days, rho = 600.0, 12.0, 0.05
    effective = error_rate.effective(
        np.array([n]), np.array([1 / days]), np.array([days]), np.array([rho]), phi=0.0
    )[0]
    assert effective == pytest.approx(n / (1 + (n / days - 1) * rho), rel=1e-12)


def test_a_clustered_tool_mix_is_tested_with_rao_and_scotts_corrected_chi_square() -> None:
    rng = np.random.default_rng(1)
    pi, m = np.array([0.5, 0.3, 0.2]), 100
    shares = np.array([[rng.multinomial(m, rng.dirichlet(pi * 40)) for _ in range(31)] for _ in range(80)])
    n = np.full((80, 31), float(m))
    base, inside = np.zeros((80, 31), bool), np.zeros((80, 31), bool)
    base[:, :30], inside[:, 30] = True, True
    c = replace(PLAIN, prior_days=1e9)  # one rho for all
    model = tool_mix.fit(n, shares.astype(float), base, c=c)
    assert model.rho.mean() == pytest.approx(1 / 41, rel=0.15)
    result = tool_mix.compare(n, shares.astype(float), base, inside, cap=INF, alpha=0.05, c=c)
    design = 1 + (m - 1) * model.rho[0]
    expected = []
    for row in range(80):
        table = np.stack([shares[row, 30], shares[row, :30].sum(axis=0)])
        expected.append(stats.chi2_contingency(table, correction=False).statistic / design)
    assert result.statistic * 2 == pytest.approx(np.array(expected), rel=0.05, abs=0.05)
    assert (result.p < 0.05).mean() < 0.13


def test_a_window_of_another_variance_is_close_to_welchs_test() -> None:
    # days as observations: 30 calm ones against 7; both t-tests agree when the spread is the same
    rng = np.random.default_rng(8)
    y = rng.normal(0, 0.1, (1, 37))
    y[:, 30:] += 0.15
    counts = np.full(y.shape, 1e7)
    daily = numeric.log_means(y * counts, (y**2 + 1e-6) * counts, counts, first_weekday=0)
    base, inside = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
    base[:, :30], inside[:, 30:] = True, True
    result = numeric.compare(daily, base, inside, cap=INF, alpha=0.05, c=PLAIN)
    welch = stats.ttest_ind(y[0, 30:], y[0, :30], equal_var=False)
    assert result.effect[0] == pytest.approx(np.expm1(y[0, 30:].mean() - y[0, :30].mean()), rel=1e-4)
    assert result.statistic[0] == pytest.approx(float(welch.statistic), rel=0.35)
    assert result.p[0] < 0.05 and float(welch.pvalue) < 0.05


def test_every_positive_value_is_within_the_accuracy_of_its_ddsketch_bin() -> None:
    x = np.exp(np.random.default_rng(2).uniform(np.log(1e-6), np.log(1e9), 5_000))
    bins = np.ceil(np.log(x) / np.log(GAMMA))
    assert (np.abs(bin_value(bins) / x - 1) <= ACCURACY * (1 + 1e-9)).all()
    # Masson, Rim and Lee (2019), definition 1: gamma = (1 + a) / (1 − a), value 2 gamma^i / (gamma + 1)
    gamma = 1.02 / 0.98
    assert pytest.approx(gamma) == GAMMA
    assert float(bin_value(3)) == pytest.approx(2 * gamma**3 / (gamma + 1))


def test_the_power_of_a_tool_test_is_that_of_the_noncentral_chi_square() -> None:
    # 3 tools, known baseline: scipy's ncx2 gives the lambda of 80 % power at .01 with 2 degrees of freedom
    pi, n = np.array([[0.5, 0.3, 0.2]]), 500.0
    critical = stats.chi2.isf(0.01, 2)
    exact = optimize.brentq(lambda size: stats.ncx2.sf(critical, 2, size) - 0.8, 1, 50)
    shares = np.repeat(pi[:, None, :] * 1e6, 30, axis=1)
    model = tool_mix.fit(
        np.full((1, 30), 1e6), shares, np.ones((1, 30), bool), c=replace(PLAIN, prior_days=1e12)
    )
    one_day = replace(model, n=np.array([500.0 * 30]), rho=np.zeros(1), squares=np.array([1 / 30]))
    least = tool_mix.detectable(one_day, days=1, cap=1e6, alpha=0.01)[0]
    trials = 1 / (1 / n + 1 / (n * 30))
    expected = np.sqrt(exact / trials / (1 / 0.5 + 1 / 0.3))
    assert least == pytest.approx(expected, rel=0.06)


def test_a_variance_that_is_half_known_has_the_degrees_of_freedom_of_welch() -> None:
    # Welch and Satterthwaite: (a + b)² / (a² / df_a + b² / df_b); a count's variance b is known: df_b is infinite
    a, b, df_a = 0.02, 0.06, 6.0
    found = with_known(np.array([df_a]), np.array([a / (a + b)]), most=INF)
    assert found == pytest.approx([(a + b) ** 2 / (a**2 / df_a)])
    assert with_known(np.array([df_a]), np.array([a / (a + b)]), most=15.0) == pytest.approx([15.0])
    assert with_known(np.array([20.0]), np.array([1.0]), most=15.0) == pytest.approx([20.0])


def test_the_interval_of_a_day_without_errors_is_that_of_clopper_and_pearson() -> None:
    rate, trials, outside = np.array([0.0, 0.25, 1.0]), np.full(3, 20.0), np.full(3, 0.025)
    low, high = rates.tail_interval(rate, trials, outside)
    for at, k in enumerate((0, 5, 20)):
        exact = stats.binomtest(k, 20).proportion_ci(0.95, method="exact")
        assert (low[at], high[at]) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_no_errors_in_a_quiet_day_leave_a_rise_possible_but_not_any() -> None:
    n, k = np.full((1, 31), 31.0), np.zeros((1, 31))
    k[0, :30:2] = 1.0
    base = np.arange(31)[None, :] < 30
    found = error_rate.compare(n, k, base, ~base, cap=6.0, alpha=1e-4)
    assert found.low[0] == pytest.approx(found.effect[0])
    assert 0.03 < found.high[0] < 0.2
