"""How model SQL of each engine is parsed and written, and what it may not reach there alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as Parser
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.sqlite import SQLite
from sqlglot.generators.mysql import MySQLGenerator

from mayfly.planning.model_bigquery import forbidden_in_bigquery
from mayfly.planning.model_clickhouse import TABLE_FUNCTIONS, forbidden_in_clickhouse
from mayfly.planning.model_databricks import forbidden_in_databricks
from mayfly.planning.model_mysql import forbidden_in_mysql
from mayfly.planning.model_redshift import forbidden_in_redshift
from mayfly.planning.model_snowflake import forbidden_in_snowflake
from mayfly.planning.model_spark import forbidden_in_spark
from mayfly.planning.sql.dialect import DialectName

FORBIDDEN_THERE: Mapping[str, Callable[[exp.Expr], str | None]] = {
    "bigquery": forbidden_in_bigquery,
    "clickhouse": forbidden_in_clickhouse,
    "databricks": forbidden_in_databricks,
    "mysql": forbidden_in_mysql,
    "redshift": forbidden_in_redshift,
    "snowflake": forbidden_in_snowflake,
    "spark": forbidden_in_spark,
}
"""What a node of a query uses that it may not, by dialect."""
TABLE_FUNCTIONS_THERE: Mapping[str, frozenset[str]] = {"clickhouse": TABLE_FUNCTIONS}
"""Functions in a table's place that one dialect has beside the others, by dialect."""


class _Sqlite(SQLite):
    """Names are written in backticks: what stands in double quotes and is no column is a text to
    SQLite.
    """

    class Tokenizer(SQLite.Tokenizer):
        """Reads what SQLite reads; the first is written."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"', ("[", "]")]


class _MariaDb(MySQL):
    """MySQL as MariaDB reads it: it has no function for what REGEXP does."""

    class Generator(MySQLGenerator):
        """Writes the operator."""

        TRANSFORMS: ClassVar[dict[type[exp.Expr], Callable[..., str]]] = {
            **MySQLGenerator.TRANSFORMS,
            exp.RegexpLike: lambda self, node: self.binary(node, "REGEXP"),
        }


_PARSERS: Mapping[str, type[Parser]] = {"mysql": _MariaDb, "sqlite": _Sqlite}


def parser_of(dialect: DialectName) -> str | type[Parser]:
    """What the parser is told of a dialect."""
    return _PARSERS.get(dialect, dialect)
