"""Texts to vectors from their own words: TF-IDF of words and letters, reduced to 256 directions. No model, no table.

Latent semantic analysis (Deerwester et al. 1990): the directions of the largest singular values of the texts that the
space is fitted on. They are rounded to bytes when it is fitted, so that a space is the same before and after the lake.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.embedding.sentence_space import (
    DIMENSIONS,
    SentenceSpace,
    reference_sentences,
    row_sums,
    split_texts,
)
from insights_pipeline.intents.embedding.text import spaced
from insights_pipeline.intents.vectors import Floats, exact, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EMBEDDER = "tfidf-256/1"
_WORDS, _LETTERS = 10_000, 20_000  # most frequent n-grams kept: bounds the payload to 8 MB
_MANY = 100  # texts from which an n-gram must occur in two of them


@dataclass(frozen=True, slots=True)
class TfidfSpace(SentenceSpace):
    """A frozen space: n-grams with their inverse document frequencies (f,) and directions (f, 256)."""

    words: tuple[str, ...] = field(repr=False)
    letters: tuple[str, ...] = field(repr=False)
    idf: Floats = field(repr=False)
    directions: NDArray[np.int8] = field(repr=False)
    scale: Floats = field(repr=False)  # of each row of `directions`
    _counters: Any = field(repr=False, compare=False)
    _rows: Floats = field(repr=False, compare=False)

    @property
    def embedder(self) -> str:
        return EMBEDDER

    def sentence_vectors(self, sentences: Sequence[str]) -> Floats:
        """Unit vectors (n, 256), each a function of its own sentence only; zeros where no n-gram is known."""
        if not sentences or not self.words + self.letters:
            return np.zeros((len(sentences), DIMENSIONS), dtype=np.float32)
        counts = _counted(self._counters, sentences)
        return unit(row_sums(_tf(counts), counts.indices, np.diff(counts.indptr), self._rows))

    def payload(self) -> bytes:
        """What the lake keeps of the space: arrays, and the n-grams as JSON."""
        buffer = io.BytesIO()
        terms = json.dumps([self.words, self.letters], ensure_ascii=False).encode("utf-8", "surrogatepass")
        np.savez_compressed(
            buffer,
            terms=np.frombuffer(terms, dtype=np.uint8),
            idf=self.idf,
            directions=self.directions,
            scale=self.scale,
            reference=self.reference.astype(np.int16),
            n=self.fitted_on,
        )
        return buffer.getvalue()

    @classmethod
    def from_payload(cls, name: str, payload: bytes) -> TfidfSpace:
        with np.load(io.BytesIO(payload)) as arrays:
            words, letters = json.loads(arrays["terms"].tobytes().decode("utf-8", "surrogatepass"))
            return _space(
                name,
                int(arrays["n"]),
                arrays["reference"].astype(np.float32),
                words,
                letters,
                arrays["idf"],
                arrays["directions"],
                arrays["scale"],
            )


def fit_space(user_texts: Sequence[str]) -> TfidfSpace:
    """The space of these texts: n-grams, their document frequencies, directions, reference sentences.

    The name is a hash of the contents, so the same texts in the same order give the same name on one machine,
    whatever the number of threads.
    """
    split = split_texts(user_texts)
    texts = [" ".join(sentences) for sentences in split]
    least = 2 if len(texts) >= _MANY else 1
    words, letters = (_terms(texts, kind, least) for kind in ("words", "letters"))
    counts = _counted(_counters_of(words, letters), texts)
    frequency = np.bincount(counts.indices, minlength=len(words) + len(letters))
    idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
    directions, scale = _directions(counts, idf)
    digest = hashlib.sha256(json.dumps([words, letters]).encode())
    digest.update(idf.tobytes() + directions.tobytes() + scale.tobytes())
    bare = np.zeros((0, DIMENSIONS), dtype=np.float32)
    space = _space("", len(split), bare, words, letters, idf, directions, scale)
    reference = exact(space.sentence_vectors(reference_sentences(split)))
    digest.update(reference.astype(np.int16).tobytes())
    name = f"{EMBEDDER}/{digest.hexdigest()[:12]}"
    return _space(name, len(split), reference, words, letters, idf, directions, scale)


def _space(
    name: str,
    fitted_on: int,
    reference: Floats,
    words: Sequence[str],
    letters: Sequence[str],
    idf: Floats,
    directions: NDArray[np.int8],
    scale: Floats,
) -> TfidfSpace:
    counters = _counters_of(words, letters)
    rows = directions.astype(np.float32) * (scale * idf)[:, None]
    return TfidfSpace(
        name, fitted_on, reference, tuple(words), tuple(letters), idf, directions, scale, counters, rows
    )


def _options(kind: str) -> dict[str, Any]:
    if kind == "words":
        return {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b", "lowercase": False}
    return {"analyzer": "char_wb", "ngram_range": (3, 5), "lowercase": False}


def _terms(texts: Sequence[str], kind: str, least: int) -> list[str]:
    """The most frequent n-grams, in the order of the alphabet."""
    from sklearn.feature_extraction.text import CountVectorizer

    most = _WORDS if kind == "words" else _LETTERS
    counter = CountVectorizer(min_df=least, max_features=most, **_options(kind))
    try:
        counter.fit([spaced(text) for text in texts])
    except ValueError:  # sklearn's "empty vocabulary" or "no terms remain": texts that share nothing
        return []
    return [str(term) for term in counter.get_feature_names_out()]


def _counters_of(words: Sequence[str], letters: Sequence[str]) -> list[Any]:
    from sklearn.feature_extraction.text import CountVectorizer

    return [
        CountVectorizer(vocabulary={term: place for place, term in enumerate(terms)}, **_options(kind))
        for kind, terms in (("words", words), ("letters", letters))
        if terms
    ]


def _counted(counters: Sequence[Any], texts: Sequence[str]) -> csr_matrix:
    from scipy.sparse import csr_matrix, hstack

    if not counters:
        return csr_matrix((len(texts), 0), dtype=np.float32)
    parts = [spaced(text) for text in texts]
    counts = hstack([counter.transform(parts) for counter in counters]).tocsr()
    counts.sort_indices()
    return counts


def _tf(counts: csr_matrix) -> Floats:
    return np.asarray(1 + np.log(counts.data), dtype=np.float32)


def _directions(counts: csr_matrix, idf: Floats) -> tuple[NDArray[np.int8], Floats]:
    """The 256 largest right singular vectors (f, 256) of the weighted texts, rows as bytes times a scale."""
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    directions = np.zeros((counts.shape[1], DIMENSIONS), dtype=np.float64)
    rank = min(DIMENSIONS, min(counts.shape) - 1)
    if rank >= 1:
        data = _tf(counts) * idf[counts.indices]
        weighted = normalize(csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape))
        with threadpool_limits(1):  # thread count would change the last bits, and with them the name
            _, _, right = randomized_svd(weighted, rank, n_iter=4, random_state=0)
        directions[:, :rank] = right.T
    scale = np.abs(directions).max(axis=1, initial=0.0) / 127
    whole = np.rint(directions / np.where(scale == 0, 1.0, scale)[:, None]).astype(np.int8)
    return whole, scale.astype(np.float32)
