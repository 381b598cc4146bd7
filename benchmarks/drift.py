"""False alarms, FDR and power of the drift policy on simulated rollups, beside a fixed threshold and three sigmas.

    python benchmarks/drift.py [--world base|calm|rough|few] [--seeds 4] [--first-seed 9000]

The world: day effects with heavy tails and autocorrelation, a weekly rhythm, outliers, zero costs; one in ten intents
gets one lasting change in one metric on day 45 of 60. Its parameters are assumptions, not fitted to anyone's traffic.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from insights_pipeline.drift.constants import (
    COST,
    ERRORS,
    LATENCY,
    NUMERIC,
    OUTPUT,
    REACH_DAYS,
    STEPS,
    TOOLS,
)
from insights_pipeline.drift.detect import Signal, judge_day, signals
from insights_pipeline.drift.judge import LeftOut
from insights_pipeline.drift.life.arrivals import Known
from insights_pipeline.drift.life.fold import fold_day
from insights_pipeline.drift.life.lifecycle import CLOSED, PENDING, Item, family
from insights_pipeline.drift.series.panel import Panel, Sums
from insights_pipeline.lake import DayRange

DAYS, ONSET, SCORED_FROM = 60, 45, 37
START = date(2026, 1, 5)
METRICS = (*NUMERIC, ERRORS, TOOLS)
WITHIN = {LATENCY: 0.6, COST: 0.7, STEPS: 0.4, OUTPUT: 0.6}
EFFECTS = [
    (COST, "x", 1.2), (COST, "x", 1.5), (ERRORS, "+", 0.15), (ERRORS, "+", 0.02), (ERRORS, "+", 0.05),
    (LATENCY, "creep", 0.02), (LATENCY, "tail", 3.0), (LATENCY, "x", 1.15), (LATENCY, "x", 1.3),
    (LATENCY, "x", 1.5), (LATENCY, "x", 2.0), (OUTPUT, "x", 1.3), (STEPS, "x", 1.3), (TOOLS, "tv", 0.1),
    (TOOLS, "tv", 0.2), (TOOLS, "tv", 0.4),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """Parameters of the traffic; deviations are on the log scale."""

    intents: int = 60
    between: float = 0.05
    error_sd: float = 0.35
    concentration: float = 150.0
    tail: float = 5.0  # degrees of freedom of a day effect
    memory: float = 0.3
    shared: float = 0.03
    weekday: float = 0.04
    drifting: float = 0.10


WORLDS = {
    "base": World(),
    "calm": World(between=0.02, error_sd=0.14, concentration=600.0, tail=200.0, shared=0.012),
    "rough": World(between=0.10, error_sd=0.7, concentration=60.0, tail=4.0, memory=0.5, shared=0.06),
    "few": World(intents=6, drifting=0.17),
}


@dataclass(frozen=True, slots=True)
class Simulated:
    panel: Panel  # the 60 days, after as many empty ones as a baseline may reach
    means: dict[str, np.ndarray]  # [intents, days], NaN without traces
    mixes: np.ndarray  # [intents, days, tools]
    volume: np.ndarray
    drifted: dict[tuple[int, str], str]


def simulate(world: World, seed: int) -> Simulated:
    rng = np.random.default_rng(seed)
    size = world.intents
    volume = np.exp(np.linspace(np.log(5), np.log(5000), size))
    weekend = np.array([(START + timedelta(days=d)).weekday() >= 5 for d in range(DAYS)])
    n = rng.poisson(volume[:, None] * np.where(weekend, 0.4, 1.0))
    chosen = rng.choice(size, max(1, round(world.drifting * size)), replace=False)
    drift = {int(row): EFFECTS[rng.integers(len(EFFECTS))] for row in chosen}
    first = START - timedelta(days=REACH_DAYS)
    sums, means = {}, {}
    shared = world.shared * _noise(rng, world, 1)
    for metric in NUMERIC:
        spread = world.between * np.exp(rng.normal(0, 0.5, (size, 1)))
        level = spread * _noise(rng, world, size) + (shared if metric == LATENCY else 0.0)
        level = level + (world.weekday * rng.normal(0, 1, (size, 7)))[:, np.arange(DAYS) % 7]
        zero = (
            np.where(rng.random(size) < 0.5, rng.uniform(0.05, 0.4, size), 0)
            if metric == COST
            else np.zeros(size)
        )
        own = {row: effect for row, effect in drift.items() if effect[0] == metric}
        sums[metric], means[metric] = _numeric(rng, n, level, WITHIN[metric], zero, own)
    rate = rng.uniform(0.02, 0.12, (size, 1))
    shift = np.zeros((size, DAYS))
    for row, (metric, _, value) in drift.items():
        shift[row, ONSET:] = value if metric == ERRORS else 0.0
    logit = np.log((rate + shift) / (1 - rate - shift)) + world.error_sd * _noise(rng, world, size)
    k = rng.binomial(n, 1 / (1 + np.exp(-logit)))
    shares, tools = _tools(rng, world, n, drift)
    panel = Panel(
        days=DayRange(first, START + timedelta(days=DAYS - 1)),
        series=tuple(f"i{row:03d}" for row in range(size)),
        n=_later(n), total=_later(n).sum(axis=0), sums=sums, error_n=_later(n), error_k=_later(k),
        tools=tools, tool_n=_later(n), shares=_later(shares),
    )  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        means[ERRORS] = k / n
        mixes = shares / n[:, :, None]
    drifted = {(row, effect[0]): f"{effect[0]} {effect[1]}{effect[2]}" for row, effect in drift.items()}
    return Simulated(panel, means, mixes, volume, drifted)


def _later(values: np.ndarray) -> np.ndarray:
    before = np.zeros((values.shape[0], REACH_DAYS, *values.shape[2:]))
    return np.concatenate([before, values.astype(np.float64)], axis=1)


def _noise(rng: np.random.Generator, world: World, size: int) -> np.ndarray:
    """AR(1) of Student t, unit variance."""
    raw = rng.standard_t(world.tail, (size, DAYS + 20)) / np.sqrt(world.tail / (world.tail - 2))
    out = np.zeros_like(raw)
    for day in range(1, DAYS + 20):
        out[:, day] = world.memory * out[:, day - 1] + np.sqrt(1 - world.memory**2) * raw[:, day]
    return out[:, 20:]


def _numeric(
    rng: np.random.Generator, n: np.ndarray, level: np.ndarray, within: float, zero: np.ndarray,
    drift: dict[int, tuple[str, str, float]],
) -> tuple[Sums, np.ndarray]:  # fmt: skip
    parts = {name: np.zeros(n.shape) for name in ("n_pos", "slog", "slog2", "p95")}
    mean = np.full(n.shape, np.nan)
    for row in range(len(n)):
        for day in range(DAYS):
            count = n[row, day]
            if count == 0:
                continue
            log = level[row, day] + within * rng.standard_normal(count)
            log += np.log(4) * (rng.random(count) < 0.02)
            if day >= ONSET and row in drift:
                _, kind, value = drift[row]
                if kind == "x":
                    log += np.log(value)
                elif kind == "creep":
                    log += np.log1p(value) * (day - ONSET + 1)
                else:
                    log += np.log(value) * (rng.random(count) < 0.1)
            known = log[rng.random(count) >= zero[row]] if zero[row] else log
            parts["n_pos"][row, day] = known.size
            parts["slog"][row, day] = known.sum()
            parts["slog2"][row, day] = (known**2).sum()
            if known.size:
                at = int(0.95 * (known.size - 1))
                parts["p95"][row, day] = np.exp(np.partition(known, at)[at])
            mean[row, day] = np.exp(known).sum() / count
    wide = {name: _later(values) for name, values in parts.items()}
    return Sums(_later(n), wide["n_pos"], wide["slog"], wide["slog2"], wide["p95"]), mean


def _tools(
    rng: np.random.Generator, world: World, n: np.ndarray, drift: dict[int, tuple[str, str, float]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    most = 8
    shares = np.zeros((*n.shape, most))
    for row in range(len(n)):
        used = rng.integers(3, most + 1)
        base = np.sort(rng.dirichlet(np.full(used, 2.0)))[::-1]
        changed = base.copy()
        if row in drift and drift[row][0] == TOOLS:
            moved = min(drift[row][2], base[0])
            changed[0] -= moved
            changed[-1] += moved
        for day in range(DAYS):
            mix = rng.dirichlet((changed if day >= ONSET else base) * world.concentration + 1e-3)
            shares[row, day, :used] = rng.multinomial(n[row, day], mix)
    return shares, tuple(f"t{k}" for k in range(most))


Flags = dict[str, np.ndarray]  # [intents, days] of each metric


def ours(simulated: Simulated, *, monthly: bool) -> Flags:
    """Triggers on a rolling baseline, no life cycle: what the published figures count."""
    flags = _none(simulated)
    hits: list[set[tuple[str, str, str]]] = []
    for day in range(SCORED_FROM - 2, DAYS):
        found = _signals(simulated.panel, START + timedelta(days=day))
        hits.append({_key(signal) for signal in found if signal.hit})
        for signal in found:
            confirmed = signal.hit and any(_key(signal) in earlier for earlier in hits[-3:-1])
            triggers = set(signal.triggers) - (set() if monthly else {"D"})
            if (triggers or confirmed) and day >= SCORED_FROM:
                flags[family(signal.metric)][int(signal.series[1:]), day] = True
    return flags


def _signals(panel: Panel, day: date) -> list[Signal]:
    recent = panel.ending(day, REACH_DAYS)
    return signals(recent, judge_day(recent, day, LeftOut.nothing(recent)))


def _key(signal: Signal) -> tuple[str, str, str]:
    return signal.series, family(signal.metric), signal.direction


def items_of(simulated: Simulated) -> tuple[Flags, dict[str, Item]]:
    """The whole policy with its life cycle: series with an open item, and every item that opened when scored."""
    flags, opened = _none(simulated), {}
    items: list[Item] = []
    known = Known(None, {}, {})
    for day in range(SCORED_FROM - 7, DAYS):
        items = list(fold_day(simulated.panel, START + timedelta(days=day), items, known).items)
        for item in items:
            if item.state in CLOSED or item.state == PENDING:
                continue
            if day >= SCORED_FROM:
                flags[family(item.metric)][int(item.series[1:]), day] = True
                opened.setdefault(item.item_id, item)
    return flags, opened


def fixed(simulated: Simulated) -> Flags:
    """More than 20 % off the 30-day mean; tools: Jensen-Shannon distance above .1."""
    flags = _none(simulated)
    for day, metric, past, now in _daily(simulated):
        centre = np.nanmean(past, axis=1)
        flags[metric][:, day] = np.abs(now / np.maximum(centre, 1e-9) - 1) > 0.2
    for day, _, now in _distances(simulated):
        flags[TOOLS][:, day] = now > 0.1
    return flags


def sigmas(simulated: Simulated) -> Flags:
    """Beyond three standard deviations of the 30 daily means; tools: of the 30 daily distances, upwards."""
    flags = _none(simulated)
    for day, metric, past, now in _daily(simulated):
        flags[metric][:, day] = np.abs(now - np.nanmean(past, axis=1)) > 3 * np.nanstd(past, axis=1, ddof=1)
    for day, past, now in _distances(simulated):
        flags[TOOLS][:, day] = now > np.nanmean(past, axis=1) + 3 * np.nanstd(past, axis=1, ddof=1)
    return flags


def _daily(simulated: Simulated) -> Iterator[tuple[int, str, np.ndarray, np.ndarray]]:
    for metric, values in simulated.means.items():
        for day in range(SCORED_FROM, DAYS):
            yield day, metric, values[:, day - 30 : day], values[:, day]


def _distances(simulated: Simulated) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    for day in range(SCORED_FROM, DAYS):
        base = np.nanmean(simulated.mixes[:, day - 30 : day], axis=1)
        past = np.stack([_js(simulated.mixes[:, d], base) for d in range(day - 30, day)], axis=1)
        yield day, past, _js(simulated.mixes[:, day], base)


def _js(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (np.where(a > 0, a * np.log2(a / middle), 0.0).sum(axis=-1) / 2 for a in (p, q))
    return np.sqrt(np.maximum(left + right, 0))


def _none(simulated: Simulated) -> Flags:
    return {metric: np.zeros((len(simulated.volume), DAYS), dtype=bool) for metric in METRICS}


@dataclass(slots=True)
class Score:
    """Counts over seeds."""

    false: int = 0
    null_days: int = 0
    late_false: int = 0
    late_true: int = 0
    delays: list[tuple[str, float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, simulated: Simulated, flags: Flags) -> None:
        for metric, flag in flags.items():
            for row in range(len(flag)):
                name = simulated.drifted.get((row, metric))
                end = DAYS if name is None else ONSET
                self.false += int(flag[row, SCORED_FROM:end].sum())
                self.null_days += end - SCORED_FROM
                late = int(flag[row, ONSET:].sum())
                if name is None:
                    self.late_false += late
                    continue
                self.late_true += late
                at = np.flatnonzero(flag[row, ONSET:])
                self.delays.append((name, simulated.volume[row], at[0] + 1 if at.size else np.inf))

    def line(self, label: str) -> str:
        fdr = self.late_false / max(1, self.late_false + self.late_true)

        def power(least: float) -> str:
            delay = np.array([d for _, v, d in self.delays if v >= least])
            return "/".join(f"{(delay <= d).mean():.2f}" for d in (1, 3, 7, 15)) if delay.size else "-"

        return (
            f"{label:<26}{1000 * self.false / self.null_days:>9.2f}{fdr:>8.3f}   {power(0):<22}"
            f"{power(100):<22}{self.seconds:>7.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=sorted(WORLDS), default="base")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=9000)
    parser.add_argument("--effects", action="store_true", help="power by effect and volume")
    options = parser.parse_args()
    scores: dict[str, Score] = defaultdict(Score)
    false_items = true_items = 0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        simulated = simulate(WORLDS[options.world], seed)
        opened: dict[str, Item] = {}
        for label in ("ours A|B|C", "ours A|B|C|D", "ours, life cycle", "fixed 20 % / JS .1", "3 sigma"):
            begin = time.perf_counter()
            if label == "ours, life cycle":
                flags, opened = items_of(simulated)
            elif label.startswith("ours"):
                flags = ours(simulated, monthly=label.endswith("D"))
            else:
                with np.errstate(invalid="ignore"):
                    flags = fixed(simulated) if label.startswith("fixed") else sigmas(simulated)
            scores[label].seconds += time.perf_counter() - begin
            scores[label].add(simulated, flags)
        for item in opened.values():
            true = (int(item.series[1:]), family(item.metric)) in simulated.drifted
            true_items += true and item.opened >= START + timedelta(days=ONSET - 2)
            false_items += not true
    print(f"world {options.world}, {options.seeds} seeds from {options.first_seed}")
    print(f"{'detector':<26}{'FA/1000':>9}{'FDR':>8}   {'d1/d3/d7/d15':<22}{'V>=100':<22}{'seconds':>7}")
    for label, score in scores.items():
        print(score.line(label))
    days = options.seeds * (DAYS - SCORED_FROM)
    print(
        f"items opened: {true_items} true, {false_items} false in {days} days"
        f" of {WORLDS[options.world].intents} intents"
    )
    if options.effects:
        _by_effect(scores["ours A|B|C"])


def _by_effect(score: Score) -> None:
    bands = ((0, 50), (50, 500), (500, np.inf))
    for name in sorted({name for name, _, _ in score.delays}):
        cells = []
        for low, high in bands:
            delay = np.array([d for effect, v, d in score.delays if effect == name and low <= v < high])
            cells.append(
                "/".join(f"{(delay <= d).mean():.2f}" for d in (1, 3, 7, 15)) + f" n{delay.size}"
                if delay.size
                else "-"
            )
        print(f"{name:<24}" + "".join(f"{cell:<28}" for cell in cells))


if __name__ == "__main__":
    main()
