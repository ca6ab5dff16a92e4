"""The least rights that a project needs in a Redshift database. Compiled, not run."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.connectors.postgres_connect import role_and_database
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.dialect import quote
from mayfly.ports.source_spec import GrantRequest


def redshift_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again but for the first line.

    Raises:
        ConfigError: `dsn_invalid`, the dsn names no user, to whom the rights go, or no database.
    """
    settings = request.source.settings
    user, base = role_and_database(settings.name, request.source.dsn())
    schemas = dict.fromkeys(
        [settings.schema, *(read.schema or settings.schema for read in request.reads)]
    )
    return [
        f"CREATE USER {quote(user)} PASSWORD DISABLE;  -- where there is none; give it its log-in",
        f"GRANT TEMPORARY ON DATABASE {quote(base)} TO {quote(user)};",
        *(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(user)};" for schema in schemas),
        *(_select(read, settings.schema, user) for read in request.reads),
    ]


def _select(read: TableRead, schema: str, user: str) -> str:
    columns = "" if read.columns is None else f" ({', '.join(map(quote, read.columns))})"
    table = f"{quote(read.schema or schema)}.{quote(read.name)}"
    why = "" if read.columns else "  -- all columns: a model's SQL does not say which"
    return f"GRANT SELECT{columns} ON {table} TO {quote(user)};{why}"
