"""Two sentences of a language model on top of a brief: asked once, checked against the facts, dropped when wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

from pydantic import BaseModel

from insights_pipeline.brief.claims import Source, quotes_a_name, unsupported
from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.wording import PERIOD, Told, counts, page
from insights_pipeline.drift.life.item import RESOLVED
from insights_pipeline.intents.naming.suspects import speaks_to_model
from insights_pipeline.llm import LlmClient, LlmError, Prompt, fenced_prompt

ASKED_DAYS = 7
KEPT = "kept"
_MAX_TOKENS = 1_000
_PACKAGE = "insights_pipeline.brief"


class SummaryAnswer(BaseModel):
    first: str
    second: str


class Summariser:
    """What sums up the briefs of one run; `outcomes` tells of each why it has no summary, or "kept".

    Only briefs whose window ended within `ASKED_DAYS` before `today` are asked about: a backfill of a year costs
    nothing. Older ones get what the model once answered to the same facts, which `recall` (a client with the same
    cache and a budget of nothing) looks up; so a brief that is made again stays as it was.
    """

    def __init__(
        self, ask: LlmClient, *, recall: LlmClient, redact: Callable[[str], str], today: date
    ) -> None:
        self._ask, self._recall, self._redact, self._today = ask, recall, redact, today
        self.outcomes: dict[tuple[str, date], str] = {}

    def __call__(self, facts: Facts) -> str | None:
        """Two sentences, or None: nothing changed, no answer, or an answer that says what the facts do not."""
        if facts.status != "changed":
            return None
        text, outcome = self._summary(facts)
        self.outcomes[facts.cadence, facts.first] = outcome
        return text

    def _summary(self, facts: Facts) -> tuple[str | None, str]:
        source = source_of(facts, self._redact)
        client = self._ask if (self._today - facts.last).days <= ASKED_DAYS else self._recall
        try:
            answer = client.complete(summary_prompt(source), SummaryAnswer, max_tokens=_MAX_TOKENS)
        except LlmError as error:
            return None, error.reason if client is self._ask else "too old to ask"
        sentences = [" ".join(one.split()) for one in (answer.first, answer.second)]
        if any(speaks_to_model(one) for one in sentences) or not quotes_a_name(sentences[0]):
            return None, "name"
        wrong = unsupported(sentences, source)
        return (None, wrong) if wrong else (" ".join(sentences), KEPT)


def source_of(facts: Facts, redact: Callable[[str], str]) -> Source:
    """What the model is shown and held to: each line in words under its name, and what is said of the whole.

    A name that speaks to the model is not shown: its line goes by its id.
    """
    words = page(facts)
    lines: dict[str, str] = {}
    directions: dict[str, frozenset[str]] = {}
    for told in words.lines:
        subject = redact(told.subject).replace('"', "'").replace("“", "'").replace("”", "'")
        name = told.line.intent_id if speaks_to_model(subject) else subject
        lines[name] = "\n".join(part for part in (lines.get(name), _line(told, redact)) if part)
        directions[name] = directions.get(name, frozenset()) | _directions(told)
    parts = (words.title, _counts(facts), words.more, words.traffic)
    return Source("\n".join(part for part in parts if part), lines, directions)


def summary_prompt(source: Source) -> Prompt:
    """The question, with the report as data that cannot leave its block."""
    data = {
        "report": source.overall.split("\n"),
        "changes": [{"name": name, "told": text.split("\n")} for name, text in source.lines.items()],
    }
    return fenced_prompt(_PACKAGE, "summary", json.dumps(data, ensure_ascii=False, indent=1))


def _counts(facts: Facts) -> str:
    return f"{counts(facts)} this {PERIOD[facts.cadence]}"


def _line(told: Told, redact: Callable[[str], str]) -> str:
    values = f" ({told.values})" if told.values else ""
    change = f" {told.change}" if told.change else ""
    head = f"[{told.state}, {told.severity}] {told.verb}{change}{values}, {told.since}"
    # members of a shared change and tools are names of strangers too
    rest = [redact(one) for one in told.details if not speaks_to_model(one)]
    return "; ".join([head, *rest])


def _directions(told: Told) -> frozenset[str]:
    if told.state == RESOLVED:
        return frozenset({"over"})
    return frozenset({told.line.direction, *(one.direction for one in told.line.also)})
