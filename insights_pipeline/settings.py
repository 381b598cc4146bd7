"""One frozen Settings: INSIGHTS_* variables and `insights.toml`. Read once, at the edges."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)


def _machine_memory_mb() -> int:
    """Physical memory in MiB, or the cgroup's limit where that is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total // 2**20


class IngestKeySetting(BaseModel):
    """A key that senders show to the receiver; what it stands for replaces what their spans say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SecretStr = Field(min_length=8)
    environment: str | None = None
    tenant: str | None = None


class CategorySetting(BaseModel):
    """A category that intents are sorted into; the description decides, so it is required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(min_length=1, max_length=1_000)
    examples: tuple[str, ...] = ()


class _ContactPoint(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SlackSetting(_ContactPoint):
    """An incoming webhook of Slack."""

    kind: Literal["slack"]
    url: SecretStr


class WebhookSetting(_ContactPoint):
    """Any HTTPS endpoint that takes JSON."""

    kind: Literal["webhook"]
    url: SecretStr
    headers: dict[str, SecretStr] = Field(default_factory=dict)


class EmailSetting(_ContactPoint):
    """Addresses that get mail through `smtp_url`."""

    kind: Literal["email"]
    to: tuple[str, ...] = Field(min_length=1)


ContactPointSetting = Annotated[SlackSetting | WebhookSetting | EmailSetting, Field(discriminator="kind")]


class _NamesVariable(PydanticBaseSettingsSource):
    """A source of which a value that cannot be read is told by its variable; the value may be a secret."""

    _ending = ""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            variable = f"INSIGHTS_{field_name}{self._ending}".upper()
            is_list = get_origin(field.annotation) is tuple
            form = """a list, e.g. '["ops"]'""" if is_list else """an object, e.g. '{"NAME": …}'"""
            raise ValueError(f"{variable} must be JSON, {form}: {field.description}") from None


class _EnvironmentSource(_NamesVariable, EnvSettingsSource):
    """The variables `INSIGHTS_X`."""


class _FileSource(_NamesVariable):
    """`INSIGHTS_X_FILE` names a file that holds the value of `INSIGHTS_X`: how secrets are mounted."""

    _ending = "_FILE"

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.config.get('env_prefix', '')}{field_name}_FILE".upper()
        path = os.environ.get(variable)
        text = Path(path).read_text().strip() if path else None
        return text, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            text, key, is_complex = self.get_field_value(field, name)
            if text is not None:
                found[key] = (
                    text if name == "ingest_keys" else self.prepare_field_value(key, field, text, is_complex)
                )
        return found


