"""Answers kept by content: the same question to the same model is asked once."""

from __future__ import annotations

from typing import Protocol


class AnswerCache(Protocol):
    """Where answers are kept."""

    def get(self, key: str) -> str | None:
        """The answer to the question with this key, or None."""

    def put(
        self,
        key: str,
        value: str,
        *,
        model: str,
        prompt_tokens: int,
        completion_tokens: int,
        cost_usd: float | None,
    ) -> None:
        """Keep an answer, and what it cost; one that is there already is replaced."""


class MemoryCache:
    """Answers of this process."""

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self._answers.get(key)

    def put(
        self,
        key: str,
        value: str,
        *,
        model: str,
        prompt_tokens: int,
        completion_tokens: int,
        cost_usd: float | None,
    ) -> None:
        self._answers[key] = value
