"""How well found groups agree with known ones. Labels are any hashable values; sequences of equal length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two labellings, all but the counts and `k_ratio` at most 1.

    `nmi` is the mutual information over the arithmetic mean of both entropies, which equals the V-measure of
    Rosenberg and Hirschberg (2007): the harmonic mean of `homogeneity` (a group holds one label) and `completeness`
    (a label is in one group). `ari` is the Rand index adjusted for chance (Hubert and Arabie, 1985). `purity` is the
    share of items that have the most frequent label of their group.
    """

    nmi: float
    ari: float
    purity: float
    k_ratio: float  # found over true groups
    homogeneity: float
    completeness: float
    found: int
    true: int


def agreement(true: Sequence[object], found: Sequence[object]) -> Agreement:
    """Compare two labellings of the same items. Raises ValueError when they are empty or differ in length."""
    if len(true) != len(found) or len(true) == 0:
        raise ValueError(f"need two labellings of the same items, got {len(true)} and {len(found)}")
    left, right = _codes(true), _codes(found)
    rows, columns = np.bincount(left), np.bincount(right)
    # only pairs that occur: a table of all labels by all groups could be larger than memory
    pairs, cells = np.unique(left * len(columns) + right, return_counts=True)
    h_true, h_found, h_joint = _entropy(rows), _entropy(columns), _entropy(cells)
    shared = h_true + h_found - h_joint
    mean = (h_true + h_found) / 2
    largest = np.zeros(len(columns), dtype=np.int64)
    np.maximum.at(largest, pairs % len(columns), cells)
    return Agreement(
        nmi=1.0 if mean == 0 else shared / mean,
        ari=_adjusted_rand(rows, columns, cells),
        purity=float(largest.sum()) / len(left),
        k_ratio=len(columns) / len(rows),
        homogeneity=1.0 if h_true == 0 else shared / h_true,
        completeness=1.0 if h_found == 0 else shared / h_found,
        found=len(columns),
        true=len(rows),
    )


def majority_labels(true: Sequence[str], found: Sequence[int], groups: int) -> list[str | None]:
    """The most frequent label of every group 0 … `groups` − 1 (ties: the first by name); None of an empty one."""
    counts: list[Counter[str]] = [Counter() for _ in range(groups)]
    for label, group in zip(true, found, strict=True):
        counts[group][label] += 1
    return [min(of, key=lambda label: (-of[label], label)) if of else None for of in counts]


def auroc(known: NDArray[np.float64], strange: NDArray[np.float64]) -> float | None:
    """Chance that a stranger scores lower than something known, ties half; None when either is empty.

    The area under the ROC curve, as the Mann-Whitney statistic over the number of pairs (Hanley and McNeil, 1982).
    """
    if not len(known) or not len(strange):
        return None
    ordered = np.sort(known)
    above = len(ordered) - np.searchsorted(ordered, strange, side="right")
    equal = np.searchsorted(ordered, strange, side="right") - np.searchsorted(ordered, strange, side="left")
    return float((above + 0.5 * equal).sum() / (len(known) * len(strange)))


def _adjusted_rand(rows: NDArray[np.int64], columns: NDArray[np.int64], cells: NDArray[np.int64]) -> float:
    together, of_rows, of_columns = _pairs(cells), _pairs(rows), _pairs(columns)
    expected = of_rows * of_columns / max(_pairs(rows.sum(keepdims=True)), 1)
    most = (of_rows + of_columns) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _pairs(counts: NDArray[np.int64]) -> int:
    return int((counts * (counts - 1) // 2).sum())


def _codes(labels: Sequence[object]) -> NDArray[np.int64]:
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
