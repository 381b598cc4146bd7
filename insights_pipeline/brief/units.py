"""How a metric is called and how its values are written for a person; and how trace text is made harmless."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from insights_pipeline.drift.constants import (
    COST,
    DOWN,
    ERRORS,
    GONE,
    LATENCY,
    LATENCY_P95,
    NEW,
    OUTPUT,
    SCORE,
    STEPS,
    TOKENS,
    TOOLS,
    TTFT,
    UP,
    VOLUME,
)

# “Typical” is the geometric mean: what is compared are daily means of logarithms, which one slow trace cannot move.
LABELS = {
    LATENCY: "typical latency",
    LATENCY_P95: "p95 latency",
    TTFT: "time to first token",
    COST: "typical cost",
    TOKENS: "typical tokens",
    STEPS: "typical steps",
    OUTPUT: "typical answer length",
    ERRORS: "error rate",
    TOOLS: "tool mix",
    VOLUME: "volume",
}
_VOLUME_VERBS = {NEW: "new intent", GONE: "no longer asked", UP: "asked more often", DOWN: "asked less often"}
_TIMES = 2.0  # from here on a growth is told as a factor
_LONGEST = 120
# What mail programs and chats turn into links by themselves, without any markup.
_HOST = re.compile(
    r"(?<=\w)\.(?=(?:com|net|org|io|ai|dev|app|co|ru|cn|de|uk|me|xyz|info|biz|top|link|click|site|online|shop)\b)",
    re.IGNORECASE,
)
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)


def label(metric: str) -> str:
    """The metric's name in a sentence; a feedback score by its own name."""
    if metric.startswith(SCORE):
        return f"score {defanged(metric.removeprefix(SCORE), limit=40)}"
    return LABELS.get(metric, metric)


def value(metric: str, number: float | None) -> str:
    """A value of the metric with its unit; a dash when unknown."""
    if number is None:
        return "–"
    match metric:
        case "latency_ms" | "latency_p95_ms" | "ttft_ms":
            return f"{number / 1000:.3g} s" if number >= 1000 else f"{number:.0f} ms"
        case "cost_usd":
            return f"${number:.3g}" if number >= 1e-4 else f"${number:.1e}"
        case "error_rate":
            return f"{100 * number:.1f} %"
        case "output_chars":
            return f"{number:.0f} chars"
        case "step_count":
            return f"{number:.2g} steps"
        case "total_tokens":
            return f"{number:,.0f} tokens"
        case "volume":
            return f"{number:,.0f} a day" if number >= 10 else f"{number:.1f} a day"
        case _:
            return f"{number:.3g}"


def scaled(
    metric: str, number: float | None, low: float | None = None, high: float | None = None
) -> tuple[str, str]:
    """A change and its 95 % interval (or ""), both in percent or both as a factor."""
    known = low is not None and high is not None
    as_factor = any(one is not None and one >= _TIMES for one in (number, high if known else None))
    return effect(metric, number, as_factor=as_factor), interval(metric, low, high, as_factor=as_factor)


def effect(metric: str, number: float | None, *, as_factor: bool = False) -> str:
    """A change of the metric: percent or a factor for ratios, percentage points for rates and shares; signed."""
    if number is None:
        return "–"
    if metric.startswith(SCORE):
        return f"{number:+.2g}"
    match metric:
        case "error_rate":
            return f"{100 * number:+.1f} pp"
        case "tool_mix":
            return f"{100 * number:.0f} % of calls moved"
        case _:
            return f"×{1 + number:.1f}" if as_factor or number >= _TIMES else f"{100 * number:+.0f} %"


def interval(metric: str, low: float | None, high: float | None, *, as_factor: bool = False) -> str:
    """The 95 % interval of a change, or nothing when there is none."""
    if low is None or high is None:
        return ""
    if metric.startswith(SCORE):
        return f"{low:+.2g} to {high:+.2g}"
    match metric:
        case "error_rate":
            return f"{100 * low:+.1f} to {100 * high:+.1f} pp"
        case "tool_mix":
            return f"{100 * low:.0f} to {100 * high:.0f} %"
        case _ if as_factor or high >= _TIMES:
            return f"×{1 + low:.1f} to ×{1 + high:.1f}"
        case _:
            return f"{100 * low:+.0f} to {100 * high:+.0f} %"


def share(number: float) -> str:
    """A share of traffic; a small one is not called nothing."""
    return f"{100 * number:.0f} %" if number >= 0.01 else "<1 %"


def verb(metric: str, direction: str) -> str:
    """“typical latency up”, “tool mix changed”, “new intent”."""
    if metric == VOLUME:
        return _VOLUME_VERBS.get(direction, f"volume {direction}")
    return f"{label(metric)} {direction}"


def day(when: date | None) -> str:
    """ "3 Nov"."""
    return "–" if when is None else f"{when.day} {when:%b}"


def one_line(text: str) -> str:
    """Trace text on one line without control or format characters, which a terminal would obey."""
    visible = (char for char in text if char.isspace() or not unicodedata.category(char).startswith("C"))
    return " ".join("".join(visible).split())


def defanged(text: str, *, limit: int = _LONGEST) -> str:
    """Trace text on one line, cut, in which nothing turns into a link, a mail address or a mention by itself.

    Written as is usual for hostile addresses: `http[:]//evil[.]com`. Markup is still the renderer's to escape.
    """
    line = one_line(text[: 8 * limit])
    line = line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
    line = _WWW.sub("www[.]", line.replace("://", "[:]//").replace("@", "[@]"))
    return _HOST.sub("[.]", line)


def code(text: str) -> str:
    """An id without what could be markup; one that looks like a host is made harmless as all text is."""
    return defanged("".join(char for char in text[:80] if char.isalnum() or char in "-_.:"))
