"""How the simulated values come about: traffic, day effects, values of single traces, and their sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from insights_pipeline.drift.constants import (
    COST,
    ERRORS,
    LATENCY,
    OUTPUT,
    REACH_DAYS,
    SCORE,
    STEPS,
    TOKENS,
    TOOLS,
    TTFT,
    VOLUME,
)
from insights_pipeline.drift.series.panel import Sums

if TYPE_CHECKING:
    from benchmarks.drift_world import Effect, World

QUALITY = f"{SCORE}quality"
WITHIN = {LATENCY: 0.6, TTFT: 0.5, COST: 0.7, TOKENS: 0.6, STEPS: 0.4, OUTPUT: 0.6}  # log deviation in a day
TOOL_COUNT = 8
WEEKEND = 0.4  # of a weekday's traffic


def volumes(world: World) -> np.ndarray:
    if world.zipf:
        return 5000 / np.arange(1, world.intents + 1)
    rarest, commonest = np.log(world.traffic)
    return np.exp(np.linspace(rarest, commonest, world.intents))


def drifts(rng: np.random.Generator, world: World, further: Sequence[Effect]) -> dict[int, Effect]:
    counts = [max(share > 0, round(share * world.intents)) for share in (world.drifting, world.further)]
    chosen = [int(row) for row in rng.choice(world.intents, sum(counts), replace=False)]
    kinds = [world.effects] * counts[0] + [further] * counts[1]
    return {row: effects[rng.integers(len(effects))] for row, effects in zip(chosen, kinds, strict=True)}


def traffic(
    rng: np.random.Generator, world: World, volume: np.ndarray, drift: Mapping[int, Effect]
) -> np.ndarray:
    weekend = np.array([day % 7 >= 5 for day in range(world.days)])
    level = world.volume_sd * noise(rng, world, world.intents) + 2 * world.shared * noise(rng, world, 1)
    level += _shift(world, drift, VOLUME, lambda effect: float(np.log(effect.size)))
    n = rng.poisson(volume[:, None] * np.where(weekend, WEEKEND, 1.0) * np.exp(level))
    return np.where(rng.random(n.shape) < world.gaps, 0, n)


def _shift(
    world: World, drift: Mapping[int, Effect], metric: str, size: Callable[[Effect], float]
) -> np.ndarray:
    """What the changes of a metric add [intents, days]."""
    shift = np.zeros((world.intents, world.days))
    for row, effect in drift.items():
        if effect.metric == metric:
            shift[row, world.changed] = size(effect)
    return shift


def noise(rng: np.random.Generator, world: World, size: int) -> np.ndarray:
    """AR(1) of Student t, unit variance [size, days]."""
    before = 20
    raw = rng.standard_t(world.tail, (size, world.days + before)) / np.sqrt(world.tail / (world.tail - 2))
    out = np.zeros_like(raw)
    for day in range(1, world.days + before):
        out[:, day] = world.memory * out[:, day - 1] + np.sqrt(1 - world.memory**2) * raw[:, day]
    return out[:, before:]


def levels(rng: np.random.Generator, world: World, metric: str) -> np.ndarray:
    """Log level of every intent-day; how much an intent varies is itself lognormal."""
    size = world.intents
    usual = rng.normal(np.log(1000), 0.5, (size, 1))
    spread = world.between * np.exp(rng.normal(0, 0.5, (size, 1)))
    rhythm = (world.weekday * rng.normal(0, 1, (size, 7)))[:, np.arange(world.days) % 7]
    return usual + spread * noise(rng, world, size) + rhythm


def values(
    rng: np.random.Generator, world: World, metric: str, n: np.ndarray, level: np.ndarray,
    drift: Mapping[int, Effect],
) -> np.ndarray:  # fmt: skip
    """Logs of the values of every trace, intent by intent and day by day: −inf a zero, NaN unknown."""
    log = np.repeat(level.ravel(), n.ravel())
    log += WITHIN[metric] * rng.standard_normal(log.size, dtype=np.float32)
    log += np.log(4) * (rng.random(log.size, dtype=np.float32) < 0.02)
    ends = np.concatenate([[0], np.cumsum(n.sum(axis=1))])
    for row, effect in drift.items():
        if effect.metric == metric:
            day = np.repeat(np.arange(world.days), n[row])
            log[ends[row] : ends[row + 1]] += _change(rng, world, effect, day)
    if metric == COST:
        zero = np.where(rng.random(world.intents) < 0.5, rng.uniform(0.05, 0.4, world.intents), 0)
        log[rng.random(log.size) < np.repeat(zero, n.sum(axis=1))] = -np.inf
        if world.unpriced:
            log[rng.random(log.size) < world.unpriced] = np.nan
    return log


def _change(rng: np.random.Generator, world: World, effect: Effect, day: np.ndarray) -> np.ndarray:
    """What a change adds to the log of the value of every trace, given its day."""
    since = np.where(np.isin(day, np.arange(world.days)[world.changed]), day - world.onset + 1, 0)
    if effect.kind == "creep":
        return np.log1p(effect.size) * since
    hit = (since > 0) & (rng.random(day.size) < (0.1 if effect.kind == "tail" else 1.0))
    return np.log(effect.size) * hit


def summed(log: np.ndarray, n: np.ndarray, *, with_p95: bool) -> tuple[Sums, np.ndarray]:
    """Rollups of a metric, with those of all intents together, and the plain daily means."""
    cell = np.repeat(np.arange(n.size), n.ravel())
    positive = np.isfinite(log)

    def total(values: np.ndarray) -> np.ndarray:
        return with_all(np.bincount(cell, values, n.size).reshape(n.shape))

    clean = np.where(positive, log, 0.0)
    valid = total(~np.isnan(log))
    days = n.shape[1]
    p95 = np.full((len(n) + 1, days), np.nan)
    if with_p95:
        ends = np.concatenate([[0], np.cumsum(n.ravel())])
        for at in range(n.size):
            p95.flat[at] = _p95(log[ends[at] : ends[at + 1]])
        day = cell % days
        ordered = np.split(log[np.argsort(day, kind="stable")], np.cumsum(n.sum(axis=0))[:-1])
        p95[-1] = [_p95(values) for values in ordered]
    parts = (valid, total(positive), total(clean), total(clean**2), p95)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total(np.where(positive, np.exp(clean), 0.0)) / valid
    return Sums(*(later(part, full=True) for part in parts)), mean


def _p95(log: np.ndarray) -> float:
    return (
        float(np.exp(np.partition(log, at)[at]))
        if (at := int(0.95 * (log.size - 1))) >= 0 and log.size
        else np.nan
    )


def errors(rng: np.random.Generator, world: World, n: np.ndarray, drift: Mapping[int, Effect]) -> np.ndarray:
    rate = rng.uniform(*world.error_rates, (world.intents, 1))
    rate = rate + _shift(world, drift, ERRORS, lambda effect: effect.size)
    logit = np.log(rate / (1 - rate)) + world.error_sd * noise(rng, world, world.intents)
    return rng.binomial(n, 1 / (1 + np.exp(-logit)))


def mixes(rng: np.random.Generator, world: World, n: np.ndarray, drift: Mapping[int, Effect]) -> np.ndarray:
    shares = np.zeros((*n.shape, TOOL_COUNT))
    changed_days = set(range(world.days)[world.changed])
    for row in range(len(n)):
        used = rng.integers(3, TOOL_COUNT + 1)
        base = np.sort(rng.dirichlet(np.full(used, 2.0)))[::-1]
        changed = base.copy()
        if row in drift and drift[row].metric == TOOLS:
            moved = min(drift[row].size, base[0])
            changed[0] -= moved
            changed[-1] += moved
        for day in range(world.days):
            mix = rng.dirichlet((changed if day in changed_days else base) * world.concentration + 1e-3)
            shares[row, day, :used] = rng.multinomial(n[row, day], mix)
    return shares


def scores(
    rng: np.random.Generator, world: World, n: np.ndarray, drift: Mapping[int, Effect]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores in [0, 1] of a fifth of the traces (n, sum, sum of squares), around .8."""
    rated = rng.binomial(n, 0.2)
    centre = 0.8 + _shift(world, drift, QUALITY, lambda effect: effect.size)
    logit = np.log(centre / (1 - centre)) + world.error_sd / 2 * noise(rng, world, world.intents)
    centre = np.repeat((1 / (1 + np.exp(-logit))).ravel(), rated.ravel())
    value = rng.beta(4 * centre, 4 * (1 - centre))
    cell = np.repeat(np.arange(n.size), rated.ravel())
    total, squares = (np.bincount(cell, part, n.size).reshape(n.shape) for part in (value, value**2))
    return rated, total, squares


def with_all(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, values.sum(axis=0, keepdims=True)])


def later(values: np.ndarray, *, full: bool = False) -> np.ndarray:
    """As floats, after the empty days, and with all intents together unless `full` of them already."""
    values = values if full else with_all(values)
    before = np.zeros((values.shape[0], REACH_DAYS, *values.shape[2:]))
    return np.concatenate([before, values.astype(np.float64)], axis=1)
