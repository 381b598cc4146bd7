from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from insights_pipeline.settings import Settings


def test_one_ingest_key_is_enough_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSIGHTS_INGEST_KEYS", "a-long-secret")
    config = Settings()
    assert config.ingest_keys["default"].key.get_secret_value() == "a-long-secret"
    assert "a-long-secret" not in repr(config)


def test_several_ingest_keys_come_from_a_mounted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    file.write_text('{"acme": {"key": "a-long-secret", "tenant": "acme-corp", "environment": "staging"}}')
    monkeypatch.setenv("INSIGHTS_INGEST_KEYS_FILE", str(file))
    key = Settings().ingest_keys["acme"]
    assert (key.tenant, key.environment) == ("acme-corp", "staging")


def test_a_variable_is_preferred_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "threads"
    file.write_text("3\n")
    monkeypatch.setenv("INSIGHTS_THREADS_FILE", str(file))
    assert Settings().threads == 3
    monkeypatch.setenv("INSIGHTS_THREADS", "5")
    assert Settings().threads == 5


def test_an_invalid_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSIGHTS_INGEST_KEYS", '{"acme": {"key": "shorty"}}')
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "shorty" not in str(refused.value)
