"""One frozen Settings: INSIGHTS_* variables and `insights.toml`. Read once, at the edges."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


def _machine_memory_mb() -> int:
    """Physical memory in MiB, or the cgroup's limit where that is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total // 2**20


class Settings(BaseSettings):
    """Everything a deployment may set. Every field has a default that needs no server, key or download."""

    model_config = SettingsConfigDict(
        env_prefix="INSIGHTS_", toml_file="insights.toml", frozen=True, extra="forbid"
    )

    lake_uri: str = Field("data/lake", description="Folder or object-store URI of the Delta tables.")
    storage_options: dict[str, str] = Field(
        default_factory=dict, description="Object-store options handed to delta-rs.", repr=False
    )
    landing_dir: Path = Field(
        Path("data/landing"), description="Folder of trace files, e.g. those of the demo."
    )
    temp_dir: Path = Field(Path("data/tmp"), description="Where what does not fit in memory is spilled.")
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="Threads of the engine, per process."
    )
    memory_mb: int = Field(
        default_factory=lambda: max(512, _machine_memory_mb() // 6),
        ge=128,
        description="Memory limit of the engine in MiB, per process; default: a sixth of the machine (4 runs at once).",
    )
    owner: str = Field(
        "team:insights", description="Owner shown on every asset: an e-mail address or team:NAME."
    )
    first_day: str = Field(
        "auto",
        description="First day of the daily partitions (YYYY-MM-DD), or 'auto': the first day with spans.",
    )
    bootstrap_traces: int = Field(500, ge=10, description="Traces needed before intents are discovered.")
    seed: int = Field(0, description="Seed of every random choice.")
    max_field_chars: int = Field(
        100_000,
        ge=1_000,
        description="Longest text kept of one field of a span; longer ones are cut with a mark.",
    )
    retention_days: int = Field(
        7, ge=7, description="Days that replaced files are kept for readers before vacuum."
    )

    @field_validator("first_day")
    @classmethod
    def _a_day_or_auto(cls, value: str) -> str:
        from datetime import date

        if value != "auto":
            date.fromisoformat(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


@cache
def settings() -> Settings:
    """The settings of this process, read on first use."""
    return Settings()
