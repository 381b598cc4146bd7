"""What both encodings of OTLP agree on: which attribute values are kept."""

from __future__ import annotations

import math

NESTED_TOO_DEEP = "… [cut: nested too deep]"
# Longer lists of floats are embeddings, not measurements: they would be most of the stored bytes.
_MAX_FLOATS = 64


def finite(number: float) -> float | None:
    """The number; NaN and the infinities are missing."""
    return number if math.isfinite(number) else None


def keep(value: object) -> bool:
    """Whether a value says anything: an empty string is how several SDKs write "absent"."""
    return value is not None and value != ""


def is_vector(key: str, length: int, floats: object) -> bool:
    """Whether a list is an embedding vector, which is not stored."""
    return key.endswith(".vector") or (bool(floats) and length > _MAX_FLOATS)
