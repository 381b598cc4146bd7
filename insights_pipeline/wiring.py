"""From settings to what the domains take: one place, used by the assets and the commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from insights_pipeline.settings import settings

if TYPE_CHECKING:
    from datetime import date

    from insights_pipeline.brief.links import Links
    from insights_pipeline.brief.summary import Summariser
    from insights_pipeline.drift.life.decisions import Decision
    from insights_pipeline.intents.embedding.spaces import Embeddings
    from insights_pipeline.intents.naming.language_model import LlmNamer
    from insights_pipeline.intents.steering import Steering
    from insights_pipeline.llm import Budget, LlmConfig
    from insights_pipeline.notify import ContactPoint, Outbound
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


def links() -> Links:
    """Where the links of a brief lead."""
    from insights_pipeline.brief.links import Links

    return Links(settings().ui_url)


def summariser(today: date) -> Summariser | None:
    """What puts briefs into two sentences in one run; None where no language model is set."""
    from insights_pipeline.brief.summary import Summariser
    from insights_pipeline.llm import Budget, LlmClient
    from insights_pipeline.state import StoredAnswers

    model = language_model()
    if model is None:
        return None
    cache = StoredAnswers(state())
    return Summariser(
        LlmClient(model[0], budget=model[1], cache=cache),
        recall=LlmClient(model[0], budget=Budget(0.0, 0), cache=cache),
        redact=outbound(),
        today=today,
    )


def contact_points() -> dict[str, ContactPoint]:
    """Who can be told, by name. Raises ContactPointError where one is set up wrongly."""
    from insights_pipeline.notify import Email, Slack, Webhook

    found: dict[str, ContactPoint] = {}
    for name, point in settings().contact_points.items():
        if point.kind == "slack":
            found[name] = Slack(name, point.url.get_secret_value())
        elif point.kind == "webhook":
            headers = {header: value.get_secret_value() for header, value in point.headers.items()}
            found[name] = Webhook(name, point.url.get_secret_value(), headers)
        else:
            found[name] = Email(name, point.to)
    return found


def brief_points() -> list[ContactPoint]:
    """Those of the contact points that briefs go to. Raises ContactPointError for a name that is none of them."""
    from insights_pipeline.notify import named

    return named(contact_points(), settings().brief_to, "INSIGHTS_BRIEF_TO")


def outgoing() -> Outbound:
    """How messages leave: the mail server, and hosts that may be called though they are private or not https."""
    from insights_pipeline.notify import Outbound, Smtp

    config = settings()
    smtp = (
        Smtp.from_url(config.smtp_url.get_secret_value(), sender=config.smtp_from)
        if config.smtp_url
        else None
    )
    return Outbound(smtp=smtp, hosts=config.outbound_hosts)


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
