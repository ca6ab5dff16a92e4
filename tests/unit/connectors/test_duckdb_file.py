"""A DuckDB file is held by its sessions alone, whatever its name and whatever became of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.domain.errors import ConfigError, EngineError, TransientError

ONE = "SELECT count(*) AS n FROM people"


def made(path: Path) -> DuckdbSource:
    """A file with one table of two rows, as a source that does not wait."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people AS SELECT i AS id FROM range(2) r(i)")
    return DuckdbSource("shop", path, lock_wait_seconds=0)


def rows(source: DuckdbSource, query: str = ONE) -> int:
    """The one number that a query gives."""
    with source.session(write=False) as session:
        return int(session.table(query).column(0)[0].as_py())


def elsewhere(path: Path) -> bool:
    """Whether another process can open the file to write."""
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=False
    )
    return done.returncode == 0


def test_the_file_is_free_between_sessions_and_held_within(tmp_path: Path) -> None:
    """Another program gets it as soon as the last session has ended; nothing lies beside it."""
    path = tmp_path / "shop.duckdb"
    source = made(path)
    with source.session(write=True) as session:
        session.execute("INSERT INTO people VALUES (7)")
        assert not elsewhere(path)
    assert elsewhere(path)
    assert [p.name for p in tmp_path.iterdir()] == ["shop.duckdb"]
    assert rows(source) == 3


def test_readers_share_the_file_and_a_writer_waits_for_them(tmp_path: Path) -> None:
    """Two sessions that read; one that writes is refused until both have ended."""
    source = made(tmp_path / "shop.duckdb")
    with source.session(write=False) as first:
        with source.session(write=False) as second:
            assert first.table(ONE).equals(second.table(ONE))
        with pytest.raises(TransientError) as raised, source.session(write=True):
            pass
        assert raised.value.code == "database_locked"
        assert first.table(ONE).num_rows == 1
    with source.session(write=True) as session:
        assert session.execute("INSERT INTO people VALUES (7)") == 1


def test_two_sources_of_one_file_do_not_write_it_at_once(tmp_path: Path) -> None:
    """Each has an engine of its own, and the second is told that the file is held."""
    path = tmp_path / "shop.duckdb"
    source, other = made(path), DuckdbSource("again", path, lock_wait_seconds=0)
    with (
        source.session(write=True),
        pytest.raises(TransientError) as raised,
        other.session(write=False),
    ):
        pass
    assert raised.value.code == "database_locked"
    assert rows(other) == 2


@pytest.mark.parametrize(
    "name", ["memory.duckdb", "Temp.duckdb", "a.b.duckdb", 'it\'s "one".duckdb', "main.duckdb"]
)
def test_any_name_of_a_file_serves(tmp_path: Path, name: str) -> None:
    """Names that the engine uses itself, and such that need quotes."""
    source = made(tmp_path / name)
    with source.session(write=True) as session:
        session.execute("CREATE SCHEMA more")
        session.execute("CREATE TABLE more.people AS SELECT 1 AS id")
    assert rows(source) == 2
    assert rows(source, "SELECT count(*) FROM more.people") == 1


def test_a_model_may_name_the_database(tmp_path: Path) -> None:
    """As the engine names it: by the stem of the file."""
    assert rows(made(tmp_path / "shop.duckdb"), "SELECT count(*) FROM shop.main.people") == 2


def test_a_session_opens_no_other_file(tmp_path: Path) -> None:
    """Neither another database nor a table beside it."""
    source = made(tmp_path / "shop.duckdb")
    made(tmp_path / "other.duckdb")
    (tmp_path / "people.csv").write_text("id\n1\n", encoding="utf-8")
    for query in (
        f"ATTACH '{tmp_path / 'other.duckdb'}' AS o",
        f"SELECT * FROM read_csv('{tmp_path / 'people.csv'}')",
        "SET enable_external_access = true",
    ):
        with (
            source.session(write=True) as session,
            pytest.raises(EngineError) as raised,
        ):
            session.execute(query)
        assert "other.duckdb" not in str(raised.value)


def test_an_engine_that_broke_is_replaced(tmp_path: Path) -> None:
    """The next session gets a new one."""
    source = made(tmp_path / "shop.duckdb")
    assert rows(source) == 2
    engine = source._file._engine
    assert engine is not None
    engine.close()
    assert rows(source) == 2


def test_a_file_that_came_after_a_failure_is_opened(tmp_path: Path) -> None:
    """What is no database is told; once repaired, it opens."""
    path = tmp_path / "shop.duckdb"
    path.write_bytes(b"nothing of the kind" * 1000)
    source = DuckdbSource("shop", path, lock_wait_seconds=0)
    with pytest.raises(ConfigError) as raised:
        rows(source)
    assert raised.value.code == "database_unreadable"
    path.unlink()
    made(path)
    assert rows(source) == 2
