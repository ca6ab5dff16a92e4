"""What model SQL may not reach in Redshift, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

_CATALOG_TABLES = ("stl_", "stv_", "svl_", "svv_", "svcs_", "sys_")
_CATALOGS = {"pg_internal", "pg_automv", "catalog_history"}
_NAMES = {
    "user", "current_user", "current_user_id", "session_user", "version", "db_collation",
    "current_namespace", "current_session_arn", "current_database", "explain_model",
    "get_number_attributes", "user_is_member_of", "role_is_member_of", "default_iam_role",
}  # fmt: skip
_PREFIXES = ("sys_", "stv_", "currentuser", "f_sys_")


def forbidden_in_redshift(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    The catalog, the log of statements, who is asking, functions of others' schemas. A function of
    one's own that is called by its bare name cannot be told from Redshift's, and one of Lambda
    leaves the warehouse: the user's rights stand behind it.
    """
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        *schemas, name = [part.name.casefold() for part in node.parts]
        if name.startswith(_CATALOG_TABLES) or set(schemas) & _CATALOGS:
            return "a table of the engine's own catalog"
        return None
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return "a function of a schema"
    if isinstance(node, exp.Func):
        name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
        if name in _NAMES or name.startswith(_PREFIXES):
            return f"the function {name}"
    return None
