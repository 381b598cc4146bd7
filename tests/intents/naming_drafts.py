"""Drafts of made-up intents, each of some twenty messages, as discovery would form them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import product
from typing import Any

import numpy as np

from benchmarks.llm_endpoint import Endpoint
from insights_pipeline.intents.discovery.discover import form
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.embedding.wordllama_space import fit_space
from insights_pipeline.intents.model import ACTIVE, Draft, Intent
from insights_pipeline.intents.naming.labels import label_groups
from insights_pipeline.intents.naming.language_model import LlmNamer
from insights_pipeline.intents.vectors import Texts
from insights_pipeline.llm import Budget, LlmClient, LlmConfig

DAY = date(2026, 3, 2)

# topic → ways to ask, things asked for
_ASKED: dict[str, tuple[str, str]] = {
    "order": (
        "where is|can you track|what happened to|i wait for",
        "my order|my parcel|my delivery|the shipment of my order",
    ),
    "refund": (
        "i want|please give me|how do i get|can i have",
        "a refund for the lamp|a refund|a refund of these shoes|my refund for the chair",
    ),
    "password": (
        "i forgot|please reset|help me change|i cannot remember",
        "my password|my login password|the password of my account|the password",
    ),
    "invoice": (
        "send me|where can i download|i need a copy of|there is an error on",
        "my invoice|the invoice for march|last month's invoice|an invoice",
    ),
    "address": (
        "please update|how do i change|i want to correct|replace",
        "my shipping address|my street address|my postal address|the address on file",
    ),
    "loyalty": (
        "how many|when do i get|why did i lose|how do i redeem",
        "loyalty points|reward points|bonus points|points on my gold card",
    ),
    "weather": (
        "what is|tell me|check|show me",
        "the weather in paris|tomorrow's weather|the weather forecast|the weather for sunday",
    ),
    "recipe": (
        "find|suggest|i need|how do i cook",
        "a recipe for soup|a pasta recipe|a vegan recipe|the recipe for pancakes",
    ),
    "flight": (
        "book|find|i need|look for",
        "a flight to rome|a cheap flight|a flight on monday|a direct flight to oslo",
    ),
    "alarm": (
        "set|cancel|change|snooze",
        "my alarm|an alarm for seven|the alarm clock|the morning alarm",
    ),
    "music": (
        "play|put on|i want to hear|start",
        "some music|jazz music|music by mozart|my workout music",
    ),
    "salary": (
        "when is|how high is|where do i see|why is",
        "my salary|my monthly salary|the salary payment|my salary this month",
    ),
}

TOPICS = tuple(_ASKED)


def messages(topic: str) -> list[str]:
    """Sixteen ways to ask for it."""
    verbs, things = (part.split("|") for part in _ASKED[topic])
    return [f"{verb} {thing}" for verb, thing in product(verbs, things)]


def draft_of(groups: Mapping[str, Sequence[str]]) -> tuple[Draft, Space, dict[str, str]]:
    """A draft with one intent for each group of messages, its space, and the ids of the intents by group."""
    texts = [text for group in groups.values() for text in group]
    space = fit_space(texts)
    ids = tuple(f"{number:032x}" for number in range(len(texts)))
    sample = Texts((DAY,) * len(texts), ids, tuple(texts), space.embed(texts))
    labels = label_groups([space.core(list(group)) for group in groups.values()])
    intents: dict[str, Intent] = {}
    of: dict[str, str] = {}
    start = 0
    for (key, group), label in zip(groups.items(), labels, strict=True):
        members = np.arange(start, start + len(group))
        start += len(group)
        intent = form(sample, members, label, born=DAY, status=ACTIVE, category="Everything")
        intents[intent.intent_id] = intent
        of[key] = intent.intent_id
    return Draft(intents, {"unknown": 0.2}), space, of


def usual(*more: Sequence[str]) -> tuple[Draft, Space, dict[str, str]]:
    """The twelve topics, and further groups of messages as "more0", "more1", …"""
    groups = {topic: messages(topic) for topic in TOPICS}
    return draft_of({**groups, **{f"more{number}": group for number, group in enumerate(more)}})


def named(server: Endpoint, draft: Draft, space: Any, *, first: bool = True) -> Draft:
    """The draft after a namer that asks the server, without a limit and without waiting."""
    config = LlmConfig("openai/gpt-4.1-mini", api_base=server.url, api_key="none")
    client = LlmClient(config, budget=Budget(usd=None, tokens=None), sleep=lambda _: None)
    return LlmNamer(client, redact=lambda text: text).named(draft, space=space, first=first)
