"""Corrections as values: read from stored rows, bounded, and never trusted to be what they should be."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

RENAME, DESCRIBE, PIN, UNPIN = "rename", "describe", "pin", "unpin"
MERGE, SPLIT, MOVE, MOVE_TRACES, REDISCOVER = "merge", "split", "move", "move_traces", "rediscover"

ANCHOR_TEXTS = 12
MAX_NAME, MAX_DESCRIPTION = 120, 1_000
MAX_TRACES, MAX_PARTS = 50, 10
_MAX_TEXT = 4_000  # as much as is embedded of a trace
_MAX_ID = 200
_MAX_INTENTS = 100


class StoredEdit(Protocol):
    """A row of the state's `intent_edits`."""

    @property
    def edit_id(self) -> int: ...
    @property
    def at_ns(self) -> int: ...
    @property
    def by(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...
    @property
    def undone_by(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """An intent as it was when a person named it: its id, and what to know it by where nothing has that id.

    `of_split` is the edit that made it by a split: such an intent is only ever made by that edit again.
    """

    intent_id: str
    name: str
    texts: tuple[str, ...] = field(default=(), repr=False)
    of_split: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a split: messages that belong in it, with their traces where known; `keeps` the id of the whole."""

    name: str | None
    texts: tuple[str, ...] = field(default=(), repr=False)
    trace_ids: tuple[str, ...] = field(default=(), repr=False)
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction. What a kind does not need is empty; `unreadable` says why an edit cannot be applied at all."""

    edit_id: int
    at_ns: int
    by: str
    kind: str
    intents: tuple[Anchor, ...] = ()  # what it is about; of a merge, what is merged
    into: Anchor | None = None
    text: str = ""  # the name, the description or the category
    parts: tuple[Part, ...] = ()
    traces: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # (trace id, text)
    since: date | None = None
    undone_by: str | None = None
    unreadable: str | None = None

    @property
    def undone(self) -> bool:
        return self.undone_by is not None

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        return self.intents if self.into is None else (*self.intents, self.into)


def edits_of(rows: Iterable[StoredEdit]) -> list[Edit]:
    """The edits of stored rows, oldest first; undone ones are marked. Never raises: see `Edit.unreadable`."""
    return [_edit(row) for row in sorted(rows, key=lambda row: row.edit_id)]


def visible(text: str, limit: int) -> str:
    """One line without control, format or other invisible characters, cut at `limit` characters."""
    bounded = text[: 8 * limit]
    spaced = (" " if char.isspace() else char for char in bounded)
    line = " ".join("".join(char for char in spaced if unicodedata.category(char)[0] != "C").split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def anchor_payload(
    intent_id: str, name: str, texts: Sequence[str], *, of_split: int | None = None
) -> dict[str, Any]:
    """What an edit keeps of an intent it names."""
    return {
        "intent_id": intent_id,
        "name": visible(name, MAX_NAME),
        "texts": [_text(text) for text in texts[:ANCHOR_TEXTS]],
        "of_split": of_split,
    }


def _edit(row: StoredEdit) -> Edit:
    by = visible(row.by, MAX_NAME) or "someone"
    common: dict[str, Any] = {"edit_id": row.edit_id, "at_ns": row.at_ns, "by": by, "kind": row.kind}
    common["undone_by"] = visible(row.undone_by, MAX_NAME) if row.undone_by is not None else None
    try:
        return Edit(**common, **_read(row.kind, row.payload))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Edit(**common, unreadable=f"{type(error).__name__}: {visible(str(error), MAX_NAME)}")


def _read(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "rename":
            return {"intents": (_anchor(payload["intent"]),), "text": _said(payload["name"], MAX_NAME)}
        case "describe":
            return {"intents": (_anchor(payload["intent"]),), "text": _said(payload["text"], MAX_DESCRIPTION)}
        case "move":
            return {"intents": (_anchor(payload["intent"]),), "text": _said(payload["category"], MAX_NAME)}
        case "pin" | "unpin":
            return {"intents": (_anchor(payload["intent"]),)}
        case "merge":
            merged = tuple(_anchor(one) for one in payload["intents"][:_MAX_INTENTS])
            return {"intents": merged, "into": _anchor(payload["into"])}
        case "split":
            parts = tuple(_part(one) for one in payload.get("parts", [])[:MAX_PARTS])
            return {"intents": (_anchor(payload["intent"]),), "parts": parts}
        case "move_traces":
            traces = [(str(one["trace_id"])[:_MAX_ID], _text(one["text"])) for one in payload["traces"]]
            return {"intents": (_anchor(payload["intent"]),), "traces": tuple(traces[:MAX_TRACES])}
        case "rediscover":
            return {"since": date.fromisoformat(payload["from"])}
    raise ValueError(f"this release knows no edit of kind {visible(kind, 40)!r}")


def _anchor(payload: Mapping[str, Any]) -> Anchor:
    of_split = payload.get("of_split")
    return Anchor(
        intent_id=str(payload["intent_id"])[:_MAX_ID],
        name=visible(str(payload.get("name", "")), MAX_NAME),
        texts=tuple(_text(text) for text in payload.get("texts", [])[:ANCHOR_TEXTS]),
        of_split=None if of_split is None else int(of_split),
    )


def _part(payload: Mapping[str, Any]) -> Part:
    name = payload.get("name")
    texts = tuple(_text(text) for text in payload.get("texts", [])[:ANCHOR_TEXTS])
    return Part(
        name=None if name is None else _said(name, MAX_NAME),
        texts=texts,
        trace_ids=tuple(str(one)[:_MAX_ID] for one in payload.get("trace_ids", [])[: len(texts)]),
        keeps=bool(payload.get("keeps", False)),
    )


def _said(text: object, limit: int) -> str:
    if not isinstance(text, str) or not (line := visible(text, limit)):
        raise ValueError("the text has no visible character")
    return line


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("a text is expected")
    return text[:_MAX_TEXT]
