"""What model SQL may not reach in Databricks, beside what it may reach nowhere. Pure."""

from __future__ import annotations

import re

from sqlglot import exp

_FORMATS = {
    "avro", "binaryfile", "csv", "delta", "iceberg", "json", "jdbc", "kafka", "orc", "parquet",
    "text", "xml", "excel", "cloudfiles",
}  # fmt: skip
_CATALOGS = {"system", "information_schema"}
_NAMES = {
    "reflect", "java_method", "try_reflect", "try_secret", "list_secrets", "remote_query",
    "vector_search", "table_changes", "event_log", "cloud_files", "input_file_name", "user",
    "current_user", "session_user", "current_metastore", "current_recipient", "current_catalog",
    "current_database", "is_member", "is_account_group_member", "current_version", "version",
    "get_warehouse_id", "raise_error", "assert_true", "sql_keywords", "current_oauth_custom",
}  # fmt: skip
_PREFIXES = ("ai_", "input_file_", "python_", "forecast", "stream_", "databricks_")
_VERSIONED = re.compile(r"@v?\d+$")


def forbidden_in_databricks(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Files named in a table's place, earlier versions of a table, scripts, models of language,
    secrets, who is asking, functions of others' schemas. A function of one's own that is called by
    its bare name cannot be told from Databricks': the principal's rights stand behind it.
    """
    if isinstance(node, exp.QueryTransform):
        return "TRANSFORM: a script"
    if isinstance(node, exp.Version | exp.HistoricalData):
        return "an earlier version of a table: rows as they were have no consent of today"
    if isinstance(node, exp.DynamicIdentifier):
        return "IDENTIFIER"
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return "a function of a schema"
    if isinstance(node, exp.Func):
        name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
        if name in _NAMES or name.startswith(_PREFIXES):
            return f"the function {name}"
    return None


def _table(table: exp.Table) -> str | None:
    if table.args.get("version") or table.args.get("when"):
        return "an earlier version of a table: rows as they were have no consent of today"
    if not isinstance(table.this, exp.Identifier):
        return None
    *schemas, name = [part.name.casefold() for part in table.parts]
    if schemas and schemas[-1] in _FORMATS:
        return "a file in place of a table"
    if set(schemas) & _CATALOGS:
        return "a table of the engine's own catalog"
    if _VERSIONED.search(name):
        return "an earlier version of a table: rows as they were have no consent of today"
    return None
