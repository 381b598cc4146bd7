from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights_pipeline.traces.exports.paths import check_path, first_key, lookup
from insights_pipeline.traces.exports.times import duration_ns, time_ns

NOON = 1_772_366_400_000_000_000  # 2026-03-01T12:00:00Z
RECORD: dict[str, Any] = {
    "a": {"b": [{"c": 1}, {"c": None}, {"c": 3}], "x.y": 5},
    "context.span_id": "s",
    "text": '{"inner": {"deep": 7}}',
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[0].c", 1),
        ("a.b[-1].c", 3),
        ("a.b[*].c", [1, 3]),
        ("a.b[9].c", None),
        ("a.x.y", 5),
        ("context.span_id", "s"),
        ("text.inner.deep", 7),
        ("a.b.c", None),
        ("nowhere", None),
        ("$.top.model", "m"),
    ],
)
def test_a_path_finds_its_value(path: str, value: Any) -> None:
    assert lookup(RECORD, check_path(path), {"top": {"model": "m"}}) == value


@pytest.mark.parametrize("path", ["", "a[", "a[x]", "a..b", ".a", "a.", "a b[", "$"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        check_path(path)


def test_the_first_key_of_a_path_is_what_it_uses_of_a_record() -> None:
    assert [first_key(path) for path in ("a.b[0].c", "a[*]", "plain", "$.info.model")] == [
        "a",
        "a",
        "plain",
        "",
    ]


@pytest.mark.parametrize(
    "value",
    [
        1_772_366_400,
        1_772_366_400.0,
        "1772366400",
        1_772_366_400_000,
        1_772_366_400_000_000,
        NOON,
        str(NOON),
        "2026-03-01T12:00:00Z",
        "2026-03-01 12:00:00",
        "2026-03-01 12:00:00.000 UTC",
        "2026-03-01T13:00:00+01:00",
        datetime(2026, 3, 1, 12),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    ],
)
def test_a_time_is_read_in_whatever_unit_it_is_written(value: object) -> None:
    assert time_ns(value) == NOON


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -5, float("nan"), float("inf"), "soon", "", [], {}, 1e300, 1e308, 10**400, "1" * 400],
)
def test_what_is_no_time_is_missing(value: object) -> None:
    assert time_ns(value) is None


def test_a_unit_and_a_form_may_be_named() -> None:
    assert time_ns(1_772_366_400, unit="s") == NOON
    assert time_ns(5, unit="ms") == 5_000_000
    assert time_ns("01.03.2026 12:00", form="%d.%m.%Y %H:%M") == NOON
    assert time_ns("2026-03-01", form="%d.%m.%Y") is None


def test_microseconds_are_exact() -> None:
    assert time_ns("2026-03-01T12:00:00.123457Z") == NOON + 123_457_000
    assert time_ns(1_772_366_400.123457) == NOON + 123_457_000


@pytest.mark.parametrize(
    ("value", "unit", "ns"),
    [(1.5, "s", 1_500_000_000), ("250", "ms", 250_000_000), (2, "min", 120_000_000_000), (-1, "s", None)]
    + [(value, "s", None) for value in ("x", None, True, float("nan"), 1e300)],
)
def test_a_duration_is_read_in_its_unit(value: object, unit: str, ns: int | None) -> None:
    assert duration_ns(value, unit) == ns


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["a", "a.b", "a[*].b", "a[0]", "$.x[*].y"]))
def test_any_value_may_be_looked_into(value: Any, path: str) -> None:
    lookup(value, path, value)
    time_ns(value)
    duration_ns(value, "ms")
