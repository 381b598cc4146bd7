"""The intent model of a day: values that survive the lake unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.naming.labels import Label
from insights_pipeline.intents.vectors import Halves, pack, unpack

LEARNING, READY = "learning", "ready"
EMERGING, ACTIVE, FADING, RETIRED, MERGED = "emerging", "active", "fading", "retired", "merged"
WORDS, LLM, PERSON = "words", "llm", "person"  # who gave a name, a category, a merge


@dataclass(frozen=True, slots=True)
class SubIntent:
    """A kind of request within a large intent: its name, its share of the intent, messages with their traces."""

    name: str
    share: float
    exemplar_ids: tuple[str, ...] = field(repr=False)
    exemplar_texts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Intent:
    """Something users ask for. Vectors are fp16: `centroid` (d,), `exemplar_vectors` (n, d).

    `merged_into` is the intent that a merged one is now part of: its vectors still decide, its traces are the other's.
    `changed` is the first day of the definition in force: metrics of earlier days are of another set of traces.
    """

    intent_id: str
    slug: str
    name: str
    description: str
    category: str
    status: str
    phrases: tuple[str, ...]
    born: date
    size: int
    centroid: Halves = field(repr=False)
    exemplar_ids: tuple[str, ...] = field(repr=False)
    exemplar_texts: tuple[str, ...] = field(repr=False)
    exemplar_vectors: Halves = field(repr=False)
    changed: date | None = None  # None: since birth
    last_seen: date | None = None
    named_by: str = WORDS  # words | llm | person
    category_by: str = WORDS  # words | llm | person | predefined
    category_margin: float | None = None  # lead of a predefined category over the second
    nearest_id: str | None = None  # the living intent most like this one
    apart: str = ""  # what sets it apart from that one, a sentence
    sub_intents: tuple[SubIntent, ...] = field(default=(), repr=False)
    trend: str | None = None  # growing | declining | stable | new; None: too little traffic to tell
    trend_change: float | None = None  # of traces a day, over 30 days: 0.5 is half as many again
    trend_p: float | None = None
    merged_into: str | None = None
    split_from: str | None = None
    pinned: bool = False  # a person said: leave as it is

    @property
    def label(self) -> Label:
        return Label(self.name, self.slug, self.phrases)

    def row(self, day: date, version: str) -> dict[str, object]:
        return {
            "date": day,
            "intent_id": self.intent_id,
            "version": version,
            "slug": self.slug,
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "status": self.status,
            "phrases": list(self.phrases),
            "born": self.born,
            "size": self.size,
            "centroid": pack(self.centroid),
            "exemplar_ids": list(self.exemplar_ids),
            "exemplar_texts": list(self.exemplar_texts),
            "exemplar_vectors": pack(self.exemplar_vectors),
            **{name: getattr(self, name) for name in _PLAIN},
            "sub_intents": json.dumps([asdict(one) for one in self.sub_intents])
            if self.sub_intents
            else None,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Intent:
        return cls(
            **{name: row[name] for name in ("intent_id", "slug", "name", "description", "category")},
            **{name: row[name] for name in ("status", "born", "size")},
            phrases=tuple(row["phrases"]),
            centroid=unpack([row["centroid"]])[0],
            exemplar_ids=tuple(row["exemplar_ids"]),
            exemplar_texts=tuple(row["exemplar_texts"]),
            exemplar_vectors=unpack([row["exemplar_vectors"]], len(row["centroid"]) // 2),
            # a row that was written before these columns existed has none of them
            **{name: row[name] for name in _PLAIN if row.get(name) is not None},
            sub_intents=tuple(
                SubIntent(one["name"], one["share"], tuple(one["exemplar_ids"]), tuple(one["exemplar_texts"]))
                for one in json.loads(row.get("sub_intents") or "[]")
            ),
        )


_PLAIN = (
    "changed", "last_seen", "named_by", "category_by", "category_margin", "nearest_id", "apart", "trend",
    "trend_change", "trend_p", "merged_into", "split_from", "pinned",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A model in the making: intents by id, what decides, and what happened today. Every step gives a new one."""

    intents: Mapping[str, Intent]
    thresholds: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...] = ()

    def with_(self, intents: Mapping[str, Intent], *events: Mapping[str, Any]) -> Draft:
        return replace(self, intents=dict(intents), events=(*self.events, *events))


