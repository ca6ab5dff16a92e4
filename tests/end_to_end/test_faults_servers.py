"""Servers that go away, cut a connection or hang in the middle of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from end_to_end.batches import (
    BATCH,
    LOG,
    POSTGRES,
    ROWS,
    in_duckdb,
    in_postgres,
    logged,
    make,
    run,
)
from end_to_end.projects import SHOP, approved
from mayfly.bootstrap import app as wiring
from mayfly.connectors.destinations.database_postgres import PostgresEngine
from mayfly.domain.errors import TransientError
from mayfly.ports.destination import Destination
from servers import SystemServer, system_server

pytestmark = pytest.mark.usefixtures("a_read_for_each_batch")

TO_POSTGRES = LOG.replace("{type: sqlite, path: log.sqlite", '{type: postgres, dsn: "env:LOG"')
OWN_END = "pg_terminate_backend(pg_backend_pid())"


@pytest.fixture(scope="module")
def server() -> Iterator[SystemServer]:
    """A server of our own, to stop."""
    with system_server() as made:
        made.create()
        made.start()
        yield made


@pytest.fixture
def base(server: SystemServer) -> str:
    """A fresh database there."""
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS shop")
        admin.execute("CREATE DATABASE shop")
    return server.dsn.replace("/postgres?", "/shop?", 1)


@pytest.fixture
def from_server(tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A project that reads from the server and writes to SQLite."""
    monkeypatch.setenv("SHOP", base)
    make(tmp_path, POSTGRES + LOG, in_postgres(base))
    return base


@pytest.fixture
def to_server(tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A project that reads from DuckDB and writes to the server."""
    monkeypatch.setenv("LOG", base)
    make(tmp_path, SHOP + TO_POSTGRES, in_duckdb(tmp_path / "shop.duckdb"))
    return base


def appended(dsn: str) -> Counter[int]:
    """How often each id was appended."""
    with psycopg.connect(dsn) as log:
        return Counter(i for (i,) in log.execute("SELECT id FROM people"))


def held(ended: dict[str, Any], *codes: str) -> None:
    """The run waits for the server, and its message says what to look at."""
    assert (ended["status"], ended["exit"]) == ("held", 4)
    assert ended["error"]["code"] in codes
    assert ended["error"]["hint"].endswith("what was in doubt is looked at first.")
    assert "example.com" not in str(ended)


def once_written(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, lost: bool) -> None:
    """Something happens when the first batch is there, before its answer is kept; the answer
    itself may get lost.
    """
    real, waiting = wiring.make_destination, [act]

    def make_destination(*given: Any) -> Destination:
        made = real(*given)
        write = made.write

        async def hooked(*batch: Any) -> Any:
            answer = await write(*batch)
            if waiting:
                waiting.pop()()
                if lost:
                    raise TransientError("answer_lost", "The connection was cut.")
            return answer

        made.write = hooked
        return made

    monkeypatch.setattr(wiring, "make_destination", make_destination)


def test_a_source_that_goes_away_between_batches(
    tmp_path: Path, server: SystemServer, from_server: str
) -> None:
    """What is there stays; while the server is away every run is held; then the rest follows."""
    project = approved(tmp_path)
    gone = run(project, after_first=server.stop)
    held(gone, "source_away")
    assert "host and port in the dsn" in gone["error"]["hint"]
    assert (gone["rows"]["delivered"], gone["rows"]["held"]) == (BATCH, 2 * BATCH)
    try:
        still = run(project)
        assert (still["status"], still["exit"]) == ("held", 4)
    finally:
        server.start()
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 2 * BATCH)
    assert logged(tmp_path) == Counter(range(ROWS))


def test_a_source_that_goes_away_before_an_answer_is_kept(
    tmp_path: Path, server: SystemServer, from_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is there and the warehouse does not know: the marker tells, it is not repeated."""
    project = approved(tmp_path)
    once_written(monkeypatch, server.stop, lost=False)
    gone = run(project)
    server.start()
    held(gone, "source_away")
    assert gone["rows"]["delivered"] == 0
    assert sum(logged(tmp_path).values()) == BATCH
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 2 * BATCH)
    assert logged(tmp_path) == Counter(range(ROWS))


def test_a_source_that_cuts_the_connection_in_the_middle_of_a_result(
    tmp_path: Path, from_server: str
) -> None:
    """An administrator ends the session that reads; the next run reads again."""
    change = in_postgres(from_server)
    change("ALTER TABLE people RENAME TO everyone")
    change("CREATE TABLE switch AS SELECT FALSE AS armed")
    change(
        "CREATE VIEW people AS SELECT id, email, phone, city, CASE WHEN id = 2500 AND "
        f"(SELECT armed FROM switch) THEN {OWN_END} ELSE ads END AS ads FROM everyone"
    )
    project = approved(tmp_path)
    cut = run(project, after_first=lambda: change("UPDATE switch SET armed = TRUE"))
    held(cut, "connection_lost", "source_busy")
    assert cut["rows"]["delivered"] == sum(logged(tmp_path).values()) == 2 * BATCH
    change("UPDATE switch SET armed = FALSE")
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", BATCH)
    assert logged(tmp_path) == Counter(range(ROWS))


@pytest.mark.parametrize("lost", [True, False])
def test_a_destination_that_goes_away(
    tmp_path: Path,
    server: SystemServer,
    to_server: str,
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,
) -> None:
    """Whether its answer to the batch before arrived or not, no row is appended twice."""
    project = approved(tmp_path)
    once_written(monkeypatch, server.stop, lost=lost)
    gone = run(project)
    still = run(project)
    server.start()
    for ended in (gone, still):
        held(ended, "database_unavailable")
    assert gone["rows"]["delivered"] == (0 if lost else BATCH)
    assert sum(appended(to_server).values()) == BATCH
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 2 * BATCH)
    assert appended(to_server) == Counter(range(ROWS))


def test_a_destination_that_cuts_the_connection_in_the_middle_of_a_batch(
    tmp_path: Path, to_server: str
) -> None:
    """Nothing of the batch is there, however often it is tried; the next run goes on."""
    change = in_postgres(to_server)
    project = approved(tmp_path)

    def cut() -> None:
        change(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN PERFORM {OWN_END}; RETURN NULL; END'"
        )
        change("CREATE TRIGGER cut AFTER INSERT ON people EXECUTE FUNCTION cut()")

    held(run(project, after_first=cut), "database_unavailable")
    assert sum(appended(to_server).values()) == BATCH
    change("DROP TRIGGER cut ON people")
    assert run(project)["status"] == "succeeded"
    assert appended(to_server) == Counter(range(ROWS))


def test_a_destination_whose_table_is_locked(
    tmp_path: Path, to_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held, and the hint says where to see who holds it; once let go, the rest follows."""
    assert PostgresEngine.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(PostgresEngine.__init__.__kwdefaults__, "lock_wait_seconds", 0.1)
    project = approved(tmp_path)
    with psycopg.connect(to_server) as other:
        locked = run(project, after_first=lambda: other.execute("LOCK TABLE people"))
        held(locked, "database_locked")
        assert "pg_locks" in locked["error"]["hint"]
    assert sum(appended(to_server).values()) == BATCH
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 2 * BATCH)
    assert appended(to_server) == Counter(range(ROWS))
