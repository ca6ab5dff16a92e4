"""BigQuery's spelling: GoogleSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect

CATALOG = "/* mayfly catalog */ "
"""Begins a question of a dataset's catalog: where there is no such dataset, it has nothing."""
COPY_DAYS = 30
"""When the engine itself drops a working copy that nobody dropped."""
_CLUSTERED_MAX = 4
_KEYS = re.compile(r"(?:^|, )(k\d+) (\w+)")
_CLUSTERED = frozenset(
    "BIGNUMERIC BOOL DATE DATETIME INT64 NUMERIC STRING TIMESTAMP".split()
)  # what tables can be clustered by


def _escaped(text: str, mark: str) -> str:
    """The inside of what stands between two marks: a backslash begins an escape."""
    made = text.replace("\\", "\\\\").replace(mark, "\\" + mark)
    return "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in made)


class BigqueryDialect(SqlDialect):
    """BigQuery. No lasting table is made or dropped in a transaction."""

    blob = "BYTES"
    text = "STRING"
    boolean = "BOOL"
    smallint = integer = bigint = "INT64"
    columnar = True
    transactional_ddl = False

    # -- values ---------------------------------------------------------------------------------

    def as_text(self, column_sql: str) -> str:
        """A column may have a collation that takes no notice of case."""
        return f"COLLATE(CAST({column_sql} AS STRING), '')"

    def octets(self, text_sql: str) -> str:
        """Bytes of UTF-8."""
        return f"BYTE_LENGTH({text_sql})"

    def md5(self, text_sql: str) -> str:
        """Bytes."""
        return f"MD5({text_sql})"

    def sha256(self, text_sql: str) -> str:
        """Bytes."""
        return f"SHA256({text_sql})"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`CONCAT` takes bytes, too."""
        zeros = f"FROM_HEX('{'00' * 32}')"
        return f"MD5(CONCAT({', '.join(f'coalesce({b}, {zeros})' for b in blobs_sql)}))"

    def hex(self, blob_sql: str) -> str:
        """Lower case."""
        return f"TO_HEX({blob_sql})"

    def utf8(self, text_sql: str) -> str:
        """The cast is to UTF-8."""
        return f"CAST({text_sql} AS BYTES)"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Times as UTC microseconds, floats with all their digits, the rest by its one cast."""
        if pa.types.is_timestamp(arrow_type):
            return f"CAST(UNIX_MICROS(CAST({column_sql} AS TIMESTAMP)) AS STRING)"
        if pa.types.is_floating(arrow_type):
            return f"FORMAT('%.17e', {column_sql})"
        if pa.types.is_decimal(arrow_type):
            return f"FORMAT('%.{arrow_type.scale}f', {column_sql})"
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return f"TO_HEX({column_sql})"
        if pa.types.is_nested(arrow_type):
            return f"TO_JSON_STRING({column_sql})"
        return f"CAST({column_sql} AS STRING)"

    def matches(self, text_sql: str, pattern: str) -> str:
        """RE2, anchored at both ends."""
        return f"REGEXP_CONTAINS({text_sql}, {self.literal(f'^(?:{pattern})$')})"

    def from_ms(self, number_sql: str) -> str:
        """A function of its own."""
        return f"TIMESTAMP_MILLIS({number_sql})"

    def div(self, left: str, right: int) -> str:
        """`/` would be float division."""
        return f"DIV({left}, {right})"

    def modulo(self, left: str, right: int) -> str:
        """There is no operator for it."""
        return f"MOD({left}, {right})"

    def quote(self, identifier: str) -> str:
        """In backticks."""
        return f"`{_escaped(identifier, '`')}`"

    def literal(self, value: bool | int | str) -> str:
        """Two quotes are no quote."""
        if not isinstance(value, str):
            return super().literal(value)
        return "'" + _escaped(value, "'") + "'"

    def varchar(self, length: int) -> str:
        """In characters."""
        return f"STRING({length})"

    def characters(self, text_sql: str) -> str:
        """Not bytes."""
        return f"CHAR_LENGTH({text_sql})"

    def size(self, blob_sql: str) -> str:
        """Bytes."""
        return f"BYTE_LENGTH({blob_sql})"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """As a function."""
        return f"CONCAT({', '.join(texts_sql)})" if len(texts_sql) > 1 else texts_sql[0]

    # -- statements -----------------------------------------------------------------------------

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """Clustered by the primary key where it has one."""
        if temporary:
            return f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})"
        keys = [key for key, kind in _KEYS.findall(columns) if kind in _CLUSTERED]
        clustered = f" CLUSTER BY {', '.join(keys[:_CLUSTERED_MAX])}" if keys else ""
        return f"CREATE TABLE IF NOT EXISTS {name} ({columns}){clustered}"

    def create_as(self, name: str, query: str, *, temporary: bool = False) -> str:
        """What is made of a query's result is a working copy, which the engine drops in the end."""
        if temporary:
            return f"CREATE TEMP TABLE {name} AS {query}"
        return f"CREATE TABLE {name} {_expires()} AS {query}"

    def journal_table(self, name: str, columns: str) -> str:
        """Dropped in the end, too."""
        return f"CREATE TABLE IF NOT EXISTS {name} ({columns}) {_expires()}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """No key is enforced: of two at the same moment both may insert, but for `turn`."""
        given = ", ".join(f"{value} AS {name}" for name, value in values.items())
        names = ", ".join(values)
        taken = ", ".join(f"mf_s.{name}" for name in values)
        return (
            f"MERGE {table} AS {TARGET} USING (SELECT {given}) AS mf_s "
            f"ON {TARGET}.{key} = mf_s.{key} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({taken})"
        )

    def turn(self, name: str) -> tuple[str, str] | None:
        """BigQuery ends one of two transactions that change the rows of a table."""
        made = f"CREATE TABLE IF NOT EXISTS {name} AS SELECT 0 AS n"
        return made, self.update(name, {"n": "n + 1"}, "TRUE")

    # -- catalog --------------------------------------------------------------------------------

    def has_schema(self, schema: str) -> str:
        """A dataset's catalog can be asked where the dataset is there."""
        return (
            f"{CATALOG}SELECT count(*) AS n FROM (SELECT 1 AS one) AS mf_o WHERE 0 <= "
            f"(SELECT count(*) FROM {self.quote(schema)}.INFORMATION_SCHEMA.TABLES)"
        )

    def has_table(self, schema: str, table: str) -> str:
        """In the dataset's own catalog."""
        return (
            f"{CATALOG}SELECT count(*) AS n FROM {self.quote(schema)}.INFORMATION_SCHEMA.TABLES "
            f"WHERE table_name = {self.literal(table)}"
        )

    def tables_of(self, schema: str) -> str:
        """In the dataset's own catalog."""
        return (
            f"{CATALOG}SELECT table_name AS name, table_type AS kind "
            f"FROM {self.quote(schema)}.INFORMATION_SCHEMA.TABLES"
        )

    def columns_of(self, schema: str, table: str) -> str:
        """In the dataset's own catalog."""
        return (
            f"{CATALOG}SELECT column_name AS name FROM {self.quote(schema)}."
            f"INFORMATION_SCHEMA.COLUMNS WHERE table_name = {self.literal(table)}"
        )


def _expires() -> str:
    return (
        "OPTIONS(expiration_timestamp=TIMESTAMP_ADD(CURRENT_TIMESTAMP(), "
        f"INTERVAL {COPY_DAYS} DAY))"
    )
