"""Kinds of request within a large intent, where there really are several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.arrangement.hierarchy import two_views
from insights_pipeline.intents.model import Intent, SubIntent
from insights_pipeline.intents.naming.labels import label_groups
from insights_pipeline.intents.vectors import Floats, unit

LARGE_SHARE = 0.15  # of the traffic
LARGE_EXEMPLARS = 60
_MOST = 5
_LEAST_TEXTS = 24  # of an intent that is looked into
_LEAST_SHARE = 0.1
_LEAST_MEMBERS = 6
# Mean similarity between two parts over that within them, below which they are two. On CLINC150 (sampling seeds 0-3)
# 60 texts of one gold intent fall into parts this unlike in 7 of 100 cases, those of two in 78, of three in 85.
_UNLIKE = 0.35


def sub_intents(intent: Intent, requests: Sequence[str]) -> tuple[SubIntent, ...]:
    """The parts of an intent's exemplars, largest first, with `requests` their texts (see `Space.core`).

    Nothing where the exemplars are of one kind. Shares are of the exemplars, which are a sample of the intent.
    """
    if len(requests) < _LEAST_TEXTS:
        return ()
    points = two_views(intent.exemplar_vectors.astype(np.float32), [[text] for text in requests])
    parts = parts_of(unit(points))
    if not parts:
        return ()
    labels = label_groups([[requests[index] for index in part] for part in parts])
    return tuple(
        SubIntent(
            name=label.name,
            share=round(len(part) / len(requests), 4),
            exemplar_ids=tuple(intent.exemplar_ids[index] for index in part[:3]),
            exemplar_texts=tuple(intent.exemplar_texts[index] for index in part[:3]),
        )
        for part, label in zip(parts, labels, strict=True)
    )


def parts_of(points: Floats) -> list[list[int]]:
    """Indices of each part, the largest first and the most typical member first; [] where there is one part only.

    Ward's tree over unit rows, cut into as many parts (at most 5) as still are unlike one another.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points.astype(np.float64), method="ward")
    for wanted in range(_MOST, 1, -1):
        found = fcluster(tree, wanted, criterion="maxclust") - 1
        sizes = np.bincount(found)
        if len(sizes) < 2 or sizes.min() < max(_LEAST_MEMBERS, _LEAST_SHARE * len(points)):
            continue
        if _likeness(points, found).max() < _UNLIKE:
            parts = [_central_first(points, np.flatnonzero(found == part)) for part in range(len(sizes))]
            return sorted(parts, key=lambda part: (-len(part), min(part)))
    return []


def _likeness(points: Floats, found: NDArray[np.integer]) -> Floats:
    """Mean similarity between every two parts over the geometric mean of that within them (0 on the diagonal)."""
    sizes = np.bincount(found)
    means = np.stack([points[found == part].mean(axis=0) for part in range(len(sizes))]).astype(np.float64)
    alike = means @ means.T
    within = np.maximum((np.diag(alike) * sizes - 1) / (sizes - 1), 1e-3)
    likeness = alike / np.sqrt(np.outer(within, within))
    np.fill_diagonal(likeness, 0)
    return np.asarray(likeness, dtype=np.float32)


def _central_first(points: Floats, members: NDArray[np.intp]) -> list[int]:
    nearness = points[members] @ points[members].mean(axis=0)
    return [int(index) for index in members[np.lexsort((members, -nearness.round(4)))]]
