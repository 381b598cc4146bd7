"""What a set of attribute keys means, worked out once: the spans of one SDK share few sets of keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

MAX_SETS, MAX_CHARS = 2_048, 8_192  # of one table: hostile keys must not fill the memory

Found = TypeVar("Found")


def by_keys(find: Callable[[tuple[str, ...]], Found]) -> Callable[[tuple[str, ...]], Found]:
    """`find`, with what it found for a tuple of keys kept: at most MAX_SETS tuples of at most MAX_CHARS together each.

    `find` must be pure, and nobody may change what it returns.
    """
    known: dict[tuple[str, ...], Found] = {}

    @wraps(find)
    def look_up(keys: tuple[str, ...]) -> Found:
        try:
            return known[keys]
        except KeyError:
            found = find(keys)
        if sum(map(len, keys)) <= MAX_CHARS:
            if len(known) >= MAX_SETS:
                known.clear()
            known[keys] = found
        return found

    return look_up
