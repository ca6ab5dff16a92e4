"""The delivery protocol on real plan stores: random histories with crashes end in the truth."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.batch import SyncMode
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.testing.plan_world import CrashError, World, digest


def duckdb_world(path: Path, mode: SyncMode, *, by_identifier: bool, seed: int) -> World:
    """A world whose model is a table of a DuckDB file."""

    def write_model(rows: list[tuple[int, str | None, str, bool | None]]) -> None:
        with duckdb.connect(str(path)) as con:
            con.execute(
                "CREATE OR REPLACE TABLE people "
                "(id BIGINT, email VARCHAR, city VARCHAR, ok BOOLEAN)"
            )
            for row in rows:
                con.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)

    write_model([])
    source = DuckdbSource("shop", path)
    sql = DuckdbDialect()
    return World(
        make_store=lambda identity: SourcePlanStore(
            source, sql, identity, owner="me", clock_ms=lambda: 0
        ),
        write_model=write_model,
        source=source,
        sql=sql,
        mode=mode,
        by_identifier=by_identifier,
        seed=seed,
    )


class _Dsn:
    """A dsn as a source takes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def postgres_world(dsn: str, mode: SyncMode, *, by_identifier: bool, seed: int) -> World:
    """A world whose model is a table of a real PostgreSQL."""

    def write_model(rows: list[tuple[int, str | None, str, bool | None]]) -> None:
        with psycopg.connect(dsn, autocommit=True) as con, con.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS people")
            cursor.execute("CREATE TABLE people (id bigint, email text, city text, ok boolean)")
            cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", rows)

    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("DROP SCHEMA IF EXISTS _mayfly CASCADE")
    write_model([])
    source = PostgresSource("shop", _Dsn(dsn))
    sql = PostgresDialect()
    return World(
        make_store=lambda identity: SourcePlanStore(
            source, sql, identity, owner="me", clock_ms=lambda: 0
        ),
        write_model=write_model,
        source=source,
        sql=sql,
        mode=mode,
        by_identifier=by_identifier,
        seed=seed,
    )


EMAILS = [f"{prefix}{i}@example.com" for i in range(4) for prefix in ("a", "x")]


def drive(world: World, turns: int, *, append: bool = False) -> None:
    """Random edits and runs with crashes, then two runs without."""
    chance = random.Random(world.seed)
    world.bad = {chance.choice(EMAILS)}
    for _ in range(turns):
        for _ in range(4):
            key, draw = chance.randrange(8), chance.random()
            if draw < 0.2:
                world.people.pop(key, None)
            elif draw < 0.4:
                world.consent[key] = chance.choice([True, False, None])
            elif draw < 0.45 and not append:
                world.suppress(chance.choice(EMAILS))
            elif draw < 0.5:
                world.versions = f"v{chance.randrange(3)}"
            else:
                world.people[key] = (chance.choice(EMAILS), f"c{chance.randrange(3)}")
        try:
            world.sync(crash_at=chance.randrange(1, 25))
        except CrashError:
            continue
    world.sync()
    world.sync()


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_an_audience_ends_as_the_model_wants_it(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """After any history of edits, withdrawals, suppressions and crashes, the audience holds
    exactly the wanted identifiers that the platform does not reject.
    """
    path = tmp_path_factory.mktemp("world") / "shop.duckdb"
    world = duckdb_world(path, SyncMode.AUDIENCE, by_identifier=True, seed=seed)
    drive(world, turns=5)
    wanted = {digest(v[0]) for v in world.wanted().values() if v[0] is not None}
    assert world.members == wanted - {digest(b) for b in world.bad}


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_mirror_ends_as_the_model_wants_it(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """After any history, the mirrored table holds exactly the wanted rows; a row whose new
    values the database rejects keeps its earlier ones.
    """
    path = tmp_path_factory.mktemp("world") / "shop.duckdb"
    world = duckdb_world(path, SyncMode.MIRROR, by_identifier=False, seed=seed)
    drive(world, turns=5)
    wanted = world.wanted()
    accepted = {k: v for k, v in wanted.items() if v[0] not in world.bad}
    assert {k: v for k, v in world.table.items() if k in accepted} == accepted
    assert set(world.table) <= set(wanted)


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_settled_state_plans_nothing(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """A run after a complete run has nothing to do."""
    path = tmp_path_factory.mktemp("world") / "shop.duckdb"
    world = duckdb_world(path, SyncMode.AUDIENCE, by_identifier=True, seed=seed)
    drive(world, turns=3)
    assert world.sync().batches == ()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_protocol_holds_on_postgres(postgres_database: str, seed: int) -> None:
    """The same histories on a real PostgreSQL end in the same truth."""
    world = postgres_world(postgres_database, SyncMode.AUDIENCE, by_identifier=True, seed=seed)
    drive(world, turns=4)
    wanted = {digest(v[0]) for v in world.wanted().values() if v[0] is not None}
    assert world.members == wanted - {digest(b) for b in world.bad}
    assert world.sync().batches == ()


def test_a_mirror_holds_on_postgres(postgres_database: str) -> None:
    """A mirror on a real PostgreSQL holds exactly the wanted rows."""
    world = postgres_world(postgres_database, SyncMode.MIRROR, by_identifier=False, seed=5)
    drive(world, turns=4)
    wanted = world.wanted()
    accepted = {k: v for k, v in wanted.items() if v[0] not in world.bad}
    assert {k: v for k, v in world.table.items() if k in accepted} == accepted
    assert set(world.table) <= set(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_histories_end_in_the_truth(tmp_path: Path, seed: int) -> None:
    """Ten longer histories of an audience, and of a mirror, with a crash in most runs."""
    for mode, by_identifier in ((SyncMode.AUDIENCE, True), (SyncMode.MIRROR, False)):
        path = tmp_path / f"{mode.value}.duckdb"
        world = duckdb_world(path, mode, by_identifier=by_identifier, seed=seed)
        drive(world, turns=8)
        if by_identifier:
            wanted = {digest(v[0]) for v in world.wanted().values() if v[0] is not None}
            assert world.members == wanted - {digest(b) for b in world.bad}
        else:
            assert set(world.table) <= set(world.wanted())
