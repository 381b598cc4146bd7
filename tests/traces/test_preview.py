from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from insights_pipeline.traces import preview
from insights_pipeline.traces.exports import rows
from insights_pipeline.traces.exports.mapping import built_in
from insights_pipeline.traces.preview import preview_paths, shown, sorted_by_count
from tests.traces.otlp_cases import NOW, make_span, request


def chat(number: int, **more: Any) -> str:
    messages = [{"role": "user", "content": f"q {number}"}, {"role": "assistant", "content": "a"}]
    return json.dumps({"messages": messages, "model": "gpt-4.1", **more})


def test_a_preview_says_what_each_format_would_become(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text("\n".join([chat(1, channel="web\x1b[31m"), "oops", chat(2)]))
    (tmp_path / "spans.pb").write_bytes(
        request(
            make_span({"gen_ai.operation.name": "chat", "odd.key": "x"}), make_span(span_id=b"")
        ).SerializeToString()
    )
    (tmp_path / "odd.json").write_text('{"a": 1}')
    found = {one.format: one for one in preview_paths([tmp_path], now_ns=NOW, at_ns=NOW)}
    assert set(found) == {"openai-chat", "otlp", "unknown"}
    chats = found["openai-chat"]
    assert (chats.files, chats.records, chats.spans, chats.traces, chats.rejects) == (1, 5, 4, 2, 1)
    assert (chats.fields["model"].count, chats.fields["model"].example) == (2, "gpt-4.1")
    assert (chats.fields["session_id"].count, chats.fields["input_text"].example) == (4, "q 1")
    assert "cost_usd" not in chats.fields
    assert "end_ns" not in chats.fields
    assert {key: (seen.count, seen.example) for key, seen in chats.unmapped.items()} == {
        "channel": (1, "web [31m"),
        "insights.undated": (2, "true"),
    }
    assert [(reason, seen.count) for reason, seen in chats.reasons.items()] == [("the line is not JSON", 1)]
    assert chats.reasons["the line is not JSON"].example.startswith("chats.jsonl, line 2: ")
    assert found["otlp"].unmapped["odd.key"].example == "x"
    assert found["otlp"].fields["start_ns"].example == "2026-03-01T12:00:01+00:00"
    assert (found["otlp"].spans, found["otlp"].rejects) == (1, 1)
    unknown = found["unknown"].reasons["the format is not recognised"]
    assert unknown.example.endswith("say with --map map.toml where the fields are. Its fields: a.")


def test_only_the_first_records_of_a_format_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("\n".join(chat(number) for number in range(5_000)))
    given = 0
    real = rows.json_values

    def counted(window: Any) -> Any:
        nonlocal given
        for value in real(window):
            given += 1
            yield value

    monkeypatch.setattr(rows, "json_values", counted)
    [found] = preview_paths([tmp_path], now_ns=NOW, at_ns=NOW)
    assert (found.files, found.records) == (2, preview.SAMPLE)
    assert given < 200


def test_a_mapping_can_be_tried(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(
        json.dumps([{"traj": [{"role": "user", "content": "q"}], "spare": 1}])
    )
    [found] = preview_paths([tmp_path], now_ns=NOW, at_ns=NOW, mapping=built_in("tau_bench"))
    assert (found.format, found.spans) == ("map tau-bench run", 1)
    assert list(found.unmapped) == ["spare", "insights.undated"]


def test_examples_are_short_and_obey_no_terminal() -> None:
    assert shown("a\x1b]0;x\x07\nb\u202e") == "a ]0;x  b"
    assert len(shown("x" * 1_000)) == preview.MAX_EXAMPLE_CHARS
    assert shown({"a": [1]}) == '{"a":[1]}'


def test_the_most_frequent_come_first() -> None:
    found = {"rare": preview.Presence(1, ""), "often": preview.Presence(9, "")}
    assert [key for key, _ in sorted_by_count(found)] == ["often", "rare"]
