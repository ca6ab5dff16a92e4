"""MariaDB's spelling, which is MySQL's with some words more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect

BYTES = "utf8mb4_nopad_bin"
"""The collation that compares bytes; `utf8mb4_bin` takes `a` and `a ` for the same."""
INDEXED_CHARACTERS = 768
"""An index takes 3,072 bytes of a text."""
END = "\\z"
_ALL_ROWS = "18446744073709551615"
_DEFAULTS = f"ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {BYTES}"
_IN_SCHEMA = re.compile(r"(?P<schema>`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`")
_NUMBER = re.compile(r"(boolean|tinyint|smallint|mediumint|int|integer|bigint|year)\b")
_DECIMAL = re.compile(r"decimal\(\d+,\d+\)")


class MysqlDialect(SqlDialect):
    """MariaDB 10.6 and later, in sessions that pin their `sql_mode`."""

    blob = "varbinary(255)"
    text = "longtext"
    short_text = "varchar(255)"
    transactional_ddl = False
    reads_at_once = 1
    # A derived table with a limit is worked out by itself.
    fence = f" LIMIT {_ALL_ROWS}"

    # -- names and values -----------------------------------------------------------------------

    def quote(self, identifier: str) -> str:
        """Backticks: a quotation mark begins a text."""
        return "`" + identifier.replace("`", "``") + "`"

    def literal(self, value: bool | int | str) -> str:
        """A backslash begins an escape."""
        if isinstance(value, str):
            return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
        return super().literal(value)

    def cast(self, value_sql: str, kind: str) -> str:
        """CAST knows other names of types than columns do, and makes columns of nulls as wide as
        it is told.
        """
        name = kind.lower()
        unknown = value_sql == "NULL"
        if name.startswith(("varchar", "char")):
            made = f"CHAR({INDEXED_CHARACTERS}) CHARACTER SET utf8mb4"
            return f"(CAST(NULL AS {made}) COLLATE {BYTES})" if unknown else self.as_text(value_sql)
        if name in ("text", "longtext"):
            made = "CHAR(70000) CHARACTER SET utf8mb4"
            return f"(CAST(NULL AS {made}) COLLATE {BYTES})" if unknown else self.as_text(value_sql)
        if name == "longblob":
            return "CAST(NULL AS BINARY(70000))" if unknown else f"CAST({value_sql} AS BINARY)"
        if name.startswith(("varbinary", "binary")):
            return "CAST(NULL AS BINARY(768))" if unknown else f"CAST({value_sql} AS BINARY)"
        return f"CAST({value_sql} AS {_cast_name(name)})"

    def as_text(self, column_sql: str) -> str:
        """In one character set, without regard to blanks at an end."""
        return f"(CONVERT({column_sql} USING utf8mb4) COLLATE {BYTES})"

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """A text of a primary key is told from others by its bytes."""
        del sql_type
        return self.as_text(column_sql) if pa.types.is_string(arrow_type) else column_sql

    def key_type(self, sql_type: str) -> str:
        """Texts and bytes as long as an index takes them."""
        if sql_type in ("varchar", "varbinary"):
            return f"{sql_type}({INDEXED_CHARACTERS})"
        return "longtext" if sql_type == "text" else sql_type

    def key_text(self, key_sql: str, sql_type: str) -> str:
        """Bytes as hex: not all are a text."""
        if "binary" in sql_type or "blob" in sql_type:
            return self.hex(key_sql)
        return super().key_text(key_sql, sql_type)

    def key_of_text(self, text_sql: str, sql_type: str) -> str:
        """See `key_text`."""
        if "binary" in sql_type or "blob" in sql_type:
            return f"unhex({text_sql})"
        return super().key_of_text(text_sql, sql_type)

    def is_one_of(self, column_sql: str, values: Sequence[bool | int | str]) -> str:
        """Texts by their bytes. A number is asked in two ways: as a number a text that only begins
        with one would be the same, and in hex a number that is rounded to it.
        """
        texts = [self.literal(v) for v in values if isinstance(v, str)]
        parts = [f"{self.as_text(column_sql)} IN ({', '.join(texts)})"] if texts else []
        for value in (int(v) for v in values if not isinstance(v, str)):
            forms = f"'{value & (2**64 - 1):X}', '{str(value).encode().hex().upper()}'"
            parts.append(
                f"CASE WHEN hex({column_sql}) IN ({forms}) THEN {column_sql} = {value} "
                "ELSE FALSE END"
            )
        return f"({' OR '.join(parts)})"

    # -- functions ------------------------------------------------------------------------------

    def octets(self, text_sql: str) -> str:
        """Bytes, not characters."""
        return f"octet_length({text_sql})"

    def characters(self, text_sql: str) -> str:
        """`length` counts bytes."""
        return f"char_length({text_sql})"

    def md5(self, text_sql: str) -> str:
        """`md5` gives hex."""
        return f"unhex(md5(CONVERT({text_sql} USING utf8mb4)))"

    def sha256(self, text_sql: str) -> str:
        """`sha2` gives hex."""
        return f"unhex(sha2(CONVERT({text_sql} USING utf8mb4), 256))"

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """`concat` joins bytes to bytes."""
        zeros = f"X'{'00' * 32}'"
        return f"unhex(md5(concat({', '.join(f'coalesce({b}, {zeros})' for b in blobs_sql)})))"

    def hex(self, blob_sql: str) -> str:
        """`hex` gives upper case."""
        return f"lower(hex({blob_sql}))"

    def utf8(self, text_sql: str) -> str:
        """The bytes of the text in that character set."""
        return f"CAST(CONVERT({text_sql} USING utf8mb4) AS BINARY)"

    def joined(self, texts_sql: Sequence[str]) -> str:
        """`||` is OR."""
        return f"concat({', '.join(texts_sql)})"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, floats by their shortest text that reads back the same,
        the rest by its one output form.
        """
        if pa.types.is_timestamp(arrow_type):
            since = f"timestampdiff(MICROSECOND, '1970-01-01', {column_sql})"
            zero = f"month({column_sql}) = 0 OR dayofmonth({column_sql}) = 0"
            text = self.as_text(column_sql)
            return f"CASE WHEN {zero} THEN {text} ELSE {self.as_text(since)} END"
        if pa.types.is_floating(arrow_type):
            return self.as_text(f"CAST({column_sql} AS DOUBLE)")
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return self.hex(column_sql)
        if pa.types.is_boolean(arrow_type):
            return (
                f"CASE ({column_sql}) WHEN 1 THEN 'true' WHEN 0 THEN 'false' "
                f"ELSE {self.as_text(f'({column_sql}) + 0')} END"
            )
        return self.as_text(column_sql)

    def microseconds(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Not of a day that there is not."""
        del arrow_type
        there = f"month({column_sql}) > 0 AND dayofmonth({column_sql}) > 0"
        since = f"timestampdiff(MICROSECOND, '1970-01-01', {column_sql})"
        return f"CASE WHEN {there} THEN {since} END"

    def matches(self, text_sql: str, pattern: str) -> str:
        """PCRE; a dollar would also stand before a last line break."""
        return f"({self.as_text(text_sql)} REGEXP {self.literal(f'^(?:{pattern})' + END)})"

    def from_ms(self, number_sql: str) -> str:
        """A time in UTC: a TIMESTAMP would be shown in the reader's zone, and ends in 2038."""
        return f"(TIMESTAMP '1970-01-01 00:00:00' + INTERVAL ({number_sql}) * 1000 MICROSECOND)"

    def div(self, left: str, right: int) -> str:
        """`/` gives decimals."""
        return f"({left}) DIV {right}"

    # -- statements -----------------------------------------------------------------------------

    def create_schema(self, schema: str) -> str:
        """A schema is a database."""
        return (
            f"CREATE DATABASE IF NOT EXISTS {self.quote(schema)} "
            f"CHARACTER SET utf8mb4 COLLATE {BYTES}"
        )

    def drop_schema(self, schema: str) -> str:
        """DROP DATABASE would take everything in it along."""
        return (
            "BEGIN NOT ATOMIC IF EXISTS (SELECT 1 FROM information_schema.tables "
            f"WHERE table_schema = {self.literal(schema)}) OR EXISTS (SELECT 1 FROM "
            f"information_schema.routines WHERE routine_schema = {self.literal(schema)}) THEN "
            "SIGNAL SQLSTATE '45000' "
            "SET MESSAGE_TEXT = 'the database is not empty', MYSQL_ERRNO = 3730; "
            f"ELSE DROP DATABASE {self.quote(schema)}; END IF; END"
        )

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """Texts are compared by their bytes, whatever the database's own collation is."""
        return f"{super().create_table(name, columns, temporary=temporary)} {_DEFAULTS}"

    def indexes(
        self, columns: Mapping[str, str], *indexed: Sequence[str], unique: str | None = None
    ) -> Sequence[str]:
        """Without one a join looks at every row, and a change of a row locks the whole table."""
        made = [f"PRIMARY KEY ({unique})"] if unique else []
        return [*made, *(f"INDEX ({self._prefixes(columns, names)})" for names in indexed)]

    def _prefixes(self, columns: Mapping[str, str], names: Sequence[str]) -> str:
        long = len(names) > 1
        return ", ".join(n + _prefix(columns[n], several=long) for n in names)

    def create_as(self, name: str, query: str, *, temporary: bool = False) -> str:
        """As `create_table`."""
        kind = "TEMPORARY " if temporary else ""
        return f"CREATE {kind}TABLE {name} {_DEFAULTS} AS {query}"

    def rename_table(self, name: str, new: str) -> str:
        """Without its database a new name would be one of the session's own."""
        found = _IN_SCHEMA.fullmatch(name)
        schema = (found.group("schema") or "") if found else ""
        return f"ALTER TABLE {name} RENAME TO {schema}{self.quote(new)}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """The table has a primary key: see `indexes`."""
        return (
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())}) "
            f"ON DUPLICATE KEY UPDATE {key} = {key}"
        )

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """As an update of several tables: only of those is a subquery made a join."""
        changed = ", ".join(f"{TARGET}.{column} = {value}" for column, value in changes.items())
        beside = source or "(SELECT 1 AS mf_one) AS mf_o"
        return f"UPDATE {table} AS {TARGET} JOIN {beside} SET {changed} WHERE {where}"

    def delete(self, table: str, where: str = "TRUE") -> str:
        """As `update`."""
        return f"DELETE {TARGET} FROM {table} AS {TARGET} WHERE {where}"

    def held_elsewhere(self, query: str, *, pairs: str, gone: str, field: str) -> str:
        """Held by more pairs than are gone: MariaDB would join the tables by a hash of whole keys,
        each as long as its columns may be, and the index finds them sooner.
        """
        del query
        return (
            f"SELECT w.digest FROM (SELECT digest, count(*) AS mf_gone FROM {gone} "
            f"WHERE field = {field} GROUP BY digest) w WHERE (SELECT count(*) FROM {pairs} o "
            f"WHERE o.digest = w.digest AND o.field = {field}) > w.mf_gone"
        )

    def all_of_both(
        self, columns: str, left: str, right: str, on: str, *, beside: str, gap: str
    ) -> str:
        """Rows of the left, then those of the right that meet none."""
        return (
            f"SELECT {columns} FROM {left} LEFT JOIN {right} ON {on}{beside} UNION ALL "
            f"SELECT {columns} FROM {right} LEFT JOIN {left} ON {on}{beside} WHERE {gap} IS NULL"
        )


def _cast_name(name: str) -> str:
    if _NUMBER.match(name):
        return "UNSIGNED" if "unsigned" in name else "SIGNED"
    if _DECIMAL.fullmatch(name):
        return name
    return {
        "date": "DATE",
        "time": "TIME(6)",
        "datetime": "DATETIME(6)",
        "timestamp": "DATETIME(6)",
        "double": "DOUBLE",
        "float": "DOUBLE",
    }.get(name, name)


def _prefix(kind: str, *, several: bool) -> str:
    """How much of a column an index holds; all columns of one share its bytes."""
    length = re.match(r"var(?:char|binary)\((\d+)\)", kind)
    if kind in ("text", "longtext", "longblob"):
        return "(100)"
    return "(100)" if several and length is not None and int(length.group(1)) > 255 else ""
