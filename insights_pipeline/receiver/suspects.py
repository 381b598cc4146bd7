"""A body that kills the process that reads it (out of memory, a crash of a library) must not kill it for ever.

After some deaths without progress the drain reads one entry at a time and notes which one first. An entry that it
died of several times is set aside as a file and becomes a reject; the traffic behind it goes on.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from insights_pipeline.receiver.segments import Entry, refused

_DEATHS = 3
# An entry at a time is slow, and the process may have died of something else: after so many all is as before, and
# only deaths behind them make it careful again.
_CAREFUL_ENTRIES = 1_000


class Suspects:
    """Counts deaths in the drain's state. `careful`: read one entry at a time."""

    def __init__(self, state: sqlite3.Connection, log: str, folder: Path) -> None:
        self._state = state
        self._log = log
        self._folder = folder
        state.execute(
            "CREATE TABLE IF NOT EXISTS suspects "
            "(log TEXT PRIMARY KEY, deaths INTEGER, position INTEGER, tries INTEGER)"
        )
        state.execute("INSERT OR IGNORE INTO suspects VALUES (?, 0, -1, 0)", (log,))
        found = state.execute("SELECT deaths, position, tries FROM suspects WHERE log = ?", (log,)).fetchone()
        deaths, self._position, self._tries = found
        self.careful = deaths >= _DEATHS
        self._left = _CAREFUL_ENTRIES
        # until progress or a clean end says otherwise, this process dies too
        state.execute("UPDATE suspects SET deaths = deaths + 1 WHERE log = ?", (log,))

    def checked(self, position: int, entry: Entry) -> Entry:
        """The entry, noted as the one that is read now; or, when it killed too often, a reject in its place."""
        self._tries = self._tries + 1 if position == self._position else 1
        self._position = position
        self._left -= 1
        self.careful = self._left > 0
        if self._tries > _DEATHS:
            self.careful = False
            return self._set_aside(position, entry)
        self._state.execute(
            "UPDATE suspects SET position = ?, tries = ? WHERE log = ?", (position, self._tries, self._log)
        )
        return entry

    def acquit(self) -> None:
        """The entry was read. What comes now, the lake, is not its doing."""
        self._position, self._tries = -1, 0
        self._state.execute("UPDATE suspects SET position = -1, tries = 0 WHERE log = ?", (self._log,))

    def progress(self) -> None:
        """A batch is in the lake, or the process ends in order."""
        self._state.execute(
            "UPDATE suspects SET deaths = 0, position = -1, tries = 0 WHERE log = ?", (self._log,)
        )

    def _set_aside(self, position: int, entry: Entry) -> Entry:
        folder = self._folder / "set-aside"
        folder.mkdir(exist_ok=True)
        path = folder / f"{position}.{entry.kind}"
        with path.open("wb") as file:
            file.write(entry.body)
            file.flush()
            os.fsync(file.fileno())
        return refused(
            entry.body,
            reason=f"the process that read this body died {_DEATHS} times",
            remedy=f"The body is kept in {path.parent.name}/{path.name} of the receiver's folder. "
            "Give the receiver more memory, or report it, and send the body again.",
            received_ns=entry.received_ns,
            content_type=entry.content_type,
            environment=entry.environment,
            tenant=entry.tenant,
        )
