"""A MariaDB of the system, on a socket of its own and a port of the loopback."""

from __future__ import annotations

import os
import shutil
import socket as socket_module
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

SECONDS = 60


class MariaDB:
    """Statements through the server's own client, so that no driver of ours takes part."""

    def __init__(self, socket: Path, port: int) -> None:
        self.socket, self.port = socket, port
        self._client = [
            "mariadb", "--no-defaults", f"--socket={socket}", "--default-character-set=utf8mb4",
            "--batch", "--skip-column-names", "--raw",
        ]  # fmt: skip

    def query(self, sql: str, database: str = "mysql") -> list[list[str]]:
        """Rows of texts; what is null is the text NULL."""
        done = subprocess.run(
            [*self._client, database], input=sql.encode(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def dsn(self, database: str, user: str = "root", *, tcp: bool = False) -> str:
        """As a source takes it; passwords of those made here are `secret`, root has none."""
        who = "root" if user == "root" else f"{quote(user, safe='')}:secret"
        if tcp:
            return f"mysql://{who}@127.0.0.1:{self.port}/{database}"
        return f"mysql://{who}@localhost/{database}?socket={self.socket}"

    def answers(self) -> bool:
        """Whether the server is up."""
        command = [*self._client, "-e", "SELECT 1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def table(self, database: str, collation: str, values: Sequence[str | None]) -> None:
        """A database whose texts have a collation, with table `t` of texts and their places."""
        rows = ", ".join(
            f"({n}, {'NULL' if v is None else _text(v)})" for n, v in enumerate(values)
        )
        self.query(
            f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE {collation}; "
            f"USE {database}; CREATE TABLE t (n int, v longtext); INSERT INTO t VALUES {rows};"
        )


def _text(value: str) -> str:
    return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"


def _free_port() -> int:
    with socket_module.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


FOLDERS = "mayfly-my-"
"""How the folders of such servers begin, which may lie in shared memory."""


def _memory() -> str | None:
    """Where there is one: there tables are made and dropped a hundred times as fast."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def mariadb_server(*options: str) -> Iterator[MariaDB]:
    """One that ends with the block; options come after those it has."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if program is None:
        pytest.skip("needs the system's MariaDB (apt-get install mariadb-server)")
    user = ["--user=root"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(
        prefix=FOLDERS, dir=_memory(), ignore_cleanup_errors=True
    ) as name:
        data, socket = Path(name) / "data", Path(name) / "s"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal", *user],
            check=True, capture_output=True,
        )  # fmt: skip
        command = [program, "--no-defaults", f"--datadir={data}", f"--socket={socket}", *user]
        port = _free_port()
        command += ["--bind-address=127.0.0.1", f"--port={port}", "--max-allowed-packet=64M"]
        # Nothing here outlives the server.
        command += ["--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"]
        command += ["--innodb-flush-method=nosync"]
        command += options
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            server = MariaDB(socket, port)
            ends = time.monotonic() + SECONDS
            while not server.answers():
                assert run.poll() is None
                assert time.monotonic() < ends
            try:
                yield server
            finally:
                run.terminate()
