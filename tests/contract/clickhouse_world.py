"""A ClickHouse for the suite of sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from clickhouse_server import PASSWORD, USER, ClickHouse, clickhouse_server
from contract.source_types_clickhouse import CLICKHOUSE_TYPES
from mayfly.connectors.sources.clickhouse import ClickhouseSource
from mayfly.connectors.sources.clickhouse_connect import ClickhouseAccess
from mayfly.planning.sql.clickhouse import ClickhouseDialect, quote
from mayfly.ports.source import SqlSession
from mayfly.testing.source_contract import MARK, ODD_NAMES, Reduced, SourceWorld

_SETTINGS = {
    "session_timezone": "Asia/Kathmandu",
    "join_use_nulls": "1",
    "prefer_column_name_to_alias": "1",
    "limit": "1",
    "offset": "3",
    "result_overflow_mode": "break",
    "group_by_overflow_mode": "any",
    "extremes": "1",
    "final": "1",
    "date_time_output_format": "unix_timestamp",
    "bool_true_representation": "yes",
    "bool_false_representation": "no",
    "output_format_json_quote_64bit_integers": "1",
    "output_format_json_named_tuples_as_objects": "0",
    "output_format_json_escape_forward_slashes": "1",
    "output_format_arrow_string_as_string": "0",
    "output_format_arrow_low_cardinality_as_dictionary": "1",
    "transform_null_in": "1",
    "aggregate_functions_null_for_empty": "1",
    "data_type_default_nullable": "1",
    "cast_keep_nullable": "1",
    "group_by_use_nulls": "1",
    "async_insert": "1",
    "max_query_size": "10000",
}


class Word:
    """A secret as a source takes it."""

    def __init__(self, text: str = PASSWORD) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret."""
        return self._text


def clickhouse_source(server: ClickHouse, database: str, name: str = "shop") -> ClickhouseSource:
    """A source over a database."""
    access = ClickhouseAccess(endpoint=server.endpoint, user=USER, password=Word, database=database)
    return ClickhouseSource(name, access)


def make_people(server: ClickHouse, database: str) -> None:
    """The people in a database."""
    server.query(
        f"CREATE TABLE {quote(database)}.people (id Int64, name String) ENGINE = MergeTree "
        "ORDER BY id",
        f"INSERT INTO {quote(database)}.people SELECT number, '{MARK}' FROM numbers(1000)",
    )


def make_table(server: ClickHouse, database: str, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    columns = ", ".join(f"{quote(n)} Int64" for n in rows.column_names)
    table = f"{quote(database)}.{quote(name)}"
    values = ", ".join(str(v) for v in rows.to_pylist()[0].values())
    server.query(
        f"CREATE OR REPLACE TABLE {table} ({columns}) ENGINE = MergeTree ORDER BY tuple()",
        f"INSERT INTO {table} SELECT {values}",
    )


def cutter(server: ClickHouse, session: SqlSession) -> Callable[[], None]:
    """As a restart of the server cuts sessions off."""
    session.table("SELECT 1 AS one")
    return server.forget_sessions


def running(server: ClickHouse, database: str) -> int:
    """Statements of ours that the server works on in a database."""
    [found] = server.query(
        f"SELECT count() AS n FROM system.processes WHERE current_database = '{database}'"
    )
    return int(found["n"])


@contextmanager
def reduced() -> Iterator[Reduced]:
    """A user who may connect, over a model of a database with an odd name."""
    weird = "we `ird"
    with clickhouse_server(configured=True) as server:
        server.query(f"CREATE DATABASE {quote(weird)}")
        make_people(server, weird)
        server.query(
            f"CREATE TABLE {quote(weird)}.`Ta\\`ble` ENGINE = MergeTree ORDER BY id AS "
            f"SELECT * FROM {quote(weird)}.people",
            f"CREATE TABLE {quote(weird)}.seen (n Int8) ENGINE = MergeTree ORDER BY n",
        )
        server.restrict([f"SELECT ON {quote(weird)}.seen"])
        source = clickhouse_source(server, weird, "weak")
        query = f"SELECT id, name FROM {source.relation(None, 'Ta`ble')}"
        yield Reduced(source=source, query=query, paste=server.paste)


def clickhouse_world(server: ClickHouse, database: str) -> SourceWorld:
    """ClickHouse's own engine with the people; nothing is written to it."""
    return SourceWorld(
        source=clickhouse_source(server, database),
        writable=False,
        sql=ClickhouseDialect(),
        make=partial(make_table, server, database),
        owner=partial(server.query, database=database),
        odd_names=(*ODD_NAMES, "Id", "id", "ID", "é" * 64, "new\nline"),
        odd_tables=('o"dd', "two words.é'; --", "Upper", "upper", "tick`\\"),
        types=CLICKHOUSE_TYPES,
        other_settings=partial(server.other_settings, _SETTINGS),
        cutter=partial(cutter, server),
        running=partial(running, server, database),
        reduced=reduced,
        checks_casts=False,
        counts_changes=False,
        tells_bytes=False,
    )
