"""Redaction before anything is stored: personal data and credentials in texts become `[EMAIL]`, `[CARD]`, …

Off unless asked for. What looks like an id, a time or a count is left alone, and JSON stays JSON.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import orjson

from insights_pipeline.traces.redaction_names import presidio
from insights_pipeline.traces.redaction_own import own_finder
from insights_pipeline.traces.redaction_patterns import KINDS, Find, card_number, finders

_ALL = "all"
_JSON_LITERAL = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\w.+-])[0-9]{13,19}(?![\w.])')
_WHITE_ESCAPES = ("\\n", "\\t", "\\r")
_ODD_ESCAPES = ("\\u", "\\b", "\\f", "\\/")
_JSON_START = re.compile(r'[ \t\r\n]*[{\["]')

Names = Callable[[str], str]


class Redactor:
    """Replaces what was chosen in a text; give it to `Batch(redact=…)`.

    JSON is read and its strings, however nested, are redacted one by one: the result is JSON with the same
    structure, and all that was not replaced is the same to the byte. A card number that stands as a bare number
    becomes the string `"[CARD]"`. Text that only looks like JSON, such as JSON cut short, is taken as text.
    """

    def __init__(
        self,
        kinds: Sequence[str] | str = _ALL,
        *,
        patterns: Mapping[str, str] | None = None,
        names: Names | None = None,
    ) -> None:
        """`kinds` among KINDS or "all"; `patterns` of one's own: name → regular expression, replaced by `[NAME]`.

        `names` is a further replacement of what no pattern knows, see `redaction_names`. Raises ValueError for an
        unknown kind and for a pattern that is wrong or whose time is not bounded.
        """
        chosen = frozenset(_chosen(kinds))
        self._finders = [*(own_finder(*item) for item in (patterns or {}).items()), *finders(chosen)]
        self._names = names
        self._bare_cards = "card" in chosen

    def __call__(self, text: str) -> str:
        """`text` with every find replaced; the same object when there is none."""
        if not _JSON_START.match(text):
            return self._in_plain(text)
        finds = self._finds(_without_white_escapes(text))
        whole = self._names is not None or ("\\" in text and any(escape in text for escape in _ODD_ESCAPES))
        if not finds and not whole:
            return text  # most has no find, and reading it would cost more than the look
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._in_plain(text)
        return self._in_json(text, finds, whole=whole)

    def _in_json(self, text: str, finds: list[Find], *, whole: bool) -> str:
        """Redact the literals that a find touches; `whole`: all of them."""
        pieces: list[str] = []
        waiting = deque(finds)
        done = 0
        for match in _JSON_LITERAL.finditer(text):
            if not whole and match.end() <= waiting[0].start:
                continue
            literal = match[0]
            redacted = self._literal(literal)
            if redacted is not literal:
                pieces += (text[done : match.start()], redacted)
                done = match.end()
            while waiting and waiting[0].end <= match.end():
                waiting.popleft()
            if not waiting and not whole:
                break
        return "".join((*pieces, text[done:])) if pieces else text

    def _literal(self, literal: str) -> str:
        if literal[0] != '"':
            return '"[CARD]"' if self._bare_cards and card_number(literal) else literal
        text = orjson.loads(literal)
        redacted = self(text)
        return literal if redacted == text else orjson.dumps(redacted).decode()

    def _in_plain(self, text: str) -> str:
        finds = self._finds(text)
        if finds:
            pieces: list[str] = []
            done = 0
            for start, end, mark in finds:
                pieces += (text[done:start], mark)
                done = end
            text = "".join((*pieces, text[done:]))
        return text if self._names is None else self._names(text)

    def _finds(self, text: str) -> list[Find]:
        """Finds in order, none of which touches another: what was found first, or is longer, stays."""
        found = [find for finder in self._finders for find in finder(text)]
        if len(found) < 2:
            return found
        found.sort(key=lambda find: (find.start, -find.end))
        apart = found[:1]
        for find in found[1:]:
            if find.start >= apart[-1].end:
                apart.append(find)
            elif find.end > apart[-1].end:
                apart[-1] = apart[-1]._replace(end=find.end)
        return apart


def redactor(
    kinds: Sequence[str] | str = (),
    *,
    patterns: Mapping[str, str] | None = None,
    names_model: str | None = None,
) -> Redactor | None:
    """What settings ask for: None when they ask for nothing. Raises as `Redactor` and `presidio` do."""
    if not kinds and not patterns and not names_model:
        return None
    names = presidio(names_model) if names_model else None
    return Redactor(kinds, patterns=patterns, names=names)


def _without_white_escapes(text: str) -> str:
    """The same places in the text, with blanks for `\\n`: else the address in `\\nfred@…` would begin with an n."""
    if "\\" in text:
        for escape in _WHITE_ESCAPES:
            text = text.replace(escape, "  ")
    return text


def _chosen(kinds: Sequence[str] | str) -> Sequence[str]:
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    if _ALL in names:
        return KINDS
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"cannot redact {', '.join(unknown)}: choose among {', '.join(KINDS)}, or all")
    return names
