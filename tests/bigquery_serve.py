"""Serves the BigQuery emulator with what it lacks of sessions. Run by the emulator's own Python.

BigQuery documents that a session has temporary tables of its own, that `_SESSION` names their
dataset in load jobs, and transactions that others see when they are committed, that hold no
statement which makes or drops a lasting table and that end where another one changed the same
table. The emulator hands out the ids of sessions and runs every job on one connection. Here each
session has a connection of its own. Neither the spatial extension, which would be downloaded, nor
copies of tables for time travel are made.
"""

from __future__ import annotations

import contextvars
import re
from functools import lru_cache
from typing import Any

import duckdb
import sqlglot
from bqemulator.api.routes import jobs, upload
from bqemulator.cli import main
from bqemulator.domain.errors import InvalidQueryError, NotFoundError
from bqemulator.jobs import executor
from bqemulator.sql import inner_query
from bqemulator.sql.rewriter import default_dataset, information_schema
from bqemulator.storage.engine import DuckDBEngine, _annotate_with_duckdb_types
from bqemulator.versioning.snapshots import SnapshotManager
from sqlglot import exp
from sqlglot.dialects import DuckDB

_SESSION: contextvars.ContextVar[str | None] = contextvars.ContextVar("session", default=None)
_CONNECTIONS: dict[str, duckdb.DuckDBPyConnection] = {}
_TEMPORARY: dict[str, set[str]] = {}
_IN_TRANSACTION: set[str] = set()
_ABORT = re.compile(r"\s*CALL\s+BQ\.ABORT_SESSION\('([0-9a-f]+)'\)", re.IGNORECASE)


def _connection(engine: DuckDBEngine, session: str) -> duckdb.DuckDBPyConnection:
    if session not in _CONNECTIONS:
        made = engine.connection.cursor()
        made.execute("SET TimeZone = 'UTC'")
        _CONNECTIONS[session] = made
    return _CONNECTIONS[session]


def _end(session: str) -> None:
    _IN_TRANSACTION.discard(session)
    _TEMPORARY.pop(session, None)
    connection = _CONNECTIONS.pop(session, None)
    if connection is not None:
        connection.close()


def _fetch_arrow(engine: DuckDBEngine, sql: str, parameters: list[Any] | None = None) -> Any:
    session = _SESSION.get()
    connection = engine.connection if session is None else _connection(engine, session)
    try:
        result = connection.execute(sql, parameters or [])
        table = result.to_arrow_table()
    except duckdb.TransactionException:
        if session in _IN_TRANSACTION:
            _IN_TRANSACTION.discard(session)
            connection.execute("ROLLBACK")
        raise InvalidQueryError(
            "Transaction is aborted due to concurrent update against table x.", location="query"
        ) from None
    return _annotate_with_duckdb_types(table, result.description)


def _session_of(config: dict[str, Any]) -> str | None:
    for entry in config.get("connectionProperties") or []:
        if entry.get("key") == "session_id":
            return str(entry["value"])
    return None


def _check_transaction(session: str, sql: str) -> None:
    words = re.sub(r"/\*.*?\*/", " ", sql, flags=re.DOTALL).upper().split()
    first, second = (*words, "", "")[:2]
    if first == "BEGIN":
        if session in _IN_TRANSACTION:
            raise InvalidQueryError("Transaction is already in progress", location="query")
        _IN_TRANSACTION.add(session)
    elif first in {"COMMIT", "ROLLBACK"}:
        if session not in _IN_TRANSACTION:
            raise InvalidQueryError("There is no transaction in progress", location="query")
        _IN_TRANSACTION.discard(session)
    elif session in _IN_TRANSACTION and first in {"CREATE", "DROP", "ALTER"}:
        lasting = first == "ALTER" or second not in {"TEMP", "TEMPORARY"}
        if lasting and not _drops_temporary(session, sql):
            raise InvalidQueryError("DDL is not supported in transactions", location="query")


def _drops_temporary(session: str, sql: str) -> bool:
    found = re.search(r"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?`?(\w+)`?\s*$", sql, re.IGNORECASE)
    return found is not None and found.group(1) in _TEMPORARY.get(session, set())


def _of_session(session: str, sql: str) -> str:
    """A statement with its temporary tables as the engine's, which no default dataset is put
    before.
    """
    known = _TEMPORARY.setdefault(session, set())
    try:
        [tree] = sqlglot.parse(sql, read="bigquery")
    except (sqlglot.errors.SqlglotError, ValueError):
        return sql
    made = None
    if isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty):
        made = tree.find(exp.Table)
        known.add(made.name)
    if made is None and not any(t.name in known for t in tree.find_all(exp.Table) if not t.db):
        return sql
    for table in tree.find_all(exp.Table):
        if table.db == "_SESSION":
            table.set("db", None)
    return tree.sql(dialect="bigquery")


_handle_query_job = jobs._handle_query_job


async def _query_job(project_id: str, job_id: str, config: Any, **rest: Any) -> Any:
    query = config["query"]
    session = _session_of(query)
    ended = _ABORT.match(query.get("query", ""))
    if ended is not None:
        _end(ended.group(1))
        query = {**query, "query": "SELECT 1 AS ended"}
        session = None
    if session is None:
        return await _handle_query_job(project_id, job_id, {**config, "query": query}, **rest)
    text = query["query"]
    if not rest["dry_run"]:
        _check_transaction(session, text)
    token = _SESSION.set(session)
    try:
        query = {**query, "query": _of_session(session, text)}
        return await _handle_query_job(project_id, job_id, {**config, "query": query}, **rest)
    finally:
        _SESSION.reset(token)


