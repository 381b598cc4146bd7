from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest
from hypothesis import settings

from insights_pipeline.lake import DuckDBEngine, Lake, connect_with, engine_config

# Everywhere new examples are tried each time; in CI the same ones, so that a change is judged by what it changed.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def engine(lake: Lake, tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(
        lake, connect_with(engine_config(threads=2, memory_mb=512, temp_dir=tmp_path / "spill"))
    )


@pytest.fixture(autouse=True)
def _no_client_of_a_model_outlives_its_test() -> Iterator[None]:
    """litellm keeps 200, one an address, and drops the next with its connection open: a warning in some later test."""
    yield
    litellm = sys.modules.get("litellm")
    if litellm is not None:
        kept = litellm.in_memory_llm_clients_cache
        for key, client in list(kept.cache_dict.items()):
            # an asynchronous one has no connection: we never ask from an event loop
            if not iscoroutinefunction(client.close):
                kept.delete_cache(key)
                client.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real traces beside the checkout; tests that use it skip where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder of real traces is not there")
    return REAL_DATA
