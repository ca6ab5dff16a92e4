"""What model SQL may not reach in MariaDB, beside what it may reach nowhere. Pure."""

from __future__ import annotations

from sqlglot import exp

_NAMES = {
    "benchmark", "get_lock", "release_lock", "release_all_locks", "is_free_lock",
    "is_used_lock", "last_insert_id", "master_pos_wait", "master_gtid_wait",
    "binlog_gtid_pos", "sys_exec", "sys_eval", "sys_get", "sys_set", "found_rows",
    "row_count", "connection_id", "current_version", "current_user",
    "session_user", "system_user", "user", "current_role", "version", "database", "schema",
    "lastval", "next_value_for",
}  # fmt: skip
_PREFIXES = ("spider_", "des_", "sys_", "lib_", "wsrep_", "mroonga_", "sformat_file")
_CATALOGS = {"mysql", "performance_schema", "sys"}


def forbidden_in_mysql(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    Variables of the server or the session, hints, which may set some, locks and the catalog.
    """
    if isinstance(node, exp.SessionParameter | exp.Hint | exp.NextValueFor | exp.PropertyEQ):
        return type(node).__name__.upper()
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        schemas = {part.name.casefold() for part in node.parts[:-1]}
        return "a table of the engine's own catalog" if schemas & _CATALOGS else None
    if isinstance(node, exp.Func):
        name = str(node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()
        return f"the function {name}" if name in _NAMES or name.startswith(_PREFIXES) else None
    return None
