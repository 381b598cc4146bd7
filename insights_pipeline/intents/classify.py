"""The nearest intent of a vector, how sure that is, and whether it is like anything known at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact

_TOP = 5  # exemplars of an intent that a text is held against
_CANDIDATES = 3  # intents, by centroid, whose exemplars are looked at
_CROWDING = 0.5  # how much of an exemplar's own closeness to its like is asked of others
_USUAL_CROWDING = 0.5  # is not held against anybody, so that a score is of the size of a cosine
_NOTHING = -2.0  # below every score
_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Verdict:
    """For n vectors: column of the nearest intent, unknown score, lead over the second intent (NaN: there is none).

    Of columns that answer alike `nearest` gives the first, and the lead is that over another answer.
    The score is a cosine, corrected for how alike the requests of an intent are: 1 at most but for loose intents,
    around 0 for a text that has nothing in common with any. It depends on the exemplars of the intents nearest to
    the text only, not on how many there are: scores of different days are comparable while the space is the same.
    """

    nearest: NDArray[np.int64]
    score: NDArray[np.float64]
    margin: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Intents as whole-number centroids (k, d) and exemplars (m, d); those of column c are `bounds[c]:bounds[c + 1]`.

    `answers[c]` is the number of the intent that column c answers with: columns of merged intents share one.
    `allowance` (m,) is what is added to cosines with an exemplar: less the more crowded it stands.
    """

    centroids: Floats = field(repr=False)
    exemplars: Floats = field(repr=False)
    bounds: NDArray[np.int64] = field(repr=False)
    answers: NDArray[np.int64] = field(repr=False)
    allowance: Floats = field(repr=False)

    @classmethod
    def of(
        cls, centroids: Halves, exemplars: Sequence[Halves], answers: Sequence[int] | None = None
    ) -> Classifier:
        """From centroids (k, d), the exemplars (n, d) of each, and which columns answer alike (none, if not given)."""
        whole = exact(np.concatenate(exemplars))
        bounds = np.cumsum([0, *(len(one) for one in exemplars)])
        numbers = range(len(centroids)) if answers is None else answers
        return cls(
            exact(centroids), whole, bounds, np.array(numbers, dtype=np.int64), _allowance(whole, bounds)
        )

    def judge(self, vectors: Halves, own: NDArray[np.int64] | None = None) -> Verdict:
        """Nearest intent and unknown score of vectors (n, d); every row on its own, bit for bit the same in any batch.

        The nearest is by cosine to centroids. The score is the best, over the 3 nearest centroids, of the mean over
        the 5 nearest exemplars of that intent of cosine − ½ (crowding − ½), crowding being the exemplar's own mean
        cosine to its 5 nearest in the intent. This is a local outlier score in the sense of Breunig et al. (LOF,
        2000), by differences: among near-identical requests a text must be nearer to count as one of them.
        CLINC150 (sampling seeds 0–5) chose it among variants; judged on seeds 100 and up and on other sets.

        `own[i]` is the exemplar that row i is itself, or −1: it is then left out, as if it had never been seen.
        """
        blocks = [
            self._judge(
                exact(vectors[start : start + _ROWS]), None if own is None else own[start : start + _ROWS]
            )
            for start in range(0, len(vectors), _ROWS)
        ]
        if not blocks:
            return Verdict(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
        nearest, score, margin = zip(*blocks, strict=True)
        return Verdict(np.concatenate(nearest), np.concatenate(score), np.concatenate(margin))

    def _judge(
        self, block: Floats, own: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        to_centroids = cosines(block, self.centroids)
        nearest = to_centroids.argmax(axis=1)
        score = self._scores(block, to_centroids, own)
        _, first, number = np.unique(self.answers, return_index=True, return_inverse=True)
        return first[number[nearest]].astype(np.int64), score, self._margins(to_centroids, nearest)

    def _margins(self, to_centroids: Floats, nearest: NDArray[np.int64]) -> NDArray[np.float64]:
        if (self.answers == self.answers[0]).all():
            return np.full(len(nearest), np.nan)
        best = to_centroids[np.arange(len(nearest)), nearest].astype(np.float64)
        others = np.where(self.answers[None, :] == self.answers[nearest][:, None], -np.inf, to_centroids)
        return np.asarray(best - others.max(axis=1).astype(np.float64))

    def _scores(
        self, block: Floats, to_centroids: Floats, own: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        # Rows are held against the exemplars of their candidates only, intent by intent: with 50 intents a
        # sixteenth of all products.
        count = min(_CANDIDATES, to_centroids.shape[1])
        candidates = _nearest(to_centroids, count).ravel()
        by_column = np.argsort(candidates, kind="stable")
        starts = np.searchsorted(candidates[by_column], np.arange(to_centroids.shape[1] + 1))
        scores = np.empty(len(candidates))
        for column in np.unique(candidates).tolist():
            pairs = by_column[starts[column] : starts[column + 1]]
            rows = pairs // count
            first, last = self.bounds[column], self.bounds[column + 1]
            similar = cosines(block[rows], self.exemplars[first:last]) + self.allowance[first:last]
            left = np.full(len(rows), last - first)
            if own is not None:
                mine = np.flatnonzero((own[rows] >= first) & (own[rows] < last))
                similar[mine, own[rows[mine]] - first] = _NOTHING
                left[mine] -= 1
            scores[pairs] = _top_mean(similar, left)
        return np.asarray(scores.reshape(-1, count).max(axis=1))


def _nearest(similar: Floats, count: int) -> NDArray[np.int64]:
    """Columns (n, count) of the largest values of every row, the first of equals: of so few faster than to sort."""
    left, rows = similar.copy(), np.arange(len(similar))
    found = np.empty((len(similar), count), dtype=np.int64)
    for place in range(count):
        found[:, place] = left.argmax(axis=1)
        left[rows, found[:, place]] = -np.inf
    return found


def _allowance(exemplars: Floats, bounds: NDArray[np.int64]) -> Floats:
    """Half of the usual crowding minus half of its own, of every exemplar; 0 for the only one of an intent."""
    allowance = np.zeros(len(exemplars), dtype=np.float32)
    for first, last in pairwise(bounds.tolist()):
        if last - first < 2:
            continue
        similar = cosines(exemplars[first:last], exemplars[first:last])
        np.fill_diagonal(similar, _NOTHING)
        crowding = _top_mean(similar, np.full(len(similar), last - first - 1))
        allowance[first:last] = (_CROWDING * (_USUAL_CROWDING - crowding)).astype(np.float32)
    return allowance


def _top_mean(similar: Floats, left: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the 5 largest values of every row, of which only `left` count, added from the largest down.

    So the order of columns is no matter. A row of which none counts is below every score.
    """
    top = min(_TOP, similar.shape[1])
    largest = np.partition(similar, similar.shape[1] - top, axis=1)[:, -top:]
    ordered = np.sort(largest, axis=1)[:, ::-1].astype(np.float64)
    used = np.minimum(left, top)
    total = np.zeros(len(ordered))
    for column in range(top):
        total += np.where(column < used, ordered[:, column], 0.0)
    return np.asarray(np.where(used > 0, total / np.maximum(used, 1), _NOTHING))
