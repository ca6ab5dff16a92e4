"""What model SQL may not reach in Snowflake, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

_UNFOLDS: tuple[type[exp.Expr], ...] = (
    exp.Explode,
    exp.Posexplode,
    exp.Generator,
    exp.SplitToTable,
    exp.Subquery,
    exp.Values,
)
_UNFOLDING_NAMES = {"strtok_split_to_table", "flatten", "split_to_table", "generator"}
_PREFIXES = (
    *("system$", "ai_", "fl_", "get_stage_", "get_absolute_", "get_relative_", "get_presigned_"),
    *("build_", "snowflake_", "invoker_", "policy_", "cortex", "to_file", "get_ddl", "try_to_file"),
    *("last_query_id", "last_transaction", "current_statement", "result_scan", "to_query"),
    *("validate", "is_role_in_", "is_database_role_", "is_granted_", "is_instance_role_"),
    *("stage_", "task_", "query_", "copy_", "login_", "tag_", "classify_", "extract_semantic_"),
    *("get_object_references", "get_anaconda_", "get_lineage", "get_condition_", "get_query_"),
    *("all_user_names", "current_ip_", "current_client", "current_session", "explain_json"),
)
_SEQUENCE = {"nextval", "currval"}


def forbidden_in_snowflake(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Stages, sequences, history, results of other statements, models of language, functions of the
    account and of others' schemas. A function of one's own that is called by its bare name cannot
    be told from Snowflake's: the role's rights stand behind it.
    """
    if isinstance(node, exp.TableFromRows | exp.Lateral):
        return None if _unfolds(node.this) else "a table function, or a table named by a text"
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.HistoricalData | exp.Changes):
        return "AT, BEFORE or CHANGES: rows as they were have no consent of today"
    if isinstance(node, exp.DynamicIdentifier):
        return "IDENTIFIER"
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return "a function of a schema"
    if isinstance(node, exp.Column) and node.name.casefold() in _SEQUENCE and node.table:
        return "a sequence"
    if isinstance(node, exp.Func):
        name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
        return f"the function {name}" if name.startswith(_PREFIXES) else None
    return None


def _table(table: exp.Table) -> str | None:
    if not isinstance(table.this, exp.Identifier):
        return "a stage, or another form of table that it cannot check"
    first = table.parts[0].name.casefold()
    if len(table.parts) > 1 and (first == "snowflake" or first.startswith("snowflake$")):
        return "a table of the engine's own catalog"
    return None


def _unfolds(made: exp.Expr | None) -> bool:
    if isinstance(made, exp.Anonymous):
        return str(made.name).casefold() in _UNFOLDING_NAMES
    return isinstance(made, _UNFOLDS)
