"""What flags are worth: false alarms, false discoveries, power by effect and volume, and the goals."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import timedelta

import numpy as np

from benchmarks.drift_detectors import Found
from benchmarks.drift_world import CORE, DAYS, METRICS, ONSET, SCORED_FROM, START, Simulated
from insights_pipeline.drift.detect import family
from insights_pipeline.drift.life.item import Item

BY_DAY = (1, 3, 7, 15)
BUSY = 100  # traces a day from which the goal for power counts
_CORE = {effect.name for effect in CORE}
_BANDS = ((0, 50), (50, 500), (500, np.inf))


@dataclass(slots=True)
class Score:
    """Counts over seeds. A series-day is one metric of one series on one day."""

    false: int = 0
    null_days: int = 0
    late_false: int = 0
    late_true: int = 0
    starts: int = 0
    false_items: int = 0
    true_items: int = 0
    delays: list[tuple[str, float, float]] = field(default_factory=list)
    seconds: float = 0.0
    judged: int = 0

    def add(self, simulated: Simulated, found: Found) -> None:
        """Count one seed. Days before a change are null; of "all" only metrics in which no intent changed."""
        null = simulated.known_null
        judged = np.zeros(DAYS, dtype=bool)
        judged[list(found.on) or slice(SCORED_FROM, None)] = True
        for metric, flag in found.flags.items():
            quiet = null[:, METRICS.index(metric)]
            changed = [row for row in range(simulated.intents) if (row, metric) in simulated.drifted]
            for rows, end in ((quiet, DAYS), (changed, ONSET)):
                scored = flag[rows, :end][:, judged[:end]]
                self.false += int(scored.sum())
                self.null_days += scored.size
                self.starts += int((np.diff(scored.astype(int), axis=1, prepend=0) == 1).sum())
            self.late_false += int(flag[quiet, ONSET:].sum())
            for row in changed:
                late = flag[row, ONSET:]
                self.late_true += int(late.sum())
                delay = int(np.argmax(late)) + 1 if late.any() else np.inf
                self.delays.append((simulated.drifted[row, metric].name, simulated.volume[row], delay))
        for item in found.items:
            self._count(simulated, item)
        self.seconds += found.seconds
        self.judged += found.days * (simulated.intents + 1) * len(METRICS)

    def _count(self, simulated: Simulated, item: Item) -> None:
        row, metric = simulated.panel.series.index(item.series), METRICS.index(family(item.metric))
        changed = (row, family(item.metric)) in simulated.drifted
        before = item.opened < START + timedelta(days=ONSET)
        if changed and not before:
            self.true_items += 1
        elif changed or simulated.known_null[row, metric]:
            self.false_items += 1

    def merge(self, other: Score) -> None:
        """Add the counts of other seeds."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))

    @property
    def false_alarms(self) -> float:
        """Flags per 1,000 null series-days."""
        return 1000 * self.false / max(1, self.null_days)

    @property
    def fdr(self) -> float:
        """Share of all flags from the onset on that are false: of a brief's lines, those that are wrong."""
        return self.late_false / max(1, self.late_false + self.late_true)

    def power(self, *, least: float = 0, core: bool = True) -> list[float]:
        """Share of the changes found by day 1, 3, 7 and 15; NaN where there were none."""
        delay = [d for name, volume, d in self.delays if volume >= least and (name in _CORE) == core]
        return [float(np.mean(np.array(delay) <= day)) if delay else float("nan") for day in BY_DAY]

    def power_alike(self, *, least: float = 0) -> list[float]:
        """The same with each of the core effects counted alike: seeds draw them, so some sets have more hard ones."""
        by_effect = [
            [d for name, volume, d in self.delays if name == effect and volume >= least] for effect in _CORE
        ]
        return [
            float(np.mean([np.mean(np.array(delay) <= day) for delay in by_effect if delay] or [np.nan]))
            for day in BY_DAY
        ]

    def line(self, label: str) -> str:
        """One row of the table."""
        items = f"{self.true_items}/{self.false_items}" if self.true_items + self.false_items else "-"
        busy, alike = self.power(least=BUSY), self.power_alike(least=BUSY)
        powers = (self.power(), busy, alike, self.power(least=BUSY, core=False))
        return (
            f"{label:<24}{self.false_alarms:>9.2f}{1000 * self.starts / max(1, self.null_days):>8.3f}{self.fdr:>7.3f}"
            f"{items:>9}  {''.join(f'{_slashed(power):<20}' for power in powers)}"
            f"{1e6 * self.seconds / max(1, self.judged):>7.0f}"
        )


HEADER = (
    f"{'detector':<24}{'FA/1000':>9}{'starts':>8}{'FDR':>7}{'items t/f':>9}  {'all volumes':<20}"
    f"{f'>= {BUSY} a day':<20}{'effects alike':<20}{'volume, scores':<20}{'ms/1000':>7}"
)


def _slashed(shares: list[float]) -> str:
    return "/".join("-" if np.isnan(share) else f"{share:.2f}" for share in shares)


def by_effect(score: Score) -> list[str]:
    """Rows of the table by effect and traffic: drifts, and the share found by day 1/3/7/15."""
    lines = [f"{'effect':<24}" + "".join(f"{name:<27}" for name in ("< 50 a day", "50-500", ">= 500"))]
    for name in sorted({name for name, _, _ in score.delays}):
        cells = []
        for low, high in _BANDS:
            delay = np.array([d for effect, v, d in score.delays if effect == name and low <= v < high])
            shares = [float((delay <= day).mean()) for day in BY_DAY] if delay.size else []
            cells.append(f"n{delay.size} {_slashed(shares)}" if shares else "-")
        lines.append(f"{name:<24}" + "".join(f"{cell:<27}" for cell in cells))
    return lines


def goals(world: str, policy: Score, shown: Score) -> list[str]:
    """Each goal, what was measured, met or not. `policy`: the triggers; `shown`: items, as users see them."""
    within_week = policy.power(least=BUSY)[BY_DAY.index(7)]
    alike = policy.power_alike(least=BUSY)[BY_DAY.index(7)]
    checks = {
        "base": (
            (
                "false alarms <= 0.15 per 1,000 null series-days",
                policy.false_alarms,
                policy.false_alarms <= 0.15,
            ),
            ("pooled FDR <= 3 %", policy.fdr, policy.fdr <= 0.03),
            (f"found in 7 days at >= {BUSY} a day >= 74 %", within_week, within_week >= 0.74),
            ("the same, each effect counted alike", alike, alike >= 0.74),
            ("pooled FDR <= 3 %, open items", shown.fdr, shown.fdr <= 0.03),
        ),
        "rough": (
            ("pooled FDR <= 8 %", policy.fdr, policy.fdr <= 0.08),
            ("pooled FDR <= 8 %, open items", shown.fdr, shown.fdr <= 0.08),
        ),
    }
    return [
        f"{'met    ' if met else 'not met'}  {name}: {value:.3f}"
        for name, value, met in checks.get(world, ())
    ]
