"""Names, descriptions, categories and pins that people set: the last word of each counts, and undone it goes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from insights_pipeline.intents.corrections.edits import Edit
from insights_pipeline.intents.corrections.work import Work
from insights_pipeline.intents.model import MERGED, PERSON, WORDS, Intent
from insights_pipeline.intents.naming.labels import slug_of

_Wanted = dict[str, tuple[Any, Edit]]


class Fields:
    """What is wanted of each intent's fields; `settle` makes it so."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ledger = work.ledger
        self._names: _Wanted = {}
        self._descriptions: _Wanted = {}
        self._categories: _Wanted = {}
        self._pins: _Wanted = {}

    def name(self, intent_id: str, name: str, edit: Edit) -> None:
        self._names[intent_id] = (name, edit)

    def describe(self, intent_id: str, text: str, edit: Edit) -> None:
        self._descriptions[intent_id] = (text, edit)

    def categorise(self, intent_id: str, category: str, edit: Edit) -> None:
        self._categories[intent_id] = (category, edit)

    def pin(self, intent_id: str, pinned: bool, edit: Edit) -> None:
        self._pins[intent_id] = (pinned, edit)

    def settle(self) -> None:
        self._settle_names()
        self._settle_descriptions()
        self._settle_categories()
        self._settle_pins()

    def _settle_names(self) -> None:
        for intent_id, (name, edit) in sorted(self._names.items(), key=lambda one: one[1][1].edit_id):
            intent = self._work.intents[intent_id]
            if intent.named_by != PERSON:
                self._keep(intent_id, "name", [intent.name, intent.slug, intent.named_by])
            if (intent.name, intent.named_by) == (name, PERSON):
                continue
            was = intent.name
            self._work.intents[intent_id] = replace(
                intent, name=name, slug=_slug(name, intent), named_by=PERSON
            )
            if self._is_new(edit) and was != name:
                self._work.tell(
                    "renamed", intent_id, **{"from": was, "to": name, "by": edit.by, "edit": edit.edit_id}
                )
        for intent_id, intent in sorted(self._work.intents.items()):
            if intent.named_by == PERSON and intent_id not in self._names:
                was = intent.name
                kept = self._back(intent_id, "name")
                name, slug, by = kept or (_from_phrases(intent), "", WORDS)
                self._work.intents[intent_id] = replace(
                    intent, name=name, slug=slug or _slug(name, intent), named_by=by
                )
                if was != name and intent.status != MERGED:  # such as the part of a split that was undone
                    self._work.tell("renamed", intent_id, **{"from": was, "to": name, "undone": True})
        self._tell_apart()

    def _tell_apart(self) -> None:
        """Slugs are unique: people's first, in the order of their edits; others get a number, in name and slug."""
        order = {
            intent_id: place
            for place, (intent_id, _) in enumerate(
                sorted(self._names.items(), key=lambda one: (one[1][1].edit_id, one[0]))
            )
        }
        used: set[str] = set()
        for intent_id in sorted(
            self._work.intents,
            key=lambda one: (order.get(one, len(order)), self._work.intents[one].born, one),
        ):
            intent = self._work.intents[intent_id]
            plain = _slug(intent.name, intent) if intent_id in order else intent.slug
            slug, number = plain, 1
            while slug in used:
                number += 1
                slug = f"{plain}-{number}"
            used.add(slug)
            if slug != intent.slug:
                numbered = number > 1 and intent_id not in order
                name = f"{intent.name} {number}" if numbered else intent.name
                self._work.intents[intent_id] = replace(intent, slug=slug, name=name)

    def _settle_descriptions(self) -> None:
        for intent_id, (text, edit) in sorted(self._descriptions.items()):
            intent = self._work.intents[intent_id]
            if intent.description != text:
                self._keep(intent_id, "description", intent.description)
                self._work.intents[intent_id] = replace(intent, description=text)
                if self._is_new(edit):
                    self._work.tell("described", intent_id, by=edit.by, edit=edit.edit_id)
        for intent_id in self._kept("description") - self._descriptions.keys():
            before = self._back(intent_id, "description")
            if intent_id in self._work.intents:
                self._work.intents[intent_id] = replace(self._work.intents[intent_id], description=before)
                self._work.tell("described", intent_id, undone=True)

    def _settle_categories(self) -> None:
        for intent_id, (category, edit) in sorted(self._categories.items()):
            intent = self._work.intents[intent_id]
            if intent.category_by != PERSON:
                self._keep(
                    intent_id, "category", [intent.category, intent.category_by, intent.category_margin]
                )
            if (intent.category, intent.category_by) == (category, PERSON):
                continue
            was = intent.category
            self._work.intents[intent_id] = replace(
                intent, category=category, category_by=PERSON, category_margin=None
            )
            if self._is_new(edit) and was != category:
                self._work.tell(
                    "moved", intent_id, **{"from": was, "to": category, "by": edit.by, "edit": edit.edit_id}
                )
        for intent_id, intent in sorted(self._work.intents.items()):
            if intent.category_by == PERSON and intent_id not in self._categories:
                was = intent.category
                category, by, margin = self._back(intent_id, "category") or ("", WORDS, None)
                self._work.intents[intent_id] = replace(
                    intent, category=category, category_by=by, category_margin=margin
                )
                self._work.tell("moved", intent_id, **{"from": was, "to": category, "undone": True})

    def _settle_pins(self) -> None:
        for intent_id, intent in sorted(self._work.intents.items()):
            pinned, edit = self._pins.get(intent_id, (False, None))
            if intent.pinned == pinned:
                continue
            self._work.intents[intent_id] = replace(intent, pinned=pinned)
            if edit is None or self._is_new(edit):
                who = {"undone": True} if edit is None else {"by": edit.by, "edit": edit.edit_id}
                self._work.tell("pinned", intent_id, pinned=pinned, **who)

    def _is_new(self, edit: Edit) -> bool:
        return edit.edit_id in self._work.fresh

    def _keep(self, intent_id: str, what: str, value: object) -> None:
        self._ledger.before.setdefault(intent_id, {}).setdefault(what, value)

    def _back(self, intent_id: str, what: str) -> Any:
        kept = self._ledger.before.get(intent_id, {})
        value = kept.pop(what, None)
        if not kept:
            self._ledger.before.pop(intent_id, None)
        return value

    def _kept(self, what: str) -> set[str]:
        return {intent_id for intent_id, kept in self._ledger.before.items() if what in kept}


def _slug(name: str, intent: Intent) -> str:
    return slug_of(name) or intent.intent_id.replace("_", "-")


def _from_phrases(intent: Intent) -> str:
    """What the words of an intent make of its name, where what it was called before is not known."""
    name = " ".join(intent.phrases[:1]) or intent.name
    return name[:1].upper() + name[1:]
