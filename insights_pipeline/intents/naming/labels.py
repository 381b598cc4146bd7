"""Names for intents without a language model: the words that set an intent apart, as its people say them.

Phrases are ranked by class-based TF-IDF (Grootendorst, "BERTopic", 2022) over words and pairs of words, with
document frequencies: tf · log(1 + A / f), with tf the share of the texts that hold the term. The name is a span of
words that people really say in a row ("cancel my order" → "Cancel order"), ranked the same way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import log

from insights_pipeline.intents.embedding.text import one_line, request_of, sentences_of
from insights_pipeline.intents.naming.spans import Words, is_person, is_unspaced, spans_of, stem, words_in

MAX_NAME = 60
_WORD = re.compile(r"[^\W\d_]+")
_PAIR = 1.6  # two words together say more than either, and are said by fewer
_PHRASES = 10
_CANDIDATES = 400  # spans of a group that are looked at, the most frequent
# The score of a span is the c-TF-IDF of its words times what follows. Chosen on CLINC150 (sampling seeds 0-4), where
# the share of names that hold a word of the gold label hardly moves (.70-.71), and by eye there and on agent traces.
_LENGTHS = {1: 0.5, 2: 1.0, 3: 0.9, 4: 0.75}  # by words of content: one alone rarely says what is asked for
_LONGER = 0.6
_SPAN = 0.25  # power of the share of texts that say the span
_RAREST = 0.4  # and of the share that say its rarest word: a city or a product is said by few
_CUT = 0.7  # off where there always is more beside it: "report lost" of "report lost card"
_BESIDE = 0.7  # where it holds neither of the two most telling words
_ACT = 1.5  # where it begins with what is to be done
_QUESTION = 0.8  # "how old are you"
_ASKED = 0.2  # share of the texts that ask it, for a question to be the name
_PIECE = 0.7  # share of a string of characters that is within one longer string: half a word
_TELLING = 0.1  # share of texts that say what tells them from others
_DESCRIPTION = 160
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening))(?: there| team| all| guys)?\b[ ,.!:-]*)+",
    re.I,
)
_STRAY = re.compile(r"\s+([,.!?;:])")
_REPEATED = re.compile(r"([,;:])(?:\s*[,;:])+")
# What people ask to be done: a span that begins so is worth more than the same things without it.
_ACTIONS = frozenset(
    files("insights_pipeline.intents.naming").joinpath("action_words.txt").read_text("utf-8").split()
)


@dataclass(frozen=True, slots=True)
class Label:
    """A unique name, its slug, and the phrases that tell the intent from others, best first."""

    name: str
    slug: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of one group: its texts, in how many each span occurs, in which words, and how many ends were cut."""

    texts: int
    spans: Counter[tuple[str, ...]]
    surfaces: Mapping[tuple[str, ...], Counter[str]]
    cuts: Mapping[tuple[str, ...], int]

    def cut(self, key: tuple[str, ...]) -> float:
        """The share of the span's ends beside which more is said."""
        return self.cuts[key] / (2 * self.surfaces[key].total())


def label_groups(
    groups: Sequence[Sequence[str]], *, background: Sequence[Sequence[str]] = (), taken: Sequence[str] = ()
) -> list[Label]:
    """A label for every group of texts (slot values already out, see `request_of`).

    `background` are groups that keep their names but compete for the words; `taken` are slugs already in use.
    """
    words = words_in(text for group in (*groups, *background) for text in group)
    counts = [_counted(group, words) for group in (*groups, *background)]
    total: Counter[tuple[str, ...]] = Counter()
    for count in counts:
        total.update(count.spans)
    average = sum(max(count.texts, 1) for count in counts) / max(len(counts), 1)
    used = set(taken)
    labels: list[Label] = []
    for count in counts[: len(groups)]:
        label = _label(count, total, average, used)
        used.add(label.slug)
        labels.append(label)
    return labels


def describe(label: Label, texts: Sequence[str]) -> str:
    """One sentence in the words of its people: of the first three texts the sentence that says most of the label.

    At most 160 characters, without slot values or invisible characters; "" when there are no texts.
    """
    wanted = {stem(word) for phrase in (label.name, *label.phrases[:3]) for word in phrase.lower().split()}
    found: list[tuple[float, int, str]] = []
    for text in texts[:3]:
        for sentence, _ in sentences_of(request_of(text)):
            words = _WORD.findall(sentence)
            said = len(wanted & {stem(word) for word in words}) + 0.1
            # one word is no request, forty are a story, and nobody wants to be quoted by name
            fitting = (1.0 if 3 <= len(words) <= 25 else 0.5) * (0.3 if is_person(words) else 1.0)
            found.append((-said * fitting, len(found), _as_written(sentence, text)))
    line = _tidy(_visible(min(found)[2])) if found else ""
    if not any(map(str.isalpha, line)):
        return ""
    line = re.sub(r"\bi\b", "I", one_line(line, limit=_DESCRIPTION - len("People ask: “”.")))
    return f"People ask: “{line[:1].upper()}{line[1:]}”."


def _tidy(line: str) -> str:
    """Without a greeting, the full stop at the end, and marks that stand alone since a value was taken out."""
    line = _GREETING.sub("", _STRAY.sub(r"\1", _REPEATED.sub(r"\1", line)))
    return line.lstrip(" ,;:-").rstrip(" ,;:-.")


def _as_written(sentence: str, text: str) -> str:
    """The sentence with the capitals that it had, where nothing was taken out of it."""
    original = " ".join(text.split())
    lower = original.lower()
    start = lower.find(sentence) if len(lower) == len(original) else -1
    return original[start : start + len(sentence)] if start >= 0 else sentence


