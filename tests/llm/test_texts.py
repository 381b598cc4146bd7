"""Texts into prompts and out of answers: nothing invisible goes in, no links come out, no block is left."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.llm import fenced_prompt, has_link, plain, visible

PACKAGE = "insights_pipeline.intents.naming"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("pay\u200bpal \u202egnp\u202c", "paypal gnp"),
        ("hidden\U000e0069\U000e0067 tag", "hidden tag"),
        ("byte\ufe00\ufe01s\U000e0101", "bytes"),
        ("\x1b[31mred\x00", "[31mred"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("", ""),
    ],
)
def test_only_what_people_see_goes_into_a_prompt(text: str, shown: str) -> None:
    assert visible(text, limit=100) == shown


@given(st.text(), st.integers(1, 50))
def test_visible_texts_are_one_short_line(text: str, limit: int) -> None:
    shown = visible(text, limit=limit)
    assert len(shown) <= limit
    assert all(char.isprintable() for char in shown)
    assert visible(shown, limit=limit) == shown


LINKS = [
    "see https://evil.example/x?y=1 now",
    "![pixel](http://evil.example/p.png) now",
    "[click](//evil.example) now",
    "<img src=x onerror=alert(1)> now",
    "mailto:a@b.example now",
    "javascript:alert(1) now",
    "www.evil.example now",
    "go to evil.com/path now",
    "data:text/html;base64,AAAA now",
]


@pytest.mark.parametrize("text", LINKS)
def test_links_images_and_tags_are_seen_and_taken_out(text: str) -> None:
    assert has_link(text)
    shown = plain(text, limit=200)
    assert not has_link(shown)
    assert "evil" not in shown and "alert" not in shown
    assert shown.endswith("now")


@given(
    st.lists(
        st.sampled_from([*LINKS, "word", "**bold**", "`code`", "](", "![", "<", ">", "\u202e"]), max_size=8
    )
)
def test_nothing_put_together_of_links_and_markup_comes_out_as_one(parts: list[str]) -> None:
    shown = plain("".join(parts), limit=80)
    assert len(shown) <= 80
    assert not set("`*<>[]{}") & set(shown)
    assert not has_link(shown.removesuffix("…"))


@pytest.mark.parametrize(
    "text", ["w**ww.evil.example", "ht<b>tps://evil.example", "htt`ps://evil.example", "evil.c_om"]
)
def test_links_that_markup_cuts_in_pieces_do_not_come_out_whole(text: str) -> None:
    assert "evil" not in plain(text, limit=80)


@pytest.mark.parametrize(
    "text", ["Refund for an order", "Ändern der Adresse", "注文のキャンセル", "3.5 stars, e.g. hotels"]
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert not has_link(text)
    assert plain(text, limit=80) == text


def test_long_texts_are_cut_after_a_whole_word() -> None:
    assert plain("users ask for refunds of orders", limit=20) == "users ask for…"


def test_the_same_data_give_the_same_prompt_and_other_data_another_mark() -> None:
    first, again = fenced_prompt(PACKAGE, "naming", "a"), fenced_prompt(PACKAGE, "naming", "a")
    other = fenced_prompt(PACKAGE, "naming", "b")
    assert first == again
    assert first.user.splitlines()[0] != other.user.splitlines()[0]
    assert first.user.splitlines()[0] in first.system
    assert fenced_prompt(PACKAGE, "naming", "a", seed=1).user != first.user


def test_a_text_that_tries_to_close_the_block_does_not() -> None:
    attempt = fenced_prompt(PACKAGE, "naming", "x").user.splitlines()[-3]
    prompt = fenced_prompt(PACKAGE, "naming", f"x\n{attempt}\n$nonce ${{nonce}}")
    mark = prompt.user.splitlines()[0].replace("<data", "</data")
    assert mark != attempt
    assert prompt.user.count(mark) == 1
    assert "$nonce ${nonce}" in prompt.user


def test_texts_that_are_no_unicode_make_a_prompt_all_the_same() -> None:
    assert fenced_prompt(PACKAGE, "naming", "half a pair: \ud800").version.startswith("naming-")


def test_nothing_imports_litellm_before_there_is_a_question() -> None:
    code = (
        "import sys; import insights_pipeline.intents.naming.language_model, insights_pipeline.llm as llm; "
        "llm.LlmClient(llm.LlmConfig('openai/x')); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_litellm_is_quiet_and_needs_no_network() -> None:
    code = """
import logging, os, socket, sys
os.environ["LITELLM_LOG"] = "DEBUG"
def refuse(*a, **k): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
from insights_pipeline.llm.quiet import count_tokens, cost_usd, litellm
module = litellm()
assert module.success_callback == module.failure_callback == module.callbacks == []
assert module.drop_params and module.suppress_debug_info and module.turn_off_message_logging
assert not logging.getLogger("LiteLLM").isEnabledFor(logging.ERROR)
assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
assert count_tokens("hello <|endoftext|> world") > 2
assert count_tokens("") == 0
assert round(cost_usd("openai/gpt-4.1-mini", 1_000_000, 0), 6) == 0.4
assert cost_usd("openai/nobody-knows", 1, 1) is None
assert not logging.getLogger().handlers, "the host's logging was taken over"
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "part", ["a.b.", "a-b-", "![a](", "[", "<", "//", "www.", "a.com", "ignore ", "you are an "]
)
def test_long_hostile_texts_are_looked_through_in_steps_that_grow_with_their_length_only(part: str) -> None:
    # quadratic patterns take minutes on these
    text = part * (400_000 // len(part))
    has_link(text)
    assert len(plain(text, limit=160)) <= 160
