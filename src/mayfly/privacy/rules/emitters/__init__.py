"""The rules as SQL: one small emitter a dialect."""

from __future__ import annotations

from collections.abc import Callable

from mayfly.privacy.rules.emitters.base import (
    BASE64_DIGEST,
    LABELS,
    OTHER_DIGEST,
    PLAIN,
    Emitter,
    text_literal,
)
from mayfly.privacy.rules.emitters.bigquery import BigqueryEmitter
from mayfly.privacy.rules.emitters.clickhouse import ClickhouseEmitter
from mayfly.privacy.rules.emitters.databricks import DatabricksEmitter
from mayfly.privacy.rules.emitters.duckdb import DuckdbEmitter
from mayfly.privacy.rules.emitters.mariadb import MariadbEmitter
from mayfly.privacy.rules.emitters.postgres import PostgresEmitter
from mayfly.privacy.rules.emitters.redshift import RedshiftEmitter
from mayfly.privacy.rules.emitters.snowflake import SnowflakeEmitter
from mayfly.privacy.rules.emitters.spark import SparkEmitter
from mayfly.privacy.rules.emitters.sqlite import SqliteEmitter

__all__ = [
    "BASE64_DIGEST",
    "EMITTERS",
    "LABELS",
    "OTHER_DIGEST",
    "PLAIN",
    "Emitter",
    "text_literal",
]

EMITTERS: dict[str, Callable[[], Emitter]] = {
    "duckdb": DuckdbEmitter,
    "postgres": PostgresEmitter,
    "clickhouse": ClickhouseEmitter,
    "mariadb": MariadbEmitter,
    "mysql": MariadbEmitter,
    "snowflake": SnowflakeEmitter,
    "spark": SparkEmitter,
    "sqlite": SqliteEmitter,
    "bigquery": BigqueryEmitter,
    "databricks": DatabricksEmitter,
    "redshift": RedshiftEmitter,
}
