"""Intent discovery on CLINC150: agreement with the labels beside KMeans that is told the true number, and speed.

Run: `python benchmarks/intents.py --clinc PATH` with PATH the folder that holds `data_small.json`.
Samples draw random intents and texts by seed; "zipf" gives the intents sizes 1/rank.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from datetime import date
from pathlib import Path

import numpy as np

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discover import discover
from insights_pipeline.intents.evaluate import agreement
from insights_pipeline.intents.grouping import group
from insights_pipeline.intents.vectors import Texts, unit
from insights_pipeline.intents.wordllama_space import fit_space

SETTINGS = (
    (500, 5, False),
    (500, 8, False),
    (500, 12, True),
    (500, 30, False),
    (2_000, 60, False),
    (2_000, 60, True),
)


def load(folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Texts by intent, and the out-of-scope texts."""
    raw = json.loads((folder / "data_small.json").read_text())
    by_intent: dict[str, list[str]] = {}
    for part in ("train", "val", "test"):
        for text, intent in raw[part]:
            by_intent.setdefault(intent, []).append(text)
    return by_intent, [text for part in ("oos_train", "oos_val", "oos_test") for text, _ in raw[part]]


def sample(
    by_intent: dict[str, list[str]], *, texts: int, intents: int, zipf: bool, seed: int
) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    weights = np.array([1 / (rank + 1) if zipf else 1.0 for rank in range(intents)])
    rows = []
    for intent, share in zip(rng.sample(sorted(by_intent), intents), weights / weights.sum(), strict=True):
        said = rng.sample(by_intent[intent], len(by_intent[intent]))
        rows += [(text, intent) for text in said[: max(3, round(texts * share))]]
    rng.shuffle(rows)
    return [text for text, _ in rows], [intent for _, intent in rows]


def quality(by_intent: dict[str, list[str]], seeds: range) -> None:
    from sklearn.cluster import KMeans

    print(f"{'sample':<16}{'NMI':>7}{'ARI':>7}{'k/K':>7}{'purity':>8}   KMeans, true k: NMI    ARI")
    for texts, intents, zipf in SETTINGS:
        ours, theirs = [], []
        for seed in seeds:
            said, truth = sample(by_intent, texts=texts, intents=intents, zipf=zipf, seed=seed)
            space = fit_space(said)
            vectors = space.embed(said)
            found, _ = group(said, vectors, space, seed=0)
            ours.append(agreement(truth, found.tolist()))
            means = KMeans(intents, n_init=3, random_state=0).fit_predict(unit(vectors))
            theirs.append(agreement(truth, means.tolist()))
        name = f"{texts}/{intents}{' zipf' if zipf else ''}"
        mean = [np.mean([getattr(one, key) for one in ours]) for key in ("nmi", "ari", "k_ratio", "purity")]
        other = [np.mean([getattr(one, key) for one in theirs]) for key in ("nmi", "ari")]
        print(
            f"{name:<16}{mean[0]:7.3f}{mean[1]:7.3f}{mean[2]:7.2f}{mean[3]:8.3f}{other[0]:22.3f}{other[1]:7.3f}"
        )


def unknown(by_intent: dict[str, list[str]], strangers: list[str], seeds: range) -> None:
    """Held-out texts of known intents against out-of-scope texts: AUROC, and shares called unknown."""
    from sklearn.metrics import roc_auc_score

    areas, false, true = [], [], []
    for seed in seeds:
        said, _ = sample(by_intent, texts=1_000, intents=30, zipf=False, seed=seed)
        boot, later = said[:500], said[500:]
        space = fit_space(boot)
        ids = tuple(str(number) for number in range(len(boot)))
        texts = Texts((date(2026, 1, 1),) * len(boot), ids, tuple(boot), space.embed(boot))
        intents, threshold = discover(texts, space, born=date(2026, 1, 1), seed=0)
        judge = Classifier.of(
            np.stack([one.centroid for one in intents]), [one.exemplar_vectors for one in intents]
        )
        known, strange = judge.judge(space.embed(later)).score, judge.judge(space.embed(strangers)).score
        areas.append(roc_auc_score([0] * len(known) + [1] * len(strange), -np.concatenate([known, strange])))
        false.append((known < threshold).mean())
        true.append((strange < threshold).mean())
    print(
        f"unknown, 500/30: AUROC out-of-scope {np.mean(areas):.3f}; "
        f"called unknown: {np.mean(true):.0%} of strangers, {np.mean(false):.1%} of known"
    )


def speed(by_intent: dict[str, list[str]]) -> None:
    said = [text for texts in by_intent.values() for text in texts]
    random.Random(0).shuffle(said)
    space = fit_space(said[:500])
    space.embed(said[:100])
    began, cpu = time.perf_counter(), time.process_time()
    space.embed(said * 2)
    print(
        f"embed: {2 * len(said) / (time.process_time() - cpu):,.0f} short texts per CPU second "
        f"({2 * len(said) / (time.perf_counter() - began):,.0f} per second of wall clock)"
    )
    for count in (500, 2_000, 5_000):
        chosen = said[:count]
        ids = tuple(str(number) for number in range(count))
        began, cpu = time.perf_counter(), time.process_time()
        texts = Texts((date(2026, 1, 1),) * count, ids, tuple(chosen), space.embed(chosen))
        intents, _ = discover(texts, space, born=date(2026, 1, 1), seed=0)
        used, waited = time.process_time() - cpu, time.perf_counter() - began
        print(f"bootstrap of {count:,}: {used:.2f} CPU s, {waited:.2f} s, {len(intents)} intents")
    judge = Classifier.of(
        np.stack([one.centroid for one in intents]), [one.exemplar_vectors for one in intents]
    )
    vectors = space.embed(said)
    cpu = time.process_time()
    judge.judge(vectors)
    print(
        f"classify: {len(said) / (time.process_time() - cpu):,.0f} per CPU second against {len(intents)} intents"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clinc", type=Path, required=True, help="folder with CLINC150's data_small.json")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    by_intent, strangers = load(options.clinc)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    quality(by_intent, seeds)
    unknown(by_intent, strangers, seeds)
    speed(by_intent)


if __name__ == "__main__":
    main()
