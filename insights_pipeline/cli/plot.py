"""A small plot in text: one column a day, the usual band shaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from datetime import date

HEIGHT = 8
_POINT, _MEAN, _BAND, _LEFT_OUT = "●", "─", "░", "○"
_LABEL = 9


def plot(
    days: Sequence[date],
    values: Sequence[float],
    *,
    mean: float | None,
    low: float | None,
    high: float | None,
    open_points: Collection[date] = (),
    say: Callable[[float], str],
) -> list[str]:
    """Lines of a plot: ● a day (○ one of `open_points`), ░ between `low` and `high`, ─ the mean; [] without values.

    Days without a value stay empty. `say` writes a value of the vertical axis.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return []
    edges = [*known, *(end for end in (mean, low, high) if end is not None)]
    bottom, top = min(edges), max(edges)
    if top == bottom:
        top = bottom + (abs(bottom) or 1.0)

    def row_of(value: float) -> int:
        return round((top - value) / (top - bottom) * (HEIGHT - 1))

    band = (
        range(row_of(high), row_of(low if low is not None else bottom) + 1) if high is not None else range(0)
    )
    middle = None if mean is None else row_of(mean)
    lines = []
    for row in range(HEIGHT):
        ground = _MEAN if row == middle else _BAND if row in band else " "
        cells = [
            (_LEFT_OUT if day in open_points else _POINT)
            if math.isfinite(value) and row_of(value) == row
            else ground
            for day, value in zip(days, values, strict=True)
        ]
        label = say(top) if row == 0 else say(bottom) if row == HEIGHT - 1 else ""
        if row == middle and mean is not None:
            label = say(mean)
        lines.append(f"{label:>{_LABEL}} {''.join(cells)}".rstrip())
    first, last = f"{days[0]:%d %b}", f"{days[-1]:%d %b}"
    gap = max(1, len(days) - len(first) - len(last))
    lines.append(f"{'':>{_LABEL}} {first}{' ' * gap}{last}")
    return lines
