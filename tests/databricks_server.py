"""A stand-in for a SQL warehouse of Databricks on loopback: the protocol of its connector (Thrift
over HTTP, with the connector's own message types) and of files in a volume, over a DuckDB.

It shows what the connector does with our settings and statements. Nothing of it shows how
Databricks works: its statements are translated.
"""

from __future__ import annotations

import io
import json
import re
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot.errors import SqlglotError

from mayfly.connectors.sources.databricks import DatabricksSource
from mayfly.connectors.sources.databricks_connect import DatabricksAccess
from translated import MACROS, translation

VOLUME = "shop.mayfly.loads"
_VERSION = f"python{sysconfig.get_python_version()}"
_SITE = Path(sys.prefix) / "emulators" / "databricks" / "lib" / _VERSION / "site-packages"
_FILE = re.compile(r"parquet\.`(/Volumes/[^`]+)`")
_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp_ntz",
}
_STATES = (
    (r"already exists", "42P07"),
    (r"Table with name", "42P01"),
    (r"Referenced column|does not have a column", "42703"),
    (r"Function with name|No function matches", "42883"),
    (r"Could not convert|Conversion Error", "22018"),
)


class _NoToken:
    def reveal(self) -> str:
        """No test shows a token to the stand-in."""
        raise AssertionError("the stand-in was shown the token")


