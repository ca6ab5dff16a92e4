"""The rules for model SQL: one query that reads, and reaches nothing but tables. Pure.

A model's SQL is code that an approver reads, but a careless or hostile one must still not reach
files, the network, settings or other sessions. The statement is parsed, and only what is on the
lists below passes. The engine's own locks (read-only session, no external access) stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_dialects import FORBIDDEN_THERE, TABLE_FUNCTIONS_THERE, parser_of
from mayfly.planning.sql.dialect import DialectName
from mayfly.planning.sql.snowflake import exchanged
from mayfly.privacy.closed_logs import close_logs

# The parser logs statements it does not know, with the values in them.
close_logs("sqlglot")

_FORBIDDEN_NODES: tuple[type[exp.Expr], ...] = (
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.Into,
    exp.Lock,
    exp.Copy,
    exp.Set,
    exp.Pragma,
    exp.Attach,
    exp.Detach,
    exp.Describe,
    exp.Show,
    exp.Summarize,
    exp.Drop,
    exp.Alter,
    exp.Use,
    exp.Parameter,
    exp.Placeholder,
    exp.ReadCSV,
    exp.ReadParquet,
)
_TABLE_FUNCTIONS = {
    "generate_series", "exploding_generate_series", "range", "unnest", "explode", "json_each",
    "jsonb_each", "json_tree", "json_each_text", "jsonb_each_text", "json_array_elements",
    "jsonb_array_elements", "json_array_elements_text", "jsonb_array_elements_text",
    "regexp_split_to_table", "string_to_table",
}  # fmt: skip
_PREFIXES = (
    "read_", "write_", "parquet_", "duckdb_", "pragma_", "sniff_", "iceberg_", "delta_",
    "sqlite_", "postgres_", "mysql_", "excel_", "st_read", "pg_", "lo_", "dblink",
    "query_to_", "table_to_", "schema_to_", "database_to_", "cursor_to_", "copy", "http",
    "has_", "txid_", "inet_server", "inet_client", "binary_upgrade", "_pg_", "which_secret",
    "secret", "getenv", "set_config", "current_setting", "current_schema", "aws_", "plpy",
    "ts_stat", "xpath_table", "load_", "force_", "enable_", "disable_", "checkpoint", "write",
)  # fmt: skip
_NAMES = {
    "glob", "query", "query_table", "read", "scan", "nextval", "setval", "currval", "lastval",
    "lo", "sleep", "system", "shell", "getvariable", "from_substrait", "from_substrait_json",
    "get_substrait", "json_execute_serialized_sql", "seq_scan", "index_scan", "arrow_scan",
    "arrow_scan_dumb", "pandas_scan", "python_map_function", "test_all_types", "add_parquet_key",
    "repeat_row", "summary", "storage_info", "import_database", "export_database", "error",
    "crypt", "gen_salt", "loread", "lowrite", "postmaster_ping", "exec", "eval",
    "fts3_tokenizer", "fts5", "edit", "readfile", "writefile", "dbstat",
    "ts_debug", "ts_parse", "ts_token_type", "xmlparse", "crosstab", "connectby", "dblink",
}  # fmt: skip
_FOLDS_SMALL = ("postgres", "redshift")
_HAS_CATALOGS = ("bigquery", "databricks", "redshift", "snowflake", "spark")
_CATALOGS = ("information_schema", "pg_catalog", "pg_toast", "pg_temp", "system", "temp")
_CATALOG_TABLES = ("pg_", "duckdb_", "sqlite_", "pragma_", "dbstat", "fts5vocab", "bytecode")
_FILE_LIKE = re.compile(
    r"[/\\*]|://|\.(csv|tsv|txt|json|jsonl|ndjson|parquet|db|duckdb|sqlite|xlsx|gz|zst|arrow)$",
    re.IGNORECASE,
)


def check_model_sql(sql: str, dialect: DialectName) -> str:
    """The one query of a model, without comments or a closing semicolon.

    The text returned is written anew from what was parsed, so that what was checked is what runs.

    Raises:
        PolicyError: `model_sql_unreadable`, with line and column; `model_sql_two_statements`;
            `model_sql_not_a_query`; `model_sql_forbidden`, naming the function or clause.
    """
    if "\x00" in sql:
        raise _forbidden("the character NUL")
    query = _single(sql, dialect)
    if not isinstance(query, exp.Query):
        raise PolicyError(
            "model_sql_not_a_query",
            "Model SQL must be one query: SELECT, WITH … SELECT, or several joined by UNION.",
        )
    for node in query.walk():
        _check_node(node, dialect)
    return str(query.sql(dialect=parser_of(dialect), comments=False))


def check_where(text: str, dialect: DialectName) -> str:
    """The filter of a model's rows: one expression under the rules for model SQL, written anew.

    Raises:
        PolicyError: `model_sql_where`, it is no expression, or more than one, or asks other tables;
            as `check_model_sql`.
    """
    return str(_where(text, dialect).sql(dialect=parser_of(dialect), comments=False))


def _where(text: str, dialect: DialectName) -> exp.Expr:
    if "\x00" in text:
        raise _forbidden("the character NUL")
    try:
        query = _single(f"SELECT 1 FROM mf_rows WHERE (\n{text}\n)", dialect)
    except PolicyError as error:
        if error.code not in ("model_sql_unreadable", "model_sql_two_statements"):
            raise
        raise _no_expression() from None
    clauses = {name for name, part in query.args.items() if part}
    where = query.args.get("where")
    inside: exp.Expr | None = None
    if where is not None and isinstance(where.this, exp.Paren):
        inside = where.this.this
    alone = clauses <= {"expressions", "from_", "from", "where"}
    if not isinstance(query, exp.Select) or not alone or inside is None:
        raise _no_expression()
    for node in inside.walk():
        if isinstance(node, exp.Query | exp.Table | exp.Star):
            raise _no_expression()
        _check_node(node, dialect)
    return inside


def _no_expression() -> PolicyError:
    return PolicyError(
        "model_sql_where",
        "`where` must be one expression over the columns of the model's own rows.",
        hint="A subquery, or rows of another table, belong into the model's SQL.",
    )


def parsed(sql: str, dialect: DialectName) -> exp.Expr:
    """A query that `check_model_sql` has passed, in the names that its engine knows it by.

    Raises:
        PolicyError: as `check_model_sql`.
    """
    query = _single(sql, dialect)
    if dialect in _FOLDS_SMALL:
        for name in query.find_all(exp.Identifier):
            if not name.args.get("quoted"):
                name.set("this", name.name.lower())
    if dialect == "snowflake":
        for name in query.find_all(exp.Identifier):
            name.set("this", exchanged(name.name if name.args.get("quoted") else name.name.upper()))
    if dialect in _HAS_CATALOGS:
        for table in query.find_all(exp.Table):
            _name_catalog(table)
    return query


def _name_catalog(table: exp.Table) -> None:
    """A schema of another catalog is one of its own: it is called by both their names."""
    if table.catalog and table.db:
        table.set("db", exp.to_identifier(f"{table.catalog}.{table.db}", quoted=True))
        table.set("catalog", None)


def parsed_view(sql: str, dialect: DialectName) -> tuple[exp.Expr, tuple[str, ...]] | None:
    """The query of a view, and the names it gives its columns; None where it cannot be parsed.

    Args:
        sql: the query, or the statement that makes the view.
        dialect: of its engine.
    """
    try:
        made = parsed(sql, dialect)
    except PolicyError:
        return None
    if not isinstance(made, exp.Create):
        return (made, ()) if isinstance(made, exp.Query) else None
    query, head = made.expression, made.this
    columns = head.expressions if isinstance(head, exp.Schema) else []
    names = tuple(column.name for column in columns)
    return (query, names) if isinstance(query, exp.Query) else None


def canonical_view(sql: str, dialect: DialectName) -> str:
    """A view's text without comments and in one layout; as it is where it cannot be parsed."""
    try:
        made = _single(sql, dialect)
        return str(made.sql(dialect=parser_of(dialect), comments=False))
    except (PolicyError, SqlglotError, RecursionError, AttributeError, LookupError, TypeError):
        # Nothing of ours is written anew by a parser that does not know it.
        return sql.strip()


