"""Times and durations as other tools write them, in int64 ns UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
NS_OF = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1, "min": 60_000_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1
# What a number of today is can be told by its size: each unit has its own thousandfold.
_SIZES = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


def time_ns(value: object, *, unit: TimeUnit | None = None, form: str | None = None) -> int | None:
    """A time in ns, or None. Numbers are seconds to nanoseconds by their size (or in `unit`), texts are ISO 8601
    (or in the strptime `form`); a time without zone is UTC."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, datetime):
        return _of_datetime(value)
    if isinstance(value, str):
        text = value.strip()
        if form is None and (number := _number(text)) is not None:
            return _of_number(number, unit)
        return _of_text(text, form)
    return _of_number(value, unit) if isinstance(value, (int, float)) else None


def duration_ns(value: object, unit: str) -> int | None:
    """A duration in ns, or None for what is none or negative."""
    number = _number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    if not 0 <= number <= _LARGEST:  # NaN is not either
        return None
    scaled = number * NS_OF[unit]
    return round(scaled) if scaled < _LARGEST else None


def _number(text: str) -> int | float | None:
    try:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else float(text)
    except ValueError:
        return None


def _of_number(number: int | float, unit: TimeUnit | None) -> int | None:
    if not 0 < number <= _LARGEST:  # NaN is not either
        return None
    factor = NS_OF[unit] if unit else next((by for below, by in _SIZES if number < below), 1)
    if number * factor >= _LARGEST:
        return None
    # a float of today's seconds has no room for nanoseconds, but it has for microseconds
    return number * factor if isinstance(number, int) else round(number * factor / 1_000) * 1_000


def _of_text(text: str, form: str | None) -> int | None:
    try:
        if form is not None:
            return _of_datetime(datetime.strptime(text, form))
        return _of_datetime(datetime.fromisoformat(text.removesuffix(" UTC")))
    except (ValueError, OverflowError):
        return None


def _of_datetime(moment: datetime) -> int | None:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        found = (aware - _EPOCH) // _MICROSECOND * 1_000
    except OverflowError:
        return None
    return found if 0 < found <= _LARGEST else None
