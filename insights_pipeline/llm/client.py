"""A language model that is asked questions with checked answers, within a budget, and given up when it fails."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from insights_pipeline.llm.answers import parse
from insights_pipeline.llm.cache import AnswerCache, MemoryCache
from insights_pipeline.llm.config import Budget, LlmConfig
from insights_pipeline.llm.errors import (
    BadAnswerError,
    GivenUpError,
    LlmError,
    MalformedError,
    NotAskedError,
    RefusedError,
    RejectedError,
    ServiceError,
    TimedOutError,
    TruncatedError,
)
from insights_pipeline.llm.ledger import Ledger, with_margin
from insights_pipeline.llm.prompts import Prompt
from insights_pipeline.llm.quiet import count_tokens
from insights_pipeline.llm.spent import Spent
from insights_pipeline.llm.transport import Failure, Reply, send

Answer = TypeVar("Answer", bound=BaseModel)
Messages = list[dict[str, str]]

FAILURES_IN_A_ROW = 3  # of the service, after which it is not asked again in this run
_FINAL = frozenset({401, 402, 403, 404})  # it will not know us or the model any better the next time
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SHOWN = 4_000  # characters of a malformed answer that the model is shown again
_MORE_ROOM = 4  # times the tokens asked for, for models whose thoughts count as their answer


@dataclass(slots=True)
class _Use:
    """What one question came to, with its repair."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0


