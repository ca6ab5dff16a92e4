"""DuckDB's spelling."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect, literal


class DuckdbDialect(SqlDialect):
    """DuckDB 2."""

    blob = "BLOB"
    text = "VARCHAR"
    columnar = True
    reads_at_once = 1
    # A subquery that looks at the changed row is worked out for all of them first.
    updates_by_join = True
    # A column of row numbers would be made by one thread, and all that is computed beside it.
    ordinal = "rowid"

    def as_text(self, column_sql: str) -> str:
        """The collation of a column, NOCASE for one, would survive the cast."""
        return f'(CAST({column_sql} AS VARCHAR) COLLATE "binary")'

    def octets(self, text_sql: str) -> str:
        """`strlen` counts bytes."""
        return f"strlen({text_sql})"

    def md5(self, text_sql: str) -> str:
        """`md5` gives hex."""
        return f"unhex(md5({text_sql}))"

    def sha256(self, text_sql: str) -> str:
        """`sha256` gives hex."""
        return f"unhex(sha256({text_sql}))"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`||` joins blobs."""
        zeros = f"unhex('{'00' * 32}')"
        return f"unhex(md5({' || '.join(f'coalesce({b}, {zeros})' for b in blobs_sql)}))"

    def hex(self, blob_sql: str) -> str:
        """`hex` gives upper case."""
        return f"lower(hex({blob_sql}))"

    def utf8(self, text_sql: str) -> str:
        """`encode` gives UTF-8."""
        return f"encode({text_sql})"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, floats as bits, the rest by its one cast."""
        if pa.types.is_timestamp(arrow_type):
            return (
                f"CASE WHEN isfinite({column_sql}) THEN epoch_us({column_sql})::VARCHAR "
                f"ELSE {column_sql}::VARCHAR END"
            )
        if pa.types.is_floating(arrow_type):
            return f"({column_sql}::DOUBLE)::BIT::VARCHAR"
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return f"hex({column_sql})"
        if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
            return f"({column_sql})::VARCHAR"
        if pa.types.is_nested(arrow_type):
            return f"to_json({column_sql})::VARCHAR"
        return f"({column_sql})::VARCHAR"

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Not of infinity."""
        day = pa.types.is_date(arrow_type)
        time = f"CAST({column_sql} AS TIMESTAMP)" if day else column_sql
        return f"CASE WHEN isfinite({column_sql}) THEN epoch_us({time}) END"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """An expression may be 1,000 operators deep, and a table 2,000 columns wide."""
        return f"concat({', '.join(texts_sql)})"

    def matches(self, text_sql: str, pattern: str) -> str:
        """RE2, anchored at both ends."""
        return f"regexp_full_match({text_sql}, {literal(pattern)})"

    def from_ms(self, number_sql: str) -> str:
        """`to_timestamp` takes seconds."""
        return f"to_timestamp({number_sql} / 1000.0)"

    def div(self, left: str, right: int) -> str:
        """`/` would be float division."""
        return f"({left}) // {right}"
