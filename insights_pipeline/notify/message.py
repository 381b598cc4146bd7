"""What is told: one message that each kind of contact point shows as it can."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_KEY = re.compile(r"[\x21-\x7e]{1,200}")  # it becomes a header
_LONGEST_SUBJECT = 200
_LONGEST_FALLBACK = 3_000  # Slack cuts far later; this is what a notification and a screen reader get


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `key` is the same however often it is sent, so that whoever gets it twice can tell.

    `text` is plain text; `html` a whole page for mail; `blocks` Slack's Block Kit; `data` facts as JSON for webhooks.
    Raises ValueError for a key that is not visible ASCII of at most 200 characters.
    """

    key: str
    subject: str
    text: str
    html: str | None = None
    blocks: Sequence[Mapping[str, Any]] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError("the key of a message must be visible ASCII of at most 200 characters")

    @property
    def title(self) -> str:
        """The subject as one line of at most 200 characters, without characters that nobody sees."""
        line = " ".join(
            "".join(
                " " if char.isspace() else char
                for char in self.subject[: 8 * _LONGEST_SUBJECT]
                if char.isspace() or unicodedata.category(char)[0] != "C"
            ).split()
        )
        return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"

    @property
    def slack_text(self) -> str:
        """What Slack shows where it shows no blocks: the subject, or without blocks subject and text.

        The three characters that mean something to Slack are escaped: nobody is mentioned, nothing becomes a link.
        """
        shown = self.title if self.blocks else f"{self.title}\n{self.text}"
        if len(shown) > _LONGEST_FALLBACK:
            shown = shown[: _LONGEST_FALLBACK - 1] + "…"
        return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
