"""docs/imports.md says what there is: formats, mappings that parse, every key of a mapping and no other."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest

from insights_pipeline.traces.exports.detect import AUTO, EMPTY, FORMATS, UNKNOWN, open_records
from insights_pipeline.traces.exports.mapping import (
    OPENAI_CHAT,
    Fields,
    Mapping,
    MessageFields,
    Steps,
    built_in,
    built_in_names,
    parse_mapping,
)
from insights_pipeline.traces.records import RawSpan, Score
from insights_pipeline.traces.table import Batch

PAGE = (Path(__file__).parents[1] / "docs" / "imports.md").read_text()
MAPPINGS = [match[1] for match in re.finditer(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
NOW = 1_796_000_000 * 1_000_000_000
_PARTS = {"[fields]": Fields, "[message]": MessageFields, "[steps]": Steps}


def documented(heading: str) -> dict[str, str]:
    """The keys in the first column of the table under a heading, each with the rest of its row."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in table.splitlines()[2:]]
    return {key: rest for keys, rest in rows for key in re.findall(r"`([a-z_]+)`", keys)}


def test_the_page_has_the_mappings_that_are_tested_here() -> None:
    assert len(MAPPINGS) == 3


@pytest.mark.parametrize("toml", MAPPINGS)
def test_every_mapping_on_the_page_is_one(toml: str) -> None:
    assert isinstance(parse_mapping(toml.encode(), source="docs/imports.md"), Mapping)


def test_every_key_of_a_mapping_is_on_the_page_and_no_other() -> None:
    assert set(documented("key")) == set(Mapping.model_fields)
    for heading, part in _PARTS.items():
        assert set(documented(f"`{heading}`")) == set(part.model_fields), heading


def test_defaults_are_those_on_the_page() -> None:
    rows, mapping = documented("key"), parse_mapping(b'[fields]\nmessages = "m"', source="x")
    for name in ("name", "unit", "duration_unit"):
        assert rows[name].startswith(f'`"{getattr(mapping, name)}"`')
    assert rows["zero_cost_is_unknown"].startswith("`true`") is mapping.zero_cost_is_unknown
    assert rows["records"].startswith("| ") and mapping.records == []
    message = documented("`[message]`")
    assert message["role"].startswith("`role`, `content`")
    assert (mapping.message.role, mapping.message.content) == (["role"], ["content"])
    assert message["tool_name"].startswith("`name`, `tool_call_id`")
    assert (mapping.message.tool_name, mapping.message.tool_call_id) == (["name"], ["tool_call_id"])


def test_every_format_and_built_in_mapping_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \| [^|]+\| [^|]+\| `insights", PAGE, re.MULTILINE)) == set(
        FORMATS
    ) - {AUTO}
    assert f"`{EMPTY}`" in PAGE and f"`{UNKNOWN}`" in PAGE
    for name in set(built_in_names()) - {OPENAI_CHAT}:
        assert f"`--map {name}`" in PAGE


def test_the_benchmark_on_the_page_is_what_the_built_in_mapping_says() -> None:
    own, whole = parse_mapping(MAPPINGS[1].encode(), source="x"), built_in("tau2_bench")
    assert (own.name, own.unit, own.records) == (whole.name, whole.unit, whole.records)
    assert (own.message.call_when, own.message.skip_when) == (
        whole.message.call_when,
        whole.message.skip_when,
    )
    for name in own.fields.model_fields_set:
        assert getattr(own.fields, name) == getattr(whole.fields, name), name
    assert own.scores == whole.scores and own.constants == whole.constants


def test_the_table_on_the_page_becomes_what_its_dry_run_shows() -> None:
    table = re.search(r"```\n(asked at;.*?)```", PAGE, re.DOTALL)
    assert table is not None
    second = "2026-02-03 15:20;Please send the invoice;It is in your mailbox.;c-18;2,25;0.0009;gpt-4o;2;app\n"
    mapping = parse_mapping(MAPPINGS[0].encode(), source="x")
    body = BytesIO((table[1] + second).encode())
    records = list(open_records(body, name="chats.csv", base_ns=NOW, mapping=mapping).records)
    batch = Batch(NOW, 100_000)
    for record in records:
        batch.add(record, "chats.csv")
    assert batch.rejects == []
    assert (sum(isinstance(record, RawSpan) for record in records), len(batch.scores)) == (4, 2)
    assert sum(isinstance(record, Score) for record in records) == 2
    first, _, later, _ = batch.rows
    assert (first.user_id, first.input_text, first.start_ns) == (
        "c-17", "Where is my parcel?", 1_770_127_500_000_000_000,
    )  # fmt: skip
    assert first.end_ns == first.start_ns + 1_500_000_000
    assert (first.attributes, later.attributes) == (
        b'{"channel":"web"}',
        b'{"channel":"app","seconds":"2,25"}',
    )


def test_the_page_names_no_machine() -> None:
    assert not re.search(r"(?<![a-z.`])/(?:work|tmp|home|root)/", PAGE)
