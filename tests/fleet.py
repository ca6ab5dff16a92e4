"""Workers in processes of their own on one store in PostgreSQL, and what they are put through."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg

from end_to_end.projects import members
from end_to_end.serving import wait_for
from mayfly.sandbox.server import LoopbackServer

REGION = "europe-west1"
BATCH = 20
# The leases are short, and everything else is the program.
PROGRAM = """
import json, sys
from pathlib import Path
from mayfly.adapters.processes import own_process
root, beat, lease = json.loads(sys.argv[1])
own_process()
import signal, threading
from mayfly.api.serving import Pace, Worker
worker = Worker(root=Path(root), region="europe-west1", pace=Pace(beat=beat, lease=lease, look=0.1))
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=worker.stop).start())
print("begins", flush=True)
worker.serve()
"""
PROJECT = """
version: 1
workspace: {name: shop, residency: {geography: eu, region: europe-west1}}
keys: {provider: vault, address: "VAULT", key: shop, token: "env:VAULT_SECRET"}
store: {url: "env:STORE_URL"}
sources:
  shop: {type: postgres, dsn: "env:SHOP"}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    batch_rows: 20
    purpose: ads
    mapping: {EMAIL: email}
    schedule: 0 6 * * * Europe/Paris
"""


@dataclass(kw_only=True)
class Fleet:
    """Processes that are started and killed.

    Args:
        root: of the project.
        beat, lease: of each worker, in seconds.
        events: folder of files with what each worker tells; nothing is told where it is None.
    """

    root: Path
    beat: float = 0.3
    lease: float = 3.0
    events: Path | None = None
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        """One more, which has begun."""
        told = json.dumps([str(self.root), self.beat, self.lease])
        with self._told() as events:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, told],
                stdout=subprocess.PIPE,
                stderr=events,
                text=True,
                env=os.environ | ({} if self.events is None else {"MAYFLY_LOG": "json"}),
            )
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        return process

    @contextmanager
    def _told(self) -> Iterator[int | IO[str]]:
        if self.events is None:
            yield subprocess.STDOUT
            return
        path = self.events / f"worker{len(list(self.events.iterdir()))}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            yield file

    def kill(self, process: subprocess.Popen[str], number: int = signal.SIGKILL) -> int:
        """Its exit code, once it is over."""
        process.send_signal(number)
        code = process.wait(timeout=60)
        self.running.remove(process)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def end(self) -> None:
        """Kill what is left."""
        for process in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            self.kill(process)


@contextmanager
def fleet(root: Path, **options: Any) -> Iterator[Fleet]:
    """One whose processes end with the block."""
    made = Fleet(root=root, **options)
    try:
        yield made
    finally:
        made.end()


def people(dsn: str, *statements: str) -> None:
    """In the warehouse."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def wanted(dsn: str) -> set[str]:
    """Digests of who is to be there, by the server's own word."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            b"SELECT encode(sha256(convert_to(lower(email), 'UTF8')), 'hex') FROM people WHERE ads"
        ).fetchall()
    return {row[0] for row in rows}


def arrived(server: LoopbackServer, dsn: str) -> bool:
    """Whether everybody is where they are wanted, and nobody else."""
    try:
        return members(server) == wanted(dsn)
    except ValueError:  # there is no audience yet
        return False


def wait_until_arrived(server: LoopbackServer, dsn: str) -> None:
    """For a bounded time."""
    wait_for(lambda: arrived(server, dsn), "everybody is where they are wanted")
