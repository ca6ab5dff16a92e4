"""A ClickHouse in a process of its own: it brings a runtime that ours should not share."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

_SERVE = """
import json, sys
from chdb import session
s = session.Session()
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = [json.loads(r) for r in s.query(asked, "JSONEachRow").bytes().splitlines()]
    except Exception as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"""


class ClickHouse:
    """Answers queries with rows as objects."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query, none of a statement."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, list), answer
        return answer

    def table(self, values: Sequence[str | None]) -> None:
        """Table `t` with texts and their places."""
        self.query("DROP TABLE IF EXISTS t")
        self.query("CREATE TABLE t (n UInt32, v Nullable(String)) ENGINE = Memory")
        rows = "\n".join(json.dumps({"n": n, "v": v}) for n, v in enumerate(values))
        self.query(f"INSERT INTO t FORMAT JSONEachRow {rows}")


@contextmanager
def clickhouse_process() -> Iterator[ClickHouse]:
    """One that ends with the block."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("needs ClickHouse (make engines)")
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield ClickHouse(process)
        assert process.stdin is not None
        process.stdin.close()
