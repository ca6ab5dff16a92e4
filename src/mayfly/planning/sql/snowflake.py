"""Snowflake's spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect

_SMALL = re.compile(r"[a-z_][a-z0-9_$]*", re.ASCII)
_CAPITAL = re.compile(r"[A-Z_][A-Z0-9_$]*", re.ASCII)
KEEPS_NOTHING = "DATA_RETENTION_TIME_IN_DAYS = 0"
"""Of a table: no row that is deleted or dropped can be read again."""


def exchanged(name: str) -> str:
    """A name as Snowflake has it, of one as Mayfly has it, and the other way round.

    Snowflake writes names without quotes in capitals. What is all small here is all capitals there,
    and what is all capitals here is all small there; other names are the same. So `id` is what a
    query without quotes calls `id`, and no two names become one.
    """
    if _SMALL.fullmatch(name):
        return name.upper()
    return name.lower() if _CAPITAL.fullmatch(name) else name


def exchanged_sql(column_sql: str) -> str:
    """`exchanged`, of names that stand in a column."""
    return (
        f"CASE WHEN REGEXP_LIKE({column_sql}, '[A-Z_][A-Z0-9_$]*') THEN LOWER({column_sql}) "
        f"WHEN REGEXP_LIKE({column_sql}, '[a-z_][a-z0-9_$]*') THEN UPPER({column_sql}) "
        f"ELSE {column_sql} END"
    )


def literal(value: bool | int | str) -> str:
    """A literal of configuration: a backslash begins an escape."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def quote(identifier: str) -> str:
    """A quoted identifier, of a name as Mayfly has it."""
    return '"' + exchanged(identifier).replace('"', '""') + '"'


