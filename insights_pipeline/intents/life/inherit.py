"""Intents discovered anew keep the ids, births and names of those before them.

Vectors of different spaces are never compared: the exemplars of the old intents are embedded again from their texts.
An old and a new intent are one when most exemplars of each are nearest to the other, and they are as alike as halves
of one intent are.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.life.growth import likeness
from insights_pipeline.intents.life.step import anchored, kept
from insights_pipeline.intents.model import EMERGING, MERGED, RETIRED, WORDS, Draft, Intent, Model
from insights_pipeline.intents.naming.labels import slug_of
from insights_pipeline.intents.vectors import cosines, exact, unit

_OVERLAP = 0.3  # F1 of exemplars
_ALIKE = 0.5  # mean similarity between over that within; two intents .1–.45, halves of one 1


def inherited(before: Model, fresh: Draft, *, space: Space, day: date) -> Draft:
    """`fresh` with the ids of `before` where intents are the same.

    What is gone stays in the model as retired (a person's stays as it was), so that it can come back under its id;
    merged intents stay aliases.
    """
    old = {one.intent_id: _moved(one, space, same=before.space == space.name) for one in before.intents}
    found = dict(sorted(fresh.intents.items()))
    heirs = _heirs({key: one for key, one in old.items() if one.status != MERGED}, before, old, found)
    intents: dict[str, Intent] = {}
    events: list[dict[str, Any]] = []
    taken = {old[one].slug for one in heirs.values()}
    for new_id, intent in found.items():
        if new_id in heirs:
            intents[heirs[new_id]] = _heir(old[heirs[new_id]], intent, day)
            continue
        named = _unlike(intent, taken)
        taken.add(named.slug)
        intents[new_id] = named
        events.append(_told("emerged", named, members=named.size))
    nearest = _nearest(old, found)
    for old_id, intent in old.items():
        if old_id in intents:
            continue
        gone = intent.status not in (MERGED, RETIRED) and not anchored(intent)
        intents[old_id] = replace(intent, status=RETIRED) if gone else intent
        if gone:
            into, share = nearest[old_id]
            events.append(_told("vanished", intent, into=heirs.get(into, into), share=round(share, 2)))
    pending = kept(
        before.thresholds.get("pending", {}), [k for k, v in intents.items() if v.status == EMERGING]
    )
    memory = {
        **fresh.thresholds,
        "pending": {one: 0 for one, each in intents.items() if each.status == EMERGING} | pending,
        "quiet": kept(before.thresholds.get("quiet", {}), intents),
    }
    first = {
        "kind": "rediscovered",
        "intents": len(found),
        "inherited": len(heirs),
        "before": sum(one.status not in (MERGED, RETIRED) for one in before.intents),
        "same_space": before.space == space.name,
    }
    return Draft(intents, memory, (first, *events))


def _moved(intent: Intent, space: Space, *, same: bool) -> Intent:
    """The intent with its vectors in `space`."""
    if same:
        return intent
    vectors = space.embed(intent.exemplar_texts)
    centroid = unit(vectors.astype(np.float64).sum(axis=0)[None, :])[0].astype(np.float16)
    return replace(intent, exemplar_vectors=vectors, centroid=centroid)


def _heirs(
    candidates: dict[str, Intent], before: Model, old: dict[str, Intent], found: dict[str, Intent]
) -> dict[str, str]:
    """The old id of every new intent that has one: the best overlap of exemplars first, each id once."""
    olds, news = sorted(candidates), list(found)
    to_new = _shares([[old[one]] for one in olds], [[found[one]] for one in news])
    # texts of a merged intent are the other's
    parts = {one: [old[one]] for one in olds}
    for one in before.intents:
        target = before.target_of(one.intent_id)
        if one.status == MERGED and target in parts:
            parts[target].append(old[one.intent_id])
    to_old = _shares([[found[one]] for one in news], [parts[one] for one in olds]).T
    total = to_new + to_old
    overlap = np.divide(2 * to_new * to_old, total, out=np.zeros_like(total), where=total > 0)
    heirs: dict[str, str] = {}
    for place in np.argsort(-overlap, axis=None, kind="stable").tolist():
        row, column = divmod(place, len(news))
        old_id, new_id = olds[row], news[column]
        if overlap[row, column] < _OVERLAP:
            break
        if new_id in heirs or old_id in heirs.values():
            continue
        vectors = [one.exemplar_vectors.astype(np.float32) for one in (old[old_id], found[new_id])]
        if likeness(*vectors) >= _ALIKE:
            heirs[new_id] = old_id
    return heirs


def _shares(of: list[list[Intent]], among: list[list[Intent]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of the exemplars of each (rows), the share nearest to a centroid of each (columns)."""
    centroids = exact(np.stack([one.centroid for group in among for one in group]))
    column = np.array([place for place, group in enumerate(among) for _ in group], dtype=np.int64)
    table = np.zeros((len(of), len(among)))
    for row, group in enumerate(of):
        vectors = np.concatenate([one.exemplar_vectors for one in group])
        if len(vectors):
            nearest = column[cosines(exact(vectors), centroids).argmax(axis=1)]
            table[row] = np.bincount(nearest, minlength=len(among)) / len(vectors)
    return table


def _nearest(old: dict[str, Intent], found: dict[str, Intent]) -> dict[str, tuple[str, float]]:
    """The new intent that most exemplars of an old one went to, and how many of them."""
    shares = _shares([[one] for one in old.values()], [[one] for one in found.values()])
    news = list(found)
    return {one: (news[int(row.argmax())], float(row.max())) for one, row in zip(old, shares, strict=True)}


def _heir(old: Intent, new: Intent, day: date) -> Intent:
    """The new definition under the old id, birth, name and standing."""
    return replace(
        old,
        size=new.size,
        centroid=new.centroid,
        exemplar_ids=new.exemplar_ids,
        exemplar_texts=new.exemplar_texts,
        exemplar_vectors=new.exemplar_vectors,
        description=new.description if old.named_by == WORDS else old.description,
        category=old.category or new.category,
        changed=day,
    )


def _unlike(intent: Intent, taken: set[str]) -> Intent:
    """Under a name that no heir has."""
    name, number = intent.name, 1
    while slug_of(name) in taken:
        number += 1
        name = f"{intent.name} {number}"
    return intent if number == 1 else replace(intent, name=name, slug=slug_of(name))


def _told(kind: str, intent: Intent, **more: object) -> dict[str, Any]:
    return {"kind": kind, "intent_id": intent.intent_id, "name": intent.name, **more}
