"""One measured run in a process of its own, so that its memory is its own: prints JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mayfly.adapters.processes import peak_memory_bytes
from mayfly.api import load
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.services.compiled_sync import CompiledSync

T = TypeVar("T")
_LOADED = re.compile("mf_(load_|codes)")


class _Timed:
    """A plan store whose calls are timed, and whose statements are noted by call.

    Statements are those of a DuckDB source; one that names what was loaded is left out.
    """

    def __init__(
        self, store: Any, seconds: dict[str, float], statements: list[tuple[str, str]]
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._statements = statements

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with _noted(name, self._statements):
                started = time.perf_counter()
                try:
                    return call(*args, **kwargs)
                finally:
                    self._seconds[name] += time.perf_counter() - started

        return timed


@contextmanager
def _noted(call: str, statements: list[tuple[str, str]]) -> Iterator[None]:
    """Notes the statements of DuckDB sessions meanwhile, but those that read batches."""

    def noting(method: Callable[[DuckdbSession, str], T]) -> Callable[[DuckdbSession, str], T]:
        def execute(session: DuckdbSession, sql: str) -> T:
            if call != "read" and not _LOADED.search(sql):
                statements.append((call, sql))
            return method(session, sql)

        return execute

    kept = {name: getattr(DuckdbSession, name) for name in ("execute", "table")}
    for name, method in kept.items():
        setattr(DuckdbSession, name, noting(method))
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(DuckdbSession, name, method)


def measure(folder: Path, sync: str) -> dict[str, Any]:
    """Run one sync; seconds per stage, rows, peak memory, and the store's statements."""
    project = load(folder)
    seconds: dict[str, float] = defaultdict(float)
    statements: list[tuple[str, str]] = []
    original = project.app.plan_store

    def timed(compiled: CompiledSync) -> Any:
        return _Timed(original(compiled), seconds, statements)

    vars(project.app)["plan_store"] = timed
    started, cpu = time.perf_counter(), time.process_time()
    result = project.run(sync).to_dict()["syncs"][0]
    total = time.perf_counter() - started
    return {
        "status": result["status"],
        "rows": result["rows"]["delivered"] + result["rows"]["removed"],
        "seconds": total,
        "cpu_seconds": time.process_time() - cpu,
        "stages": dict(seconds),
        "peak_bytes": peak_memory_bytes(),
        "statements": statements,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
