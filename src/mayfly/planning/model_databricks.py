"""What model SQL may not reach in Databricks, beside what it may not in Spark. Pure."""

from __future__ import annotations

import re

from sqlglot import exp

from mayfly.planning.model_spark import EARLIER, forbidden_in_spark

_CATALOGS = {"system", "information_schema"}
_NAMES = {
    "remote_query", "user", "current_user", "session_user", "current_metastore",
    "current_recipient", "current_catalog", "current_database", "is_member",
    "is_account_group_member", "current_version", "version", "get_warehouse_id",
    "current_oauth_custom",
}  # fmt: skip
_PREFIXES = ("forecast", "stream_", "databricks_")
_VERSIONED = re.compile(r"@v?\d+$")


def forbidden_in_databricks(node: exp.Expr) -> str | None:
    """What a node of a parsed query uses that it may not; None where it may.

    As in Spark; and earlier versions of a table by its name, models of language, secrets, who is
    asking. A function of one's own that is called by its bare name cannot be told from
    Databricks': the principal's rights stand behind it.
    """
    known = forbidden_in_spark(node, _NAMES, _PREFIXES)
    if known is not None or not isinstance(node, exp.Table):
        return known
    if not isinstance(node.this, exp.Identifier):
        return None
    *schemas, name = [part.name.casefold() for part in node.parts]
    if set(schemas) & _CATALOGS:
        return "a table of the engine's own catalog"
    return EARLIER if _VERSIONED.search(name) else None
