"""Corrections as a person sees them before the next run: what they will do, and how far each of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from insights_pipeline.intents.corrections.correct import corrected
from insights_pipeline.intents.corrections.edits import REDISCOVER, Edit, Part
from insights_pipeline.intents.corrections.ledger import KEY
from insights_pipeline.intents.corrections.parts import Divided, split
from insights_pipeline.intents.embedding.spaces import Embeddings, Space
from insights_pipeline.intents.model import MERGED, READY, RETIRED, Draft, Intent, Model, succeed
from insights_pipeline.intents.stored import models_of, space_named
from insights_pipeline.intents.vectors import Halves
from insights_pipeline.lake import DayRange, Engine, Lake

APPLIED, PENDING, WAITING, UNDONE = "applied", "pending", "waiting", "undone"
_CANDIDATES = 8


class UnknownIntentError(ValueError):
    """No intent, or more than one, is meant by a reference; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The model of a day with the corrections that its next run will apply; `events` is what that will tell."""

    day: date
    stored: Model
    model: Model
    space: Space
    events: tuple[Mapping[str, Any], ...]

    @property
    def discovered(self) -> str:
        return str(self.stored.thresholds.get("discovered", self.day))


def preview(
    lake: Lake, edits: Sequence[Edit], *, embeddings: Embeddings, day: date | None = None
) -> Preview | None:
    """The newest model (or that of a day) under these edits; None while there is none, or it is learning."""
    when = day or max(lake.days("intent_models"), default=None)
    stored = None if when is None else models_of(lake, DayRange.single(when)).get(when)
    if when is None or stored is None or stored.status != READY:
        return None
    draft = Draft({one.intent_id: one for one in stored.intents}, stored.thresholds)
    space = _StoredSpace(lake, str(stored.space), when, embeddings)
    # a day on: what is in the tables keeps its id
    after = corrected(draft, edits, space=space, day=when + timedelta(days=1))
    model = succeed(stored, after, traces_seen=stored.traces_seen, space=str(stored.space))
    return Preview(when, stored, model, space, after.events)


def state_of(edit: Edit, seen: Preview | None) -> str:
    """applied | pending (from the next run) | waiting (its intent is not there) | undone."""
    ledger = {} if seen is None else seen.stored.thresholds.get(KEY, {})
    key = str(edit.edit_id)
    if edit.undone:
        return PENDING if key in ledger.get("applied", {}) else UNDONE
    if edit.kind == REDISCOVER and edit.since is not None:
        done = seen is not None and seen.discovered >= str(edit.since)
        return APPLIED if done else PENDING
    soon = {} if seen is None else seen.model.thresholds.get(KEY, {})
    if key in soon.get("waiting", {}) or edit.unreadable is not None:
        return WAITING
    return APPLIED if key in ledger.get("applied", {}) else PENDING


def find_intent(intents: Sequence[Intent], reference: str) -> Intent:
    """The intent with this id, slug or name, or the only one that begins so. Raises UnknownIntentError."""
    wanted = " ".join(reference.split()).lower()
    by_exactness: tuple[Callable[[Intent], bool], ...] = (
        lambda one: one.intent_id == reference.strip(),
        lambda one: one.slug == wanted,
        lambda one: one.name.lower() == wanted and one.status not in (MERGED, RETIRED),
        lambda one: one.name.lower() == wanted,
        lambda one: _begins(one, wanted) and one.status not in (MERGED, RETIRED),
        lambda one: _begins(one, wanted),
    )
    for fits in by_exactness:
        found = [one for one in intents if fits(one)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownIntentError(f"{reference!r} may be {_listed(found)}: use the id or more of the name")
    there = sorted(
        (one for one in intents if one.status not in (MERGED, RETIRED)),
        key=lambda one: (wanted not in one.name.lower(), -one.size, one.intent_id),
    )
    raise UnknownIntentError(f"there is no intent {reference!r}; there are {_listed(there)}")


def frozen_parts(seen: Preview, intent: Intent, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The parts of a split as an edit keeps them: the same ones wherever it is applied. Raises ValueError."""
    divided = split(intent, parts, edit_id=0, space=seen.space, day=seen.day, taken=())
    if divided is None:
        raise ValueError(
            f"the messages known of “{intent.name}” cannot be divided so: give other examples with --part"
        )
    return [_frozen(divided, place, parts) for place in sorted({*divided.children, divided.keeper})]


