"""Projects as a release left them, each with open plans, kept as text; and how one is made.

A release adds its own once: `PYTHONPATH=tests:src python tests/releases.py`. What is there is never
made anew: it is what the program of that release wrote.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mayfly.adapters import clock
from mayfly.adapters.stores.sql_store import MIGRATIONS, SqlStore
from mayfly.api import load, running
from mayfly.bootstrap import SPECS, initialise
from mayfly.bootstrap.connectors import address
from mayfly.config.load import load_project
from mayfly.connectors.destinations.databases import TableDestination
from mayfly.domain.version import VERSION
from mayfly.services.compile_sync import state_identity

FOLDER = Path(__file__).parent / "fixtures" / "releases"
MADE_MS = 1_736_942_400_000  # 2025-01-15 12:00 UTC
ROWS = 12
SYNCS = ("to_log", "to_crm")
PROJECT = """version: 1
workspace: {name: shop}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, city: {}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_log:
    id: to_log
    model: people
    destination: log
    mode: append
    table: people
    batch_rows: 4
    purpose: ads
    mapping: {id: id, email: email}
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: mirror
    table: people
    key: [id]
    batch_rows: 4
    purpose: ads
    mapping: {id: id, email: email, city: city}
"""


def kek(release: str) -> bytes:
    """What wraps the keys of a project of the past; it protects nobody."""
    return hashlib.sha256(f"mayfly {release}".encode()).digest()


def restored(release: str, root: Path, keys: Path) -> Path:
    """A project as that release left it, in a folder of today.

    Args:
        release: its version.
        root: the folder; made.
        keys: the folder that $MAYFLY_KEYS_DIR names.
    """
    kept = FOLDER / release
    (root / ".mayfly").mkdir(parents=True, mode=0o700)
    for name in ("mayfly.yml", "approvals.lock"):
        shutil.copy(kept / name, root / name)
    shutil.copytree(kept / "ledger", root / ".mayfly" / "ledger")
    for path in (root / ".mayfly" / "ledger").iterdir():
        path.chmod(0o600)
    (root / ".mayfly" / "ledger").chmod(0o700)
    for name in ("log", "crm"):
        _fill_sqlite(root / f"{name}.sqlite", (kept / f"{name}.sql").read_text("utf-8"))
    _fill_sqlite(root / ".mayfly" / "store.sqlite", (kept / "store.sql").read_text("utf-8"))
    facts: dict[str, Any] = json.loads((kept / "facts.json").read_text("utf-8"))
    _write_keys(release, facts, keys / facts["workspace"])
    text = (kept / "warehouse.sql").read_text("utf-8")
    # What a sync writes to is a place, and another one here: so its state has another name.
    for sync, names in facts["states"].items():
        for old, new in zip(names, _names_of_state(root, sync), strict=True):
            text = text.replace(old, new)
    with duckdb.connect(str(root / "shop.duckdb")) as warehouse:
        warehouse.execute(text)
    return root


def _write_keys(release: str, facts: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    content = {name: base64.b64decode(text) for name, text in facts["wrapped_keys"].items()}
    content["kek"] = b"mayfly-kek/1\n" + base64.b64encode(kek(release)) + b"\n"
    for name, data in content.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)


def _fill_sqlite(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    with sqlite3.connect(path) as database:
        database.executescript(text)
    database.close()


def _names_of_state(root: Path, sync: str) -> tuple[str, str]:
    project = load_project(root)
    settings = project.destinations[project.syncs[sync].destination]
    made = state_identity(
        project,
        project.syncs[sync],
        SPECS[settings.type].name,
        address(settings, project.syncs[sync]),
    )
    return made.sid, made.destination


def at(moment_ms: int, patch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the time is told that."""
    patch.setattr(clock, "_system_ms", lambda: moment_ms)


# -- making one -----------------------------------------------------------------------------------


def make(release: str) -> None:
    """Keep a project of this program, with an open plan of each sync."""
    kept = FOLDER / release
    kept.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        root, keys = Path(name) / "shop", Path(name) / "keys"
        patch.setenv("MAYFLY_KEYS_DIR", str(keys))
        patch.setattr("mayfly.adapters.keys.local.new_key", lambda: kek(release))
        at(MADE_MS, patch)
        root.mkdir()
        (root / "mayfly.yml").write_text(PROJECT, "utf-8")
        _people(root)
        initialise(root)
        patch.undo()
        patch.setenv("MAYFLY_KEYS_DIR", str(keys))
        for sync in SYNCS:
            died = subprocess.run(
                [sys.executable, __file__, sync, str(root)], env=os.environ, check=False
            )
            assert died.returncode == 9, died
        _keep(root, keys, kept)