@dataclass(frozen=True, kw_only=True)
class NamesBehind:
    """What a query's columns are called where they come from.

    Args:
        tables: every table and view that it reads.
        columns: those that each output column is made of, by its name in small letters.
    """

    tables: frozenset[str] = frozenset()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)


def names_behind(sql: str, dialect: DialectName) -> NamesBehind:
    """The names in a query that `check_model_sql` has passed.

    A column that comes through subqueries counts with the names of each of them that is called so.
    """
    query = _single(sql, dialect)
    columns: dict[str, frozenset[str]] = {}
    for select in query.find_all(exp.Select):
        for made in select.expressions:
            name = made.alias_or_name.casefold()
            inside = frozenset(column.name for column in made.find_all(exp.Column))
            columns[name] = columns.get(name, frozenset()) | inside
    # Names of names, as far down as subqueries go; each round can only add.
    for _ in columns:
        wider = {
            name: found.union(*(columns.get(n.casefold(), frozenset()) for n in found))
            for name, found in columns.items()
        }
        if wider == columns:
            break
        columns = wider
    tables = frozenset(table.name for table in query.find_all(exp.Table))
    return NamesBehind(tables=tables, columns=columns)


def output_names(sql: str, dialect: DialectName) -> list[str] | None:
    """What a query's columns are called, in their order; None where it does not say all (`*`).

    Raises:
        PolicyError: as `check_model_sql`.
    """
    check_model_sql(sql, dialect)
    query = _single(sql, dialect)
    names = (
        [str(made.alias_or_name) for made in query.selects] if isinstance(query, exp.Query) else []
    )
    return None if not names or "" in names or "*" in names else names


