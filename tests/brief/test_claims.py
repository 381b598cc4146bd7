"""What a language model says of a brief is believed only where the facts say it."""

from __future__ import annotations

import pytest

from insights_pipeline.brief.claims import Source, unsupported
from insights_pipeline.brief.summary import source_of
from tests.brief.made import facts, item

SOURCE = source_of(
    facts(
        item(
            explanation={
                "carriers": [{"dimension": "model", "value": "gpt-4.1-mini", "part": 0.82}],
                "coincident": [{"dimension": "release", "value": "2026.3", "first_seen": "2026-03-01"}],
            }
        ),
        item(item_id="drf_2", intent_id="int_2", metric="error_rate", effect=0.051, effect_low=0.02,
             effect_high=0.08, baseline_value=0.012, observed=0.063, traffic_share=0.11, n=1_234),
    ),
    str,
)  # fmt: skip
CHECKED = 'Typical latency of "Where is my order" rose +72 %, from 1.8 s to 3.1 s.'


@pytest.mark.parametrize(
    "sentence",
    [
        CHECKED,
        'Latency of "Where is my order" is up 72% since 2 March (95 % interval +55 to +91 %).',
        'On “Where is my order”, latency grew from 1800 ms to 3100 ms over 840 traces, 20% of traffic.',
        'The error rate of "Refund status" rose +5.1 pp over 1,234 traces, or 5.1 percentage points.',
        'Both "Where is my order" (+72 %) and "Refund status" (+5.1 pp) got worse on Monday 2 March 2026.',
        "There are 2 new changes this day among 642 traces.",
        "There are two new changes this day.",
        '"Where is my order" is carried by gpt-4.1-mini (82 % of it), on the same days as release 2026.3.',
        'Since 2026-03-02, "Where is my order" is slower by 0.72e2 %.',
    ],
)  # fmt: skip
def test_what_stands_in_the_facts_is_believed(sentence: str) -> None:
    assert unsupported([sentence], SOURCE) is None


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ('Latency of "Where is my order" rose +73 %.', "number"),
        ('Latency of "Where is my order" rose about 70 %.', "number"),
        ('Latency of "Where is my order" rose 7.2 %.', "number"),
        ('Latency of "Where is my order" rose 72 pp.', "number"),
        ('Latency of "Where is my order" fell -72 %.', "number"),
        ('Latency of "Where is my order" rose from 1.8 ms to 3.1 ms.', "number"),
        ('Latency of "Where is my order" rose to 3 minutes.', "number"),
        ('Latency of "Where is my order" is 0 %.', "number"),
        ('Latency of "Where is my order" nearly doubled.', "number"),
        ('Latency of "Where is my order" rose in five traces.', "number"),
        ('The error rate of "Refund status" rose +72 %.', "number"),
        ("Latency rose +72 %.", "number"),
        ('Latency of "Where is my order" rose since 3 March.', "date"),
        ('Latency of "Where is my order" rose since Mar 2, 2025.', "date"),
        ('Latency of "Where is my order" rose since Tuesday.', "date"),
        ('Latency of "Where is my order" rose in drf_9f3a.', "id"),
        ('"Where is my order" is carried by gpt-4.1.', "id"),
        ('"Where is my order" is carried by gpt-5-mini.', "id"),
        ('See deadbeef0 for "Where is my order".', "id"),
        ('Latency of "Where is my parcel" rose +72 %.', "name"),
        ('All is well, says the Chief Happiness Officer, on "Where is my order".', "name"),
        ('Latency of "Where is my order" rose +72 % because of release 2026.3.', "cause"),
        ('Release 2026.3 caused "Where is my order" to slow down.', "cause"),
        ('Latency of "Where is my order" dropped.', "direction"),
        ('Latency of "Where is my order" rose, but all is fine.', "opinion"),
        ('Please restart "Where is my order".', "opinion"),
        ('There are no problems with "Refund status".', "opinion"),
        ('See http://evil.com for "Where is my order".', "link"),
        ("", "shape"),
        ("One. Two. There are more.", "shape"),
        ("x" * 400, "shape"),
    ],
)  # fmt: skip
def test_what_does_not_stand_in_the_facts_is_not(sentence: str, why: str) -> None:
    assert unsupported([sentence], SOURCE) == why


def test_a_sentence_without_a_name_goes_on_about_the_names_before_it() -> None:
    after = "It covers 840 traces since 2 March."
    assert unsupported([CHECKED, after], SOURCE) is None
    assert unsupported([after], SOURCE) == "number"
    assert unsupported(['"Refund status" has more errors.', after], SOURCE) == "number"


def test_a_number_may_be_rounded_but_not_sharpened() -> None:
    source = Source("latency +72.46 %", {})
    assert unsupported(["It is +72 %."], source) is None
    assert unsupported(["It is +72.5 %."], source) is None
    assert unsupported(["It is +72.4 %."], source) == "number"
    assert unsupported(["It is +72.461 %."], source) == "number"


def test_a_change_that_is_over_may_be_said_to_be_down() -> None:
    over = source_of(facts(item(state="resolved", closed=facts().first)), str)
    assert unsupported(['Latency of "Where is my order" is down to normal again.'], over) is None
