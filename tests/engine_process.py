"""An engine in a process of its own: it brings a runtime that ours should not share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class EngineProcess:
    """Answers queries with rows as objects: one line of JSON in, one out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, value: object) -> None:
        """One line in."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query, none of a statement."""
        self.tell(sql)
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, list), answer
        return answer


@contextmanager
def engine_process(program: str, *words: str) -> Iterator[EngineProcess]:
    """Runs a program of Python; it ends with the block."""
    arguments: Sequence[str] = [sys.executable, "-c", program, *words]
    with subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
    ) as process:
        yield EngineProcess(process)
        assert process.stdin is not None
        process.stdin.close()
