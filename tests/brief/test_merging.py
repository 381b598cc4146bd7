"""What is one story is told once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.markdown import markdown
from tests.brief.made import DAY, facts, item, watched

EARLIER = DAY - timedelta(days=8)


def of(number: int, **changes: Any) -> dict[str, Any]:
    return item(**{"item_id": f"drf_{number}", "intent_id": f"int_{number}", "traffic_share": 0.1, **changes})


def total(**changes: Any) -> dict[str, Any]:
    return item(**{"item_id": "drf_all", "intent_id": "all", "traffic_share": 1.0, **changes})


def told(*items: dict[str, Any], eligible: int = 20, **more: Any) -> Facts:
    seen = [watched(metric, eligible=eligible) for metric in ("latency_ms", "cost_usd", "error_rate")]
    return facts(*items, observed=seen, **more)


def test_what_began_together_in_one_intent_is_one_line_led_by_the_gravest() -> None:
    found = told(
        item(item_id="cost", metric="cost_usd", effect=0.3, severity="warning"),
        item(item_id="slow", onset=DAY - timedelta(days=3)),
        item(item_id="mix", metric="tool_mix", direction="changed", effect=0.2, severity="warning"),
    )
    (line,) = found.lines
    assert (line.metric, line.severity, line.item_ids) == ("latency_ms", "high", ("slow", "mix", "cost"))
    text = markdown(found).replace("\\", "")
    assert "also tool mix changed (20 % of calls moved), typical cost up +30 %" in text


def test_a_line_tells_the_latency_before_the_first_token_that_is_a_part_of_it() -> None:
    first_token = item(item_id="ttft", metric="ttft_ms", effect=0.9)
    (line,) = told(item(item_id="slow", effect=0.6), first_token).lines
    assert (line.metric, line.item_ids) == ("latency_ms", ("slow", "ttft"))
    (line,) = told(item(item_id="slow", effect=0.2, severity="warning"), first_token).lines
    assert line.metric == "ttft_ms", "a first token that is so late is the news itself"


def test_what_most_intents_share_is_not_told_again_with_another_change_of_one_of_them() -> None:
    slow = [of(number, onset=EARLIER, opened=EARLIER, state="ongoing") for number in range(1, 4)]
    moved = {"moved_with": [{"metric": "latency_ms", "direction": "up", "effect": 0.3}]}
    (line,) = told(*slow, item(item_id="dear", metric="cost_usd", explanation=moved), eligible=4).lines
    assert (line.metric, line.also) == ("cost_usd", ())
    (line,) = told(item(item_id="dear", metric="cost_usd", explanation=moved), eligible=4).lines
    assert [one.metric for one in line.also] == ["latency_ms"]


def test_one_more_intent_of_a_change_that_was_told_is_no_news() -> None:
    before = {"onset": DAY - timedelta(days=2), "opened": DAY - timedelta(days=2)}
    slow = [of(number, state="ongoing", **before) for number in range(1, 4)]
    found = told(*slow, of(4, **before), eligible=4)
    assert found.status == "quiet"
    (line,) = found.ongoing
    assert (line.state, line.scope, line.member_count) == ("ongoing", "all_intents", 4)
    (line,) = told(slow[0], *(of(number, **before) for number in range(2, 5)), eligible=4).lines
    assert (line.state, line.member_count) == ("new", 4), "of one intent it had been told, not of most"
    found = told(
        total(state="ongoing", effect=0.7, **before), *(of(n, **before) for n in (1, 2, 3)), eligible=4
    )
    assert found.status == "quiet" and found.ongoing[0].scope == "all_intents"


def test_an_intent_that_shows_what_all_traffic_shows_is_told_with_it_unless_it_shows_much_more() -> None:
    found = told(total(state="ongoing", effect=0.6), of(1, effect=0.7))
    assert found.status == "quiet"
    (line,) = found.ongoing
    assert (line.scope, line.item_ids) == ("all_traffic", ("drf_all", "drf_1"))
    assert [one.intent_id for one in line.members] == ["int_1"]
    assert "also on its own in Where is my order +70 %" in markdown(
        told(total(effect=0.6), of(1, effect=0.7))
    )
    (line,) = told(total(state="ongoing", effect=0.2), of(1, effect=0.7)).lines
    assert (line.intent_id, line.state) == ("int_1", "new")


def test_what_began_at_another_time_or_ended_otherwise_is_a_line_of_its_own() -> None:
    found = told(
        item(),
        item(item_id="cost", metric="cost_usd", onset=DAY - timedelta(days=4)),
        item(item_id="steps", metric="step_count", state="resolved", closed=DAY),
    )
    assert sorted((line.state, line.metric) for line in found.lines) == [
        ("new", "cost_usd"),
        ("new", "latency_ms"),
        ("resolved", "step_count"),
    ]


def test_changes_whose_beginnings_may_be_one_day_are_one_line_however_far_apart_the_likeliest_days() -> None:
    def lines(**first_token: date) -> list[tuple[str, list[str]]]:
        slow = item(onset=date(2026, 2, 18), onset_first=date(2026, 2, 13), onset_last=date(2026, 2, 24))
        moved = {"moved_with": [{"metric": "latency_ms", "direction": "up", "effect": 0.72}]}
        late = item(item_id="ttft", metric="ttft_ms", effect=0.6, explanation=moved, **first_token)
        return [(line.metric, [one.metric for one in line.also]) for line in told(slow, late).lines]

    late = {"onset": date(2026, 2, 25), "onset_last": date(2026, 2, 27)}
    assert lines(**late, onset_first=date(2026, 2, 24)) == [("latency_ms", ["ttft_ms"])]
    apart = lines(**late, onset_first=date(2026, 2, 25))
    assert sorted(apart) == [("latency_ms", []), ("ttft_ms", [])], (
        "a line of its own is not named beside another"
    )


def test_a_part_that_becomes_an_item_after_its_whole_was_told_is_no_news() -> None:
    slow = item(state="ongoing", opened=DAY - timedelta(days=1))
    late = item(item_id="ttft", metric="ttft_ms", effect=0.6)
    found = told(slow, late)
    assert found.status == "quiet"
    (line,) = found.ongoing
    assert (line.state, line.metric, line.item_ids) == ("ongoing", "latency_ms", ("drf_1", "ttft"))
    assert [one.metric for one in line.also] == ["ttft_ms"]
    (line,) = told(slow, {**late, "severity": "critical"}).lines
    assert (line.state, line.metric, line.severity) == ("new", "ttft_ms", "critical")
    (line,) = told({**slow, "effect": 0.2}, late).lines
    assert (line.state, line.metric) == ("new", "ttft_ms"), "so late a first token is the news itself"


def test_what_was_named_when_the_leader_was_told_is_no_news_when_it_becomes_an_item() -> None:
    day_before = DAY - timedelta(days=1)
    moved = {"moved_with": [{"metric": "cost_usd", "direction": "up", "effect": 0.2}]}
    slow = item(opened=day_before, explanation=moved)
    cost = item(item_id="cost", metric="cost_usd", effect=0.3)
    history = {day_before: [{**slow, "date": day_before}]}
    today = {**slow, "state": "ongoing"}
    found = told(today, cost, history=history)
    assert found.status == "quiet" and [line.item_ids for line in found.ongoing] == [("drf_1", "cost")]
    history = {day_before: [{**slow, "date": day_before, "explanation": {}}]}
    (line,) = told(today, cost, history=history).lines
    assert (line.state, line.metric) == ("new", "cost_usd"), "nobody was told of the cost"


def test_what_already_went_on_is_told_with_the_news_of_its_story_and_not_counted_again() -> None:
    found = told(item(state="ongoing", effect=0.5), item(item_id="cost", metric="cost_usd", effect=0.3))
    assert [(line.state, line.metric, line.item_ids) for line in found.lines] == [
        ("new", "cost_usd", ("cost", "drf_1"))
    ]
    assert [one.metric for one in found.lines[0].also] == ["latency_ms"] and not found.ongoing


def test_a_second_metric_that_gets_as_grave_as_the_first_is_no_news_but_one_that_gets_graver_is() -> None:
    day_before = DAY - timedelta(days=1)
    opened = DAY - timedelta(days=12)

    def worsened(severity: str) -> Facts:
        slow = item(state="ongoing", opened=opened, severity="high")
        cost = item(item_id="cost", metric="cost_usd", state="ongoing", opened=opened, severity="warning")
        history = {day_before: [{**one, "date": day_before} for one in (slow, cost)]}
        return told(slow, {**cost, "severity": severity}, history=history)

    assert worsened("high").lines == () and len(worsened("high").ongoing) == 1
    (line,) = worsened("critical").lines
    assert (line.state, line.metric, line.before) == ("worsened", "cost_usd", 0.72)


def test_a_metric_that_moved_with_it_is_named_once_though_it_has_an_item_too() -> None:
    moved = [
        {"metric": "cost_usd", "direction": "up", "effect": 0.31},
        {"metric": "latency_p95_ms", "direction": "up", "effect": 0.9},
        {"metric": "step_count", "direction": "up", "effect": 0.2},
    ]
    (line,) = told(
        item(explanation={"moved_with": moved}), item(item_id="cost", metric="cost_usd", effect=0.3)
    ).lines
    assert [(one.metric, one.effect, one.item_id) for one in line.also] == [
        ("cost_usd", 0.3, "cost"),
        ("step_count", 0.2, None),
    ]


def test_what_most_intents_share_is_one_line_with_its_members() -> None:
    found = told(*[of(n, effect=0.3 + n / 100, traffic_share=n / 100) for n in range(1, 7)], eligible=12)
    (line,) = found.lines
    assert (line.scope, line.member_count, line.eligible) == ("all_intents", 6, 12)
    assert (line.effect, line.traffic_share) == (pytest.approx(0.335), pytest.approx(0.21))
    assert [member.intent_id for member in line.members[:2]] == ["int_6", "int_5"]
    assert set(line.item_ids) == {f"drf_{n}" for n in range(1, 7)}
    text = markdown(found).replace("\\", "")
    assert "**6 of 12 intents**: typical latency up **+34 %**" in text
    assert "largest: int_6 +36 %, int_5 +35 %, int_4 +34 %, Change address +33 %, 2 more" in text


def test_fewer_than_half_or_than_three_or_at_other_times_or_the_other_way_share_nothing() -> None:
    def lines(*items: dict[str, Any], eligible: int) -> int:
        return len(told(*items, eligible=eligible).lines)

    six = [of(n) for n in range(6)]
    assert lines(*six, eligible=13) == 6
    assert lines(*six[:2], eligible=2) == 2
    assert lines(*six[:3], *[of(n, onset=EARLIER) for n in (3, 4, 5)], eligible=12) == 6
    assert lines(*six[:3], *[of(n, direction="down", effect=-0.4) for n in (3, 4, 5)], eligible=12) == 6


def test_members_that_were_told_before_belong_to_the_line_of_the_new_ones() -> None:
    old = [of(n, state="ongoing") for n in range(4)]
    found = told(*old, of(5), of(6), eligible=12)
    (line,) = found.lines
    assert (line.state, line.member_count, found.ongoing) == ("new", 6, ())
    assert [line.scope for line in told(*old, eligible=8).ongoing] == ["all_intents"]


def test_a_shared_change_that_is_over_for_some_tells_these_apart() -> None:
    over = [of(n, state="resolved", closed=DAY) for n in range(4)]
    found = told(*over, *[of(n, state="ongoing") for n in (5, 6)], eligible=12)
    assert [(line.state, line.member_count) for line in found.lines] == [("resolved", 4)]
    assert [(line.state, line.member_count) for line in found.ongoing] == [("ongoing", 2)]


def test_metrics_that_most_intents_share_at_one_time_are_one_line() -> None:
    slow = [of(n) for n in range(3)]
    dear = [of(n, item_id=f"c{n}", metric="cost_usd", effect=0.2, severity="warning") for n in range(3)]
    (line,) = told(*slow, *dear, eligible=5).lines
    assert line.metric == "latency_ms" and [one.metric for one in line.also] == ["cost_usd"]


def test_all_traffic_gives_its_numbers_to_the_line_of_all_intents() -> None:
    found = told(total(effect=0.5, n=9_000), *[of(n) for n in range(3)], eligible=5)
    (line,) = found.lines
    assert (line.scope, line.effect, line.n, line.effect_low) == ("all_intents", 0.5, 9_000, 0.55)
    assert line.item_ids[0] == "drf_all"


def test_all_traffic_is_not_told_where_one_intent_carries_it() -> None:
    # log 1.72 × 0.6 of the traffic is 0.33 of the 0.34 that all traffic moved by
    found = told(total(effect=0.4), item(traffic_share=0.6))
    assert [line.scope for line in found.lines] == ["intent"]
    named = {"carriers": [{"dimension": "intent", "value": "int_1", "part": 0.7}]}
    found = told(total(effect=0.6, explanation=named), item(traffic_share=0.1))
    assert [line.scope for line in found.lines] == ["intent"]


def test_all_traffic_is_a_line_where_no_intent_carries_most_of_it_or_none_moved() -> None:
    found = told(total(effect=0.4), item(traffic_share=0.2))
    assert sorted(line.scope for line in found.lines) == ["all_traffic", "intent"]
    assert "**All traffic**: typical latency up" in markdown(told(total()))


def test_growth_of_all_traffic_by_one_intent_is_told_of_the_intent() -> None:
    grown = {"metric": "volume", "effect_low": None, "effect_high": None}
    found = told(
        total(**grown, baseline_value=600.0, observed=700.0, effect=1 / 6),
        of(1, **grown, baseline_value=20.0, observed=110.0, effect=4.5),
    )
    assert [line.intent_id for line in found.lines] == ["int_1"]


def test_a_slice_is_told_with_its_whole_and_alone_where_the_whole_is_quiet() -> None:
    sliced = item(item_id="acme", slice="tenant=acme", effect=1.5)
    (line,) = told(item(), sliced).lines
    assert (line.slice, line.slices, line.effect) == (None, ("tenant=acme",), 0.72)
    assert "seen in tenant acme" in markdown(told(item(), sliced))
    alone = told(sliced)
    assert [line.scope for line in alone.lines] == ["slice"]
    assert "**Where is my order (tenant acme)**: typical latency up" in markdown(alone)


def test_a_slice_of_all_traffic_is_told_by_its_one_intent_or_tells_its_many() -> None:
    whole = total(slice="tenant=acme")
    one = told(whole, of(1, slice="tenant=acme"))
    assert [(line.intent_id, line.slice) for line in one.lines] == [("int_1", "tenant=acme")]
    many = told(whole, of(1, slice="tenant=acme"), of(2, slice="tenant=acme"))
    assert [(line.intent_id, line.slice) for line in many.lines] == [("all", "tenant=acme")]


_ITEMS = st.lists(
    st.builds(
        lambda n, slice_, metric, up, state, ago, share: item(
            item_id=f"drf_{n}_{slice_}_{metric}_{up}_{ago}",
            intent_id="all" if n == 0 else f"int_{n}",
            slice=slice_,
            metric=metric,
            direction="up" if up else "down",
            effect=0.5 if up else -0.4,
            state=state,
            closed=DAY if state == "resolved" else None,
            opened=DAY - timedelta(days=ago),
            traffic_share=share / 10,
        ),
        st.integers(0, 5),
        st.sampled_from([None, None, "tenant=a", "tenant=b"]),
        st.sampled_from(["latency_ms", "cost_usd", "error_rate", "volume"]),
        st.booleans(),
        st.sampled_from(["new", "ongoing", "resolved", "recovering", "no_data"]),
        st.sampled_from([0, 1, 5, 12]),
        st.integers(0, 10),
    ),
    max_size=25,
    unique_by=lambda one: one["item_id"],
)


@given(_ITEMS, st.randoms(use_true_random=False))
def test_every_story_of_every_intent_is_told_and_in_any_order_the_same(
    items: list[dict[str, Any]], random: Any
) -> None:
    found = told(*items, eligible=8)
    shuffled = list(items)
    random.shuffle(shuffled)
    assert told(*shuffled, eligible=8) == found
    lines = [*found.lines, *found.ongoing]
    ids = [one for line in lines for one in line.item_ids]
    assert len(ids) == len(set(ids)), "no item is told twice"
    wholes = {one["item_id"] for one in items if one["slice"] is None and one["intent_id"] != "all"}
    hidden = sum(found.more.values())
    also = {one.item_id for line in lines for one in line.also}
    assert hidden or wholes <= {*ids, *also}, "no intent's own change is left out"


def test_a_change_counts_by_the_day_it_began_not_by_the_day_it_was_found() -> None:
    late = item(item_id="cost", metric="cost_usd", opened=DAY, onset=date(2026, 2, 24))
    early = item(opened=DAY, onset=date(2026, 2, 23))
    assert len(told(late, early).lines) == 1
