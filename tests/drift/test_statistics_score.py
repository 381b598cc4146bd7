"""Feedback scores on any scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from insights_pipeline.drift.constants import DEFAULT, DOWN, SCORE, UP, Constants
from insights_pipeline.drift.statistics import floors, score
from insights_pipeline.drift.statistics.arrays import Floats, Mask
from insights_pipeline.drift.statistics.result import Status, TestResult

INF = float("inf")
PLAIN = Constants(
    prior_days=1e12,  # with a prior variance between days of nothing
    prior_within=0,
    huber=INF,
    winsor=INF,
    consistency=1,
    phi_max=0,
    weekday_days=10**6,
    tau2_floor=1e-12,
)
Sums = tuple[Floats, Floats, Floats]


def sums_of(scores: list[list[list[float]]]) -> Sums:
    """Counts, sums and sums of squares [series, days] of raw scores by series and day."""
    of = np.asarray([[[len(day), sum(day), sum(x * x for x in day)] for day in row] for row in scores])
    return of[..., 0].astype(float), of[..., 1].astype(float), of[..., 2].astype(float)


def simulated(rng: np.random.Generator, *, rows: int, days: int, n: float, between: float, kind: str) -> Sums:
    """Means that differ by day (heavy tails, `between` within-day deviations) of `n` scores a day."""
    effect = between * rng.standard_t(5, (rows, days)) / np.sqrt(5 / 3)
    scores = []
    for row in range(rows):
        of_row = []
        for day in range(days):
            size = rng.poisson(n)
            if kind == "thumbs":
                p = 1 / (1 + np.exp(-(1.4 + effect[row, day] / 0.4)))
                drawn = (rng.random(size) < p).astype(float)
            elif kind == "stars":
                drawn = np.clip(np.round(3.8 + 1.1 * (rng.normal(size=size) + effect[row, day])), 1, 5)
            else:
                drawn = np.tanh(0.3 + 0.6 * (rng.normal(size=size) + effect[row, day]))
            of_row.append([float(x) for x in drawn])
        scores.append(of_row)
    return sums_of(scores)


def split(rows: int, width: int, window: int) -> tuple[Mask, Mask]:
    before, inside = np.zeros((rows, width), bool), np.zeros((rows, width), bool)
    inside[:, width - window :] = True
    before[:, : width - window] = True
    return before, inside


def judged(sums: Sums, *, window: int = 7, cap: float = 10, alpha: float = 0.01) -> TestResult:
    return score.compare(*sums, *split(*sums[0].shape, window), first_weekday=0, cap=cap, alpha=alpha)


def test_without_scatter_between_days_it_is_the_two_sample_t_test() -> None:
    rng = np.random.default_rng(1)
    days = [[float(x) for x in rng.normal(3.5, 1.0, 40)] for _ in range(31)]
    days[30] = [x + 0.5 for x in days[30]]
    result = score.compare(*sums_of([days]), *split(1, 31, 1), first_weekday=0, cap=INF, alpha=0.05, c=PLAIN)
    before, now = np.concatenate(days[:30]), np.asarray(days[30])
    expected = stats.ttest_ind(now, before)
    assert result.effect[0] == pytest.approx(now.mean() - before.mean(), rel=1e-9)
    # both variances are pooled; the expected one within days differs from the overall one by the spread of day means
    assert result.statistic[0] == pytest.approx(expected.statistic, rel=0.02)
    assert result.p[0] == pytest.approx(expected.pvalue, rel=0.2)
    welch = stats.ttest_ind(now, before, equal_var=False).confidence_interval()
    assert (result.low[0], result.high[0]) == pytest.approx((welch.low, welch.high), rel=0.1)


def test_with_days_as_observations_it_is_students_t_on_daily_means() -> None:
    rng = np.random.default_rng(2)
    means = 0.6 + 0.1 * rng.normal(size=37)
    n = np.full((1, 37), 1e6)
    total = n * means
    c = Constants(**{name: getattr(PLAIN, name) for name in PLAIN.__dataclass_fields__} | {"prior_days": 0})
    squares = n * (means**2 + 1.0)
    result = score.compare(n, total, squares, *split(1, 37, 7), first_weekday=0, cap=INF, alpha=0.05, c=c)
    before, now = means[:30], means[30:]
    t = (now.mean() - before.mean()) / (before.std(ddof=1) * np.sqrt(1 / 30 + 1 / 7))
    assert result.statistic[0] == pytest.approx(t, rel=1e-3)
    assert result.df[0] == pytest.approx(29, rel=1e-2)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 10**6),
    st.floats(1e-4, 1e4).flatmap(lambda x: st.sampled_from([x, -x])),
    st.floats(-1e3, 1e3),
)
def test_a_score_on_another_scale_gives_the_same_verdict(seed: int, factor: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    n, total, squares = simulated(rng, rows=4, days=30, n=8, between=0.2, kind="stars")
    shift *= abs(factor)
    moved = (n, factor * total + shift * n, factor**2 * squares + 2 * factor * shift * total + shift**2 * n)
    one, other = judged((n, total, squares)), judged(moved)
    assert other.status.tolist() == one.status.tolist()
    assert other.p == pytest.approx(one.p, rel=1e-4, nan_ok=True)
    assert other.effect == pytest.approx(factor * one.effect, rel=1e-4, abs=1e-6 * abs(factor), nan_ok=True)
    assert other.magnitude == pytest.approx(one.magnitude, rel=1e-4, abs=1e-6, nan_ok=True)
    assert other.smallest_detectable == pytest.approx(
        abs(factor) * one.smallest_detectable, rel=1e-4, nan_ok=True
    )


@pytest.mark.parametrize("kind", ["thumbs", "stars", "unit"])
@pytest.mark.parametrize(("n", "window"), [(3.0, 7), (12.0, 1), (60.0, 7)])
def test_scores_that_do_not_change_are_quiet(kind: str, n: float, window: int) -> None:
    p = []
    for seed in range(30, 33):
        rng = np.random.default_rng(seed)
        sums = simulated(rng, rows=60, days=30 + window, n=n, between=0.15, kind=kind)
        p.append(judged(sums, window=window, cap=8 if window == 1 else 10).p)
    together = np.concatenate(p)
    together = together[np.isfinite(together)]
    assert together.size >= 170
    assert (together < 0.05).mean() <= 0.095  # 180 tests: three deviations above .05
    assert (together < 0.001).mean() <= 0.012
    assert (together < 0.5).mean() >= 0.3


def test_fewer_thumbs_up_are_found_and_their_interval_holds_the_change() -> None:
    rng = np.random.default_rng(4)
    sums = simulated(rng, rows=20, days=37, n=30, between=0.1, kind="thumbs")
    n, total, squares = (part.copy() for part in sums)
    lost = np.round(total[3, 30:] * 0.3)
    total[3, 30:] -= lost
    squares[3, 30:] -= lost
    result = judged((n, total, squares))
    assert result.p[3] < 1e-4 and result.magnitude[3] > 1
    assert result.effect[3] == pytest.approx(-0.24, abs=0.08)
    assert result.low[3] < -0.24 < result.high[3]
    assert np.delete(result.p, 3).min() > 1e-3


def test_a_score_that_was_always_one_and_fails_is_found_without_a_miracle() -> None:
    n = np.full((3, 37), 10.0)
    total = n.copy()
    total[0, 30:] = 7.0
    result = judged((n, total, total.copy()))
    assert result.p[0] < 1e-3
    assert np.isfinite([result.statistic[0], result.magnitude[0], result.low[0]]).all()
    assert result.effect[1:] == pytest.approx([0, 0], abs=1e-12)
    assert result.p[1:] == pytest.approx([1, 1])


def test_a_score_that_never_varies_anywhere_is_quiet() -> None:
    n = np.full((2, 37), 10.0)
    result = judged((n, 5 * n, 25 * n))
    assert result.p.tolist() == [1, 1]
    assert np.isfinite(result.smallest_detectable).all()


@pytest.mark.parametrize(
    ("a_day", "days", "in_window", "status"),
    [
        (1, 15, 30, Status.LEARNING),
        (1, 30, 4, Status.NO_DATA),
        (30, 2, 30, Status.LEARNING),
        (1, 25, 5, Status.TESTED),
    ],
)
def test_few_scores_give_no_verdict(a_day: int, days: int, in_window: int, status: Status) -> None:
    n = np.zeros((1, 31))
    n[0, 30 - days : 30] = a_day
    n[0, 30] = in_window
    result = score.compare(n, 0.5 * n, 0.5 * n, *split(1, 31, 1), first_weekday=0, cap=8, alpha=0.01)
    assert result.status[0] == status


def test_the_smallest_detectable_shift_is_found_four_times_in_five() -> None:
    found, alpha = [], 0.01
    for seed in range(50, 54):
        rng = np.random.default_rng(seed)
        rows = 60
        n, total, squares = simulated(rng, rows=rows, days=37, n=15, between=0.15, kind="stars")
        before, inside = split(rows, 37, 7)
        model = score.fit(n, total, squares, before, first_weekday=0)
        least = score.detectable(model, days=7, cap=10, alpha=alpha)
        shift = np.where(inside, least[:, None], 0.0)
        moved = (n, total + shift * n, squares + 2 * shift * total + shift**2 * n)
        result = score.compare(*moved, before, inside, first_weekday=0, cap=10, alpha=alpha)
        assert result.smallest_detectable == pytest.approx(least, rel=0.35)
        found.append((result.p <= alpha).mean())
    assert 0.7 < np.mean(found) <= 0.97


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_score_that_moved_is_a_warning_whatever_its_name_means(direction: str) -> None:
    assert floors.severity(SCORE + "helpful", direction, effect=3.0, p=1e-12) == "warning"


def test_the_default_floor_is_a_fifth_of_a_deviation() -> None:
    rng = np.random.default_rng(5)
    sums = simulated(rng, rows=40, days=37, n=400, between=0.0, kind="stars")
    n, total, squares = sums
    model = score.fit(*sums, split(40, 37, 7)[0], first_weekday=0, c=DEFAULT)
    small = 0.15 * model.unit
    shift = np.where(split(40, 37, 7)[1], small, 0.0)
    result = judged((n, total + shift * n, squares + 2 * shift * total + shift**2 * n))
    assert np.median(result.p) < 0.01
    assert np.median(result.magnitude) < 1


def test_intervals_cover_the_true_shift() -> None:
    covered = []
    for seed in range(70, 73):
        n, total, squares = simulated(
            np.random.default_rng(seed), rows=80, days=37, n=20, between=0.15, kind="unit"
        )
        shift = np.where(split(80, 37, 7)[1], 0.1, 0.0)
        result = judged((n, total + shift * n, squares + 2 * shift * total + shift**2 * n))
        covered.append((result.low <= 0.1) & (result.high >= 0.1))
    assert np.mean(covered) >= 0.93
