"""A project whose batches wait sealed while its platform is away, and looks at what waits."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from end_to_end.projects import FILES
from mayfly.bootstrap import open_app
from mayfly.domain.held import HeldBatch
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import SandboxServer

ROWS = 100
HOLD = FILES.replace(
    "    audience: People\n", "    audience: People\n    batch_rows: 30\n    on_outage: hold\n"
)
BATCHES = [30, 30, 30, 10]


def leave(sandbox: SandboxServer) -> None:
    """The platform takes nobody from now on."""
    _control(sandbox, "POST", {"path": "/*/users", "kind": "503", "count": 10_000})


def come_back(sandbox: SandboxServer) -> None:
    """It does again."""
    _control(sandbox, "DELETE")


def _control(sandbox: SandboxServer, method: str, body: dict[str, object] | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", data, method=method)
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def sealed(root: Path) -> list[str]:
    """Files of the spool."""
    return sorted(path.name for path in (root / ".mayfly" / "spool").glob("*"))


def waiting(root: Path) -> Sequence[HeldBatch]:
    """What waits sealed, with its deadlines."""
    return open_app(root).spool().held()


def about_batches(root: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of a type that are about a batch."""
    lines = (root / ".mayfly" / "ledger" / "entries.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [e for e in found if e["type"] == kind and e["batch"] is not None]


def verified(root: Path) -> tuple[int, int, int]:
    """Unpaired, overdue and inconsistent, as anyone sees them."""
    folder = root / ".mayfly" / "ledger"
    report = verify_ledger(folder, folder / "key.pub").to_dict()
    return report["unpaired"], report["overdue"], report["inconsistent"]
