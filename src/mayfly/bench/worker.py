"""One measured run in a process of its own, so that its memory is its own: prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from mayfly.api import load
from mayfly.services.compile_sync import CompiledSync


class _Timed:
    """A plan store whose calls are timed."""

    def __init__(self, store: Any, seconds: dict[str, float]) -> None:
        self._store = store
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._seconds[name] += time.perf_counter() - started

        return timed


def measure(folder: Path, sync: str) -> dict[str, Any]:
    """Run one sync; seconds per stage, rows and peak memory."""
    project = load(folder)
    seconds: dict[str, float] = defaultdict(float)
    original = project.app.plan_store

    def timed(compiled: CompiledSync) -> Any:
        return _Timed(original(compiled), seconds)

    vars(project.app)["plan_store"] = timed
    started, cpu = time.perf_counter(), time.process_time()
    result = project.run(sync).to_dict()["syncs"][0]
    total = time.perf_counter() - started
    scale = 1 if sys.platform == "darwin" else 1024
    return {
        "status": result["status"],
        "rows": result["rows"]["delivered"] + result["rows"]["removed"],
        "seconds": total,
        "cpu_seconds": time.process_time() - cpu,
        "stages": dict(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
