"""Redshift's spelling. Compiled, not run: written after its documentation, never asked of one.

What is said of the engine here is what Amazon's developer guide says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import pyarrow as pa

from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.privacy.rules.emitters.redshift import RedshiftEmitter

TEXT = "VARCHAR(65535)"
"""The longest text; a VARCHAR without a length has 256 bytes."""
_EPOCH = "TIMESTAMP '1970-01-01 00:00:00'"
_TARGET_COLUMN = re.compile(rf"\b{TARGET}\.")
_BY_VALUE = re.compile(
    r"(bool|int2|int4|int8|float4|float8|date|time|timestamp|timestamptz|varbyte)$|numeric\(", re.I
)
_RULES = RedshiftEmitter()


class RedshiftDialect(SqlDialect):
    """Redshift, provisioned or serverless.

    Transactions hold tables that are made and dropped, too, in snapshots that are serializable. No
    key is enforced, and there are no indexes: distribution and order of tables are left to the
    engine (AUTO), since neither may be by a VARBYTE, as keys of texts and all digests are.
    """

    blob = "VARBYTE"
    text = TEXT
    boolean = "BOOLEAN"
    smallint = "SMALLINT"
    integer = "INTEGER"
    bigint = "BIGINT"
    columnar = True
    # Few forms of a subquery that looks at the changed row are supported.
    updates_by_join = True
    probes_rows = True

    # -- values ---------------------------------------------------------------------------------

    def as_text(self, column_sql: str) -> str:
        """A column, or the database, may take no notice of case."""
        return f"COLLATE(CAST({column_sql} AS {TEXT}), 'case_sensitive')"

    def octets(self, text_sql: str) -> str:
        """Bytes of UTF-8."""
        return f"OCTET_LENGTH({text_sql})"

    def size(self, blob_sql: str) -> str:
        """Bytes."""
        return f"OCTET_LENGTH({blob_sql})"

    def characters(self, text_sql: str) -> str:
        """Not bytes."""
        return f"LEN({text_sql})"

    def md5(self, text_sql: str) -> str:
        """`MD5` gives hex."""
        return f"FROM_HEX(MD5({text_sql}))"

    def sha256(self, text_sql: str) -> str:
        """`SHA2` gives hex."""
        return _RULES.sha256(text_sql)

    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """Hash functions take texts: of the hex digits. Compared with no other engine's."""
        zeros = "0" * 64
        return self.md5(" || ".join(f"coalesce({self.hex(b)}, '{zeros}')" for b in blobs_sql))

    def hex(self, blob_sql: str) -> str:
        """Which case `FROM_VARBYTE` writes is not said."""
        return f"LOWER(FROM_VARBYTE({blob_sql}, 'hex'))"

    def utf8(self, text_sql: str) -> str:
        """As a function of its own."""
        return f"TO_VARBYTE({text_sql}, 'utf8')"

    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """Timestamps as UTC microseconds, floats with what their text leaves out, the rest by its
        one cast: the form of a date is the session's, which pins it.
        """
        if pa.types.is_timestamp(arrow_type):
            zone = f"({column_sql} AT TIME ZONE 'UTC')" if arrow_type.tz else column_sql
            return f"CAST(DATEDIFF(MICROSECOND, {_EPOCH}, {zone}) AS {TEXT})"
        if pa.types.is_floating(arrow_type):
            return self._float(column_sql)
        if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
            return self.hex(column_sql)
        if pa.types.is_boolean(arrow_type):
            return f"CASE WHEN {column_sql} THEN 'true' WHEN NOT {column_sql} THEN 'false' END"
        return f"CAST({column_sql} AS {TEXT})"

    def _float(self, column_sql: str) -> str:
        """A float's text may be rounded; the difference to what it says has few digits."""
        text = f"CAST({column_sql} AS {TEXT})"
        rest = f"CAST({column_sql} - TRY_CAST({text} AS DOUBLE PRECISION) AS {TEXT})"
        return f"({text} || ' ' || coalesce({rest}, ''))"

    def matches(self, text_sql: str, pattern: str) -> str:
        """PCRE."""
        return _RULES.full_match(text_sql, pattern)

    def from_ms(self, number_sql: str) -> str:
        """`DATEADD` takes numbers of 32 bits."""
        return f"({_EPOCH} + ({number_sql}) / 1000.0 * INTERVAL '1 second')"

    def div(self, left: str, right: int) -> str:
        """Integers divide to integers."""
        return f"({left}) / {right}"

    def literal(self, value: bool | int | str) -> str:
        """As in rules."""
        return _RULES.literal(value) if isinstance(value, str) else super().literal(value)

    # -- texts that are told apart --------------------------------------------------------------

    def key(self, column_sql: str, sql_type: str, arrow_type: pa.DataType) -> str:
        """Texts as their bytes: comparisons of texts take no notice of blanks at an end."""
        del arrow_type
        if _BY_VALUE.match(sql_type):
            return column_sql
        return self.utf8(f"CAST({column_sql} AS {TEXT})")

    def key_type(self, sql_type: str) -> str:
        """See `key`."""
        return sql_type if _BY_VALUE.match(sql_type) else self.blob

    def key_text(self, key_sql: str, sql_type: str) -> str:
        """Bytes that were a text as that text, others as hex."""
        if not _BY_VALUE.match(sql_type):
            return f"FROM_VARBYTE({key_sql}, 'utf8')"
        if sql_type.lower() == "varbyte":
            return self.hex(key_sql)
        if sql_type.lower() == "bool":
            return self.render(key_sql, pa.bool_())
        return super().key_text(key_sql, sql_type)

    def key_of_text(self, text_sql: str, sql_type: str) -> str:
        """See `key_text`."""
        if not _BY_VALUE.match(sql_type):
            return self.utf8(text_sql)
        if sql_type.lower() == "varbyte":
            return _RULES.unhex(text_sql)
        if sql_type.lower() == "bool":
            return f"({text_sql} = 'true')"
        return super().key_of_text(text_sql, sql_type)

    def is_one_of(self, column_sql: str, values: Sequence[bool | int | str]) -> str:
        """Texts with a mark behind them: see `key`."""
        texts = [_RULES.compared_literal(v) for v in values if isinstance(v, str)]
        others = [self.literal(v) for v in values if not isinstance(v, str)]
        compared = _RULES.compared(self.as_text(column_sql))
        parts = [f"{compared} IN ({', '.join(texts)})"] if texts else []
        parts += [f"{column_sql} IN ({', '.join(others)})"] if others else []
        return f"({' OR '.join(parts)})"

    def _listed(self, rendered: Sequence[str]) -> str:
        """Of digests of the texts: no text of all of them has room in a text."""
        if not rendered:
            return "''"
        return " || ';' || ".join(f"coalesce(SHA2({r}, 256), 'n')" for r in rendered)

    def listed(self, texts: Sequence[str | None]) -> str:
        """Of digests, too."""
        return ";".join("n" if t is None else hashlib.sha256(t.encode()).hexdigest() for t in texts)

    # -- statements -----------------------------------------------------------------------------

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """Of a lasting one nothing goes into snapshots, where the engine can leave it out."""
        made = super().create_table(name, columns, temporary=temporary)
        return made if temporary else f"{made} BACKUP NO"

    def create_as(self, name: str, query: str, *, temporary: bool = False) -> str:
        """See `create_table`."""
        kind, kept = ("TEMPORARY TABLE", "") if temporary else ("TABLE", " BACKUP NO")
        return f"CREATE {kind} {name}{kept} AS {query}"

    def add_column(self, table: str, column: str, kind: str) -> str:
        """Refused where it is there."""
        return f"ALTER TABLE {table} ADD COLUMN {column} {kind}"

    def delete(self, table: str, where: str = "TRUE") -> str:
        """The table has no other name there than its own, without its schema."""
        return f"DELETE FROM {table} WHERE {_of_itself(table, where)}"

    def delete_matched(self, table: str, matches: Sequence[tuple[str, str]]) -> str:
        """By a join."""
        source = ", ".join(item for item, _ in matches)
        where = _of_itself(table, " AND ".join(on for _, on in matches))
        return f"DELETE FROM {table} USING {source} WHERE {where}"

    def lock(self, table: str) -> str | None:
        """Against writers and readers: there is no other lock."""
        return f"LOCK TABLE {table}"

    # -- catalog --------------------------------------------------------------------------------

    def has_schema(self, schema: str) -> str:
        """`information_schema` shows those of the role's own alone."""
        return f"SELECT count(*) AS n FROM pg_namespace WHERE nspname = {self.literal(schema)}"


def _of_itself(table: str, where: str) -> str:
    """A condition with the table's own name where it is called `TARGET`."""
    own = table[table.rfind('."') + 1 :]
    return _TARGET_COLUMN.sub(lambda _: f"{own}.", where)
