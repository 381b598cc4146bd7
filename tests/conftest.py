from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real traces beside the checkout; tests that use it skip where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder of real traces is not there")
    return REAL_DATA
