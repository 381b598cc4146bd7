"""Categories over intents: Ward's clustering of their centroids in both views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.vectors import Floats, unit

_WORDING = 0.5


def categories(meaning: Floats, wording: Floats) -> NDArray[np.int64]:
    """Category (0-based, by first intent) of every intent, from its mean vectors in both views.

    About 1.6·sqrt(K) categories, 3 to 15; with fewer than six intents each is its own.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    count = len(meaning)
    if count < 6:
        return np.arange(count)
    wanted = int(np.clip(round(1.6 * np.sqrt(count)), 3, 15))
    points = np.hstack([unit(meaning), np.float32(_WORDING) * unit(wording)]).astype(np.float64)
    found = fcluster(linkage(points, method="ward"), wanted, criterion="maxclust")
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return np.asarray(order[inverse], dtype=np.int64)


def category_names(
    of: NDArray[np.int64], phrases: Sequence[Sequence[str]], sizes: Sequence[int]
) -> list[str]:
    """Name of every intent's category: the best phrases of its two largest intents, unique among categories."""
    names: dict[int, str] = {}
    for category in range(int(of.max()) + 1 if len(of) else 0):
        members = sorted(np.flatnonzero(of == category).tolist(), key=lambda index: (-sizes[index], index))
        about = [phrases[index][0] for index in members if phrases[index]]
        about += [phrase for index in members for phrase in phrases[index][1:]]
        options = [_title(about[:2] if len(members) > 1 else about[:1])]
        options += [_title([*about[:1], other]) for other in about[1:]]
        free = [option for option in options if option and option not in names.values()]
        names[category] = free[0] if free else f"Other {category + 1}"
    return [names[int(category)] for category in of]


def _title(phrases: Sequence[str]) -> str:
    words = (" ".join(word[:1].upper() + word[1:] for word in phrase.split()) for phrase in phrases)
    return " & ".join(words)
