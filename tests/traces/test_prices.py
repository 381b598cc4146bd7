from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from insights_pipeline.lake import start_ns
from insights_pipeline.traces import prices
from insights_pipeline.traces.prices import price, rates

DAY = date(2026, 3, 1)
GENAI = "genai-prices 0.2.3"


def cost(
    model: str | None,
    prompt: int | None = 1_000,
    completion: int | None = 100,
    *,
    provider: str | None = "openai",
    cached: int | None = None,
    written: int | None = None,
    kind: str = "llm",
    shipped: float | None = None,
    day: date = DAY,
) -> tuple[Any, Any]:
    costs, sources = price(
        provider=[provider],
        model=[model],
        start_ns=[start_ns(day)],
        kind=[kind],
        tokens=[[prompt], [completion], [cached], [written]],
        shipped=[shipped],
    )
    return costs[0], sources[0]


def test_a_known_answer_with_cached_tokens_at_their_own_rate() -> None:
    found, source = cost("gpt-4o-mini", 1_000, 0, cached=400)
    assert found == pytest.approx(0.00012)
    assert source == GENAI


def test_cache_writes_have_their_own_rate() -> None:
    found, _ = cost("claude-sonnet-4-5", 1_000, 0, provider="anthropic", cached=300, written=200)
    assert found == pytest.approx((500 * 3 + 300 * 0.3 + 200 * 3.75) / 1e6)


def test_a_retired_model_keeps_its_price() -> None:
    found, _ = cost("claude-sonnet-4-20250514", 1_000, 1_000, provider="anthropic")
    assert found == pytest.approx(0.018)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [("openai", "gpt-4.1"), ("google", "gemini-2.5-pro"), ("anthropic", "claude-sonnet-4-20250514")]
    ),
    st.integers(0, 400_000),
    st.integers(0, 50_000),
    st.floats(0, 1),
)
def test_multiplied_rates_equal_the_price_list_call_by_call(
    model: tuple[str, str], prompt: int, completion: int, share: float
) -> None:
    cached = int(prompt * share)
    usage = Usage(input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached)
    noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
    expected = calc_price(usage, model[1], provider_id=model[0], genai_request_timestamp=noon).total_price
    found, _ = cost(model[1], prompt, completion, provider=model[0], cached=cached)
    assert found == pytest.approx(float(expected), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("threshold", [200_000, 200_001])
def test_a_long_prompt_moves_the_whole_call_to_the_next_tier(threshold: int) -> None:
    found, _ = cost("gemini-2.5-pro", threshold, 0, provider="google")
    assert found == pytest.approx(threshold * (1.25 if threshold == 200_000 else 2.5) / 1e6)


@pytest.mark.parametrize("provider", ["openai", "azure.ai.openai", "azure_openai", None])
def test_a_provider_is_known_under_its_names(provider: str | None) -> None:
    assert cost("gpt-4o", 1_000_000, 0, provider=provider)[0] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("ft:gpt-4.1-2025-04-14:org::abc123", "openai"),
        ("ft:gpt-4.1-2025-04-14:org::abc123", None),
        ("no-such-model", "openai"),
        ("no-such-model", None),
        ("sd-xl", "stability"),
        ("gpt-4o", "my-own-gateway"),
        (None, "openai"),
        ("", None),
    ],
)
def test_an_unknown_price_is_missing_and_not_zero(model: str | None, provider: str | None) -> None:
    assert cost(model, provider=provider) == (None, None)


def test_what_genai_prices_does_not_know_is_looked_up_in_the_map_of_litellm() -> None:
    found, source = cost("text-embedding-3-small", 1_000_000, None, provider=None, kind="embedding")
    assert found == pytest.approx(0.02)
    assert source.startswith("litellm ")


def test_a_listed_price_of_zero_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {
        "mode": "chat",
        "input_cost_per_token": 0,
        "output_cost_per_token": 0.0,
        "litellm_provider": "openai",
    }
    paid = {**free, "input_cost_per_token": 1e-6}
    monkeypatch.setattr(prices, "_litellm_map", lambda: {"free-model": free, "paid-model": paid})
    rates.cache_clear()
    try:
        assert cost("free-model") == (None, None)
        assert cost("paid-model")[0] == pytest.approx(1e-3)
        assert cost("paid-model", provider="elsewhere") == (None, None)
    finally:
        rates.cache_clear()


def test_without_both_counts_there_is_no_cost() -> None:
    assert cost("gpt-4o", None, None) == (None, None)
    assert cost("gpt-4o", 10, None) == (None, None)
    assert cost("gpt-4o", None, 10) == (None, None)
    assert cost("gpt-4o", 0, 0) == (0.0, GENAI)


def test_a_shipped_cost_comes_before_any_list() -> None:
    assert cost("gpt-4o", shipped=0.5) == (0.5, "span")
    assert cost("gpt-4o", shipped=0.0) == (0.0, "span")
    assert cost("gpt-4o", 1_000_000, 0, shipped=-1.0) == (pytest.approx(2.5), GENAI)


def test_many_rows_are_priced_each_by_its_own_model_and_day() -> None:
    models: list[str | None] = ["gpt-4o", "gpt-4o-mini", None, "gpt-4o"] * 50
    costs, sources = price(
        provider=["openai"] * 200,
        model=models,
        start_ns=[start_ns(DAY) + row for row in range(200)],
        kind=["llm"] * 200,
        tokens=[list(range(200)), [1] * 200, [None] * 200, [0] * 200],
        shipped=[None] * 200,
    )
    for row, model in enumerate(models):
        assert (costs[row], sources[row]) == cost(model, row, 1)


def test_neither_import_nor_pricing_imports_litellm_or_needs_a_network() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from insights_pipeline.traces.prices import rates\n"
        "assert 'genai_prices' not in sys.modules\n"
        "from datetime import date\n"
        "assert rates('openai', 'gpt-4o', date(2026, 3, 1))\n"
        "assert rates(None, 'text-embedding-3-small', date(2026, 3, 1)).source.startswith('litellm')\n"
        "assert 'litellm' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
