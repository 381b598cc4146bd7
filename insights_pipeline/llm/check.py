"""Whether a language model could be asked, told without asking it."""

from __future__ import annotations

from insights_pipeline.llm.config import Budget, LlmConfig
from insights_pipeline.llm.quiet import cost_usd, litellm

_MILLION = 1_000_000


def readiness(config: LlmConfig, budget: Budget) -> str:
    """The model, its price and its limits, in a sentence. Nothing is sent.

    Raises ValueError for a name that litellm does not know how to reach, or when no key is to be found.
    """
    module = litellm()
    try:
        _, provider, _, _ = module.get_llm_provider(config.model, api_base=config.api_base)
    except Exception:  # noqa: BLE001 – its text repeats what it was given
        raise ValueError(
            f"{config.model}: no provider of that name; write PROVIDER/MODEL as litellm does, e.g. openai/gpt-4.1-mini"
        ) from None
    if config.api_key is None and config.api_base is None:
        missing = module.validate_environment(config.model)["missing_keys"]
        if missing:
            raise ValueError(f"{config.model}: no key; set it, or {' and '.join(missing)}")
    prompt, completion = cost_usd(config.model, _MILLION, 0), cost_usd(config.model, 0, _MILLION)
    tokens = "any number of" if budget.tokens is None else f"{budget.tokens:,}"
    where = "its own address" if config.api_base else provider
    if prompt is None or completion is None:
        return f"{config.model} at {where}, price unknown, at most {tokens} tokens a run"
    usd = "any sum" if budget.usd is None else f"{budget.usd:g} USD"
    return (
        f"{config.model} at {where}, {prompt:g} + {completion:g} USD for a million tokens in + out, "
        f"at most {usd} and {tokens} tokens a run"
    )
