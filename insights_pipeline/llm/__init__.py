"""The language model: one client, with a budget, checked answers and a cache; litellm is imported nowhere else."""

from insights_pipeline.llm.cache import AnswerCache, MemoryCache
from insights_pipeline.llm.client import LlmClient
from insights_pipeline.llm.config import Budget, LlmConfig
from insights_pipeline.llm.errors import BudgetSpentError, GivenUpError, LlmError, NotAskedError
from insights_pipeline.llm.prompts import Prompt, fenced_prompt
from insights_pipeline.llm.spent import Spent
from insights_pipeline.llm.visible import has_link, plain, visible

__all__ = [
    "AnswerCache", "Budget", "BudgetSpentError", "GivenUpError", "LlmClient", "LlmConfig", "LlmError", "MemoryCache",
    "NotAskedError", "Prompt", "Spent", "fenced_prompt", "has_link", "plain", "visible",
]  # fmt: skip
