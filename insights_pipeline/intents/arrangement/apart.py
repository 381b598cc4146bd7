"""The nearest neighbour of every intent, and what sets the two apart in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.naming.labels import contrast
from insights_pipeline.intents.vectors import cosines, exact


def nearest(intents: Sequence[Intent]) -> Mapping[str, str]:
    """Id of the intent most like each one, by centroid; of equals the first id. Nothing of one intent alone."""
    if len(intents) < 2:
        return {}
    centroids = exact(np.stack([one.centroid for one in intents]))
    alike = cosines(centroids, centroids)
    np.fill_diagonal(alike, -np.inf)
    ids = [one.intent_id for one in intents]
    return {ids[row]: ids[int(best)] for row, best in enumerate(alike.argmax(axis=1))}


def apart_sentence(texts: Sequence[str], others: Sequence[str]) -> str:
    """What the texts say and the others do not, e.g. `Says “refund”, “money back”; not “where is”.`

    The neighbour is not named, as names change; "" when no phrase tells them apart.
    """
    mine, theirs = contrast(texts, others)
    said = ", ".join(f"“{phrase}”" for phrase in mine[:3])
    unsaid = ", ".join(f"“{phrase}”" for phrase in theirs[:2])
    if said and unsaid:
        return f"Says {said}; not {unsaid}."
    if said:
        return f"Says {said}."
    return f"Does not say {unsaid}." if unsaid else ""
