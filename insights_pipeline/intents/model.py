"""The intent model of a day: values that survive the lake unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.labels import Label
from insights_pipeline.intents.vectors import Halves, pack, unpack

LEARNING, READY = "learning", "ready"
EMERGING, ACTIVE, FADING, RETIRED = "emerging", "active", "fading", "retired"


@dataclass(frozen=True, slots=True)
class Intent:
    """Something users ask for. Vectors are fp16: `centroid` (256,), `exemplar_vectors` (n, 256)."""

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
            exemplar_vectors=unpack([row["exemplar_vectors"]]),
        )


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
        return tuple(intent for intent in self.intents if intent.status != RETIRED)

    def classifier(self) -> Classifier:
        living = self.living
        return Classifier.of(
            np.stack([intent.centroid for intent in living]),
            [intent.exemplar_vectors for intent in living],
        )

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


def learning(traces_seen: int) -> Model:
    """The model before there is enough traffic to know anything."""
    return Model(LEARNING, LEARNING, None, None, traces_seen, {}, ())


def succeed(
    parent: Model,
    *,
    traces_seen: int,
    intents: Sequence[Intent],
    thresholds: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    space: str | None = None,
) -> Model:
    """The model after `parent`: intents by id, version from the contents, the parent's parent while nothing changed."""
    ordered = tuple(sorted(intents, key=lambda intent: intent.intent_id))
    child = replace(
        parent,
        status=READY,
        space=space or parent.space,
        traces_seen=traces_seen,
        thresholds=dict(thresholds),
        intents=ordered,
        events=tuple(events),
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
        digest.update("|".join([intent.intent_id, intent.status, intent.name, intent.category]).encode())
        digest.update(pack(intent.centroid))
        digest.update(pack(intent.exemplar_vectors))
    return "im_" + digest.hexdigest()[:12]
