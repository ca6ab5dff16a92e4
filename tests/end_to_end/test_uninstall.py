"""`mayfly uninstall`: all that is Mayfly's goes from a source, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.holding import about_batches, leave, verified
from end_to_end.projects import FILES, _no_sleep
from marks import IN_A_SOAK
from mayfly.adapters.processes import holder_name
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import EngineError
from mayfly.sandbox.server import SandboxServer
from sqlite_files import ask
from sqlite_files import numbers as range_of

_PEOPLE = (
    "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
    "'06 39 98 00 ' || lpad(CAST(i AS varchar), 2, '0') AS phone, 'Lyon' AS city, TRUE AS ads "
)


@dataclass(frozen=True)
class Shop:
    """A source with twenty people, and the project on it."""

    root: Path
    url: str
    dsn: str | None
    local: bool
    lite: bool = False

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """The last statement's rows."""
        if self.lite:
            return ask(self.root / "shop.db", *statements)
        if self.dsn is None:
            with duckdb.connect(str(self.root / "shop.duckdb")) as file:
                return [file.execute(s).fetchall() for s in statements][-1]
        with psycopg.connect(self.dsn, autocommit=True) as server:
            cursors = [server.execute(s.encode()) for s in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def open(self, change: Callable[[str], str] = str) -> Project:
        """The project, initialised and approved."""
        source = "{type: duckdb, path: shop.duckdb"
        if self.dsn is not None:
            source = '{type: postgres, dsn: "env:WAREHOUSE_DSN"'
        if self.lite:
            source = "{type: sqlite, path: shop.db"
        source += ", state: local}" if self.local else "}"
        text = change(FILES).replace("{type: duckdb, path: shop.duckdb}", source)
        (self.root / "mayfly.yml").write_text(text.replace("URL", self.url))
        initialise(self.root)
        project = load(self.root)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        return project

    def schemas(self) -> list[str]:
        """Ours, as far as it is there."""
        found = self.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name = '_mayfly'"
        )
        return [name for (name,) in found]

    def call(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and document of the command."""
        asked = ["uninstall", "shop", "--project", str(self.root), "--output", "json", *words]
        done = CliRunner().invoke(app, asked)
        if isinstance(done.exception, EngineError):
            return done.exception.exit_code, done.exception.to_dict()
        return done.exit_code, json.loads(done.stdout)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Ledger entries of one type."""
        lines = (self.root / ".mayfly/ledger/entries.jsonl").read_text().splitlines()
        return [e for e in map(json.loads, lines) if e["type"] == kind]


def _made(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, url: str
) -> Shop:
    dsn = None
    numbers = "FROM range(20) AS r(i)"
    if kind == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("WAREHOUSE_DSN", dsn)
        numbers = "FROM generate_series(0, 19) AS i"
    root = request.getfixturevalue("tmp_path") / "shop"
    root.mkdir()
    lite = kind == "sqlite"
    shop = Shop(root=root, url=url, dsn=dsn, local=kind == "local", lite=lite)
    shop.execute(_PEOPLE + (range_of(20) if lite else numbers))
    return shop


@pytest.fixture(
    params=[
        "duckdb",
        "local",
        pytest.param("postgres", marks=pytest.mark.slow),
        pytest.param("sqlite", marks=IN_A_SOAK),
    ]
)
def shop(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> Shop:
    """A source that is written, or is not."""
    return _made(request.param, request, monkeypatch, sandbox.url)


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.slow),
        pytest.param("sqlite", marks=IN_A_SOAK),
    ]
)
def written(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> Shop:
    """A source that is written."""
    return _made(request.param, request, monkeypatch, sandbox.url)


def test_all_that_is_ours_goes_and_is_on_record(shop: Shop) -> None:
    """Schema or local files; the customer's tables stay, and a run begins anew."""
    project = shop.open()
    assert shop.call("--yes")[1]["nothing"]
    assert project.run().exit_code == 0
    code, document = shop.call()
    assert (code, document["code"]) == (64, "not_confirmed")
    assert "2 states" in document["message"]
    code, document = shop.call("--yes")
    assert code == 0
    assert document["dropped"]
    assert [s["rows"] for s in document["states"]] == [20, 20]
    assert shop.schemas() == []
    assert not list((shop.root / ".mayfly").glob("state/*"))
    assert shop.execute("SELECT count(*) FROM people") == [(20,)]
    assert sorted(e["rows"] for e in shop.entries("state_dropped")) == [20, 20]
    assert verified(shop.root) == (0, 0, 0)
    code, document = shop.call("--yes")
    assert (code, document["nothing"], document["dropped"]) == (0, True, False)
    rows = {s["sync"]: s["rows"]["added"] for s in load(shop.root).plan().to_dict()["syncs"]}
    assert rows == {"to_meta": 20, "to_crm": 20}


@pytest.mark.parametrize(
    "foreign",
    [
        "CREATE TABLE _mayfly.notes (id bigint)",
        "CREATE VIEW _mayfly.mine AS SELECT 1 AS id",
        "CREATE TABLE _mayfly.state_0123456789abcdef (id bigint)",
        "CREATE TABLE _mayfly.checkpoints (id bigint)",
        "CREATE SEQUENCE _mayfly.numbers",
    ],
)
def test_what_is_not_ours_keeps_everything(written: Shop, foreign: str) -> None:
    """Nothing is dropped, nor on record as dropped; `--force` changes nothing."""
    if written.lite and "SEQUENCE" in foreign:
        return
    assert written.open().run().exit_code == 0
    written.execute(foreign)
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = '_mayfly'"
    before = sorted(written.execute(tables))
    code, document = written.call("--yes", "--force")
    assert (code, document["code"]) == (3, "foreign_tables")
    assert sorted(written.execute(tables)) == before
    assert written.entries("state_dropped") == []


def test_a_live_run_and_another_installation_keep_it(written: Shop) -> None:
    """Both whatever `--force` says."""
    assert written.open().run().exit_code == 0
    written.execute(f"UPDATE _mayfly.states SET holder = '{holder_name()}', lease_until = {2**50}")
    assert written.call("--yes", "--force")[1]["code"] == "run_active"
    written.execute("UPDATE _mayfly.states SET holder = NULL, owner = 'somebody'")
    assert written.call("--yes", "--force")[1]["code"] == "foreign_state"
    assert written.schemas() == ["_mayfly"]
    assert written.entries("state_dropped") == []


def test_checkpoints_go_once_the_project_has_no_anchor_there(written: Shop) -> None:
    """As long as it has, the next checkpoint would make the schema anew."""
    anchored = "anchors:\n  own: {type: source, source: shop}\n"
    assert written.open(lambda text: text + anchored).run().exit_code == 0
    assert written.call("--yes")[1]["code"] == "anchor_in_source"
    written.open()
    code, document = written.call("--yes")
    assert code == 0
    assert document["checkpoints"] > 0
    assert written.schemas() == []


@pytest.mark.parametrize("sealed", [pytest.param(False, marks=IN_A_SOAK), True])
def test_what_waits_is_lost_only_when_told(
    shop: Shop, sandbox: SandboxServer, sealed: bool
) -> None:
    """It is counted, and with `--force` ended: sealed batches purged, working copies dropped."""
    outage = "hold" if sealed or shop.local else "replan"
    project = shop.open(
        lambda text: text.replace(
            "    audience: People\n", f"    audience: People\n    on_outage: {outage}\n"
        )
    )
    leave(sandbox)
    assert {s.status for s in project.run().syncs} == {"held", "succeeded"}
    code, document = shop.call("--yes")
    assert (code, document["code"]) == (4, "rows_waiting")
    assert shop.entries("state_dropped") == []
    code, document = shop.call("--yes", "--force")
    assert (code, document["dropped"]) == (0, True), document
    assert document["waiting_rows"] >= 20
    assert document["sealed_batches"] == (1 if outage == "hold" else 0)
    assert len(about_batches(shop.root, "purged")) == document["sealed_batches"]
    assert not list((shop.root / ".mayfly" / "spool").glob("*"))
    assert shop.schemas() == []
    assert verified(shop.root) == (0, 0, 0)


def test_local_states_of_another_source_stay(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> None:
    """They lie side by side, and only those of the source's syncs go."""
    shop = _made("local", request, monkeypatch, sandbox.url)
    shop.execute(
        f"ATTACH '{shop.root / 'other.duckdb'}' AS o", "CREATE TABLE o.people AS FROM people"
    )
    other = (
        "models:\n  others:\n    source: other\n    table: people\n    primary_key: [id]\n"
        "    columns: {id: {}, city: {}}\n"
    )
    synced = (
        "  others_to_crm:\n    id: others_to_crm\n    model: others\n    destination: crm\n"
        "    mode: upsert\n    table: others\n    key: [id]\n    mapping: {id: id, city: city}\n"
    )

    def change(text: str) -> str:
        text = text.replace("models:\n", f"{'OTHER'}{other}", 1)
        return (
            text.replace("OTHER", "  other: {type: duckdb, path: other.duckdb, state: local}\n")
            + synced
        )

    assert shop.open(change).run().exit_code == 0
    code, document = shop.call("--yes")
    assert (code, sorted(s["sync"] for s in document["states"])) == (0, ["to_crm", "to_meta"])
    assert [s["sync"] for s in load(shop.root).states()["states"]] == ["others_to_crm"]


def test_an_unknown_source_is_refused(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> None:
    """With the names there are."""
    shop = _made("duckdb", request, monkeypatch, sandbox.url)
    project = shop.open()
    with pytest.raises(EngineError, match="unknown_source"):
        project.uninstall("shpo")


@pytest.mark.slow
def test_a_schema_that_is_another_role_s_is_not_half_dropped(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> None:
    """The hint says how it is handed over; then it goes."""
    shop = _made("postgres", request, monkeypatch, sandbox.url)
    assert shop.dsn is not None
    role = f"guest_{psycopg.conninfo.conninfo_to_dict(shop.dsn)['dbname']}"
    shop.execute(
        f"CREATE ROLE {role} LOGIN",
        "CREATE SCHEMA _mayfly",
        f"GRANT USAGE, CREATE ON SCHEMA _mayfly TO {role}",
        f"GRANT SELECT ON people TO {role}",
    )
    monkeypatch.setenv("WAREHOUSE_DSN", psycopg.conninfo.make_conninfo(shop.dsn, user=role))
    assert shop.open().run().exit_code == 0
    code, document = shop.call("--yes")
    assert (code, document["code"]) == (1, "missing_grant")
    assert "OWNER TO" in document["hint"]
    assert shop.execute("SELECT count(*) FROM _mayfly.states") == [(2,)]
    assert shop.entries("state_dropped") == []
    shop.execute(f"ALTER SCHEMA _mayfly OWNER TO {role}")
    assert shop.call("--yes")[0] == 0
    assert shop.schemas() == []
