"""Google's own analyzer of BigQuery's language, which knows what BigQuery would not take: the
emulator reads more, and computes by another engine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_PYTHON = Path(sys.prefix) / "emulators" / "googlesql" / "bin" / "python"
_SERVE = Path(__file__).parent / "googlesql_serve.py"
_ENDS = ("BEGIN", "COMMIT", "ROLLBACK", "CALL")


class GoogleSql:
    """One that runs.

    Args:
        process: its own.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rows(self, sql: str) -> list[list[Any]]:
        """Rows of a query over nothing, blobs as hex."""
        return list(self._ask(do="rows", sql=sql))

    def table(self, session: str, path: list[str], columns: dict[str, str]) -> None:
        """Tell of a table that is there: a lasting one where no session is named."""
        self._ask(do="table", session=session, path=path, columns=columns)

    def problem(self, session: str, sql: str) -> str | None:
        """Why a statement would be refused. Of catalogs and transactions it knows nothing."""
        if "INFORMATION_SCHEMA" in sql or sql.startswith(_ENDS):
            return None
        found = self._ask(do="check", session=session, sql=sql)
        return None if found is None else str(found["error"])

    def problems_of_jobs(self, requests: Iterable[bytes]) -> list[tuple[str, str]]:
        """Statements among requests to BigQuery that would be refused, and why; what load jobs make
        is known to those that follow.
        """
        found = []
        for request in requests:
            job = _configuration(request)
            if "load" in job:
                fields = job["load"]["schema"]["fields"]
                columns = {field["name"]: field["type"] for field in fields}
                self.table(
                    _session(job["load"]), [job["load"]["destinationTable"]["tableId"]], columns
                )
            elif "query" in job:
                why = self.problem(_session(job["query"]), job["query"]["query"])
                found += [(job["query"]["query"], why)] if why else []
        return found

    def _ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _configuration(request: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(request)["configuration"])
    except (ValueError, KeyError, TypeError):
        return {}


def _session(job: dict[str, Any]) -> str:
    properties = {p["key"]: p["value"] for p in job.get("connectionProperties", [])}
    return str(properties.get("session_id", ""))


@contextmanager
def googlesql() -> Iterator[GoogleSql]:
    """One that ends with the block. It takes half a minute to begin."""
    if not _PYTHON.exists():
        pytest.skip("needs the analyzer of GoogleSQL (make engines)")
    with subprocess.Popen(
        [str(_PYTHON), str(_SERVE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield GoogleSql(process)
        finally:
            process.kill()
