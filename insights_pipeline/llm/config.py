"""How a language model is reached, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """A model by litellm's name ("openai/gpt-4.1-mini"), where it is, and how long to wait.

    `api_key` None: the provider's own variable. `timeout_s` is the longest wait for one answer, from the first byte
    sent to the last received; `patience_s` for one question with all its retries and pauses.
    """

    model: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    patience_s: float = 180.0
    max_retries: int = 4
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent; None: no limit. Both hold, but USD only where the model's price is known."""

    usd: float | None = 1.0
    tokens: int | None = 500_000
