"""The text of a trace: which part of what the user wrote says what they want."""

from __future__ import annotations

import re

from insights_pipeline.intents.embedding.prose import plain_characters, prose_of

MAX_CHARS = 2_000
MAX_SENTENCES = 24

# Scripts written without spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
_SPACED_RUN = re.compile(f"[^{_UNSPACED}]+")
_TOKEN = re.compile(r"\S+")
_SUSPECT = re.compile(r"[\d@:]")  # a token without these, short and no "www." is no slot value
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+")
_NAME_WITH_NUMBER = re.compile(r"[^\W\d]+\d{1,2}")  # iphone15, b2: a thing, not an id
_BLOB = 40  # characters of one token, in a script that has words, above which it is encoded data
_TRAILING = ".!?,;。،؟।"
_SENTENCE_END = re.compile(rf"(?<=[.!?؟।။።])\s+|(?<=[!?。])(?=[{_UNSPACED}])")
_SENTENCE_MAY_END = re.compile(r"[.!?]\s|[^\x00-\x7f]")  # quick to look for, and mostly not there
_SPACE = re.compile(r"[^\S\n]+")
_GREETING_WORDS = 2  # a line of no more words does not end the opening turn: "hi", "good morning"


def has_text(user_text: str | None) -> bool:
    """Whether there is anything to understand: at least one letter of any script within the first characters."""
    return user_text is not None and any(map(str.isalpha, user_text[:MAX_CHARS]))


def request_of(user_text: str) -> str:
    """The opening request and the turns that follow it, cut to a length, slot values out, in lower case.

    What was pasted (code, data, quoted mail) is left out. Turns stay separate lines. A text of nothing but slot
    values is kept as it is: it is still the whole request.
    """
    opening = plain_characters(user_text[: 2 * MAX_CHARS])
    said = prose_of(opening)
    if _may_hold_slots(said):
        said = _TOKEN.sub(_without_slot, said)
    masked = _evened(said)
    return masked if any(map(str.isalpha, masked)) else _evened(opening)


def _evened(text: str) -> str:
    """Runs of blanks as one, cut, in lower case."""
    even = _SPACE.sub(" ", text) if "\n" in text else " ".join(text.split())
    return even[:MAX_CHARS].strip().lower()


def _may_hold_slots(text: str) -> bool:
    if _SUSPECT.search(text) or "www." in text.lower():
        return True
    return max(map(len, text.split()), default=0) > _BLOB


def _without_slot(match: re.Match[str]) -> str:
    """The token, or only its closing punctuation where it names one order, person or page and not what is asked for.

    Tokens are judged by counting: a pattern over the whole text would take quadratic time on a long blob.
    """
    token = match.group()
    if not _may_hold_slots(token):
        return token
    if not token.isascii() and _UNSPACED_LETTER.search(token):  # a whole sentence in Chinese is one token
        return _SPACED_RUN.sub(_masked, token)
    return _masked(match)


def _masked(match: re.Match[str]) -> str:
    token = match.group()
    body = token.rstrip(_TRAILING)
    return token[len(body) :] if _is_slot(body) else token


def _is_slot(token: str) -> bool:
    digits = len(_DIGIT.findall(token))
    if digits >= 3 or (digits and "_" in token) or len(token) > _BLOB:
        return True
    if ("@" in token and "." in token) or "://" in token or token.lower().startswith("www."):
        return True
    return digits > 0 and any(
        len(word) >= 5
        and _DIGIT.search(word) is not None
        and (word.isupper() or not _NAME_WITH_NUMBER.fullmatch(word))
        for word in _WORD.findall(token)
    )


def sentences_of(request: str) -> list[tuple[str, bool]]:
    """At most `MAX_SENTENCES` sentences that hold a letter, each with whether it is of the opening turn.

    The opening turn is the first line with words, after a greeting also the next: "hi" or "dear all," asks nothing.
    """
    if "\n" not in request and not _SENTENCE_MAY_END.search(request):
        return [(request.strip(), True)] if any(map(str.isalpha, request)) else []
    sentences: list[tuple[str, bool]] = []
    opening = True
    for turn in request.split("\n"):
        parts = [part for part in _SENTENCE_END.split(turn) if any(map(str.isalpha, part))]
        sentences += [(part.strip(), opening) for part in parts]
        opening = opening and (not parts or _is_greeting(turn))
        if len(sentences) >= MAX_SENTENCES:
            break
    return sentences[:MAX_SENTENCES]


def _is_greeting(line: str) -> bool:
    return line.rstrip().endswith((",", "،", "、")) or words_in(line) <= _GREETING_WORDS


def words_in(sentence: str) -> float:
    """About how many words: of scripts without spaces two letters are one."""
    words = float(sentence.strip().count(" ") + 1)
    return words if sentence.isascii() else words + len(_UNSPACED_LETTER.findall(sentence)) // 2


def spaced(text: str) -> str:
    """The text with blanks between the letters of scripts that have none between words: each letter is a word."""
    return text if text.isascii() else _UNSPACED_LETTER.sub(r" \g<0> ", text)


def one_line(user_text: str, *, limit: int = 300) -> str:
    """What a person reads of a text: one line, cut at `limit` characters."""
    line = " ".join(user_text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
