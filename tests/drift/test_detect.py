from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from insights_pipeline.drift.constants import (
    COST,
    DEFAULT,
    DOWN,
    ERRORS,
    LASTING_HORIZON,
    LATENCY,
    NUMERIC,
    OUTPUT,
    REACH_DAYS,
    RECENT_HORIZON,
    UP,
)
from insights_pipeline.drift.detect import (
    CONFIRMED,
    EXTREME,
    LASTING,
    WEEK,
    Signal,
    evaluable,
    judge_day,
    signals,
)
from insights_pipeline.drift.judge import LeftOut
from insights_pipeline.drift.lasting import METRICS
from insights_pipeline.drift.series.panel import Panel, Sums
from insights_pipeline.drift.statistics.persistence import (
    RAMP,
    Observed,
    contrast,
    reference,
)
from insights_pipeline.drift.statistics.persistence import (
    WEEK as WEEK_SHAPE,
)
from insights_pipeline.drift.statistics.result import Status
from insights_pipeline.lake import DayRange

LAST = date(2026, 3, 31)
SERIES, TRACES, WITHIN = 20, 400.0, 0.5
BETWEEN, MEMORY = 0.04, 0.4


def _ar1(rng: np.random.Generator, rows: int, days: int, *, memory: float = MEMORY) -> np.ndarray:
    noise = rng.normal(size=(rows, days + 30))
    for day in range(1, days + 30):
        noise[:, day] = memory * noise[:, day - 1] + np.sqrt(1 - memory**2) * noise[:, day]
    return noise[:, 30:]


def _panel(seed: int, *, days: int = REACH_DAYS, first: int = 0) -> Panel:
    """Twenty intents of 400 traces a day; their levels have a memory. Before column `first` there is no traffic."""
    rng = np.random.default_rng(seed)
    n = np.full((SERIES, days), TRACES)
    n[:, :first] = 0
    sums = {}
    for metric in NUMERIC:
        level = 7.0 + BETWEEN * _ar1(rng, SERIES, days) + WITHIN / np.sqrt(TRACES) * rng.normal(size=n.shape)
        sums[metric] = _sums(n, level)
    share = np.stack([n * 0.7, n * 0.3], axis=2)
    return Panel(
        days=DayRange.ending(LAST, days),
        series=tuple(f"i{row:02d}" for row in range(SERIES)),
        n=n,
        total=n.sum(axis=0),
        sums=sums,
        error_n=n,
        error_k=rng.binomial(n.astype(int), 0.05).astype(float),
        tools=("search", "write"),
        tool_n=n,
        shares=share,
    )


def _sums(n: np.ndarray, level: np.ndarray) -> Sums:
    return Sums(
        n, n, n * level, n * level**2 + np.maximum(n - 1, 0) * WITHIN**2, np.exp(level + 1.645 * WITHIN)
    )


def _moved(panel: Panel, metric: str, row: int, shift: Sequence[float]) -> Panel:
    """The panel with `shift` on the log level of the last days of one series."""
    old = panel.sums[metric]
    level = old.slog / np.maximum(old.n_pos, 1)
    level[row, -len(shift) :] += shift
    return replace(panel, sums={**panel.sums, metric: _sums(old.n_pos, level)})


def _found(panel: Panel) -> list[Signal]:
    return signals(panel, judge_day(panel, panel.days.last, LeftOut.nothing(panel)))


def _of(found: Sequence[Signal], series: str, metric: str) -> Signal:
    return next(signal for signal in found if (signal.series, signal.metric) == (series, metric))


def test_the_noise_of_days_that_remember_each_other_pulls_no_trigger() -> None:
    fired = [
        signal.triggers
        for seed in range(6)
        for day in range(0, 28, 7)
        for signal in _found(
            _panel(seed, days=REACH_DAYS + 28).ending(LAST - timedelta(days=day), REACH_DAYS)
        )
        if signal.triggers
    ]
    assert fired == []


def test_a_step_that_lasts_a_week_pulls_the_weekly_trigger_with_its_size() -> None:
    signal = _of(_found(_moved(_panel(1), LATENCY, 3, [np.log(1.5)] * 7)), "i03", LATENCY)
    assert WEEK in signal.triggers
    assert signal.direction == UP
    assert signal.recent
    assert signal.evidence["7d"].effect == pytest.approx(0.5, abs=0.1)
    assert signal.evidence["7d"].low < 0.5 < signal.evidence["7d"].high


def test_a_fall_is_told_as_down() -> None:
    signal = _of(_found(_moved(_panel(2), OUTPUT, 3, [np.log(0.6)] * 7)), "i03", OUTPUT)
    assert signal.direction == DOWN
    assert signal.evidence[LASTING_HORIZON].effect < -0.3


def test_one_extreme_day_pulls_its_trigger_and_half_of_the_confirmed_one() -> None:
    signal = _of(_found(_moved(_panel(3), LATENCY, 5, [np.log(4.0)])), "i05", LATENCY)
    assert EXTREME in signal.triggers
    assert signal.hit
    assert signal.recent


