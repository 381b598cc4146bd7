"""What a brief says, in markdown."""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta
from typing import Any

import pytest

from insights_pipeline.brief import units
from insights_pipeline.brief.facts import MAX_LINES, Facts
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.markdown import escape, line, markdown
from insights_pipeline.brief.plain import subject
from insights_pipeline.brief.wording import headline
from tests.brief.made import DAY, before, facts, item, watched


def test_a_quiet_day_says_so_in_one_line() -> None:
    assert headline(facts()) == "Nothing significant changed: 1 intent, 1 series watched over 642 traces."


def test_before_enough_traces_the_brief_says_how_many_of_how_many() -> None:
    learning = facts(model={"status": "learning", "traces_seen": 20})
    assert "learning (20 of 500)" in markdown(learning).replace("\\", "")


def test_a_day_without_traces_is_not_called_quiet() -> None:
    assert headline(facts(traces=0)) == "No traces arrived this day."
    assert "Traffic" not in markdown(facts(traces=0))


def test_a_new_change_names_intent_change_interval_counts_and_traces() -> None:
    text = markdown(facts(item(baseline_trace_ids=["c" * 32])))
    for part in (
        "! [new, high] **Where is my order**: typical latency up **+72 %**",
        "1.8 s → 3.1 s, 95 % +55 to +91 %",
        "840 traces",
        "20 % of traffic",
        "since 2 Mar",
        f"`{'a' * 32}`, `{'b' * 32}` (before: `{'c' * 32}`)",
        "`insights drift show drf_1`",
    ):
        assert part in text, text


def test_the_onset_is_told_with_its_uncertainty_and_a_ramp_as_growing() -> None:
    at = {"onset": date(2026, 2, 27), "onset_first": date(2026, 2, 26), "onset_last": date(2026, 2, 28)}
    assert "since 27 Feb (±1 day)" in markdown(facts(item(**at, shape="step")))
    wide = {**at, "onset_first": date(2026, 2, 20)}
    assert "growing since 27 Feb (20 Feb – 28 Feb)" in markdown(facts(item(**wide, shape="ramp")))
    sure = {**at, "onset_first": at["onset"], "onset_last": at["onset"]}
    assert "since 27 Feb\n" in markdown(facts(item(**sure, shape="step"))).replace("  \n", "\n")


def test_carrier_coincidence_and_what_moved_with_it_are_told_and_a_release_is_never_called_the_cause() -> (
    None
):
    known = {
        "carriers": [{"dimension": "model", "value": "gpt-4.1-mini", "part": 0.823}],
        "coincident": [{"dimension": "release", "value": "2026.3", "first_seen": "2026-03-01"}],
        "moved_with": [{"metric": "cost_usd", "direction": "up", "effect": 0.31}],
    }
    text = markdown(facts(item(explanation=known))).replace("\\", "")
    assert "carried by model gpt-4.1-mini (82 % of it)" in text
    assert "same days as release 2026.3 (first seen 1 Mar)" in text
    alike = {**known, "carriers": [{"dimension": "release", "value": "2026.3", "part": 1.004}]}
    once = markdown(facts(item(explanation=alike))).replace("\\", "")
    assert "carried by release 2026.3 (100 % of it, first seen 1 Mar)" in once and "same days" not in once
    assert "also typical cost up +31 %" in text
    assert "caus" not in text
    little = {"carriers": [{"dimension": "model", "value": "m", "part": 0.2}]}
    assert "carried" not in markdown(facts(item(explanation=little)))


def test_a_release_is_told_with_the_prompt_that_came_at_the_time_and_with_nothing_else() -> None:
    new = [("release", "2026.3"), ("tool", "scan"), ("prompt", "support:8"), ("prompt", "router:2")]
    known = [{"dimension": name, "value": value, "first_seen": "2026-03-01"} for name, value in new]

    def told(*came: dict[str, str]) -> str:
        return markdown(facts(item(explanation={"coincident": list(came)}))).replace("\\", "")

    both = "same days as release 2026.3 (first seen 1 Mar) and prompt support:8 (first seen 1 Mar)"
    assert both in told(*known) and not any(word in told(*known) for word in ("scan", "router"))
    assert "same days as prompt support:8 (first seen 1 Mar)" in told(known[2]) and "and" not in told(
        known[2]
    )


