"""Names for intents without a language model: the words that set an intent apart, read off its texts.

Class-based TF-IDF (Grootendorst, "BERTopic", 2022) over words and pairs of words, with document frequencies:
tf · log(1 + A / f), with tf the share of the texts that hold the term, so that a name covers what many say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import log

# Words that carry grammar, courtesy or chat, not a request.
_STOP = frozenset(files("insights_pipeline.intents").joinpath("stop_words.txt").read_text().split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_PAIR = 1.6  # two words together say more than either, and are said by fewer
_PHRASES = 10


@dataclass(frozen=True, slots=True)
class Label:
    """A unique name, its slug, and the phrases it was made of, best first."""

    name: str
    slug: str
    phrases: tuple[str, ...]


def label_groups(
    groups: Sequence[Sequence[str]], *, background: Sequence[Sequence[str]] = (), taken: Sequence[str] = ()
) -> list[Label]:
    """A label for every group of texts (slot values already out, see `request_of`).

    `background` are groups that keep their names but compete for the words; `taken` are slugs already in use.
    """
    counts = [_terms(group) for group in groups]
    others = [_terms(group) for group in background]
    total: Counter[str] = Counter()
    for count in (*counts, *others):
        total.update(count)
    sizes = [max(len(group), 1) for group in (*groups, *background)]
    average = sum(sizes) / len(sizes) if sizes else 1.0
    used = set(taken)
    labels: list[Label] = []
    for group, count in zip(groups, counts, strict=True):
        label = _label(_ranked(count, total, len(group), average), used)
        used.add(label.slug)
        labels.append(label)
    return labels


def words_of(text: str) -> list[str]:
    """Words in lower case, straight apostrophes."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def _terms(texts: Sequence[str]) -> Counter[str]:
    """In how many texts each word and each pair of neighbouring words occurs; stop words break pairs."""
    count: Counter[str] = Counter()
    for text in texts:
        seen: set[str] = set()
        for line in text.split("\n"):
            previous = ""
            for word in words_of(line):
                content = word not in _STOP and len(word) > 2
                if content:
                    seen.add(word)
                    if previous:
                        seen.add(f"{previous} {word}")
                previous = word if content else ""
        count.update(seen)
    return count


def _ranked(count: Counter[str], total: Counter[str], texts: int, average: float) -> list[str]:
    """Terms by c-TF-IDF, those said by one person only left out, each adding a stem that is not there yet."""
    least = 2 if texts >= 6 else 1

    def score(term: str) -> float:
        return count[term] / max(texts, 1) * log(1 + average / total[term]) * (_PAIR if " " in term else 1)

    terms = sorted((term for term in count if count[term] >= least), key=lambda term: (-score(term), term))
    ranked: list[str] = []
    stems: set[str] = set()
    for term in terms[:200]:
        fresh = {_stem(word) for word in term.split()} - stems
        if fresh and (" " not in term or len(fresh) == 2):
            ranked.append(term)
            stems |= fresh
        if len(ranked) == _PHRASES:
            break
    return ranked


def _label(ranked: list[str], used: set[str]) -> Label:
    """The best phrase, with the next one when it is a single word or another intent has that name already."""
    phrases = tuple(ranked)
    if not phrases:
        return _numbered("Other requests", used, phrases)
    names = [_title(phrases[0])] if " " in phrases[0] or len(phrases) == 1 else []
    names += [_title(f"{phrases[0]} {other}") for other in phrases[1:]]
    for name in names:
        if slug_of(name) not in used:
            return Label(name, slug_of(name), phrases)
    return _numbered(names[0], used, phrases)


def _numbered(name: str, used: set[str], phrases: tuple[str, ...]) -> Label:
    numbered, number = name, 1
    while slug_of(numbered) in used:
        number += 1
        numbered = f"{name} {number}"
    return Label(numbered, slug_of(numbered), phrases)


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split())


def slug_of(name: str) -> str:
    """Lower-case words joined by hyphens; letters of any script."""
    return "-".join(re.findall(r"\w+", name.lower().replace("'", "")))


def _stem(word: str) -> str:
    """A crude stem that makes "refund", "refunds" and "refunded" one; only used to avoid saying a thing twice."""
    word = word.split("'")[0]
    for ending in (
        "ations",
        "ation",
        "ingly",
        "ings",
        "ions",
        "ing",
        "ion",
        "ies",
        "ied",
        "ed",
        "es",
        "s",
        "e",
        "y",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
