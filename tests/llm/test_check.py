from __future__ import annotations

import pytest

from insights_pipeline.llm import Budget, LlmConfig
from insights_pipeline.llm.check import readiness

BUDGET = Budget(usd=1.0, tokens=500_000)


def test_a_model_is_told_with_its_price_and_limits_but_not_its_key() -> None:
    told = readiness(LlmConfig("openai/gpt-4.1-mini", api_key="sk-canary"), BUDGET)
    assert "0.4 + 1.6 USD" in told and "1 USD and 500,000 tokens" in told
    assert "canary" not in told


def test_a_model_without_a_price_is_limited_by_tokens() -> None:
    told = readiness(LlmConfig("openai/our-own", api_base="http://user:pass@127.0.0.1:9/v1"), BUDGET)
    assert "price unknown, at most 500,000 tokens" in told
    assert "pass" not in told


def test_a_missing_key_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        readiness(LlmConfig("openai/gpt-4.1-mini"), BUDGET)


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ValueError, match="PROVIDER/MODEL"):
        readiness(LlmConfig("nobody-knows-this"), BUDGET)
