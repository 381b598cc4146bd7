"""Intents from nothing: a sample of texts to intents with names, exemplars and the score below which one is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import leave_one_out_scores
from insights_pipeline.intents.graph import similarity_graph, wording_vectors
from insights_pipeline.intents.hierarchy import categories, category_names
from insights_pipeline.intents.labels import Label, label_groups
from insights_pipeline.intents.map_equation import by_size, communities
from insights_pipeline.intents.merge import absorb_tiny, merge_fragments
from insights_pipeline.intents.model import ACTIVE, Intent, intent_id
from insights_pipeline.intents.text import one_line, request_of
from insights_pipeline.intents.vectors import Floats, Halves, Texts, cosines, exact, unit
from insights_pipeline.intents.wordllama_space import Space

EXEMPLARS = 60
_ALL_EXEMPLARS = 3_000
_UNKNOWN_SHARE = 0.05
_COPY = 0.8  # cosine above which two texts say the same thing in nearly the same words
_BLOCK = 256


def group(
    texts: Sequence[str], vectors: Halves, space: Space, *, seed: int
) -> tuple[NDArray[np.int64], Floats]:
    """Group of every text, largest first, and the wording view (n, r) that helped to find them.

    What is said in nearly the same words counts once: copies would be one another's nearest neighbours, and every
    template of a bot or a form would look like an intent.
    """
    from threadpoolctl import threadpool_limits

    copy_of = near_copies(vectors)
    _, first = np.unique(copy_of, return_index=True)
    with threadpool_limits(1):  # the number of threads would change last bits, and a merge with them
        meaning = unit(vectors[first])
        wording = wording_vectors(space.core([texts[index] for index in first.tolist()]), seed=seed)
        graph = similarity_graph(meaning, wording)
        found = communities(
            graph.indptr, graph.indices, graph.data, seed=seed, restarts=2 if len(first) <= 2_000 else 1
        )
        found = absorb_tiny(found, meaning, least=smallest_group(len(first)))
        found = merge_fragments(found, meaning, wording, graph)
    return by_size(found[copy_of]), wording[copy_of]


def near_copies(vectors: Halves) -> NDArray[np.int64]:
    """For every vector the number (0-based, by first appearance) of the first one that it is nearly a copy of."""
    whole = exact(vectors)
    leaders: list[int] = []
    copy_of = np.empty(len(whole), dtype=np.int64)
    for start in range(0, len(whole), _BLOCK):
        block = whole[start : start + _BLOCK]
        earlier = len(leaders)
        candidates = np.concatenate([whole[leaders], block])
        similar = cosines(block, candidates)
        columns = list(range(earlier))
        for row in range(len(block)):
            best = columns[int(similar[row, columns].argmax())] if columns else -1
            if best >= 0 and similar[row, best] > _COPY:
                copy_of[start + row] = columns.index(best)
            else:
                copy_of[start + row] = len(leaders)
                leaders.append(start + row)
                columns.append(earlier + row)
    return copy_of


def smallest_group(texts: int) -> int:
    """Fewer texts than this are nobody's intent yet: 3 of a few hundred, 8 of 5,000."""
    return int(np.clip(round(np.sqrt(texts) / 8), 3, 8))


def discover(sample: Texts, space: Space, *, born: date, seed: int) -> tuple[tuple[Intent, ...], float]:
    """The intents of a sample and the unknown score: 5 % of their own members would fall below it."""
    requests = space.core(sample.texts)
    found, wording = group(sample.texts, sample.vectors, space, seed=seed)
    members = [np.flatnonzero(found == number) for number in range(int(found.max()) + 1)]
    named = label_groups([[requests[i] for i in of] for of in members])
    most = int(np.clip(_ALL_EXEMPLARS // len(members), 20, EXEMPLARS))
    intents = [
        form(sample, of, label, born=born, status=ACTIVE, most=most)
        for of, label in zip(members, named, strict=True)
    ]
    of_category = categories(
        np.stack([intent.centroid for intent in intents]).astype(np.float32),
        np.stack([wording[of].mean(axis=0) for of in members]),
    )
    names = category_names(of_category, [one.phrases for one in intents], [one.size for one in intents])
    intents = [replace(intent, category=name) for intent, name in zip(intents, names, strict=True)]
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
        description=_description(texts),
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


def unknown_score(sample: Texts, intents: Sequence[Intent]) -> float:
    """The score that 5 % of a sample falls short of when each text is held against the exemplars of others."""
    place = {one: index for index, one in enumerate(one for intent in intents for one in intent.exemplar_ids)}
    own = np.array([place.get(one, -1) for one in sample.ids], dtype=np.int64)
    exemplars = np.concatenate([intent.exemplar_vectors for intent in intents])
    scores = leave_one_out_scores(sample.vectors, exemplars, own)
    return float(np.quantile(scores, _UNKNOWN_SHARE))


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


def _description(texts: Sequence[str]) -> str:
    """The most typical message, and two more of what people say."""
    quoted = [f"“{one_line(text, limit=140)}”" for text in dict.fromkeys(texts[:3])]
    return quoted[0] if len(quoted) == 1 else f"{quoted[0]} Also: {' '.join(quoted[1:])}"
