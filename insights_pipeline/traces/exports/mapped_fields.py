"""The fields of a record as a mapping finds them, as the attributes that the `gen_ai.*` dialect reads."""

from __future__ import annotations

from typing import Any, NamedTuple

from insights_pipeline.traces.dialects.imported import TAGS
from insights_pipeline.traces.exports.mapping import Mapping
from insights_pipeline.traces.exports.paths import DOCUMENT, lookup
from insights_pipeline.traces.exports.times import duration_ns, time_ns
from insights_pipeline.traces.exports.values import bounded
from insights_pipeline.traces.otlp.values import keep
from insights_pipeline.traces.records import Attributes
from insights_pipeline.traces.text import as_float, as_int, as_text, cut, loads_container

_TOKENS = {
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
}
_TEXTS = (
    "conversation_id", "trace_id", "span_id", "parent_id", "kind", "name", "model", "provider", "user", "tenant",
    "environment", "session", "service", "app", "release", "prompt", "error_message", "tool_name",
)  # fmt: skip
_TYPED = ("start", "end", "duration", "cost", *_TOKENS, *_TEXTS)
_ABOUT = {
    "user": "user.id", "tenant": "tenant.id", "environment": "deployment.environment.name",
    "prompt": "gen_ai.prompt.name",
}  # fmt: skip
_RESOURCE = {"service": "service.name", "app": "app.name", "release": "service.version"}
_NO = frozenset({"", "false", "no", "none", "null", "ok", "success", "succeeded", "0", "unset"})
_YES = frozenset({"true", "yes", "error", "failed", "failure", "1"})
_MAX_ERROR_CHARS = 1_000


class Found(NamedTuple):
    """A record, the document around it, and the mapping that finds its fields."""

    record: dict[str, Any]
    document: Any
    mapping: Mapping

    def at(self, paths: list[str]) -> Any:
        """The first value that is there; an empty text is not."""
        for path in paths:
            if keep(value := lookup(self.record, path, self.document)):
                return bounded(value) if path[:1] == DOCUMENT else value
        return None

    def field(self, name: str) -> Any:
        """A field by its name in the mapping, or its constant."""
        value = self.at(getattr(self.mapping.fields, name))
        return self.mapping.constants.get(name) if value is None else value

    def text(self, name: str) -> str | None:
        """A field as text; lists and objects are none."""
        value = self.field(name)
        return None if value is None or isinstance(value, (dict, list, bool)) else str(value)

    def times(self) -> tuple[int | None, int | None]:
        """Start and end in ns, each None where it is unknown: the one follows from the other and the duration."""
        unit, form = self.mapping.time_unit, self.mapping.time_format
        start = time_ns(self.field("start"), unit=unit, form=form)
        end = time_ns(self.field("end"), unit=unit, form=form)
        took = duration_ns(self.field("duration"), self.mapping.duration_unit)
        if took is not None:
            start = end - took if start is None and end is not None else start
            end = start + took if end is None and start is not None else end
        return start, end

    def cost(self, value: Any) -> float | None:
        """A cost in USD. Zero is what tools write when they do not know it."""
        cost = as_float(value)
        return None if cost is None or (cost == 0 and self.mapping.zero_cost_is_unknown) else cost

    def usage(self) -> Attributes:
        """Tokens and cost of the record."""
        found: Attributes = {key: as_int(self.field(name)) for name, key in _TOKENS.items()}
        found["operation.cost"] = self.cost(self.field("cost"))
        return {key: value for key, value in found.items() if value is not None}

    def usage_of(self, message: dict[str, Any]) -> Attributes:
        """Model, tokens and cost of one message."""
        fields = self.mapping.message
        found: Attributes = {
            key: as_int(_first(message, getattr(fields, name))) for name, key in _TOKENS.items()
        }
        found["operation.cost"] = self.cost(_first(message, fields.cost))
        model = _first(message, fields.model)
        found["gen_ai.request.model"] = model if isinstance(model, str) else None
        return {key: value for key, value in found.items() if value is not None}

    def call(self) -> Attributes:
        """What every model call of the record shares."""
        found = {"gen_ai.request.model": self.text("model"), "gen_ai.provider.name": self.text("provider")}
        return {key: value for key, value in found.items() if value}

    def about(self) -> Attributes:
        """What is known of the whole: whose it is, its tags, and what nothing mapped, under its own name."""
        left = self.left()
        named: Attributes = {key: value for name, key in _ABOUT.items() if (value := self.text(name))}
        extra = {name: self.at(paths) for name, paths in self.mapping.attributes.items()}
        tags = self.field("tags")
        if isinstance(tags, str):
            listed = loads_container(tags)
            tags = listed if isinstance(listed, list) else [tag.strip() for tag in tags.split(",")]
        if isinstance(tags, list):
            named[TAGS] = [str(tag) for tag in tags if keep(tag)]
        return {**left, **{key: value for key, value in extra.items() if keep(value)}, **named}

    def left(self) -> Attributes:
        """Top-level fields of the record that no path lies under, and what is under a path but not what belongs
        there: "1,5" is no duration. So it is seen, and not lost."""
        used = self.mapping.used_keys
        left = {key: value for key, value in self.record.items() if key not in used and keep(value)}
        unit, form = self.mapping.time_unit, self.mapping.time_format
        for name in _TYPED:
            paths = getattr(self.mapping.fields, name)
            path, value = next(
                ((path, value) for path in paths if (value := self.at([path])) is not None), ("", None)
            )
            if value is None:
                continue
            if name in ("start", "end"):
                understood = time_ns(value, unit=unit, form=form) is not None
            elif name == "duration":
                understood = duration_ns(value, self.mapping.duration_unit) is not None
            elif name == "cost":
                understood = as_float(value) is not None
            elif name in _TOKENS:
                understood = as_int(value) is not None
            else:
                understood = not isinstance(value, (dict, list, bool))
            if not understood:
                left[path] = value
        return left

    def resource(self) -> Attributes:
        return {key: value for name, key in _RESOURCE.items() if (value := self.text(name))}

    def error(self) -> str | None:
        """The words of an error, or None when there was none."""
        value, message = self.field("error"), self.text("error_message")
        told = failed(value)
        if told is None and message is not None and value is None:
            told = message
        return cut(message or told, _MAX_ERROR_CHARS) if told is not None else None


def failed(value: Any) -> str | None:
    """What a field says of an error: its words, "error" where it is a mere yes, None where it is a no."""
    if value is None or value is False or value == 0 or value in ([], {}):
        return None
    if isinstance(value, str):
        lower = value.strip().lower()
        return None if lower in _NO else "error" if lower in _YES else value
    return "error" if isinstance(value, (bool, int, float)) else as_text(value)


def _first(message: dict[str, Any], paths: list[str]) -> Any:
    return next((value for path in paths if keep(value := lookup(message, path))), None)
