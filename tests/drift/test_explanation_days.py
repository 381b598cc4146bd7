"""What an item keeps from day to day, what is coincident, and what cannot be told from the passing of time."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from insights_pipeline.drift.explanation.apart import Apart, take_item_apart
from insights_pipeline.drift.explanation.carriers import Daily
from insights_pipeline.drift.explanation.coincidence import coincident
from insights_pipeline.drift.explanation.slice_days import Sliced
from insights_pipeline.drift.explanation.texts import bounded
from insights_pipeline.drift.life.item import NEW_ITEM, Item, Onset
from insights_pipeline.drift.observe import observe_days
from insights_pipeline.drift.series.rollups import rollup_days
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, connect_with, engine_config
from tests.drift.traffic import START, Behaviour, fill, one_change, read

DAYS = 40
CHANGE = 35


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def test_what_is_over_keeps_the_beginning_and_the_days_that_its_own_days_showed(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    engine = DuckDBEngine(lake, connect_with(engine_config(threads=1, memory_mb=512, temp_dir=tmp_path)))
    usual = {f"i{k}": Behaviour(volume=volume) for k, volume in enumerate((120, 100, 80))}
    burst = one_change("i1", CHANGE, CHANGE + 4, errors=6.0)
    span = fill(lake, usual, 52, change=burst, seed=3)
    rollup_days(engine, span)
    observe_days(engine, DayRange(day(28), span.last))
    rows = [row for row in read(lake, "drift_items") if row["intent_id"] == "i1" and row["onset"] is not None]
    assert {row["state"] for row in rows} >= {"new", "ongoing", "resolved"}
    assert rows[-1]["date"] >= day(CHANGE + 8)
    for row in rows:
        assert abs((row["onset"] - day(CHANGE)).days) <= 1, row["date"]
        compared = json.loads(row["explanation"])["compared"]
        assert date.fromisoformat(compared["now"][-1][1]) <= day(CHANGE + 5), row["date"]
        assert date.fromisoformat(compared["before"][-1][1]) < day(CHANGE), row["date"]


def daily(**n: np.ndarray) -> Daily:
    """Traces a day of each value; all have a mean of 1, and of 2 from the day of the change on."""
    size = np.vstack(list(n.values())).astype(np.float64)
    mean = np.where(np.arange(DAYS) >= CHANGE, 2.0, 1.0)
    return Daily(tuple(n), size, size * mean, size * (mean**2 + 0.25))


ALWAYS = np.full(DAYS, 100)
OLD, NEW = np.where(np.arange(DAYS) < CHANGE, 100, 0), np.where(np.arange(DAYS) < CHANGE, 0, 100)
DAYS_READ = DayRange(START, day(DAYS - 1))
ONSET = Onset(day(CHANGE), day(CHANGE - 1), day(CHANGE + 1), "step")


def item() -> Item:
    runs = {"before": [[str(day(5)), str(day(CHANGE - 1))]], "now": [[str(day(CHANGE)), str(day(DAYS - 1))]]}
    return Item(
        item_id="drf_1",
        series="i0",
        metric="latency_ms",
        direction="up",
        state=NEW_ITEM,
        opened=day(CHANGE + 1),
        last_fired=day(DAYS - 1),
        onset=ONSET,
        explanation={"compared": runs},
    )


def apart(**dimensions: Daily) -> Apart:
    taken = take_item_apart(item(), Sliced(DAYS_READ, daily(all=ALWAYS), dimensions))
    assert taken is not None
    return taken


def named(taken: Apart, *came: tuple[str, str]) -> list[str]:
    return [carrier.value for carrier in taken.best("up", came)]


def test_a_release_that_replaced_all_others_is_coincident_and_no_carrier() -> None:
    taken = apart(release=daily(v1=OLD, v2=NEW))
    assert named(taken) == named(taken, ("release", "v2")) == []
    found = coincident(ONSET, day(DAYS - 1), "latency_ms", DAYS_READ, daily(all=ALWAYS), taken.dimensions)
    assert found == [{"dimension": "release", "value": "v2", "first_seen": str(day(CHANGE))}]


def test_a_model_that_replaced_all_others_carries_only_what_began_with_it() -> None:
    taken = apart(model=daily(old=OLD, new=NEW))
    assert named(taken, ("model", "new")) == ["new"]
    assert named(taken) == []


def test_traces_that_moved_the_other_way_carry_nothing() -> None:
    taken = apart(model=daily(old=OLD, new=NEW))
    assert taken.best("down", [("model", "new")]) == []


def test_slices_of_too_few_of_the_days_explain_nothing() -> None:
    since = np.where(np.arange(DAYS) < 25, 0, 50)  # rollups before day 25 had no slices
    taken = apart(tenant=daily(acme=since, globex=since))
    assert taken.parts == {}
    assert taken.total["change"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "why"),
    [
        (np.where(np.arange(DAYS) < CHANGE, 2, 50), "it was there before"),
        (np.where(np.arange(DAYS) < CHANGE, 0, 3), "it has next to no traffic"),
        (np.where(np.arange(DAYS) < CHANGE - 10, 0, 50), "it came long before"),
        (np.where(np.arange(DAYS) < 3, 0, 50), "the days read began just before"),
    ],
)
def test_nothing_is_coincident_that_did_not_come_with_the_change(share: np.ndarray, why: str) -> None:
    dimensions = {"release": daily(v1=ALWAYS - share, v2=share)}
    found = coincident(ONSET, day(DAYS - 1), "latency_ms", DAYS_READ, daily(all=ALWAYS), dimensions)
    assert "v2" not in [one["value"] for one in found], why


def test_tenants_and_the_tools_of_a_tool_mix_are_never_coincident() -> None:
    dimensions = {"tenant": daily(a=OLD, b=NEW), "tool": daily(x=OLD, y=NEW)}
    seen = [daily(all=ALWAYS), dimensions]
    assert coincident(ONSET, day(DAYS - 1), "tool_mix", DAYS_READ, seen[0], seen[1]) == []  # type: ignore[arg-type]
    (tool,) = coincident(ONSET, day(DAYS - 1), "latency_ms", DAYS_READ, seen[0], seen[1])  # type: ignore[arg-type]
    assert tool["value"] == "y"


@pytest.mark.parametrize("hostile", ["\x1b]0;x\x07" * 200, "\u202e" * 500, "a\nb\0c", "", "é" * 120])
def test_names_are_bounded_and_printable(hostile: str) -> None:
    safe = bounded(hostile)
    assert len(safe) <= 120 and safe.isprintable()
    assert bounded(safe) == safe
