"""Groups of texts that ask for the same thing, from nothing but the texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.graph import wording_vectors
from insights_pipeline.intents.discovery.map_equation import by_size
from insights_pipeline.intents.discovery.scale import fitting_communities
from insights_pipeline.intents.embedding.spaces import Space
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
    that differ in them. Raises ValueError when there are attributes but not of every text, or `granularity` is not
    positive.

    What is said in nearly the same words counts once: copies would be one another's nearest neighbours, and every
    template of a bot or a form would look like an intent.
    """
    from threadpoolctl import threadpool_limits

    if granularity <= 0:
        raise ValueError(f"granularity must be positive, not {granularity}")
    codes = _codes(attributes, len(texts)) if attributes else None
    copy_of = near_copies(vectors, codes)
    _, first = np.unique(copy_of, return_index=True)
    with threadpool_limits(1):  # the number of threads would change last bits, and a merge with them
        meaning = unit(vectors[first])
        wording = wording_vectors(space.core([texts[index] for index in first.tolist()]), seed=seed)
        found = fitting_communities(
            meaning,
            wording,
            seed=seed,
            granularity=granularity,
            attributes=None if codes is None else codes[first],
        )
    return by_size(found[copy_of]), wording[copy_of]


def near_copies(vectors: Halves, attributes: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """For every vector the number (0-based, by first appearance) of the one that it is nearly a copy of.

    With `attributes`, codes (n, a), only what is equal in all of them is a copy.
    """
    whole = exact(vectors)
    kinds = np.zeros(len(whole), dtype=np.int64)
    if attributes is not None and len(whole):
        kinds = np.unique(attributes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    leaders: list[int] = []
    copy_of = np.empty(len(whole), dtype=np.int64)
    for start in range(0, len(whole), _BLOCK):
        block = whole[start : start + _BLOCK]
        kind = kinds[start : start + _BLOCK]
        nearest = np.full(len(block), -1, dtype=np.int64)
        likeness = np.full(len(block), _COPY, dtype=np.float32)
        if leaders:
            similar = cosines(block, whole[leaders])
            similar[kind[:, None] != kinds[leaders][None, :]] = -1
            best = similar.argmax(axis=1)
            alike = similar[np.arange(len(block)), best]
            near = alike > _COPY
            nearest[near], likeness[near] = best[near], alike[near]
        within = cosines(block, block)
        within[kind[:, None] != kind[None, :]] = -1
        for row in range(len(block)):
            if nearest[row] >= 0:
                continue
            nearest[row] = len(leaders)
            leaders.append(start + row)
            closer = np.flatnonzero(within[row, row + 1 :] > likeness[row + 1 :]) + row + 1
            nearest[closer], likeness[closer] = nearest[row], within[row, closer]
        copy_of[start : start + len(block)] = nearest
    return copy_of


def _codes(attributes: Sequence[tuple[str | None, ...]], texts: int) -> NDArray[np.int64]:
    """Values of attributes as numbers (n, a), −1 where not known."""
    widths = {len(values) for values in attributes}
    if len(attributes) != texts or len(widths) != 1:
        raise ValueError(f"need equally many attributes of each of {texts} texts")
    codes = np.empty((texts, widths.pop()), dtype=np.int64)
    for column, values in enumerate(zip(*attributes, strict=True)):
        known: dict[str, int] = {}
        codes[:, column] = [-1 if value is None else known.setdefault(value, len(known)) for value in values]
    return codes
