"""One measured run in a process of its own, so that its memory is its own: prints JSON."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mayfly.adapters.processes import peak_memory_bytes
from mayfly.api import load
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.connectors.sources.postgres_session import PostgresSession
from mayfly.services.compiled_sync import CompiledSync

T = TypeVar("T")
_LOADED = re.compile("mf_(load_|codes)")


class _Clock:
    """Times the calls of plan stores, and notes the statements of their sessions by call.

    Calls of several threads may overlap: each of them counts whole.

    Attributes:
        seconds: of each call's name.
        statements: of the source, with the call; one that names what was loaded is left out.
        spans: when the last call of a name began and ended.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.statements: list[tuple[str, str]] = []
        self.spans: dict[str, tuple[float, float]] = {}
        self._call = threading.local()

    def timed(self, name: str, call: Callable[..., T]) -> Callable[..., T]:
        """The call, timed."""

        def timed(*args: Any, **kwargs: Any) -> T:
            self._call.name = name
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                ended = time.perf_counter()
                self._call.name = None
                self.seconds[name] += ended - started
                self.spans[name] = (started, ended)

        return timed

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Notes statements meanwhile."""
        kept = [
            (kind, name, getattr(kind, name))
            for kind in (DuckdbSession, PostgresSession)
            for name in ("execute", "table")
        ]
        for kind, name, method in kept:
            setattr(kind, name, self._noted(method))
        try:
            yield
        finally:
            for kind, name, method in kept:
                setattr(kind, name, method)

    def _noted(self, method: Callable[[Any, str], T]) -> Callable[..., T]:
        def execute(session: Any, sql: str) -> T:
            call = getattr(self._call, "name", None)
            if call is not None and not _LOADED.search(sql):
                self.statements.append((call, sql))
            return method(session, sql)

        return execute


class _Timed:
    """A plan store whose calls a clock times."""

    def __init__(self, store: Any, clock: _Clock) -> None:
        self._store = store
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return self._clock.timed(name, getattr(self._store, name))


def measure(folder: Path, sync: str) -> dict[str, Any]:
    """Run one sync; seconds per stage, rows, peak memory, and the store's statements.

    `delivery_seconds` are those between the plan and its close.
    """
    project = load(folder)
    clock = _Clock()
    original = project.app.plan_store

    def timed(compiled: CompiledSync) -> Any:
        return _Timed(original(compiled), clock)

    vars(project.app)["plan_store"] = timed
    started, cpu = time.perf_counter(), time.process_time()
    with clock.noting():
        result = project.run(sync).to_dict()["syncs"][0]
    total = time.perf_counter() - started
    return {
        "status": result["status"],
        "rows": result["rows"]["delivered"] + result["rows"]["removed"],
        "seconds": total,
        "cpu_seconds": time.process_time() - cpu,
        "delivery_seconds": clock.spans["close"][0] - clock.spans["create"][1],
        "stages": dict(clock.seconds),
        "peak_bytes": peak_memory_bytes(),
        "statements": clock.statements,
    }


def print_measured(folder: Path, sync: str) -> None:
    """As one JSON document."""
    sys.stdout.write(json.dumps(measure(folder, sync)))
