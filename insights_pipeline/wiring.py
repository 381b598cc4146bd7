"""From settings to what the domains take: one place, used by the assets and the commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from insights_pipeline.settings import settings

if TYPE_CHECKING:
    from insights_pipeline.drift.life.decisions import Decision
    from insights_pipeline.intents.embedding.spaces import Embeddings
    from insights_pipeline.intents.naming.language_model import LlmNamer
    from insights_pipeline.intents.steering import Steering
    from insights_pipeline.llm import Budget, LlmConfig
    from insights_pipeline.state import State
    from insights_pipeline.traces.redaction import Redactor

_LEAVES = ("email", "phone", "card", "key", "ip")  # redacted, at least, in what leaves the machine


def state() -> State:
    """The database of what people edit; opened on first use."""
    from insights_pipeline.state import State

    return State(settings().state_url.get_secret_value())


def outbound() -> Callable[[str], str]:
    """What goes over every text before it leaves the machine: all that is blotted out on the way in, and `_LEAVES`.

    It is made for the first text: most runs send none, and a pipeline for names takes seconds to load.
    """
    config = settings()

    @cache
    def made() -> Redactor:
        from insights_pipeline.traces.redaction import Redactor
        from insights_pipeline.traces.redaction_names import presidio

        names = presidio(config.redact_names_model) if config.redact_names_model else None
        return Redactor(sorted({*_LEAVES, *config.redact}), patterns=config.redact_patterns, names=names)

    def redact(text: str) -> str:
        return made()(text)

    return redact


def embeddings() -> Embeddings:
    """How texts become vectors."""
    from insights_pipeline.intents.embedding.spaces import Embeddings

    config = settings()
    key = config.embedding_api_key
    return Embeddings(
        config.embedding,
        api_base=config.embedding_api_base,
        api_key=key.get_secret_value() if key else None,
        redact=outbound(),
    )


def language_model() -> tuple[LlmConfig, Budget] | None:
    """The language model and what a run may cost; None where none is set."""
    from insights_pipeline.llm import Budget, LlmConfig

    config = settings()
    if config.llm_model is None:
        return None
    key = config.llm_api_key
    return (
        LlmConfig(
            config.llm_model,
            api_base=config.llm_api_base,
            api_key=key.get_secret_value() if key else None,
            timeout_s=config.llm_timeout_seconds,
            patience_s=3 * config.llm_timeout_seconds,
        ),
        Budget(config.llm_budget_usd, config.llm_budget_tokens),
    )


def namer() -> LlmNamer | None:
    """What names intents in one run; None where no language model is set."""
    from insights_pipeline.intents.naming.language_model import LlmNamer
    from insights_pipeline.llm import LlmClient
    from insights_pipeline.state import StoredAnswers

    model = language_model()
    if model is None:
        return None
    client = LlmClient(model[0], budget=model[1], cache=StoredAnswers(state()))
    return LlmNamer(client, redact=outbound())


def decisions() -> list[Decision]:
    """What people decided about drift items. Raises StateError where the database cannot be read."""
    from insights_pipeline.drift.life.decisions import decisions_of
    from insights_pipeline.state import drift_decisions

    return decisions_of(drift_decisions(state()))


def steering(namer: LlmNamer | None = None) -> Steering:
    """All that settings and people say about the intents. Raises StateError where the database cannot be read."""
    from insights_pipeline.intents.arrangement.arrange import Category
    from insights_pipeline.intents.corrections.correct import edits_of
    from insights_pipeline.intents.steering import Steering
    from insights_pipeline.state import intent_edits

    config = settings()
    return Steering(
        embeddings=embeddings(),
        granularity=config.intent_granularity,
        attributes=config.intent_attributes,
        categories=[Category(one.name, one.description, one.examples) for one in config.intent_categories],
        edits=edits_of(intent_edits(state())),
        namer=namer,
    )
