"""The intents of a day as a person sees them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from insights_pipeline.intents.arrangement.predefined import LOW_MARGIN
from insights_pipeline.intents.embedding.text import one_line
from insights_pipeline.intents.model import MERGED, RETIRED
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql

TRAFFIC_DAYS = 7
LINEAGE_DAYS = 30
_COLUMNS = (
    "intent_id", "name", "slug", "description", "category", "status", "phrases", "born", "exemplar_texts",
    "changed", "last_seen", "named_by", "category_by", "category_margin", "nearest_id", "apart", "sub_intents",
    "trend", "trend_change", "trend_p", "merged_into", "split_from", "pinned",
)  # fmt: skip
_GONE = (RETIRED, MERGED)


def intents_of(engine: Engine, day: date | None = None) -> dict[str, Any] | None:
    """State of the model and its intents by traffic of the 7 days up to `day` (default: newest); None before any.

    Traces of a merged intent count for the one that it is now part of. `unknown` are traces with a text unlike
    anything known, `unanswered` those without a text or from before any intent was known. `lineage` holds the events
    of the last 30 days with their date, newest first. Texts are one line each, without control and other invisible
    characters.
    """
    when = day or max(engine.lake.days("intent_models"), default=None)
    if when is None:
        return None
    days = DayRange.single(when)
    models = engine.lake.read(Slice("intent_models", days)).to_pylist()
    if not models:
        return None
    model = models[0]
    traffic = DayRange.ending(when, TRAFFIC_DAYS)
    intents = engine.query(
        load_sql("insights_pipeline.intents", "intents_with_traffic"),
        {
            "intents": Slice("intents", days, _COLUMNS),
            "trace_intents": Slice("trace_intents", traffic, ("intent_id",)),
        },
    ).to_pylist()
    without = engine.query(
        load_sql("insights_pipeline.intents", "traffic_without_intent"),
        {"trace_intents": Slice("trace_intents", traffic, ("intent_id", "score"))},
    ).to_pylist()[0]
    return {
        "date": when,
        "status": model["status"],
        "traces_seen": model["traces_seen"],
        "bootstrap_traces": model["bootstrap_traces"],
        "version": model["version"],
        "events": _plain(json.loads(model["events"] or "[]")),
        "lineage": _plain(_lineage(engine, when)),
        "unknown": _portion(without["unknown"], without["traces"]),
        "unanswered": _portion(without["unanswered"], without["traces"]),
        "intents": _plain(_with_relations(intents)),
    }


def intents_markdown(engine: Engine, day: date) -> str:
    """A table of the intents of a day, for asset metadata. Texts come from strangers: neither markup nor links."""
    found = intents_of(engine, day)
    if found is None:
        return "no model"
    if found["status"] == "learning":
        return f"learning ({found['traces_seen']} of {found['bootstrap_traces']})"
    lines = [
        "| category | intent | status | traces, 7 days | share | trend | what people say |",
        "|---|---|---|--:|--:|---|---|",
    ]
    for category, rows in by_category(found["intents"]):
        share = sum(row["share"] for row in rows)
        for number, row in enumerate(rows):
            first = f"{_cell(category)} {100 * share:.0f} %" if number == 0 else ""
            unsure = " (low margin)" if row["low_margin"] else ""
            lines.append(
                f"| {first} | {_cell(row['name'])}{unsure} | {row['status']} | {row['traces']:,} "
                f"| {100 * row['share']:.0f} % | {trend_words(row)} | {_cell(row['description'])} |"
            )
    unknown = found["unknown"]
    lines.append(
        f"|  | Unknown – like nothing above |  | {unknown['traces']:,} | {100 * unknown['share']:.0f} % |  |  |"
    )
    return "\n".join(lines)


def by_category(intents: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Living intents by category, categories and intents by traffic."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in intents:
        if row["status"] not in _GONE:
            groups.setdefault(row["category"] or "", []).append(row)
    return sorted(groups.items(), key=lambda one: (-sum(row["traces"] for row in one[1]), one[0]))


def trend_words(row: Mapping[str, Any]) -> str:
    """A trend as "growing (+35 %)"; a dash where there is too little traffic to tell."""
    trend, change = row["trend"], row["trend_change"]
    if trend is None:
        return "–"
    if trend in ("growing", "declining") and change is not None:
        return f"{trend} ({100 * change:+.0f} %)"
    return str(trend)


def _portion(traces: int, of: int) -> dict[str, float]:
    return {"traces": traces, "share": traces / of if of else 0.0}


def _lineage(engine: Engine, when: date) -> list[dict[str, Any]]:
    models = engine.lake.read(
        Slice("intent_models", DayRange.ending(when, LINEAGE_DAYS), ("date", "events"))
    ).to_pylist()
    models.sort(key=lambda row: row["date"], reverse=True)
    return [{"date": row["date"], **event} for row in models for event in json.loads(row["events"] or "[]")]


def _with_relations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names beside ids, traffic of merged intents where it belongs, sub-intents parsed, marks of what is unsure."""
    by_id = {row["intent_id"]: row for row in rows}
    for row in rows:
        target = _target(row, by_id)
        if target is not row:
            target["traces"], target["share"] = (
                target["traces"] + row["traces"],
                target["share"] + row["share"],
            )
            row["traces"], row["share"] = 0, 0.0
    for row in rows:
        for key in ("nearest", "merged_into", "split_from"):
            of = by_id.get(row["nearest_id" if key == "nearest" else key] or "")
            row[f"{key}_name"] = of["name"] if of else None
        row["apart_from"] = _apart(row)
        row["sub_intents"] = json.loads(row["sub_intents"] or "[]")
        margin = row["category_margin"]
        row["low_margin"] = row["category_by"] == "predefined" and margin is not None and margin < LOW_MARGIN
    return sorted(rows, key=lambda row: (-row["traces"], row["intent_id"]))


def _target(row: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The row that this one was merged into, however many merges away; itself where it was not."""
    seen: set[str] = set()
    now = row
    while now["status"] == MERGED and now["intent_id"] not in seen and now["merged_into"] in by_id:
        seen.add(now["intent_id"])
        now = by_id[now["merged_into"]]
    return now if now["intent_id"] not in seen else row


def _apart(row: Mapping[str, Any]) -> str:
    """`Unlike “Track order”: says “refund”; not “where is”.`"""
    said = row["apart"] or ""
    if not said or not row["nearest_name"]:
        return ""
    return f"Unlike “{row['nearest_name']}”: {said[:1].lower()}{said[1:]}"


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
