"""The least rights that a project needs in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mayfly.domain.errors import ConfigError
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.dialect import literal, quote
from mayfly.ports.source_spec import GrantRequest


def postgres_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the role had before it keeps.

    Raises:
        ConfigError: `dsn_invalid`, the dsn names no user, to whom the rights go, or no database.
    """
    role, base = _role_and_database(request)
    settings = request.source.settings
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


def _role_and_database(request: GrantRequest) -> tuple[str, str]:
    name = request.source.settings.name
    try:
        given = conninfo_to_dict(request.source.dsn().reveal())
    except psycopg.ProgrammingError:
        raise ConfigError(
            "dsn_invalid",
            f"The dsn of source {name} is not a PostgreSQL connection string.",
            hint="Write it as postgresql://user:password@host:5432/database.",
        ) from None
    role, base = given.get("user"), given.get("dbname")
    if not role or not base:
        raise ConfigError(
            "dsn_invalid",
            f"The dsn of source {name} names no user, or no database, to grant rights for.",
            hint="Name both: postgresql://user:password@host:5432/database.",
        )
    return str(role), str(base)
