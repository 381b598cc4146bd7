"""Attributes of traces that steer the grouping: their names checked against the contract, and read in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from insights_pipeline.lake.tables import TRACES

_METADATA = "metadata."
_MAX_CHARS = 200  # of a value
# of one trace each, or long: no two traces agree in them
_UNSHARED = frozenset({"trace_id", "error_message", "user_text", "output_text", "messages", "metadata"})
COLUMNS = tuple(
    field.name
    for field in TRACES.schema
    if field.name not in _UNSHARED and (pa.types.is_string(field.type) or pa.types.is_boolean(field.type))
)
_NOTHING = "[]::VARCHAR[]"  # what stands in the SQL files where no attribute is asked for


@dataclass(frozen=True, slots=True)
class AttributeColumns:
    """`columns` of `traces` to read, `params` for keys of the metadata, an SQL list with a text for each attribute."""

    columns: tuple[str, ...]
    expression: str
    params: Mapping[str, object]

    def within(self, sql: str) -> str:
        """The query with the attributes in place of the empty list."""
        return sql.replace(_NOTHING, self.expression)


def attribute_columns(names: Sequence[str]) -> AttributeColumns:
    """How to read attributes: names of `COLUMNS`, or "metadata.KEY" for a key of the metadata.

    Raises ValueError for any other name, with the names that there are. No name gets into the SQL as it is: columns
    are those of the contract, keys are parameters.
    """
    columns: dict[str, None] = {}
    params: dict[str, object] = {}
    values: list[str] = []
    for place, name in enumerate(names):
        if name in COLUMNS:
            columns[name] = None
            values.append(f'CAST("{COLUMNS[COLUMNS.index(name)]}" AS VARCHAR)')
        elif name.startswith(_METADATA) and name != _METADATA:
            columns["metadata"] = None
            params[f"attribute_{place}"] = _pointer(name.removeprefix(_METADATA))
            values.append(
                f"CASE WHEN json_valid(metadata) THEN json_extract_string(metadata, $attribute_{place}) END"
            )
        else:
            raise ValueError(
                f"intent attribute {name!r} is no column of traces that can steer: take one of "
                f"{', '.join(COLUMNS)}, or metadata.KEY"
            )
    if not values:
        return AttributeColumns((), _NOTHING, {})
    cut = ", ".join(f"nullif(left({value}, {_MAX_CHARS}), '')" for value in values)
    return AttributeColumns(tuple(columns), f"[{cut}]", params)


def _pointer(key: str) -> str:
    """A JSON pointer (RFC 6901) to a key of the outermost object, whatever characters it has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