@dataclass(frozen=True, slots=True)
class Model:
    """The intents known on a day. `thresholds` holds what decides: unknown score, refreshes of emerging intents.

    `version` is a hash of the contents, so a day on which nothing changed keeps its parent's version;
    `parent` is the version before the last change.
    """

    status: str
    version: str
    parent: str | None
    space: str | None
    traces_seen: int
    thresholds: Mapping[str, Any]
    intents: tuple[Intent, ...]
    events: tuple[Mapping[str, Any], ...] = ()

    @property
    def living(self) -> tuple[Intent, ...]:
        """The intents that traces may be given."""
        return tuple(intent for intent in self.intents if intent.status not in (RETIRED, MERGED))

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of the classifier stands for: a living intent; of a merged one, what it is now part of."""
        return tuple(target for _, target in self._classes())

    def classifier(self) -> Classifier:
        classes = self._classes()
        numbers = {target: number for number, target in enumerate(dict.fromkeys(self.columns))}
        return Classifier.of(
            np.stack([intent.centroid for intent, _ in classes]),
            [intent.exemplar_vectors for intent, _ in classes],
            [numbers[target] for _, target in classes],
        )

    def _classes(self) -> list[tuple[Intent, str]]:
        living = {intent.intent_id for intent in self.living}
        return [(intent, target) for intent, target in with_wholes(self.intents) if target in living]

    def target_of(self, intent_id: str) -> str:
        """The intent that this one is now part of, itself if it was never merged."""
        return whole_of(_merges(self.intents), intent_id)

    def row(self, day: date, bootstrap_traces: int) -> dict[str, object]:
        return {
            "date": day,
            "version": self.version,
            "parent": self.parent,
            "space": self.space,
            "status": self.status,
            "traces_seen": self.traces_seen,
            "bootstrap_traces": bootstrap_traces,
            "thresholds": json.dumps(dict(self.thresholds), sort_keys=True),
            "events": json.dumps([dict(event) for event in self.events], sort_keys=True),
        }

    @classmethod
    def from_rows(cls, row: Mapping[str, Any], intents: Sequence[Mapping[str, Any]]) -> Model:
        return cls(
            **{name: row[name] for name in ("status", "version", "parent", "space", "traces_seen")},
            thresholds=json.loads(row["thresholds"] or "{}"),
            intents=tuple(
                Intent.from_row(one) for one in sorted(intents, key=lambda one: str(one["intent_id"]))
            ),
            events=tuple(json.loads(row["events"] or "[]")),
        )


def with_wholes(intents: Sequence[Intent]) -> list[tuple[Intent, str]]:
    """Every intent with the id of the one that it is now part of, its own if it was never merged."""
    into = _merges(intents)
    return [(one, whole_of(into, one.intent_id)) for one in intents]


def _merges(intents: Sequence[Intent]) -> dict[str, str | None]:
    return {one.intent_id: one.merged_into for one in intents if one.status == MERGED}


def whole_of(into: Mapping[str, str | None], intent_id: str) -> str:
    """The end of a chain of merges, `into` saying of merged ids what they are part of; in a circle the id itself."""
    seen = {intent_id}
    now = intent_id
    while after := into.get(now):
        if after in seen:
            return intent_id
        seen.add(after)
        now = after
    return now


def learning(traces_seen: int) -> Model:
    """The model before there is enough traffic to know anything."""
    return Model(LEARNING, LEARNING, None, None, traces_seen, {}, ())


def succeed(parent: Model, draft: Draft, *, traces_seen: int, space: str) -> Model:
    """The model after `parent`: intents by id, version from the contents, the parent's parent while nothing changed."""
    ordered = tuple(sorted(draft.intents.values(), key=lambda intent: intent.intent_id))
    child = replace(
        parent,
        status=READY,
        space=space,
        traces_seen=traces_seen,
        thresholds=dict(draft.thresholds),
        intents=ordered,
        events=draft.events,
    )
    version = _digest(child)
    if version == parent.version:
        return child
    return replace(child, version=version, parent=parent.version if parent.status == READY else None)


def intent_id(born: date, member_ids: Sequence[str]) -> str:
    """An id from the day of birth and the members of that day, whatever their order."""
    text = "\n".join([str(born), *sorted(member_ids)])
    return "int_" + hashlib.sha256(text.encode()).hexdigest()[:10]


def _digest(model: Model) -> str:
    # What classification depends on, and how it is told; counters of pending decisions are not a new version.
    digest = hashlib.sha256(f"{model.space}|{model.thresholds.get('unknown')!r}".encode())
    for intent in model.intents:
        told = [intent.intent_id, intent.status, intent.name, intent.category, intent.merged_into or ""]
        digest.update("|".join(told).encode())
        digest.update(pack(intent.centroid))
        digest.update(pack(intent.exemplar_vectors))
    return "im_" + digest.hexdigest()[:12]