def test_a_release_that_came_after_the_change_had_begun_is_not_told_with_it() -> None:
    later = {"coincident": [{"dimension": "release", "value": "2026.3", "first_seen": "2026-03-02"}]}
    sure = {"onset": date(2026, 2, 25), "onset_first": date(2026, 2, 24), "onset_last": date(2026, 2, 27)}
    assert "2026.3" not in markdown(facts(item(explanation=later, **sure)))
    unsure = {**sure, "onset_last": date(2026, 3, 1)}
    assert "same days as release 2026.3" in markdown(facts(item(explanation=later, **unsure)))


def test_where_nothing_could_be_tested_nothing_is_said_to_be_unchanged() -> None:
    found = facts(observed=[watched(tested=0, learning=14)])
    assert found.status == "quiet"
    for text in (markdown(found), subject(found)):
        assert "othing to compare with yet" in text and "significant" not in text
    assert "1 intent, 14 series still learning what is normal over 642 traces" in markdown(found)


def test_traffic_of_a_day_is_held_against_its_own_weekday_once_three_are_known() -> None:
    def usual(days: int) -> float | None:
        rows = [
            {
                "date": DAY - timedelta(days=back),
                "intent_id": "all",
                "n": 700 if back % 7 == 0 else 350,
                "k": 0,
            }
            for back in range(days + 1)
        ]
        return facts(traffic=rows).traces_per_day_before

    assert usual(28) == 700
    assert usual(8) == pytest.approx((7 * 350 + 700) / 8)


def test_an_ongoing_change_is_counted_and_named_but_is_not_the_news() -> None:
    ongoing = facts(item(state="ongoing", opened=date(2026, 2, 20)))
    assert ongoing.status == "quiet"
    text = markdown(ongoing).replace("\\", "")
    assert "Still open (1): Where is my order, typical latency up +72 % since 20 Feb." in text


@pytest.mark.parametrize(("state", "ending"), [("recovering", ", recovering"), ("no_data", ", no data now")])
def test_what_recovers_or_has_no_data_is_still_open_and_says_so(state: str, ending: str) -> None:
    text = markdown(facts(item(state=state, opened=date(2026, 2, 20))))
    assert f"since 20 Feb{ending}." in text.replace("\\", "")


def test_many_open_changes_are_named_up_to_ten() -> None:
    many = [
        item(item_id=f"i{n}", intent_id=f"int_{n}", state="ongoing", opened=date(2026, 2, 1))
        for n in range(13)
    ]
    text = markdown(facts(*many, observed=[watched(eligible=50)]))
    assert "Still open (13)" in text and "; 3 more." in text


def test_a_changed_tool_mix_says_which_tools_and_an_error_rate_how_many_failed() -> None:
    moved = {
        "gained": [{"tool": "search_help_center", "points": 25.0, "before": 0.05, "now": 0.30}],
        "lost": [{"tool": "get_order", "points": -25.0, "before": 0.45, "now": 0.20}],
    }
    mix = item(metric="tool_mix", direction="changed", effect=0.25, explanation=moved)
    text = markdown(facts(mix)).replace("\\", "")
    assert "tool mix changed, **25 % of calls moved**" in text
    assert "calls of search_help_center 5.0 % → 30.0 %; calls of get_order 45.0 % → 20.0 %" in text
    failing = item(metric="error_rate", effect=0.05, n=401, explanation={"errors": 26, "baseline_errors": 12})
    assert "26 of 401 traces failed" in markdown(facts(failing))
    week = {"errors": 26, "window": ["2026-02-24", "2026-03-02"]}
    assert "26 of 401 traces failed in 7 days" in markdown(facts({**failing, "explanation": week}))


def test_new_vanished_growing_and_fading_intents_are_lines() -> None:
    def volume(direction: str, **more: Any) -> str:
        one = item(metric="volume", direction=direction, effect_low=None, effect_high=None, **more)
        return markdown(facts(one)).replace("\\", "")

    bare = {"effect": None, "baseline_value": None, "observed": None}
    assert "**Where is my order**: new intent, since" in volume("new", **bare)
    assert "**Where is my order**: no longer asked, since" in volume(
        "gone", **{**bare, "baseline_value": 60.0}
    )
    grown = volume("up", baseline_value=20.0, observed=41.0, effect=1.05)
    assert "asked more often **+105 %** (20 a day → 41 a day)" in grown
    assert "asked less often **-50 %**" in volume("down", baseline_value=20.0, observed=10.0, effect=-0.5)


def test_what_is_over_is_called_back_to_normal() -> None:
    over = facts(item(state="resolved", opened=date(2026, 2, 20), closed=DAY))
    told = "1 resolved: Where is my order, typical latency back to normal after +72 %."
    assert headline(over) == told
    assert "typical latency back to normal after **+72 %**" in markdown(over).replace("\\", "")
    assert "20 Feb – 2 Mar" in markdown(over)


