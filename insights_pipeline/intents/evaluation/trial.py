"""How well intents are found in texts that people have labelled, on traffic that came later, and on strangers.

Of the labels some are withheld: their texts are what a new intent will look like. Of the texts of the others a part is
kept back as later traffic; the rest is what intents are discovered from. Labels are seen by the measures only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from insights_pipeline.intents.classify import Classifier
from insights_pipeline.intents.discovery.discover import discover
from insights_pipeline.intents.discovery.grouping import group
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Embeddings, Space
from insights_pipeline.intents.embedding.text import has_text
from insights_pipeline.intents.evaluation.confusion import Mixture, mixtures
from insights_pipeline.intents.evaluation.evaluate import agreement, auroc, majority_labels
from insights_pipeline.intents.model import Intent
from insights_pipeline.intents.unknown import UNKNOWN_SHARE
from insights_pipeline.intents.vectors import Texts

LEAST_TEXTS = 20
MOST_TEXTS = 5_000  # as many as the pipeline discovers intents from
_MOST_LATER = 20_000
_LEAST_LABELS_TO_WITHHOLD = 5
_DAY = date(2000, 1, 1)  # intents of a trial have a birthday too; nothing depends on it
_OUT_OF_SCOPE = ("oos", "unknown", "out_of_scope")


@dataclass(frozen=True, slots=True)
class Split:
    """Texts with their labels: to discover from, of the same labels later, of labels kept back, of no intent at all."""

    first: tuple[tuple[str, str], ...] = field(repr=False)
    later: tuple[tuple[str, str], ...] = field(repr=False)
    withheld: tuple[tuple[str, str], ...] = field(repr=False)
    strange: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one trial measured; None where there was nothing to measure it on.

    The first nine are about the texts that intents were discovered from (see `Agreement`). `accuracy` is the share of
    later texts whose intent has their label as its most frequent one, `ceiling` what it would be if every text got
    the intent it was grouped with, which is `purity`. The `auroc` are chances that a stranger scores below known
    later traffic. The `unknown` are shares called unknown: of known later traffic (`nominal` is what was aimed at),
    of texts of withheld labels, of out-of-scope texts. Seconds are those of fitting, embedding and discovery.
    """

    texts: float
    labels: float
    intents: float
    k_ratio: float
    nmi: float
    ari: float
    homogeneity: float
    completeness: float
    purity: float
    later_texts: float
    accuracy: float | None
    ceiling: float
    withheld_texts: float
    auroc_withheld: float | None
    strange_texts: float
    auroc_out_of_scope: float | None
    nominal_unknown: float
    false_unknown: float | None
    withheld_unknown: float | None
    out_of_scope_unknown: float | None
    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures of every seed, their means, and where groups and labels of the first seed disagree most."""

    seeds: tuple[Figures, ...]
    mean: Figures
    mixed_intents: tuple[Mixture, ...]
    torn_labels: tuple[Mixture, ...]
    without_words: int = 0  # texts without a letter, which have no intent and were left out


def trial(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    most_texts: int | None = None,
    hold_out: float = 0.3,
    withhold: float = 0.1,
    seeds: int = 3,
    first_seed: int = 0,
    embeddings: Embeddings = WORDLLAMA,
    granularity: float = 1.0,
    out_of_scope: Sequence[str] = (),
) -> Trial:
    """Discover intents in labelled texts, `seeds` times with other texts and labels kept back, and measure.

    At most `most_texts` (default and limit: 5,000) are discovered from; `hold_out` is the share of texts that are later
    traffic, `withhold` the share of labels kept out of discovery (none of fewer than 5). Texts labelled oos, unknown,
    out_of_scope (in any case) or as in `out_of_scope` are strangers. Same input, same figures but the seconds.
    Raises ValueError when fewer than 20 texts or 2 labels are left to discover intents from.
    """
    rows = [(text, label) for text, label in zip(texts, labels, strict=True) if has_text(text)]
    limit = min(most_texts or MOST_TEXTS, MOST_TEXTS)
    runs = [
        _run(split_of(rows, limit, hold_out, withhold, seed, out_of_scope), embeddings, granularity, seed)
        for seed in range(first_seed, first_seed + seeds)
    ]
    figures = tuple(run for run, _, _ in runs)
    return Trial(figures, _mean(figures), runs[0][1], runs[0][2], len(texts) - len(rows))


def split_of(
    rows: Sequence[tuple[str, str]],
    most_texts: int,
    hold_out: float,
    withhold: float,
    seed: int,
    out_of_scope: Sequence[str] = (),
) -> Split:
    """Rows of text and label in four parts, drawn by `seed`."""
    strange = [row for row in rows if is_out_of_scope(row[1], out_of_scope)]
    inside = [row for row in rows if not is_out_of_scope(row[1], out_of_scope)]
    labels = sorted({label for _, label in inside})
    rng = random.Random(seed)
    kept_back: set[str] = set()
    if withhold > 0 and len(labels) >= _LEAST_LABELS_TO_WITHHOLD:
        count = min(max(1, round(withhold * len(labels))), len(labels) - 2)
        kept_back = set(rng.sample(labels, count))
    known = [row for row in inside if row[1] not in kept_back]
    withheld = [row for row in inside if row[1] in kept_back]
    for part in (known, withheld, strange):
        rng.shuffle(part)
    later = round(hold_out * len(known))
    first = known[later : later + most_texts]
    if len(first) < LEAST_TEXTS or len({label for _, label in first}) < 2:
        raise ValueError(
            f"{len(first)} texts of {len({label for _, label in first})} labels are left to discover intents from, of "
            f"{len(inside)} of {len(labels)}: label at least {LEAST_TEXTS} texts more of 2 or more intents, "
            "or hold out and withhold less"
        )
    return Split(
        tuple(first), tuple(known[: min(later, _MOST_LATER)]), tuple(withheld[:_MOST_LATER]),
        tuple(strange[:_MOST_LATER]),
    )  # fmt: skip


def is_out_of_scope(label: str, more: Sequence[str] = ()) -> bool:
    """Whether a label says that a text is of no intent: oos, unknown, out_of_scope in any case, or one of `more`."""
    plain = label.casefold().replace("-", "_").replace(" ", "_")
    return plain in _OUT_OF_SCOPE or label in more


def _run(
    split: Split, embeddings: Embeddings, granularity: float, seed: int
) -> tuple[Figures, tuple[Mixture, ...], tuple[Mixture, ...]]:
    said, truth = [text for text, _ in split.first], [label for _, label in split.first]
    wall, cpu = time.perf_counter(), time.process_time()
    space = embeddings.fit(said)
    ids = tuple(str(number) for number in range(len(said)))
    sample = Texts((_DAY,) * len(said), ids, tuple(said), space.embed(said))
    intents, threshold = discover(sample, space, born=_DAY, seed=seed, granularity=granularity)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found, _ = group(said, sample.vectors, space, seed=seed, granularity=granularity)
    agreed = agreement(truth, found.tolist())
    majority = majority_labels(truth, found.tolist(), len(intents))
    nearest, known = _judged(split.later, intents, space)
    _, siblings = _judged(split.withheld, intents, space)
    _, strangers = _judged(split.strange, intents, space)
    right = [
        majority[place] == label for place, (_, label) in zip(nearest.tolist(), split.later, strict=True)
    ]
    figures = Figures(
        texts=len(said),
        labels=agreed.true,
        intents=agreed.found,
        k_ratio=agreed.k_ratio,
        nmi=agreed.nmi,
        ari=agreed.ari,
        homogeneity=agreed.homogeneity,
        completeness=agreed.completeness,
        purity=agreed.purity,
        later_texts=len(split.later),
        accuracy=fmean(right) if right else None,
        ceiling=agreed.purity,
        withheld_texts=len(split.withheld),
        auroc_withheld=auroc(known, siblings),
        strange_texts=len(split.strange),
        auroc_out_of_scope=auroc(known, strangers),
        nominal_unknown=UNKNOWN_SHARE,
        false_unknown=_share_below(known, threshold),
        withheld_unknown=_share_below(siblings, threshold),
        out_of_scope_unknown=_share_below(strangers, threshold),
        wall_seconds=wall,
        cpu_seconds=cpu,
    )
    of = [str(number) for number in found.tolist()]
    names = {str(number): intent.name for number, intent in enumerate(intents)}
    return figures, mixtures(of, truth, said, names=names), mixtures(truth, of, said, names=names)


def _judged(
    rows: Sequence[tuple[str, str]], intents: Sequence[Intent], space: Space
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest intent and unknown score of each text; a text without a vector is like nothing."""
    vectors = space.embed([text for text, _ in rows])
    verdict = Classifier.of(
        np.stack([one.centroid for one in intents]), [one.exemplar_vectors for one in intents]
    ).judge(vectors)
    return verdict.nearest, np.where(vectors.any(axis=1), verdict.score, -np.inf)


def _share_below(scores: NDArray[np.float64], threshold: float) -> float | None:
    return float((scores < threshold).mean()) if len(scores) else None


def _mean(figures: Sequence[Figures]) -> Figures:
    means: dict[str, float | None] = {}
    for one in fields(Figures):
        values = [getattr(figure, one.name) for figure in figures]
        means[one.name] = None if None in values else fmean(values)
    return Figures(**means)  # type: ignore[arg-type]  # None only where a field allows it
