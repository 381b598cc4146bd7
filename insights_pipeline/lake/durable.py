"""Appends to a lake on this machine's disk, made to outlast a power cut.

Delta tables are written without fsync: a commit that was seen may still be in the kernel's memory.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import orjson

_COMMIT_OR_CHECKPOINT = re.compile(r"\d{20}\..*(json|parquet)$")
_COMMITS = 50  # other writers may have committed since


def sync_appends(table: Path, *, since: float) -> None:
    """Bring the commits of a table since a time (s, epoch) to the disk: data files, log, checkpoints and folders.

    A checkpoint that a power cut left empty would make the table unreadable, although each of its commits is there.

    Raises OSError when the disk fails. Files that a compaction replaced and removed meanwhile are left out.
    """
    log = table / "_delta_log"
    folders = {log, table, table.parent}
    # names only: a week of live traffic is a hundred thousand of them
    with os.scandir(log) as entries:
        names = sorted(item.name for item in entries if _COMMIT_OR_CHECKPOINT.match(item.name))
    for name in (*names[-_COMMITS:], "_last_checkpoint"):
        path = log / name
        if not path.exists() or path.stat().st_mtime < since - 2:  # of file systems with coarse times
            continue
        for line in path.read_bytes().splitlines() if path.suffix == ".json" else ():
            added = orjson.loads(line).get("add")
            if isinstance(added, dict) and (data := table / unquote(added["path"])).exists():
                _sync(data)
                folders.add(data.parent)
        _sync(path)
    for folder in sorted(folders, reverse=True):  # what lies in a folder before the folder's own name
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
