"""How well found groups agree with known ones. Labels are integers or strings; arrays of equal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """NMI (arithmetic mean, equal to the V-measure), adjusted Rand index, purity, and found over true groups."""

    nmi: float
    ari: float
    purity: float
    k_ratio: float


def agreement(true: Sequence[object], found: Sequence[object]) -> Agreement:
    """Compare two labellings of the same items. Raises ValueError when they are empty or differ in length."""
    if len(true) != len(found) or len(true) == 0:
        raise ValueError(f"need two labellings of the same items, got {len(true)} and {len(found)}")
    table = contingency(true, found)
    n = int(table.sum())
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    h_true, h_found, h_joint = _entropy(rows), _entropy(columns), _entropy(table.ravel())
    mean = (h_true + h_found) / 2
    nmi = 1.0 if mean == 0 else (h_true + h_found - h_joint) / mean
    pairs = sum(comb(int(cell), 2) for cell in table.ravel())
    of_rows = sum(comb(int(cell), 2) for cell in rows)
    of_columns = sum(comb(int(cell), 2) for cell in columns)
    expected = of_rows * of_columns / max(comb(n, 2), 1)
    most = (of_rows + of_columns) / 2
    ari = 1.0 if most == expected else (pairs - expected) / (most - expected)
    return Agreement(nmi, ari, float(table.max(axis=0).sum()) / n, table.shape[1] / table.shape[0])


def contingency(true: Sequence[object], found: Sequence[object]) -> NDArray[np.int64]:
    """Counts (true groups, found groups)."""
    left, right = _codes(true), _codes(found)
    table = np.zeros((int(left.max()) + 1, int(right.max()) + 1), dtype=np.int64)
    np.add.at(table, (left, right), 1)
    return table


def _codes(labels: Sequence[object]) -> NDArray[np.int64]:
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
