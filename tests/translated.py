"""Redshift and Databricks, as far as a DuckDB can stand in for them: every statement is parsed in
its own dialect, written again and parsed again, then translated and run.

So statements are shown to be of the dialect's grammar, as the parser knows it, and to fit together.
What the engines' own functions give, and what they refuse, nothing here shows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.redshift import RedshiftDialect
from mayfly.ports.source import ColumnInfo

DIALECTS: dict[str, type[SqlDialect]] = {
    "databricks": DatabricksDialect,
    "redshift": RedshiftDialect,
}
_TYPES = {
    "databricks": {"int64": "bigint", "string": "string", "bool": "boolean"},
    "redshift": {"int64": "int8", "string": "varchar(65535)", "bool": "bool"},
}
_COMMENT = re.compile(r"/\*.*?\*/ ")
_LOCK = re.compile(r'LOCK TABLE "[a-z_]+"\."[a-z_]+"')
MACROS = (
    "mf_octets(x) AS CASE WHEN typeof(x) = 'BLOB' THEN octet_length(CAST(x AS BLOB)) "
    "ELSE strlen(CAST(x AS VARCHAR)) END",
    "to_varbyte(x, form) AS encode(x)",
    "from_varbyte(x, form) AS CASE form WHEN 'hex' THEN hex(x) ELSE decode(x) END",
    "timestamp_millis(x) AS make_timestamp(x * 1000)",
)


def parsed(sql: str, dialect: str) -> exp.Expr:
    """A statement as its dialect's parser reads it.

    Raises:
        AssertionError: it does not, or reads another one of what it writes itself.
    """
    [tree] = sqlglot.parse(sql, read=dialect, error_level=ErrorLevel.RAISE)
    assert tree is not None
    assert not list(tree.find_all(exp.Command)), sql
    first = tree
    if "CREATE TEMPORARY TABLE" in sql:
        # What is written for Spark, which has no temporary tables, is a view.
        lasting = sql.replace("CREATE TEMPORARY TABLE", "CREATE TABLE")
        first = sqlglot.parse_one(lasting, read=dialect)
    again = sqlglot.parse_one(first.sql(dialect=dialect), read=dialect)
    assert again == first, sql
    return tree


def translation(sql: str, dialect: str) -> str:
    """A statement in DuckDB's SQL; empty where DuckDB needs none."""
    return _translation(_COMMENT.sub("", sql, count=1), dialect)


@functools.lru_cache(maxsize=4096)
def _translation(sql: str, dialect: str) -> str:
    if dialect == "redshift" and _LOCK.fullmatch(sql):
        return ""
    made = parsed(sql, dialect).copy()
    # From within: what stands for a node may hold others that are written anew.
    for node in reversed(list(made.bfs())):
        if (other := _TRANSFORMS[dialect](node)) is not node:
            made = other if node is made else made
            node.replace(other)
    return str(made.sql(dialect="duckdb", unsupported_level=ErrorLevel.IGNORE))


def _redshift(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Div) and node.expression.is_int:
        return exp.IntDiv(this=node.this, expression=node.expression)
    if isinstance(node, exp.RegexpInstr):
        written = _text(node.expression)
        pattern = written.removeprefix("(?s)^(?:").removesuffix(")(?!.)")
        given = [node.this, exp.Literal.string(pattern)]
        name = "regexp_matches" if pattern == written else "regexp_full_match"
        return exp.cast(exp.Anonymous(this=name, expressions=given), "int")
    if isinstance(node, exp.RegexpExtract):
        given = [node.this, exp.Literal.string(_text(node.expression))]
        return exp.Anonymous(this="regexp_extract", expressions=given)
    return _both(node)


def _both(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Collate):
        return node.this
    if isinstance(node, exp.ByteLength) or (
        isinstance(node, exp.Anonymous) and node.name.lower() == "octet_length"
    ):
        given = node.this if isinstance(node, exp.ByteLength) else node.expressions[0]
        return exp.Anonymous(this="mf_octets", expressions=[given])
    return node


_TRANSFORMS = {"databricks": _both, "redshift": _redshift}


def _text(node: exp.Expr) -> str:
    """The text that an expression of constants is."""
    if isinstance(node, exp.Paren):
        return _text(node.this)
    if isinstance(node, exp.DPipe):
        return _text(node.this) + _text(node.expression)
    if isinstance(node, exp.Chr):
        return chr(int(node.expressions[0].name))
    assert isinstance(node, exp.Literal), node
    return str(node.this)


class TranslatedSession:
    """A session that takes the SQL of another engine. What it is told stands in `said`."""

    def __init__(self, session: DuckdbSession, dialect: str, said: list[str]) -> None:
        self._session = session
        self._dialect = dialect
        self._said = said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def _in_duckdb(self, sql: str) -> str:
        self._said.append(sql)
        return translation(sql, self._dialect)

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        made = self._in_duckdb(sql)
        return self._session.execute(made) if made else 0

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        return self._session.table(self._in_duckdb(sql))

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`."""
        return self._session.stream(self._in_duckdb(sql), rows=rows)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """Columns of a query, under the other engine's names of types."""
        found = self._session.describe(self._in_duckdb(query))
        names = _TYPES[self._dialect]
        return [
            ColumnInfo(name=c.name, sql_type=names[str(c.arrow_type)], arrow_type=c.arrow_type)
            for c in found
        ]


class TranslatedSource(DuckdbSource):
    """A DuckDB file that is spoken to in the SQL of another engine.

    Args:
        path: of the file.
        dialect: of that engine.

    Attributes:
        said: every statement, in order.
    """

    def __init__(self, path: Path, dialect: str) -> None:
        super().__init__("shop", path, lock_wait_seconds=0)
        self.dialect = dialect  # type: ignore[assignment]
        self.sql = DIALECTS[dialect]()
        self.said: list[str] = []

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Any]:
        """See `Source.session`."""
        with super().session(write=write) as session:
            for macro in MACROS:
                session.execute(f"CREATE TEMPORARY MACRO {macro}")
            yield TranslatedSession(session, self.dialect, self.said)

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        parts = [part for part in (schema, table) if part is not None]
        return ".".join(self.sql.quote(part) for part in parts)

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return self.sql.quote(column.name)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        del column
        return None
