"""Spark SQL 4, in sessions that pin ANSI mode and what texts mean; and what Databricks shares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.privacy.rules.emitters.spark import SparkEmitter

JSON = (
    "map('ignoreNullFields', 'false', 'timestampFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSSXXX', "
    "'timestampNTZFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSS', 'dateFormat', 'yyyy-MM-dd')"
)
"""Options of JSON: all of a value, whatever a session says."""
NUMBERED = re.compile(
    r"/\*mayfly numbers (?P<name>\w+)\*/(?P<query>.*)/\*mayfly numbered\*/", re.DOTALL
)
"""A query whose rows are to be numbered, and the name of the number, in a statement."""
_RULES = SparkEmitter()


def quote(identifier: str) -> str:
    """Backticks: a quotation mark begins a text."""
    return "`" + identifier.replace("`", "``") + "`"


class SparkSql(SqlDialect):
    """Values, names and types as Spark's SQL writes them, whoever runs it."""

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
        """A row of operators would be as deep as it is long."""
        return f"concat({', '.join(texts_sql)})"

    # -- names and values -----------------------------------------------------------------------

    def quote(self, identifier: str) -> str:
        """See `quote`."""
        return quote(identifier)

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
        """Texts by their bytes: compared with a text, a number would become one or fail."""
        texts = [self.literal(v) for v in values if isinstance(v, str)]
        others = [self.literal(v) for v in values if not isinstance(v, str)]
        parts = [f"{self.as_text(column_sql)} IN ({', '.join(texts)})"] if texts else []
        parts += [f"{column_sql} IN ({', '.join(others)})"] if others else []
        return f"({' OR '.join(parts)})"


class SparkDialect(SparkSql):
    """Spark itself, which has no temporary tables, no transactions, and changes no row.

    Statements make temporary tables and put new ones in the place of old ones; the session does
    what they say (see `spark_tables`), and takes no others. A state in the source there is not.
    """

    rewrites = True
    # No row is found by its number: each page is a look at the whole table.
    page_rows = 1_000_000

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """What is nested as JSON of its whole value, and texts whatever their collation."""
        if pa.types.is_nested(arrow_type):
            return f"to_json({column_sql}, {JSON})"
        if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
            return self.as_text(column_sql)
        return super().render(column_sql, arrow_type)

    def is_none_of(self, value_sql: str, column: str, query: str) -> str:
        """`NOT IN` heeds nulls, and is done by sending all of the query to every machine."""
        return f"NOT EXISTS (SELECT 1 FROM ({query}) AS mf_x WHERE mf_x.{column} = {value_sql})"

    def numbered(self, name: str, columns: str, rest: str) -> str:
        """To number rows in one query Spark sorts all of them on one machine: the query stands
        between marks, and the session numbers its rows as they lie (see `spark_tables`).
        """
        return f"/*mayfly numbers {name}*/SELECT {columns} FROM {rest}/*mayfly numbered*/"

    def key_type(self, sql_type: str) -> str:
        """Texts as `key` gives them."""
        return self.text if sql_type.startswith("string") else sql_type

    def key_of_text(self, text_sql: str, sql_type: str) -> str:
        """See `key_text`."""
        return super().key_of_text(text_sql, self.key_type(sql_type))

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """The table anew, with other values."""
        hit, beside = f"({where})", ""
        if source is not None:
            item, _, alias = source.rpartition(" ")
            hit = f"{alias}.mf_hit"
            found = f"SELECT TRUE AS mf_hit, mf_i.* FROM {item} AS mf_i"
            beside = f" LEFT JOIN ({found}) AS {alias} ON {where}"
        changed = ", ".join(
            f"CASE WHEN {hit} THEN {value} ELSE {TARGET}.{column} END AS {column}"
            for column, value in changes.items()
        )
        kept = f"{TARGET}.* EXCEPT ({', '.join(changes)})"
        query = f"SELECT {kept}, {changed} FROM {table} AS {TARGET}{beside}"
        return f"CREATE OR REPLACE TEMPORARY TABLE {table} AS {query}"

    def delete(self, table: str, where: str = "TRUE") -> str:
        """The table anew, without some rows."""
        query = f"SELECT * FROM {table} AS {TARGET} WHERE NOT coalesce(({where}), FALSE)"
        return f"CREATE OR REPLACE TEMPORARY TABLE {table} AS {query}"
