"""What the questions of a run came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spent:
    """Counts of one run, or of a part of it.

    `calls` are requests that were sent, `retries` those of them that repeat one without an answer, `repairs` those
    that ask for a malformed answer again. `failures` are questions without an answer, by reason. Where a service
    does not tell its tokens, or never answered, the most that it may have used is counted. `usd` is None as soon as
    one price is unknown.
    """

    calls: int = 0
    cached: int = 0
    retries: int = 0
    repairs: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def since(self, before: Spent) -> Spent:
        """What was spent after `before`, an earlier state of the same run."""
        failures = Counter(self.failures)
        failures.subtract(before.failures)
        return Spent(
            self.calls - before.calls,
            self.cached - before.cached,
            self.retries - before.retries,
            self.repairs - before.repairs,
            {reason: count for reason, count in sorted(failures.items()) if count},
            self.prompt_tokens - before.prompt_tokens,
            self.completion_tokens - before.completion_tokens,
            None if self.usd is None or before.usd is None else self.usd - before.usd,
            self.seconds - before.seconds,
        )
