"""What model SQL may not reach in Spark, and in what shares its SQL, beside what it may reach
nowhere. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

EARLIER = "an earlier version of a table: rows as they were have no consent of today"
_FORMATS = {
    "avro", "binaryfile", "csv", "delta", "iceberg", "json", "jsonl", "jdbc", "kafka", "orc",
    "parquet", "text", "xml", "excel", "cloudfiles", "hudi", "image", "libsvm", "socket", "rate",
    "statestore",
}  # fmt: skip
_NAMES = {
    # They run code of the server's process, or open files of it.
    "java_method", "reflect", "try_reflect", "from_protobuf", "to_protobuf",
    # A name made of a text, and what is read as it comes.
    "identifier", "table", "stream",
    # Errors that tell a value of a row.
    "raise_error", "assert_true",
    "vector_search", "try_secret", "list_secrets", "event_log", "cloud_files", "table_changes",
    "sql_keywords",
}  # fmt: skip
_PREFIXES = ("ai_", "input_file_", "python_", "remote_", "hudi_")
_UNFOLDS = {
    "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer",
    "stack", "json_tuple", "variant_explode", "variant_explode_outer", "parse_url_tuple",
}  # fmt: skip


def forbidden_in_spark(
    node: exp.Expr, names: Collection[str] = (), prefixes: tuple[str, ...] = ()
) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Paths in the place of tables, programs, code of the server, rows as they were, functions of a
    schema. A function of one's own that is called by its bare name cannot be told from Spark's.

    Args:
        node: of the query.
        names: of functions that are forbidden beside those of Spark.
        prefixes: that such begin with.
    """
    if isinstance(node, exp.QueryTransform):
        return "TRANSFORM: a script"
    if isinstance(node, exp.Version | exp.HistoricalData):
        return EARLIER
    if isinstance(node, exp.DynamicIdentifier):
        return "IDENTIFIER"
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.Lateral):
        return None if _unfolds(node.this) else "a table function"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return "a function of a schema"
    if isinstance(node, exp.Func):
        name = _name(node)
        known = name in _NAMES or name in names or name.startswith((*_PREFIXES, *prefixes))
        return f"the function {name}" if known else None
    return None


def _table(table: exp.Table) -> str | None:
    if table.args.get("version") or table.args.get("when"):
        return EARLIER
    if not isinstance(table.this, exp.Identifier | exp.Dot):
        return None
    schemas = [part.name.casefold() for part in table.parts[:-1]]
    return "a file in place of a table" if schemas and schemas[-1] in _FORMATS else None


def _unfolds(made: exp.Expr | None) -> bool:
    return isinstance(made, exp.Subquery) or (
        isinstance(made, exp.Func) and _name(made) in _UNFOLDS
    )


def _name(function: exp.Func) -> str:
    named = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    return str(named).casefold()
