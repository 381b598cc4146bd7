"""Texts to vectors by a model that somebody else made, behind an API or on this machine.

What is encoded is the request of a text (see `sentence_space`): slot values are masked and sentences that many texts
share are left out before anything is sent. Boilerplate would pull the vectors of any model together. What goes to an
API is redacted as well, and before that: a mask in lower case hides from patterns what they look for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from insights_pipeline.intents.embedding import wordllama_space
from insights_pipeline.intents.embedding.sentence_space import SentenceSpace
from insights_pipeline.intents.embedding.spaces import Encoder
from insights_pipeline.intents.embedding.text import request_of
from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace
from insights_pipeline.intents.vectors import Halves, unit

_PROBE = "hello"


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class EncoderSpace:
    """A model and its number of dimensions; `requests` finds the request of a text and is what was fitted.

    `redact` goes over every text, each on its own, before it is encoded.
    """

    name: str
    embedder: str
    dimensions: int
    requests: SentenceSpace = field(repr=False)
    encoder: Encoder = field(repr=False)
    redact: Callable[[str], str] = field(default=_as_it_is, repr=False)

    @property
    def fitted_on(self) -> int:
        return self.requests.fitted_on

    def embed(self, user_texts: Sequence[str]) -> Halves:
        """Unit vectors (n, d) in fp16 of the requests; equal requests are encoded once, texts without one are zeros.

        Raises RuntimeError when the model fails or answers with another number of dimensions, and gives nothing then.
        """
        place: dict[str, int] = {}
        texts = [self.redact(text) for text in user_texts]
        lines = [line or request_of(text) for line, text in zip(self.core(texts), texts, strict=True)]
        which = np.array(
            [place.setdefault(line, len(place)) if line else -1 for line in lines], dtype=np.int64
        )
        vectors = np.zeros((len(lines), self.dimensions), dtype=np.float16)
        if not place:
            return vectors
        encoded = self.encoder.encode(list(place))
        if encoded.shape != (len(place), self.dimensions):
            raise RuntimeError(
                f"embedding {self.embedder} gives vectors of {encoded.shape[-1]} dimensions where the space "
                f"{self.name} has {self.dimensions}: it is another model now. Name the old one, or run the day in "
                "question to the newest again for a new space"
            )
        there = which >= 0
        vectors[there] = unit(encoded).astype(np.float16)[which[there]]
        return vectors

    def core(self, user_texts: Sequence[str]) -> list[str]:
        """The request of each text in one line: of the sentences that count, those of the opening turn if any."""
        return self.requests.core(user_texts)

    def payload(self) -> bytes:
        """What the lake keeps of the space."""
        buffer = io.BytesIO()
        requests = np.frombuffer(self.requests.payload(), dtype=np.uint8)
        np.savez(buffer, dimensions=self.dimensions, requests=requests, requests_name=self.requests.name)
        return buffer.getvalue()

    @classmethod
    def from_payload(
        cls,
        name: str,
        embedder: str,
        payload: bytes,
        encoder: Encoder,
        *,
        redact: Callable[[str], str] | None = None,
    ) -> EncoderSpace:
        with np.load(io.BytesIO(payload)) as arrays:
            requests = WordLlamaSpace.from_payload(str(arrays["requests_name"]), arrays["requests"].tobytes())
            return cls(name, embedder, int(arrays["dimensions"]), requests, encoder, redact or _as_it_is)


def fit_space(
    user_texts: Sequence[str],
    embedder: str,
    encoder: Encoder,
    *,
    redact: Callable[[str], str] | None = None,
) -> EncoderSpace:
    """The space of these texts; how many dimensions it has is seen from a first answer."""
    seen = redact or _as_it_is
    requests = wordllama_space.fit_space([seen(text) for text in user_texts])
    dimensions = encoder.encode([_PROBE]).shape[1]
    digest = requests.name.rpartition("/")[2]
    return EncoderSpace(f"{embedder}/{dimensions}/{digest}", embedder, dimensions, requests, encoder, seen)
