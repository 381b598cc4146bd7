"""A budget while it is spent: no request is sent whose longest answer would go over it."""

from __future__ import annotations

from insights_pipeline.llm.config import Budget
from insights_pipeline.llm.errors import BudgetSpentError
from insights_pipeline.llm.quiet import cost_usd

# Tokens are counted by one table; those of other models make up to a quarter more of the same text.
_OTHER_TOKENIZERS = 1.25
_PER_MESSAGE = 8


class Ledger:
    """What one model has used of its budget."""

    def __init__(self, budget: Budget, model: str) -> None:
        self._budget, self._model = budget, model
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.usd: float | None = 0.0

    def admit(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Raises BudgetSpentError when a request with so many tokens could exceed what is left."""
        most, used = self._budget.tokens, self.prompt_tokens + self.completion_tokens
        if most is not None and used + prompt_tokens + completion_tokens > most:
            raise BudgetSpentError(f"{used:,} of {most:,} tokens are used")
        price = cost_usd(self._model, prompt_tokens, completion_tokens)
        if self._budget.usd is None or price is None or self.usd is None:
            return
        if self.usd + price > self._budget.usd:
            raise BudgetSpentError(f"{self.usd:.4f} of {self._budget.usd:.4f} USD are used")

    def charge(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Count a request; gives its price in USD, None when that is not known."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        price = cost_usd(self._model, prompt_tokens, completion_tokens)
        self.usd = None if price is None or self.usd is None else self.usd + price
        return price


def with_margin(tokens: int, messages: int) -> int:
    """The most tokens that a prompt of so many by our count may have by the model's."""
    return round(tokens * _OTHER_TOKENIZERS) + _PER_MESSAGE * messages
