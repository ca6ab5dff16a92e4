"""The BigQuery source on its emulator: what the suite of all sources does not ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bigquery_emulator import PROJECT, Emulator
from contract.plan_stores import bigquery
from mayfly.adapters.planstores import registry
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.bootstrap.guarded_source import GuardedSource
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.ports.source import bytes_scanned
from mayfly.testing.plan_world import World


@dataclass(frozen=True)
class Shop:
    """A dataset with ten people."""

    emulator: Emulator
    dataset: str
    location: str = "EU"

    def source(self) -> BigquerySource:
        """Over it, with its state beside it."""
        return BigquerySource(
            "shop",
            project=PROJECT,
            dataset=self.dataset,
            location=self.location,
            endpoint=self.emulator.endpoint,
            state_schema=f"_{self.dataset}",
        )


@pytest.fixture
def shop(bigquery_emulator: Emulator) -> Iterator[Shop]:
    """A dataset of its own."""
    name = bigquery_emulator.dataset()
    bigquery_emulator.run(
        "CREATE TABLE people AS SELECT i AS id FROM UNNEST(GENERATE_ARRAY(1, 10)) AS i",
        dataset=name,
    )
    yield Shop(bigquery_emulator, name)
    for made in (name, f"_{name}"):
        bigquery_emulator.drop(made)


def test_of_two_that_change_a_table_at_once_one_is_told_to_try_again(shop: Shop) -> None:
    """BigQuery lets the first one win; the other has changed nothing."""
    source = shop.source()
    with source.session(write=True) as first, source.session(write=True) as second:
        first.begin()
        second.begin()
        assert first.execute("UPDATE people SET id = 0 WHERE id = 1") == 1
        with pytest.raises(TransientError, match="transaction_conflict"):
            second.execute("UPDATE people SET id = 5 WHERE id = 1")
        first.commit()
    assert shop.emulator.run("SELECT min(id) AS n FROM people", dataset=shop.dataset) == [{"n": 0}]


def test_a_lasting_table_ends_the_transaction_it_is_made_in(shop: Shop) -> None:
    """BigQuery would refuse it inside; what came before it is committed."""
    with shop.source().session(write=True) as session:
        session.begin()
        session.execute("DELETE FROM people WHERE id = 1")
        session.execute(BigqueryDialect().create_table("other", "n INT64"))
        session.rollback()
        assert session.table("SELECT count(*) AS n FROM people").to_pylist() == [{"n": 9}]


def test_what_is_temporary_ends_with_its_session(shop: Shop) -> None:
    """And another session never saw it."""
    source = shop.source()
    made = BigqueryDialect().create_as("mf_scan", "SELECT id FROM people", temporary=True)
    with source.session(write=False) as session:
        session.execute(made)
        with source.session(write=False) as other, pytest.raises(ConfigError, match="table_miss"):
            other.table("SELECT * FROM mf_scan")
    with source.session(write=False) as session:
        session.execute(made)


def test_a_reading_session_changes_nothing_that_lasts(shop: Shop) -> None:
    """Also where a statement stands behind a query, or a table has the name of a temporary one."""
    with shop.source().session(write=False) as session:
        session.execute("CREATE TEMP TABLE mf_scan AS SELECT 1 AS id")
        for sql in (
            "CREATE TABLE mf_scan AS SELECT 1 AS id",
            f"UPDATE `{shop.dataset}`.`people` SET id = 1 WHERE TRUE",
            "SELECT 1; DELETE FROM people WHERE TRUE",
            f"DROP SCHEMA `{shop.dataset}`",
        ):
            with pytest.raises(ConfigError, match="read_only_session"):
                session.execute(sql)
        session.execute("DROP TABLE mf_scan")
        with pytest.raises(ConfigError, match="read_only_session"):
            session.execute("DROP TABLE mf_scan")
        with pytest.raises(ConfigError, match="query_syntax"):
            session.table("SELECT 1; DELETE FROM people WHERE TRUE")


def test_checking_says_what_is_not_as_the_source_says(shop: Shop) -> None:
    """A dataset that is not there, or elsewhere; one of state is made by a run, not by a check."""
    shop.source().check(write=True)
    assert shop.source().facts().engine == "BigQuery"
    with pytest.raises(ConfigError, match="schema_missing"):
        replace(shop, dataset="nowhere").source().check(write=False)
    with pytest.raises(ConfigError, match="location_differs"):
        replace(shop, location="asia-east1").source().check(write=False)
    shop.emulator.run(f"CREATE SCHEMA `_{shop.dataset}`")
    shop.source().check(write=True)
    found = shop.emulator.run(
        f"SELECT count(*) AS n FROM `_{shop.dataset}`.INFORMATION_SCHEMA.TABLES"
    )
    assert found == [{"n": 0}]


def test_bytes_are_estimated_behind_the_guard(shop: Shop) -> None:
    """By a dry run; the emulator counts none. A source that cannot tell says so."""
    guarded = GuardedSource(shop.source(), frozenset({"127.0.0.1"}))
    assert bytes_scanned(guarded, "SELECT id FROM people") == 0
    with pytest.raises(ConfigError, match="table_missing"):
        guarded.estimate("SELECT id FROM nowhere")


def test_a_sync_waits_while_another_changes_the_registry(bigquery_emulator: Emulator) -> None:
    """BigQuery ends one of two transactions on a table (the emulator: on a column of a row); what
    began with the lease begins again.
    """
    with bigquery(bigquery_emulator) as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT)
        made.write_model([(1, "a@example.com", "Lyon", True)])
        spec = world.spec("r1")
        store = made.make_store(spec.identity, lambda: 0)
        store.acquire(spec, holder="me", now_ms=0, alive=lambda _: False)
        with made.source.session(write=True) as other:
            other.begin()
            other.execute("UPDATE `_mayfly`.`states` SET lease_until = 1 WHERE TRUE")
            ends = threading.Timer(0.5, other.commit)
            ends.start()
            store.bind("here")
            ends.join()
        assert store.object_id() == "here"


class _Interrupted:
    """A source in whose first statement of a kind something else happens."""

    def __init__(self, source: Any, kind: str, meanwhile: Callable[[], None]) -> None:
        self._source, self._kind, self._meanwhile = source, kind, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Any]:
        """As the source's."""
        with self._source.session(write=write) as session:
            execute = session.execute

            def interrupted(sql: str) -> int:
                if sql.startswith(self._kind):
                    self._kind = "done"
                    self._meanwhile()
                return int(execute(sql))

            session.execute = interrupted
            yield session


