"""The least rights that a project needs behind a SQL warehouse of Databricks. Compiled, not run."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.ports.source_spec import GrantRequest

PRINCIPAL = "`PRINCIPAL`"
"""In place of whom the token is of: it does not say so itself."""
_quote = DatabricksDialect().quote


def databricks_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the principal had before it keeps."""
    settings = request.source.settings
    catalog, schema = str(settings.options["catalog"]), settings.schema
    base, area, volume = str(settings.options["volume"]).split(".")
    places = dict.fromkeys(_place(catalog, schema, read) for read in request.reads)
    staged = ".".join(map(_quote, (base, area, volume)))
    folder = (base, area)
    catalogs = dict.fromkeys([*(c for c, _ in (*places, folder))])
    return [
        "-- Put the user, group or application id of the token's principal in place of PRINCIPAL,",
        "-- and give it CAN USE on the SQL warehouse: that right has no GRANT.",
        *(f"GRANT USE CATALOG ON CATALOG {_quote(c)} TO {PRINCIPAL};" for c in catalogs),
        *(
            f"GRANT USE SCHEMA ON SCHEMA {_quote(c)}.{_quote(s)} TO {PRINCIPAL};"
            for c, s in dict.fromkeys([*places, folder])
        ),
        *(_select(catalog, schema, read) for read in request.reads),
        f"CREATE VOLUME IF NOT EXISTS {staged};",
        f"GRANT READ VOLUME, WRITE VOLUME ON VOLUME {staged} TO {PRINCIPAL};",
    ]


def _place(catalog: str, schema: str, read: TableRead) -> tuple[str, str]:
    """Catalog and schema of what is read."""
    *before, name = (read.schema or schema).split(".")
    return (before[0] if before else catalog), name


def _select(catalog: str, schema: str, read: TableRead) -> str:
    """Whole tables are granted."""
    table = ".".join(map(_quote, (*_place(catalog, schema, read), read.name)))
    return f"GRANT SELECT ON TABLE {table} TO {PRINCIPAL};"
