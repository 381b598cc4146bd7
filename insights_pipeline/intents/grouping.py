"""Groups of texts that ask for the same thing, from nothing but the texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.graph import similarity_graph, wording_vectors
from insights_pipeline.intents.map_equation import by_size, communities
from insights_pipeline.intents.merge import absorb_tiny, merge_fragments
from insights_pipeline.intents.spaces import Space
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact, unit

_COPY = 0.8  # cosine above which two texts say the same thing in nearly the same words
_BLOCK = 256


def group(
    texts: Sequence[str],
    vectors: Halves,
    space: Space,
    *,
    seed: int,
    granularity: float = 1.0,
    attributes: Sequence[tuple[str | None, ...]] = (),
) -> tuple[NDArray[np.int64], Floats]:
    """Group of every text, largest first, and the wording view (n, r) that helped to find them.

    `granularity` above 1 gives more and finer groups, below 1 fewer; `attributes` of each text pull texts apart
    that differ in them.

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
