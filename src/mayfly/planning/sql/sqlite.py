"""SQLite's spelling. What it cannot compute itself, its sessions lend it: functions `mf_…`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect, literal

_ARGUMENTS_MAX = 100
UNTYPED = "ANY TEXT"
"""Of a column that may hold texts and numbers alike: each is taken for its text."""
_CLASSES = {
    "INTEGER": "integer",
    "BOOLEAN": "integer",
    "REAL": "real",
    "TEXT": "text",
    UNTYPED: "text",
}
_LIMITED = re.compile(r" LIMIT [0-9]+$")
_BOOLEANS = {"true": 1, "1": 1, "false": 0, "0": 0}


def backtick(identifier: str) -> str:
    """An identifier that is never anything else: what stands in double quotes and is no column is
    a text to SQLite.
    """
    return "`" + identifier.replace("`", "``") + "`"


def exact_text(value_sql: str) -> str:
    """Text of a value of whatever storage class but a blob; a number reads back as itself."""
    text = f"CAST({value_sql} AS TEXT)"
    real = (
        f"CASE WHEN CAST({text} AS REAL) = {value_sql} THEN {text} "
        f"ELSE printf('%!.17g', {value_sql}) END"
    )
    return (
        f"CAST(CASE typeof({value_sql}) WHEN 'real' THEN {real} WHEN 'blob' THEN NULL "
        f"ELSE {text} END AS TEXT)"
    )


class SqliteDialect(SqlDialect):
    """SQLite 3.40 and later, whose databases have no schemas: our tables bear the schema's name."""

    blob = "BLOB"
    text = "TEXT"
    reads_at_once = 1
    has_times = False
    # A column of row numbers would have to be searched for.
    ordinal = "rowid"
    fence = " LIMIT -1 OFFSET 0"

    def quote(self, identifier: str) -> str:
        """In backticks."""
        return backtick(identifier)

    def ours(self, schema: str, table: str) -> str:
        """One name in the one schema of the file."""
        return f"main.{self.quote(f'{schema}.{table}')}"

    def as_text(self, column_sql: str) -> str:
        """The collation of a column, NOCASE for one, would survive the cast."""
        return f"(CAST({column_sql} AS TEXT) COLLATE BINARY)"

    def octets(self, text_sql: str) -> str:
        """`length` of a text ends at a NUL."""
        return f"length(CAST({text_sql} AS BLOB))"

    def size(self, blob_sql: str) -> str:
        """`length` of a blob is in bytes."""
        return f"length({blob_sql})"

    def md5(self, text_sql: str) -> str:
        """Lent."""
        return f"mf_md5({text_sql})"

    def sha256(self, text_sql: str) -> str:
        """Lent."""
        return f"mf_sha256({text_sql})"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`||` makes a text of blobs; a function takes 127 arguments at most."""
        parts = [
            f"mf_digests({', '.join(blobs_sql[i : i + _ARGUMENTS_MAX])})"
            for i in range(0, len(blobs_sql), _ARGUMENTS_MAX)
        ]
        return f"mf_md5_of({', '.join(parts)})"

    def hex(self, blob_sql: str) -> str:
        """`hex` gives upper case, and a text for null."""
        return f"CASE WHEN {blob_sql} IS NOT NULL THEN lower(hex({blob_sql})) END"

    def utf8(self, text_sql: str) -> str:
        """In a file of UTF-16 it would be that: such a file is refused."""
        return f"CAST({text_sql} AS BLOB)"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Floats with all their digits, the rest by its one text."""
        if pa.types.is_boolean(arrow_type):
            return f"CASE WHEN {column_sql} THEN 'true' WHEN NOT {column_sql} THEN 'false' END"
        if pa.types.is_floating(arrow_type):
            given = f"{column_sql} IS NOT NULL"
            return f"CASE WHEN {given} THEN printf('%!.17g', {column_sql}) END"
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return self.hex(column_sql)
        if pa.types.is_integer(arrow_type):
            return f"CAST({column_sql} AS TEXT)"
        return exact_text(column_sql)

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Of texts as ISO 8601 has them, to the millisecond; a number is no time here."""
        del arrow_type
        formed = f"{column_sql} GLOB '[0-9][0-9][0-9][0-9]-*'"
        seconds = f"CAST(strftime('%s', {column_sql}) AS INTEGER) * 1000000"
        rest = f"CAST(substr(strftime('%f', {column_sql}), 4, 3) AS INTEGER) * 1000"
        text = f"typeof({column_sql}) = 'text' AND {formed}"
        return f"CASE WHEN {text} THEN {seconds} + {rest} END"

    def matches(self, text_sql: str, pattern: str) -> str:
        """Lent."""
        return f"mf_matches({text_sql}, {literal(pattern)})"

    def from_ms(self, number_sql: str) -> str:
        """As text: there is no type of times."""
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', {number_sql} / 1000.0, 'unixepoch')"

    def div(self, left: str, right: int) -> str:
        """Integers divide to integers."""
        return f"({left}) / {right}"

    def cast(self, value_sql: str, kind: str) -> str:
        """A text that says true would become 0."""
        if kind.casefold() != self.boolean:
            return super().cast(value_sql, kind)
        whens = " ".join(f"WHEN '{text}' THEN {n}" for text, n in _BOOLEANS.items())
        return f"CASE CAST({value_sql} AS TEXT) {whens} END"

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """A search by an index wants the affinity and the collation that the index has."""
        del arrow_type
        if sql_type == UNTYPED:
            return exact_text(column_sql)
        return f"({column_sql} COLLATE BINARY)" if sql_type == self.text else column_sql

    def key_value(self, value_sql: str, sql_type: str) -> str:
        """A cast has the affinity that a function has not; alone it would make 0 of a text."""
        held = _CLASSES.get(sql_type)
        if held is None:
            return value_sql
        return f"CAST(CASE typeof({value_sql}) WHEN '{held}' THEN {value_sql} END AS {sql_type})"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """In halves: an expression may be 1,000 operators deep."""
        if len(texts_sql) == 1:
            return texts_sql[0]
        half = len(texts_sql) // 2
        return f"({self.joined(texts_sql[:half])} || {self.joined(texts_sql[half:])})"

    def _listed(self, rendered: Sequence[str]) -> str:
        """Lent, in as many calls as arguments ask for: the parser's stack has room for 100 symbols,
        and 2,000 columns side by side would be deeper.
        """
        if len(rendered) <= _ARGUMENTS_MAX:
            return f"mf_listed({', '.join(rendered)})"
        parts = [
            ", ".join(rendered[i : i + _ARGUMENTS_MAX])
            for i in range(0, len(rendered), _ARGUMENTS_MAX)
        ]
        lengths = " || ';' || ".join(f"mf_lengths({part})" for part in parts)
        return f"{' || '.join(f'mf_texts({part})' for part in parts)} || {lengths}"

    # -- statements -----------------------------------------------------------------------------

    def create_schema(self, schema: str) -> str:
        """There is nothing to make."""
        del schema
        return "SELECT 1"

    def drop_schema(self, schema: str) -> str:
        """There is nothing to drop."""
        del schema
        return "SELECT 1"

    def index(self, table: str, columns: Sequence[str]) -> str | None:
        """A condition on rows of another table would look through all of it for each row."""
        name = f"{_unquoted(table)} by {' '.join(columns)}"
        named = ", ".join(columns)
        bare = table.removeprefix("main.")
        return f"CREATE INDEX IF NOT EXISTS {self.quote(name)} ON {bare} ({named})"

    def rename_table(self, name: str, new: str) -> str:
        """The schema is part of the name. The view that reads the table goes and is made anew: with
        it the engine would look through every view of the file, and stop at a broken one.
        """
        schema = _unquoted(name).partition(".")[0]
        view = self.ours(schema, "rejected")
        renamed = f"ALTER TABLE {name} RENAME TO {self.quote(f'{schema}.{new}')}"
        return f"DROP VIEW IF EXISTS {view}; {renamed}"

    def add_column(self, table: str, column: str, kind: str) -> str:
        """Only asked for where it is not there."""
        return f"ALTER TABLE {table} ADD COLUMN {column} {kind}"

    def replace_view(self, name: str, query: str) -> str:
        """In two statements; there are no grants."""
        return f"DROP VIEW IF EXISTS {name}; CREATE VIEW {name} AS {query}"

    def all_of_both(
        self, columns: str, left: str, right: str, on: str, *, beside: str, gap: str
    ) -> str:
        """What the first item works out is worked out once for each of its rows."""
        query, _, alias = left.rpartition(")")
        fence = "" if _LIMITED.search(query) else self.fence
        once = f"{query}{fence}){alias}"
        return super().all_of_both(columns, once, right, on, beside=beside, gap=gap)

    def has_schema(self, schema: str) -> str:
        """Where a table bears its name."""
        return f"SELECT count(*) > 0 AS n FROM main.sqlite_master WHERE {self._within(schema)}"

    def has_table(self, schema: str, table: str) -> str:
        """By its whole name."""
        name = self.literal(f"{schema}.{table}")
        return (
            f"SELECT count(*) AS n FROM main.sqlite_master "
            f"WHERE type IN ('table', 'view') AND name = {name}"
        )

    def tables_of(self, schema: str) -> str:
        """Those whose names begin so."""
        return (
            f"SELECT substr(name, {len(schema) + 2}) AS name, upper(type) AS kind "
            f"FROM main.sqlite_master WHERE type IN ('table', 'view') AND {self._within(schema)}"
        )

    def columns_of(self, schema: str, table: str) -> str:
        """From the table's definition."""
        name = self.literal(f"{schema}.{table}")
        return f"SELECT name FROM pragma_table_info({name}, 'main')"

    def _within(self, schema: str) -> str:
        return f"substr(name, 1, {len(schema) + 1}) = {self.literal(schema + '.')}"


def _unquoted(name: str) -> str:
    return name.removeprefix("main.")[1:-1].replace("``", "`")
