"""Which files of the given paths are read, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = (
    ".pb", ".bin", ".json", ".jsonl", ".ndjson", ".traj", ".csv", ".tsv", ".parquet",
)  # fmt: skip
COMPRESSED = (".gz", ".zst")
_NO_STREAM = (
    "a stream can be read only once, and its format is told by looking at it first. Save it to a file, "
    "and give that: … > traces.jsonl; insights ingest traces.jsonl"
)


def trace_files(paths: Sequence[Path | str]) -> list[str]:
    """The files to read, each once: a file under any name, of a folder those that look like trace files.

    Raises FileNotFoundError for a path that does not exist, ValueError for a folder without trace files
    and for what is no file (a pipe, "-").
    """
    if "-" in map(str, paths) and not Path("-").exists():
        raise ValueError(f"-: {_NO_STREAM}")
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing:
        raise FileNotFoundError(
            f"{', '.join(missing)}: no such file or folder. Give OTLP files or exports "
            f"({', '.join(SUFFIXES)}, also .gz or .zst) or folders of them."
        )
    found: dict[str, None] = {}
    for path in paths:
        if not Path(path).is_dir() and not Path(path).is_file():
            raise ValueError(f"{path}: {_NO_STREAM}")
        if Path(path).is_dir():
            inside = sorted(_walk(str(path)))
            if not inside:
                raise ValueError(
                    f"{path}: no trace files in this folder ({', '.join(SUFFIXES)}, also .gz or .zst)"
                )
            found.update(dict.fromkeys(inside))
        else:
            found[str(path)] = None
    return list(found)


def _walk(folder: str) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        if "_delta_log" in folders:  # a table, perhaps our own
            folders[:] = []
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            plain = name.lower()
            for suffix in COMPRESSED:
                plain = plain.removesuffix(suffix)
            if plain.endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(base) / name)
