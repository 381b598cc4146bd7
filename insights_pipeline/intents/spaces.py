"""Embedding spaces: how texts become vectors, chosen by a setting, fitted once and then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from insights_pipeline.intents.vectors import Halves


class Space(Protocol):
    """A frozen space. `name` identifies it: vectors of different spaces are never compared."""

    @property
    def name(self) -> str: ...

    @property
    def embedder(self) -> str: ...

    @property
    def fitted_on(self) -> int: ...

    def embed(self, user_texts: Sequence[str]) -> Halves:
        """Unit vectors (n, d) in fp16, each a function of its own text only; a text without tokens is zeros."""

    def core(self, user_texts: Sequence[str]) -> list[str]:
        """The request of each text in one line: of the sentences that count, those of the opening turn if any."""

    def payload(self) -> bytes:
        """What the lake keeps of the space."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embedding setting: `wordllama`."""

    setting: str = "wordllama"

    def fit(self, user_texts: Sequence[str]) -> Space:
        """The space of these texts."""
        from insights_pipeline.intents.wordllama_space import fit_space

        return fit_space(user_texts)

    def restore(self, name: str, embedder: str, payload: bytes) -> Space:
        """A stored space."""
        from insights_pipeline.intents.wordllama_space import WordLlamaSpace

        return WordLlamaSpace.from_payload(name, payload)


WORDLLAMA = Embeddings()
