"""Texts to vectors with the static token table of the `wordllama` package: no model run, no download.

A sentence is the mean of its token vectors, each weighted by the square root of the token's inverse document
frequency, minus the mean of the sentences in its script. The table is made for English: what it does not know falls
to fragments and bytes, and without that step all sentences of a language are nearly parallel (mean cosine of two
requests 0.2 in Spanish, 0.5 in Russian, 0.7 in Hindi, 0.03 in English) and taken for copies of one another. Where
the table does not know the language, the letters of a sentence count as much as its tokens (see `letters`). Weights,
means and reference sentences (see `sentence_space`) are fitted once and then frozen: vectors of different days stay
comparable.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.embedding.foreign import Scripts, fit_scripts
from insights_pipeline.intents.embedding.sentence_space import (
    DIMENSIONS,
    SentenceSpace,
    reference_sentences,
    row_sums,
    split_texts,
)
from insights_pipeline.intents.vectors import Floats, exact, unit

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LETTERS = re.compile(r"[^\W\d_]+")
# The last part changes with whatever changes a vector: a lake with another name gets a new space (see `embed_days`).
EMBEDDER = "wordllama-256/wls_p.6"


@dataclass(frozen=True, slots=True)
class WordLlamaSpace(SentenceSpace):
    """A frozen space: token weights (vocabulary,) and what is known of scripts beside the reference sentences."""

    token_weights: Floats = field(repr=False)
    scripts: Scripts = field(repr=False)

    @property
    def embedder(self) -> str:
        return EMBEDDER

    def sentence_vectors(self, sentences: Sequence[str]) -> Floats:
        """Unit vectors (n, 256) of sentences, each a function of its own sentence only."""
        return self.scripts.applied(_pooled(sentences, self.token_weights), sentences)

    def payload(self) -> bytes:
        """What the lake keeps of the space."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            weights=self.token_weights,
            means=self.scripts.means,
            letters=self.scripts.letters,
            buckets=self.scripts.buckets,
            reference=self.reference.astype(np.int16),
            n=self.fitted_on,
        )
        return buffer.getvalue()

    @classmethod
    def from_payload(cls, name: str, payload: bytes) -> WordLlamaSpace:
        with np.load(io.BytesIO(payload)) as arrays:
            reference = arrays["reference"].astype(np.float32)
            return cls(name, int(arrays["n"]), reference, arrays["weights"], Scripts.of(arrays))


def fit_space(user_texts: Sequence[str]) -> WordLlamaSpace:
    """The space of these texts: document frequencies of tokens, means, the sentences that later ones are held against.

    The name is a hash of the contents, so the same texts in the same order give the same name.
    """
    split = split_texts(user_texts)
    ids, counts = _tokens([" ".join(sentences) for sentences in split])
    size = load_table().shape[0]
    owner = np.repeat(np.arange(len(counts)), counts)
    seen = np.unique(owner * size + ids) % size
    frequency = np.bincount(seen, minlength=size)
    weights = np.sqrt(np.log((1 + len(split)) / (1 + frequency)) + 1).astype(np.float32)
    different = list(dict.fromkeys(sentence for sentences in split for sentence in sentences))
    scripts = fit_scripts(different, _pooled(different, weights), _known(different))
    held = reference_sentences(split)
    reference = exact(scripts.applied(_pooled(held, weights), held))
    digest = hashlib.sha256(weights.tobytes() + reference.astype(np.int16).tobytes())
    for array in (scripts.means, scripts.letters, scripts.buckets):
        digest.update(array.tobytes())
    return WordLlamaSpace(f"{EMBEDDER}/{digest.hexdigest()[:12]}", len(split), reference, weights, scripts)


def _known(sentences: Sequence[str]) -> tuple[Floats, Floats]:
    """Letters of each sentence, and the tokens that its words fall into: many for a language not known."""
    plain = [" ".join(_LETTERS.findall(sentence)) for sentence in sentences]
    _, tokens = _tokens(plain)
    letters = np.array([len(words) - words.count(" ") for words in plain], dtype=np.float32)
    return letters, tokens.astype(np.float32)


def _pooled(sentences: Sequence[str], token_weights: Floats) -> Floats:
    if not sentences:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    ids, counts = _tokens(sentences)
    table = load_table()
    used = np.flatnonzero(np.bincount(ids, minlength=len(table)))
    place = np.zeros(len(table), dtype=np.int32)
    place[used] = np.arange(len(used))
    rows = table[used] * token_weights[used][:, None]
    return unit(row_sums(np.ones(len(ids), dtype=np.float32), place[ids], counts, rows))


def _tokens(sentences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids of all sentences in a row, and how many each sentence has.

    No token of the vocabulary reaches over a blank, so words are tokenised on their own, each only once.
    """
    place: dict[str, int] = {}
    split = [sentence.split(" ") for sentence in sentences]
    which = np.array(
        [place.setdefault(word, len(place)) for words in split for word in words], dtype=np.int64
    )
    encoded = [one.ids for one in _tokenizer().encode_batch_fast(list(place), add_special_tokens=False)]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    flat = np.fromiter((i for ids in encoded for i in ids), dtype=np.int64, count=int(lengths.sum()))
    begins = np.cumsum(lengths) - lengths
    of_word = lengths[which]
    ends = np.cumsum(of_word)
    ids = flat[np.arange(int(of_word.sum())) + np.repeat(begins[which] - (ends - of_word), of_word)]
    last_words = np.cumsum([len(words) for words in split])
    return ids, np.diff(ends[last_words - 1], prepend=0)


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
