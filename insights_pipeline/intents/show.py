"""The intents of a day as a person sees them."""

from __future__ import annotations

import json
import unicodedata
from datetime import date
from typing import Any

from insights_pipeline.intents.text import one_line
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql

TRAFFIC_DAYS = 7


def intents_of(engine: Engine, day: date | None = None) -> dict[str, Any] | None:
    """State of the model and its intents by traffic of the 7 days up to `day` (default: newest); None before any.

    Texts are one line each, without control and other invisible characters.
    """
    when = day or max(engine.lake.days("intent_models"), default=None)
    if when is None:
        return None
    days = DayRange.single(when)
    models = engine.lake.read(Slice("intent_models", days)).to_pylist()
    if not models:
        return None
    model = models[0]
    columns = (
        "intent_id",
        "name",
        "slug",
        "description",
        "category",
        "status",
        "phrases",
        "born",
        "exemplar_texts",
    )
    intents = engine.query(
        load_sql("insights_pipeline.intents", "intents_with_traffic"),
        {
            "intents": Slice("intents", days, columns),
            "trace_intents": Slice("trace_intents", DayRange.ending(when, TRAFFIC_DAYS), ("intent_id",)),
        },
    ).to_pylist()
    return {
        "date": when,
        "status": model["status"],
        "traces_seen": model["traces_seen"],
        "bootstrap_traces": model["bootstrap_traces"],
        "version": model["version"],
        "events": _plain(json.loads(model["events"] or "[]")),
        "intents": _plain(intents),
    }


def intents_markdown(engine: Engine, day: date) -> str:
    """A table of the intents of a day, for asset metadata. Texts come from strangers: neither markup nor links."""
    found = intents_of(engine, day)
    if found is None:
        return "no model"
    if found["status"] == "learning":
        return f"learning ({found['traces_seen']} of {found['bootstrap_traces']})"
    lines = ["| intent | status | traces, 7 days | share | what people say |", "|---|---|--:|--:|---|"]
    lines += [
        f"| {_cell(row['name'])} | {row['status']} | {row['traces']:,} | {100 * row['share']:.0f} % "
        f"| {_cell(row['description'])} |"
        for row in found["intents"]
    ]
    return "\n".join(lines)


def _cell(text: str | None) -> str:
    """A code span: nothing in it is markup, and no address becomes a link. A bar would still end the cell."""
    shown = one_line((text or "").replace("`", "").replace("|", "¦"), limit=160)
    return f"`{shown}`" if shown else "–"


def _plain(value: Any) -> Any:
    """The same value with every text in it made one line of visible characters."""
    if isinstance(value, str):
        flat = " ".join(value.split())
        return " ".join("".join(char for char in flat if unicodedata.category(char)[0] != "C").split())
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value
