"""Categories that a team has laid down: which of them an intent belongs to, and how clearly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from insights_pipeline.intents.embedding.spaces import Space
from insights_pipeline.intents.vectors import Floats, Halves, cosines, exact

OTHER = "Other"
# Of the score below. On CLINC150 (all intents against descriptions of its ten domains, sampling seeds 0-2) 3 of 100
# rightly placed intents score less than the floor, and 74 of 100 whose domain is taken away; of those with less lead
# than the margin every second is wrong, of the others 2 in 100.
FLOOR = 0.20
LOW_MARGIN = 0.08
_PART = 0.5  # weight of the best part of a description, and of the best example, beside the whole
_PARTS = re.compile(r"[:;,.()\n、，。；：]| and | or ")
_ENDS = re.compile(r"[.!?\n]+")
_MOST_PARTS = 64
_MOST_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Category:
    """A predefined category: its name, what belongs in it, and perhaps messages as examples."""

    name: str
    description: str
    examples: tuple[str, ...] = ()


class Place(NamedTuple):
    """A category's name, or "Other" where none is near enough, and its lead over the second (None: no second)."""

    category: str
    margin: float | None


def places(centroids: Halves, categories: Sequence[Category], space: Space) -> list[Place]:
    """The category of each intent, from centroids (n, d).

    The score of a category is the cosine of the centroid with name and description as one sentence, half that with
    the nearest part of them ("lost luggage" in a list of ten things), and half that with the nearest example.
    """
    if not categories:
        raise ValueError("no categories to place intents in")
    points = exact(centroids)
    scores = np.stack([_scores(points, category, space) for category in categories], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    found: list[Place] = []
    for row, ranks in zip(scores, order, strict=True):
        best = float(row[ranks[0]])
        margin = round(best - float(row[ranks[1]]), 4) if len(ranks) > 1 else None
        name = categories[int(ranks[0])].name if best >= FLOOR else OTHER
        found.append(Place(name, margin if best >= FLOOR else None))
    return found


def signature(categories: Sequence[Category]) -> str:
    """Changes when a category, its description or an example does."""
    told = json.dumps([[one.name, one.description, list(one.examples)] for one in categories])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _scores(points: Floats, category: Category, space: Space) -> Floats:
    description = category.description[:_MOST_CHARS]
    # one sentence, as a space weighs several against one another
    listed = _ENDS.sub(",", description).strip(" ,")
    whole = f"{category.name}: {listed}"
    parts = [part.strip() for part in (category.name, *_PARTS.split(description))]
    parts = [part for part in dict.fromkeys(parts) if any(map(str.isalpha, part))][:_MOST_PARTS]
    terms = [(1.0, [whole]), (_PART, parts), (_PART, list(category.examples)[:_MOST_PARTS])]
    terms = [(weight, texts) for weight, texts in terms if texts]
    total = sum(weight for weight, _ in terms)
    scores = np.zeros(len(points), dtype=np.float32)
    for weight, texts in terms:
        scores += np.float32(weight / total) * cosines(points, exact(space.embed(texts))).max(axis=1)
    return scores