class LlmClient:
    """One model for one run. Not for use by several threads at once."""

    def __init__(
        self,
        config: LlmConfig,
        *,
        budget: Budget = Budget(),  # noqa: B008 – frozen
        cache: AnswerCache | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._cache = cache if cache is not None else MemoryCache()
        self._ledger = Ledger(budget, config.model)
        self._sleep, self._clock = sleep, clock
        self._jitter = random.Random()
        self._in_a_row = 0
        self._given_up = False
        self._bare = False
        self._room, self._room_was_tried = 1, False
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._seconds = 0.0

    @property
    def spent(self) -> Spent:
        """What this run has come to so far."""
        calls, cached, retries, repairs = (
            self._counts[of] for of in ("calls", "cached", "retries", "repairs")
        )
        ledger = self._ledger
        return Spent(
            calls, cached, retries, repairs, dict(sorted(self._failures.items())),
            ledger.prompt_tokens, ledger.completion_tokens, ledger.usd, self._seconds,
        )  # fmt: skip

    def complete(self, prompt: Prompt, schema: type[Answer], *, max_tokens: int) -> Answer:
        """The model's answer of at most `max_tokens`, from the cache if it was asked before.

        Raises LlmError: BudgetSpentError before the budget would be exceeded, GivenUpError once the service failed
        `FAILURES_IN_A_ROW` times or does not know us, else what became of the question after all retries and, for a
        malformed answer, one repair.
        """
        key = self._key(prompt, schema)
        if (kept := self._kept(key, schema)) is not None:
            self._counts["cached"] += 1
            return kept
        began = self._clock()
        try:
            answer, text, use = self._answered(prompt, schema, max_tokens, began)
        except LlmError as error:
            self._failures[error.reason] += 1
            raise
        finally:
            self._seconds += self._clock() - began
        self._cache.put(
            key,
            text,
            model=self.config.model,
            prompt_tokens=use.prompt_tokens,
            completion_tokens=use.completion_tokens,
            cost_usd=use.usd,
        )
        return answer

    def _key(self, prompt: Prompt, schema: type[BaseModel]) -> str:
        asked = (self.config.model, self.config.api_base or "", prompt.version, schema.__name__)
        said = [text for message in prompt.messages for text in message.values()]
        return hashlib.sha256("\x00".join([*asked, *said]).encode(errors="replace")).hexdigest()

    def _kept(self, key: str, schema: type[Answer]) -> Answer | None:
        text = self._cache.get(key)
        if text is None:
            return None
        try:
            return parse(text, schema)
        except MalformedError:  # kept by a version that wanted another shape
            return None

    def _answered(
        self, prompt: Prompt, schema: type[Answer], max_tokens: int, began: float
    ) -> tuple[Answer, str, _Use]:
        use = _Use()
        text = self._whole(prompt.messages, max_tokens, began, use)
        try:
            return parse(text, schema), text, use
        except MalformedError as error:
            wrong = str(error)
        self._counts["repairs"] += 1
        again = f"That is not the JSON object asked for ({wrong}). Answer again, with the JSON object only."
        messages = [
            *prompt.messages,
            {"role": "assistant", "content": text[:_SHOWN]},
            {"role": "user", "content": again},
        ]
        text = self._whole(messages, max_tokens, began, use)
        return parse(text, schema), text, use

    def _whole(self, messages: Messages, max_tokens: int, began: float, use: _Use) -> str:
        """What the model wrote; the first answer of a run that is cut is asked for once more, with more room."""
        # If that helps, all later ones get as much: how long a model thinks cannot be known beforehand.
        try:
            return self._text(messages, self._room * max_tokens, began, use)
        except TruncatedError:
            if self._room_was_tried:
                raise
        self._room_was_tried = True
        self._counts["retries"] += 1
        try:
            text = self._text(messages, _MORE_ROOM * max_tokens, began, use)
        except LlmError:  # some models take no such length, and the budget may not either
            raise TruncatedError from None
        self._room = _MORE_ROOM
        return text

    def _text(self, messages: Messages, max_tokens: int, began: float, use: _Use) -> str:
        """What the model wrote, whole; raises what keeps it from that."""
        if self._given_up:
            raise GivenUpError
        try:
            reply = self._reply(messages, max_tokens, began, use)
        except (BadAnswerError, NotAskedError):
            raise  # these are due to what was asked, and say nothing about the service
        except ServiceError as error:
            self._in_a_row += 1
            final = isinstance(error, RejectedError) and error.status in _FINAL
            self._given_up = final or self._in_a_row >= FAILURES_IN_A_ROW
            raise
        self._in_a_row = 0
        if reply.refused:
            raise RefusedError
        if reply.finish == "length":
            raise TruncatedError
        return reply.text

    def _reply(self, messages: Messages, max_tokens: int, began: float, use: _Use) -> Reply:
        """The first reply; failures that may pass are tried again while patience lasts."""
        prompt_tokens = with_margin(
            sum(count_tokens(message["content"]) for message in messages), len(messages)
        )
        attempt, was_bare = 0, self._bare
        while True:
            self._ledger.admit(prompt_tokens, max_tokens)
            left = self.config.patience_s - (self._clock() - began)
            if left <= 0:
                raise TimedOutError
            self._counts["calls"] += 1
            got = send(
                self.config,
                messages,
                max_tokens=max_tokens,
                bare=self._bare,
                within_s=min(self.config.timeout_s, left),
            )
            if isinstance(got, Reply):
                self._charge(use, got.prompt_tokens, got.completion_tokens, prompt_tokens, max_tokens)
                return got
            if got.used:
                self._charge(use, None, None, prompt_tokens, max_tokens)
            if not self._tries_again(got, attempt, began):
                if isinstance(got.error, RejectedError):
                    self._bare = was_bare  # the parameters were not to blame
                raise got.error
            attempt += 1
            self._counts["retries"] += 1

    def _charge(
        self, use: _Use, prompt: int | None, completion: int | None, most_prompt: int, most_completion: int
    ) -> None:
        known = (
            most_prompt if prompt is None else prompt,
            most_completion if completion is None else completion,
        )
        price = self._ledger.charge(*known)
        use.prompt_tokens += known[0]
        use.completion_tokens += known[1]
        use.usd = None if price is None or use.usd is None else use.usd + price

    def _tries_again(self, failure: Failure, attempt: int, began: float) -> bool:
        """Whether the request may be repeated; if so, after a pause."""
        rejected = isinstance(failure.error, RejectedError) and failure.error.status in (400, 422)
        if rejected and not self._bare:
            self._bare = True  # some servers do not know response_format, some models no temperature
            return True
        if not failure.retry or attempt >= self.config.max_retries:
            return False
        pause = self._jitter.uniform(0.5, 1) * min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)
        if failure.after_s is not None:
            pause = failure.after_s + 0.1 * pause
        if self._clock() - began + pause >= self.config.patience_s:
            return False
        self._sleep(pause)
        return True
