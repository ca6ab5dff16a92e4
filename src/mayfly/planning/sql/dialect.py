"""What differs between SQL engines, as small functions. One instance per engine, no state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa

from mayfly.domain.errors import PolicyError

DialectName = Literal[
    "bigquery",
    "clickhouse",
    "databricks",
    "duckdb",
    "mysql",
    "postgres",
    "redshift",
    "snowflake",
    "spark",
    "sqlite",
]
"""The SQL of a source, as the parser of model SQL calls it."""
TARGET = "mf_t"
"""Alias of the table that an UPDATE or DELETE changes, in its conditions."""


def quote(identifier: str) -> str:
    """An identifier as DuckDB and PostgreSQL quote it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: bool | int | str) -> str:
    """A literal of configuration for DuckDB and PostgreSQL. Values of rows never come here."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


class SqlDialect(ABC):
    """One engine's spelling of what the planner needs."""

    blob: str
    text: str
    short_text = ""
    """Type of names of ours; `text` where it says nothing."""
    boolean = "boolean"
    smallint = "smallint"
    integer = "integer"
    bigint = "bigint"
    transactional_ddl = True
    """Whether tables that are made or dropped in a transaction are undone with it. Where not, each
    such statement also ends the transaction that it stands in."""
    row_number = "row_number() OVER ()"
    """Number of a row from 1, in any order."""
    has_times = True
    """Whether there are types of days, times and exact decimals."""
    columnar = False
    """Whether columns that a query does not name cost it nothing."""
    rewrites = False
    """Whether to change some rows of a table costs as much as to write all of it anew."""
    updates_by_join = False
    """Whether rows are better changed by a join with what they match than by a subquery that looks
    at the changed row: of one that matches more than once all values are the same."""
    reads_at_once = 4
    """How many times the usual number of rows are read together: each reading of batches looks at
    all of plan and model, and a warehouse bills for it. 1 where an index finds the rows of a
    batch, or looking at all of them costs little."""
    page_rows = 200_000
    """How many rows of a table are read at a time where each time all of it may be looked at."""
    ordinal = "n"
    """Number of a row in a table that was made in this transaction and loses none: a column of that
    name, or what an engine numbers rows by itself. Distinct; small gaps, any beginning."""
    probes_rows = False
    """Whether an engine works out what a query makes of constants alone elsewhere than what it
    makes of rows: what it computes is then asked of rows of a temporary table."""
    brief: str | None = None
    """Statement that lets the server end the transaction it stands in once its client is silent for
    half a minute. None where no transaction waits for another that changes the same row, or where
    no server ends one: a plan is then sent by one worker."""
    fence = ""
    """End of a subquery whose columns an engine must work out once, not where they are used."""

    @abstractmethod
    def as_text(self, column_sql: str) -> str:
        """A column as text that is compared by its bytes, whatever its type and collation."""

    @abstractmethod
    def octets(self, text_sql: str) -> str:
        """Length in bytes of a text expression."""

    @abstractmethod
    def md5(self, text_sql: str) -> str:
        """MD5 of a text expression as a blob."""

    @abstractmethod
    def sha256(self, text_sql: str) -> str:
        """SHA-256 of a text expression as a blob of 32 bytes."""

    @abstractmethod
    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """MD5 over blobs of 32 bytes each, side by side; a null stands as 32 zero bytes."""

    @abstractmethod
    def hex(self, blob_sql: str) -> str:
        """A blob as lower-case hex."""

    @abstractmethod
    def utf8(self, text_sql: str) -> str:
        """A text expression as a blob."""

    @abstractmethod
    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """One canonical text per value of a type, whatever the session's settings."""

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Microseconds since 1970 of a day or time, in UTC where it has no zone; null where it is
        no moment.
        """
        if pa.types.is_date(arrow_type):
            column_sql, arrow_type = self.cast(column_sql, "timestamp"), pa.timestamp("us")
        return self.cast(self.render(column_sql, arrow_type), self.bigint)

    @abstractmethod
    def matches(self, text_sql: str, pattern: str) -> str:
        """Whether the whole text matches a simple pattern."""

    @abstractmethod
    def from_ms(self, number_sql: str) -> str:
        """Milliseconds since 1970 as a time with zone; in UTC where an engine knows no zones."""

    @abstractmethod
    def div(self, left: str, right: int) -> str:
        """Integer division."""

    # -- names and values -----------------------------------------------------------------------

    def quote(self, identifier: str) -> str:
        """A quoted identifier."""
        return quote(identifier)

    def ours(self, schema: str, table: str) -> str:
        """Quoted name of a table of ours."""
        return f"{self.quote(schema)}.{self.quote(table)}"

    def literal(self, value: bool | int | str) -> str:
        """A literal of configuration. Values of rows never come here."""
        return literal(value)

    def cast(self, value_sql: str, kind: str) -> str:
        """A value as one of the types above, or as a type by the engine's own name."""
        return f"CAST({value_sql} AS {kind})"

    def varchar(self, length: int) -> str:
        """Type of texts of so many characters at most."""
        return f"varchar({length})"

    def characters(self, text_sql: str) -> str:
        """Length in characters of a text expression."""
        return f"length({text_sql})"

    def beginning(self, text_sql: str, length: int) -> str:
        """The first characters of a text expression."""
        return f"substr({text_sql}, 1, {length})"

    def moment(self, text: str) -> str:
        """A time without zone of our own, as `2026-03-29 01:30:00.123456`."""
        return f"TIMESTAMP '{text}'"

    def size(self, blob_sql: str) -> str:
        """Length in bytes of a blob."""
        return f"octet_length({blob_sql})"

    def numbered(self, name: str, columns: str, rest: str) -> str:
        """Query of rows with their number from 0, in any order, before their other columns.

        Args:
            name: of the number.
            columns: that come with it.
            rest: FROM item, and what follows it.
        """
        return f"SELECT {self.row_number} - 1 AS {name}, {columns} FROM {rest}"

    def modulo(self, left: str, right: int) -> str:
        """Rest of an integer division."""
        return f"({left}) % {right}"

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """A column of the model's as a part of its primary key: told from others as rows are, and
        comparable with that of our tables.
        """
        del sql_type, arrow_type
        return column_sql

    def key_value(self, value_sql: str, sql_type: str) -> str:
        """One of two parts of primary keys, of their type; a value of another is null."""
        del sql_type
        return value_sql

    def key_type(self, sql_type: str) -> str:
        """Type of a column of ours that holds primary keys of a type."""
        return sql_type

    def key_text(self, key_sql: str, sql_type: str) -> str:
        """A part of a primary key as a text that `key_of_text` reads."""
        del sql_type
        return self.cast(key_sql, self.text)

    def key_of_text(self, text_sql: str, sql_type: str) -> str:
        """The part of a primary key that `key_text` wrote."""
        return self.cast(text_sql, sql_type)

    def is_one_of(self, column_sql: str, values: Sequence[bool | int | str]) -> str:
        """Whether a column, which is not null, has one of some values of the configuration."""
        return f"{column_sql} IN ({', '.join(self.literal(v) for v in values)})"

    def is_none_of(self, value_sql: str, column: str, query: str) -> str:
        """Whether a value, which is not null, is in no row of a query's one column, none of whose
        values is null.
        """
        del column
        return f"{value_sql} NOT IN ({query})"

    # -- statements -----------------------------------------------------------------------------

    def model(self, query: str) -> str:
        """A model's query as statements of ours hold it: one SELECT."""
        return query

    def create_schema(self, schema: str) -> str:
        """Make a schema where it is not there."""
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote(schema)}"

    def drop_schema(self, schema: str) -> str:
        """Drop a schema that nothing is in; refused where anything is."""
        return f"DROP SCHEMA {self.quote(schema)}"

    def give_schema(self, schema: str) -> str:
        """Statement of a schema's owner that makes the source's role its owner, for a person."""
        return f"ALTER SCHEMA {self.quote(schema)} OWNER TO the role of the source's dsn."

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """Make a table where it is not there: `columns` are definitions, comma-separated."""
        kind = "TEMPORARY TABLE" if temporary else "TABLE"
        return f"CREATE {kind} IF NOT EXISTS {name} ({columns})"

    def indexes(
        self, columns: Mapping[str, str], *indexed: Sequence[str], unique: str | None = None
    ) -> Sequence[str]:
        """Definitions of indexes beside those of columns, where an engine gains by them.

        Args:
            columns: of the table, with their types.
            indexed: columns of each index.
            unique: the column that tells its rows apart.
        """
        del columns, indexed, unique
        return ()

    def create_as(self, name: str, query: str, *, temporary: bool = False) -> str:
        """Make a table of a query's result."""
        return f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {name} AS {query}"

    def working_copy(self, name: str, query: str) -> str:
        """As `create_as`: a table that need not survive a crash of the engine."""
        return self.create_as(name, query)

    def index(self, table: str, columns: Sequence[str]) -> str | None:
        """Statement that lets rows of a table be found by columns; None where an engine needs none.

        Args:
            table: its quoted name.
            columns: that need no quotes.
        """
        del table, columns
        return None

    def journal_table(self, name: str, columns: str) -> str:
        """As `create_table`: a table that goes with the plan it belongs to."""
        return self.create_table(name, columns)

    def drop_table(self, name: str) -> str:
        """Drop a table where it is there."""
        return f"DROP TABLE IF EXISTS {name}"

    def drop_view(self, name: str) -> str:
        """Drop a view that is there."""
        return f"DROP VIEW {name}"

    def rename_table(self, name: str, new: str) -> str:
        """Rename a table within its schema; `new` is not quoted yet."""
        return f"ALTER TABLE {name} RENAME TO {self.quote(new)}"

    def add_column(self, table: str, column: str, kind: str) -> str:
        """Add a column where it is not there."""
        return f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}"

    def replace_view(self, name: str, query: str) -> str:
        """Make a view, or replace it by one with more columns at its end; grants on it stay."""
        return f"CREATE OR REPLACE VIEW {name} AS {query}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """Insert a row where none has its value of a column; of two that do so at once one does.

        Args:
            table: its quoted name, locked where the engine has such locks.
            values: expression by column.
            key: the column that tells rows apart.
        """
        return (
            f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {key} = {values[key]})"
        )

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """Change rows; in conditions and values the table is called `TARGET`.

        Args:
            table: its quoted name.
            changes: new value by column.
            where: which rows.
            source: FROM item with its alias that values come from, one row of it for each target.
        """
        changed = ", ".join(f"{column} = {value}" for column, value in changes.items())
        beside = f" FROM {source}" if source else ""
        return f"UPDATE {table} AS {TARGET} SET {changed}{beside} WHERE {where}"

    def filled(self, table: str, column: str, given: str) -> str:
        """Change a column of some rows of a table.

        Args:
            table: its quoted name.
            column: that needs no quotes.
            given: table of the rows' ordinals `n` and their values `d`, each row once.
        """
        where = f"{TARGET}.{self.ordinal} = w.n"
        return self.update(table, {column: "w.d"}, where, source=f"{given} w")

    def delete(self, table: str, where: str = "TRUE") -> str:
        """Delete rows; in the condition the table is called `TARGET`."""
        return f"DELETE FROM {table} AS {TARGET} WHERE {where}"

    def held_elsewhere(self, query: str, *, pairs: str, gone: str, field: str) -> str:
        """Query of the digests of a field that are gone, and that a pair which is not gone holds.

        Args:
            query: that anti-joins them.
            pairs: quoted name of the table of delivered pairs.
            gone: of those that are gone, each of which is in `pairs`.
            field: a literal.
        """
        del pairs, gone, field
        return query

    def all_of_both(
        self, columns: str, left: str, right: str, on: str, *, beside: str, gap: str
    ) -> str:
        """Query of all rows of two FROM items, side by side where they meet.

        Args:
            columns: of the result.
            left: with its alias.
            right: with its alias.
            on: where they meet.
            beside: further joins.
            gap: a column of the left one that is never null in a row of its own.
        """
        del gap
        return f"SELECT {columns} FROM {left} FULL OUTER JOIN {right} ON {on}{beside}"

    def update_matched(
        self,
        table: str,
        changes: Mapping[str, str],
        matches: Sequence[tuple[str, str]],
        where: str | None = None,
    ) -> str:
        """As `update`, of rows for which each of some FROM items has a row.

        Args:
            table: its quoted name.
            changes: new value by column, of no item.
            matches: FROM item with its alias, and which of its rows.
            where: beside that.
        """
        if self.updates_by_join:
            conditions = [c for c in (where, *(on for _, on in matches)) if c]
            source = ", ".join(item for item, _ in matches)
            return self.update(table, changes, " AND ".join(conditions), source=source)
        conditions = [*([where] if where else []), *(_exists(*match) for match in matches)]
        return self.update(table, changes, " AND ".join(conditions))

    def delete_matched(self, table: str, matches: Sequence[tuple[str, str]]) -> str:
        """As `delete`, of rows for which each of some FROM items has a row."""
        return self.delete(table, " AND ".join(_exists(*match) for match in matches))

    def has_schema(self, schema: str) -> str:
        """Query of one number `n`: 1 where a schema is there, 0 where not."""
        return (
            f"SELECT count(*) AS n FROM information_schema.schemata "
            f"WHERE schema_name = {self.literal(schema)}"
        )

    def has_table(self, schema: str, table: str) -> str:
        """Query of one number `n`: 1 where a table or view is there, 0 where not."""
        return (
            f"SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = "
            f"{self.literal(schema)} AND table_name = {self.literal(table)}"
        )

    def tables_of(self, schema: str) -> str:
        """Query of a schema's tables: `name`, and `kind`, which is VIEW for a view."""
        return (
            f"SELECT table_name AS name, table_type AS kind FROM information_schema.tables "
            f"WHERE table_schema = {self.literal(schema)}"
        )

    def columns_of(self, schema: str, table: str) -> str:
        """Query of the names of a table's columns, as `name`; no row where it is not there."""
        return (
            f"SELECT column_name AS name FROM information_schema.columns WHERE table_schema = "
            f"{self.literal(schema)} AND table_name = {self.literal(table)}"
        )

    def lock(self, table: str) -> str | None:
        """Statement that keeps other transactions from writing a table; None where an engine has
        one writer anyway.
        """
        del table
        return None

    def turn(self, name: str) -> tuple[str, str] | None:
        """Where an engine enforces no key, for those who make a row that there may be once: a
        statement that makes a table of one row where it is not there, and one that changes it. Of
        two transactions that do so at once the engine ends one. None where it has keys, or where
        one waits for the other.

        Args:
            name: of the table, quoted.
        """
        del name
        return None

    # -- digests --------------------------------------------------------------------------------

    def fingerprint(self, rendered: Sequence[str]) -> str:
        """Fingerprint of several rendered values; null apart from ''."""
        return self.md5(self._listed(rendered))

    def key_digest(self, rendered: Sequence[str]) -> str:
        """SHA-256 of a rendered primary key: 32 bytes, whatever its columns."""
        return self.sha256(self._listed(rendered))

    def joined(self, texts_sql: Sequence[str]) -> str:
        """Texts that are never null, side by side."""
        return " || ".join(texts_sql)

    def listed(self, texts: Sequence[str | None]) -> str:
        """What a server's fingerprint is one of, as Python has it: see `_listed`."""
        sizes = ("n" if t is None else str(len(t.encode())) for t in texts)
        return "".join(t or "" for t in texts) + ";".join(sizes)

    def _listed(self, rendered: Sequence[str]) -> str:
        """The texts, then their lengths: read from its end it is one list alone."""
        if not rendered:
            return "''"
        parts = [f"coalesce({r}, '')" for r in rendered]
        for i, text in enumerate(rendered):
            parts += ["';'"] if i else []
            length = self.cast(self.octets(text), self.text)
            parts.append(f"coalesce({length}, 'n')")
        return self.joined(parts)


def _exists(item: str, where: str) -> str:
    return f"EXISTS (SELECT 1 FROM {item} WHERE {where})"


def subject_text(sql: SqlDialect, column_sql: str, arrow_type: pa.DataType) -> str:
    """A column that names a data subject as a text that is compared by its bytes."""
    if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
        return sql.as_text(column_sql)
    return sql.render(column_sql, arrow_type)


def refuse_key_type(name: str, arrow_type: pa.DataType) -> None:
    """Refuse primary keys whose equality is not plain: floats, JSON and nested types."""
    if pa.types.is_floating(arrow_type) or pa.types.is_nested(arrow_type):
        raise PolicyError(
            "key_type",
            f"Primary key column {name} is of type {arrow_type}; floats, JSON and nested types "
            "have no plain equality.",
            hint="Choose integer, text, date, uuid, decimal or boolean columns as primary key.",
        )
