"""A DuckDB source beside other programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.domain.errors import ConfigError, TransientError

_HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one table of 100,000 rows."""
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id FROM range(100000) r(i)")
    return file


def test_the_process_that_holds_the_file_is_named(path: Path) -> None:
    """The message has the process id; once it is gone the file opens."""
    source = DuckdbSource("shop", path, lock_wait_seconds=0)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientError, match=f"process {holder.pid}"):
            source.check(write=False)
        holder.communicate()
    source.check(write=True)


def test_a_table_dropped_while_read_is_read_to_its_end(path: Path) -> None:
    """A stream sees the table as it was when it began."""
    source = DuckdbSource("shop", path, lock_wait_seconds=0)
    with source.session(write=True) as reader, source.session(write=True) as other:
        stream = reader.stream("SELECT id FROM t", rows=1000)
        seen = next(stream).num_rows
        other.execute("DROP TABLE t")
        assert seen + sum(b.num_rows for b in stream) == 100_000
        with pytest.raises(ConfigError, match="table_missing"):
            reader.table("SELECT id FROM t")


def test_a_query_beyond_the_memory_limit_stops_without_spilling(path: Path) -> None:
    """The limit ends the query; no temporary file is left beside the database."""
    source = DuckdbSource("shop", path, memory_limit="40MB", threads=1, lock_wait_seconds=0)
    before = sorted(p.name for p in path.parent.iterdir())
    with source.session(write=False) as session, pytest.raises(ConfigError, match="memory_limit"):
        session.table(
            "SELECT a.id * 1000 + b.id AS x FROM t a, range(100) b(id) "
            "GROUP BY 1 ORDER BY repeat('x', 100) || x"
        )
    assert sorted(p.name for p in path.parent.iterdir()) == before


def test_a_file_that_is_no_database_is_named_so(tmp_path: Path) -> None:
    """Garbage gives one clear message."""
    path = tmp_path / "shop.duckdb"
    path.write_text("garbage " * 1000)
    with pytest.raises(ConfigError, match="database_unreadable"):
        DuckdbSource("shop", path, lock_wait_seconds=0).check(write=False)
