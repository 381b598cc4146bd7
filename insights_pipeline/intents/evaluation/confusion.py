"""Where two labellings of the same items disagree most: groups that mix labels, labels that are torn over groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from insights_pipeline.intents.embedding.text import one_line

_PARTS = 5  # parts of a mixture that are told
_MOST = 10  # mixtures that are told
_EXAMPLE = 120  # characters


@dataclass(frozen=True, slots=True)
class Part:
    """Items of a mixture that belong together by the other labelling, and the first of them."""

    name: str
    items: int
    example: str


@dataclass(frozen=True, slots=True)
class Mixture:
    """A class of one labelling whose items the other one keeps apart. `astray` are those outside its largest part."""

    name: str
    items: int
    astray: int
    parts: tuple[Part, ...]


@dataclass(slots=True)
class _Class:
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


def mixtures(
    of: Sequence[str],
    by: Sequence[str],
    items: Sequence[str],
    *,
    names: Mapping[str, str] | None = None,
) -> tuple[Mixture, ...]:
    """The classes of labelling `of` that are the most mixed by labelling `by`: up to 10, most items astray first.

    `names` are what keys of either labelling are called; a key that is not in it is its own name.
    """
    called = names or {}
    classes: dict[str, _Class] = {}
    for outer, inner, item in zip(of, by, items, strict=True):
        one = classes.setdefault(outer, _Class())
        one.counts[inner] += 1
        one.examples.setdefault(inner, item)
    found = []
    for key, one in classes.items():
        largest = sorted(one.counts, key=lambda inner: (-one.counts[inner], inner))
        total = one.counts.total()
        astray = total - one.counts[largest[0]]
        if astray:
            parts = (
                Part(
                    called.get(inner, inner),
                    one.counts[inner],
                    one_line(one.examples[inner], limit=_EXAMPLE),
                )
                for inner in largest[:_PARTS]
            )
            found.append(Mixture(called.get(key, key), total, astray, tuple(parts)))
    return tuple(sorted(found, key=lambda one: (-one.astray, one.name)))[:_MOST]
