"""PostgreSQL's spelling."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect, literal


class PostgresDialect(SqlDialect):
    """PostgreSQL 14 and later."""

    blob = "bytea"
    text = "text"
    brief = "SET LOCAL idle_in_transaction_session_timeout = 30000"
    fence = " OFFSET 0"

    def as_text(self, column_sql: str) -> str:
        """A collation may take `--` for nothing, and functions over citext ignore case."""
        return f'(CAST({column_sql} AS text) COLLATE "C")'

    def octets(self, text_sql: str) -> str:
        """Bytes, not characters."""
        return f"octet_length({text_sql})"

    def md5(self, text_sql: str) -> str:
        """`md5` gives hex."""
        return f"decode(md5({text_sql}), 'hex')"

    def sha256(self, text_sql: str) -> str:
        """`sha256` takes bytes."""
        return f"sha256(convert_to({text_sql}, 'UTF8'))"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`md5` takes bytes, too, and gives hex."""
        zeros = f"decode('{'00' * 32}', 'hex')"
        joined = " || ".join(f"coalesce({b}, {zeros})" for b in blobs_sql)
        return f"decode(md5({joined}), 'hex')"

    def hex(self, blob_sql: str) -> str:
        """Lower case."""
        return f"encode({blob_sql}, 'hex')"

    def utf8(self, text_sql: str) -> str:
        """As UTF-8 whatever the server's encoding."""
        return f"convert_to({text_sql}, 'UTF8')"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, floats as bits, the rest by its one output form."""
        if pa.types.is_timestamp(arrow_type):
            return (
                f"CASE WHEN isfinite({column_sql}) THEN "
                f"(extract(epoch FROM {column_sql}) * 1000000)::bigint::text "
                f"ELSE ({column_sql})::text END"
            )
        if pa.types.is_floating(arrow_type):
            return f"encode(float8send(({column_sql})::float8), 'hex')"
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return f"encode({column_sql}, 'hex')"
        if pa.types.is_nested(arrow_type):
            return f"to_json({column_sql})::text"
        return f"({column_sql})::text"

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Not of infinity."""
        del arrow_type
        number = f"(extract(epoch FROM {column_sql}) * 1000000)::bigint"
        return f"CASE WHEN isfinite({column_sql}) THEN {number} END"

    def matches(self, text_sql: str, pattern: str) -> str:
        """POSIX, anchored at both ends."""
        return f"({text_sql}) ~ {literal('^(?:' + pattern + ')$')}"

    def working_copy(self, name: str, query: str) -> str:
        """Unlogged: emptied by the engine after a crash, and then planned anew."""
        return f"CREATE UNLOGGED TABLE {name} AS {query}"

    def from_ms(self, number_sql: str) -> str:
        """`to_timestamp` takes seconds."""
        return f"to_timestamp({number_sql} / 1000.0)"

    def div(self, left: str, right: int) -> str:
        """Integers divide to integers."""
        return f"({left}) / {right}"

    def lock(self, table: str) -> str | None:
        """Readers go on."""
        return f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"
