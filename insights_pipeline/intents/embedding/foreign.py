"""What a space does for languages that its token table does not know, script by script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.embedding.letters import BUCKETS, bucket_weights, letter_vectors
from insights_pipeline.intents.embedding.scripts import SCRIPTS, script_of
from insights_pipeline.intents.embedding.sentence_space import DIMENSIONS
from insights_pipeline.intents.vectors import Floats, unit

_SURE = 30.0  # different sentences of a script at which half of their own mean is taken
# Letters a token below which a language falls to fragments, and above which the table knows it: English requests have
# 3.4 to 4.3, those of 60 other languages 0.2 to 3.0 (templates of a home assistant; some small labelled sets).
_KNOWN = (3.0, 3.3)
_PIECE = (
    0.25  # longest piece of the mean taken where the table knows the language: of varied English it is all
)


@dataclass(frozen=True, slots=True)
class Scripts:
    """For each of s scripts the mean to take out (s, 256) and how much letters count beside tokens (s,), 0 to 1.

    `buckets` are the weights of n-grams of letters, empty where no script needs them.
    """

    means: Floats = field(repr=False)
    letters: Floats = field(repr=False)
    buckets: Floats = field(repr=False)

    def applied(self, vectors: Floats, sentences: Sequence[str]) -> Floats:
        """Unit vectors (n, 256) from those of the token table; a sentence without tokens stays zeros."""
        scripts = _scripts_of(sentences)
        taken = self.means[scripts]
        taken[~vectors.any(axis=1)] = 0
        found = unit(vectors - taken)
        chosen = np.flatnonzero(self.letters[scripts] > 0)
        if len(chosen) and len(self.buckets):
            spelled = letter_vectors([sentences[i] for i in chosen.tolist()], self.buckets, DIMENSIONS)
            found[chosen] = unit(found[chosen] + self.letters[scripts[chosen]][:, None] * spelled)
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Scripts:
        """The three arrays out of a payload; of a space of before, which had none, what changes nothing."""
        if "means" not in arrays:
            return cls(
                np.zeros((len(SCRIPTS), DIMENSIONS), dtype=np.float32),
                np.zeros(len(SCRIPTS), dtype=np.float32),
                np.zeros((0, BUCKETS), dtype=np.float32),
            )
        return cls(arrays["means"], arrays["letters"], arrays["buckets"])


def fit_scripts(sentences: Sequence[str], vectors: Floats, known: tuple[Floats, Floats]) -> Scripts:
    """From different sentences, their unit vectors (n, 256), and the letters and tokens (n,) of each.

    The mean of a script is drawn to that of all, and that to zero, where there are few: what few sentences have in
    common is what they ask for. Where the table knows the language, traffic of one topic has that in common too: then
    only a short piece of the mean is taken.
    """
    scripts = _scripts_of(sentences)
    wide = vectors.astype(np.float64)
    of_all = wide.sum(axis=0) / (len(sentences) + _SURE)
    means = np.empty((len(SCRIPTS), DIMENSIONS), dtype=np.float32)
    letters = np.zeros(len(SCRIPTS), dtype=np.float32)
    for script in range(len(SCRIPTS)):
        own = scripts == script
        mean = (wide[own].sum(axis=0) + _SURE * of_all) / (int(own.sum()) + _SURE)
        # of a script that was not there nothing is known
        a_token = float(known[0][own].sum() / max(1.0, known[1][own].sum())) if own.any() else _KNOWN[1]
        letters[script] = np.interp(a_token, _KNOWN, (1.0, 0.0))
        longest = float(np.interp(a_token, _KNOWN, (1.0, _PIECE)))
        means[script] = mean * min(1.0, longest / max(float(np.sqrt(np.square(mean).sum())), 1e-9))
    buckets = bucket_weights(sentences) if letters.any() else np.zeros((0, BUCKETS), dtype=np.float32)
    return Scripts(means, letters, buckets)


def _scripts_of(sentences: Sequence[str]) -> NDArray[np.int64]:
    return np.array([script_of(sentence) for sentence in sentences], dtype=np.int64)
