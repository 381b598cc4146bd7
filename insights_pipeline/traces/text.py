"""JSON and text fields: tolerant parsing, coercion, cutting."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson

MAX_DEPTH = 32
MISSING: Final = object()
MAX_COUNT = 10**12  # tokens of one call: more is a fault of the sender, and sums of it overflow


def loads(text: str) -> Any:
    """The JSON value in `text`, or MISSING when it is not JSON; never raises."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return MISSING


def loads_container(value: object) -> Any:
    """The list or object that `value` is or holds as JSON text, else MISSING."""
    if isinstance(value, str):
        if not value.lstrip()[:1].startswith(("{", "[")):
            return MISSING
        value = loads(value)
    return value if isinstance(value, (dict, list)) else MISSING


def dumps(value: object) -> str:
    """Compact JSON; NaN and infinities become null."""
    return orjson.dumps(value).decode()


def dump_bytes(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return orjson.dumps(value)


def as_text(value: object) -> str:
    """A value as a text field: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else dumps(value)


def as_int(value: object) -> int | None:
    """A count: an int, an integral float or either as text; None for all else and outside 0..MAX_COUNT."""
    if type(value) is int:  # nearly always
        return value if 0 <= value <= MAX_COUNT else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        digits = value.removesuffix(".0")  # what data frames make of a count in a column with gaps
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and 0 <= value <= MAX_COUNT else None


def as_float(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def cut(text: str | None, limit: int) -> str | None:
    """`text` within `limit` characters, with a mark that tells how long it was."""
    if text is None or len(text) <= limit:
        return text
    mark = f"… [cut: {len(text):,} characters]"
    return text[: limit - len(mark)] + mark
