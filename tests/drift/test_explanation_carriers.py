from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.drift.explanation.carriers import (
    LOG_RATIO,
    PER_DAY,
    RATE,
    VARIATION,
    Carrier,
    Daily,
    change_of,
    dimension_parts,
    gained_tools,
    standing_out,
)
from insights_pipeline.drift.explanation.decomposition import Cells, take_all_apart, take_apart
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask

BEFORE, NOW = 30, 7
SEEDS = range(400, 420)
TOOLS = ("auth", "search", "lookup", "refund", "mail")

counts = st.lists(st.integers(0, 500), min_size=2, max_size=6)


def cells(n: list[int], seed: int) -> Cells:
    rng = np.random.default_rng(seed)
    size = np.asarray(n, dtype=np.float64)
    total = size * rng.normal(5, 3, len(n))
    return Cells(size, total, total**2 / np.maximum(size, 1) + size)


def whole(part: Cells) -> Cells:
    return Cells(*(np.asarray([one.sum()]) for one in (part.n, part.total, part.squares)))


@given(counts, counts, st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_slice_and_rest_add_up_to_the_change_exactly(n0: list[int], n1: list[int], seed: int) -> None:
    size = min(len(n0), len(n1))
    before, now = cells(n0[:size], seed), cells(n1[:size], seed + 1)
    all0, all1 = whole(before), whole(now)
    if all0.n[0] == 0 or all1.n[0] == 0:
        return
    parts = take_apart(before, now, all0.without(before), all1.without(now))
    change = all1.mean[0] - all0.mean[0]
    np.testing.assert_allclose(parts.own + parts.mix + parts.rest, change, atol=1e-9)
    own, mix = take_all_apart(before, now, all0, all1)
    assert float((own + mix).sum()) == pytest.approx(change, abs=1e-9)


def test_a_hand_worked_change_comes_apart_as_on_paper() -> None:
    # 100 traces of 1 s and 100 of 3 s; then 50 of 2 s and 150 of 3 s
    before, now = (
        Cells(np.asarray(n), np.asarray(n) * np.asarray(y), np.asarray(n) * np.asarray(y) ** 2)
        for n, y in (([100.0, 100.0], [1.0, 3.0]), ([50.0, 150.0], [2.0, 3.0]))
    )
    parts = take_apart(before, now, whole(before).without(before), whole(now).without(now))
    assert parts.own.tolist() == [0.375, 0.0]  # (.5 + .25) / 2 · (2 − 1)
    assert parts.mix.tolist() == [
        0.375,
        0.375,
    ]  # (1.5 − 3) · (.25 − .5), and the same seen from the other side
    assert parts.rest.tolist() == [0.0, 0.375]


def traffic(
    scenario: str, seed: int, *, errors: bool, volume: int = 150
) -> tuple[Daily, dict[str, Daily], Mask, Mask]:
    """Traces of one intent with everything that could mislead: big slices, new releases, tools used together."""
    rng, days = np.random.default_rng(seed), BEFORE + NOW
    weather = rng.standard_t(5, days) * 0.05
    of_tenant = rng.standard_t(5, (12, days)) * 0.03
    n = rng.poisson(np.where(np.arange(days) % 7 >= 5, 0.45, 1.0) * volume)
    day = np.repeat(np.arange(days), n)
    new = day >= BEFORE
    p = 1 / np.arange(1, 13)
    tenant = rng.choice(12, len(day), p=p / p.sum())
    model = np.where(rng.random(len(day)) < 0.7, 0, 1)
    if scenario == "swap":
        model = np.where(new & (rng.random(len(day)) < 0.96), 2, model)
    environment = (rng.random(len(day)) < 0.1).astype(int)
    release = day // 7 if scenario != "release" else np.where(new, 99, day // 7)
    used = rng.random((len(day), len(TOOLS))) < (0.9, 0.6, 0.3, 0.2, 1.0)
    used[:, 0] |= used[:, 2]
    hit = {
        "all": new,
        "nothing": np.zeros_like(new),
        "tenant": new & (tenant == 0),
        "tool": new & used[:, 2],
        "swap": model == 2,
        "release": new,
    }[scenario]
    if errors:
        y = (rng.random(len(day)) < 0.04 + 0.25 * hit).astype(float)
    else:
        level = np.asarray([0.0, 0.3, 0.1])[model] + weather[day] + of_tenant[tenant, day]
        y = 7 + level + rng.normal(0, 0.6, len(day)) + np.log(1.8) * hit

    def daily(codes: Ints, names: tuple[str, ...]) -> Daily:
        sums = [np.zeros((len(names), days)) for _ in range(3)]
        for row in range(len(names)):
            of = codes == row
            for out, weights in zip(sums, (np.ones_like(y), y, y**2), strict=True):
                out[row] = np.bincount(day[of], weights[of], days)
        return Daily(names, *sums)

    def numbered(codes: Ints) -> Daily:
        names, at = np.unique(codes, return_inverse=True)
        return daily(at, tuple(str(name) for name in names))

    tools = [daily(np.where(used[:, k], 0, 1), (name,)) for k, name in enumerate(TOOLS)]
    stacked: list[Floats] = [
        np.vstack([getattr(one, part) for one in tools]) for part in ("n", "total", "squares")
    ]
    dimensions = {
        "tenant": numbered(tenant),
        "model": numbered(model),
        "environment": numbered(environment),
        "release": numbered(release),
        "tool": Daily(TOOLS, *stacked),
    }
    before = np.arange(days) < BEFORE
    return daily(np.zeros(len(day), dtype=np.int64), ("",)), dimensions, before, ~before


def named(scenario: str, *, errors: bool) -> tuple[Counter[str], int]:
    """What is named first, and how many values are named beside it."""
    first: Counter[str] = Counter()
    beside = 0
    for seed in SEEDS:
        all_, dimensions, before, now = traffic(scenario, seed, errors=errors)
        change = change_of(all_, before, now, RATE if errors else LOG_RATIO)
        assert change is not None
        parts = {
            name: dimension_parts(name, slices, all_, before, now, change)
            for name, slices in dimensions.items()
        }
        best = standing_out(parts)
        first[f"{best[0].dimension}={best[0].value}" if best else "nothing"] += 1
        beside += max(0, len(best) - 1)
    return first, beside


@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize(
    ("scenario", "right"),
    [
        ("tenant", "tenant=0"),
        ("tool", "tool=lookup"),
        ("swap", "model=2"),
        ("release", "release=99"),
        ("all", "nothing"),
    ],
)
def test_the_slice_that_changed_is_named_and_no_other(scenario: str, right: str, errors: bool) -> None:
    first, beside = named(scenario, errors=errors)
    assert first[right] >= 19, first
    assert beside <= 1


def alone(
    values: tuple[str, ...], n: list[list[float]], y: list[list[float]]
) -> tuple[Daily, Daily, Mask, Mask]:
    """Daily sums of slices over 20 days before and 5 now, from their traces a day and their means."""
    size = np.asarray([[row[0]] * 20 + [row[1]] * 5 for row in n])
    mean = np.asarray([[row[0]] * 20 + [row[1]] * 5 for row in y])
    slices = Daily(values, size, size * mean, size * (mean**2 + 0.25))
    all_ = Daily(
        ("",), *(part.sum(axis=0, keepdims=True) for part in (slices.n, slices.total, slices.squares))
    )
    before = np.arange(25) < 20
    return all_, slices, before, ~before


def parts_of(unit: str, all_: Daily, slices: Daily, before: Mask, now: Mask) -> dict[str, Carrier]:
    change = change_of(all_, before, now, unit)
    assert change is not None
    return {one.value: one for one in dimension_parts("tenant", slices, all_, before, now, change)}


def test_a_slice_that_is_all_of_the_traffic_carries_nothing() -> None:
    parts = parts_of(LOG_RATIO, *alone(("only",), [[100.0, 100.0]], [[1.0, 2.0]]))
    assert parts["only"].part == pytest.approx(1) and not parts["only"].carries


def test_the_largest_part_of_a_change_that_all_share_carries_nothing_however_sure() -> None:
    parts = parts_of(LOG_RATIO, *alone(("big", "small"), [[9e5, 9e5], [1e5, 1e5]], [[1.0, 2.0], [1.0, 1.8]]))
    assert parts["big"].part > 0.9 and abs(parts["big"].z) > 4
    assert not parts["big"].carries and not parts["small"].carries


def test_a_slow_tenant_that_grows_carries_by_mix_and_one_that_leaves_is_named_too() -> None:
    grown = parts_of(
        LOG_RATIO, *alone(("slow", "rest"), [[20.0, 200.0], [100.0, 100.0]], [[3.0, 3.0], [1.0, 1.0]])
    )
    assert grown["slow"].carries and grown["slow"].own == pytest.approx(0)
    assert grown["slow"].part == pytest.approx(1)
    left = parts_of(
        LOG_RATIO,
        *alone(
            ("fast", "a", "b"),
            [[80.0, 0.0], [60.0, 60.0], [60.0, 60.0]],
            [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]],
        ),
    )
    assert [one.value for one in standing_out({"tenant": list(left.values())})] == ["fast"]
    assert np.isnan(left["fast"].now)


