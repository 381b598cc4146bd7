"""Log-histograms of many series, added and taken away day by day: quantiles of a moving window, exactly."""

from __future__ import annotations

import numpy as np

from insights_pipeline.drift.series.rollups import bin_value
from insights_pipeline.drift.statistics.arrays import Floats, Ints


class MovingHistogram:
    """Counts [series, bins] of the days that were added and not yet removed. Integers, so order cannot show."""

    def __init__(self, series: int, first_bin: int, last_bin: int) -> None:
        self._first = first_bin
        self._counts = np.zeros((series, max(1, last_bin - first_bin + 1)), dtype=np.int64)

    def add(self, series: Ints, bin_: Ints, count: Ints) -> None:
        np.add.at(self._counts, (series, bin_ - self._first), count)

    def remove(self, series: Ints, bin_: Ints, count: Ints) -> None:
        np.subtract.at(self._counts, (series, bin_ - self._first), count)

    def quantile(self, level: float, zeros: Ints) -> Floats:
        """Value at rank level·(n − 1) of every series, `zeros` counted before all bins; NaN where empty. Within 2 %."""
        upto = np.cumsum(self._counts, axis=1) + zeros[:, None]
        n = upto[:, -1]
        rank = level * (n - 1)
        position = np.argmax(upto > rank[:, None], axis=1)
        value = np.where(zeros > rank, 0.0, bin_value(position + self._first))
        return np.where(n > 0, value, np.nan)
