"""The least rights that a project needs in a Snowflake account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mayfly.connectors.sources.snowflake_connect import plainly
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.snowflake import KEEPS_NOTHING, quote
from mayfly.ports.source_spec import GrantRequest


def snowflake_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the role had before it keeps."""
    settings = request.source.settings
    role, warehouse, base, user = (
        quote(plainly(str(settings.options[key])))
        for key in ("role", "warehouse", "database", "user")
    )
    schema = plainly(settings.schema)
    # The session begins in its schema, whether or not a model reads a table there.
    schemas = dict.fromkeys([schema, *(read.schema or schema for read in request.reads)])
    lines = [
        f"CREATE ROLE IF NOT EXISTS {role};",
        f"GRANT ROLE {role} TO USER {user};",
        f"GRANT USAGE ON WAREHOUSE {warehouse} TO ROLE {role};",
        f"GRANT USAGE ON DATABASE {base} TO ROLE {role};",
        *(f"GRANT USAGE ON SCHEMA {base}.{quote(name)} TO ROLE {role};" for name in schemas),
        *(_select(read, schema, base, role) for read in request.reads),
    ]
    if settings.state == "source":
        lines += _state(f"{base}.{quote(settings.state_schema)}", role)
    return lines


def _select(read: TableRead, schema: str, base: str, role: str) -> str:
    """Snowflake grants whole tables, and tells views from them."""
    table = f"{base}.{quote(read.schema or schema)}.{quote(read.name)}"
    return f"GRANT SELECT ON TABLE {table} TO ROLE {role};  -- of a view: ON VIEW"


def _state(schema: str, role: str) -> Iterator[str]:
    """Made for the role, which so needs no right to make any other."""
    yield f"CREATE TRANSIENT SCHEMA IF NOT EXISTS {schema} {KEEPS_NOTHING};"
    yield f"GRANT USAGE, CREATE TABLE, CREATE VIEW ON SCHEMA {schema} TO ROLE {role};"
