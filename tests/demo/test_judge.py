from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.demo.incidents import RELEASE_OF_SWAP, Allowed, Incident, Slice, planned
from insights_pipeline.demo.judge import judge, render
from insights_pipeline.demo.lines import Line, Match, lines_of, majority, match
from insights_pipeline.demo.traffic import _release
from insights_pipeline.demo.truth import read_truth
from insights_pipeline.lake import DayRange, DuckDBEngine, Lake, rows_to_table

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 20)
PLANTED = ("returns", "refunds", "payments", "trade_in")
CREEP = Incident(
    "creep",
    "latency_creep",
    "returns",
    ("latency_ms", "latency_p95_ms"),
    "up",
    date(2026, 3, 2),
    LAST,
    1.03,
    "",
    carriers=(),
)
BURST = Incident(
    "burst", "error_burst", "payments", ("error_rate",), "up", date(2026, 3, 5), date(2026, 3, 9), 0.2, "",
    (Allowed("payments", "latency_ms", "up"), Allowed("all", "error_rate", "up")),
    (Slice("tool", ("pay", "payment_lookup")),),
)  # fmt: skip
NEWCOMER = Incident("new", "new_intent", "trade_in", ("volume",), "new", date(2026, 3, 10), LAST, 30, "")
INCIDENTS = (CREEP, BURST, NEWCOMER)


