"""Which tables and columns models read, for granting no more than that. Pure.

Where only the server could tell whose a column is, all columns of the tables in question count:
a grant that is too narrow would stop the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_dialects import parser_of
from mayfly.planning.model_sql import check_model_sql
from mayfly.planning.sql.dialect import DialectName
from mayfly.planning.sql.snowflake import exchanged


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """One table or view that is read.

    Args:
        schema: as the model names it, with a catalog before a dot where it does; None without.
        name: of the table.
        columns: those that are read, in order; None where it must be all: the model says `*`, or
            nothing but the server can tell whose a column is.
    """

    schema: str | None
    name: str
    columns: tuple[str, ...] | None


def reads_of_sql(sql: str, dialect: DialectName) -> Sequence[TableRead]:
    """What a model's query reads.

    Raises:
        PolicyError: as `check_model_sql`; `model_sql_unreadable`, its names cannot be told apart.
    """
    query = sqlglot.parse_one(check_model_sql(sql, dialect), read=parser_of(dialect))
    for identifier in query.find_all(exp.Identifier):
        if dialect in ("clickhouse", "mysql"):
            # There a table is called as it is written, quoted or not.
            identifier.set("quoted", True)
        elif dialect == "snowflake" and identifier.args.get("quoted"):
            identifier.set("this", exchanged(identifier.name))
    try:
        scopes = traverse_scope(query)
    except SqlglotError:
        raise PolicyError(
            "model_sql_unreadable",
            "The tables that model SQL reads cannot be told.",
            hint="Give every subquery and table a name of its own.",
        ) from None
    found = [read for scope in scopes for read in _of_scope(scope)]
    # A table in a place that no scope knows is not forgotten.
    known = {(read.schema, read.name) for read in found}
    ctes = {cte.alias_or_name.casefold() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        read = _read(table, None)
        if read is None or (read.schema, read.name) in known:
            continue
        if read.schema is not None or read.name.casefold() not in ctes:
            found.append(read)
    return joined_reads(found)


def joined_reads(reads: Iterable[TableRead]) -> Sequence[TableRead]:
    """Each table once, with all that any of them reads, in order of their names."""
    found: dict[tuple[str | None, str], TableRead] = {}
    for read in reads:
        known = found.get((read.schema, read.name), read)
        columns: tuple[str, ...] | None = None
        if known.columns is not None and read.columns is not None:
            columns = tuple(sorted({*known.columns, *read.columns}))
        found[read.schema, read.name] = TableRead(
            schema=read.schema, name=read.name, columns=columns
        )
    return [found[key] for key in sorted(found, key=lambda k: (k[0] or "", k[1]))]


def _of_scope(scope: Scope) -> Iterator[TableRead]:
    """Tables that one SELECT names itself, without its subqueries."""
    tables = {
        alias.lower(): source
        for alias, source in scope.sources.items()
        if isinstance(source, exp.Table)
    }
    unsure = _is_unsure(scope)
    whole: set[str] = set()
    columns: dict[str, set[str]] = {alias: set() for alias in tables}
    for column in scope.columns:
        owner = column.table.lower() or (next(iter(scope.sources)).lower() if not unsure else "")
        if isinstance(column.this, exp.Star):
            whole.add(owner)
        elif owner in columns:
            columns[owner].add(_name(column.this))
        # A row as a whole is written as its table's name.
        whole |= {column.name.lower()} if not column.table else set()
    for alias, table in tables.items():
        every = unsure or alias in whole
        read = _read(table, None if every else tuple(sorted(columns[alias])))
        if read is not None:
            yield read


def _is_unsure(scope: Scope) -> bool:
    """Whether names of this SELECT may be other things than columns of the tables it is over."""
    select = scope.expression
    if not isinstance(select, exp.Select):
        return False
    if any(made.is_star for made in select.expressions):
        return True
    if any(j.args.get("using") or j.args.get("method") for j in select.args.get("joins") or ()):
        return True
    bare = [column for column in scope.columns if not column.table]
    aliases = {made.alias.lower() for made in select.expressions if isinstance(made, exp.Alias)}
    return bool(bare) and (
        len(scope.sources) != 1
        or _is_inner(scope)
        or any(c.parent_select is not select or c.name.lower() in aliases for c in bare)
    )


def _is_inner(scope: Scope | None) -> bool:
    """Whether a name may be of a query around it."""
    while scope is not None:
        if scope.is_subquery or scope.is_udtf:
            return True
        scope = scope.parent
    return False


def _read(table: exp.Table, columns: tuple[str, ...] | None) -> TableRead | None:
    """None for what is a function in a table's place."""
    if not isinstance(table.this, exp.Identifier):
        return None
    *schema, name = [_name(part) for part in table.parts]
    return TableRead(schema=".".join(schema) or None, name=name, columns=columns or None)


def _name(identifier: exp.Expr) -> str:
    """As the catalog has it: PostgreSQL writes names without quotes small, and so does Mayfly those
    of Snowflake.
    """
    quoted = bool(identifier.args.get("quoted"))
    return str(identifier.name) if quoted else str(identifier.name).lower()
