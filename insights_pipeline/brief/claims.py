"""Whether sentences of a language model say only what stands in the facts: its numbers, dates, ids and names.

A sentence may use the numbers of the lines whose names it quotes (else those quoted before it) and of the whole
report, so that one intent's numbers are not said of another. What cannot be checked is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from insights_pipeline.llm import has_link

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\b(?P<iso>\d{{4}}-\d\d-\d\d)\b"
    rf"|\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<month>{_MONTH})\b(?:,?\s+(?P<year>\d{{4}})\b)?"
    rf"|\b(?P<month2>{_MONTH})\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}})\b)?",
    re.IGNORECASE,
)
_CALENDAR = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|today|tomorrow|january|february|march|april|june|july"
    r"|august|september|october|november|december|last\s+\w+|next\s+\w+)\b",
    re.IGNORECASE,
)
_UNITS = {
    "%": "%", "percent": "%", "per cent": "%", "pp": "pp", "percentage point": "pp", "percentage points": "pp",
    "points": "pp", "point": "pp", "ms": "ms", "milliseconds": "ms", "millisecond": "ms", "s": "s", "sec": "s",
    "seconds": "s", "second": "s", "minutes": "minutes", "minute": "minutes", "hours": "hours", "hour": "hours",
    "chars": "chars", "characters": "chars", "steps": "steps", "tokens": "tokens", "traces": "traces",
    "trace": "traces", "day": "days", "days": "days", "a day": "a day", "per day": "a day", "times": "×", "x": "×",
    "-fold": "×", "×": "×", "usd": "$", "dollars": "$", "cents": "cents", "k": "k", "m": "m", "million": "million",
}  # fmt: skip
_UNIT = "|".join(sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"(?P<sign>[+−-](?=[\d$×]))?(?P<before>\$|×)?(?P<digits>\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)"
    rf"(?:\s?(?P<unit>{_UNIT})(?![A-Za-z]))?",
    re.IGNORECASE,
)
_COUNTS = ("", "traces", "days", "tokens", "steps", "chars")
_WORDS = {
    word: number
    for number, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=2
    )
}
_NUMBER_WORDS = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b", re.IGNORECASE)
_VAGUE = re.compile(
    r"\b(?:doubl\w+|tripl\w+|quadrupl\w+|twice|thrice|hal(?:f|ves|ved|ving)|thirds?|quarters?|dozens?|hundreds?|"
    r"thousands?|millions?|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|"
    r"majority|most|tenfold)\b",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:caus\w*|because|due\s+to|owing\s+to|result\w*\s+(?:of|from|in)|led\s+to|leads?\s+to|thanks\s+to|"
    r"trigger\w*|blam\w*|as\s+a\s+consequence|driven\s+by|introduced\s+by|after\s+the\s+release)\b",
    re.IGNORECASE,
)
# Neither stands in any facts: that all is well, and what to do about it.
_OPINION = re.compile(
    r"\b(?:fine|all\s+good|all\s+clear|no\s+(?:issues?|problems?|concerns?|action|changes?|errors?)|nothing|harmless|"
    r"safe\w*|ignor\w+|healthy|should|must|please|needs?|contact|visit|call|email|restart|disable|delete|click|approve)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[“\"„«]([^“”\"„«»]{1,400})[”\"“»]")
_ID_LIKE = re.compile(r"(?<![\w.])(?=[\w.:/=-]*[A-Za-z_])(?=[\w.:/=-]*\d)[A-Za-z0-9_][\w.:/=-]*")
_HEX = re.compile(r"\b[0-9a-f]{8,}\b", re.IGNORECASE)
_TITLE_CASE = re.compile(r"\b[A-Z][\w’'-]+(?:\s+[A-Z][\w’'-]+)+")
_ROSE = re.compile(
    r"\b(?:rose|risen|rising|increas\w+|higher|grew|grown|slower|jump\w*|up|climb\w*|worse\w*)\b", re.I
)
_FELL = re.compile(
    r"\b(?:fell|fallen|falling|dropp?\w*|decreas\w+|lower|shrank|faster|cheaper|improv\w+|down|declin\w+|better)\b",
    re.I,
)
_END = re.compile(r"[.!?](?=\s|$)")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Source:
    """What may be said: the report's own text, and the text and directions of each line by the name it is quoted by."""

    overall: str
    lines: Mapping[str, str]
    directions: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Number:
    number: float
    unit: str
    sign: int  # 0: none was written
    decimals: int


