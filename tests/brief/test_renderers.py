"""HTML, Slack, mail and JSON of the same facts: within limits, and with nothing of a trace as markup."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from insights_pipeline.brief.facts import Facts
from insights_pipeline.brief.html import html
from insights_pipeline.brief.links import Links
from insights_pipeline.brief.markdown import markdown
from insights_pipeline.brief.plain import plain_text, subject
from insights_pipeline.brief.slack import MAX_BLOCKS, MAX_HEADER, MAX_TEXT, blocks, escape, fallback
from tests.brief.made import DAY, facts, item, watched

LINKS = Links("http://ui:3000")
HOSTILE = [
    "<script>alert(1)</script>",
    "<!channel> <!here> @here @channel <@U123> <#C1|x>",
    "[click](javascript:alert(1)) ![x](http://evil.com/y.png)",
    "*bold* _it_ ~no~ `code` & &amp; |",
    "line\nbreak\r\n# heading\n- item\n1. one\n> quote\n---",
    "\u202egnp.exe \x1b[31m \u200b \x00",
    "http://evil.com www.evil.org bo@evil.net",
    '\'"onmouseover=alert(1) x="',
    "{{ 7 * 7 }} {% raw %} %s {0} $x",
    "]]><![CDATA[ --> <!-- -->",
]


def many(names: list[str], **changes: Any) -> Facts:
    """Ten lines and as many open ones, each with all that a line can say, of hostile texts."""

    def one(at: int, text: str, state: str) -> dict[str, Any]:
        return item(
            item_id=f"drf_{state}{at}",
            intent_id=f"{state}{at}",
            state=state,
            opened=DAY if state == "new" else date(2026, 2, 20),
            slice=f"tenant={text}" if at % 2 else None,
            traffic_share=0.01 * at,
            severity="critical",
            onset=date(2026, 2, 27),
            onset_first=date(2026, 2, 20),
            onset_last=date(2026, 3, 1),
            shape="ramp",
            trace_ids=[text * 3, "a" * 500],
            baseline_trace_ids=[text],
            explanation={
                "carriers": [{"dimension": text, "value": text * 40, "part": 0.9}],
                "coincident": [{"dimension": "release", "value": text * 40, "first_seen": "2026-03-01"}],
                "moved_with": [
                    {"metric": f"score:{text * 20}{n}", "direction": "up", "effect": 0.1} for n in range(5)
                ],
            },
            **changes,
        )

    items = [
        one(at, text, state) for state in ("new", "ongoing") for at, text in enumerate((names * 12)[:12])
    ]
    return facts(
        *items,
        names={row["intent_id"]: (names * 12)[at % 12] * 30 for at, row in enumerate(items)},
        observed=[watched(eligible=500, coverage_moved=3)],
        events=[
            {"kind": "renamed", "intent_id": "a", "name": text, "from": text, "to": text * 9, "by": text}
            for text in names
        ],
    )


def texts(found: list[dict[str, Any]]) -> Iterator[str]:
    for block in found:
        for part in [block.get("text"), *block.get("elements", ())]:
            if part is not None:
                yield part["text"]


def test_ten_maximal_hostile_lines_stay_within_slacks_limits() -> None:
    found = many(HOSTILE)
    assert len(found.lines) == 10 and len(found.ongoing) == 12
    made = blocks(found, links=LINKS, summary="s" * 900)
    assert len(made) <= MAX_BLOCKS
    assert all(0 < len(text) <= MAX_TEXT for text in texts(made))
    header = made[0]["text"]
    assert header["type"] == "plain_text" and len(header["text"]) <= MAX_HEADER
    assert len(json.dumps(made)) < 100_000
    assert all(len(block["elements"]) <= 10 for block in made if block["type"] == "context")
    assert len(fallback(found)) <= MAX_TEXT


def test_nothing_of_a_trace_pings_a_channel_or_makes_a_link_in_slack() -> None:
    for text in texts(blocks(many(HOSTILE), links=LINKS)):
        for inside in re.findall(r"<([^>]*)>", text):
            assert inside == "http://ui:3000/assets/daily_brief?partition=2026-03-02|Open in Dagster"
        assert not re.search(r"@\w", text) and "://" not in text.replace("http://ui:3000", "")
        assert not re.search(r"&(?!(?:amp|lt|gt);)", text)
    assert fallback(facts(item(), names={"int_1": "<!channel> @here"})).count("<") == 0


def test_slack_marks_of_a_trace_are_look_alikes_and_names_of_tools_stay() -> None:
    assert escape("*a* ~b~ `c` _d_ get_order & <e>") == "∗a∗ ∼b∼ ˋcˋ ＿d＿ get_order &amp; &lt;e&gt;"


def test_slack_is_cut_before_an_entity_not_in_it() -> None:
    from insights_pipeline.brief.slack import _cut

    assert _cut("a" * 7 + "&amp;bcd", 10) == "a" * 7 + "…"


_VOID = {"meta", "br", "line", "circle"}
_TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "p", "table", "tr", "td", "span", "strong", "div", "code",
    "br", "svg", "line", "circle", "a",
}  # fmt: skip


class Outline(HTMLParser):
    """All tags must be ours and closed in order; the text is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.said.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def assert_calm(page: str) -> Outline:
    parsed = outline(page)
    assert len(page.encode()) < 100_000
    for name, value in parsed.attributes:
        assert not name.startswith("on") and name not in ("src", "srcset", "style", "action"), name
        assert name != "href" or value == LINKS.brief("daily", DAY)
    assert "url(" not in page and "@import" not in page and "<script" not in page
    return parsed


