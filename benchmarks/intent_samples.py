"""Labelled texts, and the samples that `benchmarks/intents.py` draws from them by seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from insights_pipeline.intents.embedding.text import has_text
from insights_pipeline.intents.evaluation.labelled import read_labelled
from insights_pipeline.intents.evaluation.trial import MOST_TEXTS, is_out_of_scope

LEAST_TEXTS = 40  # of a sample: below it there is nothing to group
FULL_TEXTS = 350  # from here on a sample is like those that the goals were set on
_LEAST_OF_ZIPF = (
    0.6  # of the texts asked for: with fewer the largest intents are cut and the shape is no longer Zipf's
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")


@dataclass(frozen=True, slots=True)
class Source:
    """A labelled set: texts by intent, texts of no intent, its language (None: not told by the name of the file)."""

    name: str
    language: str | None
    by_intent: Mapping[str, Sequence[str]] = field(repr=False)
    strangers: Sequence[str] = field(repr=False)

    @property
    def texts(self) -> int:
        return sum(len(of) for of in self.by_intent.values())

    def rows(self) -> list[tuple[str, str]]:
        """Text and label of all, in an order that depends on nothing but the set."""
        return [(text, intent) for intent in sorted(self.by_intent) for text in self.by_intent[intent]]


@dataclass(frozen=True, slots=True)
class Setting:
    """A sample to draw: so many texts of so many intents of equal size, or of sizes 1/rank."""

    texts: int
    intents: int
    zipf: bool = False

    @property
    def name(self) -> str:
        return f"{self.texts}/{self.intents}{' zipf' if self.zipf else ''}"


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts with their intents. `setting` names what was asked for; the set may have had fewer."""

    source: str
    setting: str
    seed: int
    texts: tuple[str, ...] = field(repr=False)
    truth: tuple[str, ...] = field(repr=False)

    @property
    def intents(self) -> int:
        return len(set(self.truth))


def load_clinc(folder: Path) -> Source:
    """CLINC150 from the folder that holds its data_small.json."""
    raw = json.loads((folder / "data_small.json").read_text(encoding="utf-8"))
    rows = [(text, intent) for part in ("train", "val", "test") for text, intent in raw[part]]
    strangers = [text for part in ("oos_train", "oos_val", "oos_test") for text, _ in raw[part]]
    return _source("clinc150", "en", rows, strangers)


def load_labelled(path: Path) -> Source:
    """A file with the columns text and label, its language from a name like `name.de.tsv`. Raises ValueError."""
    read = read_labelled(path)
    if read.of_traces:
        raise ValueError(f"{path}: it labels traces; the benchmark needs texts, in a column `text`")
    rows = list(zip(read.items, read.labels, strict=True))
    inside = [row for row in rows if not is_out_of_scope(row[1])]
    strange = [text for text, label in rows if is_out_of_scope(label)]
    language = path.stem.rpartition(".")[2]
    known = language != path.stem and _LANGUAGE.fullmatch(language)
    return _source(path.stem, language if known else None, inside, strange)


def _source(
    name: str, language: str | None, rows: Sequence[tuple[str, str]], strangers: Sequence[str]
) -> Source:
    by_intent: dict[str, list[str]] = {}
    for text, intent in rows:
        if has_text(text):
            by_intent.setdefault(intent, []).append(text)
    return Source(name, language, by_intent, [text for text in strangers if has_text(text)])


def parse_settings(told: str) -> list[Setting]:
    """`500/8,2000/60` as settings, each uniform and Zipf. Raises ValueError."""
    settings = []
    for one in told.split(","):
        found = re.fullmatch(r"\s*(\d+)/(\d+)\s*", one)
        if not found or int(found[2]) < 2 or not LEAST_TEXTS <= int(found[1]) <= MOST_TEXTS:
            raise ValueError(
                f"--settings: {one.strip()!r} is not TEXTS/INTENTS with {LEAST_TEXTS} to {MOST_TEXTS} texts and at "
                "least 2 intents, as in 500/8,2000/60"
            )
        texts, intents = int(found[1]), int(found[2])
        settings += [Setting(texts, intents), Setting(texts, intents, zipf=True)]
    return settings


def draw(source: Source, setting: Setting, seed: int) -> Sample:
    """Random intents and texts of a set; all it has where it has fewer than asked for."""
    rng = random.Random(seed)
    count = min(setting.intents, len(source.by_intent))
    weights = [1 / (rank + 1) if setting.zipf else 1.0 for rank in range(count)]
    rows: list[tuple[str, str]] = []
    for intent, weight in zip(rng.sample(sorted(source.by_intent), count), weights, strict=True):
        said = rng.sample(list(source.by_intent[intent]), len(source.by_intent[intent]))
        most = max(3, round(setting.texts * weight / sum(weights)))
        rows += [(text, intent) for text in said[:most]]
    rng.shuffle(rows)
    return _sample(source, setting.name, seed, rows)


def whole(source: Source) -> Sample:
    """All texts of a set, or as many random ones as the pipeline discovers intents from."""
    rows = source.rows()
    random.Random(0).shuffle(rows)
    return _sample(source, "all", 0, rows[:MOST_TEXTS])


def _sample(source: Source, setting: str, seed: int, rows: Sequence[tuple[str, str]]) -> Sample:
    said, truth = (text for text, _ in rows), (intent for _, intent in rows)
    return Sample(source.name, setting, seed, tuple(said), tuple(truth))


def samples_of(
    source: Source, settings: Sequence[Setting], seeds: Sequence[int], *, all_texts: bool
) -> tuple[list[Sample], list[str]]:
    """Every sample of a set, and what had to be scaled down or left out because the set is too small."""
    samples = [whole(source)] if all_texts else []
    told: list[str] = []
    for setting in settings:
        covers = setting.texts >= 0.9 * source.texts and setting.intents >= len(source.by_intent)
        if all_texts and covers and not setting.zipf:
            told.append(f"{source.name} {setting.name}: left out, that is all its texts")
            continue
        drawn = [draw(source, setting, seed) for seed in seeds]
        least = min(len(one.texts) for one in drawn)
        if least < LEAST_TEXTS:
            told.append(f"{source.name} {setting.name}: left out, {least} texts are too few")
        elif setting.zipf and least < _LEAST_OF_ZIPF * setting.texts:
            told.append(f"{source.name} {setting.name}: left out, its largest intents have too few texts")
        else:
            samples += drawn
            if least < 0.9 * setting.texts or drawn[0].intents < setting.intents:
                most = max(len(one.texts) for one in drawn)
                size = f"{least}" if least == most else f"{least} to {most}"
                told.append(f"{source.name} {setting.name}: {size} texts of {drawn[0].intents} intents")
    return samples, told
