"""Names from traces, as an explanation may repeat them: bounded, and without anything a terminal would obey."""

from __future__ import annotations

_MOST_CHARS = 120


def bounded(text: str) -> str:
    """The text with every unprintable character as "?" and at most 120 characters."""
    safe = "".join(char if char.isprintable() else "?" for char in text[: _MOST_CHARS + 1])
    return safe if len(safe) <= _MOST_CHARS else safe[: _MOST_CHARS - 1] + "…"
