"""Which rights a role of MariaDB lacks or a project needs, and the statements that give them.

Every name comes from the server or the settings and is quoted: a statement can be pasted as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from mayfly.connectors.sources.mysql_connect import parse_dsn
from mayfly.domain.errors import ConfigError
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.mysql import BYTES, MysqlDialect
from mayfly.ports.source_spec import GrantRequest

STATE_RIGHTS = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE VIEW",
    "SHOW VIEW",
)  # fmt: skip
TEMPORARY = "CREATE TEMPORARY TABLES"
_SQL = MysqlDialect()
_DENIED_TABLE = re.compile(
    r"(?P<right>[A-Z ]+?) command denied to user .* for (?:table|column '(?P<column>.*)' in table) "
    r"(?:(?P<schema>`(?:[^`]|``)*`)\.)?(?P<table>`(?:[^`]|``)*`|'[^']*')",
    re.DOTALL,
)
_DENIED_FUNCTION = re.compile(
    r"execute command denied to user .* for routine '(?P<name>.*)'", re.DOTALL
)
_DENIED_SCHEMA = re.compile(r"Access denied for user .* to database '(?P<schema>.*)'", re.DOTALL)
_SCHEMA_AND_NAME = re.compile(r"`?((?:[^`.]|``)+)`?\.`?((?:[^`]|``)+)`?")


def account(current_user: str) -> str:
    """The role of `current_user()` as a statement names it."""
    user, _, host = current_user.rpartition("@")
    return f"{_SQL.quote(user)}@{_SQL.quote(host)}"


def of_schema(schema: str) -> str:
    """All tables of a database in a GRANT, where `_` and `%` stand for any characters."""
    escaped = re.sub(r"([_%\\])", r"\\\1", schema)
    return f"{_SQL.quote(escaped)}.*"


def grant_of(denied: str, *, role: str, schema: str) -> str | None:
    """The statement that gives what the server said is missing; None where that cannot be told.

    Args:
        denied: the server's own text, in English; of it names are taken.
        role: who lacks it.
        schema: of the source.
    """
    found = _DENIED_TABLE.search(denied)
    if found is not None:
        inside = found.group("schema") or _SQL.quote(schema)
        table = found.group("table")
        name = table if table.startswith("`") else _SQL.quote(table[1:-1])
        return f"GRANT {found.group('right').strip()} ON {inside}.{name} TO {role};"
    found = _DENIED_FUNCTION.search(denied)
    if found is not None:
        parts = _SCHEMA_AND_NAME.fullmatch(found.group("name"))
        if parts is not None:
            name = f"{_SQL.quote(parts.group(1))}.{_SQL.quote(parts.group(2))}"
            return f"GRANT EXECUTE ON FUNCTION {name} TO {role};"
    found = _DENIED_SCHEMA.search(denied)
    if found is not None and found.group("schema") == schema:
        return f"GRANT {TEMPORARY} ON {of_schema(schema)} TO {role};"
    return None


def rights_query(schema: str) -> str:
    """Rights on a database that the role has by itself, by its roles, or as everybody."""
    user = "concat('''', left(u, char_length(u) - char_length(substring_index(u, '@', -1)) - 1), "
    user += "'''@''', substring_index(u, '@', -1), '''')"
    who = (
        f"SELECT {user} AS g FROM (SELECT current_user() AS u) AS q UNION ALL SELECT "
        "concat('''', role_name, '''@''''') FROM information_schema.enabled_roles "
        "UNION ALL SELECT role_name FROM information_schema.enabled_roles "
        "UNION ALL SELECT 'PUBLIC'"
    )
    return (
        "SELECT DISTINCT privilege_type AS p FROM (SELECT grantee, privilege_type FROM "
        "information_schema.user_privileges UNION ALL SELECT grantee, privilege_type FROM "
        f"information_schema.schema_privileges WHERE {_SQL.literal(schema)} LIKE table_schema) "
        f"AS p JOIN ({who}) AS w ON {_SQL.as_text('w.g')} = {_SQL.as_text('p.grantee')}"
    )


def missing_grants(
    *, role: str, schema: str, state: str, temporary: bool, has: Collection[str] | None
) -> list[str]:
    """What a role lacks for runs, as statements.

    Args:
        role: as statements name it.
        schema: of the source.
        state: our own one.
        temporary: whether it may make temporary tables.
        has: rights on our own one; None where nothing is to be written.
    """
    grants = [] if temporary else [f"GRANT {TEMPORARY} ON {of_schema(schema)} TO {role};"]
    lacks = [] if has is None else [right for right in STATE_RIGHTS if right not in has]
    if lacks:
        grants.append(f"GRANT {', '.join(lacks)} ON {of_schema(state)} TO {role};")
    return grants


def lacking(source: str, grants: Sequence[str]) -> ConfigError:
    """The error that prints the statements."""
    rights = "a right" if len(grants) == 1 else f"{len(grants)} rights"
    return ConfigError(
        "missing_grant", f"The role of source {source} lacks {rights}.", hint=" ".join(grants)
    )


def mysql_grants(request: GrantRequest) -> Sequence[str]:
    """See `SourceSpec.grants`. May be run again; what the role had before it keeps.

    Raises:
        ConfigError: `dsn_invalid`.
    """
    settings = request.source.settings
    dsn = parse_dsn(settings.name, request.source.dsn())
    role = f"{_SQL.quote(dsn.user)}@{_SQL.quote('localhost' if dsn.socket else '%')}"
    lines = [
        f"CREATE USER IF NOT EXISTS {role} ACCOUNT LOCK;  -- a new one then needs: "
        f"ALTER USER {role} IDENTIFIED BY '…' ACCOUNT UNLOCK",
        f"GRANT {TEMPORARY} ON {of_schema(dsn.database)} TO {role};",
        *(_select(read, dsn.database, role) for read in request.reads),
    ]
    if settings.state == "source":
        lines += _state(settings.state_schema, role)
    return lines


def _select(read: TableRead, schema: str, role: str) -> str:
    columns = "" if read.columns is None else f" ({', '.join(map(_SQL.quote, read.columns))})"
    table = f"{_SQL.quote(read.schema or schema)}.{_SQL.quote(read.name)}"
    why = "" if read.columns else "  -- all columns: a model's SQL does not say which"
    return f"GRANT SELECT{columns} ON {table} TO {role};{why}"


def _state(schema: str, role: str) -> Iterator[str]:
    """Made by its owner; with these rights the role could also make it."""
    yield (
        f"CREATE DATABASE IF NOT EXISTS {_SQL.quote(schema)} CHARACTER SET utf8mb4 COLLATE {BYTES};"
    )
    yield f"GRANT {', '.join(STATE_RIGHTS)} ON {of_schema(schema)} TO {role};"