class Settings(BaseSettings):
    """Everything a deployment may set. Every field has a default that needs no server, key or download."""

    model_config = SettingsConfigDict(
        env_prefix="INSIGHTS_",
        toml_file="insights.toml",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # a value may be a secret
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
    embedding: str = Field(
        "wordllama",
        pattern=r"^(wordllama|tfidf|litellm:.+|fastembed:.+)$",
        description="How texts become vectors: wordllama, tfidf, litellm:MODEL or fastembed:MODEL.",
    )
    embedding_api_base: str | None = Field(None, description="Address of the embedding model's API.")
    embedding_api_key: SecretStr | None = Field(
        None, description="Key of the embedding model's API; default: the provider's own variable."
    )
    intent_granularity: float = Field(
        1.0, gt=0, le=10, description="How fine intents are: above 1 more and finer ones, below 1 fewer."
    )
    intent_attributes: tuple[str, ...] = Field(
        (),
        description="Columns of traces (or metadata.KEY) in which traces of one intent should agree, e.g. ['app'].",
    )
    intent_categories: tuple[CategorySetting, ...] = Field(
        (), description="Predefined categories: name, description, examples; none: they are found."
    )
    state_url: SecretStr = Field(
        SecretStr("sqlite:///data/state.db"),
        description="Database of what people edit (SQLAlchemy URL): SQLite or Postgres.",
    )
    llm_model: str | None = Field(
        None,
        description="Model that names intents (litellm's name, e.g. openai/gpt-4.1-mini); default: none.",
    )
    llm_api_base: str | None = Field(None, description="Address of the model's API, e.g. of a local server.")
    llm_api_key: SecretStr | None = Field(
        None, description="Key of the model's API; default: the provider's own variable."
    )
    llm_budget_usd: float = Field(
        1.0, ge=0, description="Most that the language model may cost in one run, in USD."
    )
    llm_budget_tokens: int = Field(
        500_000,
        ge=0,
        description="Most tokens of the language model in one run; counts where no price is known.",
    )
    llm_timeout_seconds: float = Field(60.0, gt=0, description="Longest wait for one answer of the model.")
    baseline_groups: tuple[Literal["tenant", "environment"], ...] = Field(
        (), description="Also keep baselines and watch for drift per tenant or environment, e.g. ['tenant']."
    )
    contact_points: dict[str, ContactPointSetting] = Field(
        default_factory=dict,
        description="Who can be told: NAME -> {kind: slack, url} | {kind: webhook, url} | {kind: email, to}, as JSON.",
        repr=False,
    )
    brief_to: tuple[str, ...] = Field(
        (), description="Names of contact points that every brief is sent to, once."
    )
    brief_cadences: tuple[Literal["daily", "weekly", "monthly"], ...] = Field(
        ("daily", "weekly", "monthly"), description="Which briefs are sent."
    )
    brief_when_quiet: bool = Field(True, description="Also send briefs that say that nothing changed.")
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS), smtps://… or, without TLS, smtp+plain://….",
    )
    smtp_from: str | None = Field(None, description="Sender of mails; default: the user of smtp_url.")
    outbound_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that may be called though they are private or not https, e.g. ['hooks.internal:8080'].",
    )
    ui_url: str = Field(
        "http://localhost:3000", description="Address of the Dagster UI, for links in briefs."
    )
    refresh_minutes: int = Field(
        15, ge=0, description="How often at most a day that is still receiving spans is run again."
    )
    seed: int = Field(0, description="Seed of every random choice.")
    max_field_chars: int = Field(
        100_000,
        ge=1_000,
        description="Longest text kept of one field of a span; longer ones are cut with a mark.",
    )
    retention_days: int = Field(
        7, ge=7, description="Days that replaced files are kept for readers before vacuum."
    )

    receiver_dir: Path = Field(
        Path("data/receiver"),
        description="Where the receiver keeps what it accepted until it is in the tables.",
    )
    ingest_keys: Annotated[dict[str, IngestKeySetting], NoDecode] = Field(
        default_factory=dict,
        description="Keys that senders must show: one key, or NAME -> {key, environment, tenant} as JSON.",
        repr=False,
    )
    max_backlog_mb: int = Field(
        8_192, ge=1, description="Undrained MiB on disk above which the receiver answers 503."
    )
    min_free_mb: int = Field(256, ge=1, description="Free MiB on disk below which the receiver answers 503.")
    drain_seconds: float = Field(
        10.0, gt=0, description="Longest time that accepted spans wait before they are written to the tables."
    )
    redact: tuple[str, ...] = Field(
        (), description="What is blotted out before anything is stored, e.g. ['email', 'card'], or ['all']."
    )
    redact_patterns: dict[str, str] = Field(
        default_factory=dict, description="More to blot out: NAME -> regular expression."
    )

    redact_names_model: str | None = Field(
        None, description="spaCy pipeline that finds names of people and places to blot out; needs [pii]."
    )

    @field_validator("ingest_keys", mode="before")
    @classmethod
    def _one_key_or_several(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("{") else {"default": {"key": value}}

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
        return (
            init_settings,
            _EnvironmentSource(settings_cls),
            _FileSource(settings_cls),
            TomlConfigSettingsSource(settings_cls),
        )


@cache
def settings() -> Settings:
    """The settings of this process, read on first use. Raises ValueError, which names the variable."""
    try:
        return Settings()
    except SettingsError as error:
        raise ValueError(str(error.__cause__ or error)) from None
