"""Ids of other tools as ours: 32 hex digits of trace id, 16 of span id; the same id always gives the same."""

from __future__ import annotations

import re
from hashlib import blake2b
from uuid import UUID

_TRACE_HEX = re.compile(r"[0-9a-f]{32}")
_SPAN_HEX = re.compile(r"[0-9a-f]{16}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def trace_id_of(text: str) -> str:
    """A trace id: 32 hex digits stay, a UUID loses its dashes, anything else is hashed; "" stays ""."""
    lower = text.strip().lower()
    if not lower or _TRACE_HEX.fullmatch(lower):
        return lower
    return UUID(lower).hex if _UUID.fullmatch(lower) else blake2b(_bytes(text), digest_size=16).hexdigest()


def span_id_of(text: str) -> str:
    """A span id: 16 hex digits stay, anything else is hashed; "" stays "".

    UUIDs are hashed too: the first half of a UUIDv7 is little more than a clock, and would collide in a trace.
    """
    lower = text.strip().lower()
    if not lower or _SPAN_HEX.fullmatch(lower):
        return lower
    return blake2b(_bytes(lower if _UUID.fullmatch(lower) else text), digest_size=8).hexdigest()


def fingerprint(*parts: str) -> str:
    """32 hex digits of a content: equal parts give equal ids, and no part runs into the next."""
    found = blake2b(digest_size=16)
    for part in parts:
        data = _bytes(part)
        found.update(len(data).to_bytes(8, "big"))
        found.update(data)
    return found.hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