def test_volume_comes_apart_by_traces_a_day() -> None:
    parts = parts_of(
        PER_DAY, *alone(("acme", "rest"), [[20.0, 120.0], [200.0, 200.0]], [[0.0, 0.0], [0.0, 0.0]])
    )
    assert parts["acme"].own == pytest.approx(100) and parts["rest"].own == pytest.approx(0)
    assert parts["acme"].carries and parts["acme"].part == pytest.approx(1)
    both = parts_of(
        PER_DAY, *alone(("acme", "rest"), [[20.0, 40.0], [200.0, 400.0]], [[0.0, 0.0], [0.0, 0.0]])
    )
    assert not any(one.carries for one in both.values())


def test_the_change_of_a_tool_mix_along_what_gained_is_its_total_variation() -> None:
    before, now = np.arange(4) < 2, np.arange(4) >= 2
    shares = np.zeros((1, 4, 3))
    shares[0, :2] = (50.0, 30.0, 20.0)
    shares[0, 2:] = (20.0, 30.0, 50.0)
    all_ = Daily(("",), np.full((1, 4), 100.0), np.zeros((1, 4)), np.zeros((1, 4)), shares)
    gained = gained_tools(all_, before, now)
    assert gained.tolist() == [False, False, True]
    change = change_of(all_.towards(gained), before, now, VARIATION)
    assert change is not None and change.change == pytest.approx(0.3)  # ½ (.3 + 0 + .3)


def test_the_order_of_values_cannot_be_seen_in_the_answer() -> None:
    all_, dimensions, before, now = traffic("tenant", 1, errors=False)
    change = change_of(all_, before, now, LOG_RATIO)
    assert change is not None
    tenants = dimensions["tenant"]
    back = Daily(tenants.values[::-1], tenants.n[::-1], tenants.total[::-1], tenants.squares[::-1])
    one, other = (
        standing_out({"tenant": dimension_parts("tenant", slices, all_, before, now, change)})
        for slices in (tenants, back)
    )
    assert [carrier.value for carrier in one] == [carrier.value for carrier in other] == ["0"]
