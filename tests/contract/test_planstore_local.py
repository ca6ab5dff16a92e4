"""The delivery protocol on local plan stores, beside sources that nothing may be written to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.plan_machine import CASES, machine, play
from contract.plan_samples import check_sample
from contract.plan_stores import MakeWarehouse, write_postgres
from contract.plan_stories import check_open_plans
from mayfly.adapters.planstores.local import LocalDatabases, LocalPlanStore
from mayfly.adapters.planstores.local_states import LocalStates
from mayfly.connectors.sources.files import FilesSource
from mayfly.connectors.sources.local_state import LocalStateDatabase, make_database
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import IntegrityError
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.source import Source
from mayfly.testing.plan_world import ModelRow, Warehouse, World

LOCAL_CASES = [case for case in CASES if case.values[0] in (SyncMode.UPSERT, SyncMode.APPEND)]
KEY = bytes(range(32))


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def databases_in(folder: Path) -> LocalDatabases:
    """States in a folder of ours."""
    return LocalDatabases(
        folder=folder / "state",
        make=make_database,
        open=lambda path: LocalStateDatabase(path, lock_wait_seconds=0),
    )


def beside(
    source: Source,
    sql: SqlDialect,
    write_model: Callable[[Sequence[ModelRow]], None],
    folder: Path,
) -> Warehouse:
    """A source whose states are in a folder of ours."""
    databases = databases_in(folder)
    return Warehouse(
        source=source,
        sql=sql,
        write_model=write_model,
        make_store=lambda identity, clock: LocalPlanStore(
            source,
            sql,
            identity,
            owner="me",
            clock_ms=clock,
            databases=databases,
            key=lambda: KEY,
        ),
    )


def write_parquet(folder: Path, rows: Sequence[ModelRow]) -> None:
    """The model as a Parquet file."""
    types = {"id": pa.int64(), "email": pa.string(), "city": pa.string(), "ok": pa.bool_()}
    columns = zip(*rows, strict=True) if rows else [[] for _ in types]
    made = {
        name: pa.array(list(values), kind)
        for (name, kind), values in zip(types.items(), columns, strict=True)
    }
    pq.write_table(pa.table(made), folder / "people.parquet")


@contextmanager
def parquet_folder() -> Iterator[Warehouse]:
    """A folder of files."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        write_parquet(folder / "data", [])
        source = FilesSource("shop", folder / "data")
        yield beside(source, DuckdbDialect(), partial(write_parquet, folder / "data"), folder)


@contextmanager
def reading_role(dsn: str) -> Iterator[Warehouse]:
    """A real PostgreSQL, read by a role that may write nothing."""
    write_postgres(dsn, [])
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("DROP SCHEMA IF EXISTS _mayfly CASCADE")
        if con.execute("SELECT to_regrole('reader')").fetchone() == (None,):
            con.execute("CREATE ROLE reader LOGIN")
        con.execute("GRANT SELECT ON people TO reader")
    reader = psycopg.conninfo.make_conninfo(dsn, user="reader")
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        source = PostgresSource("shop", _Dsn(reader))
        yield beside(source, PostgresDialect(), partial(write_postgres, dsn), Path(name))
    with psycopg.connect(dsn, autocommit=True) as con:
        assert con.execute("SELECT to_regnamespace('_mayfly')").fetchone() == (None,)


@pytest.fixture(params=["folder", "reading role"])
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of sources with a local plan store."""
    if request.param == "folder":
        return parquet_folder
    return partial(reading_role, request.getfixturevalue("postgres_database"))


@pytest.mark.parametrize(
    ("mode", "more"),
    [case for case in LOCAL_CASES if case.id in ("upsert", "upsert-identifiers", "append")],
)
def test_any_history_ends_in_the_truth(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Whatever changes, fails, dies or takes over, the destination ends as the model wants it."""
    play(machine(warehouse, mode, **more), request.node.name, examples=1, steps=6)


def test_who_was_overtaken_disturbs_no_plan() -> None:
    """It plans too late, is refused, and leaves the rows of whoever took over."""
    with parquet_folder() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT)
        world.people = {1: ("a@example.com", "c0")}
        world.edited()
        late, spec = world.spec("r1"), world.spec("r2")
        slow, quick = world.store(late.identity), world.store(spec.identity)
        slow.acquire(late, holder="h1", now_ms=0, alive=lambda _: False)
        quick.acquire(spec, holder="h2", now_ms=0, alive=lambda _: False)
        plan = quick.create(spec, world.worker, check=lambda _: None)
        with pytest.raises(IntegrityError, match="fenced"):
            slow.create(late, world.worker, check=lambda _: None)
        [batch] = quick.read(spec, plan.batches, world.worker, of=1)
        assert batch.rows.num_rows == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("mode", "more"), LOCAL_CASES)
def test_many_histories_end_in_the_truth(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The same, more often and longer."""
    play(machine(warehouse, mode, **more), request.node.name, examples=2)


@pytest.mark.parametrize("mode", [SyncMode.UPSERT, SyncMode.APPEND])
def test_a_sample_shows_rows_that_go_out_masked(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """As beside a source that holds its own state."""
    with warehouse() as made:
        check_sample(World(warehouse=made, mode=mode))


def test_open_plans_are_told_without_counting_states(tmp_path: Path) -> None:
    """Whatever is remembered beside them, in whichever file."""
    (tmp_path / "data").mkdir()
    write = partial(write_parquet, tmp_path / "data")
    write([])
    made = beside(FilesSource("shop", tmp_path / "data"), DuckdbDialect(), write, tmp_path)
    databases = databases_in(tmp_path)
    check_open_plans(made, LocalStates(databases), lambda sid: databases.open(databases.path(sid)))
