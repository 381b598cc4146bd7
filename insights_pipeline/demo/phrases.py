"""The phrase files as compiled templates: `[a|b]` is a choice, `{name}` a slot, anything else is text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TOKEN = re.compile(r"\[([^\]]*)\]|\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value, e.g. `{city}`; `{city2}` is another value of the same kind."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these, with equal chances."""

    options: tuple[Template, ...]


Template = tuple["str | Slot | Choice", ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """What users and the agent say about one intent."""

    openings: tuple[Template, ...]
    details: tuple[Template, ...]
    followups: tuple[Template, ...]
    answers: tuple[Template, ...]
    sentences: tuple[Template, ...]
    failure: tuple[Template, ...]
    slots: Mapping[str, tuple[Template, ...]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What is the same whatever people want."""

    openers: tuple[Template, ...]
    closers: tuple[Template, ...]
    off_topic: tuple[Template, ...]
    slots: Mapping[str, tuple[Template, ...]]


def compile_template(text: str) -> Template:
    """Parts of a template; choices may hold slots, but not choices."""
    parts: list[str | Slot | Choice] = []
    at = 0
    for match in _TOKEN.finditer(text):
        parts += [text[at : match.start()]] * (match.start() > at)
        choices, slot = match.groups()
        if slot is not None:
            parts.append(Slot(slot))
        else:
            parts.append(Choice(tuple(compile_template(option) for option in choices.split("|"))))
        at = match.end()
    return (*parts, *[text[at:]] * (at < len(text)))


@cache
def load_phrases(intent: str) -> Phrases:
    """The phrases of `phrases/<intent>.toml`; raises FileNotFoundError for an intent without a file."""
    raw = _read(intent)
    lists = {name: _compiled(raw.get(name, ())) for name in Phrases.__slots__ if name != "slots"}
    return Phrases(**lists, slots=_slots(raw))


@cache
def load_shared() -> Shared:
    """The phrases of `phrases/shared.toml`."""
    raw = _read("shared")
    return Shared(
        openers=_compiled(raw["openers"]),
        closers=_compiled(raw["closers"]),
        off_topic=_compiled(raw["off_topic"]),
        slots=_slots(raw),
    )


def slots_of(template: Template) -> set[str]:
    """Names of all slots of a template, also those inside its choices."""
    names: set[str] = set()
    for part in template:
        if isinstance(part, Slot):
            names.add(part.name)
        elif isinstance(part, Choice):
            names.update(*(slots_of(option) for option in part.options))
    return names


def _read(name: str) -> dict[str, list[str]]:
    text = files("insights_pipeline.demo").joinpath("phrases", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _compiled(texts: Iterable[str]) -> tuple[Template, ...]:
    return tuple(compile_template(text) for text in texts)


def _slots(raw: Mapping[str, object]) -> dict[str, tuple[Template, ...]]:
    slots = raw.get("slots", {})
    assert isinstance(slots, dict)
    return {name: _compiled(values) for name, values in slots.items()}
