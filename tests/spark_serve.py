"""A Spark Connect server for all test processes of a machine; `spark_connect` starts it.

It goes into the background once it answers, is asked through a socket in its folder (one line of
JSON in, one out), and ends when nobody holds that socket open any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

TOKEN = "t0ken"
ALONE_SECONDS = 3.0
_ENDED = ("Finished", "Failed", "Canceled", "Closed")
HOSTILE = {
    "spark.sql.session.timeZone": "Asia/Kathmandu",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.parser.quotedRegexColumnNames": "true",
    "spark.sql.legacy.castComplexTypesToString.enabled": "true",
    "spark.sql.jsonGenerator.ignoreNullFields": "true",
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "7",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.groupByOrdinal": "false",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
}
"""What somebody may have set for every session of the server."""
QUICK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}


class Server:
    """The JVM, seen from its owner.

    Args:
        folder: for tables, logs and the socket.
        port: of Spark Connect.
    """

    def __init__(self, folder: Path, port: int) -> None:
        from pyspark.sql import SparkSession

        # A server that is killed leaves what it has in its own folder.
        (folder / "tmp").mkdir()
        places = {
            "java.io.tmpdir": "tmp",
            "derby.system.home": "derby",
            "derby.stream.error.file": "derby.log",
        }
        options = " ".join(f"-D{name}={folder / place}" for name, place in places.items())
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.driver.maxResultSize": "512m",
            "spark.driver.extraJavaOptions": f"{options} -XX:TieredStopAtLevel=1",
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(port),
            "spark.connect.authenticate.token": TOKEN,
            # A long answer is ended, and asked for again, all the time.
            "spark.connect.execute.reattachable.senderMaxStreamSize": "1m",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.timeType.enabled": "true",
            "spark.sql.warehouse.dir": str(folder / "tables"),
            "spark.sql.catalog.side": (
                "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog"
            ),
            "spark.sql.catalog.side.url": "jdbc:derby:memory:side;create=true",
            "spark.sql.catalog.side.driver": "org.apache.derby.jdbc.EmbeddedDriver",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.compress": "false",
            "spark.eventLog.dir": str(folder / "events"),
            "spark.local.dir": str(folder / "local"),
        }
        (folder / "events").mkdir()
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        self._spark = builder.getOrCreate()
        self._spark.sparkContext.setLogLevel("WARN")
        self._defaults = self._spark._jsparkSession.sharedState().conf()
        java = self._spark._jvm.java.lang
        service = java.Class.forName("org.apache.spark.sql.connect.service.SparkConnectService$")
        self.pid = int(java.ProcessHandle.current().pid())
        self._connect = service.getField("MODULE$").get(None)

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a statement, as the owner runs it."""
        return [row.asDict() for row in self._spark.sql(statement).collect()]

    def settings(self, hostile: bool) -> None:
        """Of sessions that begin from now on."""
        self._set(HOSTILE, there=hostile)

    def hurry(self, quick: bool) -> None:
        """Whether sessions that begin from now on work out small things sooner than large ones."""
        self._set(QUICK, there=quick)

    def _set(self, settings: dict[str, str], *, there: bool) -> None:
        for key, value in settings.items():
            if there:
                self._defaults.set(key, value)
            else:
                self._defaults.remove(key)

    def running(self, user: str) -> int:
        """Statements of a user that the server works on."""
        found = 0
        executions = self._connect.executionManager().listExecuteHolders()
        for n in range(executions.size()):
            holder = executions.apply(n)
            ended = holder.eventsManager().status().toString() in _ENDED
            found += holder.sessionHolder().userId() == user and not ended
        return found

    def cut(self, user: str, session: str) -> None:
        """End a session, as an administrator does."""
        key = self._spark._jvm.org.apache.spark.sql.connect.service.SessionKey(user, session)
        self._connect.sessionManager().closeSession(key, False)

    def kill(self) -> None:
        """Gone without a word."""
        os.kill(self.pid, signal.SIGKILL)

    def kept(self) -> int:
        """How many relations Spark keeps rows of, once nobody refers to what nobody needs."""
        self._spark._jvm.java.lang.System.gc()
        return len(list(self._spark.sparkContext._jsc.sc().getRDDStorageInfo()))


class _Handler(socketserver.StreamRequestHandler):
    """One client."""

    def handle(self) -> None:
        """Each line is the name of a method and what it is given."""
        server: Any = self.server
        server.come()
        try:
            for line in self.rfile:
                name, *given = json.loads(line)
                try:
                    answer = [getattr(server.spark, name)(*given)]
                except Exception as error:
                    answer = [None, str(error)[:2000]]
                self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")
        except OSError:
            pass
        finally:
            server.gone()


class _Listening(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, spark: Server) -> None:
        super().__init__(str(path), _Handler)
        self.spark = spark
        self._clients = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._wait()

    def come(self) -> None:
        """A client has come."""
        with self._lock:
            self._clients += 1
            if self._timer is not None:
                self._timer.cancel()

    def gone(self) -> None:
        """A client has gone."""
        with self._lock:
            self._clients -= 1
            if not self._clients:
                self._wait()

    def _wait(self) -> None:
        self._timer = threading.Timer(ALONE_SECONDS, self.shutdown)
        self._timer.daemon = True
        self._timer.start()


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _serve(folder: Path, ready: int) -> None:
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(given, standard)
    port = _free_port()
    spark = Server(folder, port)
    try:
        with _Listening(folder / "control", spark) as server:
            (folder / "port").write_text(str(port))
            os.write(ready, b"1")
            os.close(ready)
            server.serve_forever(poll_interval=0.2)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(spark.pid, signal.SIGKILL)
        lock = folder.with_suffix(".lock")
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def main(folder: Path) -> None:
    """Serve in the background, and return once it is served."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        sys.exit(0 if os.read(reading, 1) else 1)
    os.setsid()
    os.close(reading)
    _serve(folder, writing)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
