"""Snowflake, as far as an emulator of its protocol shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from fakesnow_server import Fakesnow, fakesnow_server
from mayfly.domain.errors import ConfigError, ContractError, TransientError
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.privacy.rules.catalogue import RULES
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source

_CONNECT = """
import logging, sys
logging.basicConfig(level=0)
from fakesnow_server import Fakesnow
with Fakesnow(int(sys.argv[1]), None).source("homes").session(write=False) as session:
    assert session.table("SELECT 'a value' AS a").num_rows == 1
"""


@pytest.mark.slow
def test_a_server_that_is_gone_can_be_tried_again() -> None:
    """In the midst of a session, and for the next one."""
    with fakesnow_server() as server:
        source = server.source()
        with source.session(write=True) as session:
            session.begin()
            server.process.kill()
            server.process.wait()
            with pytest.raises(TransientError, match="connection_lost"):
                session.table("SELECT 1 AS a")
        with pytest.raises(TransientError, match="source_away"):
            source.check(write=False)


@pytest.mark.slow
def test_rules_are_written_as_they_are_meant(fakesnow: Fakesnow) -> None:
    """Every rule, where functions do what Snowflake's documentation says of them."""
    uses = [RuleUse(rule=rule) for (platform, _), rule in RULES.items() if platform == "meta"]
    assert len(uses) > 5
    assert probe_source(fakesnow.source(), SnowflakeDialect(), uses) == frozenset()


def test_a_schema_with_anything_else_in_it_is_not_dropped(fakesnow: Fakesnow) -> None:
    """Snowflake would drop what is in it, too."""
    sql = SnowflakeDialect()
    with fakesnow.source().session(write=True) as session:
        session.execute(sql.create_schema("_mayfly"))
        session.execute(f"CREATE TABLE {sql.quote('_mayfly')}.other (n int)")
        with pytest.raises(ContractError, match="schema_in_use"):
            session.execute(sql.drop_schema("_mayfly"))
        session.execute(sql.drop_table(f"{sql.quote('_mayfly')}.other"))
        session.execute(sql.drop_schema("_mayfly"))
        assert session.table(sql.has_schema("_mayfly")).to_pylist() == [{"n": 0}]


def test_rows_are_loaded_in_pieces(fakesnow: Fakesnow, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost between them."""
    monkeypatch.setattr("mayfly.connectors.sources.snowflake_session.CELLS_MAX", 5)
    rows = pa.table({"n": pa.array(range(11), pa.int64()), "s": pa.array([None] * 11, pa.string())})
    with fakesnow.source().session(write=False) as session:
        session.load("mf_load_1", rows)
        assert (
            session.table("SELECT n, s FROM mf_load_1 ORDER BY n").to_pylist() == rows.to_pylist()
        )


def test_names_that_are_the_same_are_refused(fakesnow: Fakesnow) -> None:
    """Names that differ in case are not."""
    source = fakesnow.source()
    with pytest.raises(ConfigError, match="column_ambiguous"):
        source.describe("SELECT 1 AS a, 2 AS A")
    assert [c.name for c in source.describe('SELECT 1 AS a, 2 AS "Ab"')] == ["a", "Ab"]


def test_the_driver_leaves_nothing_at_home_and_says_nothing(
    fakesnow: Fakesnow, tmp_path: Path
) -> None:
    """No cache of tokens, no file of settings, no log."""
    environment = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "TZ": "UTC"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", _CONNECT, str(fakesnow.port)],
        env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(tmp_path.rglob("*")) == []
