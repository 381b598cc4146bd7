"""What of a message is prose of its writer: pasted code, data, stack traces, quoted mail and signatures are left out.

Everything here is judged line by line or with bounded patterns: the time is linear in the text whatever it holds.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_MARKUP = re.compile(r"[*`<\[#_~]")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,500}\)")  # [text](address): the text is said
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_MARKS = re.compile(r"\*{1,3}|`{1,2}|~~|(?<!\w)_{1,2}(?=\w)|(?<=\w)_{1,2}(?!\w)")
_LINE_MARK = re.compile(r"^(?:(?:#{1,6}|[-*+•·])\s+|\d{1,2}[.)]\s+)")
_FENCES = ("```", "~~~")
_FRAME = re.compile(
    r'File "[^"]{0,300}", line \d|at \S{1,300} ?\(|at \S{1,300}:\d|Traceback \(most recent call|\.{3} \d+ more'
)
_CODE = re.compile(r'[{}\[\]<>;=|\\"$()_]')
_WROTE = re.compile(  # the line above a quoted reply
    r"(?:on|am|le|el|op|il|em|den|w dniu)\s.{0,200}\b"
    r"(?:wrote|schrieb|a écrit|escribió|schreef|scritto|escreveu|skrev|napisał\(a\)).{0,60}:$",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"-{3,}\s*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|mensaje original)",
    re.IGNORECASE,
)
_SIGN_OFF = re.compile(
    r"(?:--|(?:(?:best|kind|warm|many)\s+)?regards|best wishes|yours\s+\w+|sincerely|cheers|many thanks|"
    r"(?:mit\s+)?(?:freundliche[nr]?|beste[n]?|viele|liebe)\s+gr(?:ü|ue)(?:ß|ss)en?|mfg|cordialement|bien à vous|"
    r"(?:un\s+)?(?:cordial(?:es)?\s+)?saludos?|atentamente|atenciosamente|cordiali saluti|"
    r"met vriendelijke groet(?:en)?|с уважением|よろしくお願いします|此致)[\s,.!]*$",
    re.IGNORECASE,
)
_SENT_FROM = re.compile(
    r"(?:sent from my|get outlook for|von meinem .{1,40} gesendet|envoyé de mon|enviado desde mi)",
    re.IGNORECASE,
)
_SIGNATURE_LINES = 5
_SIGNATURE_WORDS = 6
_WRAPPED = 60  # columns from which a line may have been broken by a mail program
_END = (".", "!", "?", ":", ";", "。", "！", "？", "؟", "।")


def plain_characters(text: str) -> str:
    """Compatibility forms composed (full-width letters, decomposed accents) and invisible characters out."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFKC", text)
    return _INVISIBLE.sub("", composed) if _INVISIBLE.search(composed) else composed


def prose_of(text: str) -> str:
    """The lines that are prose, without their markup; the text as it is where nothing with a letter would be left."""
    if "\n" not in text and not _MARKUP.search(text):
        return text
    lines = text.split("\n")
    said = "\n".join(_unwrapped(_prose_lines(lines))) if len(lines) > 1 else text
    said = _without_markup(said)
    return said if any(map(str.isalpha, said)) else text


def _prose_lines(lines: list[str]) -> list[str]:
    kept: list[str] = []
    fenced = False
    signature = 0  # lines of a signature that may still follow
    for line in lines:
        bare = line.strip()
        if bare.startswith(_FENCES):
            fenced = not fenced
            continue
        if _FORWARDED.match(bare) and any(map(str.isalpha, "".join(kept))):
            break  # what follows is somebody else's message, unmarked
        if fenced or bare.startswith(">") or _is_pasted(bare):
            continue
        if _SIGN_OFF.match(bare):
            signature = _SIGNATURE_LINES
            continue
        if signature and _is_signature(bare):
            signature -= 1
            continue
        signature = 0
        kept.append(line)
    return kept


def _is_pasted(line: str) -> bool:
    """A frame of a stack trace, the head of a quoted reply, or a line made of the punctuation of code and data."""
    if _FRAME.match(line) or _WROTE.match(line) or _SENT_FROM.match(line):
        return True
    marks = len(_CODE.findall(line))
    return marks >= 4 and marks * 5 > len(line)


def _is_signature(line: str) -> bool:
    return line.count(" ") < _SIGNATURE_WORDS and not line.endswith(_END)


def _unwrapped(lines: list[str]) -> list[str]:
    """Lines that a mail program broke are one again: a long line without an end, then one in lower case."""
    joined: list[str] = []
    previous = ""
    for line in lines:
        bare = line.strip()
        if len(previous) >= _WRAPPED and not previous.endswith(_END) and bare[:1].islower():
            joined[-1] += " " + bare
        else:
            joined.append(line)
        previous = bare
    return joined


def _without_markup(text: str) -> str:
    if not _MARKUP.search(text) and "\n" not in text:
        return text
    text = _LINK.sub(r"\1", text) if "](" in text else text
    text = _TAG.sub(" ", text) if "<" in text else text
    lines = [_LINE_MARK.sub("", line.lstrip(), count=1) if line else line for line in text.split("\n")]
    return _MARKS.sub("", "\n".join(lines))
