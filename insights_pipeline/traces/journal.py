"""How far an ingest came, on disk: the same call continues where it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from insights_pipeline.traces.ids import fingerprint

DONE = -1


class Journal:
    """Records read and written of each file of one call, in a file of `folder` named by what was called.

    Without a folder nothing is kept. What a journal says is written in the tables: it is saved after them, so that a
    kill in between means that some records are read again, which is harmless.
    """

    def __init__(self, folder: Path | None, files: Sequence[str], *call: str) -> None:
        """`call` is what else makes it the same call: lake, format, mapping, labels. Files are known by their path,
        size and time of change: when one of them changes, everything is read again."""
        states = [(str(Path(path).resolve()), Path(path).stat()) for path in files]
        seen = [f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in states]
        self._path = folder / f"ingest-{fingerprint(*call, '', *seen)}.json" if folder is not None else None
        self._read = _load(self._path) if self._path is not None else {}

    @property
    def resumed(self) -> tuple[int, int]:
        """Files that were read to their end and records of the others, by earlier calls."""
        return (
            sum(count == DONE for count in self._read.values()),
            sum(count for count in self._read.values() if count != DONE),
        )

    def records_of(self, path: str) -> int:
        """Records of a file that are in the tables already; DONE for all of them."""
        return self._read.get(path, 0)

    def save(self, read: dict[str, int]) -> None:
        """Note what is in the tables now."""
        self._read |= read
        if self._path is None or not read:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(f".{os.getpid()}.part")
        with part.open("w") as out:
            json.dump(self._read, out)
            out.flush()
            os.fsync(out.fileno())
        part.replace(self._path)

    def remove(self) -> None:
        """Forget the call: it came to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, int]:
    try:
        held = json.loads(path.read_bytes())
    except (OSError, ValueError):  # none, or torn by a crash of the machine: everything is read again
        return {}
    if not isinstance(held, dict):
        return {}
    return {str(key): count for key, count in held.items() if isinstance(count, int) and count >= DONE}
