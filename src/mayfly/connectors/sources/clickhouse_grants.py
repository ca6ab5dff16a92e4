"""The least rights that a project needs in a ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.clickhouse import quote
from mayfly.ports.source_spec import GrantRequest

TEMPORARY = "GRANT CREATE TEMPORARY TABLE ON *.*"
_NOBODY = "0" * 64
"""The digest of no password that anybody knows."""


def clickhouse_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the user had before it keeps."""
    options = request.source.settings.options
    user, database = quote(str(options["user"])), str(options.get("database", "default"))
    return [
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED WITH sha256_hash BY '{_NOBODY}' "
        f"SETTINGS readonly = 2;  -- nobody can log in yet: ALTER USER {user} IDENTIFIED BY '…';",
        f"{TEMPORARY} TO {user};",
        *(_select(read, database, user) for read in request.reads),
    ]


def _select(read: TableRead, database: str, user: str) -> str:
    columns = "" if read.columns is None else f"({', '.join(map(quote, read.columns))})"
    whole = "  -- all columns: the model does not tell which" if read.columns is None else ""
    table = f"{quote(read.schema or database)}.{quote(read.name)}"
    return f"GRANT SELECT{columns} ON {table} TO {user};{whole}"
