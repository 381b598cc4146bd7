"""Samples of labelled texts for the tests."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path

import numpy as np

from insights_pipeline.intents.embedding.wordllama_space import WordLlamaSpace, fit_space
from insights_pipeline.intents.vectors import Texts

DAY = date(2026, 3, 2)


def sample_of(texts: list[str]) -> tuple[Texts, WordLlamaSpace]:
    space = fit_space(texts)
    ids = tuple(f"t{number}" for number in range(len(texts)))
    return Texts((DAY,) * len(texts), ids, tuple(texts), space.embed(texts)), space


def clinc(
    real_data: Path, *, texts: int, intents: int, seed: int, zipf: bool = False
) -> tuple[list[str], list[str]]:
    raw = json.loads((real_data / "clinc150" / "data_small.json").read_text())
    by_intent: dict[str, list[str]] = {}
    for text, intent in raw["train"] + raw["val"] + raw["test"]:
        by_intent.setdefault(intent, []).append(text)
    rng = random.Random(seed)
    shares = np.array([1 / (rank + 1) if zipf else 1.0 for rank in range(intents)])
    rows = []
    for intent, share in zip(rng.sample(sorted(by_intent), intents), shares / shares.sum(), strict=True):
        said = by_intent[intent]
        rng.shuffle(said)
        rows += [(text, intent) for text in said[: max(3, round(texts * share))]]
    rng.shuffle(rows)
    return [text for text, _ in rows], [intent for _, intent in rows]