def test_what_is_over_is_told_with_its_worst_day_not_with_its_last() -> None:
    began = date(2026, 2, 25)
    history = before(date(2026, 2, 26), item(state="new", opened=began, effect=0.9, n=500))
    history |= before(date(2026, 2, 28), item(state="ongoing", opened=began, effect=0.1, n=400))
    (one,) = facts(item(state="resolved", opened=began, closed=DAY, effect=0.1), history=history).lines
    assert (one.state, one.effect, one.n) == ("resolved", 0.9, 500)


def test_pending_items_and_those_closed_before_the_window_are_not_mentioned() -> None:
    past = item(item_id="old", state="resolved", opened=date(2026, 2, 1), closed=date(2026, 2, 20))
    assert markdown(facts(item(state="pending"), past)) == markdown(facts())


def test_what_could_not_be_watched_is_told() -> None:
    seen = [
        watched(detectable=0.18, learning=4),
        watched("error_rate"),
        watched("cost_usd", coverage_moved=3, no_data=2),
    ]
    text = markdown(facts(item(), observed=seen)).replace("\\", "")
    assert "Watched: 1 intent, 3 series (4 more still learning)." in text
    assert "Cost not compared for 3 series: the share of traces that tell it moved" in text
    assert "2 series without enough traces to test" in text
    assert "in a typical intent, a change of latency that lasts a week is found from 18 % on." in text


def test_decisions_of_people_are_counted_on_their_day_and_no_line() -> None:
    accept = {"decision": {"kind": "accept", "by": "ana", "day": str(DAY), "until": None, "note": None}}
    dismiss = {
        "decision": {"kind": "dismiss", "by": "bo", "day": str(DAY), "until": "2026-04-01", "note": None}
    }
    old = {"decision": {"kind": "dismiss", "by": "bo", "day": "2026-02-27", "until": None, "note": None}}
    found = facts(
        item(item_id="a", state="accepted", opened=date(2026, 2, 20), closed=DAY, explanation=accept),
        item(item_id="b", state="dismissed", opened=date(2026, 2, 20), explanation=dismiss),
        item(item_id="c", state="dismissed", opened=date(2026, 2, 20), explanation=old),
        item(item_id="d", state="accepted", opened=date(2026, 1, 31), closed=DAY),
    )
    assert not found.lines and not found.ongoing
    text = markdown(found)
    assert "Decided: 1 open for 30 days, now the new normal, 1 accepted by ana, 1 dismissed by bo." in text


def test_worse_changes_of_busy_intents_come_first_and_ten_lines_are_enough() -> None:
    many = [
        item(item_id=f"i{i}", intent_id=f"int_{i}", traffic_share=i / 100, trace_ids=[]) for i in range(1, 14)
    ]
    better = item(item_id="better", intent_id="b", direction="down", effect=-0.72, traffic_share=0.5)
    found = facts(*many, better, observed=[watched(eligible=50)])
    assert len(found.lines) == MAX_LINES and found.more == {"new": 4}
    assert [line.traffic_share for line in found.lines[:2]] == [0.5, 0.13]
    assert "and 4 more (4 new)" in markdown(found)
    assert headline(found).startswith("14 new changes; the largest: b, typical latency down")
    busier = item(item_id="busier", intent_id="c", traffic_share=0.16)
    assert [line.direction for line in facts(busier, better).lines] == ["up", "down"]


def test_what_is_over_comes_after_what_is_new_however_large() -> None:
    over = item(item_id="over", intent_id="int_2", state="resolved", closed=DAY, traffic_share=0.9)
    assert [line.state for line in facts(over, item(traffic_share=0.01)).lines] == ["new", "resolved"]


def test_the_brief_links_to_its_partition() -> None:
    text = markdown(facts(item()), links=Links("http://ui:3000/"))
    assert "[Open in Dagster](http://ui:3000/assets/daily_brief?partition=2026-03-02)" in text


def test_trace_text_cannot_become_markup() -> None:
    assert escape("[x](http://e)\n<img src=y> `z` *b* &amp;") == (
        "\\[x\\](http://e) \\<img src=y\\> \\`z\\` \\*b\\* \\&amp;"
    )


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("# a", "\\# a"),
        ("- a", "\\- a"),
        ("1. a", "1\\. a"),
        ("23) a", "23\\) a"),
        ("--- a", "\\--- a"),
        ("get_order _x_ (a) 1.5", "get_order \\_x\\_ (a) 1.5"),
        ("~~a~~ | b", "\\~\\~a\\~\\~ \\| b"),
    ],
)
def test_text_starts_no_block_and_is_not_escaped_more_than_it_must(text: str, literal: str) -> None:
    assert line(text) == literal


