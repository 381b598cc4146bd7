"""What people, and the machine, made of the intents themselves: one short line of a brief."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_BY_ANYBODY = frozenset({"merged", "unmerged", "split", "returned"})
_BY_PEOPLE = frozenset({"renamed", "moved"})
_DISCOVERIES = frozenset({"bootstrapped", "rediscovered"})
_MACHINE = (None, "llm", "words")  # who gives names and merges besides people
_SHOWN = 4
_LONGEST = 60


def intent_changes(events: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The lineage events that a reader must know to read the rest: whose traffic is now called what.

    New and vanished intents are lines of their own. What a discovery merges and splits is part of finding them.
    """
    discovered = any(event.get("kind") in _DISCOVERIES for event in events)
    return tuple(dict(event) for event in events if _told(event, discovered=discovered))


def _told(event: Mapping[str, Any], *, discovered: bool) -> bool:
    kind = event.get("kind")
    person = event.get("by") not in _MACHINE or bool(event.get("undone"))
    if kind in _BY_PEOPLE:
        return person
    return kind in _BY_ANYBODY and (person or not discovered)


def changes_line(events: Sequence[Mapping[str, Any]], escape: Callable[[str], str]) -> str:
    """The events as one line, the newest counted where there are many; "" for none."""

    def quoted(text: object) -> str:
        line = " ".join(str(text or "–").split())
        return f"“{escape(line if len(line) <= _LONGEST else line[: _LONGEST - 1] + '…')}”"

    def words(event: Mapping[str, Any]) -> str:
        name = quoted(event.get("name"))
        match event["kind"]:
            case "renamed":
                text = f"{quoted(event.get('from'))} renamed to {quoted(event.get('to'))}"
            case "merged":
                text = f"{name} merged into {quoted(event.get('into_name') or event.get('into'))}"
            case "unmerged":
                text = f"{name} on its own again"
            case "split":
                text = f"{name} split"
            case "moved" if event.get("to"):
                text = f"{name} moved to {quoted(event.get('to'))}"
            case "moved":
                text = f"traces {'no longer ' * bool(event.get('undone'))}moved to {name}"
            case _:
                text = f"{name} asked again"
        who = event.get("by")
        return f"{text} ({escape(str(who)[:_LONGEST])})" if who not in _MACHINE else text

    shown = [words(event) for event in events[:_SHOWN]]
    if len(events) > _SHOWN:
        shown.append(f"{len(events) - _SHOWN} more")
    return ", ".join(shown)
