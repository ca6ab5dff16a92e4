"""Sources that are not written, with projects on them whose states are local."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg
import pytest

from end_to_end.projects import _no_sleep
from mayfly.api import Project, RunRequest, load
from mayfly.bootstrap import initialise

Row = tuple[int, str, str, bool | None]
TEXT = """
version: 1
workspace: {name: shop}
sources:
  shop: SOURCE
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, city: {}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: upsert
    audience: People
    purpose: ads
    mapping: {EMAIL: email}
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: upsert
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, city: city}
  to_log:
    id: to_log
    model: people
    destination: crm
    mode: append
    table: log
    purpose: ads
    mapping: {id: id, city: city}
"""


@dataclass(frozen=True)
class Shop:
    """A source with people, and the project on it."""

    root: Path
    kind: str
    dsn: str = ""

    @property
    def source(self) -> str:
        """Of the project file."""
        if self.kind == "folder":
            return "{type: files, path: data}"
        if self.kind == "read-only role":
            return '{type: postgres, dsn: "env:WAREHOUSE_DSN", state: local}'
        local = ", state: local" if self.kind == "local file" else ""
        return f"{{type: duckdb, path: shop.duckdb{local}}}"

    def write(self, rows: Sequence[Row]) -> None:
        """Replace the people."""
        columns = "id bigint, email varchar, city varchar, ads boolean"
        if self.kind == "read-only role":
            with psycopg.connect(self.dsn, autocommit=True) as server:
                server.execute(f"CREATE TABLE IF NOT EXISTS people ({columns})".encode())
                server.execute("GRANT SELECT ON people TO reader")
                server.execute("TRUNCATE people")
                for row in rows:
                    server.execute("INSERT INTO people VALUES (%s, %s, %s, %s)", row)
            return
        file = ":memory:" if self.kind == "folder" else str(self.root / "shop.duckdb")
        with duckdb.connect(file) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE people ({columns})")
            for row in rows:
                connection.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)
            if self.kind == "folder":
                (self.root / "data").mkdir(exist_ok=True)
                path = self.root / "data" / "people.parquet"
                connection.execute(f"COPY people TO '{path}' (FORMAT parquet)")

    def begin(self, url: str, text: str = TEXT) -> Project:
        """Initialised and approved."""
        text = text.replace("SOURCE", self.source).replace("URL", url)
        (self.root / "mayfly.yml").write_text(text)
        initialise(self.root)
        return self.opened()

    def opened(self) -> Project:
        """As another process would open it."""
        project = load(self.root)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        return project

    def state_files(self) -> list[Path]:
        """What the local state has written."""
        return sorted(p for p in (self.root / ".mayfly" / "state").rglob("*") if p.is_file())


def make_shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, root: Path) -> Shop:
    """An empty source of the kind that a fixture is parametrised by."""
    dsn = ""
    if request.param == "read-only role":
        dsn = request.getfixturevalue("postgres_database")
        with psycopg.connect(dsn, autocommit=True) as server:
            if server.execute("SELECT to_regrole('reader')").fetchone() == (None,):
                server.execute("CREATE ROLE reader LOGIN")
        reader = psycopg.conninfo.make_conninfo(dsn, user="reader")
        monkeypatch.setenv("WAREHOUSE_DSN", reader)
    root.mkdir()
    return Shop(root=root, kind=request.param, dsn=dsn)


def ended(project: Project, sync: str, request: RunRequest | None = None) -> tuple[str, int, int]:
    """Status, delivered and removed rows of a run."""
    [run] = project.run(sync, request=request).to_dict()["syncs"]
    return run["status"], run["rows"]["delivered"], run["rows"]["removed"]


def table(shop: Shop, name: str) -> list[tuple[object, ...]]:
    """Rows of the local database."""
    with sqlite3.connect(shop.root / "crm.sqlite") as connection:
        return connection.execute(f"SELECT * FROM {name} ORDER BY id").fetchall()


PEOPLE: list[Row] = [
    (1, "ann@example.com", "Lyon", True),
    (2, "bob@example.com", "Lyon", True),
    (3, "eve@example.com", "Nantes", None),
]
