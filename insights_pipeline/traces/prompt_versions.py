"""Which prompt a span was made with: its name and version, under the keys that tools give them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from insights_pipeline.traces.key_sets import by_keys
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_text, loads_container

_MAX_CHARS = 80  # of a name, and of a version
_COMMIT = re.compile(r"[0-9a-f]{32,}")
_COMMIT_CHARS = 8  # as LangSmith writes them in links
# The key of the name, and those of the version: the first that is there counts. The more specific come first.
_KEYS = (
    ("langfuse.observation.prompt.name", ("langfuse.observation.prompt.version",)),
    ("gen_ai.prompt.name", ("gen_ai.prompt.version",)),
    (
        "traceloop.prompt.key",
        ("traceloop.prompt.version", "traceloop.prompt.version_name", "traceloop.prompt.version_hash"),
    ),
    ("langsmith.metadata.lc_hub_repo", ("langsmith.metadata.lc_hub_commit_hash",)),
    ("prompt.id", ("llm.prompt_template.version",)),  # OpenInference
)
# Keys that a program chose itself: `prompt_version`, `promptVersion` and `prompt.version` are one.
_FREE = (
    "langfuse.observation.metadata.", "langfuse.trace.metadata.", "langsmith.metadata.", "ai.settings.context.",
    "traceloop.association.properties.", "ai.telemetry.metadata.", "",
)  # fmt: skip
_NAMES, _VERSIONS = ("promptname", "promptkey"), ("promptversion", "prompttemplateversion")
_LINKED = "langfuseprompt"  # of the Vercel AI SDK: the prompt whole, as JSON
_METADATA = "metadata"  # of OpenInference and pydantic-ai: an object as JSON


class _Place(NamedTuple):
    """Where a prompt is told: keys, the best first. `linked` and `metadata` hold JSON that has both."""

    names: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    linked: str | None = None
    metadata: str | None = None


def take_prompt(attributes: Attributes) -> str | None:
    """`NAME:VERSION`, or what of it is known, of the first place that tells it; what was used is taken out."""
    for names, versions, linked, metadata in _places(tuple(attributes)):
        if metadata is not None:
            found = _of_metadata(attributes[metadata])
        elif linked is not None:
            found = _of_object(loads_container(attributes[linked]))
        else:
            name, version = _first(attributes, names), _first(attributes, versions)
            found = _joined(name, version)
            if found is not None:
                for key in (*names, *versions):
                    del attributes[key]
        if found is not None:
            return found
    return None


@by_keys
def _places(keys: tuple[str, ...]) -> tuple[_Place, ...]:
    there = {key for key in keys if "prompt" in key.lower() or "lc_hub" in key}
    found = [
        _Place((name,) if name in there else (), tuple(key for key in versions if key in there))
        for name, versions in _KEYS
    ]
    for prefix in _FREE:
        plain = {key: _plain(key[len(prefix) :]) for key in sorted(there) if key.startswith(prefix)}
        named, versioned = (
            tuple(key for key, name in plain.items() if name in wanted) for wanted in (_NAMES, _VERSIONS)
        )
        found.append(_Place(named, versioned))
        found += [_Place(linked=key) for key, name in plain.items() if name == _LINKED]
    if _METADATA in keys:
        found.append(_Place(metadata=_METADATA))
    # a version alone says less than a name with it, whichever tool wrote it
    found = [place for place in found if any(place)]
    return tuple(sorted(found, key=lambda place: bool(place.versions) and not place.names))


def _of_metadata(value: Any) -> str | None:
    """A prompt that free-form metadata names; they stay as they are."""
    if isinstance(value, str) and "rompt" not in value:  # most have none, and need no parsing
        return None
    fields = loads_container(value)
    if not isinstance(fields, dict):
        return None
    plain = {_plain(key): value for key, value in fields.items() if isinstance(key, str)}
    if (found := _of_object(loads_container(plain.get(_LINKED)))) is not None:
        return found
    return _joined(_first(plain, _NAMES), _first(plain, _VERSIONS))


def _of_object(fields: Any) -> str | None:
    return _joined(fields.get("name"), fields.get("version")) if isinstance(fields, dict) else None


def _first(fields: Attributes, keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) not in (None, "")), None)


def _joined(name: Any, version: Any) -> str | None:
    parts = _short(name), _short(version)
    return ":".join(part for part in parts if part) or None


def _short(value: Any) -> str:
    """A name or a version; objects, lists and truths are neither."""
    if value is None or isinstance(value, (bool, dict, list)):
        return ""
    text = as_text(value).strip().strip('"')  # Langfuse 5 quotes metadata
    return text[:_COMMIT_CHARS] if _COMMIT.fullmatch(text) else text[:_MAX_CHARS]


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(".", "")
