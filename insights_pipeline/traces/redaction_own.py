"""Patterns of one's own to redact: what is taken cannot be slow on any text."""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from insights_pipeline.traces.redaction_patterns import KINDS, Find, Finder

MAX_PATTERN_CHARS = 500
_MAX_WAYS = 5_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_REFERENCES = (codes.GROUPREF, codes.GROUPREF_EXISTS)


def own_finder(name: str, pattern: str) -> Finder:
    """A pattern that is replaced by `[NAME]`. Raises ValueError when it is wrong, or may be slow on some text.

    The bound is on the ways the engine may try from one character on, so it holds for every text: each repetition
    needs an upper bound (`{1,40}` instead of `+`), and no group refers to another.
    """
    where = f"pattern {name!r} to redact"
    if not _NAME.match(name) or name in KINDS:
        raise ValueError(f"{where}: the name must be lower-case letters, digits and _, and none of {KINDS}")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"{where}: longer than {MAX_PATTERN_CHARS} characters")
    try:
        compiled = re.compile(pattern)
        parsed = parser.parse(pattern)
        ways = _ways(parsed)
    except re.error as error:
        raise ValueError(f"{where}: not a regular expression: {error}") from error
    except (RecursionError, OverflowError):
        raise ValueError(f"{where}: too deep or too large") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if parsed.getwidth()[0] == 0:
        raise ValueError(f"{where}: it matches the empty text, so it would be found everywhere")
    if ways > _MAX_WAYS:
        raise ValueError(
            f"{where}: {ways:,} ways to try at every character (at most {_MAX_WAYS:,}); narrow the repetitions"
        )
    mark = f"[{name.upper()}]"
    return lambda text: (Find(match.start(), match.end(), mark) for match in compiled.finditer(text))


def _ways(tokens: Any) -> int:
    """An upper bound of the ways to match a parsed pattern from one place."""
    ways = 1
    for code, value in tokens:
        if code in _REPEATS:
            low, high, body = value
            if high == codes.MAXREPEAT:
                raise ValueError("a repetition without an upper bound: write {1,40} instead of + or *")
            ways *= _repeated(_ways(body), low, high)
        elif code is codes.BRANCH:
            ways *= sum(_ways(branch) for branch in value[1])
        elif code in _REFERENCES:
            raise ValueError("a group that refers to another group")
        elif code in (codes.SUBPATTERN, codes.ASSERT, codes.ASSERT_NOT):
            ways *= _ways(value[-1])
        elif code is codes.ATOMIC_GROUP:
            ways *= _ways(value)
        if ways > 10**9:
            return ways
    return ways


def _repeated(inner: int, low: int, high: int) -> int:
    if inner == 1:
        return high - low + 1
    return sum(inner**count for count in range(low, min(high, low + 30) + 1)) if low < 60 else 10**9 + 1
