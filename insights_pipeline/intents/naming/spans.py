"""What a text says as short spans of words that could be a name: "cancel my order" as ("cancel order")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

MAX_CHARS = 600  # of a text that is looked at; a request is said at its beginning
_MAX_WORDS = 5
_MAX_CHARACTERS = 8  # of a span in a script without spaces

# Letters and digits of any script, and the marks that Python's \w leaves out, without which Hindi falls apart.
_LETTER = (
    r"(?:(?!_)[\w\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0eff"
    r"\u0f71-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u200c\u200d])"
)
_TOKEN = re.compile(rf"{_LETTER}+(?:['’-]{_LETTER}+)*|[^\w\s]")
# Han, kana, Thai, Lao, Burmese, Khmer: no spaces between words, so a span is of characters with their marks.
_UNSPACED = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]"
    r"[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3\u3099\u309a]*"
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DETERMINERS = _set("a an the my your our his her their this that these those some any its ur")
# Stop words that may stand between the words of a span; any other one ends a clause ("order i placed").
_JOINTS = _set("to for of on in at from with by about into off out up over and")
_QUESTIONS = _set("what where when how who why which")
_DEGREES = _set("long much many far old often big busy late soon fast high")
_CONTRACTED = {
    "what's": "what is", "whats": "what is", "where's": "where is", "wheres": "where is", "who's": "who is",
    "how's": "how is", "when's": "when is", "you're": "you are",
}  # fmt: skip
# Whoever says one of these says a name next.
_INTRODUCTIONS = re.compile(
    rf"\b(?:my name is|name's|name is|i'm|i am|this is|call me|regards|mr|mrs|ms|dr)[,.:]?\s+"
    rf"({_LETTER}+)(?:\s+({_LETTER}+))?"
)


class Span(NamedTuple):
    """Stems in order, which make two spans the same ("?" first: a question); and the words said, no determiners.

    `cut`: how many of its two ends have more content beside them, as "report lost" in "report lost card".
    """

    key: tuple[str, ...]
    surface: str
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """What counts as a word of content in these texts: no stop word of their languages, no name of a person."""

    stop: frozenset[str]
    people: frozenset[str]

    def content(self, word: str) -> bool:
        if word in self.stop or word in self.people or word[0].isdigit():
            return False
        return len(word) > 1 or _UNSPACED.fullmatch(word) is not None


def is_unspaced(key: tuple[str, ...]) -> bool:
    """Whether a span is of a script that puts no spaces between words."""
    return _UNSPACED.fullmatch(key[0]) is not None


@cache
def stop_words() -> dict[str, frozenset[str]]:
    """Stop words by language; "en" also holds courtesy and chat."""
    package = files("insights_pipeline.intents.naming")
    found = {"en": frozenset(package.joinpath("stop_words.txt").read_text("utf-8").split())}
    for line in package.joinpath("stop_words_other.txt").read_text("utf-8").splitlines():
        language, _, words = line.partition(":")
        if words and not line.startswith("#"):
            found[language.strip()] = frozenset(words.split())
    return found


@cache
def _given_names() -> frozenset[str]:
    text = files("insights_pipeline.intents.naming").joinpath("given_names.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def is_person(words: Iterable[str]) -> bool:
    """Whether one of these lower-case words is a given name."""
    return not _given_names().isdisjoint(words)


def words_in(texts: Iterable[str]) -> Words:
    """The stop words of the languages that these texts are in, and the people they name.

    A language counts when at least three of its own stop words are said and they are a twentieth of all words: "die"
    is German, and an English verb.
    A word is a person's name when it mostly follows "my name is" and the like.
    """
    languages = stop_words()
    count: dict[str, int] = {}
    introduced: dict[str, int] = {}
    for text in texts:
        short = text[:MAX_CHARS].lower().replace("’", "'")
        for token in _tokens(short):
            count[token] = count.get(token, 0) + 1
        for match in _INTRODUCTIONS.finditer(short):
            for word in filter(None, match.groups()):
                introduced[word] = introduced.get(word, 0) + 1
    total = sum(count.values()) or 1
    stop = set(languages["en"])
    for words in languages.values():
        own = [count[word] for word in words - languages["en"] if word in count]
        if len(own) >= 3 and sum(own) >= total / 20:
            stop |= words
    # half of a hyphenated word ("i am self-employed") is no word that is said
    people = {
        word
        for word, times in introduced.items()
        if word not in stop and 2 * times > count.get(word, 2 * times)
    }
    return Words(frozenset(stop), frozenset(people | _given_names()))


def spans_of(text: str, words: Words) -> set[Span]:
    """Every span of the first characters of a text that begins and ends with a word of content, and short questions."""
    found: set[Span] = set()
    for clause in _clauses(text[:MAX_CHARS].lower().replace("’", "'")):
        found.update(_content_spans(clause, words))
        found.update(_question_spans(clause, words))
    return found


def _tokens(text: str) -> Iterator[str]:
    """Words and punctuation marks; what is written without spaces by characters."""
    for token in _TOKEN.findall(text):
        if _UNSPACED.match(token):
            yield from _UNSPACED.findall(token)
        else:
            yield from _CONTRACTED.get(token, token).split()


def _clauses(text: str) -> Iterator[list[str]]:
    for line in text.split("\n"):
        clause: list[str] = []
        for token in _tokens(line):
            if token[0].isalnum():
                clause.append(token)
            elif clause:
                yield clause
                clause = []
        if clause:
            yield clause


def _content_spans(clause: list[str], words: Words) -> Iterator[Span]:
    for start, first in enumerate(clause):
        if not words.content(first):
            continue
        if _UNSPACED.fullmatch(first):
            yield from _character_spans(clause, start, words)
            continue
        before = clause[start - 1] if start else ""
        left = bool(before) and words.content(before)
        opening = f"how {first}" if before == "how" and first in _DEGREES else first
        said, key = [opening], [stem(first)]
        if first not in _DEGREES:  # "long" alone says nothing
            yield Span(tuple(key), opening, left + _goes_on(clause, start, words))
        for place, word in enumerate(clause[start + 1 :], start + 1):
            if word in _DETERMINERS:
                continue
            if before == "from" and word == "to":  # "from Boston to Denver": this trip, not what is asked for
                break
            content = words.content(word)
            if len(said) == _MAX_WORDS or stem(word) in key or not (content or _joins(word, words)):
                break
            said.append(word)
            if content:
                key.append(stem(word))
                yield Span(tuple(key), " ".join(said), left + _goes_on(clause, place, words))


def _goes_on(clause: list[str], place: int, words: Words) -> bool:
    return place + 1 < len(clause) and words.content(clause[place + 1])


def _character_spans(clause: list[str], start: int, words: Words) -> Iterator[Span]:
    left = start > 0 and words.content(clause[start - 1])
    for end in range(start + 2, min(start + _MAX_CHARACTERS, len(clause)) + 1):
        if not _UNSPACED.fullmatch(clause[end - 1]):
            return
        if words.content(clause[end - 1]):
            said = clause[start:end]
            yield Span(tuple(said), "".join(said), left + _goes_on(clause, end - 1, words))


def _joins(word: str, words: Words) -> bool:
    """Whether a word without content may stand within a span; of other languages than English any stop word may."""
    if word in words.people or word[0].isdigit() or len(word) == 1 or _UNSPACED.fullmatch(word):
        return False
    return word in _JOINTS or word not in stop_words()["en"]


def _question_spans(clause: list[str], words: Words) -> Iterator[Span]:
    """Questions of three to six words around at most one word of content: "how old are you", "where is my order"."""
    for start, first in enumerate(clause):
        if first not in _QUESTIONS:
            continue
        for end in range(start + 3, min(start + 6, len(clause)) + 1):
            said = clause[start:end]
            if any(word in words.people or word[0].isdigit() for word in said):
                break
            content = [stem(word) for word in said if words.content(word)]
            if len(content) > 1:
                break
            last = end == len(clause) and said[-1] not in _DETERMINERS | {"i"}
            if last or (words.content(said[-1]) and (end == len(clause) or clause[end] in _JOINTS)):
                yield Span(("?", *said), " ".join(said))


_SUFFIXES = (
    "ations", "ation", "ingly", "ings", "ions", "ing", "ion", "ies", "ied", "ed", "es", "s", "e", "y",
)  # fmt: skip


def stem(word: str) -> str:
    """A crude stem that makes "refund", "refunds" and "refunded" one; only used to see that two words are alike."""
    word = word.split("'")[0]
    for ending in _SUFFIXES:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not (ending == "s" and word[-2] == "s"):
            short = word[: -len(ending)]
            doubled = len(short) > 3 and short[-1] == short[-2] and short[-1] not in "aeious"
            return short[:-1] if doubled else short  # "cancelled", "shipping"
    return word