def unsupported(sentences: Sequence[str], source: Source) -> str | None:
    """Why the sentences are not to be believed; None where everything that can be checked stands in the facts.

    The reasons: shape, link, name, date, id, number, cause, opinion, direction.
    """
    quoted: tuple[str, ...] = ()
    for sentence in sentences:
        if not sentence.strip() or len(sentence) > _LONGEST or "\n" in sentence:
            return "shape"
        if has_link(sentence):
            return "link"
        quoted = tuple(name for name in _QUOTED.findall(sentence)) or quoted
        if any(name not in source.lines for name in quoted):
            return "name"
        allowed = "\n".join([source.overall, *(source.lines[name] for name in quoted)])
        directions = frozenset(one for name in quoted for one in source.directions.get(name, ()))
        if (why := _wrong(_QUOTED.sub(" ", sentence), allowed, directions)) is not None:
            return why
    return None


def quotes_a_name(sentence: str) -> bool:
    """Whether a sentence says whom it is about."""
    return _QUOTED.search(sentence) is not None


def _wrong(said: str, allowed: str, directions: frozenset[str]) -> str | None:
    if len(_END.findall(said.strip())) > 1:
        return "shape"
    if _CAUSE.search(said):
        return "cause"
    if _OPINION.search(said):
        return "opinion"
    folded = allowed.casefold()
    if any(run.casefold() not in folded for run in _TITLE_CASE.findall(said)):
        return "name"
    known = set(_dates(allowed))
    if any(date not in known for date in _dates(said)):
        return "date"
    said, allowed = _DATE.sub(" ", said), _DATE.sub(" ", allowed)
    if any(word.casefold() not in folded for word in _CALENDAR.findall(said)):
        return "date"
    words = [one.rstrip(".:-/=") for one in (*_ID_LIKE.findall(said), *_HEX.findall(said))]
    ids = {word for word in words if not _is_number(word)}
    if any(not re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", allowed) for word in ids):
        return "id"
    for word in sorted(ids, key=len, reverse=True):
        said = said.replace(word, " ")
    if _VAGUE.search(said) or any(not _stands(one, list(_numbers(allowed))) for one in _claimed(said)):
        return "number"
    if (directions == {"up"} and _FELL.search(said)) or (directions == {"down"} and _ROSE.search(said)):
        return "direction"
    return None


def _is_number(word: str) -> bool:
    match = _NUMBER.fullmatch(word)
    return match is not None


def _dates(text: str) -> Iterator[tuple[int, int] | tuple[int, int, int]]:
    """(day, month) of each date; those with a year also as (day, month, year), which must be known as well."""
    for match in _DATE.finditer(text):
        if match["iso"]:
            year, month, day = (int(part) for part in match["iso"].split("-"))
        else:
            day = int(match["day"] or match["day2"])
            month = _MONTHS.index((match["month"] or match["month2"]).casefold()[:3]) + 1
            year = int(match["year"] or match["year2"] or 0)
        yield (day, month)
        if year:
            yield (day, month, year)


def _claimed(text: str) -> Iterator[_Number]:
    yield from _numbers(text)
    for word in _NUMBER_WORDS.findall(text):
        yield _Number(float(_WORDS[word.casefold()]), "", 0, 0)


def _numbers(text: str) -> Iterator[_Number]:
    """Numbers with their units; in “+55 to +91 %” the unit is that of both."""
    matches = list(_NUMBER.finditer(text))
    unit_after = ""
    found = []
    for at in range(len(matches) - 1, -1, -1):
        match = matches[at]
        between = text[match.end() : matches[at + 1].start()] if at + 1 < len(matches) else ""
        unit = _unit(match) or (unit_after if between.strip() in ("to", "and", "–", "-") else "")
        unit_after = unit
        digits = match["digits"].replace(",", "")
        sign = {"+": 1, "-": -1, "−": -1}.get(match["sign"] or "", 0)
        decimals = len(digits.partition(".")[2].partition("e")[0])
        number = float(digits)
        found.append(_Number(number, unit, sign, decimals))
    return iter(reversed(found))


def _unit(match: re.Match[str]) -> str:
    return match["before"] or _UNITS.get((match["unit"] or "").casefold(), "")


def _stands(said: _Number, facts: Sequence[_Number]) -> bool:
    return any(_same(said, fact) for fact in facts)


def _same(said: _Number, fact: _Number) -> bool:
    """Whether a number is the fact, rounded to the decimals it is said with; a sign need not be said."""
    scale_said, unit_said = (1_000.0, "ms") if said.unit == "s" else (1.0, said.unit)
    scale_fact, unit_fact = (1_000.0, "ms") if fact.unit == "s" else (1.0, fact.unit)
    counts = said.unit == "" and fact.unit in _COUNTS
    if unit_said != unit_fact and not counts:
        return False
    if said.sign and said.sign != (fact.sign or 1):
        return False
    if said.number == 0 and fact.number != 0:
        return False
    exact = said.decimals >= fact.decimals and scale_said == scale_fact
    off = abs(said.number * scale_said - fact.number * scale_fact)
    return off <= 1e-9 * max(1.0, abs(fact.number)) if exact else off <= 0.5 * 10**-said.decimals * scale_said
