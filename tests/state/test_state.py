"""What people edit, in SQLite; in Postgres too where `INSIGHTS_TEST_POSTGRES` names a server."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from insights_pipeline.state import (
    State,
    StateError,
    StoredAnswers,
    add_intent_edit,
    intent_edits,
    undo_intent_edit,
)
from insights_pipeline.state.tables import METADATA, SCHEMA, VERSIONS


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/deep/state.db"
        return
    server = os.environ.get("INSIGHTS_TEST_POSTGRES")
    if not server:
        pytest.skip("INSIGHTS_TEST_POSTGRES names no server")
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    name = f"insights_test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def rename(state: State, name: str = "Parcels") -> int:
    return add_intent_edit(state, at_ns=7, by="ana", kind="rename", payload={"name": name}).edit_id


def test_an_edit_comes_back_as_it_was_stored_and_stays_when_undone(url: str) -> None:
    first, second = rename(State(url)), rename(State(url), "返品 \x00 “x”")
    undone = undo_intent_edit(State(url), first, at_ns=9, by="bo")
    stored = intent_edits(State(url))
    assert stored[0] == undone and (undone.undone_at_ns, undone.undone_by) == (9, "bo")
    assert [(edit.edit_id, edit.at_ns, edit.by, edit.kind) for edit in stored] == [
        (first, 7, "ana", "rename"),
        (second, 7, "ana", "rename"),
    ]
    assert stored[1].payload == {"name": "返品 \x00 “x”"} and stored[1].undone_by is None


def test_an_edit_is_undone_once_and_only_if_it_is_there(url: str) -> None:
    state = State(url)
    number = rename(state)
    undo_intent_edit(state, number, at_ns=9, by="bo")
    with pytest.raises(StateError, match="undone already"):
        undo_intent_edit(state, number, at_ns=10, by="bo")
    with pytest.raises(StateError, match="no edit 99"):
        undo_intent_edit(state, 99, at_ns=10, by="bo")


def test_an_answer_is_kept_and_the_newer_one_takes_its_place(url: str) -> None:
    answers = StoredAnswers(State(url), now_ns=lambda: 5)
    assert answers.get("k") is None
    answers.put("k", '{"a": 1}', model="m", prompt_tokens=None, completion_tokens=2, cost_usd=0.5)
    assert answers.get("k") == '{"a": 1}'
    answers.put("k", "ü\n", model="m", prompt_tokens=1, completion_tokens=2, cost_usd=None)
    assert StoredAnswers(State(url)).get("k") == "ü\n" and answers.get("other") is None


def test_reading_makes_no_database(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path}/deep/state.db")
    assert intent_edits(state) == [] and StoredAnswers(state).get("k") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    assert intent_edits(State(f"sqlite:///{tmp_path}/empty.db")) == []


def test_reading_an_empty_server_makes_no_table(url: str) -> None:
    state = State(url)
    assert intent_edits(state) == []
    rename(state)
    assert len(intent_edits(state)) == 1  # and it is not remembered as empty


def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    rename(State(url))
    with State(url).reading() as connection:
        assert connection is not None
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS})
        assert context.get_current_revision() == SCHEMA
        assert compare_metadata(context, METADATA) == []


def test_a_database_of_a_newer_release_is_refused_and_left_alone(url: str) -> None:
    from sqlalchemy import text

    rename(State(url))
    with State(url).writing() as connection:
        connection.execute(text(f"UPDATE {VERSIONS} SET version_num = '9999'"))
    for use in (intent_edits, rename):
        with pytest.raises(StateError, match=r"newer release \(schema 9999.*upgrade Insights"):
            use(State(url))


WRITER = """
import sys
from insights_pipeline.state import State, add_intent_edit
for number in range(int(sys.argv[2])):
    add_intent_edit(State(sys.argv[1]), at_ns=number, by=sys.argv[3], kind="pin", payload={"n": number})
"""


def test_processes_that_meet_an_empty_database_at_once_lose_nothing(url: str) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, url, "5", f"w{number}"], stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors.decode()
    stored = intent_edits(State(url))
    assert sorted((edit.by, edit.payload["n"]) for edit in stored) == [
        (f"w{writer}", number) for writer in range(4) for number in range(5)
    ]
    assert len({edit.edit_id for edit in stored}) == 20


def test_a_failed_transaction_leaves_nothing(url: str) -> None:
    from sqlalchemy import insert

    from insights_pipeline.state.tables import INTENT_EDITS

    rename(State(url))
    with pytest.raises(StateError), State(url).writing() as connection:
        values = {"at_ns": 1, "by": "ana", "kind": "pin", "payload": {}}
        connection.execute(insert(INTENT_EDITS).values(values))
        connection.execute(insert(INTENT_EDITS).values({**values, "by": None}))
    assert len(intent_edits(State(url))) == 1


def test_sqlite_waits_for_others_and_checks_what_refers_to_what(tmp_path: Path) -> None:
    from sqlalchemy import text

    state = State(f"sqlite:///{tmp_path}/state.db")
    rename(state)
    with state.reading() as connection:
        assert connection is not None
        pragmas = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        ]
    assert pragmas == ["wal", 30_000, 1, 2]


def test_a_reader_is_not_held_up_by_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    rename(State(url))
    with State(url).writing():
        assert len(intent_edits(State(url))) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ana:hunter2@127.0.0.1:1/none", "ana:***@127.0.0.1:1/none"),
        ("postgresql://127.0.0.1:1/none?password=hunter2", "127.0.0.1:1/none"),
        ("mysql://ana:hunter2@h/n", "only sqlite"),
        ("hunter2", "not a database URL"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://ana:hunter2@h:port/n", "not a database URL"),
    ],
)
def test_an_error_says_where_and_shows_no_password(url: str, said: str) -> None:
    with pytest.raises(StateError) as raised:
        intent_edits(State(url))
    assert said in str(raised.value) and "hunter2" not in str(raised.value)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_statement_in_an_error_shows_no_values(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path}/state.db")
    rename(state)
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("DROP TABLE intent_edits")
    raw.close()
    with pytest.raises(StateError, match="no such table") as raised:
        rename(state, "hunter2")
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_no_database_and_a_folder_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("not a database at all, but a text that is long enough to be read")
    with pytest.raises(StateError, match="not a database"):
        intent_edits(State(f"sqlite:///{tmp_path}/state.db"))
    with pytest.raises(StateError, match="cannot be made"):
        rename(State(f"sqlite:///{tmp_path}/state.db/deeper/state.db"))


def test_the_representation_shows_no_password() -> None:
    assert "hunter2" not in repr(State("postgresql://ana:hunter2@h/n"))
