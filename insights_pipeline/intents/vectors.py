"""Vectors as the lake keeps them, and cosines that do not depend on how many are computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]

# Unit vectors are rounded to whole multiples of 1/4000. Products of such vectors and every partial sum of
# them stay below 2**24, so float32 holds them exactly: BLAS gives the same bits for any batch size, thread
# count or order of summation. Without this a re-run in other batches could move a trace across a threshold.
_SCALE = 4_000.0


@dataclass(frozen=True, slots=True)
class Texts:
    """Traces with text and their vectors (n, d), in the order of a hash of their ids.

    `attributes` are the values of the attributes that steer the grouping, one tuple a trace (None: not known), or
    nothing where none do.
    """

    days: tuple[date, ...] = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    vectors: Halves = field(repr=False)
    attributes: tuple[tuple[str | None, ...], ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.ids)


def exact(vectors: Halves | Floats) -> Floats:
    """Vectors (n, d) of norm ≤ 1 as whole numbers in float32, ready for `cosines`."""
    whole: Floats = np.rint(vectors.astype(np.float32) * np.float32(_SCALE))
    return whole


def cosines(left: Floats, right: Floats) -> Floats:
    """Cosines (n, m) of two sets of `exact` vectors, accurate to about 1e-4, bit for bit reproducible."""
    products: Floats = left @ right.T
    products *= np.float32(1.0 / _SCALE**2)
    return products


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Rows scaled to length 1; rows of zeros stay zeros."""
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return np.asarray(wide / np.where(norms == 0, 1.0, norms), dtype=np.float32)


def pack(vector: Halves) -> bytes:
    """One vector, or several in a row, as little-endian fp16 bytes."""
    return vector.astype("<f2").tobytes()


def packed(vectors: Halves) -> pa.BinaryArray:
    """Every vector of (n, d) as a value of an Arrow column, without an object a row."""
    data = np.ascontiguousarray(vectors, dtype="<f2")
    width = data.shape[1] * 2
    offsets = np.arange(0, (len(data) + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(data), buffers)


def unpack(parts: Sequence[bytes], dimensions: int | None = None) -> Halves:
    """The vectors (n, d) in as many byte strings; with `dimensions` a string may hold several in a row."""
    width = dimensions or len(parts[0]) // 2
    return np.frombuffer(b"".join(parts), dtype="<f2").reshape(-1, width).astype(np.float16)
