"""Which rights a role of PostgreSQL lacks, and the statement that gives each. Pure but for a query.

Every name comes from the server or the settings and is quoted: a statement can be pasted as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from mayfly.domain.errors import ConfigError, EngineError, PolicyError
from mayfly.planning.names import STATE_TABLES, WORKING_COPIES
from mayfly.planning.sql.dialect import literal, quote

_OF_QUERY = "d.classid = 'pg_rewrite'::regclass AND r.ev_class = 'pg_temp.mf_query'::regclass"
"""What the temporary view `mf_query` depends on: the server itself names it."""
_DEPENDS = "FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
WRITERS = (
    f"SELECT DISTINCT p.proname::text AS name {_DEPENDS} JOIN pg_proc p ON p.oid = d.refobjid "
    f"WHERE {_OF_QUERY} AND d.refclassid = 'pg_proc'::regclass AND p.provolatile = 'v' ORDER BY 1"
)
UNCALLED = (
    f"SELECT DISTINCT p.oid::regprocedure::text AS name {_DEPENDS} "
    f"JOIN pg_proc p ON p.oid = d.refobjid WHERE {_OF_QUERY} "
    "AND d.refclassid = 'pg_proc'::regclass AND NOT has_function_privilege(p.oid, 'EXECUTE') "
    "ORDER BY 1"
)
TABLES = (
    "SELECT n.nspname::text AS s, c.relname::text AS t, row_security_active(c.oid) AS filtered, "
    "bool_and(CASE WHEN d.refobjsubid > 0 "
    "THEN has_column_privilege(c.oid, d.refobjsubid::int2, 'SELECT') "
    "ELSE has_any_column_privilege(c.oid, 'SELECT') END) AS reads "
    f"{_DEPENDS} JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = "
    f"c.relnamespace WHERE {_OF_QUERY} AND d.refclassid = 'pg_class'::regclass "
    "AND c.oid <> r.ev_class GROUP BY c.oid, n.nspname, c.relname ORDER BY 1, 2"
)
GRANTEES = (
    "SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' "
    "ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee "
    "FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = {table}::regclass "
    "AND a.grantee <> c.relowner ORDER BY 1"
)
OPENS = (
    "SELECT EXISTS (SELECT 1 FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole "
    "WHERE d.defaclobjtype = 'r' AND o.rolname = current_user) AS opens"
)
_OURS = f"^({'|'.join((*STATE_TABLES, *WORKING_COPIES))})_"
"""Tables that hold something of rows; an anchor, say, may be open to an auditor."""
_IN_FRONT = re.compile(r'("(?:[^"]|"")+"|\w+)\s*\.')


class Asks(Protocol):
    """A session, as far as it is needed here."""

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""


@dataclass(frozen=True, kw_only=True)
class QueryFacts:
    """What a query depends on that may stand in its way.

    Args:
        writers: functions that may write.
        grants: statements that give the rights it lacks.
        filtered: how many of its tables row-level security filters for this role.
    """

    writers: Sequence[str]
    grants: Sequence[str]
    filtered: int


def facts_of(session: Asks) -> QueryFacts:
    """Facts of the query behind the temporary view `mf_query`."""
    tables = session.table(TABLES).to_pylist()
    uncalled = session.table(UNCALLED).column("name").to_pylist()
    role = quote(role_of(session))
    grants = [
        f"GRANT SELECT ON TABLE {quote(str(t['s']))}.{quote(str(t['t']))} TO {role};"
        for t in tables
        if not t["reads"]
    ]
    grants += [f"GRANT EXECUTE ON FUNCTION {name} TO {role};" for name in uncalled]
    return QueryFacts(
        writers=[str(name) for name in session.table(WRITERS).column("name").to_pylist()],
        grants=grants,
        filtered=sum(bool(t["filtered"]) for t in tables),
    )


def role_of(session: Asks) -> str:
    """The role that the session acts as."""
    return str(session.table("SELECT current_user::text AS r").column("r")[0].as_py())


def unused_schemas(session: Asks, query: str) -> list[str]:
    """Statements for the schemas a query may name and the role may not use.

    The server tells it in a text of its own language: what stands in front of a dot is asked.
    """
    found = {m.group(1) for m in _IN_FRONT.finditer(query)}
    names = {n[1:-1].replace('""', '"') if n.startswith('"') else n.lower() for n in found}
    if not names:
        return []
    listed = ", ".join(literal(n) for n in sorted(names))
    rows = session.table(
        f"SELECT nspname::text AS s FROM pg_namespace WHERE nspname IN ({listed}) "
        "AND NOT has_schema_privilege(oid, 'USAGE') ORDER BY 1"
    ).to_pylist()
    role = quote(role_of(session)) if rows else ""
    return [f"GRANT USAGE ON SCHEMA {quote(str(r['s']))} TO {role};" for r in rows]


def refuse(source: str, facts: QueryFacts) -> None:
    """Refuse a query that may write, may not read, or would be shown a part of its rows.

    Raises:
        PolicyError: `model_sql_forbidden`; `row_security`.
        ConfigError: `missing_grant`.
    """
    if facts.writers:
        raise PolicyError(
            "model_sql_forbidden",
            f"Model SQL may not use the function {facts.writers[0]}, which may write.",
            hint="Where it only reads, declare it STABLE or IMMUTABLE: the server then refuses "
            "it every write.",
        )
    if facts.grants:
        raise lacking(source, facts.grants)
    if facts.filtered:
        raise PolicyError(
            "row_security",
            f"Row-level security filters {facts.filtered} tables of the query for the role of "
            f"source {source}: a row that a policy hides would look as if it had left.",
            hint="Give the role BYPASSRLS, or let the model read a view of the tables' owner whose "
            "WHERE says which rows are meant.",
        )


def lacking(source: str, grants: Sequence[str]) -> ConfigError:
    """The error that prints the statements."""
    rights = "a right" if len(grants) == 1 else f"{len(grants)} rights"
    return ConfigError(
        "missing_grant", f"The role of source {source} lacks {rights}.", hint=" ".join(grants)
    )


def rights_query(schema_name: str, state_name: str) -> str:
    """One row: the role, its rights, and what there is to have rights on."""
    schema, state = literal(schema_name), literal(state_name)
    tables = (
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {schema} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
    )
    return (
        "SELECT current_user::text AS role, current_database()::text AS base, "
        f"EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = {schema}) AS schema_found, "
        "(SELECT bool_and(has_schema_privilege(oid, 'USAGE')) FROM pg_namespace "
        f"WHERE nspname = {schema}) AS usage, "
        f"EXISTS (SELECT 1 FROM {tables}) AS has_tables, "
        f"EXISTS (SELECT 1 FROM {tables} AND has_any_column_privilege(c.oid, 'SELECT')) AS reads, "
        "has_database_privilege(current_database(), 'TEMP') AS temp, "
        "has_database_privilege(current_database(), 'CREATE') AS creates, "
        "(SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') "
        f"FROM pg_namespace WHERE nspname = {state}) AS state_rights, "
        "(SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(c.relowner)), ', ') "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {state} AND c.relkind IN ('r', 'v') "
        "AND NOT pg_has_role(c.relowner, 'USAGE')) AS state_owners, "
        "(SELECT string_agg(format('REVOKE ALL ON TABLE %I.%I FROM %s;', s, t, g), ' ') FROM "
        "(SELECT n.nspname AS s, c.relname AS t, string_agg(DISTINCT CASE a.grantee WHEN 0 "
        "THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, ', ') AS g "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a "
        f"WHERE n.nspname = {state} AND c.relkind = 'r' AND a.grantee <> c.relowner "
        f"AND c.relname ~ {literal(_OURS)} "
        "GROUP BY 1, 2 ORDER BY 1, 2) AS o) AS state_open, "
        "current_setting('server_version_num')::int AS version"
    )


def missing_grants(
    row: Mapping[str, object], *, schema_name: str, state_name: str, write: bool
) -> list[str]:
    """What a row of `rights_query` lacks for runs, as statements."""
    role, base = quote(str(row["role"])), quote(str(row["base"]))
    schema, state = quote(schema_name), quote(state_name)
    grants = []
    if not row["usage"]:
        grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {role};")
    if row["has_tables"] and not row["reads"]:
        grants.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};")
    if not row["temp"]:
        grants.append(f"GRANT TEMPORARY ON DATABASE {base} TO {role};")
    if write and row["state_rights"] is None and not row["creates"]:
        grants.append(f"GRANT CREATE ON DATABASE {base} TO {role};")
    if write and row["state_rights"] is False:
        grants.append(f"GRANT USAGE, CREATE ON SCHEMA {state} TO {role};")
    if write and row["state_owners"]:
        # Its tables are another role's: only who is its member may change them.
        grants.append(f"GRANT {row['state_owners']} TO {role};")
    return grants


def private(session: Asks, table: str) -> list[str]:
    """Statements that leave a table, just made, to its owner alone.

    Args:
        session: in the transaction that made it.
        table: its quoted name.
    """
    found = session.table(GRANTEES.format(table=literal(table))).column("grantee").to_pylist()
    return [f"REVOKE ALL ON TABLE {table} FROM {', '.join(map(str, found))}"] if found else []


def is_missing_right(error: EngineError) -> bool:
    """Whether the server refused for want of a right."""
    return error.code == "missing_grant"
