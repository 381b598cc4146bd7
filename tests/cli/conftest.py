from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from insights_pipeline.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder with settings of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSIGHTS_LAKE_URI", str(tmp_path / "data/lake"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()
