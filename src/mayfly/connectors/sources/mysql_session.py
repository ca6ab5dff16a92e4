"""One MariaDB connection as a `SqlSession`, through PyMySQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import pyarrow as pa

from mayfly.connectors.mysql_connect import LOST, send_rows
from mayfly.connectors.sources.mysql_errors import from_number, lost, unfit
from mayfly.connectors.sources.mysql_load import lines_of, load_statement, table_statement
from mayfly.connectors.sources.mysql_types import batch_of, column_of
from mayfly.domain.errors import ContractError, EngineError
from mayfly.ports.source import ColumnInfo

PIECE_BYTES = 4_000_000
_FETCH_ROWS = 1_000
_LEAD = r"\s*(?:/\*.*?\*/\s*)*"
_TEMPORARY = re.compile(_LEAD + r"(?:CREATE|DROP)\s+TEMPORARY\s+TABLE\b", re.IGNORECASE | re.DOTALL)
_TEMPORARY_AS = re.compile(
    r"(?P<lead>" + _LEAD + r")CREATE\s+TEMPORARY\s+TABLE\s+(?P<name>`(?:[^`]|``)+`|\w+)"
    r"(?P<options>[^`'\"()]*?)\s+AS\s+(?P<query>(?:SELECT|\(|WITH)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_DROP = re.compile(_LEAD + r"DROP\s+TABLE\b", re.IGNORECASE | re.DOTALL)
_CHANGED_VALUES = frozenset({1260, 1264, 1265, 1292, 1300, 1301, 1366, 1411, 1918})
"""Warnings that a value of the result is not the one that was asked for."""


class MysqlSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    Args:
        connection: of PyMySQL, with its settings made.
        write: whether it may change the source.
        cancel: ends the running statement of a connection, by its number; from another connection.
    """

    def __init__(self, connection: Any, *, write: bool, cancel: Callable[[int], None]) -> None:
        self._connection = connection
        self._write = write
        self._cancel = cancel
        self._streaming = False
        self.denied = ""

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`.

        In a session that may not write, MariaDB makes no temporary table either. There it is made
        empty in a moment that may write, and filled in one that may not, so that no function in
        its query can write.
        """
        if self._write or not (_TEMPORARY.match(sql) or _DROP.match(sql)):
            return self._run(sql)
        copy = _TEMPORARY_AS.fullmatch(sql)
        if copy is None:
            made = _DROP.sub(lambda m: re.sub(r"DROP\s+TABLE", "DROP TEMPORARY TABLE", m[0]), sql)
            return self._in_writing(made)
        lead, name, options, query = copy.group("lead", "name", "options", "query")
        empty = f"SELECT * FROM ({query}) AS mf_empty LIMIT 0"
        self._in_writing(f"{lead}CREATE TEMPORARY TABLE {name}{options} AS {empty}")
        return self._run(f"{lead}INSERT INTO {name} {query}")

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        with self._result(sql) as result:
            columns = _columns(result)
            batches = list(_batches(result, columns))
            self._refuse_changed(result)
            empty = batch_of(columns, [])
            return pa.Table.from_batches(batches, schema=empty.schema).combine_chunks()

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`: pieces of at most `rows` rows and about 4 MB."""
        with self._result(sql) as result:
            columns = _columns(result)
            self._streaming = True
            try:
                yield from _pieces(_batches(result, columns, rows), rows)
                self._refuse_changed(result)
            finally:
                self._streaming = False
                if result.unbuffered_active:
                    self._leave(result)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: the rows go as the data of a LOAD DATA, which no log of statements
        keeps, and never as values in one.
        """
        self._in_writing(table_statement(name, rows.schema))
        with self._errors():
            send_rows(self._connection, load_statement(name, rows.schema), lines_of(rows))

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self._run("START TRANSACTION")

    def commit(self) -> None:
        """See `SqlSession.commit`. Without a transaction a no-op."""
        self._run("COMMIT")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        self._run("ROLLBACK")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query; no row of it is read."""
        with self._result(f"SELECT * FROM ({query}) AS mf_query LIMIT 0") as result:
            columns = tuple(_columns(result))
            list(_batches(result, columns))
            return columns

    def close(self) -> None:
        """Close; the server undoes what is open. Never raises."""
        with suppress(Exception):
            self._connection._force_close()

    def _in_writing(self, sql: str) -> int:
        if self._write:
            return self._run(sql)
        self._run("SET SESSION TRANSACTION READ WRITE")
        try:
            return self._run(sql)
        finally:
            self._run("SET SESSION TRANSACTION READ ONLY")

    def _run(self, sql: str) -> int:
        with self._result(sql) as result:
            if not result.unbuffered_active:
                return int(result.affected_rows)
            for _ in _batches(result, _columns(result)):
                pass
            return 0

    def _leave(self, result: Any) -> None:
        """End the statement at the server, and read what is on its way."""
        try:
            self._cancel(int(self._connection.thread_id()))
            with suppress(Exception):
                result._finish_unbuffered_query()
            # It may come too late for its statement: then it meets this one.
            with suppress(Exception):
                self._connection.query("DO 0")
        except Exception:
            self.close()

    def _refuse_changed(self, result: Any) -> None:
        """Where MariaDB made another value of one, and only warns."""
        if not result.warning_count:
            return
        self._connection.query("SHOW WARNINGS")
        if {int(row[1]) for row in self._connection._result.rows} & _CHANGED_VALUES:
            raise unfit() from None

    @contextmanager
    def _result(self, sql: str) -> Iterator[Any]:
        """A result that is read row by row, whose errors are ours. The server's texts carry values
        and statements.
        """
        if self._streaming:
            raise ContractError("session_busy", "A result of this session is still being read.")
        with self._errors():
            self._connection.query(sql, unbuffered=True)
            result = self._connection._result
            try:
                yield result
            finally:
                # The driver would read on when it forgets the result.
                result.unbuffered_active = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from pymysql import err

        try:
            yield
        except err.MySQLError as error:
            raise self._known(error) from None
        except pa.ArrowException:
            raise unfit() from None
        except RuntimeError:
            self.close()
            raise ContractError("query_failed", "The source asked for a file.") from None
        except (OSError, AttributeError, AssertionError, IndexError):
            raise lost() from None

    def _known(self, error: Exception) -> EngineError:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number in LOST:
            self.close()
        self.denied = str(error.args[1]) if len(error.args) > 1 else ""
        return from_number(number)


def _columns(result: Any) -> Sequence[ColumnInfo]:
    return [column_of(field) for field in result.fields]


def _batches(
    result: Any, columns: Sequence[ColumnInfo], rows: int = _FETCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Small ones: a row is as wide as it is."""
    read = iter(result._read_rowdata_packet_unbuffered, None)
    while found := list(islice(read, min(rows, _FETCH_ROWS))):
        yield batch_of(columns, found)


def _pieces(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Put together to pieces of so many rows, or of some size."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        count = sum(b.num_rows for b in held)
        if held and (count + batch.num_rows > rows or sum(b.nbytes for b in held) > PIECE_BYTES):
            yield _joined(held)
            held = []
        held.append(batch)
    if held:
        yield _joined(held)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
