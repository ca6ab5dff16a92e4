"""A ClickHouse, from a wheel."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from engine_process import EngineProcess, engine_process

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


@contextmanager
def clickhouse_process(values: Sequence[str | None]) -> Iterator[EngineProcess]:
    """One with table `t` of texts and their places; ends with the block."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("needs ClickHouse (make engines)")
    with engine_process(_SERVE) as made:
        made.query("CREATE TABLE t (n UInt32, v Nullable(String)) ENGINE = Memory")
        rows = "\n".join(json.dumps({"n": n, "v": v}) for n, v in enumerate(values))
        made.query(f"INSERT INTO t FORMAT JSONEachRow {rows}")
        yield made