def _single(sql: str, dialect: DialectName) -> exp.Expr:
    try:
        found = [s for s in sqlglot.parse(sql, read=parser_of(dialect)) if s is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        where = f"line {first.get('line', '?')}, column {first.get('col', '?')}"
        raise _unreadable(where) from None
    except TokenError:
        # The tokeniser gives no position, and its text is a piece of the statement.
        raise _unreadable("its end, where a quote or comment is still open") from None
    except (SqlglotError, RecursionError):
        raise _unreadable("some place") from None
    found = [s for s in found if not isinstance(s, exp.Semicolon)]
    if len(found) > 1:
        raise PolicyError(
            "model_sql_two_statements", f"Model SQL must be one query; {len(found)} came."
        )
    if not found:
        raise PolicyError("model_sql_not_a_query", "Model SQL is empty.")
    return found[0]


def _check_node(node: exp.Expr, dialect: DialectName) -> None:
    if isinstance(node, _FORBIDDEN_NODES) and not isinstance(node, exp.Query):
        raise _forbidden(type(node).__name__.upper())
    there = FORBIDDEN_THERE.get(dialect)
    special = there(node) if there else None
    if special is not None:
        raise _forbidden(special)
    if isinstance(node, exp.Table):
        _check_table(node, dialect)
    elif isinstance(node, exp.Cast):
        _check_cast(node, dialect)
    elif isinstance(node, exp.Func):
        _check_function(_function_name(node))


def _function_name(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).casefold()
    return str(node.sql_name()).casefold()


def _check_function(name: str) -> None:
    if name in _NAMES or name.startswith(_PREFIXES):
        raise _forbidden(f"the function {name}")


def _check_table(table: exp.Table, dialect: DialectName) -> None:
    inner = table.this
    if isinstance(inner, exp.Func | exp.Anonymous):
        name = _function_name(inner)
        if name not in _TABLE_FUNCTIONS | TABLE_FUNCTIONS_THERE.get(dialect, frozenset()):
            raise _forbidden(f"the table function {name}")
        return
    if isinstance(inner, exp.Literal):
        raise _forbidden("a file in place of a table")
    parts = [p.name for p in table.parts] if inner is not None else []
    if not parts:
        raise _forbidden("ROWS FROM or another table form it cannot check")
    if any(_FILE_LIKE.search(p) for p in parts[-1:]):
        raise _forbidden("a file in place of a table")
    schemas = {p.casefold() for p in parts[:-1]}
    if schemas & set(_CATALOGS) or parts[-1].casefold().startswith(_CATALOG_TABLES):
        raise _forbidden("a table of the engine's own catalog")
    # Where there are no schemas, our tables bear its name.
    if "_mayfly" in schemas or parts[-1].casefold().startswith("_mayfly."):
        raise _forbidden("a table of Mayfly's own schema")


def _check_cast(node: exp.Cast, dialect: DialectName) -> None:
    """Casts to regclass and its like look into the catalog."""
    kind = node.to.sql(dialect=parser_of(dialect)).casefold()
    if dialect == "postgres" and kind.strip('"').startswith("reg"):
        raise _forbidden(f"a cast to {kind}")


def _forbidden(what: str) -> PolicyError:
    return PolicyError(
        "model_sql_forbidden",
        f"Model SQL may not use {what}.",
        hint="A model reads tables and views of its source; files, network, settings and the "
        "engine's catalog are closed to it.",
    )


def _unreadable(where: str) -> PolicyError:
    return PolicyError(
        "model_sql_unreadable",
        f"Model SQL cannot be parsed at {where}.",
        hint="Check the spelling; the SQL is read in the dialect of its source.",
    )
