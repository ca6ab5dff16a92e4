"""What model SQL may not reach in Spark, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

_NAMES = {
    # They run code of the server's process, or open files of it.
    "java_method", "reflect", "try_reflect", "from_protobuf", "to_protobuf",
    # A name made of a text.
    "identifier", "table", "stream",
    # Errors that tell a value of a row.
    "raise_error", "assert_true",
    # Where rows lie, not what they say.
    "input_file_name", "input_file_block_start", "input_file_block_length",
    "vector_search", "try_secret", "list_secrets", "python_worker_logs", "event_log",
    "cloud_files", "table_changes",
}  # fmt: skip
_PREFIXES = ("ai_", "remote_", "hudi_", "try_http")
_FORMATS = {
    "parquet", "csv", "json", "jsonl", "orc", "text", "avro", "xml", "binaryfile", "delta",
    "iceberg", "hudi", "image", "libsvm", "jdbc", "kafka", "socket", "statestore", "rate",
}  # fmt: skip
_UNFOLDS = {
    "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer",
    "stack", "json_tuple", "variant_explode", "variant_explode_outer", "parse_url_tuple",
}  # fmt: skip


def forbidden_in_spark(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Paths in the place of tables, programs, code of the server, rows as they were, functions of a
    schema. A function of one's own that is called by its bare name cannot be told from Spark's.
    """
    if isinstance(node, exp.QueryTransform):
        return "TRANSFORM: a program on the server"
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.Lateral):
        return None if _unfolds(node.this) else "a table function"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return "a function of a schema"
    if isinstance(node, exp.Func):
        name = _name(node)
        return f"the function {name}" if name in _NAMES or name.startswith(_PREFIXES) else None
    return None


def _table(table: exp.Table) -> str | None:
    if table.args.get("version") or table.args.get("when"):
        return "AS OF: rows as they were have no consent of today"
    if not isinstance(table.this, exp.Identifier | exp.Dot):
        return None
    names = [name.casefold() for part in table.parts for name in [part.name]]
    if len(names) > 1 and names[-2] in _FORMATS:
        return "a file in place of a table"
    return None


def _unfolds(made: exp.Expr | None) -> bool:
    return isinstance(made, exp.Subquery) or (
        isinstance(made, exp.Func) and _name(made) in _UNFOLDS
    )


def _name(function: exp.Func) -> str:
    named = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    return str(named).casefold()