def test_a_spike_of_yesterday_is_not_alive_today() -> None:
    found = _found(_moved(_panel(3), LATENCY, 5, [np.log(4.0), 0.0]))
    assert not any(signal.recent for signal in found if (signal.series, signal.metric) == ("i05", LATENCY))


def test_two_bad_days_of_three_are_told_before_their_week_is_and_one_beside_good_ones_is_not() -> None:
    two = _of(_found(_moved(_panel(4), LATENCY, 5, [0.0, 0.5, 0.5])), "i05", LATENCY)
    one = _found(_moved(_panel(4), LATENCY, 5, [-0.15, -0.15, 0.3]))
    assert two.triggers == (CONFIRMED,)
    assert two.evidence["7d"].q > DEFAULT.q
    assert two.evidence[RECENT_HORIZON].low > 0
    assert not [signal for signal in one if signal.triggers and signal.series == "i05"]


def test_odd_days_early_in_a_week_pull_no_weekly_trigger_once_they_are_over() -> None:
    now = _found(_moved(_panel(4), LATENCY, 5, [0.3] * 6))
    over = _found(_moved(_panel(4), LATENCY, 5, [0.3] * 6 + [0.0] * 3))
    assert WEEK in _of(now, "i05", LATENCY).triggers
    assert not any(WEEK in one.triggers or one.recent for one in over if one.series == "i05")


def test_a_week_keeps_nothing_alive_that_the_day_hardly_shows() -> None:
    shift = [0.3] * 6
    shows = _of(_found(_moved(_panel(4), LATENCY, 5, [*shift, 0.3])), "i05", LATENCY)
    hardly = _found(_moved(_panel(4), LATENCY, 5, [*shift, 0.0]))
    assert shows.recent
    assert not any(one.recent for one in hardly if (one.series, one.metric) == ("i05", LATENCY))


def test_creep_of_two_percent_a_day_is_found_within_two_weeks_and_by_the_lasting_trigger() -> None:
    panel = _moved(_panel(5), LATENCY, 7, [np.log(1.02) * day for day in range(1, 15)])
    signal = _of(_found(panel), "i07", LATENCY)
    assert LASTING in signal.triggers
    assert 0.1 < signal.evidence[LASTING_HORIZON].effect < 0.32


def test_a_small_lasting_shift_is_found_where_the_week_is_silent() -> None:
    found = [_found(_moved(_panel(seed), LATENCY, 9, [np.log(1.15)] * 14)) for seed in range(10, 16)]
    pulled = [set(_of(one, "i09", LATENCY).triggers) for one in found]
    assert sum(LASTING in triggers for triggers in pulled) >= 5
    assert any(WEEK not in triggers for triggers in pulled)


def test_a_shift_below_the_floor_is_not_told_however_certain() -> None:
    quiet = replace(
        _panel(6), sums={m: _sums(_panel(6).n, np.full((SERIES, REACH_DAYS), 7.0)) for m in NUMERIC}
    )
    found = _found(_moved(quiet, LATENCY, 2, [np.log(1.05)] * 14))
    assert not any(signal.triggers for signal in found)


def test_days_left_out_of_the_reference_do_not_hide_a_change_that_lasts() -> None:
    panel = _moved(_panel(7), LATENCY, 4, [np.log(1.3)] * 30)
    out = LeftOut.nothing(panel)
    quarantined = np.zeros(panel.n.shape, dtype=bool)
    quarantined[4, -30:] = True
    out = LeftOut({**out.baseline, LATENCY: quarantined}, out.window)
    judged = judge_day(panel, LAST, out)[LASTING_HORIZON]
    assert judged.results[LATENCY].effect[4] == pytest.approx(0.3, abs=0.1)
    assert judged.results[LATENCY].baseline_days[4] == REACH_DAYS - 30
    assert judged.q[LATENCY][4] <= DEFAULT.q


def test_a_series_without_two_weeks_before_the_window_has_no_lasting_verdict_but_a_weekly_one() -> None:
    panel = _panel(8, first=REACH_DAYS - 20)
    judged = judge_day(panel, LAST, LeftOut.nothing(panel))
    assert (judged[LASTING_HORIZON].results[LATENCY].status == Status.LEARNING).all()
    assert (judged["7d"].results[LATENCY].status == Status.TESTED).all()
    assert set(judged[LASTING_HORIZON].results) == set(METRICS)


def test_a_day_is_judged_the_same_however_many_days_are_loaded() -> None:
    long = _moved(_panel(9, days=REACH_DAYS + 40), LATENCY, 4, [0.3] * 10)
    day = LAST - timedelta(days=2)
    once = signals(
        long.ending(day, REACH_DAYS), judge_day(long.ending(day, REACH_DAYS), day, _nothing(long, day))
    )
    short = long.ending(LAST, REACH_DAYS + 2)
    again = signals(
        short.ending(day, REACH_DAYS), judge_day(short.ending(day, REACH_DAYS), day, _nothing(short, day))
    )
    assert once == again
    assert once


