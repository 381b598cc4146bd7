"""Texts to vectors with the static token table of the `wordllama` package: no model run, no download.

A sentence is the mean of its token vectors, each weighted by the square root of the token's inverse document
frequency. A text of several sentences is their mean, in which a sentence that many texts share ("my user id is")
counts little. Both weightings are fitted once and then frozen: vectors of different days stay comparable.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.text import request_of, sentences_of
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

if TYPE_CHECKING:
    from tokenizers import Tokenizer

EMBEDDER = "wordllama-256/wls_p.5"
_REFERENCE_TEXTS = 2_000
_REFERENCE_SENTENCES = 4_000
_ALIKE = 0.8  # cosine above which two sentences say the same
_COMMON = 0.005  # share of reference sentences at which a sentence loses half its weight
_LATER_TURN = 0.5  # what follows the opening turn mostly answers the agent
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
class WordLlamaSpace:
    """A frozen embedding space: token weights (vocabulary,) and reference sentences (m, 256), whole numbers."""

    name: str
    fitted_on: int
    token_weights: Floats = field(repr=False)
    reference: Floats = field(repr=False)

    @property
    def embedder(self) -> str:
        return EMBEDDER

    def embed(self, user_texts: Sequence[str]) -> Halves:
        """Unit vectors (n, 256) in fp16, each a function of its own text only; a text without tokens is zeros."""
        parts = [
            self._embed(user_texts[start : start + _BLOCK]) for start in range(0, len(user_texts), _BLOCK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 256), dtype=np.float16)

    def core(self, user_texts: Sequence[str]) -> list[str]:
        """The request of each text in one line: of the sentences that count, those of the opening turn if any."""
        return [
            line
            for start in range(0, len(user_texts), _BLOCK)
            for line in self._core(user_texts[start : start + _BLOCK])
        ]

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

    def _embed(self, user_texts: Sequence[str]) -> Halves:
        parts = self._parts(user_texts)
        weighted = parts.vectors * parts.weights[:, None]
        return unit(_grouped_sum(weighted, parts.owner, len(user_texts))).astype(np.float16)

    def _parts(self, user_texts: Sequence[str]) -> _Parts:
        split = [sentences_of(request_of(text)) for text in user_texts]
        sentences = [sentence for one in split for sentence, _ in one]
        opening = np.array([of_opening for one in split for _, of_opening in one], dtype=bool)
        lengths = np.array([len(one) for one in split], dtype=np.int64)
        vectors = _pooled(sentences, self.token_weights)
        weights = np.ones(len(sentences), dtype=np.float32)
        several = np.repeat(lengths > 1, lengths)
        if several.any():
            chosen = np.flatnonzero(several)
            weights[chosen] = self._sentence_weights([sentences[i] for i in chosen], vectors[chosen])
            weights[chosen[~opening[chosen]]] *= np.float32(_LATER_TURN)
        return _Parts(sentences, np.repeat(np.arange(len(split)), lengths), opening, vectors, weights)

    def _sentence_weights(self, sentences: list[str], vectors: Floats) -> Floats:
        words = np.sqrt(np.array([sentence.count(" ") + 1 for sentence in sentences], dtype=np.float32))
        if len(self.reference) == 0:
            return words
        place: dict[str, int] = {}
        which = np.array([place.setdefault(sentence, len(place)) for sentence in sentences])
        _, first = np.unique(which, return_index=True)
        alike = (cosines(exact(vectors[first]), self.reference) > _ALIKE).mean(axis=1, dtype=np.float64)
        return np.asarray(words / (1 + alike[which] / _COMMON), dtype=np.float32)

    def payload(self) -> bytes:
        """What the lake keeps of the space."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, weights=self.token_weights, reference=self.reference.astype(np.int16), n=self.fitted_on
        )
        return buffer.getvalue()

    @classmethod
    def from_payload(cls, name: str, payload: bytes) -> WordLlamaSpace:
        with np.load(io.BytesIO(payload)) as arrays:
            return cls(name, int(arrays["n"]), arrays["weights"], arrays["reference"].astype(np.float32))


def fit_space(user_texts: Sequence[str]) -> WordLlamaSpace:
    """The space of these texts: document frequencies of tokens, and the sentences that later texts are held against.

    The name is a hash of the contents, so the same texts in the same order give the same name.
    """
    split = [[sentence for sentence, _ in sentences_of(request_of(text))] for text in user_texts]
    ids, owner = _tokens([" ".join(sentences) for sentences in split])
    size = load_table().shape[0]
    seen = np.unique(owner.astype(np.int64) * size + ids) % size
    frequency = np.bincount(seen, minlength=size)
    weights = np.sqrt(np.log((1 + len(split)) / (1 + frequency)) + 1).astype(np.float32)
    flat = [sentence for sentences in split[:_REFERENCE_TEXTS] for sentence in sentences]
    reference = np.zeros((0, 256), dtype=np.float32)
    if len(flat) > _SENTENCES_PER_TEXT * min(len(split), _REFERENCE_TEXTS):
        step = -(-len(flat) // _REFERENCE_SENTENCES)
        reference = exact(_pooled(flat[::step], weights))
    digest = hashlib.sha256(weights.tobytes() + reference.astype(np.int16).tobytes()).hexdigest()
    return WordLlamaSpace(f"{EMBEDDER}/{digest[:12]}", len(split), weights, reference)


def _pooled(sentences: list[str], token_weights: Floats) -> Floats:
    """Unit vectors (n, 256) of sentences."""
    ids, owner = _tokens(sentences)
    rows = load_table()[ids] * token_weights[ids][:, None]
    return unit(_grouped_sum(rows, owner, len(sentences)))


def _grouped_sum(rows: Floats, owner: NDArray[np.integer], groups: int) -> Floats:
    """Sums of consecutive rows with the same owner; `reduceat` adds each group on its own, so batches do not matter."""
    sums = np.zeros((groups, 256), dtype=np.float32)
    if len(rows):
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        sums[owner[starts]] = np.add.reduceat(rows, starts, axis=0)
    return sums


def _tokens(sentences: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids of all sentences in a row, and the sentence each belongs to."""
    encoded = [one.ids for one in _tokenizer().encode_batch_fast(sentences, add_special_tokens=False)]
    lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
    flat = np.fromiter((i for ids in encoded for i in ids), dtype=np.int64, count=int(lengths.sum()))
    return flat, np.repeat(np.arange(len(encoded)), lengths)


def _package_folder() -> Path:
    # Importing wordllama calls logging.basicConfig and its loader looks for files on the network: read them instead.
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package wordllama is not installed: pip install wordllama")
    return Path(spec.origin).parent


@cache
def load_table() -> Floats:
    """The token vectors (32,000, 256) of the installed package."""
    from safetensors.numpy import load_file

    weights = load_file(_package_folder() / "weights" / "l2_supercat_256.safetensors")
    return np.ascontiguousarray(weights["embedding.weight"], dtype=np.float32)


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(
        str(_package_folder() / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
