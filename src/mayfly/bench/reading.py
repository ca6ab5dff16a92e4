"""How fast a source is read as a run reads it: batches of Arrow, one after the other."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.source import Source

ROUNDS = 3
"""Of which the fastest counts: others may work on the machine."""
TABLE = "mayfly_bench_people"
_BATCH_ROWS = 50_000
_NUMBERS: Mapping[str, Callable[[int], str]] = {
    "bigquery": lambda n: f"UNNEST(GENERATE_ARRAY(0, {n - 1})) AS i",
    "duckdb": lambda n: f"range({n}) AS r(i)",
    "mysql": lambda n: f"(SELECT seq AS i FROM seq_0_to_{n - 1}) AS r",
    "postgres": lambda n: f"generate_series(0::bigint, {n - 1}) AS r(i)",
    "snowflake": lambda n: f"(SELECT SEQ8() AS i FROM TABLE(GENERATOR(ROWCOUNT => {n}))) AS r",
    "sqlite": lambda n: (
        "(WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r "
        f"WHERE i < {n - 1}) SELECT i FROM r) AS r"
    ),
}
"""FROM item of numbers `i` from 0, by dialect."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Where rows are read from.

    Args:
        source: it may be written; one more table of people is made there, and dropped.
        sql: its dialect, one of `_NUMBERS`.
        rows: of the table.
    """

    source: Source
    sql: SqlDialect
    rows: int


def read_rows(measured: Measured) -> float:
    """Rows a second, of eight columns: two numbers and six texts."""
    source = measured.source
    table = source.relation(None, TABLE)
    with _people(measured, table):
        columns = source.describe(f"SELECT * FROM {table}")
        shown = ", ".join(f"{source.readable(c)} AS {measured.sql.quote(c.name)}" for c in columns)
        return max(_once(source, f"SELECT {shown} FROM {table}") for _ in range(ROUNDS))


def _once(source: Source, query: str) -> float:
    with source.session(write=False) as session:
        started = time.perf_counter()
        rows = sum(int(batch.num_rows) for batch in session.stream(query, rows=_BATCH_ROWS))
        return rows / (time.perf_counter() - started)


@contextmanager
def _people(measured: Measured, table: str) -> Iterator[None]:
    """The table, while the block runs."""
    sql = measured.sql
    number = sql.cast("i", sql.text)
    values = {
        "id": "i",
        "email": sql.joined(["' Person'", number, "'@Example.com'"]),
        "phone": sql.joined(["'+33 6 39 98 '", number]),
        "first_name": f"CASE {sql.modulo('i', 2)} WHEN 0 THEN 'Ana' ELSE 'Jürgen' END",
        "last_name": f"CASE {sql.modulo('i', 3)} WHEN 0 THEN 'Martin' ELSE 'Álvarez' END",
        "zip": number,
        "city": "'Lyon'",
        "points": "i * 7",
    }
    kinds = dict.fromkeys(values, sql.short_text or sql.text)
    kinds |= dict.fromkeys(("id", "points"), sql.bigint)
    defined = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    rows = _NUMBERS[measured.source.dialect](measured.rows)
    with measured.source.session(write=True) as session:
        session.execute(sql.drop_table(table))
        session.execute(sql.create_table(table, defined))
        session.execute(f"INSERT INTO {table} SELECT {', '.join(values.values())} FROM {rows}")
    try:
        yield
    finally:
        with measured.source.session(write=True) as session:
            session.execute(sql.drop_table(table))


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def sources_here(folder: Path, dsn: str | None, rows: int) -> dict[str, Measured]:
    """Those that any machine has, in a folder for their files; and PostgreSQL where there is one.

    Args:
        folder: empty files are made in it.
        dsn: of a PostgreSQL.
        rows: of each table.
    """
    shop, app = folder / "reading.duckdb", folder / "reading.sqlite"
    duckdb.connect(str(shop)).close()
    sqlite3.connect(app).close()
    app.touch()
    found = {
        "duckdb": Measured(source=DuckdbSource("shop", shop), sql=DuckdbDialect(), rows=rows),
        "sqlite": Measured(source=SqliteSource("app", app), sql=SqliteDialect(), rows=rows),
    }
    if dsn is not None:
        crm = PostgresSource("crm", _Dsn(dsn))
        found["postgres"] = Measured(source=crm, sql=PostgresDialect(), rows=rows)
    return found


def reading(sources: Mapping[str, Measured]) -> list[dict[str, str | int | float]]:
    """Rows a second of each, the fastest of `ROUNDS`."""
    return [
        {"source": name, "rows": each.rows, "per_second": read_rows(each)}
        for name, each in sources.items()
    ]
