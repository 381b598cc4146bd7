"""What must hold for the judge whatever the data: who votes, orders, units, one error budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from insights_pipeline.drift.constants import (
    ALL,
    DEFAULT,
    ERRORS,
    LATENCY,
    LATENCY_P95,
    NUMERIC,
    TESTED,
    TOKENS,
    TOOLS,
    TTFT,
    UNKNOWN,
    VOLUME,
)
from insights_pipeline.drift.judge import Judged, LeftOut, judge
from insights_pipeline.drift.series.keys import series_key
from insights_pipeline.drift.series.panel import Panel, Scores, Sums
from insights_pipeline.drift.statistics.result import Status, TestResult
from insights_pipeline.lake import DayRange

FIRST = date(2026, 1, 5)
DAYS = 70
THUMBS = "score:thumbs"
FIELDS = (
    "status",
    "n",
    "baseline_n",
    "observed",
    "effect",
    "low",
    "high",
    "statistic",
    "df",
    "p",
    "magnitude",
)
Part = dict[str, np.ndarray]


def part_of(rng: np.random.Generator, level: float, tools: int = 4, days: int = DAYS) -> Part:
    """Everything a rollup would know of one series of `level` traces a day."""
    n = rng.poisson(level * np.exp(0.1 * rng.normal(size=days))).astype(float)
    part: Part = {"n": n, "k": rng.binomial(n.astype(int), 0.08).astype(float)}
    for metric in NUMERIC:
        y = 2.0 + 0.06 * rng.normal(size=days) + 0.5 * rng.normal(size=days) / np.sqrt(np.maximum(n, 1))
        part |= {
            f"{metric}.slog": y * n,
            f"{metric}.slog2": (y**2 + 0.25) * n,
            f"{metric}.p95": np.where(n > 0, np.exp(y + 0.8), np.nan),
        }
    part["shares"] = np.stack(
        [rng.multinomial(int(size), rng.dirichlet([40.0] * tools)) for size in n]
    ).astype(float)
    part["scored"] = rng.binomial(n.astype(int), 0.3).astype(float)
    part["thumbs"] = rng.binomial(part["scored"].astype(int), 0.8).astype(float)
    return part


def added(parts: Sequence[Part]) -> Part:
    whole = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    return whole | {name: np.mean([part[name] for part in parts], axis=0) for name in whole if "p95" in name}


def panel_of(parts: dict[str, Part], total: np.ndarray) -> Panel:
    """A panel with the series in the given order."""

    def grid(name: str) -> np.ndarray:
        return np.stack([part[name] for part in parts.values()])

    n = grid("n")
    return Panel(
        days=DayRange(FIRST, FIRST + timedelta(days=n.shape[1] - 1)),
        series=tuple(parts),
        n=n,
        total=total,
        sums={
            metric: Sums(n, n, grid(f"{metric}.slog"), grid(f"{metric}.slog2"), grid(f"{metric}.p95"))
            for metric in NUMERIC
        },
        error_n=n,
        error_k=grid("k"),
        tools=tuple(f"tool {number}" for number in range(grid("shares").shape[2])),
        tool_n=n,
        shares=grid("shares"),
        scores={THUMBS: Scores(grid("scored"), grid("thumbs"), grid("thumbs"))},
    )


def intents(seed: int, count: int = 6) -> dict[str, Part]:
    rng = np.random.default_rng(seed)
    levels = np.exp(np.linspace(np.log(8), np.log(400), count))
    parts = {f"intent {number}": part_of(rng, level) for number, level in enumerate(levels)}
    return parts | {UNKNOWN: part_of(rng, 30.0)}


def window_of(panel: Panel, length: int) -> DayRange:
    return DayRange.ending(panel.days.last, length)


def run(panel: Panel, length: int = 7) -> Judged:
    cap = DEFAULT.cap_day if length == 1 else DEFAULT.cap_week
    return judge(panel, window_of(panel, length), LeftOut.nothing(panel), horizon=f"{length}d", cap=cap)


def rows(result: TestResult, at: Sequence[int]) -> dict[str, np.ndarray]:
    return {name: getattr(result, name)[list(at)] for name in FIELDS}


@pytest.mark.parametrize("length", [1, 7, 30])
def test_all_traffic_and_slices_do_not_change_an_intent_by_being_there(length: int) -> None:
    parts = intents(1)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    rng = np.random.default_rng(2)
    beside = {
        ALL: added(list(parts.values())),
        series_key("intent 3", "tenant=acme"): part_of(rng, 3.0),
        series_key("intent 5", "environment=prod"): {
            name: values * (40.0 if name == "k" else 1.0) for name, values in part_of(rng, 900.0).items()
        },
    }
    alone, together = run(panel_of(parts, total), length), run(panel_of(parts | beside, total), length)
    for metric in alone.results:
        one = rows(alone.results[metric], range(len(parts)))
        other = rows(together.results[metric], range(len(parts)))
        for name in FIELDS:
            np.testing.assert_array_equal(other[name], one[name], err_msg=f"{metric} {name}")
        assert (together.results[metric].status[len(parts)] == Status.TESTED) or metric == THUMBS


def test_without_any_intent_the_series_that_are_there_vote() -> None:
    whole = added(list(intents(3).values()))
    judged = run(panel_of({ALL: whole}, whole["n"]))
    assert all(np.isfinite(judged.results[metric].p).all() for metric in (*TESTED, THUMBS))


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(7)), st.integers(0, 50))
def test_the_order_of_series_and_tools_does_not_matter(order: list[int], seed: int) -> None:
    parts = intents(seed)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    straight = run(panel_of(parts, total))
    names = list(parts)
    shuffled = {
        names[at]: parts[names[at]] | {"shares": parts[names[at]]["shares"][:, [2, 0, 3, 1]]} for at in order
    }
    other = run(panel_of(shuffled, total))
    for metric, result in straight.results.items():
        moved = rows(other.results[metric], range(7))
        for name, values in rows(result, order).items():
            assert moved[name] == pytest.approx(values, rel=1e-6, abs=1e-9, nan_ok=True), (metric, name)


@settings(deadline=None, max_examples=8)
@given(st.sampled_from([1e-3, 1 / 60_000, 7.3, 1e6]), st.sampled_from([1, 7, 30]))
def test_a_numeric_metric_in_another_unit_gives_the_same_verdicts(unit: float, length: int) -> None:
    parts = intents(4)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    shift, scaled = np.log(unit), {}
    for series, part in parts.items():
        changed = dict(part)
        for metric in NUMERIC:
            n, slog, slog2 = part["n"], part[f"{metric}.slog"], part[f"{metric}.slog2"]
            changed[f"{metric}.slog"] = slog + shift * n
            changed[f"{metric}.slog2"] = slog2 + 2 * shift * slog + shift**2 * n
            changed[f"{metric}.p95"] = part[f"{metric}.p95"] * unit
        scaled[series] = changed
    one, other = run(panel_of(parts, total), length), run(panel_of(scaled, total), length)
    for metric in (*NUMERIC, LATENCY_P95):
        assert other.results[metric].p == pytest.approx(one.results[metric].p, rel=1e-5, nan_ok=True)
        assert other.results[metric].effect == pytest.approx(
            one.results[metric].effect, rel=1e-5, abs=1e-9, nan_ok=True
        )
        assert other.results[metric].observed == pytest.approx(
            one.results[metric].observed * unit, rel=1e-9, nan_ok=True
        )


def test_without_weekdays_and_memory_the_order_of_the_days_does_not_matter() -> None:
    blind = replace(DEFAULT, weekday_days=10**6, phi_max=0.0)
    parts = intents(5)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    order = np.arange(DAYS)
    order[33:63] = np.random.default_rng(0).permutation(order[33:63])
    order[63:] = order[63:][::-1]
    shuffled = {
        series: {name: values[order] for name, values in part.items()} for series, part in parts.items()
    }
    results = []
    for panel in (panel_of(parts, total), panel_of(shuffled, total[order])):
        out = LeftOut.nothing(panel)
        results.append(judge(panel, window_of(panel, 7), out, horizon="7d", cap=10, c=blind).results)
    for metric, one in results[0].items():
        for name, values in rows(one, range(7)).items():
            assert getattr(results[1][metric], name) == pytest.approx(values, rel=1e-6, nan_ok=True), metric


def test_a_window_is_judged_alike_however_many_days_are_loaded() -> None:
    rng = np.random.default_rng(6)
    parts = {f"intent {number}": part_of(rng, 50.0, days=95) for number in range(4)}
    parts[ALL] = added(list(parts.values()))
    long = panel_of(parts, parts[ALL]["n"])
    short = panel_of(
        {series: {name: values[10:90] for name, values in part.items()} for series, part in parts.items()},
        parts[ALL]["n"][10:90],
    )
    short = replace(short, days=DayRange(FIRST + timedelta(days=10), FIRST + timedelta(days=89)))
    day = FIRST + timedelta(days=89)
    one, other = run(long.ending(day, DAYS)), run(short.ending(day, DAYS))
    for metric, result in one.results.items():
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(other.results[metric], name), getattr(result, name))


def test_everything_tested_in_a_window_shares_one_error_budget() -> None:
    parts = intents(7)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    parts |= {
        ALL: added(list(parts.values())),
        series_key("intent 2", "tenant=b"): part_of(np.random.default_rng(8), 9.0),
    }
    judged = run(panel_of(parts, total))
    assert set(judged.results) == {*TESTED, THUMBS}
    p = np.concatenate([result.p for result in judged.results.values()])
    q = np.concatenate([judged.q[metric] for metric in judged.results])
    known = np.isfinite(p)
    assert known.sum() > 80
    assert q[known] == pytest.approx(stats.false_discovery_control(p[known]))
    assert np.isnan(q[~known]).all()


@pytest.mark.parametrize("metric", [TTFT, TOKENS, LATENCY_P95, THUMBS])
def test_values_known_of_other_traces_than_before_are_not_compared(metric: str) -> None:
    parts = intents(9)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    panel = panel_of(parts, total)
    valid = panel.n.copy()
    valid[2, -7:] = np.round(valid[2, -7:] * 0.6)  # 40 points fewer
    valid[3, -7:] = np.round(valid[3, -7:] * 0.9)  # 10 points fewer: still comparable
    if metric == THUMBS:
        n = panel.scores[THUMBS].n.copy()
        n[2, -7:] = panel.n[2, -7:]
        panel = replace(panel, scores={THUMBS: Scores(n, n * 0.8, n * 0.8)})
    else:
        of = LATENCY if metric == LATENCY_P95 else metric
        panel = replace(panel, sums=dict(panel.sums) | {of: replace(panel.sums[of], n_valid=valid)})
    result = run(panel).results[metric]
    assert result.status[2] == Status.COVERAGE
    assert np.isnan([result.p[2], result.effect[2], result.smallest_detectable[2]]).all()
    assert result.parts["coverage"][2] != pytest.approx(result.parts["baseline_coverage"][2], abs=0.2)
    assert result.status[3] == Status.TESTED


def test_a_day_whose_intents_are_not_known_yet_is_no_zero_of_theirs() -> None:
    parts = intents(10)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    parts[ALL] = added(list(parts.values()))
    for series, part in parts.items():
        if series != ALL:
            part["n"][-3:] = 0
    judged = run(panel_of(parts, total)).results[VOLUME]
    assert np.nanmax(np.abs(judged.effect)) < 0.5
    assert judged.n[-1] == total[-7:].sum()


@pytest.mark.parametrize("metric", [*TESTED, THUMBS])
def test_every_tested_series_says_what_it_could_have_found(metric: str) -> None:
    parts = intents(11)
    total = np.sum([part["n"] for part in parts.values()], axis=0)
    parts[ALL] = added(list(parts.values()))
    result = run(panel_of(parts, total)).results[metric]
    tested = result.status == Status.TESTED
    assert tested.sum() >= 5
    assert (result.smallest_detectable[tested] > 0).all()
    assert np.isnan(result.smallest_detectable[~tested]).all()
    least = {ERRORS: 0.01, TOOLS: 0.05, VOLUME: 0.29, THUMBS: 0.01}.get(metric, 0.1)
    assert result.smallest_detectable[tested].min() >= least - 1e-9
