"""What the spaces computed on this machine share: a text is the mean of its sentences, common ones damped.

A sentence that many texts share ("my user id is") says nothing about the request, and in any mean it would pull all
texts together. Its weight is divided by how often it, or one much like it, occurs among reference sentences that
were kept when the space was fitted; what follows the opening turn mostly answers the agent and counts half.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.embedding.text import request_of, sentences_of, words_in
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DIMENSIONS = 256
_REFERENCE_TEXTS = 2_000
_REFERENCE_SENTENCES = 4_000
_ALIKE = 0.8  # cosine above which two sentences say the same
_COMMON = 0.005  # share of reference sentences at which a sentence loses half its weight
_LATER_TURN = 0.5
_CORE = 0.3  # share of the heaviest sentence's weight below which a sentence is beside the point
_SENTENCES_PER_TEXT = 1.2  # below this, damping has nothing to tell apart
_BLOCK = 4_096


@dataclass(frozen=True, slots=True)
class _Parts:
    """Sentences of several texts in a row: their text, whether of its opening turn, unit vector, weight in the text."""

    sentences: list[str]
    owner: NDArray[np.int64]
    opening: NDArray[np.bool_]
    vectors: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class SentenceSpace(ABC):
    """A frozen space: reference sentences (m, 256) as whole numbers, and a way to embed one sentence."""

    name: str
    fitted_on: int
    reference: Floats = field(repr=False)

    @property
    @abstractmethod
    def embedder(self) -> str: ...

    @abstractmethod
    def payload(self) -> bytes:
        """What the lake keeps of the space."""

    @abstractmethod
    def sentence_vectors(self, sentences: Sequence[str]) -> Floats:
        """Unit vectors (n, 256), each a function of its own sentence only."""

    def embed(self, user_texts: Sequence[str]) -> Halves:
        """Unit vectors (n, 256) in fp16, each a function of its own text only; a text without tokens is zeros."""
        vectors = np.zeros((len(user_texts), DIMENSIONS), dtype=np.float16)
        for start in range(0, len(user_texts), _BLOCK):
            block = user_texts[start : start + _BLOCK]
            vectors[start : start + _BLOCK] = self._embed(block)
        return vectors

    def core(self, user_texts: Sequence[str]) -> list[str]:
        """The request of each text in one line: of the sentences that count, those of the opening turn if any."""
        return [
            line
            for start in range(0, len(user_texts), _BLOCK)
            for line in self._core(user_texts[start : start + _BLOCK])
        ]

    def _embed(self, user_texts: Sequence[str]) -> Halves:
        parts = self._parts(user_texts)
        counts = np.bincount(parts.owner, minlength=len(user_texts))
        return unit(row_sums(parts.weights, np.arange(len(parts.owner)), counts, parts.vectors)).astype(
            np.float16
        )

    def _core(self, user_texts: Sequence[str]) -> list[str]:
        parts = self._parts(user_texts)
        heaviest = np.zeros(len(user_texts), dtype=np.float32)
        np.maximum.at(heaviest, parts.owner, parts.weights)
        kept = np.flatnonzero(parts.weights >= _CORE * heaviest[parts.owner]).tolist()
        opened = {int(parts.owner[index]) for index in kept if parts.opening[index]}
        lines: list[list[str]] = [[] for _ in user_texts]
        for index in kept:
            owner = int(parts.owner[index])
            if parts.opening[index] or owner not in opened:
                lines[owner].append(parts.sentences[index])
        return [" ".join(sentences) for sentences in lines]

    def _parts(self, user_texts: Sequence[str]) -> _Parts:
        split = [sentences_of(request_of(text)) for text in user_texts]
        sentences = [sentence for one in split for sentence, _ in one]
        opening = np.array([of_opening for one in split for _, of_opening in one], dtype=bool)
        lengths = np.array([len(one) for one in split], dtype=np.int64)
        vectors = self.sentence_vectors(sentences)
        weights = np.ones(len(sentences), dtype=np.float32)
        chosen = np.flatnonzero(np.repeat(lengths > 1, lengths))
        if len(chosen):
            weights[chosen] = self._sentence_weights([sentences[i] for i in chosen.tolist()], vectors[chosen])
            weights[chosen[~opening[chosen]]] *= np.float32(_LATER_TURN)
        return _Parts(sentences, np.repeat(np.arange(len(split)), lengths), opening, vectors, weights)

    def _sentence_weights(self, sentences: list[str], vectors: Floats) -> Floats:
        words = np.sqrt(np.array([words_in(sentence) for sentence in sentences], dtype=np.float32))
        if len(self.reference) == 0:
            return words
        place: dict[str, int] = {}
        which = np.array([place.setdefault(sentence, len(place)) for sentence in sentences])
        _, first = np.unique(which, return_index=True)
        alike = (cosines(exact(vectors[first]), self.reference) > _ALIKE).mean(axis=1, dtype=np.float64)
        return np.asarray(words / (1 + alike[which] / _COMMON), dtype=np.float32)


def split_texts(user_texts: Sequence[str]) -> list[list[str]]:
    """The sentences of every text, without regard to turns: what a space is fitted on."""
    return [[sentence for sentence, _ in sentences_of(request_of(text))] for text in user_texts]


def reference_sentences(split: Sequence[Sequence[str]]) -> list[str]:
    """The sentences that later ones are held against; none where texts are hardly longer than a sentence."""
    flat = [sentence for sentences in split[:_REFERENCE_TEXTS] for sentence in sentences]
    if len(flat) <= _SENTENCES_PER_TEXT * min(len(split), _REFERENCE_TEXTS):
        return []
    return flat[:: -(-len(flat) // _REFERENCE_SENTENCES)]


def row_sums(
    weights: Floats, columns: NDArray[np.integer], counts: NDArray[np.integer], rows: Floats
) -> Floats:
    """For every group of `counts` entries the sum of `weights` times `rows[columns]`.

    A sparse product adds the entries of each group in their order, one after the other: batches do not matter.
    """
    from scipy.sparse import csr_matrix

    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    matrix: csr_matrix = csr_matrix(
        (weights.astype(np.float32), columns.astype(np.int32), ends), shape=(len(counts), len(rows))
    )
    return np.asarray(matrix @ rows, dtype=np.float32)