def contrast(left: Sequence[str], right: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Phrases that texts on the left say far more often than those on the right, and the reverse, best first."""
    words = words_in([*left, *right])
    counts = _counted(left, words), _counted(right, words)
    return _telling(*counts), _telling(*reversed(counts))


def slug_of(name: str) -> str:
    """Lower-case words joined by hyphens; letters of any script."""
    return "-".join(re.findall(r"\w+", name.lower().replace("'", "")))


def _visible(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _counted(texts: Sequence[str], words: Words) -> _Counts:
    spans: Counter[tuple[str, ...]] = Counter()
    surfaces: dict[tuple[str, ...], Counter[str]] = {}
    cuts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        said = spans_of(text, words)
        spans.update({span.key for span in said})
        for span in said:
            surfaces.setdefault(span.key, Counter())[span.surface] += 1
            cuts[span.key] += span.cut
    return _Counts(len(texts), spans, surfaces, cuts)


def _label(count: _Counts, total: Mapping[tuple[str, ...], int], average: float, used: set[str]) -> Label:
    """The best span as name, the next one when another intent has it already."""
    least = max(2, round(0.04 * count.texts)) if count.texts >= 6 else 1
    frequent = sorted(
        (key for key, texts in count.spans.items() if texts >= least),
        key=lambda key: (-count.spans[key], key),
    )[:_CANDIDATES]
    frequent = _whole(frequent, count.spans)
    apart = {key: log(1 + average / total[key]) for key in frequent}
    share = {key: count.spans[key] / max(count.texts, 1) for key in frequent}
    phrases = _phrases(frequent, {key: share[key] * apart[key] for key in frequent}, count)
    word = {key[0]: share[key] * apart[key] for key in frequent if len(key) == 1}
    telling = set(sorted(word, key=lambda one: (-word[one], one))[:2])

    def score(key: tuple[str, ...]) -> float:
        if key[0] == "?":
            asked = share[key] >= _ASKED  # else it is how many a request ends: “what do I need to do?”
            return asked * _QUESTION * float(share[key] ** (1 + _SPAN)) * apart[key]
        if is_unspaced(key):
            return share[key] * apart[key] * log(1 + len(key)) * (1 - _CUT * count.cut(key))
        rarest = min(share.get((one,), 0.0) for one in key)
        act = _ACT if _surface(count, key).split()[0] in _ACTIONS and len(key) > 1 else 1.0
        beside = act if telling & set(key) else act * _BESIDE
        length = beside * _LENGTHS.get(len(key), _LONGER) * (1 - _CUT * count.cut(key))
        return length * float(share[key] ** _SPAN * rarest**_RAREST) * sum(word.get(one, 0.0) for one in key)

    ranked = sorted(frequent, key=lambda key: (-score(key), key))
    names = [_title(_surface(count, key)) for key in ranked[:20]]
    names = [name for name in names if len(name) <= MAX_NAME]
    for name in names:
        if slug_of(name) not in used:
            return Label(name, slug_of(name), phrases)
    return _numbered(names[0] if names else "Other requests", used, phrases)


def _whole(keys: Sequence[tuple[str, ...]], texts: Mapping[tuple[str, ...], int]) -> list[tuple[str, ...]]:
    """Without spans of characters that are a piece of a longer one nearly always: half a word."""
    longest: dict[tuple[str, ...], int] = {}
    for key in keys:
        if is_unspaced(key):
            for size in range(2, len(key)):
                for start in range(len(key) - size + 1):
                    piece = key[start : start + size]
                    longest[piece] = max(longest.get(piece, 0), texts[key])
    return [key for key in keys if longest.get(key, 0) < _PIECE * texts[key]]


def _phrases(
    keys: Sequence[tuple[str, ...]], score: Mapping[tuple[str, ...], float], count: _Counts
) -> tuple[str, ...]:
    """Words and pairs by c-TF-IDF, each adding a stem that is not there yet."""
    terms = [
        key
        for key in keys
        if key[0] != "?" and (is_unspaced(key) or len(_surface(count, key).split()) == len(key) <= 2)
    ]
    terms.sort(key=lambda key: (-score[key] * (_PAIR if len(key) == 2 else 1), key))
    phrases: list[str] = []
    stems: set[str] = set()
    for key in terms:
        if len(set(key) - stems) == len(set(key)):
            phrases.append(_surface(count, key))
            stems |= set(key)
        if len(phrases) == _PHRASES:
            break
    return tuple(phrases)


def _telling(mine: _Counts, theirs: _Counts) -> tuple[str, ...]:
    """Phrases of at most two words by the difference of shares, said by a tenth here and three times as often."""
    found: dict[tuple[str, ...], float] = {}
    for key, texts in mine.spans.items():
        share, other = texts / max(mine.texts, 1), theirs.spans[key] / max(theirs.texts, 1)
        if texts >= min(2, mine.texts) and share >= max(_TELLING, 3 * other):
            found[key] = (share - other) * (1 - _CUT * mine.cut(key))
    return _phrases(sorted(found), found, mine)


def _surface(count: _Counts, key: tuple[str, ...]) -> str:
    """The words in which it is most often said, the shortest of equals."""
    return min(count.surfaces[key].items(), key=lambda one: (-one[1], len(one[0]), one[0]))[0]


def _numbered(name: str, used: set[str], phrases: tuple[str, ...]) -> Label:
    numbered, number = name, 1
    while slug_of(numbered) in used:
        number += 1
        numbered = f"{name} {number}"
    return Label(numbered, slug_of(numbered), phrases)


def _title(text: str) -> str:
    """Sentence case."""
    text = re.sub(r"\bi\b", "I", text)
    return text[:1].upper() + text[1:]
