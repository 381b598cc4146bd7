from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from insights_pipeline.lake import (
    DayRange,
    DuckDBEngine,
    Lake,
    Slice,
    connect_with,
    engine_config,
    rows_to_table,
)
from insights_pipeline.lake.tables import TABLES

D1, D2, D3 = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)


def embeddings(day: date, *ids: str) -> pa.Table:
    return rows_to_table(
        "trace_embeddings", [{"date": day, "trace_id": i, "vector": b"\x00" * 4, "space": "s"} for i in ids]
    )


def ids(lake: Lake, days: DayRange | None = None) -> list[str]:
    return sorted(lake.read(Slice("trace_embeddings", days)).column("trace_id").to_pylist())


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_read_while_it_is_still_empty(
    lake: Lake, engine: DuckDBEngine, table: str
) -> None:
    assert lake.read(Slice(table)).schema.equals(TABLES[table].schema)
    assert engine.query(f"SELECT count(*) AS n FROM {table}", {table: Slice(table)}).to_pylist() == [{"n": 0}]


def test_replacing_a_day_twice_leaves_the_other_days_alone(lake: Lake) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a", "b"))
    lake.append("trace_embeddings", embeddings(D2, "c"))
    for _ in range(2):
        assert lake.replace(Slice("trace_embeddings", DayRange.single(D1)), lambda: embeddings(D1, "z")) == 1
    assert ids(lake) == ["c", "z"]
    assert ids(lake, DayRange.single(D2)) == ["c"]
    assert lake.days("trace_embeddings") == {D1, D2}


def test_replacing_a_day_with_nothing_empties_it(lake: Lake) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a"))
    lake.replace(Slice("trace_embeddings", DayRange.single(D1)), lambda: embeddings(D1))
    assert ids(lake) == []


def test_rows_outside_the_replaced_days_are_refused(lake: Lake) -> None:
    with pytest.raises(Exception, match="failed validation"):
        lake.replace(Slice("trace_embeddings", DayRange.single(D1)), lambda: embeddings(D2, "a"))
    assert ids(lake) == []


def test_an_append_between_read_and_replace_is_not_lost(lake: Lake) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a"))
    calls = 0

    def make() -> pa.Table:
        nonlocal calls
        calls += 1
        rows = lake.read(Slice("trace_embeddings", DayRange.single(D1)))
        if calls == 1:
            lake.append("trace_embeddings", embeddings(D1, "late"))
        return rows

    lake.replace(Slice("trace_embeddings", DayRange.single(D1)), make)
    assert calls == 2
    assert ids(lake) == ["a", "late"]


def test_commits_and_checkpoints_are_synced(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a"))
    folder = Path(lake.uri) / "trace_embeddings"
    DeltaTable(str(folder)).create_checkpoint()
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino))
    lake.sync("trace_embeddings", since=0.0)
    files = {path for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in files if "checkpoint" in path.name} == {
        "_last_checkpoint",
        "00000000000000000001.checkpoint.parquet",
    }
    assert {path for path in files if path.stat().st_ino not in synced} == set()


def test_the_log_tells_which_days_appends_touched_but_not_replacements(lake: Lake) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a"))
    version, days = lake.appended_days("trace_embeddings", after_version=-1)
    assert set(days) == {D1}
    lake.replace(Slice("trace_embeddings", DayRange.single(D2)), lambda: embeddings(D2, "b"))
    lake.append("trace_embeddings", embeddings(D3, "c"))
    newest, days = lake.appended_days("trace_embeddings", after_version=version)
    assert set(days) == {D3}
    assert lake.appended_days("trace_embeddings", after_version=newest) == (newest, {})


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_of_a_log_that_was_shortened_every_day_counts_as_appended(lake: Lake, kept: int) -> None:
    for day in (D1, D2, D3):
        lake.append("trace_embeddings", embeddings(day, "a"))
    complete = lake.appended_days("trace_embeddings", after_version=-1)
    folder = Path(lake.uri) / "trace_embeddings"
    DeltaTable(str(folder)).create_checkpoint()
    for version in range(4 - kept):
        (folder / "_delta_log" / f"{version:020}.json").unlink()
    newest, days = lake.appended_days("trace_embeddings", after_version=-1)
    assert (newest, set(days)) == (3, {D1, D2, D3})
    assert all(moment >= complete[1][day] for day, moment in days.items())
    assert lake.appended_days("trace_embeddings", after_version=3) == (3, {})


