"""A day is the unit of work: contiguous ranges of UTC days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

NS_PER_DAY = 86_400 * 1_000_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class DayRange:
    """The UTC days from `first` to `last`, both included. Raises ValueError when `last` is before `first`."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"last day {self.last} is before first day {self.first}")

    @classmethod
    def single(cls, day: date) -> DayRange:
        return cls(day, day)

    @classmethod
    def before(cls, day: date, days: int) -> DayRange:
        """The `days` days that end the day before `day`."""
        return cls(day - timedelta(days=days), day - timedelta(days=1))

    @classmethod
    def ending(cls, day: date, days: int) -> DayRange:
        """The `days` days that end with `day`."""
        return cls(day - timedelta(days=days - 1), day)

    @classmethod
    def beginning(cls, day: date, days: int) -> DayRange:
        """The `days` days that begin with `day`."""
        return cls(day, day + timedelta(days=days - 1))

    def widen(self, *, before: int = 0, after: int = 0) -> DayRange:
        return DayRange(self.first - timedelta(days=before), self.last + timedelta(days=after))

    def __iter__(self) -> Iterator[date]:
        for offset in range(len(self)):
            yield self.first + timedelta(days=offset)

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


def day_of_ns(ns: int) -> date:
    """UTC day of a time in ns since the epoch."""
    return _EPOCH + timedelta(days=ns // NS_PER_DAY)


def start_ns(day: date) -> int:
    """First ns of a UTC day."""
    return (day - _EPOCH).days * NS_PER_DAY


def contiguous(days: set[date]) -> list[DayRange]:
    """The fewest ranges that cover exactly these days, in order."""
    ranges: list[DayRange] = []
    for day in sorted(days):
        if ranges and (day - ranges[-1].last).days == 1:
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange.single(day))
    return ranges


def today() -> date:
    """The current UTC day; called at the edges only."""
    return datetime.now(UTC).date()
