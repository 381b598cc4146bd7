"""The script that a sentence is written in, from the code points of its letters."""

from __future__ import annotations

from bisect import bisect_right

_CHARS = 100  # of a sentence that are looked at
# First code points of the Unicode blocks, and the script of each; what is rare is "other".
_BLOCKS = (
    (0x0000, "latin"), (0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "armenian"), (0x0590, "hebrew"),
    (0x0600, "arabic"), (0x0900, "devanagari"), (0x0980, "bengali"), (0x0A00, "gurmukhi"), (0x0A80, "gujarati"),
    (0x0B00, "oriya"), (0x0B80, "tamil"), (0x0C00, "telugu"), (0x0C80, "kannada"), (0x0D00, "malayalam"),
    (0x0D80, "sinhala"), (0x0E00, "thai"), (0x0E80, "lao"), (0x0F00, "tibetan"), (0x1000, "myanmar"),
    (0x10A0, "georgian"), (0x1100, "hangul"), (0x1200, "ethiopic"), (0x1380, "other"), (0x1780, "khmer"),
    (0x1800, "other"), (0x1E00, "latin"), (0x1F00, "greek"), (0x2000, "other"), (0x2C60, "latin"),
    (0x2C80, "other"), (0x2E80, "cjk"), (0x3130, "hangul"), (0x3190, "cjk"), (0xA000, "other"),
    (0xA720, "latin"), (0xA800, "other"), (0xAC00, "hangul"), (0xD800, "other"), (0xF900, "cjk"),
    (0xFB00, "latin"), (0xFB1D, "hebrew"), (0xFB50, "arabic"), (0xFF00, "latin"), (0xFF66, "cjk"),
    (0x10000, "other"), (0x20000, "cjk"), (0x40000, "other"),
)  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]
SCRIPTS = tuple(dict.fromkeys(name for _, name in _BLOCKS))
_OF_BLOCK = [SCRIPTS.index(name) for _, name in _BLOCKS]


def script_of(sentence: str) -> int:
    """Index into `SCRIPTS` of the script of most letters: that of the middle one when they are sorted."""
    if sentence.isascii():
        return 0
    letters = sorted(filter(str.isalpha, sentence[:_CHARS]))
    if not letters:
        return 0
    return _OF_BLOCK[bisect_right(_STARTS, ord(letters[len(letters) // 2])) - 1]
