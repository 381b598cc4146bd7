"""Merges and splits that a language model proposes: which pairs it is asked about, and what is made of its verdicts.

A verdict alone changes nothing. Two intents are merged only if their vectors say so too, and no more than a third of
all on one day: whoever got the model to answer "the same" everywhere could otherwise melt the taxonomy down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.model import ACTIVE, MERGED, PERSON, RETIRED, WORDS, Intent, intent_id
from insights_pipeline.intents.naming.labels import describe, label_groups
from insights_pipeline.intents.naming.questions import Group, nearest_of, shown
from insights_pipeline.intents.vectors import Halves, cosines, exact, unit

# Likeness from which a pair is asked about. CLINC150, sampling seeds 0-3 of 500/30 and 2000/60: half to three
# quarters of the pairs that are one intent torn in two are above it, beside about one other pair for each intent.
LIKE = 0.3
_APART = 0.85  # likeness of two groups of messages below which they may be split; any two halves of one are around 1
_LEAST = 5  # exemplars of a part
_MOST_MERGED = 1 / 3  # of the intents on one day


class Pair(NamedTuple):
    """Two intents by id, the one that would stay first, and their likeness."""

    stays: str
    goes: str
    likeness: float

    @property
    def key(self) -> str:
        return "+".join(sorted(self[:2]))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an intent by places of its exemplars, and the name the model gave it."""

    name: str
    places: NDArray[np.int64]


def is_free(intent: Intent) -> bool:
    """Whether the model may change what the intent consists of: it lives, and no person has a hand in it."""
    return intent.status not in (RETIRED, MERGED) and intent.named_by != PERSON and not intent.pinned


def pairs_to_judge(
    intents: Sequence[Intent], *, about: Collection[str], known: Collection[str], most: int
) -> list[Pair]:
    """The likest pairs with at least one of the intents `about`, without those `known` (keys) already."""
    if len(intents) < 2:
        return []
    ordered = sorted(intents, key=lambda one: (-one.size, one.intent_id))
    alike = _likeness([one.exemplar_vectors for one in ordered])
    pairs = [
        Pair(ordered[left].intent_id, ordered[right].intent_id, float(alike[left, right]))
        for left, right in np.argwhere(np.triu(alike >= LIKE, k=1)).tolist()
    ]
    wanted = [pair for pair in pairs if not {*pair[:2]}.isdisjoint(about) and pair.key not in known]
    return sorted(wanted, key=lambda pair: (-pair.likeness, pair.key))[:most]


def merges_of(same: Sequence[Pair], intents: Mapping[str, Intent]) -> dict[str, str]:
    """Who goes into whom: groups in which every pair is alike, the likest first, within the day's limit."""
    of = {key: [key] for pair in same for key in pair[:2]}
    most = int(_MOST_MERGED * len(intents))
    merged = 0
    for pair in sorted(same, key=lambda one: (-one.likeness, one.key)):
        left, right = of[pair.stays], of[pair.goes]
        if left is right or merged >= most:
            continue
        crossing = _likeness([intents[key].exemplar_vectors for key in (*left, *right)])
        if (crossing[: len(left), len(left) :] < LIKE).any():
            continue
        left += right
        of.update(dict.fromkeys(right, left))
        merged += 1
    found: dict[str, str] = {}
    for group in of.values():
        stays = min(group, key=lambda key: (-intents[key].size, key))
        found.update({key: stays for key in group if key != stays})
    return found


def merged(intents: Mapping[str, Intent], into: Mapping[str, str]) -> dict[str, Intent]:
    """The intents after these merges; of those that go the vectors stay in the classifier, for their target."""
    after = dict(intents)
    for goes, stays in into.items():
        after[stays] = replace(after[stays], size=after[stays].size + intents[goes].size)
        after[goes] = replace(after[goes], status=MERGED, merged_into=stays)
    return with_neighbours(after)


