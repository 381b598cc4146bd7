"""Growing and fading: an intent's share of the day's traffic, and all traffic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from insights_pipeline.drift.constants import DEFAULT, DOWN, UP, VOLUME, Constants
from insights_pipeline.drift.statistics import floors, volume
from insights_pipeline.drift.statistics.arrays import Mask
from insights_pipeline.drift.statistics.result import Status, TestResult

INF = float("inf")
PLAIN = Constants(
    prior_days=0, huber=INF, winsor=INF, consistency=1, phi_max=0, weekday_days=10**6, tau2_floor=1e-12
)
DAYS = 60


def split(rows: int, width: int, window: int, base: int = 30) -> tuple[Mask, Mask]:
    before, inside = np.zeros((rows, width), bool), np.zeros((rows, width), bool)
    inside[:, width - window :] = True
    before[:, width - window - base : width - window] = True
    return before, inside


def judged(k: np.ndarray, n: np.ndarray, *, window: int = 7, c: Constants = DEFAULT) -> TestResult:
    daily = volume.exposed(k, n, first_weekday=0)
    cap = DEFAULT.cap_day if window == 1 else DEFAULT.cap_week
    return volume.compare(daily, *split(*k.shape, window), cap=cap, alpha=1e-4, c=c)


def traffic(
    rng: np.random.Generator, *, rows: int = 60, between: float = 0.12, rhythm: float = 0.0
) -> np.ndarray:
    """Counts of intents from 1 to 2000 a day: heavy-tailed days, days busier for everybody, quiet weekends."""
    level = np.linspace(np.log(1), np.log(2_000), rows)[:, None]
    own = between * rng.standard_t(5, (rows, DAYS)) / np.sqrt(5 / 3)
    everybody = 0.15 * rng.normal(size=DAYS) - np.where(np.arange(DAYS) % 7 >= 5, 0.7, 0.0)
    weekday = rhythm * rng.normal(size=(rows, 7))[:, np.arange(DAYS) % 7]
    return rng.poisson(np.exp(level + own + everybody + weekday)).astype(float)


def test_without_scatter_between_days_a_share_is_the_exact_binomial_or_the_log_odds_test() -> None:
    n = np.full((1, 31), 2_000.0)
    n[:, :30] = 1e7  # so long a baseline that its share is known
    k = n * 0.01
    k[:, 30] = 36
    c = Constants(**{**vars_of(PLAIN), "prior_days": 1e9})
    daily = volume.exposed(k, n, first_weekday=0)
    result = volume.compare(daily, *split(1, 31, 1), cap=INF, alpha=0.05, c=c)
    exact = (stats.binom.sf(35, 2_000, 0.01) + stats.binom.sf(36, 2_000, 0.01)) / 2
    rate = 36 / 2_000
    wald = (np.log(rate / (1 - rate)) - np.log(0.01 / 0.99)) * np.sqrt(2_000 * rate * (1 - rate))
    assert result.statistic[0] == pytest.approx(min(stats.norm.isf(exact), wald), rel=0.02)
    assert result.effect[0] == pytest.approx(0.8, rel=1e-3)
    assert (result.observed[0], result.baseline_value[0]) == pytest.approx((36, 20), rel=1e-3)


def vars_of(c: Constants) -> dict[str, object]:
    return {name: getattr(c, name) for name in c.__dataclass_fields__}


def test_all_traffic_without_priors_is_students_t_on_log_counts() -> None:
    rng = np.random.default_rng(3)
    n = np.round(np.exp(rng.normal(16, 0.1, (1, 37))))
    result = volume.compare(
        volume.exposed(n, n, first_weekday=0), *split(1, 37, 7), cap=INF, alpha=0.05, c=PLAIN
    )
    before, now = np.log(n[0, :30]), np.log(n[0, 30:])
    t = (now.mean() - before.mean()) / (before.std(ddof=1) * np.sqrt(1 / 30 + 1 / 7))
    assert result.statistic[0] == pytest.approx(t, rel=1e-3)
    assert result.p[0] == pytest.approx(2 * stats.t.sf(abs(t), 29), rel=5e-3)
    assert result.effect[0] == pytest.approx(np.expm1(now.mean() - before.mean()), rel=1e-3)


def test_a_day_that_is_busier_for_everybody_is_no_news_of_an_intent() -> None:
    rng = np.random.default_rng(0)
    k = rng.poisson(np.full((6, DAYS), 200.0)).astype(float)
    k[:, -7:] = rng.poisson(800.0, (6, 7))
    n = k.sum(axis=0)
    of_intents, of_all = judged(k, n), judged(n[None, :], n)
    assert of_intents.p.min() > 0.01
    assert of_all.p[0] < 1e-4
    assert of_all.effect[0] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(("factor", "window"), [(2.0, 7), (0.4, 7), (4.0, 1)])
def test_an_intent_that_grows_or_fades_is_found(factor: float, window: int) -> None:
    rng = np.random.default_rng(1)
    k = traffic(rng, between=0.08)
    row = 45
    k[row, -window:] = np.round(k[row, -window:] * factor)
    result = judged(k, k.sum(axis=0), window=window)
    assert result.p[row] < 1e-3
    assert result.magnitude[row] >= 1
    assert result.effect[row] == pytest.approx(factor - 1, abs=0.25 * factor)
    assert result.low[row] < factor - 1 < result.high[row]


def test_an_intent_keeps_its_level_when_a_flood_of_another_shrinks_its_share() -> None:
    rng = np.random.default_rng(2)
    k = rng.poisson(np.full((10, DAYS), 300.0)).astype(float)
    k[0, -7:] *= 20
    result = judged(k, k.sum(axis=0))
    assert result.magnitude[0] >= 1 and result.p[0] < 1e-4
    assert result.effect[1:].max() < -0.5  # of the share
    assert result.magnitude[1:].max() < 1  # but people ask it as often as ever


def test_an_intent_that_goes_on_through_a_holiday_does_not_grow() -> None:
    rng = np.random.default_rng(2)
    k = rng.poisson(np.full((10, DAYS), 300.0)).astype(float)
    k[1:, -1] = np.round(k[1:, -1] * 0.3)
    result = judged(k, k.sum(axis=0), window=1)
    assert result.effect[0] > 1.0
    assert result.magnitude[0] < 1


@pytest.mark.parametrize("rhythm", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("window", [1, 7])
def test_shares_that_do_not_change_are_quiet_whatever_their_weekday_rhythm(
    rhythm: float, window: int
) -> None:
    p, magnitude = [], []
    for seed in range(20, 26):
        k = traffic(np.random.default_rng(seed), rhythm=rhythm)
        for end in range(DAYS - 2, DAYS + 1):
            result = judged(k[:, :end], k[:, :end].sum(axis=0), window=window)
            tested = result.status == Status.TESTED
            p.append(result.p[tested])
            magnitude.append(result.magnitude[tested])
    together, size = np.concatenate(p), np.concatenate(magnitude)
    assert together.size > 800
    assert (together < 0.05).mean() <= 0.07
    assert ((together < 0.001) & (size >= 1)).mean() <= 0.003
    assert (together < 0.5).mean() >= 0.3


def test_a_weekend_intent_does_not_raise_an_alarm_every_saturday() -> None:
    rng = np.random.default_rng(5)
    k = rng.poisson(np.full((30, 70), 200.0)).astype(float)
    weekend = np.arange(70) % 7 >= 5
    k[0] = rng.poisson(np.where(weekend, 400.0, 40.0))  # a rhythm of its own: ten times
    n = k.sum(axis=0)
    alarms = 0
    for end in range(45, 71):
        result = judged(k[:, :end], n[:end], window=1)
        alarms += int(result.p[0] < 0.01 and result.magnitude[0] >= 1)
    assert alarms == 0


def test_a_day_without_the_intent_is_a_zero_and_a_day_without_traffic_a_gap() -> None:
    rng = np.random.default_rng(6)
    k = rng.poisson(np.full((8, DAYS), 100.0)).astype(float)
    k[:, 40:43] = 0  # nothing arrived at all
    gap = judged(k, k.sum(axis=0))
    k[0, -7:] = 0  # nobody asks this one any more
    n = k.sum(axis=0)
    gone = judged(k, n)
    assert gap.baseline_days.tolist() == [27] * 8
    assert gap.p.min() > 0.005
    assert gone.status[0] == Status.TESTED
    assert gone.effect[0] == -1
    assert gone.p[0] < 1e-3
    assert gone.observed[0] == 0


def test_a_window_without_traffic_is_no_data() -> None:
    k = np.full((3, DAYS), 50.0)
    k[:, -1] = 0
    result = judged(k, k.sum(axis=0), window=1)
    assert (result.status == Status.NO_DATA).all()
    assert np.isnan(result.p).all()


def test_an_intent_that_ramps_up_from_its_birth_is_new_and_not_growing() -> None:
    rng = np.random.default_rng(7)
    k = rng.poisson(np.full((20, 100), 300.0)).astype(float)
    born = 40
    ramp = 300 / (1 + np.exp(-(np.arange(100) - born - 7) / 3.0))  # at its level after two weeks
    k[0] = np.where(np.arange(100) >= born, rng.poisson(ramp), 0)
    told = []
    for end in range(born + 1, 100):
        first = max(0, end - 70)
        window = k[:, first:end]
        result = judged(window, window.sum(axis=0))
        told.append(
            (bool(result.status[0] == Status.TESTED), result.p[0] < 0.01 and result.magnitude[0] >= 1)
        )
    assert not any(grows for _, grows in told)
    assert not any(tested for tested, _ in told[:28])
    assert told[-1][0]  # and in the end its level is known


def test_two_weeks_of_records_are_needed_before_volume_is_judged() -> None:
    k = np.full((3, 20), 50.0)
    n = k.sum(axis=0)
    daily = volume.exposed(k, n, first_weekday=0)
    thirteen = volume.compare(daily, *split(3, 20, 1, base=13), cap=8, alpha=0.01)
    fourteen = volume.compare(daily, *split(3, 20, 1, base=14), cap=8, alpha=0.01)
    assert (thirteen.status == Status.LEARNING).all()
    assert (fourteen.status == Status.TESTED).all()


@pytest.mark.parametrize("whole", [False, True])
def test_the_smallest_detectable_growth_is_found_four_times_in_five(whole: bool) -> None:
    alpha, rows, found = 1e-3, 200, []
    for seed in range(40, 44):
        rng = np.random.default_rng(seed)
        scatter = 0.1 * rng.normal(size=(rows, 37))
        k = rng.poisson(400 * np.exp(scatter)).astype(float)
        n = k if whole else np.full(k.shape, 10_000.0)
        daily = volume.exposed(k, n, first_weekday=0)
        before, inside = split(rows, 37, 7)
        model = volume.fit(daily, before)
        least = volume.detectable(model, days=7, cap=10, alpha=alpha)
        grown = k.copy()
        grown[:, 30:] = rng.poisson(400 * (1 + least)[:, None] * np.exp(scatter[:, 30:]))
        n = grown if whole else n
        result = volume.compare(
            volume.exposed(grown, n, first_weekday=0), before, inside, cap=10, alpha=alpha
        )
        assert result.smallest_detectable == pytest.approx(least, rel=0.25)
        found.append((result.p <= alpha).mean())
    assert 0.7 < np.mean(found) <= 1.0


@pytest.mark.parametrize(
    ("effect", "expected"),
    [(0.6, "info"), (1.1, "warning"), (-0.4, "info"), (-0.55, "warning"), (4.5, "high"), (-1.0, "high")],
)
def test_what_people_ask_is_grave_only_when_it_is_a_flood_or_gone(effect: float, expected: str) -> None:
    assert floors.severity(VOLUME, UP if effect > 0 else DOWN, effect=effect, p=1e-9) == expected


@pytest.mark.parametrize("factor", [1.0, 1.6, 0.5])
def test_intervals_cover_the_true_growth(factor: float) -> None:
    rng = np.random.default_rng(60)
    level = 300 * np.exp(0.12 * rng.standard_t(5, (300, 37)) / np.sqrt(5 / 3))
    level[:, 30:] *= factor
    n = np.full(level.shape, 20_000.0)
    result = judged(rng.poisson(level).astype(float), n)
    covered = (result.low <= factor - 1) & (result.high >= factor - 1)
    assert covered.mean() >= 0.93
