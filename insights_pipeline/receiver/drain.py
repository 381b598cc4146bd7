"""The drain: a process of its own that turns the receiver's log into rows of the lake, each exactly once.

    python -m insights_pipeline.receiver.drain < config

reads one line of JSON and drains until its input ends or it is told to stop (SIGTERM). How exactly once works:

- Each append stores, in the same commit, the position in the log that its table has rows up to.
- After the appends of a batch the drain's own state (pending.db) is committed with that position.
- After a kill at any moment reading goes on from the state's position, in batches that end where a table's position
  is: each table has such a batch or lacks it, and what it has is not appended again.

Positions are stored under the id of the log's folder. A new lake has no position: it gets what is in the log from the
state's position on; what was drained before is in the old lake. A new folder has another id: a lake that has rows of
an old folder takes all of it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from insights_pipeline.lake import DuckDBEngine, Engine, Lake, connect_with, engine_config
from insights_pipeline.receiver.draining import BatchSize, Drain
from insights_pipeline.receiver.filling import Reading
from insights_pipeline.receiver.progress import without_secrets
from insights_pipeline.traces.redaction import redactor

_LOCK_SPARE_S = 5.0  # another drain of the folder finishes as this one would, and then ends
_ENGINE_THREADS, _ENGINE_MEMORY_MB = 1, 512  # places scores; nothing else


@dataclass(frozen=True, slots=True)
class DrainReport:
    """Rows appended, batches, and the position up to which the log is in the lake."""

    position: int
    spans: int
    contents: int
    scores: int
    rejects: int
    ignored_logs: int
    batches: int


def drain_once(
    lake: Lake,
    engine: Engine,
    folder: Path,
    *,
    size: BatchSize | None = None,
    reading: Reading | None = None,
) -> DrainReport:
    """Bring all that is in the log of a folder into the lake.

    Raises what the lake raises (calling again goes on from there), and ValueError when a drain has the folder.
    """
    drain = Drain(folder, lambda: (lake, engine), size=size, reading=reading)
    try:
        drain.run(threading.Event(), keep_alive=False)
    finally:
        drain.close()
    done = drain.progress
    return DrainReport(
        position=done.position,
        spans=done.spans,
        contents=done.contents,
        scores=done.scores,
        rejects=done.rejects,
        ignored_logs=done.ignored_logs,
        batches=done.batches,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainConfig:
    """The line of configuration. `redaction` is {"kinds": [...], "patterns": {...}, "names_model": …} or null."""

    lake_uri: str
    folder: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_field_chars: int = 100_000
    max_body_bytes: int = 64 * 2**20
    batch_rows: int = 20_000
    batch_chars: int = 32 * 2**20
    batch_seconds: float = 5.0
    finish_seconds: float = 25.0
    redaction: Mapping[str, Any] | None = None
    keep_alive: bool = True  # false: drain what is there, then exit

    @classmethod
    def from_line(cls, line: str) -> DrainConfig:
        """Raises ValueError for a line that is no such configuration."""
        try:
            return cls(**orjson.loads(line))
        except (TypeError, orjson.JSONDecodeError) as error:
            raise ValueError(f"the drain's configuration is wrong: {error}") from None


def drain_of(config: DrainConfig) -> Drain:
    """A drain that waits for its lake, however long. Raises ValueError when another drain has the folder."""
    folder = Path(config.folder)
    options = dict(config.storage_options)

    def connect() -> tuple[Lake, Engine]:
        lake = Lake(config.lake_uri, options)
        settings = engine_config(
            threads=_ENGINE_THREADS, memory_mb=_ENGINE_MEMORY_MB, temp_dir=folder / "spill"
        )
        return lake, DuckDBEngine(lake, connect_with(settings))

    redaction = dict(config.redaction or {})
    return Drain(
        folder,
        connect,
        size=BatchSize(config.batch_rows, config.batch_chars, config.batch_seconds),
        reading=Reading(
            config.max_field_chars,
            redactor(
                redaction.get("kinds") or (),
                patterns=redaction.get("patterns"),
                names_model=redaction.get("names_model"),
            ),
            config.max_body_bytes,
        ),
        told=lambda error: without_secrets(error, options),
        finish_seconds=config.finish_seconds,
        lock_seconds=config.finish_seconds + _LOCK_SPARE_S,
    )


def main() -> int:
    """Exit code 0 when all was drained, 3 when the time to finish was too short (nothing is lost), 2 for bad input."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = DrainConfig.from_line(sys.stdin.readline())
        drain = drain_of(config)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if config.keep_alive:
        threading.Thread(target=_wait_for_end, args=(stop,), name="stdin", daemon=True).start()
    return 0 if drain.run(stop, keep_alive=config.keep_alive) else 3


def _wait_for_end(stop: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    stop.set()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a write that hangs must not keep the process: the log has what it would have written
