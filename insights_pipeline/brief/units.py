"""How a metric is called and how its values are written for a person."""

from __future__ import annotations

import unicodedata

# “Typical” is the geometric mean: what is compared are daily means of logarithms, which one slow trace cannot move.
LABELS = {
    "latency_ms": "typical latency",
    "latency_p95_ms": "p95 latency",
    "cost_usd": "typical cost",
    "step_count": "typical steps",
    "output_chars": "typical answer length",
    "error_rate": "error rate",
    "tool_mix": "tool mix",
    "volume": "volume",
}


def value(metric: str, number: float | None) -> str:
    """A value of the metric with its unit; a dash when unknown."""
    if number is None:
        return "–"
    match metric:
        case "latency_ms" | "latency_p95_ms":
            return f"{number / 1000:.3g} s" if number >= 1000 else f"{number:.0f} ms"
        case "cost_usd":
            return f"${number:.3g}" if number >= 1e-4 else f"${number:.1e}"
        case "error_rate":
            return f"{100 * number:.1f} %"
        case "output_chars":
            return f"{number:.0f} chars"
        case "step_count":
            return f"{number:.2g} steps"
        case _:
            return f"{number:.3g}"


def effect(metric: str, number: float | None) -> str:
    """A change of the metric: percent for ratios, percentage points for rates and shares; signed."""
    if number is None:
        return "–"
    match metric:
        case "error_rate":
            return f"{100 * number:+.1f} pp"
        case "tool_mix":
            return f"{100 * number:.0f} % of calls moved"
        case _:
            return f"{100 * number:+.0f} %" if number < 4 else f"×{1 + number:.1f}"


def interval(metric: str, low: float | None, high: float | None) -> str:
    """The 95 % interval of a change, or nothing when there is none."""
    if low is None or high is None:
        return ""
    match metric:
        case "error_rate":
            return f"{100 * low:+.1f} to {100 * high:+.1f} pp"
        case "tool_mix":
            return f"{100 * low:.0f} to {100 * high:.0f} %"
        case _:
            return f"{100 * low:+.0f} to {100 * high:+.0f} %"


def share(number: float) -> str:
    """A share of traffic; a small one is not called nothing."""
    return f"{100 * number:.0f} %" if number >= 0.01 else "<1 %"


def verb(metric: str, direction: str) -> str:
    """“latency up”, “tool mix changed”, “new intent”."""
    if metric == "volume":
        return {"new": "new intent", "gone": "no longer asked"}.get(direction, f"volume {direction}")
    return f"{LABELS.get(metric, metric)} {direction}"


def one_line(text: str) -> str:
    """Trace text on one line without control or format characters, which a terminal would obey."""
    visible = (char for char in text if char.isspace() or not unicodedata.category(char).startswith("C"))
    return " ".join("".join(visible).split())
