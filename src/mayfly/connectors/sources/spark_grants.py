"""What a project needs to read at a Spark Connect server."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.spark import quote
from mayfly.ports.source_spec import GrantRequest


def spark_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. Spark itself has no rights: what it may read is told, for whoever
    gives them in the catalog and the storage behind it.
    """
    settings = request.source.settings
    options = settings.options
    user = str(options.get("user") or "mayfly")
    lines = [
        "-- Spark has no rights of its own: it reads as the user of its server, or as its catalog",
        f"-- lets user {quote(user)} read. Mayfly needs these tables, and writes none:",
    ]
    return lines + [
        f"-- {_read(read, str(options['catalog']), settings.schema)}" for read in request.reads
    ]


def _read(read: TableRead, catalog: str, schema: str) -> str:
    within = read.schema or schema
    parts = [quote(part) for part in within.split(".")]
    if len(parts) == 1:
        parts.insert(0, quote(catalog))
    table = ".".join([*parts, quote(read.name)])
    columns = "all columns" if read.columns is None else ", ".join(map(quote, read.columns))
    return f"{table}: {columns}"
