"""A draft under correction: what every step of it reads and changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from insights_pipeline.intents.corrections.edits import Edit
from insights_pipeline.intents.corrections.ledger import Ledger, replaced_id
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import MERGED, Draft, Intent

_BY_LAST_NAME = frozenset({"merged", "unmerged", "moved", "described", "pinned"})


@dataclass(slots=True)
class Work:
    """Changed in place, while the draft it began from is not."""

    began: Draft
    space: Space
    day: date
    ledger: Ledger
    intents: dict[str, Intent]
    thresholds: dict[str, Any]
    events: list[Mapping[str, Any]]
    undone_by: Mapping[str, str | None]
    waiting: dict[str, str] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)  # edits that this model has not seen

    @classmethod
    def on(cls, draft: Draft, undone: Iterable[Edit], space: Space, day: date) -> Work:
        return cls(
            began=draft,
            space=space,
            day=day,
            ledger=Ledger.of(draft.thresholds),
            intents=dict(draft.intents),
            thresholds=dict(draft.thresholds),
            events=list(draft.events),
            undone_by={str(edit.edit_id): edit.undone_by for edit in undone},
        )

    def draft(self) -> Draft:
        self.ledger.waiting = self.waiting
        self._call_by_new_names()
        thresholds = self.ledger.within(self.thresholds)
        return replace(self.began, intents=self.intents, thresholds=thresholds, events=tuple(self.events))

    def _call_by_new_names(self) -> None:
        """What was told before a name of the same day was settled says the name that stays."""
        for place in range(len(self.began.events), len(self.events)):
            event = self.events[place]
            if event["kind"] not in _BY_LAST_NAME or event.get("undone"):
                continue  # what is taken back is known by the name that it had
            now = {"name": event.get("intent_id"), "into_name": event.get("into")}
            names = {
                key: self.intents[one].name
                for key, one in now.items()
                if key in event and one in self.intents
            }
            self.events[place] = {**event, **names}

    def tell(self, kind: str, intent_id: str, **more: object) -> None:
        told = {"kind": kind, "intent_id": intent_id, "name": self.intents[intent_id].name, **more}
        self.events.append({key: value for key, value in told.items() if value is not None})

    def wait(self, edit: Edit, why: str) -> None:
        """The edit cannot be applied today; told on the first day on which that is so."""
        key = str(edit.edit_id)
        self.waiting[key] = why
        if key not in self.ledger.waiting:
            told = {"kind": "correction_waiting", "edit": edit.edit_id, "what": edit.kind, "by": edit.by}
            self.events.append({**told, "why": why})

    def resolved(self, anchor_id: str) -> str | None:
        """The intent that an edit means by this id, None when it is not there."""
        if anchor_id in self.intents:
            return anchor_id
        found = self.ledger.anchors.get(anchor_id)
        return found if found in self.intents else None

    def redefined(self, intent_id: str) -> None:
        """From today on other traces are given to this intent: earlier days say nothing about it."""
        if intent_id in self.intents:
            self.intents[intent_id] = replace(self.intents[intent_id], changed=self.day)

    def merge_into(self, intent_id: str, into: str) -> None:
        self.intents[intent_id] = replace(self.intents[intent_id], status=MERGED, merged_into=into)
        pending = self.thresholds.get("pending")
        if isinstance(pending, Mapping) and intent_id in pending:  # nothing is left to decide about it
            self.thresholds["pending"] = {one: kept for one, kept in pending.items() if one != intent_id}

    def take_id(self, old: str, new: str) -> None:
        """The intent `old` is called `new` from now on, wherever it is named."""

        def called(one: str | None) -> str | None:
            return new if one == old else one

        for intent_id, intent in list(self.intents.items()):
            self.intents[intent_id] = replace(
                intent,
                merged_into=called(intent.merged_into),
                split_from=called(intent.split_from),
                nearest_id=called(intent.nearest_id),
            )
        self.intents[new] = replace(self.intents.pop(old), intent_id=new)
        self.thresholds = replaced_id(self.thresholds, old, new)
        self.events = replaced_id(self.events, old, new)
        for name in Ledger.__slots__:
            setattr(self.ledger, name, replaced_id(getattr(self.ledger, name), old, new))
