"""The brief as one HTML page, by `templates/brief.html`: a browser, a printer and a mail program show it alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import Facts, Line
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.templating import environment
from insights_pipeline.brief.wording import Told, page
from insights_pipeline.drift.constants import DOWN, WORSE_UP
from insights_pipeline.drift.life.item import RESOLVED

if TYPE_CHECKING:
    from jinja2 import Template

_WIDTH = 120.0  # of an interval's drawing, in its own units


@dataclass(frozen=True, slots=True)
class Interval:
    """Where zero, the effect and its 95 % interval lie in the drawing; `text` says the same in words."""

    zero: float
    at: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    told: Told
    tone: str  # over | better | critical | high | plain
    interval: Interval | None


def html(facts: Facts, *, links: Links | None = None, summary: str | None = None) -> str:
    """The whole page: no scripts, nothing loaded from elsewhere, everything that came from traces escaped."""
    words = page(facts, links=links, summary=summary)
    rows = [Row(told, _tone(told.line), _interval(told.line)) for told in words.lines]
    return _template().render(page=words, rows=rows) + "\n"


def _tone(line: Line) -> str:
    if line.state == RESOLVED:
        return "over"
    if line.metric in WORSE_UP and line.direction == DOWN:
        return "better"
    return line.severity if line.severity in ("critical", "high") else "plain"


def _interval(line: Line) -> Interval | None:
    low, at, high = line.effect_low, line.effect, line.effect_high
    if low is None or at is None or high is None or line.state == RESOLVED:
        return None
    least, most = min(0.0, low, at), max(0.0, high, at)
    if most <= least:
        return None

    def x(number: float) -> float:
        return round(4 + (_WIDTH - 8) * (number - least) / (most - least), 1)

    change, between = units.scaled(line.metric, at, low, high)
    text = f"{change}, 95 % interval {between}"
    return Interval(x(0.0), x(at), x(low), x(high), text)


@cache
def _template() -> Template:
    return environment(autoescape=True).get_template("brief.html")
