"""Projects over one table of odd data: from each kind of source to each kind of table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from mayfly.api import Project, RunRequest, load
from mayfly.bootstrap import initialise

SOURCES = ("duckdb", "postgres")
TABLES = ("duckdb", "sqlite", "postgres")


async def _no_sleep(seconds: float) -> None:
    """Retries follow at once."""


@dataclass(kw_only=True)
class Odd:
    """A source with one table `rows`, and tables of one's own to send it to.

    Args:
        root: of the project.
        source: kind of the source.
        dsn: of an empty PostgreSQL database.
    """

    root: Path
    source: str
    dsn: str
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the source."""
        with psycopg.connect(self.dsn, autocommit=True) as admin:
            admin.execute("CREATE SCHEMA crm")
        self.make()

    def make(self, *statements: str) -> None:
        """Run statements in the source."""
        if self.source == "duckdb":
            with duckdb.connect(str(self.root / "shop.duckdb")) as shop:
                for statement in statements:
                    shop.execute(statement)
            return
        with psycopg.connect(self.dsn, autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())

    def fill(self, columns: str, rows: Sequence[Sequence[object]]) -> None:
        """Make `rows` anew with values given to the driver."""
        self.make("DROP TABLE IF EXISTS rows", f"CREATE TABLE rows ({columns})")
        if not rows:
            return
        if self.source == "duckdb":
            marks = ", ".join("?" * len(rows[0]))
            with duckdb.connect(str(self.root / "shop.duckdb")) as shop:
                shop.executemany(f"INSERT INTO rows VALUES ({marks})", [list(r) for r in rows])
            return
        marks = ", ".join(["%s"] * len(rows[0]))
        with psycopg.connect(self.dsn, autocommit=True) as admin, admin.cursor() as cursor:
            cursor.executemany(f"INSERT INTO rows VALUES ({marks})".encode(), rows)

    def write(
        self,
        mapping: Mapping[str, str],
        *,
        key: Sequence[str],
        to: str,
        sql: str | None = None,
        mode: str = "mirror",
        approve: bool = True,
        **sync: object,
    ) -> Project:
        """The project's files: every mapped column may be used, `key` names a row on both sides.

        Args:
            mapping: destination field to column.
            key: of the model.
            to: kind of the destination.
            sql: of the model, instead of the table.
            mode: of the sync.
            approve: whether the sync is approved as it stands.
            sync: more of the sync.
        """
        shop: dict[str, object] = {"type": "duckdb", "path": "shop.duckdb", **self.settings}
        if self.source == "postgres":
            shop = {"type": "postgres", "dsn": "env:ODD_DSN", **self.settings}
        fields = {column: name for name, column in mapping.items()}
        owned = {"kind": "internal", "owner": "care", "reason": "answers"}
        place: dict[str, object] = {"type": to, "path": f"crm.{to}", **owned}
        if to == "postgres":
            place = {"type": "postgres", "dsn": "env:ODD_DSN", "schema": "crm", **owned}
        document = {
            "version": 1,
            "workspace": {"name": "shop"},
            "sources": {"shop": shop},
            "models": {
                "rows": {
                    "source": "shop",
                    **({"sql": sql} if sql else {"table": "rows"}),
                    "primary_key": list(key),
                    "columns": {c: {} for c in dict.fromkeys([*key, *mapping.values()])},
                }
            },
            "destinations": {"crm": place},
            "syncs": {
                "out": {
                    "id": "out",
                    "model": "rows",
                    "destination": "crm",
                    "mode": mode,
                    "table": "rows",
                    "key": [fields[k] for k in key] if mode != "append" else [],
                    "mapping": dict(mapping),
                    **sync,
                }
            },
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (self.root / "mayfly.yml").write_text(text, encoding="utf-8")
        if not (self.root / ".mayfly").exists():
            initialise(self.root)
        project = load(self.root)
        project.app.sleep = _no_sleep
        if approve:
            project.approve(actor="tester")
        return project

    def ask(self, to: str, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query at the destination, by its own client; `{t}` is the table."""
        if to == "postgres":
            with psycopg.connect(self.dsn, options="-c timezone=UTC") as crm:
                return crm.execute(query.format(t="crm.rows").encode()).fetchall()
        if to == "duckdb":
            with duckdb.connect(str(self.root / "crm.duckdb")) as crm:
                crm.execute("SET TimeZone = 'UTC'")
                return crm.execute(query.format(t="rows")).fetchall()
        with sqlite3.connect(self.root / "crm.sqlite") as crm:
            return crm.execute(query.format(t="rows")).fetchall()


def run(project: Project, **request: Any) -> dict[str, Any]:
    """What one run of the only sync says."""
    [done] = project.run("out", request=RunRequest(**request)).to_dict()["syncs"]
    return dict(done)


def refused(project: Project) -> dict[str, Any]:
    """The error of a run that must send nothing."""
    done = run(project)
    assert done["rows"]["delivered"] == 0, done
    return dict(done["error"])
