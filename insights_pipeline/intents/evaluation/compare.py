"""How well the intents that traces were given agree with the labels that people gave the same traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from insights_pipeline.intents.evaluation.confusion import Mixture, mixtures
from insights_pipeline.intents.evaluation.evaluate import Agreement, agreement, auroc
from insights_pipeline.intents.evaluation.trial import is_out_of_scope
from insights_pipeline.intents.model import MERGED, whole_of
from insights_pipeline.lake import DayRange, Engine, Slice, load_sql


@dataclass(frozen=True, slots=True)
class Comparison:
    """Labelled traces beside `trace_intents`.

    `agreement` is that of the traces of a known label that have an intent (None: there is none such). Shares called
    unknown and the AUROC of the score are of traces with known labels against those labelled as out of scope.
    """

    traces: int
    missing: int  # labelled traces that the lake has no row of
    labelled_twice: int  # rows of the file that repeat a trace; the first counts
    agreement: Agreement | None
    false_unknown: float | None
    out_of_scope_traces: int
    out_of_scope_unknown: float | None
    auroc_out_of_scope: float | None
    mixed_intents: tuple[Mixture, ...]
    torn_labels: tuple[Mixture, ...]


def compare(
    engine: Engine, trace_ids: Sequence[str], labels: Sequence[str], *, out_of_scope: Sequence[str] = ()
) -> Comparison:
    """Compare labelled traces with the intents they were given. Raises ValueError when the lake has none of them."""
    first: dict[str, str] = {}
    for trace_id, label in zip(trace_ids, labels, strict=True):
        first.setdefault(trace_id, label)
    stored = engine.lake.days("trace_intents")
    if not stored:
        raise ValueError(
            "no trace was given an intent yet: bring traces with `insights ingest`, then `insights run`"
        )
    days = DayRange(min(stored), max(stored))
    rows = engine.query(
        load_sql("insights_pipeline.intents", "intents_of_labelled"),
        {
            "labelled": pa.table({"trace_id": list(first), "label": list(first.values())}),
            "trace_intents": Slice("trace_intents", days, ("date", "trace_id", "intent_id", "score")),
        },
    ).to_pylist()
    if not rows:
        raise ValueError(
            f"none of the {len(first)} labelled traces has an intent row in the lake (days {days.first} to "
            f"{days.last}): check the ids, or label texts instead, in a column `text`"
        )
    known = [row for row in rows if not is_out_of_scope(row["label"], out_of_scope)]
    strange = [row for row in rows if is_out_of_scope(row["label"], out_of_scope)]
    given = [row for row in known if row["intent_id"] is not None]
    names, wholes = _names_and_wholes(engine)
    # days before a merge are not rewritten: their traces have the part's id
    found = [wholes.get(row["intent_id"], row["intent_id"]) for row in given]
    truth = [row["label"] for row in given]
    ids = [row["trace_id"] for row in given]
    return Comparison(
        traces=len(rows),
        missing=len(first) - len(rows),
        labelled_twice=len(trace_ids) - len(first),
        agreement=agreement(truth, found) if given else None,
        false_unknown=1 - len(given) / len(known) if known else None,
        out_of_scope_traces=len(strange),
        out_of_scope_unknown=_unknown(strange),
        auroc_out_of_scope=auroc(_scores(known), _scores(strange)),
        mixed_intents=mixtures(found, truth, ids, names=names),
        torn_labels=mixtures(truth, found, ids, names=names),
    )


def _unknown(rows: Sequence[dict[str, object]]) -> float | None:
    return sum(row["intent_id"] is None for row in rows) / len(rows) if rows else None


def _scores(rows: Sequence[dict[str, object]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A trace without text has no score and is like nothing."""
    return np.array([-np.inf if row["score"] is None else row["score"] for row in rows], dtype=np.float64)


def _names_and_wholes(engine: Engine) -> tuple[dict[str, str], dict[str, str]]:
    """Of the newest intents: their names, and what each merged one is part of in the end."""
    stored = engine.lake.days("intents")
    if not stored:
        return {}, {}
    columns = ("intent_id", "name", "status", "merged_into")
    rows = engine.lake.read(Slice("intents", DayRange.single(max(stored)), columns)).to_pylist()
    into = {row["intent_id"]: row["merged_into"] for row in rows if row["status"] == MERGED}
    return {row["intent_id"]: row["name"] for row in rows}, {one: whole_of(into, one) for one in into}
