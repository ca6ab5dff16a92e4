"""Databricks' connector with our settings and statements, before a stand-in of its protocol."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from approved import check_approved
from databricks_server import VOLUME, Databricks
from mayfly.connectors.sources.databricks_connect import PINNED
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.privacy.rules.catalogue import RULES
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source

MARK = "marked-7f3a"
FOLDER = f"/Volumes/{VOLUME.replace('.', '/')}"


def loaded() -> pa.Table:
    """A row with a value that may stand in no statement."""
    return pa.table({"n": pa.array([1], pa.int64()), "s": pa.array([MARK], pa.string())})


def test_rows_are_loaded_by_a_file_that_is_gone_afterwards(databricks_standin: Databricks) -> None:
    """No statement has a value, and none has parameters: these stay in the history of queries."""
    server = databricks_standin
    with server.source().session(write=False) as session:
        session.load("mf_load_1", loaded())
        assert server.stage.files == {}
        assert session.table("SELECT n, s FROM mf_load_1").to_pylist() == loaded().to_pylist()
    assert not any(MARK in sql for sql in server.warehouse.said)
    listed, put, deleted = server.stage.asked
    assert listed == ("GET", f"/api/2.0/fs/directories{FOLDER}")
    assert put[0] == "PUT"
    assert put[1].startswith(f"/api/2.0/fs/files{FOLDER}/mayfly-")
    assert deleted == ("DELETE", put[1].removesuffix("?overwrite=true"))


def test_a_file_goes_though_its_statement_fails(databricks_standin: Databricks) -> None:
    """Whatever the warehouse says."""
    server = databricks_standin
    with server.source().session(write=False) as session:
        session.load("mf_load_1", loaded())
        with pytest.raises(ConfigError, match="table_exists"):
            session.load("mf_load_1", loaded())
    assert server.stage.files == {}


def test_what_a_killed_run_left_is_taken_away(databricks_standin: Databricks) -> None:
    """After a day, once for each source; files of others stay."""
    server, now = databricks_standin, time.time_ns() // 1_000_000
    old, young, other = (
        f"{FOLDER}/{n}" for n in ("mayfly-a.parquet", "mayfly-b.parquet", "a.parquet")
    )
    server.stage.files |= {old: (b"", now - 90_000_000), young: (b"", now), other: (b"", 0)}
    source = server.source()
    for _ in range(2):
        with source.session(write=False) as session:
            session.load("mf_load_1", loaded())
    assert server.stage.files.keys() == {young, other}
    assert [m for m, _ in server.stage.asked].count("GET") == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, ConfigError, "source_refused"),
        (403, ConfigError, "missing_grant"),
        (404, ConfigError, "volume_missing"),
        (429, TransientError, "connection_lost"),
        (503, TransientError, "connection_lost"),
        (418, ContractError, "query_failed"),
    ],
)
def test_a_volume_that_refuses_is_told(
    databricks_standin: Databricks, status: int, kind: type[EngineError], code: str
) -> None:
    """Before anything is loaded."""
    server = databricks_standin
    with server.source().session(write=False) as session:
        session._volume._swept = True
        server.stage.status = status
        with pytest.raises(kind, match=code):
            session.load("mf_load_1", loaded())


def test_sessions_are_pinned_and_nothing_is_asked_beside(databricks_standin: Databricks) -> None:
    """No telemetry, no flags of features, no store of files: what came is statements."""
    server = databricks_standin
    with server.source().session(write=False) as session:
        assert session.table("SELECT 1 AS a").to_pylist() == [{"a": 1}]
    [settings] = server.warehouse.settings
    assert {k: v for k, v in settings.items() if k in PINNED} == dict(PINNED)
    assert server.stage.asked == []
    assert server.warehouse.said == ["SELECT 1 AS a"]


def test_a_check_tries_what_a_plan_needs(databricks_standin: Databricks) -> None:
    """The schema, a temporary table, and the volume."""
    source = databricks_standin.source()
    source.check(write=False)
    assert source.facts().engine == "Databricks"
    databricks_standin.stage.status = 403
    with pytest.raises(ConfigError, match="missing_grant"):
        databricks_standin.source().check(write=False)
    with pytest.raises(ConfigError, match="read_only_source"):
        source.check(write=True)


def test_the_probe_passes_where_functions_are_as_they_are_meant(
    databricks_standin: Databricks,
) -> None:
    """And a rule that differs is told, by a server whose function is another."""
    source, sql = databricks_standin.source(), DatabricksDialect()
    uses = [RuleUse(rule=RULES["meta", name]) for name in ("email", "first_name")]
    assert probe_source(source, sql, uses) == frozenset()
    databricks_standin.warehouse._base.execute(
        "CREATE OR REPLACE MACRO translate(a, b, c) AS upper(a)"
    )
    assert probe_source(source, sql, uses) == frozenset(uses)


def test_a_server_that_is_away_or_refuses_is_told(databricks_standin: Databricks) -> None:
    """Before a session, and in it."""
    server = databricks_standin
    source = server.source()
    with source.session(write=False) as session:
        server.server.status = 403
        with pytest.raises(ConfigError, match="source_refused"):
            session.table("SELECT 1 AS a")
        with pytest.raises(ConfigError, match="source_refused"):
            source.check(write=False)
        server.server.status = 0
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(TransientError, match="source_away"):
        source.check(write=False)


def test_no_transaction_is_begun(databricks_standin: Databricks) -> None:
    """Whoever would rely on one is told."""
    with (
        databricks_standin.source().session(write=False) as session,
        pytest.raises(ContractError, match="no_transactions"),
    ):
        session.begin()


def test_what_is_asked_of_a_view_is_approved(databricks_standin: Databricks) -> None:
    """Text that a person has read."""
    source = databricks_standin.source()
    source.views([(None, "seen"), ("other.crm", "it's")])
    check_approved(
        "databricks-views.sql", "".join(f"{s};\n" for s in databricks_standin.warehouse.said)
    )
