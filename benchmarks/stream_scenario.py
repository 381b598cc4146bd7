"""Labelled texts as a stream of days in which intents arrive, grow, decline, stop, return and come by season."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Space
from insights_pipeline.intents.vectors import Halves, Texts

FIRST = date(2026, 1, 5)
KNOWN, NEW = 20, 10
LEAST_TEXTS = 60  # of an intent that can be in a stream
BOOTSTRAP, BOOTSTRAP_DAYS = 500, 4
NOISE = "out of scope"  # the label of texts that are nobody's intent
_NOISE_SHARE = 0.05  # of the traffic after the bootstrap, where a data set has such texts
_PROBE = 20  # texts of every intent that are never sent: what the models are asked about
_SPAN = 30  # days over which a growing intent triples


@dataclass(frozen=True, slots=True)
class Role:
    """What an intent does: the days on which it is asked for, and the trend that it ends with (None: not judged)."""

    kind: str
    starts: int = 0
    away: tuple[tuple[int, int], ...] = ()  # from, until (not included)
    rate: float = 0.0  # of growth a day
    trend: str | None = None

    def weight(self, day: int, days: int) -> float:
        if day < self.starts or any(first <= day < last for first, last in self.away):
            return 0.0
        return float(np.exp(self.rate * (day - days + _SPAN / 2)))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stream: a space fitted on the bootstrap, the days of it, the days after it, and held-out texts."""

    space: Space
    bootstrap: Sequence[Texts]
    days: Sequence[Texts]
    gold: Mapping[str, str]  # by trace id
    roles: Mapping[str, Role]
    probe: Halves = field(repr=False)
    probe_gold: tuple[str, ...] = field(repr=False)


def labelled(clinc: Path | None, files: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    """Texts by intent by data set: CLINC150's folder, and files of text<TAB>label."""
    sets: dict[str, dict[str, list[str]]] = {}
    if clinc is not None:
        raw = json.loads((clinc / "data_small.json").read_text())
        by_intent: dict[str, list[str]] = {}
        for part in ("train", "val", "test"):
            for text, intent in raw[part]:
                by_intent.setdefault(intent, []).append(text)
        strangers = [text for part in ("oos_train", "oos_val", "oos_test") for text, _ in raw[part]]
        sets["clinc150"] = {**by_intent, NOISE: strangers}
    for path in files:
        rows = [line.split("\t")[:2] for line in path.read_text().splitlines()[1:] if "\t" in line]
        found: dict[str, list[str]] = {}
        for text, intent in rows:
            found.setdefault(intent, []).append(text)
        sets[path.stem] = found
    return sets


def roles(days: int) -> tuple[list[Role], list[Role]]:
    """What the 20 known and the 10 new intents do in a stream of so many days."""
    grow = float(np.log(3) / _SPAN)
    known = [Role("steady", trend="stable")] * 11 + [Role("growing", rate=grow, trend="growing")] * 3
    known += [Role("declining", rate=-grow, trend="declining")] * 2
    known += [Role("stopping", rate=-grow, away=((round(0.6 * days), days),))]
    known += [Role("returning", away=((round(0.2 * days), round(0.75 * days)),))] * 2
    known += [Role("seasonal", away=((4, round(0.5 * days)), (round(0.5 * days) + 5, round(0.95 * days))))]
    starts = np.linspace(3, 0.65 * days, NEW).round().astype(int).tolist()
    new = [Role("new", starts=start) for start in starts]
    new[1] = Role("new, growing", starts=starts[1], rate=grow)
    new[3] = Role("new, stopping", starts=starts[3], away=((starts[3] + 16, days),))
    return known, new


def scenario(
    by_intent: Mapping[str, Sequence[str]], *, days: int, per_day: int, seed: int, changing: bool = True
) -> Scenario:
    """The stream of a seed; with `changing` off all 30 intents are there from the start and none changes.

    A day has Poisson counts around `per_day` / 20 an intent. Texts are dealt without repetition until an intent's
    are used up, then again. Raises ValueError when fewer than 30 intents have enough texts.
    """
    rng = random.Random(seed)
    enough = sorted(one for one, texts in by_intent.items() if len(texts) >= LEAST_TEXTS and one != NOISE)
    if len(enough) < KNOWN + NEW:
        raise ValueError(f"need {KNOWN + NEW} intents of {LEAST_TEXTS} texts, there are {len(enough)}")
    numbers = np.random.default_rng(seed)
    chosen = rng.sample(enough, KNOWN + NEW)
    known, new = roles(days)
    of_intent = dict(
        zip(chosen, known + new if changing else [Role("steady", trend="stable")] * 30, strict=True)
    )
    spare = {one: rng.sample(list(by_intent[one]), len(by_intent[one])) for one in chosen}
    probe = [(text, one) for one in chosen for text in spare[one][:_PROBE]]
    decks = {one: _Deck(spare[one][_PROBE:], rng) for one in chosen}
    size = dict(zip(chosen, np.exp(numbers.normal(0, 0.35, len(chosen))), strict=True))
    at_start = chosen[:KNOWN] if changing else chosen
    boot = [
        (decks[one].next(), one)
        for one in rng.choices(at_start, [size[one] for one in at_start], k=BOOTSTRAP)
    ]
    strange = _Deck(by_intent[NOISE], rng) if NOISE in by_intent else None
    sent = [boot[part::BOOTSTRAP_DAYS] for part in range(BOOTSTRAP_DAYS)]
    for day in range(days):
        rates = {one: per_day / KNOWN * size[one] * role.weight(day, days) for one, role in of_intent.items()}
        rows = [(decks[one].next(), one) for one in chosen for _ in range(numbers.poisson(rates[one]))]
        if strange is not None:
            rows += [(strange.next(), NOISE) for _ in range(numbers.poisson(_NOISE_SHARE * len(rows)))]
        rng.shuffle(rows)
        sent.append(rows)
    space = WORDLLAMA.fit([text for text, _ in boot])
    gold: dict[str, str] = {}
    made: list[Texts] = []
    for offset, rows in enumerate(sent, 1 - BOOTSTRAP_DAYS):
        ids = tuple(f"{offset + BOOTSTRAP_DAYS:03d}-{number:04d}" for number in range(len(rows)))
        gold.update(zip(ids, (one for _, one in rows), strict=True))
        texts = tuple(text for text, _ in rows)
        made.append(Texts((FIRST + timedelta(days=offset),) * len(rows), ids, texts, space.embed(texts)))
    said, asked = zip(*probe, strict=True)
    boot_days, days_after = made[:BOOTSTRAP_DAYS], made[BOOTSTRAP_DAYS:]
    return Scenario(space, boot_days, days_after, gold, of_intent, space.embed(said), asked)


def together(parts: Sequence[Texts]) -> Texts:
    """Texts of several days as one."""
    return Texts(
        tuple(day for one in parts for day in one.days),
        tuple(name for one in parts for name in one.ids),
        tuple(text for one in parts for text in one.texts),
        np.concatenate([one.vectors for one in parts]),
    )


class _Deck:
    """Texts dealt in random order, shuffled anew when all are dealt."""

    def __init__(self, texts: Sequence[str], rng: random.Random) -> None:
        self.texts, self.rng = list(texts), rng
        self.left: list[str] = []

    def next(self) -> str:
        if not self.left:
            self.left = self.rng.sample(self.texts, len(self.texts))
        return self.left.pop()
