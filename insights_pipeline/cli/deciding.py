"""Decisions about drift items that are refused: those that would do nothing, and a second one on one item."""

from __future__ import annotations

from typing import Any

from insights_pipeline.cli.output import fail

_MAX_NOTE = 1_000


def refuse_idle(kind: str, item: dict[str, Any], note: str | None) -> None:
    """Exit where the decision would do nothing, saying what would."""
    from insights_pipeline.drift.life.item import PENDING

    if item["closed"] is not None:
        fail(
            f"{item['item_id']} is {item['state']} since {item['closed']} already: only an open item can be decided "
            "about; `insights drift` lists those, `--date` means an earlier day's",
            code=1,
        )
    if kind == "accept" and item["state"] == PENDING:
        fail(f"{item['item_id']} is pending: one odd day is no new level; dismiss it, or wait", code=1)
    if note is not None and len(note) > _MAX_NOTE:
        fail(f"the note has {len(note):,} characters: at most {_MAX_NOTE:,} are kept")


def refuse_second(item: dict[str, Any]) -> None:
    """Exit where a decision covers the item already: of two that contradict each other one would win unseen."""
    from insights_pipeline.cli.correcting import open_state
    from insights_pipeline.drift.detect import family
    from insights_pipeline.drift.life.decisions import decisions_of
    from insights_pipeline.drift.series.keys import series_key
    from insights_pipeline.state import StateError, drift_decisions

    key = (series_key(item["intent_id"], item["slice"]), family(item["metric"]), item["direction"])
    try:
        made = decisions_of(drift_decisions(open_state()))
    except (StateError, ValueError) as error:
        fail(str(error))
    for one in made:
        # one of before the item opened was about an earlier episode
        covers = item["opened"] <= one.day and (one.until is None or item["date"] <= one.until)
        if one.key == key and covers:
            does = {"accept": "accepts", "dismiss": "dismisses"}[one.kind]
            fail(
                f"decision {one.decision_id} already {does} it: `insights drift undo {one.decision_id}` first"
            )
