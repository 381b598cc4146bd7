"""What every statistic answers: one frozen result over all series of a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum

import numpy as np

from insights_pipeline.drift.statistics.arrays import Floats, Ints, Mask


class Status(IntEnum):
    """Why a series has a p-value or none."""

    TESTED = 0
    LEARNING = 1  # the baseline is too young
    NO_DATA = 2  # the window has too few traces
    COVERAGE = 3  # the share of traces whose value is known moved, so the values cannot be compared


@dataclass(frozen=True, slots=True)
class TestResult:
    """One window against its baseline, for all series at once; every array is [series], NaN where not tested.

    `effect` is ratio − 1 (numeric, volume), the difference of rates (errors) or of means (scores), or the total
    variation (tools), with a 95 % interval; `magnitude` is the effect in units of its floor, so 1 is the smallest
    effect worth a line.
    """

    __test__ = False  # not a test class for pytest

    status: Ints
    n: Floats
    baseline_n: Floats
    baseline_days: Floats
    observed: Floats
    baseline_value: Floats
    effect: Floats
    low: Floats
    high: Floats
    statistic: Floats
    df: Floats
    p: Floats
    magnitude: Floats
    smallest_detectable: Floats
    parts: Mapping[str, Floats] = field(default_factory=dict)


def status_of(*, learning: Mask, no_data: Mask) -> tuple[Ints, Mask]:
    """Status of every series, a young baseline told before an empty window; and which are tested."""
    status = np.full(len(learning), int(Status.TESTED))
    status[no_data] = Status.NO_DATA
    status[learning] = Status.LEARNING
    return status, status == Status.TESTED


def strongest(looks: Sequence[TestResult]) -> TestResult:
    """Of several looks at the same series, row by row, the one with the smallest p, times the number of looks."""
    best = looks[0]
    for other in looks[1:]:
        take = np.isfinite(other.p) & ~(best.p <= other.p)
        chosen = {
            one.name: np.where(take, getattr(other, one.name), getattr(best, one.name))
            for one in fields(TestResult)
            if one.name != "parts"
        }
        parts = {name: np.where(take, other.parts[name], part) for name, part in best.parts.items()}
        best = TestResult(**chosen, parts=parts)
    return replace(best, p=np.minimum(len(looks) * best.p, 1.0))
