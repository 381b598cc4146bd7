"""What an item says beside its effect: counts, tools that gained or lost, the values compared. JSON-ready."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from insights_pipeline.drift.constants import ERRORS, LATENCY, LATENCY_P95, TOOLS
from insights_pipeline.drift.detect import Signal
from insights_pipeline.drift.judge import Judged
from insights_pipeline.drift.series.panel import Panel

_TOOLS_SHOWN = 5
_LEAST_POINTS = 0.5


def significant(value: float, digits: int = 6) -> float | None:
    """The value with so many digits; None for what is not a number."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def explain(panel: Panel, judged: Judged, metric: str, row: int) -> dict[str, object]:
    """One series over one window: what was compared, and what the metric's kind adds."""
    result = judged.results[metric]
    facts: dict[str, object] = {
        "horizon": judged.horizon,
        "window": [str(judged.window.first), str(judged.window.last)],
        "n": int(result.n[row]),
        "baseline_n": int(result.baseline_n[row]),
        "baseline_days": int(result.baseline_days[row]),
        "observed": significant(float(result.observed[row])),
        "baseline": significant(float(result.baseline_value[row])),
        "smallest_detectable": significant(float(result.smallest_detectable[row])),
    }
    if metric == ERRORS and "k" in result.parts:
        facts |= {
            "errors": int(result.parts["k"][row]),
            "baseline_errors": int(result.parts["baseline_k"][row]),
        }
    if metric == TOOLS and "now" in result.parts:
        facts |= _tools(panel.tools, result.parts["before"][row], result.parts["now"][row])
    return facts


def _tools(names: Sequence[str], before: np.ndarray, now: np.ndarray) -> dict[str, object]:
    """Tools that gained and lost share, in points, the largest first."""
    moves: list[dict[str, object]] = []
    points = (now - before) * 100
    order = sorted(range(len(names)), key=lambda k: (-abs(round(points[k], 6)), names[k]))
    for k in order:
        if abs(points[k]) >= _LEAST_POINTS:
            move: dict[str, object] = {"tool": names[k], "points": significant(points[k], 4)}
            moves.append(move | {"before": significant(before[k], 4), "now": significant(now[k], 4)})
    gained = [move for move in moves if float(str(move["points"])) > 0]
    lost = [move for move in moves if float(str(move["points"])) < 0]
    return {"gained": gained[:_TOOLS_SHOWN], "lost": lost[:_TOOLS_SHOWN]}


def beside(signals: Sequence[Signal], metric: str, horizon: str) -> list[dict[str, object]]:
    """The p95 that moved with the mean, as additional evidence."""
    other = LATENCY_P95 if metric == LATENCY else None
    found = [
        signal.evidence[horizon]
        for signal in signals
        if signal.metric == other and horizon in signal.evidence
    ]
    return [
        {
            "metric": LATENCY_P95,
            "observed": significant(evidence.observed),
            "baseline": significant(evidence.baseline_value),
            "effect": significant(evidence.effect),
            "effect_low": significant(evidence.low),
            "effect_high": significant(evidence.high),
            "p": significant(evidence.p),
        }
        for evidence in found
    ]
