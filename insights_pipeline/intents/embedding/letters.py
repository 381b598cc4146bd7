"""A second way to tell sentences apart, by their letters: for languages that a token table does not know.

N-grams of words and letters are hashed to buckets, weighted by inverse document frequency, and projected to random
signs (Achlioptas 2003). Nothing is learned but the frequencies, so n-grams that were never seen count as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from insights_pipeline.intents.embedding.text import spaced
from insights_pipeline.intents.vectors import Floats, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BUCKETS = 2**14  # for n-grams of words, and as many for those of letters
_KINDS: tuple[dict[str, Any], ...] = (
    {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    {"analyzer": "char_wb", "ngram_range": (3, 5)},
)


def bucket_weights(texts: Sequence[str]) -> Floats:
    """Inverse document frequencies (2, buckets) of the n-grams of words and of letters."""
    weights = np.empty((len(_KINDS), BUCKETS), dtype=np.float32)
    for kind, counts in enumerate(_counted(texts)):
        frequency = np.bincount(counts.indices, minlength=BUCKETS)
        weights[kind] = np.log((1 + len(texts)) / (1 + frequency)) + 1
    return weights


def letter_vectors(sentences: Sequence[str], weights: Floats, dimensions: int) -> Floats:
    """Unit vectors (n, dimensions), each a function of its own sentence only: words and letters count alike."""
    from scipy.sparse import csr_matrix

    total = np.zeros((len(sentences), dimensions), dtype=np.float32)
    for kind, counts in enumerate(_counted(sentences)):
        data = ((1 + np.log(counts.data)) * weights[kind][counts.indices]).astype(np.float32)
        weighted = csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
        total += unit(weighted @ _signs(dimensions))
    return unit(total)


def _counted(texts: Sequence[str]) -> list[csr_matrix]:
    from sklearn.feature_extraction.text import HashingVectorizer

    apart = [spaced(text) for text in texts]
    found = []
    for kind in _KINDS:
        hashing = HashingVectorizer(
            n_features=BUCKETS, alternate_sign=False, norm=None, lowercase=False, **kind
        )
        counts = hashing.transform(apart).tocsr()
        counts.sort_indices()  # sums are then taken in one order
        found.append(counts)
    return found


@cache
def _signs(dimensions: int) -> Floats:
    """Random signs (buckets, dimensions): bits of a generator whose stream does not change between versions."""
    raw = np.random.PCG64(0).random_raw(BUCKETS * dimensions // 64)
    bits = np.unpackbits(np.asarray(raw, dtype="<u8").view(np.uint8))
    return (bits.reshape(BUCKETS, dimensions).astype(np.float32) * 2 - 1) / np.float32(np.sqrt(dimensions))
