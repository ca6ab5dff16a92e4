"""A project whose runs are killed, and what must not be found anywhere afterwards."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from end_to_end.projects import FILES
from mariadb import FOLDERS
from mayfly.privacy.scan import scan_bytes
from mayfly.services.scan_paths import Finding, scan_paths
from mayfly.testing.plan_world import digest
from sqlite_files import as_owner

BATCH = 20
# Never as a literal in a source: a traceback quotes those.
MARKER = "kanarie" + secrets.token_hex(6)
TOKEN = "token" + secrets.token_hex(12)
HELD = (
    FILES.replace(
        "    audience: People\n",
        f"    audience: People\n    batch_rows: {BATCH}\n    on_outage: hold\n",
    ).replace("    table: people\n    key", f"    table: people\n    batch_rows: {BATCH}\n    key")
    + f"""  to_log:
    id: to_log
    model: people
    destination: log
    mode: append
    on_outage: hold
    batch_rows: {BATCH}
    table: people
    mapping: {{id: id, email: email}}
"""
).replace(
    "destinations:\n",
    "destinations:\n"
    "  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}\n",
)
HELD_POSTGRES = HELD.replace(
    "{type: duckdb, path: shop.duckdb}", '{type: postgres, dsn: "env:SHOP"}'
)
HELD_SQLITE = HELD.replace("{type: duckdb, path: shop.duckdb}", "{type: sqlite, path: shop.db}")
SYNCS = ("to_meta", "to_crm", "to_log")
# Answers do not keep a run for longer than they must, retries follow at once, and of what goes to
# a table, too, a share is not taken and of a share the answer is lost. It is the program for the
# rest.
PROGRAM = """
import json, os, random, sys
from mayfly.cli.entry import main
from mayfly.connectors.destinations import meta_ads
from mayfly.connectors.destinations.databases import TableDestination
from mayfly.domain.errors import TransientError
from mayfly.ports.destination import Progress
from mayfly.services import deliver

words, seed, share, away = json.loads(sys.argv[1])
chance, real = random.Random(seed), TableDestination.write

async def write(self, batch, progress):
    fate = chance.random()
    if away or fate < share / 2:
        raise TransientError("destination_unreachable", "It is not taken.")
    if fate < share:
        await real(self, batch, Progress(rows=len(batch)))
        raise TransientError("destination_timeout", "It was taken, and nobody is told.")
    return await real(self, batch, progress)

meta_ads.REQUEST_SECONDS = 1.5
deliver._wait = lambda state: 0.0
TableDestination.write = write
print("begins", flush=True)
main(words)
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a project's processes work: each folder is theirs alone.

    Args:
        root: the project.
        home, tmp: of the processes.
        shared: names of what the machine's processes shared before.
    """

    root: Path
    home: Path
    tmp: Path
    shared: frozenset[Path]

    @classmethod
    def below(cls, folder: Path) -> Place:
        """Folders that are made; the project is still to come."""
        made = cls(
            root=folder / "project", home=folder / "home", tmp=folder / "tmp", shared=_shared()
        )
        for path in (made.home, made.tmp):
            path.mkdir(parents=True)
        return made

    @property
    def env(self) -> dict[str, str]:
        """Of the processes; what they keep of their own lies in their home."""
        mine = {"HOME": str(self.home), "TMPDIR": str(self.tmp), "META_TOKEN": TOKEN}
        return {**os.environ, **mine}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended.

    Args:
        code: negative where it was killed.
        said: all of it.
        seconds: from its first step.
    """

    code: int
    said: str
    seconds: float


def run_killed(
    place: Place,
    words: Sequence[str],
    *,
    seed: int = 0,
    share: float = 0.0,
    away: bool = False,
    after: float | None = None,
    whole_writes: bool = False,
) -> Ended:
    """Run a command in a process of its own.

    Args:
        place: where.
        words: of the command, without the project.
        seed: of the faults of tables.
        share: of the batches that a table does not take, or whose answer is lost.
        away: whether no table takes anything.
        after: seconds from its first step at which it is killed; never where None.
        whole_writes: whether what it writes at that moment is written to its end. DuckDB writes a
            block of 256 KB anew where it is, at each checkpoint: in part, nobody can open the file
            any more.
    """
    told = json.dumps([[*words, "--project", str(place.root)], seed, share, away])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, told],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=place.env,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        began = time.monotonic()
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            if whole_writes:
                process.send_signal(signal.SIGSTOP)
                with suppress(ChildProcessError):
                    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            process.send_signal(signal.SIGKILL)
        seconds = time.monotonic() - began
        said = process.stdout.read()
    return Ended(code=process.returncode, said=said, seconds=seconds)


def leaks(place: Place, shop: Warehouse | None = None, said: str = "") -> list[Finding | str]:
    """Where something is that may be nowhere: in files, in databases as their own reader shows
    them, in logs that were not emptied yet, and in what was said.

    Destinations of one's own, and the customer's table, hold the rows: of the warehouse what is
    ours is looked at.
    """
    known = [MARKER, TOKEN]
    own = [place.root / name for name in ("approvals.lock", "shop.duckdb.wal")]
    own += [place.home, place.tmp, Path(os.environ["MAYFLY_KEYS_DIR"])]
    found: list[Finding | str] = [*scan_paths([p for p in own if p.exists()], known_values=known)]
    found += _in_ours(place.root, known)
    found += _in_shared_memory(known, place.shared)
    found += [] if shop is None else shop.leaks(known)
    found += [f"said: {len(value)}" for value in known if value in said]
    return found


