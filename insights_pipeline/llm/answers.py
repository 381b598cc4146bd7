"""From what a model wrote to a checked value: the JSON object is looked for, then held against its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from insights_pipeline.llm.errors import MalformedError
from insights_pipeline.llm.transport import LONGEST

Answer = TypeVar("Answer", bound=BaseModel)

_STARTS = 200  # braces at which an object is looked for
_ERRORS = 8


def parse(text: str, schema: type[Answer]) -> Answer:
    """The first JSON object in a text that fits the schema, whatever stands around it (prose, fences, thoughts).

    Raises MalformedError, whose text tells what is wrong where, without any of the values.
    """
    # what a reasoning model thinks aloud is not its answer
    _, _, said = text[:LONGEST].rpartition("</think>")
    wrong = ""  # with the first object, which is the outermost one: those inside it are something else
    for found in _objects(said):
        try:
            return schema.model_validate(found)
        except ValidationError as error:
            wrong = wrong or _told(error)
        except RecursionError:
            wrong = wrong or "it is nested too deeply"
    raise MalformedError(wrong or "there is no JSON object")


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, each once; those inside another only when the outer one was not wanted."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(_STARTS):
        if start < 0:
            return
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield found
        start = text.find("{", start + 1)


def _told(error: ValidationError) -> str:
    """Where and what, from a fixed vocabulary: names of our fields, positions, kinds of error."""
    told = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:_ERRORS]:
        where = ".".join(str(part) for part in one["loc"])[:80] or "the object"
        told.append(f"{where}: {one['type']}")
    return "; ".join(told)