def _frozen(divided: Divided, place: int, given: Sequence[Part]) -> dict[str, Any]:
    keeps = place == divided.keeper
    part = divided.parent if keeps else divided.children[place]
    own = given[place] if place < len(given) else Part(None)
    known = [
        (trace_id, text)
        for trace_id, text in zip(part.exemplar_ids, part.exemplar_texts, strict=True)
        if text not in own.texts and not trace_id.startswith("example:")
    ]
    texts = [*own.texts, *(text for _, text in known)]
    ids = [*(f"example:{number}" for number in range(len(own.texts))), *(one for one, _ in known)]
    return {"name": own.name, "texts": texts[:12], "trace_ids": ids[:12], "keeps": keeps}


def texts_of_traces(engine: Engine, trace_ids: Sequence[str]) -> dict[str, str]:
    """What the user wrote in these traces; those that are not there, or say nothing, are left out."""
    from insights_pipeline.lake import Slice

    rows = engine.query(
        "SELECT trace_id, left(user_text, 4000) AS user_text FROM traces "
        "WHERE list_contains($ids::VARCHAR[], trace_id) AND user_text IS NOT NULL ORDER BY date, trace_id",
        {"traces": Slice("traces", None, ("date", "trace_id", "user_text"))},
        {"ids": list(trace_ids)},
    ).to_pylist()
    return {row["trace_id"]: row["user_text"] for row in rows}


def overlaid(found: Mapping[str, Any], seen: Preview) -> dict[str, Any]:
    """What `show.intents_of` gives, with the corrections that the tables do not have yet; `pending` tells them.

    Traffic of an intent that is about to be merged is already its target's.
    """
    now = {one.intent_id: one for one in seen.model.intents}
    # a stand-in of moved traces is gone once the move is undone; its traffic is counted for its target already
    rows = {row["intent_id"]: dict(row) for row in found["intents"] if row["intent_id"] in now}
    for intent_id, intent in now.items():
        rows.setdefault(intent_id, _new_row(intent))
    for intent_id, row in rows.items():
        intent = now[intent_id]
        for name in _SHOWN:
            row[name] = getattr(intent, name)
        for name in ("merged_into", "split_from"):
            of = now.get(getattr(intent, name) or "")
            row[f"{name}_name"] = None if of is None else of.name
    for intent_id, row in rows.items():
        nearest = row["nearest_id"]
        if nearest is not None and seen.model.target_of(nearest) == intent_id:
            row["apart_from"] = ""  # it was set apart from what is now part of it
        target = rows[seen.model.target_of(intent_id)]
        if target is not row:
            for name in ("traces", "share"):
                target[name], row[name] = target[name] + row[name], 0
    ordered = sorted(rows.values(), key=lambda row: (-row["traces"], row["intent_id"]))
    return {**found, "intents": ordered, "pending": [dict(event) for event in seen.events]}


_SHOWN = (
    "name", "slug", "description", "category", "category_by", "named_by", "status", "merged_into", "split_from",
    "pinned",
)  # fmt: skip


def _new_row(intent: Intent) -> dict[str, Any]:
    plain = ("intent_id", "born", "changed", "nearest_id", "trend", "trend_change", "trend_p", "last_seen")
    return {
        **{name: getattr(intent, name) for name in plain},
        "phrases": list(intent.phrases),
        "exemplars": list(intent.exemplar_texts[:3]),
        "traces": 0,
        "share": 0.0,
        "apart_from": "",
        "sub_intents": [],
        "low_margin": False,
        "category_margin": None,
        "nearest_name": None,
    }


def _begins(intent: Intent, wanted: str) -> bool:
    return intent.name.lower().startswith(wanted) or intent.slug.startswith(wanted)


def _listed(intents: Sequence[Intent]) -> str:
    shown = [f"“{one.name}” ({one.intent_id})" for one in intents[:_CANDIDATES]]
    more = f" and {len(intents) - _CANDIDATES} more" if len(intents) > _CANDIDATES else ""
    return (", ".join(shown) or "none") + more


@dataclass(frozen=True)
class _StoredSpace:
    """A space that is read when it is first asked for: most corrections need none."""

    lake: Lake
    name: str
    day: date
    embeddings: Embeddings = field(repr=False)

    @cached_property
    def _space(self) -> Space:
        found = space_named(self.lake, self.name, self.day, self.embeddings)
        if found is None:
            raise ValueError(f"the space {self.name} of the intents is gone: run `insights run` first")
        return found

    @property
    def embedder(self) -> str:
        return self._space.embedder

    @property
    def fitted_on(self) -> int:
        return self._space.fitted_on

    def embed(self, user_texts: Sequence[str]) -> Halves:
        return self._space.embed(user_texts)

    def core(self, user_texts: Sequence[str]) -> list[str]:
        return self._space.core(user_texts)

    def payload(self) -> bytes:
        return self._space.payload()
