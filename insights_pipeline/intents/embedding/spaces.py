"""Embedding spaces: how texts become vectors, chosen by a setting, fitted once and then frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from insights_pipeline.intents.vectors import Floats, Halves

_API, _LOCAL = "litellm:", "fastembed:"


class Space(Protocol):
    """A frozen space. `name` identifies it: vectors of different spaces are never compared."""

    @property
    def name(self) -> str: ...

    @property
    def embedder(self) -> str:
        """What makes the vectors; a lake whose newest space is of another embedder than the setting gets a new one."""

    @property
    def fitted_on(self) -> int: ...

    def embed(self, user_texts: Sequence[str]) -> Halves:
        """Unit vectors (n, d) in fp16, each a function of its own text only; a text without tokens is zeros."""

    def core(self, user_texts: Sequence[str]) -> list[str]:
        """The request of each text in one line: of the sentences that count, those of the opening turn if any."""

    def payload(self) -> bytes:
        """What the lake keeps of the space: no code, no key, no text of a trace but n-grams."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embedding setting: `wordllama`, `tfidf`, `litellm:MODEL` (an API) or `fastembed:MODEL` (on this machine).

    `api_base` and `api_key` are for `litellm`; without a key the provider's own variable holds. `redact` goes over
    every text that an API is sent; what stays on this machine is embedded as it is.
    """

    setting: str = "wordllama"
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    redact: Callable[[str], str] | None = field(default=None, repr=False)

    @property
    def embedder(self) -> str:
        """The embedder of spaces that this setting fits. Raises ValueError for a setting that is none."""
        if self.setting == "wordllama":
            from insights_pipeline.intents.embedding.wordllama_space import EMBEDDER

            return EMBEDDER
        if self.setting == "tfidf":
            from insights_pipeline.intents.embedding.tfidf_space import EMBEDDER as TFIDF

            return TFIDF
        if any(self.setting.startswith(kind) and self.setting != kind for kind in (_API, _LOCAL)):
            return self.setting
        raise ValueError(
            f"embedding {self.setting!r} is none of wordllama, tfidf, litellm:MODEL, fastembed:MODEL"
        )

    def fit(self, user_texts: Sequence[str]) -> Space:
        """The space of these texts.

        Raises ValueError for a setting that is none or a model that is not there, RuntimeError where an API fails.
        """
        embedder = self.embedder
        if self.setting == "wordllama":
            from insights_pipeline.intents.embedding import wordllama_space

            return wordllama_space.fit_space(user_texts)
        if self.setting == "tfidf":
            from insights_pipeline.intents.embedding import tfidf_space

            return tfidf_space.fit_space(user_texts)
        from insights_pipeline.intents.embedding import encoder_space

        return encoder_space.fit_space(
            user_texts, embedder, self._encoder(embedder), redact=self._redact(embedder)
        )

    def restore(self, name: str, embedder: str, payload: bytes) -> Space:
        """A stored space, whatever the setting is now: days that were made in it are read in it."""
        if embedder.startswith("wordllama"):
            from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace

            return WordLlamaSpace.from_payload(name, payload)
        if embedder.startswith("tfidf"):
            from insights_pipeline.intents.embedding.tfidf_space import TfidfSpace

            return TfidfSpace.from_payload(name, payload)
        if embedder.startswith((_API, _LOCAL)):
            from insights_pipeline.intents.embedding.encoder_space import EncoderSpace

            return EncoderSpace.from_payload(
                name, embedder, payload, self._encoder(embedder), redact=self._redact(embedder)
            )
        raise ValueError(f"space {name} is of an embedder that this version does not know: {embedder}")

    def _redact(self, embedder: str) -> Callable[[str], str] | None:
        return self.redact if embedder.startswith(_API) else None

    def _encoder(self, embedder: str) -> Encoder:
        kind, model = embedder.split(":", 1)
        if f"{kind}:" == _API:
            from insights_pipeline.llm.embeddings import EmbeddingApi

            return EmbeddingApi(model, api_base=self.api_base, api_key=self.api_key)
        from insights_pipeline.intents.embedding.fastembed_model import FastembedModel

        return FastembedModel(model)


class Encoder(Protocol):
    """A model that somebody else made."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors (n, d) of texts, in their order; d is the same whatever the texts."""


WORDLLAMA = Embeddings()
