"""Texts of strangers on their way into a prompt, and texts of a model on their way out of it."""

from __future__ import annotations

import re
import unicodedata

# Bytes can be hidden in variation selectors, which are not of category C.
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_IMAGE = re.compile(r"!\[[^\]]{0,200}\]\([^)\s]{0,500}\)?")
_LINK = re.compile(r"\[([^\]]{0,200})\]\([^)\s]{0,500}\)?")
_TAG = re.compile(r"<[^<>]{0,500}>")
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}:)?//\S+|\b(?:www\.|mailto:|javascript:|data:)\S+", re.IGNORECASE
)
# Looked for by word: a pattern for the whole name would take quadratic time on "a.b.a.b.a.b".
_HOST = re.compile(r"\w\.(?:com|net|org|io|ai|dev|app|co|ru|cn|xyz|info|biz|top|link)(?!\w)", re.IGNORECASE)
_MARKUP = str.maketrans("", "", "`*_#|<>[]{}\\~^")


def visible(text: str, *, limit: int) -> str:
    """One line of at most `limit` characters, without control, format and other characters that nobody sees."""
    shown = "".join(
        " " if char.isspace() else char
        for char in _SELECTORS.sub("", text[: 8 * limit])
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def plain(text: str, *, limit: int) -> str:
    """What a model wrote as plain words: no links, images, tags or other markup; cut after a whole word."""
    line = visible(text, limit=20 * limit)
    for pattern, kept in ((_IMAGE, ""), (_LINK, r"\1"), (_TAG, "")):
        line = pattern.sub(kept, line)
    # addresses last: what was taken out may have kept the pieces of one apart
    line = _ADDRESS.sub("", line.translate(_MARKUP))
    line = " ".join(word for word in line.split() if not _HOST.search(word)).strip(" -–:;,\"'“”")
    if len(line) <= limit:
        return line
    whole, _, _ = line[: limit - 1].rpartition(" ")
    return (whole or line[: limit - 1]).rstrip(" ,;:–-") + "…"


def has_link(text: str) -> bool:
    """Whether a text holds an address, a link, an image or a tag."""
    return any(pattern.search(text) for pattern in (_IMAGE, _LINK, _TAG, _ADDRESS, _HOST))
