"""How intents stand to one another: categories over them, sub-intents in them, what sets neighbours apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from insights_pipeline.intents.arrangement.apart import apart_sentence, nearest
from insights_pipeline.intents.arrangement.hierarchy import (
    categories as categories_of,
)
from insights_pipeline.intents.arrangement.hierarchy import (
    category_names,
    grouped,
    nearest_category,
    two_views,
)
from insights_pipeline.intents.arrangement.predefined import Category as Category
from insights_pipeline.intents.arrangement.predefined import places, signature
from insights_pipeline.intents.arrangement.sub_intents import LARGE_EXEMPLARS, LARGE_SHARE, sub_intents
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import MERGED, PERSON, RETIRED, WORDS, Draft, Intent

PREDEFINED = "predefined"
_REMEMBERED = "arranged"  # key of `Draft.thresholds`


def arranged(draft: Draft, *, space: Space, categories: Sequence[Category] = ()) -> Draft:
    """The draft with categories, sub-intents, nearest neighbours and what sets them apart.

    Work is done for living intents that are new or have other exemplars than when last arranged. A category that is
    there stays, except that predefined ones are assigned anew to all when their list changes; a person's always stays.
    """
    step = _Step(draft, space)
    step.find_sub_intents()
    step.tell_apart()
    if categories:
        step.place(categories)
    else:
        step.categorise()
    remembered = {
        "intents": {one.intent_id: _fingerprint(one) for one in step.living()},
        "predefined": signature(categories) if categories else None,
    }
    return replace(draft.with_(step.intents), thresholds={**draft.thresholds, _REMEMBERED: remembered})


@dataclass(slots=True)
class _Step:
    draft: Draft
    space: Space
    intents: dict[str, Intent] = field(init=False)
    changed: frozenset[str] = field(init=False)
    before: Mapping[str, Any] = field(init=False)
    cores: dict[str, list[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.intents = dict(self.draft.intents)
        self.before = self.draft.thresholds.get(_REMEMBERED) or {}
        known = self.before.get("intents") or {}
        self.changed = frozenset(
            one.intent_id for one in self.living() if known.get(one.intent_id) != _fingerprint(one)
        )

    def living(self) -> list[Intent]:
        """In the order of their ids."""
        return [one for _, one in sorted(self.intents.items()) if one.status not in (RETIRED, MERGED)]

    def core(self, intent: Intent) -> list[str]:
        """The requests of the exemplars; worked out once, and only of intents that are looked at."""
        if intent.intent_id not in self.cores:
            self.cores[intent.intent_id] = self.space.core(intent.exemplar_texts)
        return self.cores[intent.intent_id]

    def find_sub_intents(self) -> None:
        everyone = sum(one.size for one in self.living()) or 1
        for one in self.living():
            if one.intent_id not in self.changed:
                continue
            large = one.size >= LARGE_SHARE * everyone or len(one.exemplar_ids) >= LARGE_EXEMPLARS
            found = sub_intents(one, self.core(one)) if large else ()
            self.intents[one.intent_id] = replace(one, sub_intents=found)

    def tell_apart(self) -> None:
        """Anew where either of two neighbours changed or the nearest is another than before."""
        living = self.living()
        if not self.changed and all(self._neighbour_stays(one, living) for one in living):
            return
        neighbours = nearest(living)
        for one in living:
            other = neighbours.get(one.intent_id)
            if other == one.nearest_id and not self.changed & {one.intent_id, other}:
                continue
            apart = apart_sentence(self.core(one), self.core(self.intents[other])) if other else ""
            self.intents[one.intent_id] = replace(one, nearest_id=other, apart=apart)

    def _neighbour_stays(self, intent: Intent, living: Sequence[Intent]) -> bool:
        if intent.nearest_id is None:
            return len(living) < 2
        return any(one.intent_id == intent.nearest_id for one in living)

    def place(self, categories: Sequence[Category]) -> None:
        """Predefined categories: by name, description and examples, whole intents at a time."""
        anew = self.before.get("predefined") != signature(categories)
        mine = [
            one
            for one in self.living()
            if one.category_by != PERSON
            and (anew or one.intent_id in self.changed or one.category_by != PREDEFINED)
        ]
        if not mine:
            return
        found = places(np.stack([one.centroid for one in mine]), categories, self.space)
        for one, place in zip(mine, found, strict=True):
            self.intents[one.intent_id] = replace(
                one, category=place.category, category_by=PREDEFINED, category_margin=place.margin
            )

    def categorise(self) -> None:
        """Categories found in the intents themselves: all at once at first, later only those of new intents."""
        living = self.living()
        homeless = [one for one in living if _without_category(one)]
        if not homeless:
            return
        settled = [one for one in living if not _without_category(one)]
        points = two_views(
            np.stack([one.centroid for one in living]).astype(np.float32), [self.core(one) for one in living]
        )
        place = {one.intent_id: number for number, one in enumerate(living)}
        if any(one.category_by != PERSON for one in settled):
            self._join(homeless, settled, points, place)
        else:
            of = categories_of(points[[place[one.intent_id] for one in homeless]])
            self._found([[homeless[index] for index in group] for group in grouped(of.tolist()).values()])

    def _join(
        self,
        homeless: Sequence[Intent],
        settled: Sequence[Intent],
        points: np.ndarray[Any, Any],
        place: Mapping[str, int],
    ) -> None:
        """Each to the category that it clearly belongs to, otherwise to one of its own."""
        of = [one.category for one in settled]
        rows = points[[place[one.intent_id] for one in settled]]
        for one in homeless:
            name = nearest_category(rows, of, points[place[one.intent_id]])
            if name is None:
                self._found([[one]])
            else:
                self._put(one, name)

    def _found(self, groups: Sequence[Sequence[Intent]]) -> None:
        """New categories with names of their own."""
        ordered = [sorted(group, key=lambda one: (-one.size, one.intent_id)) for group in groups]
        flat = [one for group in ordered for one in group]
        place = {one.intent_id: number for number, one in enumerate(flat)}
        names = category_names(
            [[place[one.intent_id] for one in group] for group in ordered],
            [self.core(one) for one in flat],
            [one.label for one in flat],
            taken=sorted({one.category for one in self.intents.values() if not _without_category(one)}),
        )
        for group, name in zip(ordered, names, strict=True):
            for one in group:
                self._put(one, name)

    def _put(self, intent: Intent, category: str) -> None:
        now = self.intents[intent.intent_id]
        self.intents[intent.intent_id] = replace(
            now, category=category, category_by=WORDS, category_margin=None
        )


def _without_category(intent: Intent) -> bool:
    """Also one whose category was predefined, when nothing is predefined any more."""
    return intent.category_by != PERSON and (not intent.category or intent.category_by == PREDEFINED)


def _fingerprint(intent: Intent) -> str:
    return hashlib.sha256("\n".join(intent.exemplar_ids).encode()).hexdigest()[:8]
