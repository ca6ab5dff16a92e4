"""What model SQL may not reach in BigQuery, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

_NAMES = {
    "external_query", "session_user", "external_object_transform", "append", "vector_search",
    "appends", "changes", "gap_fill",
}  # fmt: skip
_PREFIXES = ("ml.", "ai.", "ml_", "ai_", "keys.", "aead.", "bq.", "deterministic_", "obj.")
_CATALOGS = ("_session", "region-")


def forbidden_in_bigquery(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may."""
    if isinstance(node, exp.Table):
        return _table(node)
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        # Named with its dataset, or its family: it may run elsewhere, on another's machine.
        return f"the function {node.sql(dialect='bigquery').partition('(')[0].lower()}"
    if isinstance(node, exp.Func):
        name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
        if name in _NAMES or name.startswith(_PREFIXES) or "." in name:
            return f"the function {name}"
    return None


def _table(table: exp.Table) -> str | None:
    """One name in backticks may hold several; a star stands for many tables."""
    if not isinstance(table.this, exp.Identifier | exp.Dot):
        return None
    names = [n.casefold() for part in table.parts for n in part.name.split(".")]
    if "information_schema" in names or any(n.startswith(_CATALOGS) for n in names):
        return "a table of the engine's own catalog"
    if "_mayfly" in names[:-1]:
        return "a table of Mayfly's own schema"
    if any("*" in n for n in names) or "$" in names[-1] or names[-1].startswith("__"):
        return "a name that stands for other tables"
    if table.args.get("version") or table.args.get("when"):
        return "FOR SYSTEM_TIME: what a table held before"
    return None
