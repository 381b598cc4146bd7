"""Vectors of texts from an embedding API, by litellm's names of models."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.llm.quiet import litellm
from insights_pipeline.llm.transport import failure_of, within

MAX_CHARS = (
    2_000  # of one text: stays below the shortest limit in use (512 tokens are cut by the models themselves)
)
_BATCH = 96  # texts of one request: what the strictest services take
_AT_ONCE = 4  # requests under way


class EmbeddingApiError(RuntimeError):
    """The API failed for good. Holds neither texts nor keys, nor what the service said: that may hold both."""


@dataclass(frozen=True, slots=True)
class EmbeddingApi:
    """A model by litellm's name ("openai/text-embedding-3-small") and where it is; see `encode`.

    `timeout_s` is the longest wait for one answer; pauses between tries grow from `pause_s` to `longest_pause_s`.
    """

    model: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    tries: int = 6
    pause_s: float = 1.0
    longest_pause_s: float = 60.0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, d) of n ≥ 1 texts in their order; each text is cut at 2,000 characters.

        What may pass (429, 5xx, no answer in time, no connection, an answer that is not one vector a text) is tried
        again, as late as the service asks. Raises EmbeddingApiError when it does not pass, and gives nothing then.
        """
        batches = [
            [text[:MAX_CHARS] for text in texts[start : start + _BATCH]]
            for start in range(0, len(texts), _BATCH)
        ]
        pool = ThreadPoolExecutor(min(_AT_ONCE, len(batches)), thread_name_prefix="embedding")
        try:
            parts = list(pool.map(self._encoded, batches))
        finally:
            pool.shutdown(cancel_futures=True)
        if len({part.shape[1] for part in parts}) > 1:
            raise self._failed("answers of one model have different numbers of dimensions")
        return np.concatenate(parts)

    def _encoded(self, batch: list[str]) -> NDArray[np.float32]:
        why = ""
        litellm()  # the seconds of its import are not the service's
        for pause in (*self._pauses(), None):
            found, after_s = within(self.timeout_s, lambda: self._ask(batch)) or ("timeout", 0.0)
            if not isinstance(found, str):
                return found
            why = found
            if pause is None or after_s is None:
                break
            time.sleep(min(max(pause, after_s), self.longest_pause_s))
        raise self._failed(why)

    def _pauses(self) -> Iterator[float]:
        return (min(self.pause_s * 2.0**number, self.longest_pause_s) for number in range(self.tries - 1))

    def _ask(self, batch: list[str]) -> tuple[NDArray[np.float32] | str, float | None]:
        """The vectors, or why there are none; and the seconds that the service asks to wait, None: it is final."""
        try:
            module = litellm()
            module.DEFAULT_MAX_RETRIES = 0  # for embeddings it takes `max_retries=0` for "not said"
            answer = module.embedding(
                model=self.model,
                input=batch,
                api_base=self.api_base,
                api_key=self._key(),
                encoding_format="float",  # base64, the client's default, is not known to every server
                timeout=self.timeout_s,
                max_retries=0,
                num_retries=0,
            )
            vectors = _vectors(answer, len(batch))
        except Exception as error:  # noqa: BLE001 – litellm raises anything; its texts and frames hold input and key
            failure = failure_of(error)
            told = f"{failure.error.reason}, HTTP {failure.error.status}" if failure.error.status else ""
            return told or failure.error.reason, (failure.after_s or 0.0) if failure.retry else None
        return ("the answer is not one vector a text", 0.0) if vectors is None else (vectors, None)

    def _key(self) -> str | None:
        if self.api_key is not None or self.api_base is None or not self.model.startswith("openai/"):
            return self.api_key
        import os

        return (
            None if os.environ.get("OPENAI_API_KEY") else "none"
        )  # a local server; the client insists on a key

    def _failed(self, why: str) -> EmbeddingApiError:
        return EmbeddingApiError(
            f"embedding litellm:{self.model} failed: {why}. Nothing was written; run the days again once it works. "
            "Check the settings embedding, embedding_api_base and embedding_api_key, and the provider's limits"
        )


def _vectors(answer: Any, count: int) -> NDArray[np.float32] | None:
    """The vectors (count, d) of an answer in the order of the texts, or None where it is anything else."""
    data = getattr(answer, "data", None)
    if not isinstance(data, list) or len(data) != count:
        return None
    rows: list[Any] = [None] * count
    for place, one in enumerate(data):
        index = one["index"] if isinstance(one["index"], int) else place
        rows[index] = one["embedding"]
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            found = np.array(rows, dtype=np.float32)
    except (TypeError, ValueError):  # a text without a vector, vectors of several lengths, words for numbers
        return None
    return found if found.ndim == 2 and found.shape[1] > 0 and np.isfinite(found).all() else None