def _in_ours(root: Path, known: Sequence[str]) -> list[Finding | str]:
    """In files as they are, and in a copy of them as their reader shows it: a kill may leave a log
    without its index, which only who may write beside it can read.
    """
    folder, values = root / ".mayfly", [value.encode() for value in known]
    files = [path for path in folder.rglob("*") if path.is_file()]
    raw = [path.name for path in files if scan_bytes(path.read_bytes(), values)]
    with tempfile.TemporaryDirectory(dir=root.parent) as name:
        copy = shutil.copytree(folder, Path(name) / "copy")
        for path in copy.rglob("*.sqlite"):
            with closing(sqlite3.connect(path)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return [*raw, *scan_paths([copy], known_values=known)]


def _shared() -> frozenset[Path]:
    """Memory that outlives who made it; not what a server of another test has there."""
    of_tests = (p for p in Path("/dev/shm").iterdir() if not p.name.startswith(FOLDERS))
    return frozenset(path for top in of_tests for path in (top, *top.rglob("*")))


def _in_shared_memory(known: Sequence[str], before: frozenset[Path]) -> list[str]:
    """Names of what any process shared since; it may be gone before it is looked at."""
    values, found = [value.encode() for value in known], []
    for path in _shared() - before:
        with suppress(OSError):
            found += [path.name] if path.is_file() and scan_bytes(path.read_bytes(), values) else []
    return found


def digests_found(place: Place, digests: Sequence[bytes]) -> list[str]:
    """Names of files of ours beside the warehouse that hold a digest, raw or in hexadecimal."""
    files = [p for p in (place.root / ".mayfly").rglob("*") if p.is_file()]
    forms = [form for d in digests for form in (d, d.hex().encode())]
    return [p.name for p in files for content in [p.read_bytes()] if _any(forms, content)]


def _any(forms: Sequence[bytes], content: bytes) -> bool:
    return any(form in content for form in forms)


class Warehouse:
    """The customer's table in DuckDB, which changes between runs.

    Args:
        place: file or dsn.
        chance: of changes.
    """

    whole_writes = True
    tables = "SELECT table_name FROM duckdb_tables() WHERE schema_name = '_mayfly'"

    def __init__(self, place: str, chance: random.Random) -> None:
        self._place = place
        self._chance = chance
        self.rows = 0

    def make(self) -> None:
        """An empty table."""
        self._query("DROP TABLE IF EXISTS people")
        self._query(
            "CREATE TABLE people (id INTEGER, email VARCHAR, phone VARCHAR, city VARCHAR, "
            "ads BOOLEAN)"
        )

    def change(self, turn: int) -> None:
        """Some people come, some move, some withdraw their consent."""
        come = self._chance.randrange(BATCH, 4 * BATCH)
        self._query(
            f"INSERT INTO people SELECT i, '{MARKER}' || i || '@example.com', "
            "'06 39 98 ' || lpad((i / 100 % 100)::INTEGER::VARCHAR, 2, '0') || ' ' "
            f"|| lpad((i % 100)::VARCHAR, 2, '0'), '{MARKER}', TRUE "
            f"FROM generate_series({self.rows}, {self.rows + come - 1}) AS r(i)"
        )
        self.rows += come
        self._query(
            f"UPDATE people SET email = '{MARKER}.{turn}.' || id || '@example.com' "
            f"WHERE id % 37 = {turn % 37}"
        )
        self._query(f"UPDATE people SET ads = FALSE WHERE id % 101 = {turn % 101}")

    def wanted(self) -> list[tuple[int, str]]:
        """Id and e-mail of those who agree."""
        return self._query("SELECT id, email FROM people WHERE ads ORDER BY id")

    def digests(self) -> list[bytes]:
        """What a platform matches on."""
        return [digest(email) for _, email in self.wanted()]

    def leaks(self, known: Sequence[str]) -> list[str]:
        """Tables of ours that hold a value, as the engine's reader shows them."""
        values = [value.encode() for value in known]
        return [
            name
            for (name,) in self._query(self.tables)
            if scan_bytes(repr(self._query(f'SELECT * FROM _mayfly."{name}"')).encode(), values)
        ]

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self._place) as connection:
            return connection.execute(sql).fetchall()


class PostgresWarehouse(Warehouse):
    """The same in PostgreSQL, which nobody kills."""

    whole_writes = False
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = '_mayfly'"

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._place, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


class SqliteWarehouse(Warehouse):
    """The same in an SQLite file, which is written by whoever is killed."""

    whole_writes = False
    tables = (
        "SELECT substr(name, 9) FROM sqlite_master WHERE type = 'table' AND name GLOB '_mayfly.*'"
    )

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        counted = r"(WITH RECURSIVE r(i) AS (SELECT \1 UNION ALL SELECT i + 1 FROM r WHERE i < \2) "
        for pattern, spelled in (
            (r"\(([^()]*)\)(?:::INTEGER)?::VARCHAR", r"CAST(\1 AS TEXT)"),
            (r"generate_series\((\d+), (\d+)\) AS r\(i\)", counted + "SELECT i FROM r)"),
            (r'_mayfly\."(\w+)"', r'"_mayfly.\1"'),
        ):
            sql = re.sub(pattern, spelled, sql)
        with as_owner(Path(self._place)) as connection:
            connection.create_function("lpad", 3, lambda text, length, by: text.rjust(length, by))
            return connection.execute(sql).fetchall()