def item(
    intent: str,
    metric: str,
    direction: str,
    states: Mapping[int, str],
    *,
    item_id: str | None = None,
    onset: int | None = None,
    carrier: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Daily rows of an item from {day of March: state}; `onset` is a day of March too."""
    carriers = [] if carrier is None else [{"dimension": carrier[0], "value": carrier[1]}]
    began = None if onset is None else date(2026, 3, onset)
    return [
        {
            "onset": began,
            "explanation": json.dumps({"carriers": carriers}),
            "date": date(2026, 3, day),
            "item_id": item_id or f"{intent}-{metric}-{direction}",
            "intent_id": intent,
            "metric": metric,
            "direction": direction,
            "state": state,
            "opened": date(2026, 3, min(states)),
        }
        for day, state in states.items()
    ]


GOOD = (
    *item("i_returns", "latency_ms", "up", {9: "pending", 10: "new", 20: "ongoing"}, onset=3),
    *item(
        "i_payments", "error_rate", "up", {6: "new", 7: "ongoing", 18: "resolved"},
        onset=5, carrier=("tool", "payment_lookup"),
    ),
    *item("i_trade_in", "volume", "new", {13: "new", 14: "accepted"}),
    *item("i_refunds", "cost_usd", "up", {4: "pending", 5: "pending"}),
)  # fmt: skip


def finished(
    lake: Lake,
    folder: Path,
    *,
    items: Iterable[Mapping[str, Any]] = GOOD,
    incidents: Iterable[Incident] = INCIDENTS,
    confused: float = 0.0,
    brief: str = "**Send Things Back \\(Returns\\)**: slower",
    unclassified_days: int = 2,
) -> Path:
    """A lake as a run leaves it, and the truth; a share `confused` of the traces is in one intent with all others."""
    planted: dict[str, str | None] = {}
    rows = []
    for offset in range((LAST - FIRST).days + 1):
        for number in range(40):
            intent = (*PLANTED, None)[number % 5]
            trace = f"{offset:02d}{number:03d}"
            planted[trace] = intent
            found: str | None = f"i_{intent}" if intent else None
            if number < 40 * confused:
                found = "i_returns"
            day = FIRST + timedelta(days=offset)
            rows.append(
                {"date": day, "trace_id": trace, "intent_id": found if offset >= unclassified_days else None}
            )
    lake.append("trace_intents", rows_to_table("trace_intents", rows))
    lake.append("drift_items", rows_to_table("drift_items", list(items)))
    names = [
        {"date": LAST, "intent_id": f"i_{name}", "name": name} for name in ("refunds", "payments", "trade_in")
    ]
    names.append({"date": LAST, "intent_id": "i_returns", "name": "Send Things Back (Returns)"})
    lake.append("intents", rows_to_table("intents", names))
    told = {"date": LAST, "cadence": "daily", "headline": "1 change", "markdown": brief, "facts": "{}"}
    lake.append("briefs", rows_to_table("briefs", [told]))
    folder.mkdir()
    injected = {
        "first_day": str(FIRST),
        "last_day": str(LAST),
        "incidents": [one.to_json() for one in incidents],
    }
    (folder / "injected.json").write_text(json.dumps(injected))
    (folder / "planted.json.gz").write_bytes(gzip.compress(json.dumps(planted).encode()))
    return folder


def test_a_run_that_tells_everything_and_nothing_else_passes(lake: Lake, tmp_path: Path) -> None:
    verdict = judge(lake, finished(lake, tmp_path / "truth"))
    assert verdict.passed
    assert verdict.grouping.nmi == pytest.approx(1.0)
    assert verdict.grouping.first_day == date(2026, 3, 3)
    assert verdict.grouping.traces == 18 * 32
    assert [one.days_to_find for one in verdict.matches] == [8, 1, 3]
    assert render(verdict)[-1] == (
        "judge: PASS incidents 3/3, carrier and start 3/3, not injected 0 (allowed 1), "
        "intents 4 found / 4 planted, NMI 1.00"
    )


def test_the_engine_and_the_folder_above_the_truth_do_as_well(
    lake: Lake, engine: DuckDBEngine, tmp_path: Path
) -> None:
    finished(lake, tmp_path / "truth")
    verdict = judge(engine, tmp_path)
    assert verdict.passed
    assert json.loads(json.dumps(verdict.to_json()))["passed"] is True


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda one: one.id)
def test_a_missing_incident_fails(lake: Lake, tmp_path: Path, incident: Incident) -> None:
    items = [row for row in GOOD if row["intent_id"] != f"i_{incident.intent}"]
    verdict = judge(lake, finished(lake, tmp_path / "truth", items=items))
    assert not verdict.passed
    assert render(verdict)[-1].startswith("judge: FAIL incidents 2/3, carrier and start 2/3, not injected 0")
    assert any(line.startswith(f"  MISSED {incident.id}") for line in render(verdict))


def test_an_item_that_never_left_pending_finds_nothing(lake: Lake, tmp_path: Path) -> None:
    items = [row | {"state": "pending"} if row["metric"] == "error_rate" else row for row in GOOD]
    assert judge(lake, finished(lake, tmp_path / "truth", items=items)).found == 2


def test_an_incident_told_too_late_is_not_found_but_its_line_is_no_invention(
    lake: Lake, tmp_path: Path
) -> None:
    rest = [row for row in GOOD if row["metric"] != "error_rate"]
    late = item("i_payments", "error_rate", "up", {16: "new", 17: "ongoing"})
    verdict = judge(lake, finished(lake, tmp_path / "truth", items=[*rest, *late], brief="Returns payments"))
    assert not verdict.passed
    assert (verdict.found, verdict.not_injected) == (2, ())


def test_one_line_that_was_not_injected_is_allowed_and_two_are_not(lake: Lake, tmp_path: Path) -> None:
    one = item("i_refunds", "latency_ms", "up", {15: "new", 20: "resolved"})
    verdict = judge(lake, finished(lake, tmp_path / "truth", items=[*GOOD, *one]))
    assert verdict.passed
    two = Lake(str(tmp_path / "second"))
    more = item("i_refunds", "error_rate", "up", {15: "new", 20: "resolved"})
    verdict = judge(two, finished(two, tmp_path / "truth2", items=[*GOOD, *one, *more]))
    assert not verdict.passed
    assert [line.metric for line in verdict.not_injected] == ["error_rate", "latency_ms"]
    assert "not injected 2 (allowed 1)" in render(verdict)[-1]


@pytest.mark.parametrize(
    ("line", "explained"),
    [
        (item("i_payments", "latency_ms", "up", {7: "new"}), True),  # allowed beside the burst
        (item("i_payments", "latency_ms", "down", {7: "new"}), False),  # wrong direction
        (item("i_payments", "latency_ms", "up", {4: "new"}), False),  # before the burst
        (
            item("i_payments", "error_rate", "up", {19: "new"}, item_id="again"),
            True,
        ),  # flaps in the aftermath
        (item("all", "error_rate", "up", {7: "new"}), True),
        (item("all", "cost_usd", "up", {7: "new"}), False),
        (item("i_never_seen", "error_rate", "up", {7: "new"}), False),
        (item("i_returns", "latency_p95_ms", "up", {12: "new"}), True),
        (item("i_returns", "volume", "new", {12: "new"}), False),  # a splinter of an old intent is not new
    ],
)
def test_a_line_is_explained_by_intent_metric_direction_and_time(
    line: list[dict[str, Any]], explained: bool
) -> None:
    rows = [{"effect": None, **row} for row in line]
    planted = {f"i_{name}": name for name in PLANTED}
    _, rest = match(INCIDENTS, lines_of(rows, planted))
    assert (rest == ()) == explained


def test_a_second_fragment_of_the_same_planted_intent_may_tell_it_too() -> None:
    planted = majority([("a", "returns"), ("b", "returns"), ("b", None), ("b", "returns"), ("c", None)])
    assert planted == {"a": "returns", "b": "returns", "c": "off_topic"}
    rows = [*item("a", "latency_ms", "up", {8: "new"}), *item("b", "latency_ms", "up", {11: "new"})]
    matches, rest = match((CREEP,), lines_of([{"effect": 0.3, **row} for row in rows], planted))
    assert len(matches[0].lines) == 2
    assert matches[0].days_to_find == 6
    assert rest == ()


def test_confused_intents_fail_by_their_mutual_information(lake: Lake, tmp_path: Path) -> None:
    verdict = judge(lake, finished(lake, tmp_path / "truth", confused=0.4))
    assert 0.3 < verdict.grouping.nmi < 0.8
    assert not verdict.passed
    assert (verdict.found, verdict.not_injected) == (3, ())


def test_lost_traces_and_no_classified_trace_at_all_count_against_the_grouping(
    lake: Lake, tmp_path: Path
) -> None:
    folder = finished(lake, tmp_path / "truth", unclassified_days=99)
    verdict = judge(lake, folder)
    assert (verdict.grouping.nmi, verdict.grouping.found, verdict.grouping.first_day) == (0.0, 0, None)
    other = Lake(str(tmp_path / "other"))
    folder = finished(other, tmp_path / "truth2")
    planted = json.loads(gzip.decompress((folder / "planted.json.gz").read_bytes()))
    lost = {f"lost{number}": PLANTED[number % 4] for number in range(300)}
    (folder / "planted.json.gz").write_bytes(gzip.compress(json.dumps(planted | lost).encode()))
    verdict = judge(other, folder)
    assert verdict.grouping.unknown == 300
    assert verdict.grouping.nmi < 0.8 < verdict.grouping.nmi_known


def test_a_brief_that_does_not_name_an_open_incident_fails(lake: Lake, tmp_path: Path) -> None:
    verdict = judge(lake, finished(lake, tmp_path / "truth", brief="Nothing changed."))
    assert [one.id for one in verdict.unmentioned] == ["creep"]
    assert not verdict.passed
    assert "does not name returns (creep)" in "\n".join(render(verdict))


def test_a_run_that_did_nothing_fails_without_an_error(lake: Lake, tmp_path: Path) -> None:
    other = Lake(str(tmp_path / "empty"))
    verdict = judge(other, finished(lake, tmp_path / "truth"))
    assert not verdict.passed
    assert verdict.found == 0


def test_the_truth_survives_writing_and_reading(lake: Lake, tmp_path: Path) -> None:
    truth = read_truth(finished(lake, tmp_path / "truth"))
    assert truth.incidents == INCIDENTS
    assert truth.days == DayRange(FIRST, LAST)
    with pytest.raises(FileNotFoundError):
        read_truth(tmp_path / "nowhere")


def judged(incident: Incident, **told: Any) -> Match:
    line = Line(
        "item",
        "i",
        incident.intent,
        incident.metrics[0],
        incident.direction,
        LAST,
        LAST,
        "ongoing",
        0.5,
        **told,
    )
    return Match(incident, (line,))


@pytest.mark.parametrize(
    ("incident", "carriers", "coincident", "right"),
    [
        (BURST, (("tool", "payment_lookup"),), (), True),
        (BURST, (("tool", "payment_lookup"), ("tenant", "us")), (), True),
        (BURST, (("tenant", "us"), ("tool", "payment_lookup")), (), False),
        (BURST, (("release", "2"), ("tool", "pay")), (("release", "2"),), True),  # came at the time
        (BURST, (), (), False),
        (BURST, (("tool", "search"),), (), False),
        (BURST, (), (("tool", "payment_lookup"),), True),
        (CREEP, (), (), True),
        (CREEP, (("release", "2"),), (("release", "2"),), True),
        (CREEP, (("tenant", "us"),), (), False),
        (NEWCOMER, (("tenant", "us"),), (), True),  # nothing to compare with
    ],
)
def test_the_slice_that_an_incident_was_injected_into_must_be_named_first(
    incident: Incident, carriers: Any, coincident: Any, right: bool
) -> None:
    one = judged(incident, carriers=carriers, coincident=coincident, onset=incident.first_day)
    assert one.explained == right
    assert one.lines and one.carrier_ok(one.lines[0]) == right


@pytest.mark.parametrize(
    ("incident", "told", "right"),
    [
        (BURST, {"onset": date(2026, 3, 7)}, True),
        (BURST, {"onset": date(2026, 3, 3)}, True),
        (BURST, {"onset": date(2026, 3, 8)}, False),
        (BURST, {"onset": date(2026, 3, 8), "onset_first": date(2026, 3, 4), "onset_last": date(2026, 3, 9)}, False),
        (BURST, {}, False),
        (CREEP, {"onset": date(2026, 3, 6)}, False),
        (CREEP, {"onset": date(2026, 3, 6), "onset_first": date(2026, 3, 2), "onset_last": date(2026, 3, 9)}, True),
        (CREEP, {"onset": date(2026, 3, 6), "onset_first": date(2026, 3, 5), "onset_last": date(2026, 3, 9)}, False),
        (NEWCOMER, {}, True),
        (NEWCOMER, {"onset": date(2026, 3, 13)}, False),
    ],
)  # fmt: skip
def test_the_start_must_be_within_two_days_and_of_a_creep_within_its_interval(
    incident: Incident, told: dict[str, date], right: bool
) -> None:
    one = judged(incident, carriers=(("tool", "pay"),) if incident is BURST else (), **told)
    assert one.explained == right


def test_a_wrong_carrier_or_start_fails_and_is_said(lake: Lake, tmp_path: Path) -> None:
    rest = [row for row in GOOD if row["metric"] != "error_rate"]
    wrong = item(
        "i_payments", "error_rate", "up", {6: "new", 18: "resolved"}, onset=9, carrier=("tenant", "us")
    )
    verdict = judge(lake, finished(lake, tmp_path / "truth", items=[*rest, *wrong]))
    assert (verdict.found, verdict.explained, verdict.passed) == (3, 2, False)
    said = "\n".join(render(verdict))
    assert "carrier WRONG (tenant us), onset WRONG by +4" in said
    assert "carrier ok (none named), onset off by +1" in said
    assert json.loads(json.dumps(verdict.to_json()))["incidents"][1]["onset_off"] == 4


def test_the_release_of_the_tool_swap_is_the_one_in_production_since_that_day() -> None:
    swap = next(one for one in planned(LAST) if one.kind == "tool_mix")
    days = DayRange.ending(LAST, 60)
    assert _release(swap.first_day, days) == RELEASE_OF_SWAP
    assert _release(swap.first_day - timedelta(days=1), days) != RELEASE_OF_SWAP
    assert _release(LAST, days) == RELEASE_OF_SWAP
