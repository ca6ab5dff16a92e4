"""A real Spark Connect of the Spark that `make engines` installs, one for all test processes."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mayfly.connectors.sources.spark import SparkSource
from mayfly.connectors.sources.spark_connect import SparkAccess
from spark_serve import TOKEN

_SCRIPT = Path(__file__).parent / "spark_serve.py"


class Token:
    """A token as a source is given it."""

    def __init__(self, text: str = TOKEN) -> None:
        self._text = text

    def reveal(self) -> str:
        """The token."""
        return self._text


class SparkServer:
    """One that runs, seen from its owner and from a source.

    Args:
        folder: where it keeps tables and logs.
        control: open socket of its owner's questions.
    """

    def __init__(self, folder: Path, control: socket.socket) -> None:
        self.folder = folder
        self._control = control.makefile("rwb")
        self.port = int((folder / "port").read_text())

    @property
    def remote(self) -> str:
        """As a source names it."""
        return f"sc://127.0.0.1:{self.port}"

    def ask(self, name: str, *given: object) -> Any:
        """One method of the server's owner."""
        self._control.write(json.dumps([name, *given]).encode() + b"\n")
        self._control.flush()
        answer, *error = json.loads(self._control.readline())
        assert not error, error
        return answer

    def sql(self, *statements: str) -> list[dict[str, Any]]:
        """Run statements in turn; the rows of the last."""
        found: list[dict[str, Any]] = []
        for statement in statements:
            found = self.ask("sql", statement)
        return found

    def schema(self) -> str:
        """A new schema without tables."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE SCHEMA {name}")
        return name

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Within it sessions begin with settings that suit small things."""
        self.ask("hurry", True)
        try:
            yield
        finally:
            self.ask("hurry", False)

    def source(self, schema: str = "default", **more: Any) -> SparkSource:
        """A source over a schema, whose user is that schema's name."""
        given = {"remote": self.remote, "token": Token, "user": schema, "patience_seconds": 1.0}
        return SparkSource("lake", SparkAccess(**{**given, "schema": schema, **more}))


def _folder(*, alone: bool) -> Path:
    """The same for every process of one run of the tests."""
    shared = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"of-{os.getpid()}"
    run = uuid.uuid4().hex if alone else shared
    return Path(tempfile.gettempdir()) / f"mayfly-spark-{os.getuid()}-{run}"


def _connected(folder: Path) -> socket.socket:
    """To the one that runs; it is started where there is none."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        control = socket.socket(socket.AF_UNIX)
        if control.connect_ex(str(folder / "control")) == 0:
            return control
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, str(_SCRIPT), str(folder)], env=environment, check=False
        )
        assert done.returncode == 0, (folder / "log").read_text()[-4000:]
        control.connect(str(folder / "control"))
        return control


@contextmanager
def spark_server(*, alone: bool = False) -> Iterator[SparkServer]:
    """One that is there while any test process holds it.

    Args:
        alone: of this block.
    """
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("needs Spark (make engines) and Java (apt-get install default-jre-headless)")
    folder = _folder(alone=alone)
    with _connected(folder) as control:
        yield SparkServer(folder, control)