_qualify_tables = default_dataset._qualify_tables


def _qualify(root: exp.Expression, *, shadowed_names: set[str], **names: str) -> None:
    session = _SESSION.get()
    known = _TEMPORARY.get(session, set()) if session else set()
    _qualify_tables(root, shadowed_names=shadowed_names | known, **names)


_sync_created_table = executor.sync_created_table


def _synced(bq_sql: str, project_id: str, ctx: Any) -> None:
    """Temporary tables are in no catalog."""
    if not re.match(r"\s*(/\*.*?\*/)?\s*CREATE\s+TEMP", bq_sql, re.IGNORECASE | re.DOTALL):
        _sync_created_table(bq_sql, project_id, ctx)


_execute_load_job = executor.execute_load_job


async def _load_job(project_id: str, job_id: str, config: Any, ctx: Any) -> Any:
    load = config.get("load", {})
    target = load.get("destinationTable", {})
    if target.get("datasetId") != "_SESSION":
        return await _execute_load_job(project_id, job_id, config, ctx)
    session = _session_of(load)
    if session is None:
        raise NotFoundError("Not found: Dataset _SESSION")
    connection, name = _connection(ctx.engine, session), target["tableId"]
    [path] = load["sourceUris"]
    path = path.removeprefix("file://")
    connection.execute(f'CREATE TEMP TABLE "{name}" AS SELECT * FROM read_parquet(?)', [path])
    _TEMPORARY.setdefault(session, set()).add(name)
    now = ctx.clock.now()
    return executor.JobMeta(
        project_id=project_id, job_id=job_id, job_type="LOAD", state="DONE", configuration=config,
        statistics={"load": {"outputRows": "0"}}, creation_time=now, start_time=now, end_time=now,
        etag=job_id,
    )  # fmt: skip


_expand = information_schema.expand_information_schema
_CATALOG = re.compile(r"`?(\w+)`?\s*\.\s*`?INFORMATION_SCHEMA\b", re.IGNORECASE)


def _expanded(bq_sql: str, project_id: str, catalog: Any) -> str:
    """The catalog of a dataset that is not there cannot be asked."""
    for dataset in _CATALOG.findall(bq_sql):
        if catalog.get_dataset(project_id, dataset) is None:
            raise NotFoundError(f"Not found: Dataset {project_id}:{dataset} was not found")
    asked = re.search(r"table_name = '(\w+)'", bq_sql)
    _ASKED.set(asked.group(1) if asked else None)
    plain = re.sub(r"`INFORMATION_SCHEMA\.(\w+)`", r"INFORMATION_SCHEMA.\1", bq_sql)
    return _expand(plain, project_id, catalog)


_columns_as_values = information_schema._columns_as_values
_ASKED: contextvars.ContextVar[str | None] = contextvars.ContextVar("asked", default=None)


def _asked_columns(tables: Any, *names: str) -> str:
    """Of the one table that is asked for: the list of all of them takes long to read."""
    asked = _ASKED.get()
    wanted = tuple(t for t in tables if asked in {None, t.table_id})
    return str(_columns_as_values(wanted, *names))


def _literal(value: str | None) -> str:
    """As BigQuery reads it: the emulator writes two quotes for one."""
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


_cast = DuckDB.Generator.cast_sql


def _cast_sql(generator: Any, expression: exp.Cast, *rest: Any, **named: Any) -> str:
    """A text as bytes is its UTF-8; the engine's own cast reads escapes."""
    whole = str(_cast(generator, expression, *rest, **named))
    if expression.to.this == exp.DataType.Type.BINARY and not isinstance(expression.this, exp.Null):
        return f"encode({generator.sql(expression, 'this')})"
    return whole


_parse_one = sqlglot.parse_one


@lru_cache(maxsize=32)
def _tree(sql: str, dialect: str) -> exp.Expression:
    return _parse_one(sql, read=dialect)


def _parsed(sql: str, read: Any = None, **rest: Any) -> exp.Expression:
    """Each statement is parsed many times over on its way."""
    if rest or not isinstance(read, str):
        return _parse_one(sql, read=read, **rest)
    return _tree(sql, read).copy()


def _without_spatial(engine: DuckDBEngine) -> None:
    del engine


def _no_copy(*_: Any) -> None:
    """A copy of the whole table after each statement."""


if __name__ == "__main__":
    DuckDB.Generator.cast_sql = _cast_sql
    DuckDB.Generator.TRANSFORMS.pop(exp.Cast, None)
    DuckDBEngine._load_spatial = _without_spatial
    DuckDBEngine.fetch_arrow = _fetch_arrow
    SnapshotManager.record_change = _no_copy
    jobs._handle_query_job = _query_job
    jobs.execute_load_job = upload.execute_load_job = executor.execute_load_job = _load_job
    executor.sync_created_table = _synced
    default_dataset._qualify_tables = _qualify
    information_schema._sql_literal = _literal
    information_schema._columns_as_values = _asked_columns
    sqlglot.parse_one = _parsed
    inner_query.expand_information_schema = _expanded
    main()