def type_name(kind: pa.DataType) -> str:
    """As DESCRIBE QUERY names a type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.tz:
        return "timestamp"
    return _TYPES.get(kind, "struct<x:int>" if pa.types.is_nested(kind) else "string")


@dataclass
class Stage:
    """Files of the volume, by path, with their time in milliseconds. A `status` other than 0 is all
    that is answered.
    """

    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """One request of the Files API."""
        self.asked.append((method, path))
        if self.status:
            return self.status, b"{}"
        kind, _, name = path.removeprefix("/api/2.0/fs/").partition("/")
        name = "/" + name.partition("?")[0]
        if method == "PUT":
            self.files[name] = (body, time.time_ns() // 1_000_000)
            return 204, b""
        if method == "DELETE":
            return (204, b"") if self.files.pop(name, None) else (404, b"{}")
        assert kind == "directories", path
        found = [(n, at) for n, (_, at) in self.files.items() if n.startswith(name + "/")]
        if not found:
            return 404, b"{}"
        listed = ", ".join(f'{{"path": "{n}", "last_modified": {at}}}' for n, at in found)
        return 200, f'{{"contents": [{listed}]}}'.encode()


class Warehouse:
    """Handles the connector's messages; each session is a connection of its own."""

    def __init__(self, path: Path, stage: Stage) -> None:
        from databricks.sql.thrift_api.TCLIService import ttypes

        self._t = ttypes
        self._path = path
        self._stage = stage
        self._base = duckdb.connect(str(path))
        self._sessions: dict[bytes, duckdb.DuckDBPyConnection] = {}
        self.results: dict[bytes, tuple[pa.RecordBatchReader, list[pa.RecordBatch], int]] = {}
        self.said: list[str] = []
        self.settings: list[dict[str, str]] = []

    def close(self) -> None:
        """End it."""
        self._base.close()

    def cut(self) -> None:
        """End every session, as an administrator or a timeout does."""
        self._sessions.clear()
        self.results.clear()

    def as_owner(self, statement: str) -> None:
        """Run a statement of the tables' owner."""
        self._base.cursor().execute(statement)

    # -- messages -------------------------------------------------------------------------------

    def OpenSession(self, req: Any) -> Any:  # noqa: N802
        """A new connection."""
        t, key = self._t, uuid.uuid4().bytes
        self.settings.append(dict(req.configuration))
        connection = self._base.cursor()
        for macro in MACROS:
            connection.execute(f"CREATE OR REPLACE TEMPORARY MACRO {macro}")
        self._sessions[key] = connection
        return t.TOpenSessionResp(
            status=self._ok(),
            serverProtocolVersion=t.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=t.TSessionHandle(sessionId=t.THandleIdentifier(guid=key, secret=key)),
            initialNamespace=req.initialNamespace,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, req: Any) -> Any:  # noqa: N802
        """Its temporary tables go with it."""
        connection = self._sessions.pop(req.sessionHandle.sessionId.guid, None)
        if connection is not None:
            connection.close()
        return self._t.TCloseSessionResp(status=self._ok())

    def ExecuteStatement(self, req: Any) -> Any:  # noqa: N802
        """Answers with the operation alone: rows are asked for by the next message."""
        t = self._t
        connection = self._sessions.get(req.sessionHandle.sessionId.guid)
        assert not req.parameters
        if connection is None:
            return t.TExecuteStatementResp(status=self._gone())
        self.said.append(req.statement)
        key, state, said = uuid.uuid4().bytes, t.TOperationState.FINISHED_STATE, None
        try:
            reader = self._run(connection, req.statement)
            self.results[key] = (reader, [], 0)
        except (duckdb.Error, SqlglotError, AssertionError) as error:
            state, said = t.TOperationState.ERROR_STATE, _told(error)
        return t.TExecuteStatementResp(
            status=self._ok(),
            operationHandle=t.TOperationHandle(
                operationId=t.THandleIdentifier(guid=key, secret=key),
                operationType=t.TOperationType.EXECUTE_STATEMENT,
                hasResultSet=True,
            ),
            directResults=t.TSparkDirectResults(
                operationStatus=t.TGetOperationStatusResp(
                    status=self._ok(), operationState=state, displayMessage=said
                ),
                resultSetMetadata=None if said else self._metadata(key),
            ),
        )

    def FetchResults(self, req: Any) -> Any:  # noqa: N802
        """The next rows, as one batch of Arrow."""
        t, key = self._t, req.operationHandle.operationId.guid
        if key not in self.results:
            return t.TFetchResultsResp(status=self._gone())
        reader, held, start = self.results[key]
        batch = held.pop() if held else next(reader, None)
        following = next(reader, None) if batch is not None else None
        if following is not None:
            held.append(following)
        count = 0 if batch is None else batch.num_rows
        self.results[key] = (reader, held, start + count)
        sent = [] if batch is None else [t.TSparkArrowBatch(batch=_bytes(batch), rowCount=count)]
        return t.TFetchResultsResp(
            status=self._ok(),
            hasMoreRows=following is not None,
            results=t.TRowSet(startRowOffset=start, rows=[], arrowBatches=sent),
            resultSetMetadata=self._metadata(key),
        )

    def CloseOperation(self, req: Any) -> Any:  # noqa: N802
        """Nobody waits for it any more."""
        self.results.pop(req.operationHandle.operationId.guid, None)
        return self._t.TCloseOperationResp(status=self._ok())

    def CancelOperation(self, req: Any) -> Any:  # noqa: N802
        """As closing."""
        self.results.pop(req.operationHandle.operationId.guid, None)
        return self._t.TCancelOperationResp(status=self._ok())

    # -- statements -----------------------------------------------------------------------------

    def _run(self, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
        if sql.startswith("DESCRIBE QUERY "):
            return self._described(connection, sql.removeprefix("DESCRIBE QUERY "))
        if sql.startswith("DESCRIBE TABLE EXTENDED "):
            return self._table(connection, sql)
        for path in _FILE.findall(sql):
            content = self._stage.files[path][0]
            connection.register(Path(path).stem, pq.read_table(io.BytesIO(content)))
        sql = _FILE.sub(lambda found: f"`{Path(found.group(1)).stem}`", sql)
        if "full_data_type" in sql:
            return self._columns(connection)
        made = translation(sql, "databricks")
        if not made.upper().startswith(("SELECT", "WITH", "/*", "(")):
            told = connection.execute(made).fetchall()
            count = told[0][0] if told and made.startswith(("INSERT", "UPDATE", "MERGE")) else 0
            return pa.table({"num_affected_rows": pa.array([count], pa.int64())}).to_reader()
        return connection.sql(made).to_arrow_reader(10_000)

    def _described(self, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
        schema = connection.sql(translation(sql, "databricks")).limit(0).to_arrow_table().schema
        rows = [{"col_name": f.name, "data_type": type_name(f.type)} for f in schema]
        kinds = pa.schema([("col_name", pa.string()), ("data_type", pa.string())])
        return pa.Table.from_pylist(rows, schema=kinds).to_reader()

    def _table(self, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
        """What Databricks' documentation says of the answer for a view."""
        named = re.findall(r"`([^`]+)`", sql)[-1]
        [found] = connection.execute(
            "SELECT (SELECT v.sql FROM duckdb_views() v WHERE v.view_name = i.table_name), "
            "(SELECT list(c.column_name ORDER BY c.ordinal_position) FROM "
            "information_schema.columns c WHERE c.table_name = i.table_name) "
            "FROM information_schema.tables i WHERE i.table_name = ?",
            [named],
        ).fetchall() or [(None, None)]
        if found[1] is None:
            raise duckdb.CatalogException(f"Table with name {named} does not exist")
        told: dict[str, object] = {"type": "MANAGED" if found[0] is None else "VIEW"}
        told["columns"] = [{"name": name} for name in found[1]]
        if found[0] is not None:
            told["view_text"] = found[0].partition(" AS ")[2].replace('"', "`").rstrip(";")
            told["view_catalog_and_namespace"] = "shop.main"
            told["view_query_output_columns"] = found[1]
        return pa.table({"json_metadata": [json.dumps(told)]}).to_reader()

    def _columns(self, connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
        return connection.sql(
            "SELECT table_schema AS s, table_name AS t, column_name AS c, "
            "CASE data_type WHEN 'BIGINT' THEN 'bigint' ELSE 'string' END AS k "
            "FROM information_schema.columns WHERE table_schema = 'main' "
            "AND table_name NOT LIKE 'mf_%' ORDER BY 1, 2, ordinal_position"
        ).to_arrow_reader()

    def _metadata(self, key: bytes) -> Any:
        t, schema = self._t, self.results[key][0].schema
        kinds = t.TTypeId
        columns = [
            t.TColumnDesc(
                columnName=f.name,
                typeDesc=t.TTypeDesc(
                    types=[t.TTypeEntry(primitiveEntry=t.TPrimitiveTypeEntry(kinds.STRING_TYPE))]
                ),
                position=i + 1,
            )
            for i, f in enumerate(schema)
        ]
        return t.TGetResultSetMetadataResp(
            status=self._ok(),
            schema=t.TTableSchema(columns=columns),
            resultFormat=t.TSparkRowSetType.ARROW_BASED_SET,
            lz4Compressed=False,
            arrowSchema=schema.serialize().to_pybytes(),
        )

    def _ok(self) -> Any:
        return self._t.TStatus(statusCode=self._t.TStatusCode.SUCCESS_STATUS)

    def _gone(self) -> Any:
        return self._t.TStatus(
            statusCode=self._t.TStatusCode.INVALID_HANDLE_STATUS, errorMessage="no such handle"
        )


def _told(error: Exception) -> str:
    """As the server tells of it: with a state, and with what the statement holds."""
    text = str(error)
    states = (state for pattern, state in _STATES if re.search(pattern, text))
    state = next(states, "42601" if not isinstance(error, duckdb.Error) else "XX000")
    if isinstance(error, duckdb.ParserException):
        state = "42601"
    return f"[SOME_CONDITION] {text} SQLSTATE: {state}"


def _bytes(batch: pa.RecordBatch) -> bytes:
    return bytes(batch.serialize().to_pybytes())


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer go together, or each waits for the other's receipt.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Any

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing is told."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self) -> None:
        self._send(*self.server.stage.answer(self.command, self.path, self._body()))

    do_GET = do_PUT = do_DELETE = _file  # noqa: N815

    def do_POST(self) -> None:
        """A message of the connector."""
        from thrift.protocol.TBinaryProtocol import TBinaryProtocol
        from thrift.transport.TTransport import TMemoryBuffer

        given, made = TMemoryBuffer(self._body()), TMemoryBuffer()
        if self.server.status:
            self._send(self.server.status, b"")
            return
        self.server.processor.process(TBinaryProtocol(given), TBinaryProtocol(made))
        self._send(200, made.getvalue())


@dataclass
class Databricks:
    """A stand-in that runs.

    Args:
        server: on loopback.
        warehouse, stage: behind it.
    """

    server: Any
    warehouse: Warehouse
    stage: Stage

    @property
    def endpoint(self) -> str:
        """As a source names it."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def source(self, name: str = "shop") -> DatabricksSource:
        """A source over it, which gives up at once."""
        access = DatabricksAccess(
            host="shop.cloud.databricks.com",
            http_path="/sql/1.0/warehouses/0123456789abcdef",
            token=_NoToken,
            catalog="shop",
            schema="main",
            volume=VOLUME,
            endpoint=self.endpoint,
            more=(
                ("_retry_stop_after_attempts_count", 1),
                ("_retry_delay_min", 0.1),
                ("_socket_timeout", 20),
            ),
        )
        return DatabricksSource(name, access)


def require_connector() -> None:
    """Make the connector importable: what it needs (pandas, numpy) is in no other environment."""
    if not _SITE.is_dir():
        pytest.skip("needs Databricks' connector (make engines)")
    if str(_SITE) not in sys.path:
        sys.path.append(str(_SITE))


@contextmanager
def databricks_server(path: Path) -> Iterator[Databricks]:
    """One over a DuckDB file; it ends with the block."""
    require_connector()
    from databricks.sql.thrift_api.TCLIService import TCLIService

    stage = Stage()
    warehouse = Warehouse(path, stage)
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Requests)
    server.daemon_threads = True
    server.stage, server.status = stage, 0
    server.processor = TCLIService.Processor(warehouse)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Databricks(server, warehouse, stage)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        warehouse.close()