def _people(root: Path) -> None:
    with duckdb.connect(str(root / "shop.duckdb")) as warehouse:
        warehouse.execute(
            "CREATE TABLE people AS SELECT CAST(i AS BIGINT) AS id, "
            "'p' || i || '@example.com' AS email, 'Lyon' AS city, TRUE AS ads "
            f"FROM range({ROWS}) AS r(i)"
        )


def die_in_second_batch(root: Path, sync: str) -> None:
    """Run a sync in this process, which ends once its second batch is written."""
    patch, write, batches = pytest.MonkeyPatch(), TableDestination.write, 0
    at(MADE_MS, patch)
    patch.setattr(running, "holder_name", lambda: "maker/1/0")

    async def dies(self: TableDestination, batch: Any, progress: Any) -> Any:
        nonlocal batches
        batches += 1
        done = await write(self, batch, progress)
        if batches == 2:
            os._exit(9)
        return done

    patch.setattr(TableDestination, "write", dies)
    project = load(root)
    project.approve(sync, actor="tester")
    project.run(sync)


def _keep(root: Path, keys: Path, kept: Path) -> None:
    for name in ("mayfly.yml", "approvals.lock"):
        shutil.copy(root / name, kept / name)
    (kept / "ledger").mkdir()
    for name in ("entries.jsonl", "checkpoint", "key.pub"):
        shutil.copy(root / ".mayfly" / "ledger" / name, kept / "ledger" / name)
    for name, path in (
        ("store", _before_gaps(root / ".mayfly" / "store.sqlite", root / "earlier")),
        *((n, root / f"{n}.sqlite") for n in ("log", "crm")),
    ):
        with sqlite3.connect(path) as database:
            (kept / f"{name}.sql").write_text("\n".join(database.iterdump()) + "\n", "utf-8")
        database.close()
    with duckdb.connect(str(root / "shop.duckdb")) as warehouse:
        (kept / "warehouse.sql").write_text(_dumped(warehouse), "utf-8")
    [folder] = keys.iterdir()
    wrapped = {
        path.name: base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.iterdir())
        if path.name != "kek"
    }
    states = {sync: _names_of_state(root, sync) for sync in SYNCS}
    facts = {"workspace": folder.name, "states": states, "wrapped_keys": wrapped}
    (kept / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def _before_gaps(path: Path, folder: Path) -> Path:
    """The store as the newest version had it before which no number of a migration was left out:
    a number that is given out later is then among those that bring it up to date.
    """
    migrations = folder / "migrations"
    migrations.mkdir(parents=True)
    for number, file in enumerate(sorted(MIGRATIONS.glob("*.sql")), 1):
        if int(file.name[:4]) == number:
            shutil.copy(file, migrations)
    made = SqlStore("sqlite", folder / "store", migrations=migrations)
    made.create(
        workspace_id="w", name="w", installation_id="i", now=datetime(2025, 1, 1, tzinfo=UTC)
    )
    made.close()
    with sqlite3.connect(folder / "store" / "store.sqlite") as earlier:
        earlier.execute("ATTACH ? AS now", (str(path),))
        tables = earlier.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            if table == "schema_version":
                continue
            columns = ", ".join(
                row[1] for row in earlier.execute(f"PRAGMA main.table_info({table})")
            )
            earlier.execute(f"DELETE FROM main.{table}")
            earlier.execute(f"INSERT INTO main.{table} SELECT {columns} FROM now.{table}")
    earlier.close()
    return folder / "store" / "store.sqlite"


def _dumped(warehouse: duckdb.DuckDBPyConnection) -> str:
    lines = ["CREATE SCHEMA _mayfly;"]
    tables = warehouse.execute(
        "SELECT schema_name, table_name, sql FROM duckdb_tables() ORDER BY 1, 2"
    ).fetchall()
    for schema, table, sql in tables:
        name = f'"{schema}"."{table}"'
        lines.append(sql)
        for row in warehouse.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall():
            lines.append(f"INSERT INTO {name} VALUES ({', '.join(map(_literal, row))});")
    views = warehouse.execute(
        "SELECT sql FROM duckdb_views() WHERE schema_name = '_mayfly'"
    ).fetchall()
    return "\n".join([*lines, *(sql for (sql,) in views)]) + "\n"


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value).upper()
        case bytes():
            return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
        case str():
            return "'" + value.replace("'", "''") + "'"
    raise TypeError(type(value).__name__)


if __name__ == "__main__":
    if sys.argv[1:]:
        die_in_second_batch(Path(sys.argv[2]), sys.argv[1])
    else:
        make(VERSION)