def test_a_folder_with_a_blank_and_an_umlaut_in_its_name_can_hold_a_lake(tmp_path) -> None:
    lake = Lake(str(tmp_path / "my lüke"))
    engine = DuckDBEngine(
        lake, connect_with(engine_config(threads=1, memory_mb=128, temp_dir=tmp_path / "t"))
    )
    lake.append("trace_embeddings", embeddings(D1, "a"))
    rows = engine.query("SELECT trace_id FROM t", {"t": Slice("trace_embeddings")}).to_pylist()
    assert rows == [{"trace_id": "a"}]
    with pytest.raises(ValueError, match="rename the folder"):
        Lake(str(tmp_path / "100%"))


def test_a_query_written_by_the_engine_reads_and_replaces_its_own_table(
    lake: Lake, engine: DuckDBEngine
) -> None:
    lake.append("trace_embeddings", embeddings(D1, "a", "a", "b"))
    day = Slice("trace_embeddings", DayRange.single(D1))
    rows = engine.write("SELECT DISTINCT * FROM t", {"t": day}, day)
    assert rows == 2
    assert ids(lake) == ["a", "b"]


def test_a_column_added_by_a_release_reads_as_null_in_old_rows(
    lake: Lake, engine: DuckDBEngine, tmp_path
) -> None:
    from deltalake import DeltaTable, write_deltalake

    old = embeddings(D1, "a").drop_columns(["space"])
    write_deltalake(f"{lake.uri}/trace_embeddings", old, partition_by=["date"])
    assert lake.read(Slice("trace_embeddings")).column("space").to_pylist() == [None]
    lake.append("trace_embeddings", embeddings(D2, "b"))
    rows = engine.query(
        "SELECT trace_id, space FROM t ORDER BY 1", {"t": Slice("trace_embeddings")}
    ).to_pylist()
    assert rows == [{"trace_id": "a", "space": None}, {"trace_id": "b", "space": "s"}]
    assert DeltaTable(f"{lake.uri}/trace_embeddings").version() == 2


def test_chunks_keep_days_whole_and_files_together_below_the_limit(lake: Lake) -> None:
    for day in (D1, D2, D3):
        lake.append("trace_embeddings", embeddings(day, "a"))
    days = DayRange(D1, D3)
    assert lake.chunks("trace_embeddings", days) == [days]
    assert lake.chunks("trace_embeddings", days, max_bytes=1) == [DayRange.single(day) for day in days]


def test_maintenance_compacts_settled_days_and_keeps_the_rows(lake: Lake) -> None:
    for name in "abc":
        lake.append("trace_embeddings", embeddings(D1, name))
    report = lake.maintain("trace_embeddings", retention_days=7, now=date(2026, 3, 9))
    assert (report["files_before"], report["files_after"]) == (3, 1)
    assert ids(lake) == ["a", "b", "c"]


def test_a_cadence_is_replaced_without_touching_the_other_of_the_same_day(lake: Lake) -> None:
    for cadence in ("daily", "weekly"):
        rows = rows_to_table("briefs", [{"date": D1, "cadence": cadence, "headline": cadence}])
        lake.replace(Slice("briefs", DayRange.single(D1), cadence=cadence), lambda rows=rows: rows)
    assert sorted(lake.read(Slice("briefs")).column("headline").to_pylist()) == ["daily", "weekly"]
    assert lake.read(Slice("briefs", cadence="daily")).column("headline").to_pylist() == ["daily"]