@pytest.mark.parametrize(
    ("hostile", "text"),
    [
        ("see http://evil.com/x", "see http[:]//evil[.]com/x"),
        ("www.evil.org", "www[.]evil[.]org"),
        ("mail bo@evil.net", "mail bo[@]evil[.]net"),
        ("@channel hello", "[@]channel hello"),
        ("gpt-4.1 v2.0", "gpt-4.1 v2.0"),
        ("a\u202eb\x1b[2Jc", "ab[2Jc"),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_nothing_in_a_name_becomes_a_link_by_itself(hostile: str, text: str) -> None:
    assert units.defanged(hostile) == text
    assert text[:79] in markdown(facts(item(), names={"int_1": hostile})).replace("\\", "")


def test_no_control_character_of_a_trace_reaches_a_brief() -> None:
    assert escape("a\x1b]0;owned\x07b\u202ec\x9bd\n e") == "a\\]0;ownedbcd e"
    text = markdown(facts(item(trace_ids=["ab\x1b[2J\x9b\u200bcd"])))
    assert "`ab2Jcd`" in text
    assert not [char for char in text if unicodedata.category(char).startswith("C") and char != "\n"]


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        ("latency_ms", 940.4, "940 ms"),
        ("latency_ms", 12_345.0, "12.3 s"),
        ("ttft_ms", 320.0, "320 ms"),
        ("cost_usd", 0.00123, "$0.00123"),
        ("error_rate", 0.171, "17.1 %"),
        ("total_tokens", 12_345.6, "12,346 tokens"),
        ("volume", 41.2, "41 a day"),
        ("score:helpful", 0.8123, "0.812"),
        ("cost_usd", None, "–"),
    ],
)
def test_values_carry_their_unit(metric: str, number: float | None, text: str) -> None:
    assert units.value(metric, number) == text


@pytest.mark.parametrize(
    ("metric", "low", "high", "text"),
    [
        ("latency_ms", 2.2, 6.0, "×3.2 to ×7.0"),
        ("error_rate", 0.01, 0.034, "+1.0 to +3.4 pp"),
        ("score:helpful", -0.3, -0.1, "-0.3 to -0.1"),
        ("latency_ms", None, 1.0, ""),
    ],
)
def test_intervals_are_in_the_unit_of_their_effect(
    metric: str, low: float | None, high: float | None, text: str
) -> None:
    assert units.interval(metric, low, high) == text


@pytest.mark.parametrize(
    ("effect", "low", "high", "told"),
    [
        (0.72, 0.55, 0.91, ("+72 %", "+55 to +91 %")),
        (1.5, 0.9, 2.4, ("×2.5", "×1.9 to ×3.4")),
        (3.24, 2.5, 4.1, ("×4.2", "×3.5 to ×5.1")),
        (2.5, None, None, ("×3.5", "")),
    ],
)
def test_a_change_and_its_interval_are_told_on_one_scale(
    effect: float, low: float | None, high: float | None, told: tuple[str, str]
) -> None:
    assert units.scaled("cost_usd", effect, low, high) == told


def test_facts_survive_their_json() -> None:
    known = {
        "carriers": [{"dimension": "model", "value": "m", "part": 0.9}],
        "moved_with": [{"metric": "cost_usd", "direction": "up", "effect": 0.31}],
    }
    accept = {"decision": {"kind": "accept", "by": "ana", "day": str(DAY)}}
    found = facts(
        item(explanation=known, onset=date(2026, 2, 27)),
        item(item_id="2", intent_id="int_2", state="ongoing", opened=date(2026, 2, 20)),
        item(item_id="3", intent_id="int_3", state="accepted", closed=DAY, explanation=accept),
        observed=[watched(eligible=9, detectable=0.2)],
    )
    assert found.lines and found.ongoing and found.decided
    assert Facts.from_json(found.to_json()) == found
    with pytest.raises(ValueError, match="shape"):
        Facts.from_json({**found.to_json(), "shape": 1})


def test_an_intent_without_a_visible_name_goes_by_its_id() -> None:
    assert "**int\\_1**" not in markdown(facts(item(), names={"int_1": " \u200b"}))
    assert "**int_1**: typical latency up" in markdown(facts(item(), names={"int_1": " \u200b"}))