def test_the_page_is_well_formed_small_and_loads_nothing() -> None:
    found = many(HOSTILE)
    said = " ".join(assert_calm(html(found, links=LINKS, summary="Two <b>sentences</b>.")).said)
    assert "Two <b>sentences</b>." in said and "<script>alert(1)</script>" in said
    assert not re.search(r"://|@\w|\w\.(?:com|org|net)\b", said.replace("http://ui:3000", ""))


def assert_literal(found: Facts) -> None:
    """The markdown has our blocks and our one link, as a CommonMark parser with tables and strikethrough reads it."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(markdown(found, links=LINKS, summary="# 1. A *summary* <b>of</b> [a model](x)"))
    inline = [child for token in tokens for child in token.children or ()]
    kinds = Counter(token.type for token in (*tokens, *inline))
    bold = 2 * len(found.lines) - sum(line.effect is None for line in found.lines)
    assert (kinds["heading_open"], kinds["link_open"], kinds["strong_open"]) == (1, 1, bold)
    assert kinds["list_item_open"] == len(found.lines) + bool(found.more)
    assert kinds["blockquote_open"] == 1
    for kind in (
        "em_open",
        "s_open",
        "image",
        "html_block",
        "html_inline",
        "table_open",
        "hr",
        "fence",
        "code_block",
    ):
        assert not kinds[kind], kind


def test_no_name_is_markup_to_a_parser_of_markdown() -> None:
    assert_literal(many(HOSTILE))


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_name_breaks_out_of_any_format(names: list[str]) -> None:
    found = many(names)
    assert_calm(html(found, links=LINKS))
    made = blocks(found, links=LINKS)
    assert len(made) <= MAX_BLOCKS and all(len(text) <= MAX_TEXT for text in texts(made))
    for text in texts(made):
        assert len(re.findall(r"<", text)) == text.count("|Open in Dagster>")
    assert_literal(found)
    assert "\n" not in subject(found) and "\r" not in subject(found)
    assert Facts.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_an_interval_is_drawn_and_said_in_words() -> None:
    page = html(facts(item()))
    assert 'role="img" aria-label="+72 %, 95 % interval +55 to +91 %"' in page
    assert "<svg" not in html(facts(item(effect_low=None, effect_high=None)))


def test_the_subject_of_a_mail_is_one_short_line_for_every_status() -> None:
    assert subject(facts(item())).startswith("Insights, Mon 2 Mar: 1 new change: Where is my order, typical")
    assert subject(facts()) == "Insights, Mon 2 Mar: nothing significant changed"
    assert subject(facts(traces=0)) == "Insights, Mon 2 Mar: no traces arrived"
    assert "learning (20 of 500)" in subject(facts(model={"status": "learning", "traces_seen": 20}))
    weekly = facts(cadence="weekly", last=date(2026, 3, 8))
    assert subject(weekly) == "Insights, week of 2 Mar: nothing significant changed"
    evil = subject(facts(item(), names={"int_1": "a\r\nBcc: all@evil.com\r\n" + "x" * 400}))
    assert len(evil) <= 150 and "\r" not in evil and "\n" not in evil


def test_the_text_of_a_mail_says_what_the_page_says() -> None:
    text = plain_text(facts(item(), item(item_id="2", intent_id="int_2", state="ongoing")), links=LINKS)
    for part in (
        "Monday 2 March 2026",
        "1. ! [new, high] Where is my order: typical latency up +72 %, since 2 Mar",
        "1.8 s → 3.1 s, 95 % +55 to +91 %",
        "insights drift show drf_1",
        "Still open (1): Refund status, typical latency up +72 % since 2 Mar.",
        "Traffic: 642 traces (usual 600)",
        "http://ui:3000/assets/daily_brief?partition=2026-03-02",
    ):
        assert part in text, text


@pytest.mark.parametrize("model", [{"status": "learning", "traces_seen": 20}, None])
def test_every_format_has_something_to_say_while_nothing_is_known(model: dict[str, Any] | None) -> None:
    young = facts(model=model, observed=[])
    assert "learning" in plain_text(young) and "learning" in html(young)
    assert "learning" in fallback(young) and len(blocks(young)) >= 2