def _nothing(panel: Panel, day: date) -> LeftOut:
    return LeftOut.nothing(panel.ending(day, REACH_DAYS))


def test_a_panel_of_another_length_is_refused() -> None:
    panel = _panel(0, days=REACH_DAYS + 1)
    with pytest.raises(ValueError, match="is judged from the 70 days"):
        judge_day(panel, LAST, LeftOut.nothing(panel))


def test_only_series_with_data_today_can_be_called_quiet() -> None:
    panel = _panel(0)
    n = panel.n.copy()
    n[3, -1] = 0
    sums = {metric: replace(sums, n_valid=n, n_pos=n) for metric, sums in panel.sums.items()}
    quiet = evaluable(panel, judge_day(replace(panel, n=n, sums=sums), LAST, LeftOut.nothing(panel)))
    assert ("i03", LATENCY) not in quiet
    assert ("i04", LATENCY) in quiet


@pytest.mark.parametrize("shape", [WEEK_SHAPE, RAMP])
def test_a_contrast_has_unit_variance_under_noise_with_memory(shape: tuple[float, ...]) -> None:
    rng = np.random.default_rng(3)
    rows, v = 1500, 0.01
    y = 0.1 * _ar1(rng, rows, REACH_DAYS, memory=0.5) + np.sqrt(v) * rng.normal(size=(rows, REACH_DAYS))
    seen = np.ones(y.shape, dtype=bool)
    before = seen.copy()
    before[:, -14:] = False
    days = Observed(y, np.full(y.shape, v), before, seen, first_weekday=0)
    level = reference(days, pool=np.ones(rows, dtype=bool), c=DEFAULT)
    assert level.phi == pytest.approx(0.5, abs=0.05)
    t = contrast(days, level, shape, c=DEFAULT).t
    assert t.std() == pytest.approx(1.0, abs=0.06)


def test_the_ramp_is_the_weighted_mean_of_the_window() -> None:
    """Without noise the contrast of a step is the step, and that of a ramp Σ j·x_j / Σ j."""
    y = np.zeros((1, REACH_DAYS))
    y[0, -14:] = 0.01 * np.arange(1, 15)
    before = np.ones(y.shape, dtype=bool)
    before[:, -14:] = False
    days = Observed(y, np.full(y.shape, 0.01), before, np.ones(y.shape, dtype=bool), first_weekday=0)
    level = reference(days, pool=np.ones(1, dtype=bool), c=DEFAULT)
    weights = np.arange(1, 15)
    assert contrast(days, level, RAMP, c=DEFAULT).difference[0] == pytest.approx(
        (weights * 0.01 * weights).sum() / weights.sum()
    )


def test_an_error_rate_of_several_days_is_told_as_it_was_seen() -> None:
    panel = _panel(11)
    k = panel.error_k.copy()
    k[0] = np.where(np.arange(REACH_DAYS) % 4 == 0, 4.0, 0.0)  # a quarter of a percent
    k[0, -3:] = 12.0
    judged = judge_day(replace(panel, error_k=k), LAST, LeftOut.nothing(panel))
    three = judged[RECENT_HORIZON].results[ERRORS]
    assert three.observed[0] == pytest.approx(36 / 1200)
    assert three.baseline_value[0] == pytest.approx(1 / 400, rel=0.15)
    assert three.low[0] < three.effect[0] < three.high[0] < 0.1
    assert (three.parts["k"][0], three.n[0]) == (36, 1200)
    two_weeks = judged[LASTING_HORIZON].results[ERRORS]
    seen = {float(k[0, -days:].sum() / (days * TRACES)) for days in (7, 14)}
    assert any(two_weeks.observed[0] == pytest.approx(rate) for rate in seen)


def test_what_costs_more_because_others_are_priced_now_is_withheld_from_the_second_day_on() -> None:
    for new_days in range(1, 8):
        panel = _panel(12)
        cost = panel.sums[COST]
        valid = cost.n_valid * np.where(np.arange(REACH_DAYS) >= REACH_DAYS - new_days, 0.9, 0.4)
        dearer = _sums(panel.n, cost.slog / np.maximum(cost.n_pos, 1))
        dearer.slog[:, -new_days:] += dearer.n_pos[:, -new_days:] * np.log(1.5)
        shifted = replace(panel, sums={**panel.sums, COST: replace(dearer, n_valid=valid)})
        judged = judge_day(shifted, LAST, LeftOut.nothing(panel))
        if new_days > 1:
            assert set(judged[RECENT_HORIZON].results[COST].status) == {Status.COVERAGE}
        assert [
            signal for signal in signals(shifted, judged) if signal.metric == COST and signal.triggers
        ] == []
