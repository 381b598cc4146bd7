"""The similarity graph of texts: nearest neighbours by meaning, joined with nearest neighbours by wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from insights_pipeline.intents.vectors import Floats, cosines, exact, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORDING_WEIGHT = 0.5
_RANK = 128


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
        left, scale, _ = randomized_svd(matrix, rank, n_iter=2, random_state=seed)
    return unit(left * scale)


def similarity_graph(meaning: Floats, wording: Floats, *, neighbours: int | None = None) -> csr_matrix:
    """Symmetric sparse matrix: cosines of neighbours in one view plus 0.5 times those in the other.

    `meaning` and `wording` are unit rows of the same texts.
    """
    k = neighbours or neighbours_for(len(meaning))
    graph = _nearest(meaning, k) + WORDING_WEIGHT * _nearest(wording, k)
    graph.sort_indices()
    return graph


def _nearest(vectors: Floats, k: int) -> csr_matrix:
    """Cosines to the k nearest others, made symmetric by the larger of both directions; negative ones left out."""
    from scipy.sparse import csr_matrix

    n = len(vectors)
    k = min(k, n - 1)
    if k < 1:
        return csr_matrix((n, n), dtype=np.float64)
    whole = exact(vectors)
    columns = np.empty((n, k), dtype=np.int64)
    values = np.empty((n, k), dtype=np.float64)
    for start in range(0, n, 1_024):
        block = cosines(whole[start : start + 1_024], whole)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -2
        nearest = np.argpartition(-block, k - 1, axis=1)[:, :k]
        columns[start : start + len(block)] = nearest
        values[start : start + len(block)] = np.take_along_axis(block, nearest, axis=1)
    rows = np.repeat(np.arange(n), k)
    kept = values.ravel() > 0
    graph = csr_matrix((values.ravel()[kept], (rows[kept], columns.ravel()[kept])), shape=(n, n))
    return graph.maximum(graph.T).tocsr()
