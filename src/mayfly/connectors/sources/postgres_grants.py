"""The least rights that a project needs in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mayfly.connectors.postgres_connect import role_and_database
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.dialect import literal, quote
from mayfly.ports.source_spec import GrantRequest


def postgres_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the role had before it keeps.

    Raises:
        ConfigError: `dsn_invalid`, the dsn names no user, to whom the rights go, or no database.
    """
    settings = request.source.settings
    role, base = role_and_database(settings.name, request.source.dsn())
    schemas = dict.fromkeys(read.schema or settings.schema for read in request.reads)
    lines = [
        _create_role(role),
        f"GRANT CONNECT, TEMPORARY ON DATABASE {quote(base)} TO {quote(role)};",
        *(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)};" for schema in schemas),
        *(_select(read, settings.schema, role) for read in request.reads),
    ]
    if settings.state == "source":
        lines += _state(settings.state_schema, role)
    return lines


def _create_role(role: str) -> str:
    """The one statement that fails where it was run before is run only where it was not."""
    body = (
        f"BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(role)}) "
        f"THEN CREATE ROLE {quote(role)} LOGIN; END IF; END"
    )
    return f"DO {literal(body)};"


def _select(read: TableRead, schema: str, role: str) -> str:
    columns = "" if read.columns is None else f" ({', '.join(map(quote, read.columns))})"
    table = f"{quote(read.schema or schema)}.{quote(read.name)}"
    why = "" if read.columns else "  -- all columns: a model's SQL does not say which"
    return f"GRANT SELECT{columns} ON {table} TO {quote(role)};{why}"


def _state(schema: str, role: str) -> Iterator[str]:
    """Made for the role, which so needs no right to make any other."""
    yield f"CREATE SCHEMA IF NOT EXISTS {quote(schema)} AUTHORIZATION {quote(role)};"
    yield f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {quote(role)};"
