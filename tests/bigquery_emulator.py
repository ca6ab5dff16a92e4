"""The BigQuery emulator of the tests, on loopback."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = "demo-project"
SECONDS = 30.0
_ROOT = Path(__file__).parent.parent
_PYTHON = _ROOT / ".venv" / "emulators" / "bqemulator" / "bin" / "python"
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Emulator:
    """One that answers."""

    endpoint: str

    def client(self) -> Any:
        """As its owner asks it."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            location="EU",
            client_options={"api_endpoint": self.endpoint},
        )

    def run(self, *statements: str, dataset: str = "shop") -> list[dict[str, Any]]:
        """Run statements in turn; the rows of the last."""
        from google.cloud import bigquery

        found: list[dict[str, Any]] = []
        client = self.client()
        try:
            for sql in statements:
                config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}")
                job = client.query(sql, job_config=config, retry=None, job_retry=None)
                found = [dict(r.items()) for r in job.result(retry=None, job_retry=None)]
        finally:
            client.close()
        return found

    def dataset(self) -> str:
        """A new, empty dataset."""
        name = f"shop_{next(_NUMBERS)}"
        client = self.client()
        client.create_dataset(name)
        client.close()
        return name

    def drop(self, dataset: str) -> None:
        """Drop a dataset with all that is in it, if it is there."""
        client = self.client()
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        client.close()


@contextmanager
def bigquery_server() -> Iterator[Emulator]:
    """One that ends with the block."""
    if not _PYTHON.exists():
        pytest.skip("needs the BigQuery emulator (make engines)")
    rest, grpc = _free_port(), _free_port()
    command = [str(_PYTHON), str(_ROOT / "tests" / "bigquery_serve.py"), "start"]
    command += ["--rest-port", str(rest), "--grpc-port", str(grpc), "--project", PROJECT]
    command += ["--log-level", "critical", "--log-format", "json"]
    settings = {**os.environ, "TZ": "UTC", "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false"}
    settings = {k: v for k, v in settings.items() if k != "PYTHONPATH"}
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        try:
            _await(run, rest)
            yield Emulator(f"http://127.0.0.1:{rest}")
        finally:
            run.terminate()


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _await(run: subprocess.Popen[bytes], port: int) -> None:
    ends = time.monotonic() + SECONDS
    while True:
        assert run.poll() is None, "the emulator has ended"
        assert time.monotonic() < ends, "the emulator does not answer"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
