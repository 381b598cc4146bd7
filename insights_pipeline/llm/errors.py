"""Why a question to a language model has no answer.

The texts of these errors are fixed: what a provider says may hold the prompt or the key, so none of it is kept.
"""

from __future__ import annotations

from typing import ClassVar


class LlmError(Exception):
    """No usable answer. `reason` is one of a few words to count by, `status` the HTTP status if there was one."""

    reason: ClassVar[str] = "failed"
    says: ClassVar[str] = "the language model gave no usable answer"

    def __init__(self, detail: str = "", *, status: int | None = None) -> None:
        self.status = status
        told = f" ({status})" if status else ""
        super().__init__(f"{self.says}{told}{': ' + detail if detail else ''}")


class NotAskedError(LlmError):
    """The question was not sent."""


class BudgetSpentError(NotAskedError):
    """The answer could cost more than is left of the budget."""

    reason = "budget"
    says = "the budget of the language model would be exceeded"


class GivenUpError(NotAskedError):
    """The service failed too often in this run."""

    reason = "given up"
    says = "the language model failed too often in this run and is not asked any more"


class ServiceError(LlmError):
    """The service did not answer; nothing is known about the question itself."""


class RateLimitedError(ServiceError):
    reason = "rate limit"
    says = "the language model's service allows no more requests for now"


class TimedOutError(ServiceError):
    reason = "timeout"
    says = "the language model did not answer in time"


class UnreachableError(ServiceError):
    reason = "connection"
    says = "the connection to the language model failed"


class ServerFailedError(ServiceError):
    reason = "server error"
    says = "the language model's service failed"


class RejectedError(ServiceError):
    """Asking again would be answered alike: a wrong key, an unknown model, a request it does not take."""

    reason = "rejected"
    says = "the language model's service rejects the request: check model, address and key"


class BadAnswerError(LlmError):
    """The model answered, but not what was asked for."""


class MalformedError(BadAnswerError):
    reason = "malformed"
    says = "the language model's answer is not the JSON asked for"


class TruncatedError(BadAnswerError):
    reason = "truncated"
    says = "the language model's answer was cut at its longest length"


class RefusedError(BadAnswerError):
    reason = "refused"
    says = "the language model refused to answer"
