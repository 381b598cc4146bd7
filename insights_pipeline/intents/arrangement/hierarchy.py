"""Categories over intents: Ward's clustering of their centroids in both views, and readable names for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.discovery.graph import wording_vectors
from insights_pipeline.intents.naming.labels import MAX_NAME, Label, label_groups, slug_of
from insights_pipeline.intents.naming.spans import stem
from insights_pipeline.intents.vectors import Floats, unit

_WORDING = 0.5
_CLEAR = 0.25  # quantile of how near known intents are to the rest of their category
_CLEARLY = 0.35  # and the least cosine
_ENOUGH = 6  # known intents in company, below which only the least cosine counts
_SPOKEN = (
    0.2  # share of a category's texts that must say its name, else it is named after its two largest intents
)
_LONG = 40  # letters of two names that still make one
_TEXTS = 20  # of each intent that name its category: as many of a small one as of a large one


def two_views(centroids: Floats, texts: Sequence[Sequence[str]], *, seed: int = 0) -> Floats:
    """Points (n, d + r) of intents: unit centroids beside half the mean wording of their texts."""
    flat = [text for of in texts for text in of]
    wording = wording_vectors(flat, seed=seed)
    ends = np.cumsum([len(of) for of in texts])
    parts = np.split(wording, ends[:-1])
    means = np.stack([part.mean(axis=0) if len(part) else np.zeros(wording.shape[1]) for part in parts])
    return np.hstack([unit(centroids), np.float32(_WORDING) * unit(means)])


def categories(points: Floats) -> NDArray[np.int64]:
    """Category (0-based, by first intent) of every intent, from `two_views` of them.

    About 1.6·sqrt(K) categories, 3 to 15; with fewer than six intents each is its own.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    count = len(points)
    if count < 6:
        return np.arange(count)
    wanted = int(np.clip(round(1.6 * np.sqrt(count)), 3, 15))
    found = fcluster(linkage(points.astype(np.float64), method="ward"), wanted, criterion="maxclust")
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return np.asarray(order[inverse], dtype=np.int64)


def nearest_category(points: Floats, of: Sequence[str], new: Floats) -> str | None:
    """The existing category that a new intent clearly belongs to, or None.

    Clearly: it is nearer to the mean of that category than the least typical quarter of known intents are to the
    mean of theirs without them.
    """
    names = sorted(set(of))
    rows = {name: np.array([one == name for one in of]) for name in names}
    sums = {name: points[rows[name]].sum(axis=0) for name in names}
    near = {name: _cosine(sums[name], new) for name in names}
    best = min(names, key=lambda name: (-near[name], name))
    own = [
        _cosine(sums[name] - point, point)
        for point, name in zip(points, of, strict=True)
        if rows[name].sum() > 1
    ]
    least = float(np.quantile(own, _CLEAR)) if len(own) >= _ENOUGH else _CLEARLY
    return best if near[best] >= max(least, _CLEARLY) else None


def category_names(
    members: Sequence[Sequence[int]],
    texts: Sequence[Sequence[str]],
    labels: Sequence[Label],
    *,
    taken: Sequence[str],
) -> list[str]:
    """A name for each category: what people say throughout it, else its two largest intents; unique.

    `members` are indices of intents, the largest first; `texts` and `labels` those of every intent; `taken` names of
    other categories. A category of one intent is named like it.
    """
    said = [[text for index in of for text in texts[index][:_TEXTS]] for of in members]
    own = [label.slug for label in labels]
    heard = {slug_of(name) for name in taken}
    found: list[str] = []
    for of, label, spoken in zip(members, label_groups(said, taken=[*heard, *own]), said, strict=True):
        options = [labels[of[0]].name] if len(of) == 1 else []
        if len(of) > 1 and _throughout(label.name, [labels[index] for index in of], spoken):
            options.append(label.name)
        if len(of) > 1:
            options.append(_both(labels[of[0]], labels[of[1]]))
        options += [
            label.name,
            *(f"{label.name} {number}" for number in range(2, len(members) + len(heard) + 3)),
        ]
        name = next(option for option in options if slug_of(option) not in heard)
        heard.add(slug_of(name))
        found.append(name)
    return found


def _throughout(name: str, labels: Sequence[Label], spoken: Sequence[str]) -> bool:
    """Whether a fifth of the texts say all words of the name, and half of the intents are told by one of them.

    Without the second every category would be called after what people say by the way ("remember my e-mail").
    """
    words = [word for word in name.lower().split() if len(word) > 2]
    stems = {stem(word) for word in words}
    told = [{stem(word) for phrase in label.phrases[:4] for word in phrase.split()} for label in labels]
    enough = sum(all(word in text for word in words) for text in spoken) >= _SPOKEN * len(spoken)
    return enough and sum(bool(stems & of) for of in told) >= max(2, len(labels) / 2)


def _both(first: Label, second: Label) -> str:
    """The names of both, or what tells them where that would be long."""
    if len(first.name) + len(second.name) <= _LONG or not (first.phrases and second.phrases):
        return f"{first.name} and {_lower(second.name)}"[:MAX_NAME].rstrip()
    return f"{first.phrases[0].capitalize()} and {second.phrases[0]}"[:MAX_NAME].rstrip()


def _lower(name: str) -> str:
    return name if name[1:2].isupper() or name.startswith("I ") else name[:1].lower() + name[1:]


def _cosine(left: Floats, right: Floats) -> float:
    length = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return float(left @ right) / length if length else 0.0


def grouped(of: Sequence[int]) -> Mapping[int, list[int]]:
    """Indices by category."""
    found: dict[int, list[int]] = {}
    for index, category in enumerate(of):
        found.setdefault(int(category), []).append(index)
    return found
