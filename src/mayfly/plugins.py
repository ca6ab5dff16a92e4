"""All that a distribution with a source of its own needs; see docs/howto/add-a-source.md.

What stands here keeps its names and meanings within a major version; other modules may change.
"""

from mayfly.config.fields import Line, Reference
from mayfly.config.plugins import SourcePart, SourcePlugin
from mayfly.connectors.sources.duckdb_session import (
    LOCKED_SETTINGS,
    DuckdbSession,
    pin,
    readable,
    translated,
    unfit,
)
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.dialect import SqlDialect, literal, quote
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, Source, SqlSession, TableInfo
from mayfly.ports.source_spec import GrantRequest, SourceRequest, SourceSpec, no_hosts

__all__ = [
    "LOCKED_SETTINGS",
    "ColumnInfo",
    "ConfigError",
    "Dialect",
    "DuckdbDialect",
    "DuckdbSession",
    "GrantRequest",
    "Line",
    "PostgresDialect",
    "Reference",
    "ServerFacts",
    "Source",
    "SourcePart",
    "SourcePlugin",
    "SourceRequest",
    "SourceSpec",
    "SqlDialect",
    "SqlSession",
    "TableInfo",
    "TableRead",
    "TransientError",
    "literal",
    "no_hosts",
    "pin",
    "quote",
    "readable",
    "translated",
    "unfit",
]
