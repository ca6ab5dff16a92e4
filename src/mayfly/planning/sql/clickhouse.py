"""ClickHouse's spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.domain.errors import PolicyError
from mayfly.planning.sql.dialect import TARGET, SqlDialect

_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((?P<inner>.*)\)", re.DOTALL)
_SIMPLE = re.compile(r"SimpleAggregateFunction\(\w+(?:\([^)]*\))?, (?P<inner>.*)\)", re.DOTALL)
_TIME = re.compile(r"DateTime(?:64\((?P<digits>\d)(?:, .*)?\)|\(.*\)|)", re.DOTALL)
_NO_KEYS = (
    *("Array", "Tuple", "Map", "Nested", "JSON", "Object", "Variant", "Dynamic", "Point", "Ring"),
    *("LineString", "MultiLineString", "Polygon", "MultiPolygon", "Geometry", "QBit"),
    *("AggregateFunction", "Nothing"),
)
OF_MODELS: Mapping[str, str] = {
    "join_use_nulls": "0",
    "prefer_column_name_to_alias": "0",
    "date_time_output_format": "'simple'",
    "output_format_decimal_trailing_zeros": "0",
    "output_format_json_quote_denormals": "0",
    "output_format_json_quote_decimals": "0",
}
"""Settings that mean something else in statements of ours: a model has the engine's own."""


def bare(sql_type: str) -> str:
    """A type without what says that its values may be missing, or how they are kept."""
    while found := _WRAPPED.fullmatch(sql_type) or _SIMPLE.fullmatch(sql_type):
        sql_type = found.group("inner")
    return sql_type


def time_digits(sql_type: str) -> int | None:
    """Digits of a second in a bare type of times; None where it is another type."""
    found = _TIME.fullmatch(sql_type)
    return None if found is None else int(found.group("digits") or 0)


def _escaped(text: str, mark: str) -> str:
    """The inside of what stands between two marks: a backslash begins an escape."""
    made = text.replace("\\", "\\\\").replace(mark, "\\" + mark)
    return "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in made)


def quote(identifier: str) -> str:
    """An identifier: in backticks."""
    return f"`{_escaped(identifier, '`')}`"


