"""From an emulator of Snowflake to the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import PEOPLE_TO_META, _no_sleep
from fakesnow_server import Fakesnow
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.sandbox.server import SandboxServer

FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse:
    type: snowflake
    account: myorg-shop
    user: mayfly
    private_key: "env:SNOWFLAKE_KEY"
    role: mayfly
    warehouse: MAYFLY
    database: DATABASE
    endpoint: "ENDPOINT"
    state: STATE
"""


@pytest.fixture(params=["source", pytest.param("local", marks=pytest.mark.slow)])
def project(
    tmp_path: Path, fakesnow: Fakesnow, request: pytest.FixtureRequest
) -> Iterator[tuple[Project, Any]]:
    """A project over ten people, one of whom did not consent, and its source."""
    database = f"end_to_end_{request.param}"
    source = fakesnow.source(database)
    with source.session(write=True) as session:
        session.execute(
            "CREATE OR REPLACE TABLE people (id NUMBER(38, 0), email VARCHAR, first_name VARCHAR, "
            "ads BOOLEAN)"
        )
        people = ", ".join(f"({i}, ' P{i}@Example.com', 'Zoë', {i > 1})" for i in range(1, 11))
        session.execute(f"INSERT INTO people VALUES {people}")
    with SandboxServer(port=0) as sandbox:
        text = (
            (FILES + PEOPLE_TO_META)
            .replace("ENDPOINT", fakesnow.endpoint)
            .replace("DATABASE", database)
            .replace("STATE", request.param)
        )
        (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
        initialise(tmp_path)
        loaded = load(tmp_path)
        loaded.app.sleep = _no_sleep
        yield loaded, source
    if request.param == "local":
        with source.session(write=False) as session:
            there = SnowflakeDialect().has_schema("_mayfly")
            assert session.table(there).column("n").to_pylist() == [0]


def _rows(project: Project) -> dict[str, int]:
    [sync] = project.run().to_dict()["syncs"]
    assert sync["status"] in ("succeeded", "no_changes"), sync
    return {kind: n for kind, n in sync["rows"].items() if n and kind in ("delivered", "removed")}


def test_a_run_sends_what_changed_and_removes_what_may_not_stay(
    project: tuple[Project, Any],
) -> None:
    """First all who consent, then nothing, then one change, then a withdrawal. With a local state
    nothing of ours is made in the warehouse.
    """
    loaded, source = project
    loaded.approve(actor="tester")
    assert _rows(loaded) == {"delivered": 9}
    assert _rows(loaded) == {}
    with source.session(write=True) as session:
        session.execute("UPDATE people SET email = 'new@example.com' WHERE id = 4")
    assert _rows(loaded)["delivered"] == 1
    with source.session(write=True) as session:
        session.execute("UPDATE people SET ads = FALSE WHERE id = 5")
        left = "SELECT count(*) AS n FROM information_schema.tables WHERE table_name LIKE 'PLAN%'"
        assert session.table(left).to_pylist() == [{"n": 0}]
    assert _rows(loaded) == {"removed": 1}
