"""One day's change of the intent model in the making."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.discover import form
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.life.window import Window
from insights_pipeline.intents.model import MERGED, PERSON, RETIRED, Draft, Intent, Model, with_wholes
from insights_pipeline.intents.naming.labels import Label, label_groups
from insights_pipeline.intents.vectors import Texts


@dataclass(slots=True)
class Step:
    """Intents by id as they are being changed, what happened, and what is remembered from day to day (JSON)."""

    day: date
    space: Space
    window: Window
    classifier: Classifier
    discovered: date
    intents: dict[str, Intent]
    memory: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, model: Model, window: Window, classifier: Classifier, space: Space, discovered: date) -> Step:
        return cls(
            window.day,
            space,
            window,
            classifier,
            discovered,
            {intent.intent_id: intent for intent in model.intents},
            dict(model.thresholds),
        )

    def draft(self) -> Draft:
        return Draft(self.intents, self.memory, tuple(self.events))

    def remembered(self, key: str) -> dict[str, Any]:
        """A copy that may be changed and must be put back."""
        return dict(self.memory.get(key, {}))

    def living(self) -> list[Intent]:
        return [one for _, one in sorted(self.intents.items()) if one.status not in (RETIRED, MERGED)]

    def may_go(self, intent: Intent) -> bool:
        """Whether it may be retired: nobody stands behind it, and it is not the last one that traces can be given."""
        return not anchored(intent) and len(self.living()) > 1

    def judged(self) -> list[Intent]:
        """The living intents that the traces of the window could be given, none of those born today."""
        known = set(self.window.ids)
        return [one for one in self.living() if one.intent_id in known]

    def classes(self) -> list[tuple[str, Intent]]:
        """Every intent whose exemplars decide, and the living one that it stands for."""
        living = {one.intent_id for one in self.judged()}
        ordered = [intent for _, intent in sorted(self.intents.items())]
        return [(target, intent) for intent, target in with_wholes(ordered) if target in living]

    def change(self, intent_id: str, **values: Any) -> Intent:
        self.intents[intent_id] = replace(self.intents[intent_id], **values)
        return self.intents[intent_id]

    def refit(self, intent_id: str, sample: Texts, members: NDArray[np.int64]) -> Intent:
        """Centroid, exemplars and description from these members; whatever else is known of the intent stays."""
        old = self.intents[intent_id]
        new = form(
            sample,
            members,
            old.label,
            born=old.born,
            status=old.status,
            category=old.category,
            known_as=intent_id,
        )
        return self.change(
            intent_id,
            size=new.size,
            centroid=new.centroid,
            exemplar_ids=new.exemplar_ids,
            exemplar_texts=new.exemplar_texts,
            exemplar_vectors=new.exemplar_vectors,
            description=old.description if old.named_by == PERSON else new.description,
        )

    def mint(
        self,
        sample: Texts,
        members: NDArray[np.int64],
        label: Label,
        *,
        status: str,
        category: str,
        **more: Any,
    ) -> Intent:
        """A new intent, born today."""
        made = form(sample, members, label, born=self.day, status=status, category=category)
        self.intents[made.intent_id] = replace(made, **more)
        return self.intents[made.intent_id]

    def label(self, sample: Texts, members: NDArray[np.int64], *, besides: str | None = None) -> Label:
        """A name for these members that none of the intents has, of `besides` its own."""
        known = [one for one in self.intents.values() if one.intent_id != besides]
        return label_groups(
            [self.space.core([sample.texts[index] for index in members])],
            background=[self.space.core(one.exemplar_texts) for one in known],
            taken=[one.slug for one in known],
        )[0]

    def tell(self, kind: str, intent: Intent, **more: object) -> None:
        self.events.append({"kind": kind, "intent_id": intent.intent_id, "name": intent.name, **more})


def anchored(intent: Intent) -> bool:
    """A person stands behind it: a machine neither merges it away nor splits, withdraws or retires it."""
    return intent.pinned or intent.named_by == PERSON


def kept(memory: Mapping[str, Any], ids: Iterable[str]) -> dict[str, Any]:
    """What is remembered of intents that are still there: people may have merged some since."""
    there = set(ids)
    return {key: value for key, value in memory.items() if key in there}