def parts_of(intent: Intent, groups: Sequence[Group]) -> list[Part]:
    """The parts that the model's groups of shown messages make of all exemplars, largest first; [] if they are none.

    Each group holds two messages or more, none is in two, and the vectors of any two groups are apart; every
    exemplar goes to the group it is nearest to.
    """
    places = shown(intent)
    named: list[tuple[str, list[int]]] = []
    used: set[int] = set()
    for group in groups:
        mine = [number for number in dict.fromkeys(group.messages) if 1 <= number <= len(places)]
        mine = [number for number in mine if number not in used]
        used.update(mine)
        if len(mine) >= 2:
            named.append((group.name, [places[number - 1] for number in mine]))
    if len(named) < 2:
        return []
    examples = [intent.exemplar_vectors[mine] for _, mine in named]
    if (_likeness(examples)[np.triu_indices(len(examples), k=1)] >= _APART).any():
        return []
    means = unit(np.stack([exact(one).sum(axis=0, dtype=np.float64) for one in examples]))
    of = cosines(exact(intent.exemplar_vectors), exact(means)).argmax(axis=1)
    parts = [Part(name, np.flatnonzero(of == number)) for number, (name, _) in enumerate(named)]
    if min(len(part.places) for part in parts) < _LEAST:
        return []
    return sorted(parts, key=lambda part: (-len(part.places), int(part.places[0])))


def divided(
    intent: Intent, parts: Sequence[Part], *, space: Space, taken: Sequence[str]
) -> tuple[Intent, list[Intent]]:
    """The intent with its largest part, and a new one of every other; words name and describe what is new."""
    made = [_with(intent, part.places) for part in parts]
    others = [slug for slug in taken if slug != intent.slug]
    labels = label_groups([space.core(one.exemplar_texts) for one in made], taken=[intent.slug, *others])
    said = [
        replace(one, phrases=label.phrases, description=describe(label, one.exemplar_texts))
        for one, label in zip(made, labels, strict=True)
    ]
    children = [
        replace(
            one,
            intent_id=intent_id(intent.born, one.exemplar_ids),
            name=label.name,
            slug=label.slug,
            named_by=WORDS,
            status=ACTIVE,
            split_from=intent.intent_id,
            nearest_id=intent.intent_id,
        )
        for one, label in zip(said[1:], labels[1:], strict=True)
    ]
    return said[0], children


def with_neighbours(intents: Mapping[str, Intent]) -> dict[str, Intent]:
    """The intents, none of which has a neighbour that is gone."""
    living = [one for _, one in sorted(intents.items()) if one.status not in (RETIRED, MERGED)]
    there = {one.intent_id for one in living}
    after = dict(intents)
    for one in living:
        if one.nearest_id is None or one.nearest_id in there:
            continue
        near = nearest_of(one, living, 1)
        after[one.intent_id] = replace(one, nearest_id=near[0].intent_id if near else None, apart="")
    return after


def _with(intent: Intent, places: NDArray[np.int64]) -> Intent:
    vectors = intent.exemplar_vectors[places]
    return replace(
        intent,
        centroid=unit(vectors.astype(np.float64).sum(axis=0)[None, :])[0].astype(np.float16),
        exemplar_ids=tuple(intent.exemplar_ids[place] for place in places),
        exemplar_texts=tuple(intent.exemplar_texts[place] for place in places),
        exemplar_vectors=vectors,
        size=max(1, round(intent.size * len(places) / len(intent.exemplar_ids))),
        apart="",
        sub_intents=(),
    )


def _likeness(sets: Sequence[Halves]) -> NDArray[np.float64]:
    """Mean similarity between sets of vectors over that within them (k, k); around 1 for two halves of one.

    All sums are of whole numbers, so it is the same on any machine.
    """
    whole = [exact(one).astype(np.float64) for one in sets]
    sizes = np.array([len(one) for one in whole], dtype=np.float64)
    sums = np.stack([one.sum(axis=0) for one in whole])
    squares = np.array([(one * one).sum() for one in whole])
    products = sums @ sums.T
    scale = max(float((squares / sizes).mean()), 1.0)
    within = (np.diag(products) - squares) / np.maximum(sizes * (sizes - 1), 1)
    within = np.maximum(within, 1e-3 * scale)
    found: NDArray[np.float64] = products / np.outer(sizes, sizes) / np.sqrt(np.outer(within, within))
    return found