class _WouldWaitError(Exception):
    """In place of a wait."""


def test_the_line_of_a_sync_is_written_once(
    bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the engine has no keys: who comes while another writes it waits, finds it, and leaves
    the run to the other.
    """
    with bigquery(bigquery_emulator) as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT)
        spec = world.spec("r1")
        waited = []

        def wait(_: float) -> None:
            waited.append(1)
            raise _WouldWaitError

        def come() -> None:
            monkeypatch.setattr(registry.time, "sleep", wait)
            with pytest.raises(_WouldWaitError):
                acquire(made.source, "second")

        def acquire(source: Any, holder: str) -> None:
            sql = BigqueryDialect()
            store = SourcePlanStore(source, sql, spec.identity, owner="me", clock_ms=lambda: 0)
            store.acquire(spec, holder=holder, now_ms=0, alive=lambda _: True)

        acquire(_Interrupted(made.source, "MERGE", come), "first")
        assert waited == [1]
        with pytest.raises(TransientError, match="run_active"):
            acquire(made.source, "second")
        with made.source.session(write=False) as session:
            lines = session.table("SELECT sid, holder FROM `_mayfly`.`states`").to_pylist()
        assert lines == [{"sid": spec.identity.sid, "holder": "first"}]


def test_without_a_turn_two_would_write_it(shop: Shop) -> None:
    """The control: both see that there is none."""
    merge = BigqueryDialect().insert_missing("people", {"id": "77"}, key="id")
    with shop.source().session(write=True) as first, shop.source().session(write=True) as second:
        for session in (first, second):
            session.begin()
            session.execute(merge)
        for session in (first, second):
            session.commit()
        found = first.table("SELECT count(*) AS n FROM people WHERE id = 77").to_pylist()
    assert found == [{"n": 2}]


def test_views_of_other_names_and_kept_results_are_told(shop: Shop) -> None:
    """What a view calls its columns is part of it; of a kept result only that it is a view is known
    here, and what is not there is none.
    """
    shop.emulator.run(
        "CREATE VIEW renamed (a, b) AS SELECT id, id + 1 AS n FROM people",
        "CREATE MATERIALIZED VIEW kept AS SELECT id, count(*) AS n FROM people GROUP BY id",
        dataset=shop.dataset,
    )
    other = f"{PROJECT}.{shop.dataset}"
    names = [(None, "renamed"), (other, "renamed"), (None, "kept"), ("no_such", "v"), (None, "p_*")]
    found = shop.source().views(names)
    assert list(found) == names[:3]
    assert {str(found[name].sql).partition(" AS ")[0] for name in names[:2]} == {
        "CREATE VIEW `view` (`a`, `b`)"
    }
    assert [found[name].schema for name in names[:3]] == [shop.dataset, other, shop.dataset]
    assert found[None, "kept"].sql is None
