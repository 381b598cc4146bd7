"""When it is worth looking for new intents, and what a group must show."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from insights_pipeline.intents.life.growth import worth_a_look
from insights_pipeline.intents.life.window import WINDOW_DAYS, Window
from insights_pipeline.intents.vectors import Texts, unit

DAY = date(2026, 3, 2)


def window(per_day: int, *, kinds: int, burst: int = 0, seed: int = 0) -> Window:
    """30 days of unknown traces of so many kinds, each as likely every day, among 19 times as many known ones.

    In the last two days come `burst` traces of another kind each.
    """
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(kinds + 1, 64)))
    of = [rng.integers(kinds, size=per_day) for _ in range(WINDOW_DAYS)]
    for late in (-2, -1):
        of[late] = np.concatenate([of[late], np.full(burst, kinds)])
    ages = np.repeat(np.arange(WINDOW_DAYS)[::-1], [len(one) for one in of])
    noise = unit(rng.normal(size=(len(ages), 64)))
    unknown = unit(centres[np.concatenate(of)] + 0.6 * noise)
    known = np.repeat(np.arange(WINDOW_DAYS)[::-1], 19 * per_day)
    order = np.argsort(-np.concatenate([ages, known]), kind="stable")
    vectors = np.concatenate([unknown, np.zeros((len(known), 64))]).astype(np.float16)[order]
    age = np.concatenate([ages, known])[order]
    given = np.concatenate([np.full(len(ages), -1), np.zeros(len(known), dtype=np.int64)])[order]
    days = tuple(DAY - timedelta(days=int(one)) for one in age)
    ids = tuple(f"{number:05d}" for number in range(len(age)))
    return Window(
        DAY, Texts(days, ids, ids, vectors), ("int_a",), given, age, np.ones(len(age), dtype=np.bool_)
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_stationary_stream_with_many_unknown_traces_is_not_worth_a_look(seed: int) -> None:
    assert not worth_a_look(window(100, kinds=60, seed=seed))


@pytest.mark.parametrize("per_day", [3, 20, 100, 400])
def test_a_handful_of_traces_that_were_not_there_before_is_worth_a_look(per_day: int) -> None:
    assert worth_a_look(window(per_day, kinds=60, burst=6))


def test_too_few_unknown_traces_are_not_worth_a_look() -> None:
    assert not worth_a_look(window(0, kinds=1, burst=3))
