"""Whether the same intents are found again: with another seed on the same texts, and in other texts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from intent_quality import DAY, KURA, OURS, Placed, at_work, kmeans, kura_k, our_groups, place
from intent_samples import Sample, Setting, Source
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.evaluation.evaluate import agreement
from insights_pipeline.intents.vectors import unit

SAME_DATA, DISJOINT = "same data", "disjoint"


@dataclass(frozen=True, slots=True)
class Stability:
    """Agreement (ARI) of two runs of one method: on the same data with another seed, or on disjoint samples."""

    source: str
    setting: str
    space: str
    seed: int
    method: str
    kind: str  # SAME_DATA | DISJOINT
    ari: float


def stability(
    source: Source,
    settings: Sequence[Setting],
    seeds: Sequence[int],
    spaces: Sequence[str],
    *,
    peers: Sequence[str],
    tell: Callable[[str], None],
) -> list[Stability]:
    """Two seeds on the same texts, and two disjoint samples of the same intents that judge the texts of a third."""
    found: list[Stability] = []
    firsts: list[Placed] = []
    for setting in settings:
        for seed in seeds:
            parts = _thirds(source, setting, seed)
            for space in spaces:
                one, other = place(parts[0], space), place(parts[1], space)
                firsts.append(one)
                measured = [*_same_data(one), *_disjoint(one, other, parts[2].texts)]
                found += [_of(one, method, kind, ari) for method, kind, ari in measured]
        tell(f"stability: {source.name} {setting.name}")
    return found + _peers_same_data(firsts, peers, tell)


def _of(one: Placed, method: str, kind: str, ari: float) -> Stability:
    return Stability(one.sample.source, one.sample.setting, one.setting, one.sample.seed, method, kind, ari)


def _peers_same_data(
    placed: Sequence[Placed], peers: Sequence[str], tell: Callable[[str], None]
) -> list[Stability]:
    """Every peer with two seeds on each of the samples."""
    twice = [replace(one, sample=replace(one.sample, seed=seed)) for one in placed for seed in (0, 1)]
    with at_work(twice, peers) as grouped:
        groups = {(result.peer, result.job): result.groups for result in grouped() if not result.error}
    tell("stability: peers")
    found = []
    for number, one in enumerate(placed):
        for peer in peers:
            runs = [groups.get((peer, 2 * number + seed)) for seed in (0, 1)]
            if runs[0] and runs[1]:
                found.append(_of(one, peer, SAME_DATA, agreement(runs[0], runs[1]).ari))
    return found


def _thirds(source: Source, setting: Setting, seed: int) -> list[Sample]:
    """Three disjoint samples of the same intents, each of at most so many texts and of a third of what there is."""
    rng = random.Random(seed)
    chosen = rng.sample(sorted(source.by_intent), min(setting.intents, len(source.by_intent)))
    most = round(setting.texts / len(chosen))
    parts: list[list[tuple[str, str]]] = [[], [], []]
    for intent in chosen:
        said = rng.sample(list(source.by_intent[intent]), len(source.by_intent[intent]))
        size = min(most, len(said) // 3)
        for number, part in enumerate(parts):
            part += [(text, intent) for text in said[number * size : (number + 1) * size]]
    for part in parts:
        rng.shuffle(part)
    return [
        Sample(source.name, setting.name, seed, tuple(row[0] for row in part), tuple(row[1] for row in part))
        for part in parts
    ]


def _same_data(one: Placed) -> Iterator[tuple[str, str, float]]:
    k = kura_k(len(one.texts))
    yield OURS, SAME_DATA, _ari(our_groups(one, 0), our_groups(one, 1))
    yield KURA, SAME_DATA, _ari(kmeans(one.units, k, seed=0), kmeans(one.units, k, seed=1))


def _disjoint(one: Placed, other: Placed, judged: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    yield OURS, DISJOINT, _ari(*(_nearest_intents(of, judged) for of in (one, other)))
    yield KURA, DISJOINT, _ari(*(_nearest_means(of, judged) for of in (one, other)))


def _nearest_intents(one: Placed, judged: Sequence[str]) -> NDArray[np.int64]:
    intents, _ = discover(one.texts, one.space, born=DAY, seed=0)
    centroids = np.stack([intent.centroid for intent in intents])
    classifier = Classifier.of(centroids, [intent.exemplar_vectors for intent in intents])
    return classifier.judge(one.space.embed(judged)).nearest


def _nearest_means(one: Placed, judged: Sequence[str]) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    means = KMeans(kura_k(len(one.texts)), n_init=1, random_state=0).fit(one.units)
    return np.asarray(means.predict(unit(one.space.embed(judged))), dtype=np.int64)


def _ari(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    return agreement(left.tolist(), right.tolist()).ari
