"""Which drift items a command is about: those of a day, and the one that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insights_pipeline.cli.output import fail, of_metric, open_engine, parse_day

if TYPE_CHECKING:
    from datetime import date

    from insights_pipeline.drift.read import DayItems
    from insights_pipeline.lake import Lake

_NOT_YET = "drift was not observed yet: run `insights run`"


def found_items(day: str | None) -> DayItems:
    """The items of a day; exits with the remedy where there are none."""
    from insights_pipeline.drift.read import read_items

    wanted = parse_day(day)
    lake = open_engine().lake
    found = read_items(lake, wanted)
    if found is None:
        fail(
            _NOT_YET if wanted is None else f"drift was not observed on {wanted}: {_remedy(lake, wanted)}",
            code=1,
        )
    return found


def _remedy(lake: Lake, day: date) -> str:
    known = lake.days("spans")
    if known and not min(known) <= day <= max(known):
        return f"data runs from {min(known)} to {max(known)}"
    return f"run `insights run --from {day} --to {day}`"


def check_metric(begins: str | None, found: DayItems) -> None:
    """Exit where no metric is called so: that nothing is listed would read as an all-clear."""
    from insights_pipeline.drift.constants import TESTED
    from insights_pipeline.lake import DayRange, Slice

    if begins is None:
        return
    # scores have names of their own; one that nothing is wrong with has a baseline and no item
    kept = open_engine().lake.read(Slice("baselines", DayRange.single(found.date), ("metric",)))
    of_items = (row["metric"] for row in found.items)
    of_metric([{"metric": name} for name in (*TESTED, *kept["metric"].to_pylist(), *of_items)], begins)


def item_named(reference: str, day: str | None) -> dict[str, Any]:
    """The item that is meant; exits with the candidates where that is not clear. Open ones come first."""
    from insights_pipeline.drift.life.item import OPEN
    from insights_pipeline.drift.read import UnknownReferenceError, find_item

    found = found_items(day)
    open_ones = [row for row in found.items if row["state"] in OPEN]
    try:
        return find_item(open_ones, reference)
    except UnknownReferenceError:
        _refuse_name_of_several(open_ones, reference, found.date)  # else it may be over, or only pending
    try:
        return find_item(found.items, reference)
    except UnknownReferenceError as error:
        _refuse_name_of_several(found.items, reference, found.date)
        _refuse_later(reference, found.date)
        fail(f"on {found.date} {error}; `insights drift list --all` shows those of a day")


def _refuse_name_of_several(items: list[dict[str, Any]], reference: str, day: date) -> None:
    """Exit where the reference is the whole name of an intent with several items: no more of it can be given."""
    wanted = " ".join(reference.split()).lower()
    own = [row for row in items if row["intent"].lower() == wanted]
    if len(own) > 1:
        listed = "; ".join(f"{row['item_id']} ({row['metric']} {row['direction']})" for row in own)
        fail(f"“{own[0]['intent']}” has {len(own)} items on {day}: {listed}: use the id")


def _refuse_later(reference: str, day: date) -> None:
    """Exit where the reference is the id of an item that opened after the day."""
    from insights_pipeline.lake import Slice

    wanted = reference.strip().lower()
    rows = open_engine().lake.read(Slice("drift_items", columns=("item_id", "opened"))).to_pylist()
    opened = {row["item_id"]: row["opened"] for row in rows if wanted and row["item_id"].startswith(wanted)}
    if len(opened) == 1 and (first := next(iter(opened.items())))[1] > day:
        fail(f"{first[0]} opened on {first[1]}: there is nothing of it on {day}")
