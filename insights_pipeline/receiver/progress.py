"""`drain.json`: what the drain tells the door and whoever looks – how far, how much, alive, and what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

FILE = "drain.json"
_EVERY_S = 1.0
_MAX_ERROR = 500
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(r"\?[^\s\"')]+")


@dataclass(slots=True)
class Progress:
    """Totals since the drain started; `publish` replaces the file as a whole."""

    folder: Path
    position: int = 0
    spans: int = 0
    contents: int = 0
    scores: int = 0
    rejects: int = 0
    ignored_logs: int = 0
    batches: int = 0
    last_flush_ns: int | None = None
    error: str | None = None
    _published: float = 0.0

    def count(self, rows: Mapping[str, int], *, ignored_logs: int, position: int) -> None:
        """A batch is in the lake for good."""
        self.spans += rows["spans"]
        self.contents += rows["span_contents"]
        self.scores += rows["feedback"]
        self.rejects += rows["rejects"]
        self.ignored_logs += ignored_logs
        self.batches += 1
        self.position = position
        self.last_flush_ns = time.time_ns()

    def beat(self) -> None:
        """Publish when the last time was a second ago."""
        if time.monotonic() - self._published >= _EVERY_S:
            self.publish()

    def publish(self) -> None:
        """Write the file. A disk that is full is told by the age of the file: it must not stop the drain."""
        self._published = time.monotonic()
        told = {
            "position": self.position,
            "spans": self.spans,
            "contents": self.contents,
            "scores": self.scores,
            "rejects": self.rejects,
            "ignored_logs": self.ignored_logs,
            "batches": self.batches,
            "last_flush_ns": self.last_flush_ns,
            "alive_ns": time.time_ns(),
            "error": self.error,
        }
        draft = self.folder / f".{FILE}"
        with suppress(OSError):
            draft.write_bytes(orjson.dumps(told))
            draft.replace(self.folder / FILE)


def published(folder: Path) -> dict[str, object]:
    """What the drain of a folder told last; empty when it has told nothing yet."""
    try:
        told = orjson.loads((folder / FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told if isinstance(told, dict) else {}


def without_secrets(error: BaseException, secrets: Mapping[str, str]) -> str:
    """The error as text that may be shown: no values of storage options, no credentials and queries of URLs."""
    text = f"{type(error).__name__}: {error}"
    for value in sorted(secrets.values(), key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, "…")
    text = _QUERY.sub("?…", _CREDENTIALS_IN_URL.sub("…@", text))
    return " ".join(text.split())[:_MAX_ERROR]
