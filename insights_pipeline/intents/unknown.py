"""When a trace is like nothing known: the score below which an intent is not given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from insights_pipeline.intents.classify import leave_one_out_scores
from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.vectors import Texts

_UNKNOWN_SHARE = 0.05


def unknown_score(sample: Texts, intents: Sequence[Intent]) -> float:
    """The score that 5 % of a sample falls short of when each text is held against the exemplars of others."""
    place = {one: index for index, one in enumerate(one for intent in intents for one in intent.exemplar_ids)}
    own = np.array([place.get(one, -1) for one in sample.ids], dtype=np.int64)
    exemplars = np.concatenate([intent.exemplar_vectors for intent in intents])
    scores = leave_one_out_scores(sample.vectors, exemplars, own)
    return float(np.quantile(scores, _UNKNOWN_SHARE))
