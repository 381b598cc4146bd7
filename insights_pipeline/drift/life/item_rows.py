"""Items as rows of `drift_items` and back, without loss: the table is the state of the fold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from insights_pipeline.drift.constants import VOLUME
from insights_pipeline.drift.detect import Evidence
from insights_pipeline.drift.life.item import Decided, Item, Onset
from insights_pipeline.drift.series.keys import series_key


def to_row(item: Item, day: date) -> dict[str, object]:
    """The item as it stands on `day`."""
    row: dict[str, object] = {
        "date": day,
        "item_id": item.item_id,
        "intent_id": item.intent_id,
        "slice": item.slice,
        "metric": item.metric,
        "direction": item.direction,
        "state": item.state,
        "opened": item.opened,
        "last_fired": item.last_fired,
        "closed": item.closed,
        "quiet_days": item.quiet_days,
        "trigger": item.trigger,
        "severity": item.severity,
        "traffic_share": item.traffic_share,
        "quarantined_days": list(item.quarantined),
        "trace_ids": list(item.trace_ids),
        "baseline_trace_ids": list(item.baseline_trace_ids),
        "explanation": json.dumps(_explanation(item), sort_keys=True),
    }
    if item.onset is not None:
        row |= {
            "onset": item.onset.day,
            "onset_first": item.onset.first,
            "onset_last": item.onset.last,
            "shape": item.onset.shape,
        }
    if item.evidence is not None:
        row |= _evidence_row(item.evidence)
    elif item.metric == VOLUME:
        row |= {"n": item.explanation.get("traces"), "baseline_value": item.explanation.get("expected")}
    return row


def _explanation(item: Item) -> dict[str, object]:
    """The explanation with what has no column of its own: how often the item came back, and what a person decided."""
    facts = dict(item.explanation)
    if item.reopened:
        facts["reopened"] = item.reopened
    if item.decision is not None:
        facts["decision"] = {
            "decision_id": item.decision.decision_id,
            "kind": item.decision.kind,
            "by": item.decision.by,
            "day": item.decision.day.isoformat(),
            "until": None if item.decision.until is None else item.decision.until.isoformat(),
            "note": item.decision.note,
        }
    return facts


def _evidence_row(evidence: Evidence) -> dict[str, object]:
    return {
        "horizon": evidence.horizon,
        "n": evidence.n,
        "observed": _finite(evidence.observed),
        "baseline_value": _finite(evidence.baseline_value),
        "effect": _finite(evidence.effect),
        "effect_low": _finite(evidence.low),
        "effect_high": _finite(evidence.high),
        "p": _finite(evidence.p),
        "q": _finite(evidence.q),
    }


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Items of the rows of one day, sorted by id."""
    return sorted((_from_row(row) for row in rows), key=lambda item: item.item_id)


def _from_row(row: Mapping[str, Any]) -> Item:
    explanation: dict[str, Any] = json.loads(row["explanation"] or "{}")
    reopened, decision = explanation.pop("reopened", 0), explanation.pop("decision", None)
    return Item(
        item_id=row["item_id"],
        series=series_key(row["intent_id"], row["slice"]),
        metric=row["metric"],
        direction=row["direction"],
        state=row["state"],
        opened=row["opened"],
        last_fired=row["last_fired"],
        closed=row["closed"],
        quiet_days=row["quiet_days"],
        trigger=row["trigger"],
        severity=row["severity"],
        evidence=_evidence(row),
        reopened=reopened,
        quarantined=tuple(row["quarantined_days"] or ()),
        traffic_share=row["traffic_share"],
        trace_ids=tuple(row["trace_ids"] or ()),
        baseline_trace_ids=tuple(row["baseline_trace_ids"] or ()),
        onset=_onset(row),
        decision=None if decision is None else _decided(decision),
        explanation=explanation,
    )


def _decided(decision: Mapping[str, Any]) -> Decided:
    return Decided(
        decision_id=decision["decision_id"],
        kind=decision["kind"],
        by=decision["by"],
        day=date.fromisoformat(decision["day"]),
        until=date.fromisoformat(decision["until"]) if decision["until"] else None,
        note=decision["note"],
    )


def _onset(row: Mapping[str, Any]) -> Onset | None:
    if row["onset"] is None:
        return None
    return Onset(row["onset"], row["onset_first"], row["onset_last"], row["shape"])


def _evidence(row: Mapping[str, Any]) -> Evidence | None:
    if row["horizon"] is None:
        return None
    number = {name: math.nan if row[name] is None else float(row[name]) for name in _NUMBERS}
    return Evidence(
        horizon=row["horizon"],
        n=row["n"],
        observed=number["observed"],
        baseline_value=number["baseline_value"],
        effect=number["effect"],
        low=number["effect_low"],
        high=number["effect_high"],
        p=number["p"],
        q=number["q"],
    )


_NUMBERS = ("observed", "baseline_value", "effect", "effect_low", "effect_high", "p", "q")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
