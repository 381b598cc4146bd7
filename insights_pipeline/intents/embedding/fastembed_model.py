"""Embedding models run on this machine by the package `fastembed` (ONNX), which is an extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from insights_pipeline.intents.vectors import Floats


@dataclass(frozen=True, slots=True)
class FastembedModel:
    """A model by fastembed's name, e.g. `BAAI/bge-small-en-v1.5`; loaded when first used."""

    name: str

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors (n, d). Raises ValueError when the package or the model is not there."""
        # one text at a time: padding to the longest of a batch would change last bits with the batch
        vectors = list(_loaded(self.name).embed(list(texts), batch_size=1))
        return np.asarray(vectors, dtype=np.float32)


@lru_cache(maxsize=1)
def _loaded(name: str) -> Any:
    if importlib.util.find_spec("fastembed") is None:
        raise ValueError(
            f"embedding fastembed:{name} needs the package fastembed, which is not installed: "
            "pip install 'insights-pipeline[fastembed]', or choose another embedding"
        )
    from fastembed import TextEmbedding

    try:
        return TextEmbedding(model_name=name)
    except Exception as error:  # an unknown name, a failed download, a broken file: each its own type
        raise ValueError(
            f"embedding fastembed:{name} could not be loaded ({type(error).__name__}: {error}). It is downloaded on "
            "first use: check the name (fastembed.TextEmbedding.list_supported_models()) and the network, or point "
            "FASTEMBED_CACHE_PATH to a folder that holds it"
        ) from error
