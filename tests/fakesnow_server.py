"""An emulator of Snowflake's protocol and syntax, on a DuckDB: fakesnow, in its own environment.

It is a version behind the driver and lacks some functions. `_SERVE` begins it with what is missing:
modules of an older driver, fields of the answer to a login, errors under Snowflake's own numbers.
Nothing of it shows how Snowflake's own functions work.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mayfly.connectors.sources.snowflake import SnowflakeSource
from mayfly.connectors.sources.snowflake_connect import SnowflakeAccess

SECONDS = 60
_PYTHON = Path(sys.prefix) / "emulators" / "fakesnow" / "bin" / "python"
_SERVE = r"""
import json, re, sys, types
import duckdb
import snowflake.connector

for module, name in (("converter", "SnowflakeConverter"), ("file_util", "SnowflakeFileUtil")):
    made = types.ModuleType("snowflake.connector." + module)
    setattr(made, name, type(name, (), {}))
    sys.modules[made.__name__] = made
    setattr(snowflake.connector, module, made)

import fakesnow.server
import uvicorn
from fakesnow import cursor, transforms
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from starlette.responses import JSONResponse
from starlette.routing import Route

server = sys.modules["fakesnow.server"]
trim = transforms.trim_cast_varchar


MISSING = ("FUNCTIONS", "PROCEDURES", "SEQUENCES", "STAGES", "FILE_FORMATS", "PIPES")


def spelled(node):
    if isinstance(node, exp.Trim) and node.expression:
        return exp.Anonymous(this="trim", expressions=[node.this, node.expression])
    if isinstance(node, exp.Pad):
        given = [node.this, node.expression, node.args["fill_pattern"]]
        return exp.Anonymous(this="mf_lpad", expressions=given)
    if isinstance(node, exp.Extract) and node.name.upper() == "NANOSECOND":
        return exp.Anonymous(this="mf_nanoseconds", expressions=[node.expression])
    if isinstance(node, exp.ByteLength):
        return exp.Anonymous(this="mf_octets", expressions=[node.this])
    if isinstance(node, (exp.CurrentWarehouse, exp.CurrentRole)):
        return exp.Literal.string("mayfly")
    if isinstance(node, exp.Column) and node.name.upper() == "DATETIME_PRECISION":
        return exp.cast(exp.Literal.number(9), "BIGINT")
    if isinstance(node, exp.Table) and node.name.upper() in MISSING and not node.args.get("alias"):
        kind = node.name.lower()[:-1]
        return exp.select(exp.Null().as_(f"{kind}_schema")).where("FALSE").subquery("mf_none")
    if isinstance(node, exp.AlterRename):
        # The engine below renames within a schema only.
        node.set("this", exp.Table(this=node.this.this.copy()))
    return trim(node)


transforms.trim_cast_varchar = spelled
execute = cursor.FakeSnowflakeCursor.execute


def executed(self, *args, **kwargs):
    try:
        return execute(self, *args, **kwargs)
    except ProgrammingError as error:
        text = str(error)
        if re.search(r"Referenced column|does not have a column", text):
            raise ProgrammingError(msg=text, errno=904, sqlstate="42000") from None
        if "Function with name" in text:
            raise ProgrammingError(msg=text, errno=2140, sqlstate="42601") from None
        raise
    except duckdb.TransactionException as error:
        raise ProgrammingError(msg=str(error), errno=625, sqlstate="57014") from None
    except duckdb.Error as error:
        raise ProgrammingError(msg=str(error), errno=100038, sqlstate="22018") from None


cursor.FakeSnowflakeCursor.execute = executed
# It would look for a variable behind a dollar within a text, too.
cursor.FakeSnowflakeCursor._inline_variables = lambda self, sql: sql


bound = server.from_binding
server.from_binding = lambda given: None if given["value"] is None else bound(given)


async def login(request):
    answer = json.loads((await server.login_request(request)).body)
    token = answer["data"]["token"]
    server.sessions[token]._duck_conn.execute(
        "CREATE TEMPORARY MACRO IF NOT EXISTS mf_octets(x) AS "
        "CASE WHEN typeof(x) = 'BLOB' THEN octet_length(CAST(x AS BLOB)) "
        "ELSE strlen(CAST(x AS VARCHAR)) END; CREATE TEMPORARY MACRO IF NOT EXISTS "
        "mf_lpad(x, n, c) AS lpad(x, CAST(n AS INTEGER), c); "
        "CREATE TEMPORARY MACRO IF NOT EXISTS "
        "mf_nanoseconds(x) AS date_part('microsecond', x) % 1000000 * 1000"
    )
    answer["data"] |= {
        "masterToken": token, "validityInSeconds": 3600, "masterValidityInSeconds": 14400,
        "sessionId": 1,
    }
    return JSONResponse(answer)


path = "/session/v1/login-request"
routes = server.app.router.routes
routes[:] = [Route(path, login, methods=["POST"]), *(r for r in routes if r.path != path)]
uvicorn.run(server.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


class _NoKey:
    def reveal(self) -> str:
        """No test shows a key to the emulator."""
        raise AssertionError("the emulator was shown the key")


@dataclass(frozen=True)
class Fakesnow:
    """One that runs.

    Args:
        port: on loopback.
        process: its own.
    """

    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """As a source names it."""
        return f"http://127.0.0.1:{self.port}"

    def source(self, database: str = "", name: str = "shop") -> SnowflakeSource:
        """A source over a database, which is made where it is not there."""
        access = SnowflakeAccess(
            account="shop",
            user="mayfly",
            private_key=_NoKey,
            role="mayfly",
            warehouse="mayfly",
            database=database or f"t{uuid.uuid4().hex[:12]}",
            endpoint=self.endpoint,
        )
        return SnowflakeSource(name, access)


@contextmanager
def fakesnow_server() -> Iterator[Fakesnow]:
    """One that ends with the block."""
    if not _PYTHON.exists():
        pytest.skip("needs fakesnow (make engines)")
    with tempfile.TemporaryDirectory(prefix="mayfly-sf-") as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [str(_PYTHON), "-c", _SERVE, str(port)]
        log = Path(home) / "log"
        with (
            log.open("wb") as out,
            subprocess.Popen(command, stdout=out, stderr=out, env={"HOME": home}) as run,
        ):
            _wait(port, run, log)
            try:
                yield Fakesnow(port, run)
            finally:
                run.kill()


def _wait(port: int, run: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + SECONDS
    while True:
        assert run.poll() is None, log.read_text()
        assert time.monotonic() < ends, log.read_text()
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
