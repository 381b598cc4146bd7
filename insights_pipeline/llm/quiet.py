"""litellm, imported late and made to keep quiet: no download, no telemetry, no prompts or keys in any log."""

from __future__ import annotations

import logging
import os
import warnings
from functools import cache
from threading import Lock
from typing import Any

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai", "httpx", "httpcore")


_loading = Lock()  # several threads may ask first at once, and what keeps warnings quiet is not theirs alone


def litellm() -> Any:
    """The module. Its import takes seconds, so nothing imports it before there is a question to ask."""
    with _loading:
        return _loaded()


@cache
def _loaded() -> Any:
    # else it fetches its price map from the network when it is imported
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    # else it reads a file .env in a folder above its own: a run's environment would change in the middle of it
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm as module

        module.ModelResponse()  # builds its pydantic schemas, with warnings about its own types
    module.suppress_debug_info = True
    module.drop_params = True
    module.turn_off_message_logging = True
    module.redact_messages_in_exceptions = True
    module.disable_hf_tokenizer_download = True
    module.telemetry = False  # gone in newer versions, on by default in older ones
    module.success_callback, module.failure_callback, module.callbacks = [], [], []
    for name in _LOGGERS:  # one logs whole requests, one the address of every call
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return module


def count_tokens(text: str) -> int:
    """Tokens of a text, the same for every model: by OpenAI's cl100k table, which litellm brings along."""
    return int(litellm().token_counter(model="gpt-4", text=text))


def cost_usd(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """What a call costs by litellm's price map, or None where the model's price is not in it."""
    module = litellm()
    try:
        prompt, completion = module.cost_per_token(
            model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
    except Exception:  # noqa: BLE001 – what it raises for a model without a price differs by version
        return None
    return float(prompt) + float(completion)
