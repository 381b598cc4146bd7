from __future__ import annotations

import numpy as np
import pytest

from insights_pipeline.drift.explanation.onset import RAMP, STEP, Found, find_onset
from insights_pipeline.drift.statistics.arrays import Floats

DAYS, TRUTH = 70, 55
QUIET = 0.05**2


def level(
    rng: np.random.Generator, *, sd: float = 0.05, phi: float = 0.3, n: int = 100
) -> tuple[Floats, Floats]:
    """Log-means of a latency: heavy-tailed, remembering days, thin weekends; and their sampling variances."""
    shock = rng.standard_t(5, DAYS) / np.sqrt(5 / 3)
    effect = np.zeros(DAYS)
    for day in range(DAYS):
        effect[day] = (phi * effect[day - 1] if day else 0.0) + np.sqrt(1 - phi**2) * shock[day]
    v = 0.35 / np.where(np.arange(DAYS) % 7 >= 5, 0.4 * n, n)
    return 7.0 + sd * effect + rng.normal(0, np.sqrt(v)), v


def found(y: Floats, v: Floats, *, opened: int, sign: int = 1, until: int = DAYS) -> Found:
    base = np.zeros(DAYS, dtype=bool)
    base[opened - 37 : opened - 7] = True
    keep = slice(0, until)
    answer = find_onset(
        y[keep],
        v[keep],
        np.ones(until, dtype=bool),
        base[keep],
        earliest=until - 41,
        latest=opened,
        sign=sign,
        tau2_prior=QUIET,
    )
    assert answer is not None
    return answer


def test_a_step_without_noise_is_dated_exactly() -> None:
    y = np.where(np.arange(DAYS) >= TRUTH, 1.0, 0.0) + 0.01 * np.cos(np.arange(DAYS))
    assert found(y, np.full(DAYS, 1e-4), opened=TRUTH + 3) == Found(TRUTH, TRUTH, TRUTH, STEP)


def test_a_creep_without_noise_is_dated_and_called_a_ramp() -> None:
    y = 0.05 * np.maximum(0, np.arange(DAYS) - TRUTH + 1) + 0.01 * np.cos(3.0 * np.arange(DAYS))
    answer = found(y, np.full(DAYS, 1e-4), opened=TRUTH + 8)
    assert answer.shape == RAMP
    assert abs(answer.column - TRUTH) <= 1 and answer.first <= TRUTH <= answer.last


@pytest.mark.parametrize(("ratio", "delay"), [(1.3, 5), (1.5, 3), (2.0, 1), (0.6, 3)])
def test_detected_steps_are_dated_within_two_days_and_the_interval_covers(ratio: float, delay: int) -> None:
    near, covered, ramps = [], [], []
    for seed in range(500, 580):
        y, v = level(np.random.default_rng(seed))
        y[TRUTH:] += np.log(ratio)
        opened = TRUTH + delay
        answer = found(y, v, opened=opened, until=opened + 2, sign=1 if ratio > 1 else -1)
        near.append(abs(answer.column - TRUTH) <= 2)
        covered.append(answer.first <= TRUTH <= answer.last)
        ramps.append(answer.shape == RAMP)
    assert np.mean(near) >= 0.9
    assert np.mean(covered) >= 0.95
    assert np.mean(ramps) <= 0.1


def test_a_lasting_creep_is_dated_within_days_covered_and_mostly_called_a_ramp() -> None:
    near, covered, ramps = [], [], []
    for seed in range(500, 580):
        y, v = level(np.random.default_rng(seed))
        y += 0.03 * np.maximum(0, np.arange(DAYS) - TRUTH + 1)
        answer = found(y, v, opened=TRUTH + 8)
        near.append(abs(answer.column - TRUTH) <= 4)
        covered.append(answer.first <= TRUTH <= answer.last)
        ramps.append(answer.shape == RAMP)
    assert np.mean(near) >= 0.8
    assert np.mean(covered) >= 0.9
    assert np.mean(ramps) >= 0.6


def test_one_wild_day_does_not_move_the_onset() -> None:
    y, v = level(np.random.default_rng(501))
    y[TRUTH:] += np.log(1.5)
    y[TRUTH - 12] += 3.0
    assert abs(found(y, v, opened=TRUTH + 3).column - TRUTH) <= 2


def test_missing_days_before_the_first_that_shows_the_change_are_in_its_interval() -> None:
    y, v = level(np.random.default_rng(502), sd=0.01)
    y[TRUTH:] += np.log(2)
    mask = np.ones(DAYS, dtype=bool)
    mask[TRUTH - 4 : TRUTH] = False
    base = np.zeros(DAYS, dtype=bool)
    base[20:50] = True
    answer = find_onset(y, v, mask, base, earliest=30, latest=TRUTH + 1, sign=1, tau2_prior=QUIET)
    assert answer is not None
    assert answer.column == TRUTH and answer.first == TRUTH - 4


def test_what_is_scaled_or_shifted_has_the_same_onset() -> None:
    y, v = level(np.random.default_rng(503))
    y[TRUTH:] += np.log(1.4)
    assert found(y + 123.0, v, opened=TRUTH + 4) == found(y, v, opened=TRUTH + 4)


def test_without_normal_days_before_there_is_no_onset() -> None:
    y, v = level(np.random.default_rng(504))
    none = np.zeros(DAYS, dtype=bool)
    assert find_onset(y, v, ~none, none, earliest=30, latest=DAYS - 1, sign=1, tau2_prior=QUIET) is None


def test_a_change_against_the_direction_is_never_the_one_that_is_dated() -> None:
    y, v = level(np.random.default_rng(505), sd=0.02)
    y[20:] -= np.log(2)  # an older fall, as of an accepted episode
    y[TRUTH:] += np.log(1.5)
    answer = found(y, v, opened=TRUTH + 3)
    assert abs(answer.column - TRUTH) <= 2


def test_a_creep_of_twenty_days_is_dated_as_well_as_by_the_least_squares_of_its_kink() -> None:
    # what the demo injects: 3 % a day, with days that scatter by 5 % and means of a day by 6 %
    start = DAYS - 20
    ours, best, covered = [], [], []
    for seed in range(600, 680):
        y, v = level(np.random.default_rng(seed))
        y += np.log(1.03) * np.maximum(0, np.arange(DAYS) - start + 1)
        answer = found(y, v, opened=start + 12)
        ours.append(abs(answer.column - start))
        covered.append(answer.first <= start <= answer.last)
        best.append(abs(_least_squares_kink(y) - start))
    assert np.mean(np.array(ours) <= 2) >= np.mean(np.array(best) <= 2) - 0.03
    assert np.mean(np.array(ours) <= 2) >= 0.8
    assert np.mean(covered) >= 0.9


def _least_squares_kink(y: Floats) -> int:
    """Of all first days of a creep the one that leaves the least squares: all that the numbers hold."""
    day = np.arange(len(y))

    def left(start: int) -> float:
        x = np.column_stack([np.ones(len(y)), np.maximum(day - start + 1, 0)])
        return float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())

    return min(range(len(y) - 40, len(y) - 5), key=left)
