"""The text of a trace: which part of what the user wrote says what they want."""

from __future__ import annotations

import re

MAX_CHARS = 2_000
MAX_SENTENCES = 24

_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"\w+")
_NAME_WITH_NUMBER = re.compile(r"[^\W\d]+\d{1,2}")  # iphone15, b2: a thing, not an id
_TRAILING = ".!?,;"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SPACE = re.compile(r"[^\S\n]+")


def has_text(user_text: str | None) -> bool:
    """Whether there is anything to understand: at least one letter of any script within the first characters."""
    return user_text is not None and any(map(str.isalpha, user_text[:MAX_CHARS]))


def request_of(user_text: str) -> str:
    """The opening request and the turns that follow it, cut to a length, slot values out, in lower case.

    Turns stay separate lines. A text of nothing but slot values is kept as it is: it is still the whole request.
    """
    opening = user_text[: 2 * MAX_CHARS]
    masked = _SPACE.sub(" ", _TOKEN.sub(_without_slot, opening))[:MAX_CHARS].strip().lower()
    if any(map(str.isalpha, masked)):
        return masked
    return _SPACE.sub(" ", opening)[:MAX_CHARS].strip().lower()


def _without_slot(match: re.Match[str]) -> str:
    """The token, or only its closing punctuation where it names one order, person or page and not what is asked for.

    Tokens are judged by counting: a pattern over the whole text would take quadratic time on a long blob.
    """
    token = match.group()
    body = token.rstrip(_TRAILING)
    return token[len(body) :] if _is_slot(body) else token


def _is_slot(token: str) -> bool:
    digits = sum(map(str.isdigit, token))
    if digits >= 3 or (digits and "_" in token):
        return True
    if ("@" in token and "." in token) or "://" in token or token.lower().startswith("www."):
        return True
    return digits > 0 and any(
        len(word) >= 5
        and any(map(str.isdigit, word))
        and (word.isupper() or not _NAME_WITH_NUMBER.fullmatch(word))
        for word in _WORD.findall(token)
    )


def sentences_of(request: str) -> list[tuple[str, bool]]:
    """At most `MAX_SENTENCES` sentences that hold a letter, each with whether it is of the opening turn."""
    sentences: list[tuple[str, bool]] = []
    opening = True
    for turn in request.split("\n"):
        parts = [part for part in _SENTENCE_END.split(turn) if any(map(str.isalpha, part))]
        sentences += [(part.strip(), opening) for part in parts]
        opening = opening and not parts
        if len(sentences) >= MAX_SENTENCES:
            break
    return sentences[:MAX_SENTENCES]


def one_line(user_text: str, *, limit: int = 300) -> str:
    """What a person reads of a text: one line, cut at `limit` characters."""
    line = " ".join(user_text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
