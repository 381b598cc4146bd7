"""Attributes that steer the grouping, as they are read from the lake."""

from __future__ import annotations

import json

import pytest

from insights_pipeline.intents.attributes import COLUMNS, attribute_columns
from insights_pipeline.intents.embedding.spaces import WORDLLAMA, Space
from insights_pipeline.intents.stored import reservoir, samples, texts_of
from insights_pipeline.lake import DayRange, DuckDBEngine, rows_to_table
from tests.intents.streams import FIRST, trace

NAMES = ("app", "is_error", "metadata.plan", 'metadata.a/b~c\'s "x"')


@pytest.fixture
def space() -> Space:
    return WORDLLAMA.fit(["where is my parcel", "reset my password"] * 5)


@pytest.fixture
def filled(engine: DuckDBEngine) -> DuckDBEngine:
    rows = [
        {"app": "shop", "is_error": True, "metadata": json.dumps({"plan": "pro", 'a/b~c\'s "x"': 7})},
        {"app": "", "metadata": json.dumps({"plan": None})},
        {"app": "x" * 500, "is_error": False, "metadata": "{broken"},
        {"metadata": json.dumps(["plan"])},
    ]
    traces = [{**trace(FIRST, f"t{place}", "where is my parcel"), **row} for place, row in enumerate(rows)]
    engine.lake.append("traces", rows_to_table("traces", traces))
    return engine


EXPECTED = {
    "t0": ("shop", "true", "pro", "7"),
    "t1": (None, None, None, None),
    "t2": ("x" * 200, "false", None, None),
    "t3": (None, None, None, None),
}


def test_columns_and_keys_of_the_metadata_are_read_as_texts(filled: DuckDBEngine, space: Space) -> None:
    table = reservoir(filled, FIRST, seed=0, attributes=NAMES)
    of_day = samples(filled, DayRange.single(FIRST), space, per_day=9, seed=0, attributes=NAMES)[FIRST]
    for found in (texts_of(table, space), of_day):
        assert dict(zip(found.ids, found.attributes, strict=True)) == EXPECTED


def test_without_attributes_nothing_steers(filled: DuckDBEngine, space: Space) -> None:
    table = reservoir(filled, FIRST, seed=0)
    of_day = samples(filled, DayRange.single(FIRST), space, per_day=9, seed=0)[FIRST]
    assert texts_of(table, space).attributes == of_day.attributes == ()


@pytest.mark.parametrize(
    "name",
    [
        "nope",
        "",
        "metadata",
        "metadata.",
        "APP",
        "user_text",
        "messages",
        "latency_ms",
        "tags",
        'app" FROM x; --',
    ],
)
def test_a_name_that_cannot_steer_is_told_with_those_that_can(filled: DuckDBEngine, name: str) -> None:
    with pytest.raises(ValueError, match=r"take one of .*environment, service, app, release") as raised:
        reservoir(filled, FIRST, seed=0, attributes=["app", name])
    assert repr(name) in str(raised.value) and "metadata.KEY" in str(raised.value)


def test_keys_never_get_into_the_query() -> None:
    steering = attribute_columns(["metadata.x') FROM traces; DROP TABLE traces; --", "tenant_id"])
    assert "DROP" not in steering.expression
    assert steering.columns == ("metadata", "tenant_id")
    assert list(steering.params.values()) == ["/x') FROM traces; DROP TABLE traces; --"]


def test_columns_that_no_two_traces_share_do_not_steer() -> None:
    assert {"app", "environment", "service", "release", "user_id", "tenant_id", "primary_model"} <= set(
        COLUMNS
    )
    assert not {"trace_id", "user_text", "messages", "metadata", "start_ns", "cost_usd"} & set(COLUMNS)