class SnowflakeDialect(SqlDialect):
    """Snowflake, whose statements on tables commit.

    A query in a condition that looks at the changed row is supported in simple forms alone: joins
    stand in its place.
    """

    blob = "BINARY"
    updates_by_join = True
    text = "VARCHAR"
    boolean = "BOOLEAN"
    # Each wide enough for what other engines call so; see `snowflake_types`.
    smallint = "NUMBER(5, 0)"
    integer = "NUMBER(10, 0)"
    bigint = "NUMBER(19, 0)"
    transactional_ddl = False
    row_number = "ROW_NUMBER() OVER (ORDER BY NULL)"
    columnar = True

    def as_text(self, column_sql: str) -> str:
        """The collation of a column would survive the cast; none compares code points."""
        return f"COLLATE(CAST({column_sql} AS VARCHAR), '')"

    def octets(self, text_sql: str) -> str:
        """Bytes of UTF-8."""
        return f"OCTET_LENGTH({text_sql})"

    def md5(self, text_sql: str) -> str:
        """As a blob."""
        return f"MD5_BINARY({text_sql})"

    def sha256(self, text_sql: str) -> str:
        """As a blob."""
        return f"SHA2_BINARY({text_sql}, 256)"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """Hash functions take texts: of the hex digits. Compared with no other engine's."""
        zeros = self.literal("0" * 64)
        parts = (f"COALESCE(HEX_ENCODE({b}), {zeros})" for b in blobs_sql)
        return f"MD5_BINARY({' || '.join(parts)})"

    def hex(self, blob_sql: str) -> str:
        """`HEX_ENCODE` gives upper case."""
        return f"LOWER(HEX_ENCODE({blob_sql}))"

    def utf8(self, text_sql: str) -> str:
        """Named, since the session's default is hex."""
        return f"TO_BINARY({text_sql}, 'UTF-8')"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, floats with what their text leaves out, the rest by its
        one cast: forms of dates and times are the session's, which pins them.
        """
        if pa.types.is_timestamp(arrow_type):
            return f"CAST(DATE_PART(EPOCH_MICROSECOND, {column_sql}) AS VARCHAR)"
        if pa.types.is_floating(arrow_type):
            return self._float(column_sql)
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return f"HEX_ENCODE({column_sql})"
        return f"CAST({column_sql} AS VARCHAR)"

    def _float(self, column_sql: str) -> str:
        """A float's text may be rounded; the difference to what it says has few digits."""
        text = f"CAST(CAST({column_sql} AS FLOAT) AS VARCHAR)"
        rest = f"CAST({column_sql} - TRY_CAST({text} AS FLOAT) AS VARCHAR)"
        return f"({text} || ' ' || COALESCE({rest}, ''))"

    def matches(self, text_sql: str, pattern: str) -> str:
        """Anchored at both ends by itself; it knows no groups that do not capture."""
        return f"REGEXP_LIKE({text_sql}, {self.literal(pattern.replace('(?:', '('))})"

    def from_ms(self, number_sql: str) -> str:
        """In thousandths of a second."""
        return f"TO_TIMESTAMP_LTZ({number_sql}, 3)"

    def div(self, left: str, right: int) -> str:
        """`/` rounds to six digits: of what is divided without a rest it is exact."""
        exact = f"(({left}) - MOD({left}, {right})) / {right}"
        return self.cast(exact, self.bigint)

    # -- names and values -----------------------------------------------------------------------

    def quote(self, identifier: str) -> str:
        """See `exchanged`."""
        return quote(identifier)

    def literal(self, value: bool | int | str) -> str:
        """A backslash begins an escape."""
        return literal(value)

    # -- statements -----------------------------------------------------------------------------

    def create_schema(self, schema: str) -> str:
        """What is made in it is transient, too, and keeps nothing."""
        return f"CREATE TRANSIENT SCHEMA IF NOT EXISTS {self.quote(schema)} {KEEPS_NOTHING}"

    def give_schema(self, schema: str) -> str:
        """Without the word what was granted on it would have to go first."""
        name = self.quote(schema)
        return f"GRANT OWNERSHIP ON SCHEMA {name} TO ROLE the source's role COPY CURRENT GRANTS."

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """Transient, without Time Travel and Fail-safe: what is deleted is gone."""
        kind = "TEMPORARY" if temporary else "TRANSIENT"
        return f"CREATE {kind} TABLE IF NOT EXISTS {name} ({columns}) {KEEPS_NOTHING}"

    def create_as(self, name: str, query: str, *, temporary: bool = False) -> str:
        """As `create_table`."""
        kind = "TEMPORARY" if temporary else "TRANSIENT"
        return f"CREATE {kind} TABLE {name} {KEEPS_NOTHING} AS {query}"

    def rename_table(self, name: str, new: str) -> str:
        """A bare new name would be one of the session's own schema."""
        schema = name[: name.rindex('."') + 1]
        return f"ALTER TABLE {name} RENAME TO {schema}{self.quote(new)}"

    def replace_view(self, name: str, query: str) -> str:
        """Without the word grants would go with the old one."""
        return f"CREATE OR REPLACE VIEW {name} COPY GRANTS AS {query}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """A merge waits for another one, which inserts do not."""
        given = ", ".join(f"{value} AS {column}" for column, value in values.items())
        return (
            f"MERGE INTO {table} AS {TARGET} USING (SELECT {given}) AS mf_s "
            f"ON {TARGET}.{key} = mf_s.{key} WHEN NOT MATCHED THEN INSERT ({', '.join(values)}) "
            f"VALUES ({', '.join(f'mf_s.{column}' for column in values)})"
        )

    def delete_matched(self, table: str, matches: Sequence[tuple[str, str]]) -> str:
        """By a join."""
        source = ", ".join(item for item, _ in matches)
        where = " AND ".join(on for _, on in matches)
        return f"DELETE FROM {table} AS {TARGET} USING {source} WHERE {where}"

    # -- the catalog ----------------------------------------------------------------------------

    def has_schema(self, schema: str) -> str:
        """By its name there."""
        return super().has_schema(exchanged(schema))

    def has_table(self, schema: str, table: str) -> str:
        """By their names there."""
        return super().has_table(exchanged(schema), exchanged(table))

    def tables_of(self, schema: str) -> str:
        """Under their names here."""
        return (
            f"SELECT {exchanged_sql('table_name')} AS name, table_type AS kind "
            f"FROM information_schema.tables "
            f"WHERE table_schema = {self.literal(exchanged(schema))}"
        )

    def columns_of(self, schema: str, table: str) -> str:
        """Under their names here."""
        return (
            f"SELECT {exchanged_sql('column_name')} AS name FROM information_schema.columns "
            f"WHERE table_schema = {self.literal(exchanged(schema))} "
            f"AND table_name = {self.literal(exchanged(table))} ORDER BY ordinal_position"
        )
