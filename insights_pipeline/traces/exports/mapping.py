"""What a mapping file may say: where in a team's own records the fields of a trace are.

A mapping is TOML; the built-in ones in `maps/` are examples. Paths are those of `paths`; a list of paths means the
first that is there.
"""

from __future__ import annotations

import tomllib
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from insights_pipeline.traces.exports.paths import check_path, first_key
from insights_pipeline.traces.exports.times import TimeUnit

_MAX_MAP_BYTES = 1 << 20
_FOLDER = "insights_pipeline.traces.exports.maps"
OPENAI_CHAT = "openai_chat"  # a map like the others, but known as a format of its own


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _checked(paths: list[str]) -> list[str]:
    return [check_path(path) for path in paths]


Paths: TypeAlias = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_checked)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fields(_Part):
    """Paths within a record (`$.` for the document around it)."""

    conversation_id: Paths = []
    messages: Paths = []
    trace_id: Paths = []
    span_id: Paths = []
    parent_id: Paths = []
    kind: Paths = []
    name: Paths = []
    input: Paths = []
    output: Paths = []
    start: Paths = []
    end: Paths = []
    duration: Paths = []
    cost: Paths = []
    model: Paths = []
    provider: Paths = []
    user: Paths = []
    tenant: Paths = []
    environment: Paths = []
    session: Paths = []
    service: Paths = []
    app: Paths = []
    release: Paths = []
    prompt: Paths = []
    tags: Paths = []
    error: Paths = []
    error_message: Paths = []
    tool_name: Paths = []
    tool_arguments: Paths = []
    tool_result: Paths = []
    prompt_tokens: Paths = []
    completion_tokens: Paths = []
    cached_tokens: Paths = []
    reasoning_tokens: Paths = []
    total_tokens: Paths = []


class MessageFields(_Part):
    """Paths within a message. `call_when` is a path that only the model's own messages have, `skip_when` one of those
    that do not belong to the conversation (`path`, or `path=value`)."""

    role: Paths = ["role"]
    content: Paths = ["content"]
    time: Paths = []
    duration: Paths = []
    model: Paths = []
    cost: Paths = []
    prompt_tokens: Paths = []
    completion_tokens: Paths = []
    cached_tokens: Paths = []
    reasoning_tokens: Paths = []
    total_tokens: Paths = []
    tool_name: Paths = ["name"]
    tool_call_id: Paths = ["tool_call_id"]
    error: Paths = []
    call_when: str | None = None
    skip_when: str | None = None


class Steps(_Part):
    """Agents that record steps instead of messages: each is one model call and one tool call."""

    list: Paths
    output: Paths
    action: Paths = []
    observation: Paths = []
    duration: Paths = []


class Recognise(_Part):
    """What a record must have for `--format auto` to take this mapping, if it is a built-in one."""

    fields: Paths


class Mapping(_Part):
    """A whole mapping; `unit` is what a record is: a conversation that is one trace, one that is a trace a user turn,
    or a span."""

    name: str = "map"
    unit: Literal["turn", "conversation", "span"] = "turn"
    records: Paths = []
    time_unit: TimeUnit | None = None
    time_format: str | None = None
    duration_unit: Literal["ns", "us", "ms", "s", "min"] = "s"
    zero_cost_is_unknown: bool = True
    fields: Fields = Field(default_factory=Fields)
    message: MessageFields = Field(default_factory=MessageFields)
    steps: Steps | None = None
    roles: dict[str, Literal["user", "assistant", "system", "tool"]] = {}
    scores: dict[str, Paths] = {}
    attributes: dict[str, Paths] = {}
    constants: dict[str, str | int | float | bool | list[str]] = {}
    ignore: list[str] = []
    recognise: Recognise | None = None

    @model_validator(mode="after")
    def _complete(self) -> Mapping:
        known = set(Fields.model_fields) - {"messages"}
        if unknown := sorted(set(self.constants) - known):
            raise ValueError(f"constants.{unknown[0]} is no field: fields are {', '.join(sorted(known))}")
        if self.unit == "span":
            lacking = [name for name in ("trace_id", "start") if not getattr(self.fields, name)]
            if lacking:
                raise ValueError(f'fields.{lacking[0]} is missing: with unit = "span" every record needs it')
        elif not self.fields.messages and self.steps is None and not self.fields.input:
            raise ValueError(
                "fields.messages is missing: say where the messages are (or [steps], or fields.input and fields.output)"
            )
        return self

    @cached_property
    def used_keys(self) -> frozenset[str]:
        """Top-level keys of a record that some path lies under: the others are kept as attributes."""
        paths = [path for name in Fields.model_fields for path in getattr(self.fields, name)]
        paths += [
            path for group in (self.scores, self.attributes) for found in group.values() for path in found
        ]
        paths += self.steps.list if self.steps else []
        return frozenset({key for path in paths for key in (path, first_key(path))} | set(self.ignore))


def load_mapping(name: str) -> Mapping:
    """The mapping of a file, or the built-in one of that name; ValueError names the file, the key and the remedy."""
    if name in built_in_names():
        return built_in(name)
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f"{name}: no such mapping. Give a TOML file, or one of the built-in mappings: {', '.join(built_in_names())}"
        )
    if path.stat().st_size > _MAX_MAP_BYTES:
        raise ValueError(
            f"{name}: a mapping is a small TOML file, this one has {path.stat().st_size:,} bytes"
        )
    return parse_mapping(path.read_bytes(), source=name)


def parse_mapping(data: bytes, *, source: str) -> Mapping:
    """A mapping out of TOML; ValueError as `load_mapping`."""
    try:
        return Mapping.model_validate(tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{source}: not TOML ({error})") from None
    except ValidationError as error:
        raise ValueError(f"{source}: " + "; ".join(_told(one) for one in error.errors()[:5])) from None


_PARTS: dict[str, type[BaseModel]] = {
    "fields": Fields,
    "message": MessageFields,
    "steps": Steps,
    "recognise": Recognise,
}


def _told(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        part = str(error["loc"][0]) if len(error["loc"]) > 1 else ""
        owner = _PARTS.get(part, Mapping)
        message = f"no such key; known are {', '.join(owner.model_fields)}"
    elif error["type"] in ("model_type", "dict_type"):
        message = f"give a table: [{key}], and the keys below it"
    elif error["type"] == "list_type":
        message = "give a path as text, or a list of paths of which the first that is there is taken"
    return f"{key}: {message}" if key else message


@cache
def built_in_names() -> tuple[str, ...]:
    """Mappings that come with the package."""
    found = (entry.name for entry in files(_FOLDER).iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in found))


@cache
def built_in(name: str) -> Mapping:
    """The built-in mapping of a name."""
    resource = files(_FOLDER) / f"{name}.toml"
    return parse_mapping(resource.read_bytes(), source=resource.name)
