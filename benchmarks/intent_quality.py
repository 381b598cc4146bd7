"""How well groups agree with labels: ours, and those of peers on the very same samples and vectors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from intent_peers import Grouping, Job, started
from intent_samples import Sample
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.grouping import group
from insights_pipeline.intents.embedding.spaces import Embeddings, Space
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.vectors import Floats, Texts, unit

OURS, TRUE_K, KURA = "Insights", "KMeans true k", "Kura n/10"
DAY = date(2000, 1, 1)  # intents have a birthday; nothing here depends on it
_ROUNDS = 10  # starts of KMeans with the true k, the best of which counts


@dataclass(frozen=True, slots=True)
class Score:
    """Agreement of one method with the labels of one sample."""

    source: str
    language: str | None
    setting: str
    space: str
    seed: int
    method: str
    texts: int
    intents: int
    nmi: float
    ari: float
    k_ratio: float
    purity: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample in the space that was fitted on it."""

    sample: Sample
    setting: str
    space: Space = field(repr=False)
    texts: Texts = field(repr=False)

    @property
    def units(self) -> Floats:
        return unit(self.texts.vectors)


def place(sample: Sample, setting: str) -> Placed:
    """A sample in the space of an embedding setting."""
    space = Embeddings(setting).fit(sample.texts)
    ids = tuple(f"{number:05d}" for number in range(len(sample.texts)))
    vectors = space.embed(sample.texts)
    return Placed(sample, setting, space, Texts((DAY,) * len(ids), ids, sample.texts, vectors))


def kmeans(vectors: Floats, k: int, *, seed: int, rounds: int = 1) -> NDArray[np.int64]:
    """Groups of vectors (n, d): the best of so many starts."""
    from sklearn.cluster import KMeans

    found = KMeans(min(k, len(vectors)), n_init=rounds, random_state=seed).fit_predict(vectors)
    return np.asarray(found, dtype=np.int64)


def kura_k(texts: int) -> int:
    """Kura's rule for the number of clusters."""
    return math.ceil(texts / 10)


def quality(
    samples: Sequence[Sample],
    spaces: Sequence[str],
    *,
    languages: dict[str, str | None],
    peers: Sequence[str],
    tell: Callable[[str], None],
) -> list[Score]:
    """The scores of every method on every sample in every space. A peer that fails on a sample has none there."""
    placed = [place(sample, setting) for setting in spaces for sample in samples]
    scores = []
    with at_work(placed, peers) as grouped:
        for number, one in enumerate(placed, 1):
            for method, found in _own(one):
                scores.append(_score(one, method, found, languages))
            if number % 20 == 0 or number == len(placed):
                tell(f"quality: {number} of {len(placed)} samples")
        for result in grouped():
            one = placed[result.job]
            if result.error:
                tell(f"{result.peer} failed on {one.sample.source} {one.sample.setting}: {result.error}")
                continue
            scores.append(_score(one, result.peer, result.groups, languages))
    return scores


@contextlib.contextmanager
def at_work(placed: Sequence[Placed], peers: Sequence[str]) -> Iterator[Callable[[], list[Grouping]]]:
    """The peers at work beside us, or nobody."""
    if not peers or not placed:
        yield list
        return
    jobs = [Job(one.sample.texts, one.units, one.sample.seed) for one in placed]
    with started(jobs, peers) as results:
        yield results


def _own(one: Placed) -> Iterator[tuple[str, Sequence[int]]]:
    """Our groups, those of KMeans that is told the true number, and those of Kura's rule."""
    seed = one.sample.seed
    yield OURS, our_groups(one, seed).tolist()
    yield TRUE_K, kmeans(one.units, one.sample.intents, seed=seed, rounds=_ROUNDS).tolist()
    yield KURA, kmeans(one.units, kura_k(len(one.texts)), seed=seed).tolist()


def our_groups(one: Placed, seed: int) -> NDArray[np.int64]:
    """What discovery makes of a sample."""
    found, _ = group(one.texts.texts, one.texts.vectors, one.space, seed=seed)
    return found


def _score(one: Placed, method: str, found: Sequence[int], languages: dict[str, str | None]) -> Score:
    agreed = agreement(one.sample.truth, found)
    sample = one.sample
    return Score(
        sample.source, languages[sample.source], sample.setting, one.setting, sample.seed, method,
        len(sample.texts), sample.intents, agreed.nmi, agreed.ari, agreed.k_ratio, agreed.purity,
    )  # fmt: skip
