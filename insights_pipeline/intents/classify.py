"""The nearest intent of a vector, how sure that is, and whether it is like anything known at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact

_TOP = 5
_ROWS = 2_048


@dataclass(frozen=True, slots=True)
class Verdict:
    """For n vectors: index of the nearest intent, unknown score, lead over the second (NaN with one intent)."""

    nearest: NDArray[np.int64]
    score: NDArray[np.float64]
    margin: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Intents as whole-number centroids (k, 256) and exemplars (m, 256)."""

    centroids: Floats = field(repr=False)
    exemplars: Floats = field(repr=False)

    @classmethod
    def of(cls, centroids: Halves, exemplars: Sequence[Halves]) -> Classifier:
        return cls(exact(centroids), exact(np.concatenate(exemplars)))

    def judge(self, vectors: Halves) -> Verdict:
        """Nearest centroid by cosine; the score is the mean cosine to the 5 nearest exemplars of all intents.

        Every row is judged on its own and bit for bit the same in any batch.
        """
        blocks = [
            self._judge(exact(vectors[start : start + _ROWS])) for start in range(0, len(vectors), _ROWS)
        ]
        if not blocks:
            return Verdict(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
        nearest, score, margin = zip(*blocks, strict=True)
        return Verdict(np.concatenate(nearest), np.concatenate(score), np.concatenate(margin))

    def _judge(self, block: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        to_centroids = cosines(block, self.centroids)
        nearest = to_centroids.argmax(axis=1)
        margin = np.full(len(block), np.nan)
        if to_centroids.shape[1] > 1:
            top = np.partition(to_centroids, -2, axis=1)[:, -2:].astype(np.float64)
            margin = top[:, 1] - top[:, 0]
        return nearest.astype(np.int64), top_mean(cosines(block, self.exemplars)), margin


def top_mean(similarities: Floats) -> NDArray[np.float64]:
    """Mean of the 5 largest values of every row, added from the largest down: the order of columns is no matter."""
    top = min(_TOP, similarities.shape[1])
    largest = np.partition(similarities, similarities.shape[1] - top, axis=1)[:, -top:]
    ordered = np.sort(largest, axis=1)[:, ::-1].astype(np.float64)
    total = np.zeros(len(ordered))
    for column in range(top):
        total += ordered[:, column]
    return np.asarray(total / top)


def leave_one_out_scores(vectors: Halves, exemplars: Halves, own: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unknown scores of members of intents; `own[i]` is the exemplar that member i is itself, or −1."""
    reference = exact(exemplars)
    scores = []
    for start in range(0, len(vectors), _ROWS):
        similar = cosines(exact(vectors[start : start + _ROWS]), reference)
        mine = own[start : start + _ROWS]
        rows = np.flatnonzero(mine >= 0)
        similar[rows, mine[rows]] = -1
        scores.append(top_mean(similar))
    return np.concatenate(scores) if scores else np.zeros(0)
