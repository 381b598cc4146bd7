"""The similarity graph of texts: nearest neighbours by meaning, joined with nearest neighbours by wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.vectors import Floats, cosines, exact, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORDING_WEIGHT = 0.5
DIFFERS = 0.5  # factor on an edge for each attribute in which both texts are known and differ
_RANK = 128


class Nearest(NamedTuple):
    """The nearest others of each of n vectors, the most alike first: numbers (n, k) and cosines (n, k)."""

    others: NDArray[np.int64]
    cosines: Floats


def neighbours_for(texts: int) -> int:
    """How many neighbours each of `texts` nodes gets: with a fixed number the communities would grow with n.

    Below 64 texts an eighth of them: eight neighbours of twenty texts would be one community whatever they say.
    """
    return int(np.clip(0.45 * np.sqrt(texts), min(8, max(2, texts // 8)), 50))


def wording_vectors(requests: Sequence[str], *, seed: int) -> Floats:
    """The second view: TF-IDF of words (1-2) and characters in words (3-5), reduced to 128 directions, unit rows.

    The view is fitted per graph and never stored; it only adds edges.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    least = 2 if len(requests) >= 100 else 1
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least, token_pattern=r"(?u)\b\w+\b")
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=least)
    try:
        matrix = hstack([words.fit_transform(requests), letters.fit_transform(requests)]).tocsr()
    except (
        ValueError
    ):  # sklearn's "empty vocabulary": texts that share not one n-gram have no wording in common
        return np.zeros((len(requests), 1), dtype=np.float32)
    matrix = matrix.astype(np.float32)
    rank = min(_RANK, min(matrix.shape) - 1)
    if rank < 1:
        return np.zeros((len(requests), 1), dtype=np.float32)
    with threadpool_limits(1):  # thread count would change the last bits, and with them an edge
        left, scale, _ = randomized_svd(matrix, rank, n_iter=5, random_state=seed)
    return unit(left * scale)


def similarity_graph(meaning: Floats, wording: Floats, *, neighbours: int | None = None) -> csr_matrix:
    """Symmetric sparse matrix: fading cosines of neighbours in one view plus 0.5 times those in the other.

    `meaning` and `wording` are unit rows of the same texts. A neighbourhood reaches twice as far as `neighbours`,
    but its weights fade to nothing on the way.
    """
    reach = 2 * (neighbours or neighbours_for(len(meaning)))
    return joined(nearest(meaning, reach), nearest(wording, reach), reach=reach)


def joined(meaning: Nearest, wording: Nearest, *, reach: int) -> csr_matrix:
    """The similarity graph of two views in which neighbourhoods reach over `reach` others."""
    graph = (_fading(meaning, reach) + WORDING_WEIGHT * _fading(wording, reach)).tocsr()
    graph.sort_indices()
    return graph


def nearest(vectors: Floats, most: int) -> Nearest:
    """The `most` nearest others of unit rows (n, d), fewer when there are not so many; ties by number."""
    n = len(vectors)
    k = max(min(most, n - 1), 0)
    others = np.empty((n, k), dtype=np.int64)
    values = np.empty((n, k), dtype=np.float32)
    if k == 0:
        return Nearest(others, values)
    whole = exact(vectors)
    for start in range(0, n, 1_024):
        block = cosines(whole[start : start + 1_024], whole)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -2
        found = np.argpartition(-block, k - 1, axis=1)[:, :k]
        alike = np.take_along_axis(block, found, axis=1)
        order = np.lexsort((found, -alike), axis=1)
        others[start : start + len(block)] = np.take_along_axis(found, order, axis=1)
        values[start : start + len(block)] = np.take_along_axis(alike, order, axis=1)
    return Nearest(others, values)


def pull_apart(graph: csr_matrix, attributes: NDArray[np.int64]) -> csr_matrix:
    """The graph with weaker edges between texts that differ in attributes; codes (n, a), −1 where not known."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    left, right = attributes[rows], attributes[graph.indices]
    differing = ((left != right) & (left >= 0) & (right >= 0)).sum(axis=1)
    weaker = graph.copy()
    weaker.data = graph.data * DIFFERS**differing
    return weaker


def _fading(found: Nearest, reach: int) -> csr_matrix:
    """Cosines times 1 − rank / reach, made symmetric by the larger of both directions; negative ones left out."""
    from scipy.sparse import csr_matrix

    n = len(found.others)
    k = min(reach, found.others.shape[1])
    values = found.cosines[:, :k].astype(np.float64) * (1 - np.arange(k) / max(reach, 1))
    rows = np.repeat(np.arange(n), k)
    kept = values.ravel() > 0
    graph = csr_matrix((values.ravel()[kept], (rows[kept], found.others[:, :k].ravel()[kept])), shape=(n, n))
    return graph.maximum(graph.T).tocsr()
