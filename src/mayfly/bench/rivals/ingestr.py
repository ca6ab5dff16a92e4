"""An upsert of one table to a PostgreSQL, beside ingestr: of another database of the same server,
and of a CSV file.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from mayfly.bench import projects
from mayfly.bench.rivals.programs import INGESTR_VERSION, SETTINGS
from mayfly.bench.rivals.timing import failed, timed

COLUMNS = (*projects.COLUMNS, "ads")
_INGESTR_TABLE = "ingestr_people"
_HINT = (
    "Name an empty database of a server on this machine whose role may create databases "
    "and checkpoint, with `mayfly demo` working; or measure without --rivals."
)


@dataclass(frozen=True, kw_only=True)
class _Upserting:
    """What is measured.

    Args:
        command: with its arguments.
        environment: all of it.
        table: where it writes to.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    table: str


def upserts(program: Path, folder: Path, dsn: str, rows: int) -> dict[str, Any]:
    """Seconds of both for a table that is not there yet, and for one whose every row changed.

    Args:
        program: of `programs()`.
        folder: new; for Mayfly's project.
        dsn: of a PostgreSQL of this machine, to be filled.
        rows: of the table.

    Raises:
        ConfigError: `bench_rivals`, the PostgreSQL is elsewhere or refuses what is needed, a
            command failed, or what it wrote is not what stands in the source.
    """
    try:
        _execute(dsn, "DROP SCHEMA IF EXISTS _mayfly CASCADE", *projects.postgres_people(rows))
        with _other_database(dsn) as other:
            folder.mkdir()
            tables = _both(program, folder / "tables", dsn, other)
            first, again = _first_and_again(tables, dsn, other, lambda: None)
        with _other_database(dsn) as other:
            file = folder / "files" / "data" / "people.csv"
            files = _both_from_csv(program, folder / "files", dsn, other, file)
            from_csv = _first_and_again(files, dsn, other, lambda: _write_csv(dsn, file))
    except psycopg.Error:
        raise failed("The PostgreSQL refused a statement", _HINT) from None
    return {
        "ingestr_version": INGESTR_VERSION,
        "rows": rows,
        "columns": len(COLUMNS),
        "first": first,
        "again": again,
        "csv_first": from_csv[0],
        "csv_again": from_csv[1],
    }


def _both(program: Path, folder: Path, dsn: str, other: str) -> dict[str, _Upserting]:
    os.environ["MAYFLY_BENCH_DSN"] = dsn
    os.environ["MAYFLY_BENCH_OTHER_DSN"] = other
    uris = {"SOURCE_URI": _uri(dsn), "DESTINATION_URI": _uri(other)}
    return _commands(program, projects.between_postgres(folder), uris, "public.people")


def _both_from_csv(
    program: Path, folder: Path, dsn: str, other: str, file: Path
) -> dict[str, _Upserting]:
    os.environ["MAYFLY_BENCH_OTHER_DSN"] = other
    file.parent.mkdir(parents=True)
    _write_csv(dsn, file)
    uris = {"SOURCE_URI": f"csv://{file}", "DESTINATION_URI": _uri(other)}
    return _commands(program, projects.from_csv(folder, file.parent.name), uris, "people")


def _write_csv(dsn: str, file: Path) -> None:
    """The table as it is now."""
    query = f"COPY (SELECT {', '.join(COLUMNS)} FROM people) TO STDOUT (FORMAT csv, HEADER)"
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor().copy(query.encode()) as copy,
        file.open("wb") as out,
    ):
        out.writelines(copy)


def _commands(
    program: Path, project: Path, uris: Mapping[str, str], table: str
) -> dict[str, _Upserting]:
    return {
        "ingestr": _Upserting(
            command=_ingestr(program, table),
            environment={**SETTINGS, **uris, "HOME": str(project)},
            table=_INGESTR_TABLE,
        ),
        "mayfly": _Upserting(
            command=_mayfly(project), environment=dict(os.environ), table=projects.TABLE
        ),
    }


def _first_and_again(
    both: dict[str, _Upserting], dsn: str, other: str, changed: Callable[[], None]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Args: `changed` is called once every row of the table is another."""
    first = {name: _measured(name, each, dsn, other) for name, each in both.items()}
    _execute(dsn, projects.CHANGE_ALL)
    changed()
    # In the other order: what came before warms or burdens the server.
    again = {name: _measured(name, both[name], dsn, other) for name in reversed(both)}
    return first, again


def ratios(measured: Mapping[str, Any]) -> dict[str, float]:
    """How many times as fast as ingestr Mayfly was, by the name of the ratio."""
    names = {
        "upsert_over_ingestr": "first",
        "upsert_again_over_ingestr": "again",
        "csv_upsert_over_ingestr": "csv_first",
        "csv_upsert_again_over_ingestr": "csv_again",
    }
    return {
        name: measured[which]["ingestr"]["seconds"] / measured[which]["mayfly"]["seconds"]
        for name, which in names.items()
    }


def _ingestr(program: Path, table: str) -> list[str]:
    """Source and destination are in its environment: a list of processes shows arguments."""
    tables = ["--source-table", table, "--dest-table", f"public.{_INGESTR_TABLE}"]
    how = ["--incremental-strategy", "merge", "--primary-key", "id"]
    return [str(program), "ingest", *tables, *how, "--yes", "--progress", "log"]


def _mayfly(project: Path) -> list[str]:
    return [sys.executable, "-m", "mayfly", "run", projects.BETWEEN, "--project", str(project)]


def _measured(name: str, what: _Upserting, dsn: str, other: str) -> dict[str, float]:
    """Seconds of a command, after which its table holds what the source holds."""
    # What others wrote is neither cleaned up nor written out on this one's time.
    for each in (dsn, other):
        _execute(each, "VACUUM (ANALYZE)", "CHECKPOINT")
    took = timed(name, what.command, what.environment, hint=_HINT)
    if _content(other, what.table) != _content(dsn, "people"):
        raise failed(f"What {name} wrote is not what stands in the source", _HINT)
    return took


def _content(dsn: str, table: str) -> tuple[Any, ...] | None:
    """How many rows a table has, and a sum over what stands in them."""
    row = f"hashtextextended(ROW({', '.join(COLUMNS)})::text, 0)"
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"SELECT count(*), sum({row}) FROM {table}".encode()).fetchone()


@contextmanager
def _other_database(dsn: str) -> Iterator[str]:
    """The dsn of a new database of the same server, while the block runs."""
    name = f"mayfly_bench_{uuid.uuid4().hex[:12]}"
    _execute(dsn, f"CREATE DATABASE {name}")
    try:
        yield make_conninfo(dsn, dbname=name)
    finally:
        _execute(dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _uri(dsn: str) -> str:
    """What ingestr reads.

    Raises:
        ConfigError: `bench_rivals`, the server is not on this machine.
    """
    with psycopg.connect(dsn) as connection:
        found = connection.info
        if not is_local(found.host, found.hostaddr):
            raise failed("The PostgreSQL is not on this machine", _HINT)
        who = f"{quote(found.user, safe='')}:{quote(found.password, safe='')}"
        where = f"host={quote(found.host, safe='')}&port={found.port}"
        return f"postgresql://{who}@/{quote(found.dbname, safe='')}?{where}"


def is_local(host: str, address: str) -> bool:
    """Whether a connection went through a socket of this machine or its loopback."""
    return host.startswith(("/", "@")) or ipaddress.ip_address(address).is_loopback


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
