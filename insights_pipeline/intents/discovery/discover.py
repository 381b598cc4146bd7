"""Intents from nothing: a sample of texts to intents with names, exemplars and the score below which one is unknown."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.grouping import group
from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.embedding.text import one_line, request_of
from insights_pipeline.intents.model import ACTIVE, Intent, intent_id
from insights_pipeline.intents.naming.labels import Label, describe, label_groups
from insights_pipeline.intents.unknown import unknown_score
from insights_pipeline.intents.vectors import Halves, Texts, cosines, exact, unit

EXEMPLARS = 60
_ALL_EXEMPLARS = 3_000


def discover(
    sample: Texts, space: Space, *, born: date, seed: int, granularity: float = 1.0
) -> tuple[tuple[Intent, ...], float]:
    """The intents of a sample and the unknown score: 5 % of their own members would fall below it."""
    requests = space.core(sample.texts)
    found, _ = group(
        sample.texts,
        sample.vectors,
        space,
        seed=seed,
        granularity=granularity,
        attributes=sample.attributes,
    )
    members = [np.flatnonzero(found == number) for number in range(int(found.max()) + 1)]
    named = label_groups([[requests[i] for i in of] for of in members])
    most = int(np.clip(_ALL_EXEMPLARS // len(members), 20, EXEMPLARS))
    intents = [
        form(sample, of, label, born=born, status=ACTIVE, most=most)
        for of, label in zip(members, named, strict=True)
    ]
    return tuple(intents), unknown_score(sample, intents)


def form(
    sample: Texts,
    members: NDArray[np.int64],
    label: Label,
    *,
    born: date,
    status: str,
    most: int = EXEMPLARS,
    category: str = "",
    known_as: str | None = None,
) -> Intent:
    """An intent from its members (indices into the sample); `known_as` keeps an id that it already has."""
    vectors = sample.vectors[members]
    centroid = unit(vectors.astype(np.float64).sum(axis=0)[None, :])[0].astype(np.float16)
    chosen = _exemplars(sample, members, centroid, most)
    texts = [one_line(sample.texts[index]) for index in chosen]
    ids = [sample.ids[index] for index in members]
    return Intent(
        intent_id=known_as or intent_id(born, ids),
        slug=label.slug,
        name=label.name,
        description=describe(label, texts),
        category=category,
        status=status,
        phrases=label.phrases,
        born=born,
        size=len(members),
        centroid=centroid,
        exemplar_ids=tuple(sample.ids[index] for index in chosen),
        exemplar_texts=tuple(texts),
        exemplar_vectors=sample.vectors[chosen],
    )


def _exemplars(sample: Texts, members: NDArray[np.int64], centroid: Halves, most: int) -> list[int]:
    """The three most central different texts first, then others by hash; texts said twice only when there is room."""
    nearness = cosines(exact(sample.vectors[members]), exact(centroid[None, :]))[:, 0]
    central = members[np.lexsort(([sample.ids[i] for i in members], -nearness))].tolist()
    order = central[:12] + [index for index in members.tolist() if index not in set(central[:12])]
    heard: set[str] = set()
    different: list[int] = []
    repeated: list[int] = []
    for index in order:
        said = request_of(sample.texts[index])
        (repeated if said in heard else different).append(index)
        heard.add(said)
    front = different[:3]
    rest = [index for index in members.tolist() if index in set(different[3:])]
    return (front + rest + repeated)[:most]
