"""When a trace is like nothing known: the score below which an intent is not given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.vectors import Texts

UNKNOWN_SHARE = 0.05


def unknown_score(sample: Texts, intents: Sequence[Intent]) -> float:
    """The score that 5 % of a sample falls short of when each text is held against the exemplars of others.

    It needs no new calibration when intents are added later: the score of a text is one against its nearest intents.
    """
    place = {one: index for index, one in enumerate(one for intent in intents for one in intent.exemplar_ids)}
    own = np.array([place.get(one, -1) for one in sample.ids], dtype=np.int64)
    judge = Classifier.of(
        np.stack([intent.centroid for intent in intents]), [intent.exemplar_vectors for intent in intents]
    )
    return float(np.quantile(judge.judge(sample.vectors, own).score, UNKNOWN_SHARE))
