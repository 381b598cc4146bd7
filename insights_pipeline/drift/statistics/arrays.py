"""Array types of the statistics, and the masked helpers that all of them share.

Arrays are [series, days] unless said otherwise; a mask says which entries count, so a missing day is simply absent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def latest(mask: Mask, limit: int) -> tuple[Ints, Mask]:
    """Column numbers [series, limit] of the latest `limit` true columns in time order, and which of them are true.

    A fixed width makes a result independent of how many days happen to be in memory, to the last bit.
    """
    width = min(limit, mask.shape[1])
    columns = np.argsort(mask, axis=1, kind="stable")[:, -width:].astype(np.int64)
    return columns, np.take_along_axis(mask, columns, axis=1)


def pick(values: Floats, columns: Ints) -> Floats:
    """`values` [series, days] at `columns` [series, width]."""
    return np.take_along_axis(values, columns, axis=1)


def masked_median(values: Floats, mask: Mask) -> Floats:
    """Median of each row over its true entries; 0 for a row without any."""
    count = mask.sum(axis=1)
    ordered = np.sort(np.where(mask, values, np.inf), axis=1)
    row = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    return np.where(count > 0, (ordered[row, low] + ordered[row, high]) / 2, 0.0)


def voters(pool: Mask | None, usable: Mask) -> Mask:
    """Of the `usable` rows those that a prior is pooled over: those of `pool` (None: all), or all where it has none."""
    if pool is None:
        return usable
    chosen = usable & pool
    return chosen if chosen.any() else usable


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, NaN where the denominator is not positive."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), np.nan)
