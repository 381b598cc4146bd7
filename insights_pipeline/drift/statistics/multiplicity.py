"""One error budget for everything tested on a day."""

from __future__ import annotations

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats


def benjamini_hochberg(p: Floats) -> Floats:
    """q-values of `p` [any number]; NaN stays NaN and does not count as a test.

    Rejecting where q <= level keeps the expected share of false rejections below the level for independent and
    for positively dependent tests. Source: Benjamini and Hochberg (1995), JRSS B 57, adjusted as in Yekutieli and
    Benjamini (1999).
    """
    q = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    if tested.size == 0:
        return q
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * tested.size / np.arange(1, tested.size + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
