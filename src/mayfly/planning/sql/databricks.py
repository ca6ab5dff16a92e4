"""Databricks SQL. Compiled, not run: written after its documentation, never asked of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.privacy.rules.emitters.databricks import DatabricksEmitter

_RULES = DatabricksEmitter()


class DatabricksDialect(SqlDialect):
    """Databricks, on a SQL warehouse, whose sessions have temporary tables.

    Each statement commits by itself. What a Delta table held before stays readable until it is
    vacuumed.
    """

    blob = "BINARY"
    text = "STRING"
    boolean = "BOOLEAN"
    smallint = "SMALLINT"
    integer = "INT"
    bigint = "BIGINT"
    transactional_ddl = False
    columnar = True
    row_number = "row_number() OVER (ORDER BY NULL)"

    # -- values ---------------------------------------------------------------------------------

    def as_text(self, column_sql: str) -> str:
        """A column may have a collation that takes no notice of case, accents or blanks."""
        return f"(CAST({column_sql} AS STRING) COLLATE UTF8_BINARY)"

    def octets(self, text_sql: str) -> str:
        """Bytes of UTF-8."""
        return f"octet_length({text_sql})"

    def characters(self, text_sql: str) -> str:
        """Not bytes."""
        return f"char_length({text_sql})"

    def md5(self, text_sql: str) -> str:
        """`md5` gives hex."""
        return f"unhex(md5({text_sql}))"

    def sha256(self, text_sql: str) -> str:
        """`sha2` gives hex."""
        return _RULES.sha256(text_sql)

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`concat` joins bytes to bytes."""
        zeros = f"unhex('{'00' * 32}')"
        return f"unhex(md5(concat({', '.join(f'coalesce({b}, {zeros})' for b in blobs_sql)})))"

    def hex(self, blob_sql: str) -> str:
        """`hex` gives upper case."""
        return f"lower(hex({blob_sql}))"

    def utf8(self, text_sql: str) -> str:
        """Named."""
        return f"encode({text_sql}, 'UTF-8')"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, the rest by its one cast, whose floats read back the
        same. The session is in UTC.
        """
        if pa.types.is_timestamp(arrow_type):
            return f"CAST(unix_micros(CAST({column_sql} AS TIMESTAMP)) AS STRING)"
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return self.hex(column_sql)
        if pa.types.is_nested(arrow_type):
            return f"to_json({column_sql})"
        return f"CAST({column_sql} AS STRING)"

    def matches(self, text_sql: str, pattern: str) -> str:
        """Java's patterns."""
        return _RULES.full_match(text_sql, pattern)

    def from_ms(self, number_sql: str) -> str:
        """As a function of its own."""
        return f"timestamp_millis({number_sql})"

    def div(self, left: str, right: int) -> str:
        """`/` gives fractions."""
        return f"(({left}) DIV {right})"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """As a function."""
        return f"concat({', '.join(texts_sql)})"

    # -- names and values -----------------------------------------------------------------------

    def quote(self, identifier: str) -> str:
        """In backticks."""
        return "`" + identifier.replace("`", "``") + "`"

    def literal(self, value: bool | int | str) -> str:
        """A backslash begins an escape, and two quotes are no quote."""
        return _RULES.literal(value) if isinstance(value, str) else super().literal(value)

    def varchar(self, length: int) -> str:
        """A length would be checked, and gain nothing."""
        del length
        return self.text

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """A text of a primary key is told from others by its bytes."""
        del sql_type
        return self.as_text(column_sql) if pa.types.is_string(arrow_type) else column_sql

    def key_text(self, key_sql: str, sql_type: str) -> str:
        """Bytes as hex: not all are a text."""
        return self.hex(key_sql) if sql_type == "binary" else super().key_text(key_sql, sql_type)

    def key_of_text(self, text_sql: str, sql_type: str) -> str:
        """See `key_text`."""
        if sql_type == "binary":
            return f"unhex({text_sql})"
        return super().key_of_text(text_sql, sql_type)

    def is_one_of(self, column_sql: str, values: Sequence[bool | int | str]) -> str:
        """Texts by their bytes."""
        texts = [self.literal(v) for v in values if isinstance(v, str)]
        others = [self.literal(v) for v in values if not isinstance(v, str)]
        parts = [f"{self.as_text(column_sql)} IN ({', '.join(texts)})"] if texts else []
        parts += [f"{column_sql} IN ({', '.join(others)})"] if others else []
        return f"({' OR '.join(parts)})"

    # -- statements -----------------------------------------------------------------------------

    def drop_schema(self, schema: str) -> str:
        """Refused where anything is in it."""
        return f"DROP SCHEMA {self.quote(schema)} RESTRICT"

    def give_schema(self, schema: str) -> str:
        """An owner is a principal, not a role."""
        return f"ALTER SCHEMA {self.quote(schema)} OWNER TO the principal of the source's token."

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """A temporary one cannot be made where it is not there alone."""
        if temporary:
            return f"CREATE TEMPORARY TABLE {name} ({columns})"
        return super().create_table(name, columns)

    def rename_table(self, name: str, new: str) -> str:
        """A bare new name would be one of the session's own schema."""
        schema = name[: name.rindex(".`") + 1]
        return f"ALTER TABLE {name} RENAME TO {schema}{self.quote(new)}"

    def add_column(self, table: str, column: str, kind: str) -> str:
        """Refused where it is there."""
        return f"ALTER TABLE {table} ADD COLUMN {column} {kind}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """No key is enforced; of two merges that write at once one fails."""
        given = ", ".join(f"{value} AS {name}" for name, value in values.items())
        return (
            f"MERGE INTO {table} AS {TARGET} USING (SELECT {given}) AS mf_s "
            f"ON {TARGET}.{key} = mf_s.{key} WHEN NOT MATCHED THEN INSERT ({', '.join(values)}) "
            f"VALUES ({', '.join(f'mf_s.{name}' for name in values)})"
        )

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """An update looks at one table: values of another come by a merge."""
        if source is None:
            return super().update(table, changes, where)
        changed = ", ".join(f"{column} = {value}" for column, value in changes.items())
        return (
            f"MERGE INTO {table} AS {TARGET} USING {source} ON {where} "
            f"WHEN MATCHED THEN UPDATE SET {changed}"
        )
