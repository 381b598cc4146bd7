"""One request to a model and what became of it, in our words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from insights_pipeline.llm.config import LlmConfig
from insights_pipeline.llm.errors import (
    LlmError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    ServerFailedError,
    TimedOutError,
    UnreachableError,
)
from insights_pipeline.llm.quiet import litellm

Got = TypeVar("Got")

LONGEST = 200_000  # characters of an answer that are looked at and kept
_NO_KEY = "none"  # what a local server without keys is shown: the client insists on one


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote. Tokens are None where the service does not tell them."""

    text: str = field(repr=False)
    finish: str
    refused: bool
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. `after_s`: what the service asks to wait; `used`: it may have worked on it."""

    error: LlmError
    retry: bool
    after_s: float | None = None
    used: bool = False


def send(
    config: LlmConfig, messages: Sequence[Mapping[str, str]], *, max_tokens: int, bare: bool, within_s: float
) -> Reply | Failure:
    """Ask once and wait at most `within_s`. `bare`: without the parameters that some servers do not know.

    What litellm raises is turned into a value here and goes no further: its texts and its frames hold the prompt and
    the key.
    """
    got = within(within_s, lambda: _ask(config, messages, max_tokens, bare))
    return Failure(TimedOutError(), retry=True, used=True) if got is None else got


def within(seconds: float, ask: Callable[[], Got]) -> Got | None:
    """What `ask`, which never raises, gives; None when that takes longer. A thread of its own is left behind then.

    A service that sends a byte of white space now and then never lets a read time out, so the time is kept here.
    """
    answered: SimpleQueue[Got] = SimpleQueue()
    Thread(target=lambda: answered.put(ask()), name="llm-request", daemon=True).start()
    try:
        return answered.get(timeout=seconds)
    except Empty:
        return None


def _ask(
    config: LlmConfig, messages: Sequence[Mapping[str, str]], max_tokens: int, bare: bool
) -> Reply | Failure:
    module = litellm()
    extra = {} if bare else {"temperature": config.temperature, "response_format": {"type": "json_object"}}
    try:
        answer = module.completion(
            model=config.model,
            api_base=config.api_base,
            api_key=_key(config),
            messages=[dict(message) for message in messages],
            max_tokens=max_tokens,
            timeout=config.timeout_s,
            max_retries=0,
            num_retries=0,
            **extra,
            **{"no-log": True},
        )
        return _reply(answer)
    except Exception as error:  # noqa: BLE001 – litellm raises anything, IndexError for a strange body among it
        return failure_of(error)


def _key(config: LlmConfig) -> str | None:
    if config.api_key is not None or config.api_base is None:
        return config.api_key
    import os

    own = config.model.startswith("openai/") and not os.environ.get("OPENAI_API_KEY")
    return _NO_KEY if own else None


def _reply(answer: Any) -> Reply | Failure:
    if answer is None:  # what litellm makes of some rejected requests
        return Failure(RejectedError(), retry=False)
    choice = answer.choices[0]
    said = choice.message.content
    more = getattr(choice.message, "provider_specific_fields", None) or {}
    refused = choice.finish_reason == "content_filter" or bool(more.get("refusal"))
    usage = getattr(answer, "usage", None)
    prompt, completion = (_count(getattr(usage, f"{of}_tokens", None)) for of in ("prompt", "completion"))
    if not prompt:  # litellm says 0 where the service says nothing
        prompt = completion = None
    text = _storable(said) if isinstance(said, str) else ""
    return Reply(text, str(choice.finish_reason), refused, prompt, completion)


def _storable(text: str) -> str:
    """The text as any database and request takes it: of bounded length, without halves of characters and NUL."""
    return text[:LONGEST].encode(errors="replace").decode().replace("\x00", "")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 10**9 else None


def failure_of(error: BaseException) -> Failure:
    """What an exception of litellm or of the HTTP client below it means."""
    names = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    if "ContentPolicyViolationError" in names:
        return Failure(RefusedError(status=status), retry=False)
    if "APITimeoutError" in names or status in (408, 504):
        return Failure(TimedOutError(), retry=True, used=True)
    if status == 429:
        return Failure(RateLimitedError(status=429), retry=True, after_s=_retry_after(error))
    if "APIConnectionError" in names or "TransportError" in names:
        # cut in the middle of an answer, the answer was made all the same
        return Failure(UnreachableError(), retry=True, used="ConnectError" not in names)
    if status is not None and 300 <= status < 500:
        return Failure(RejectedError(status=status), retry=status in (409, 425), after_s=_retry_after(error))
    return Failure(ServerFailedError(status=status), retry=True, after_s=_retry_after(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _retry_after(error: BaseException) -> float | None:
    """Seconds that the service asks to wait: `retry-after-ms`, or `retry-after` as a number or a date."""
    headers = getattr(error, "litellm_response_headers", None) or {}
    thousandths = _number(headers.get("retry-after-ms"))
    if thousandths is not None:
        return thousandths / 1_000
    told = headers.get("retry-after")
    seconds = _number(told)
    if seconds is not None or not told:
        return seconds
    try:
        at = parsedate_to_datetime(str(told))
    except (ValueError, TypeError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
