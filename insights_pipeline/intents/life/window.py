"""The traces of the last 30 days as one sample, with what the current model says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Verdict
from insights_pipeline.intents.vectors import Floats, Texts

WINDOW_DAYS = 30
POOL_DAYS = 14
RECENT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Window:
    """Traces in order of their days. `given` is a place in `ids`, −1 where a trace is unknown.

    `age` is in days before `day`; `late` are traces of days after the discovery of the intents.
    """

    day: date
    sample: Texts
    ids: tuple[str, ...] = field(repr=False)
    given: NDArray[np.int64] = field(repr=False)
    age: NDArray[np.int64] = field(repr=False)
    late: NDArray[np.bool_] = field(repr=False)

    @property
    def unknown(self) -> NDArray[np.bool_]:
        return self.given < 0

    def floats(self, members: NDArray[np.int64]) -> Floats:
        return self.sample.vectors[members].astype(np.float32)

    def of(self, intent_id: str) -> NDArray[np.int64]:
        """The traces that an intent was given."""
        return np.flatnonzero(self.given == self.ids.index(intent_id))

    def counts(self, *, days: int = WINDOW_DAYS) -> NDArray[np.int64]:
        """Traces of every intent (ids, days), the oldest day first."""
        table = np.zeros((len(self.ids), days), dtype=np.int64)
        there = (self.given >= 0) & (self.age < days)
        np.add.at(table, (self.given[there], days - 1 - self.age[there]), 1)
        return table

    def sampled(self, *, days: int = WINDOW_DAYS) -> NDArray[np.int64]:
        """Traces of every day (days), the oldest first."""
        return np.bincount(days - 1 - self.age[self.age < days], minlength=days).astype(np.int64)


def window_of(
    parts: Sequence[tuple[Texts, Verdict]],
    columns: Sequence[str],
    *,
    day: date,
    discovered: date,
    unknown: float,
) -> Window:
    """From days in order, each with the verdicts of a classifier with these columns."""
    sample = Texts(
        tuple(one for texts, _ in parts for one in texts.days),
        tuple(one for texts, _ in parts for one in texts.ids),
        tuple(one for texts, _ in parts for one in texts.texts),
        np.concatenate([texts.vectors for texts, _ in parts]),
    )
    nearest = np.concatenate([one.nearest for _, one in parts])
    score = np.concatenate([one.score for _, one in parts])
    ids = tuple(sorted(set(columns)))
    place = np.array([ids.index(one) for one in columns], dtype=np.int64)
    age = np.concatenate([_ages(texts, day) for texts, _ in parts])
    return Window(
        day,
        sample,
        ids,
        np.where(score < unknown, -1, place[nearest]),
        age,
        age < (day - discovered).days,
    )


def _ages(texts: Texts, day: date) -> NDArray[np.int64]:
    return np.array([(day - one).days for one in texts.days], dtype=np.int64)
