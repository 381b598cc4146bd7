"""Which slices are series of their own on a day: those with enough traffic in the window that it is judged from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from insights_pipeline.drift.constants import ALL
from insights_pipeline.drift.series.keys import intent_of, slice_of
from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask

LEAST_TRACES = 20  # in the window: fewer are never tested
MOST_VALUES = 50  # of a dimension: every series tested takes from what the others can show


def tested(series: tuple[str, ...], n: Floats) -> Mask:
    """[series] Which rows of `n` [series, days], the traces of a window, are tested: wholes with traffic, kept slices.

    Of a dimension those values are kept that were among the `MOST_VALUES` largest of a day, and of these as many as
    are largest over the window. A slice also needs `LEAST_TRACES`. Ties by name. Only the window counts, and values
    that never were among the largest need not be there: so it cannot matter how many days were loaded.
    """
    totals = n.sum(axis=1)
    keep = np.asarray(totals > 0, dtype=bool)
    slice_codes, dimensions = _slices(series)
    sliced = slice_codes >= 0
    if not sliced.any():
        return keep
    kept = np.zeros(int(slice_codes.max()) + 1, dtype=bool)
    for codes, rows in dimensions:
        kept[codes[_largest(n[rows], totals[rows])]] = True
    keep[sliced] = (totals[sliced] >= LEAST_TRACES) & kept[slice_codes[sliced]]
    return keep


def _largest(daily: Floats, totals: Floats) -> Ints:
    """Positions of the values [values, days] that are kept; values come sorted by name."""
    place = np.argsort(np.argsort(-daily, axis=0, kind="stable"), axis=0, kind="stable")
    candidates = np.flatnonzero(((place < MOST_VALUES) & (daily > 0)).any(axis=1))
    order = np.argsort(-totals[candidates], kind="stable")
    return np.asarray(candidates[order[:MOST_VALUES]], dtype=np.int64)


@lru_cache(maxsize=8)
def _slices(series: tuple[str, ...]) -> tuple[Ints, Sequence[tuple[Ints, Ints]]]:
    """[series] the number of each one's slice (-1: whole); per dimension those numbers and the rows of all traffic."""
    names = [slice_of(one) for one in series]
    number = {name: code for code, name in enumerate(sorted({name for name in names if name is not None}))}
    codes = np.asarray([-1 if name is None else number[name] for name in names], dtype=np.int64)
    of_all = {
        name: row
        for row, (one, name) in enumerate(zip(series, names, strict=True))
        if name is not None and intent_of(one) == ALL
    }
    by_dimension: dict[str, list[str]] = {}
    for name in sorted(of_all):
        by_dimension.setdefault(name.partition("=")[0], []).append(name)
    return codes, tuple(
        (
            np.asarray([number[name] for name in members], dtype=np.int64),
            np.asarray([of_all[name] for name in members], dtype=np.int64),
        )
        for members in by_dimension.values()
    )