def literal(value: bool | int | str) -> str:
    """A literal of configuration."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int) else f"'{_escaped(value, chr(39))}'"


class ClickhouseDialect(SqlDialect):
    """ClickHouse, which has no transactions and is only read: its tables are temporary ones.

    It has one type for texts and bytes. What may be null says so in its type.
    """

    blob = text = "Nullable(String)"
    boolean = "Nullable(Bool)"
    smallint = "Nullable(Int16)"
    integer = "Nullable(Int32)"
    bigint = "Nullable(Int64)"
    transactional_ddl = False
    columnar = True

    # -- values ---------------------------------------------------------------------------------

    def as_text(self, column_sql: str) -> str:
        """Compared by its bytes always."""
        return f"CAST({column_sql} AS Nullable(String))"

    def octets(self, text_sql: str) -> str:
        """Bytes."""
        return f"length({text_sql})"

    def md5(self, text_sql: str) -> str:
        """As a text: the function's own type is one of 16 bytes."""
        return f"concat(MD5({text_sql}), '')"

    def sha256(self, text_sql: str) -> str:
        """As a text: a cast would drop zero bytes at the end."""
        return f"concat(SHA256({text_sql}), '')"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """Side by side."""
        zeros = f"unhex('{'00' * 32}')"
        parts = (f"coalesce({b}, {zeros})" for b in blobs_sql)
        return self.md5(f"concat({', '.join(parts)}, '')")

    def hex(self, blob_sql: str) -> str:
        """`hex` gives upper case."""
        return f"lower(hex({blob_sql}))"

    def utf8(self, text_sql: str) -> str:
        """The same bytes."""
        return f"CAST({text_sql} AS Nullable(String))"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Times as UTC microseconds, floats as bits, decimals with all digits of their scale."""
        if pa.types.is_timestamp(arrow_type):
            return f"toString(toUnixTimestamp64Micro(toDateTime64({column_sql}, 6, 'UTC')))"
        if pa.types.is_floating(arrow_type):
            return f"toString(reinterpretAsUInt64(toFloat64({column_sql})))"
        if pa.types.is_decimal(arrow_type):
            return f"toDecimalString({column_sql}, {arrow_type.scale})"
        if pa.types.is_boolean(arrow_type):
            return f"toString(CAST({column_sql} AS Nullable(Bool)))"
        return f"CAST({column_sql} AS Nullable(String))"

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Of days, too."""
        del arrow_type
        return f"toUnixTimestamp64Micro(toDateTime64({column_sql}, 6, 'UTC'))"

    def matches(self, text_sql: str, pattern: str) -> str:
        """RE2, anchored at both ends."""
        return f"match({text_sql}, {literal(f'^(?:{pattern})$')})"

    def from_ms(self, number_sql: str) -> str:
        """In UTC."""
        return f"fromUnixTimestamp64Milli({number_sql}, 'UTC')"

    def div(self, left: str, right: int) -> str:
        """`/` would be float division."""
        return f"intDiv({left}, {right})"

    def characters(self, text_sql: str) -> str:
        """`length` counts bytes."""
        return f"lengthUTF8({text_sql})"

    def beginning(self, text_sql: str, length: int) -> str:
        """`substr` counts bytes."""
        return f"substringUTF8({text_sql}, 1, {length})"

    def size(self, blob_sql: str) -> str:
        """Bytes."""
        return f"length({blob_sql})"

    def moment(self, text: str) -> str:
        """The standard's literal has whole seconds."""
        return f"toDateTime64('{text}', 6, 'UTC')"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """As a function: operators would nest."""
        return f"concat({', '.join(texts_sql)})" if len(texts_sql) > 1 else texts_sql[0]

    def quote(self, identifier: str) -> str:
        """In backticks."""
        return quote(identifier)

    def literal(self, value: bool | int | str) -> str:
        """A backslash begins an escape."""
        return literal(value)

    def varchar(self, length: int) -> str:
        """There are no lengths."""
        del length
        return self.text

    def cast(self, value_sql: str, kind: str) -> str:
        """Whatever is cast may be null. A text that is no number becomes null, too."""
        return f"CAST({value_sql} AS {self.key_type(kind)})"

    # -- primary keys ---------------------------------------------------------------------------

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """Null where no row of the model met one of ours; times in UTC.

        Raises:
            PolicyError: `key_type`: of a nested type, whose equality is not plain.
        """
        del arrow_type
        kind = bare(sql_type)
        if kind.startswith(_NO_KEYS):
            raise PolicyError(
                "key_type",
                f"A primary key column is of type {kind.partition('(')[0]}, which has no plain "
                "equality.",
                hint="Choose integer, text, date, uuid, decimal or boolean columns as primary key.",
            )
        digits = time_digits(kind)
        value = column_sql if digits is None else f"toDateTime64({column_sql}, {digits}, 'UTC')"
        return f"CAST({value} AS {self.key_type(kind)})"

    def key_type(self, sql_type: str) -> str:
        """One that may be null."""
        kind = bare(sql_type)
        digits = time_digits(kind)
        return f"Nullable({kind})" if digits is None else f"Nullable(DateTime64({digits}, 'UTC'))"

    def key_text(self, key_sql: str, sql_type: str) -> str:
        """Plain text of every type: of times in UTC."""
        del sql_type
        return f"CAST({key_sql} AS Nullable(String))"

    # -- statements -----------------------------------------------------------------------------

    def model(self, query: str) -> str:
        """With the engine's own settings, whatever those of our statements and of the role are."""
        return f"{query} SETTINGS {', '.join(f'{k} = {v}' for k, v in OF_MODELS.items())}"

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """What may be null cannot say that it is not."""
        return super().create_table(name, columns.replace(" NOT NULL", ""), temporary=temporary)

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """A mutation of a table in memory, which is done when the statement is. It knows no alias
        and no join.
        """
        if source is not None:
            raise ValueError("a mutation has no join: see `filled`")
        changed = ", ".join(f"{column} = {_bared(value)}" for column, value in changes.items())
        return f"ALTER TABLE {table} UPDATE {changed} WHERE {_bared(where)}"

    def delete(self, table: str, where: str = "TRUE") -> str:
        """As `update`."""
        return f"ALTER TABLE {table} DELETE WHERE {_bared(where)}"

    def filled(self, table: str, column: str, given: str) -> str:
        """By a table of both that the engine looks up, since a mutation cannot join."""
        there = f"FROM {given} WHERE d IS NOT NULL"
        lists = (f"(SELECT groupArray(assumeNotNull({c})) {there})" for c in "nd")
        found = f"nullIf(transform({self.ordinal}, {', '.join(lists)}, ''), '')"
        return self.update(table, {column: found}, f"{self.ordinal} IN (SELECT n FROM {given})")


def _bared(sql: str) -> str:
    return sql.replace(f"{TARGET}.", "")
