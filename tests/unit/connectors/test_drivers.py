"""Versions of drivers and servers."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from mayfly.connectors import mysql_connect
from mayfly.connectors.drivers import OLDEST, installed, too_old
from mayfly.connectors.postgres_connect import failure
from mayfly.connectors.sources import (
    bigquery_connect,
    snowflake_connect,
    spark_client,
)
from mayfly.connectors.sources.postgres import require_version
from mayfly.domain.errors import ConfigError

ROOT = Path(__file__).parents[3]


def test_the_oldest_drivers_are_those_the_package_requires() -> None:
    """One number in two places would part."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, oldest in OLDEST.items():
        [line] = [d for d in project["dependencies"] if d.startswith((f"{name}>", f"{name}["))]
        assert f">={oldest}" in line


def test_what_is_installed_is_new_enough() -> None:
    """The drivers of this environment pass, each by its own version."""
    assert too_old(installed()) == []


def test_an_old_driver_is_named_with_both_versions() -> None:
    """As numbers, not as text: 1.10 is newer than 1.9."""
    found = {"adbc-driver-postgresql": "1.10.0", "duckdb": "1.4.3", "psycopg": "3.3", "libpq": "15"}
    assert too_old(found) == ["duckdb 1.4.3 < 2.0", "libpq 15 < 16"]


def test_an_old_server_is_refused() -> None:
    """13.23 is told; 14.0 passes."""
    require_version("crm", 140_000)
    with pytest.raises(ConfigError, match=r"server_too_old.*PostgreSQL 13"):
        require_version("crm", 130_023)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('FATAL:  no pg_hba.conf entry for host "192.0.2.1", SSL encryption', "refused"),
        ("FATAL:  the database system is starting up", "away"),
        ("FATAL:  sorry, too many clients already", "away"),
        ("SSL error: certificate verify failed", "tls"),
        ("server does not support SSL, but SSL was required", "tls"),
        ("SSL SYSCALL error: EOF detected", "away"),
        ("Connection refused", "away"),
    ],
)
def test_a_failure_to_connect_is_told_apart(text: str, said: str) -> None:
    """A lost connection may be tried again, also under TLS; a certificate may not."""
    assert failure(text) == said


@pytest.mark.parametrize(
    ("kind", "module", "driver"),
    [
        ("bigquery", "google.cloud.bigquery", bigquery_connect.driver),
        ("mysql", "pymysql", mysql_connect.driver),
        ("snowflake", "snowflake.connector", snowflake_connect.driver),
        ("spark", "grpc", spark_client.driver),
    ],
)
def test_a_missing_library_is_named_by_its_extra(
    monkeypatch: pytest.MonkeyPatch, kind: str, module: str, driver: Callable[[], object]
) -> None:
    """All kinds of sources say it alike."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=f"driver_missing.*{kind}") as caught:
        driver()
    assert caught.value.hint == f'pip install "mayfly-data[{kind}]"'
