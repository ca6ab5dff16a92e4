"""Meta refuses a whole request, or has no audience any more."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from end_to_end.projects import approved, get, make_project, members
from mayfly.sandbox.server import SandboxServer


def plan_fault(sandbox: SandboxServer, kind: str, count: int) -> None:
    """Of the next requests that carry people."""
    body = json.dumps({"path": "/*/users", "kind": kind, "count": count}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def sendings(sandbox: SandboxServer) -> int:
    """Requests that carried people."""
    return sum(r["path"].endswith("/users") for r in get(f"{sandbox.url}/_sandbox/requests"))


def test_a_refused_request_is_narrowed_to_its_rows(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The whole, a half, a quarter and so on down to the first row are refused; the rest goes."""
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    plan_fault(sandbox, "100", 5)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["rows"]["delivered"], ended["rows"]["rejected"]) == (7, 1)
    assert len(members(sandbox)) == 7
    reasons = project.rejected("to_meta")["reasons"]
    assert [(r["reason"], r["rows"]) for r in reasons] == [("batch_refused", 1)]


def test_a_request_refused_in_every_part_stops_the_run(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """No row is rejected for what is no row's fault, and Meta is not asked a thousand times."""
    project = approved(make_project(tmp_path, sandbox.url, rows=1000))
    plan_fault(sandbox, "100", 1000)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("failed", "meta_100")
    assert sendings(sandbox) <= 22
    assert project.rejected("to_meta")["reasons"] == []
    urllib.request.urlopen(
        urllib.request.Request(f"{sandbox.url}/_sandbox/reset", b"", method="POST"), timeout=10
    ).read()
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 1000


def test_a_single_row_that_is_refused_is_not_blamed(tmp_path: Path, sandbox: SandboxServer) -> None:
    """There is no other row to tell whether it or the request is wrong."""
    project = approved(make_project(tmp_path, sandbox.url, rows=1))
    plan_fault(sandbox, "100", 9)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert ended["error"]["code"] == "meta_100"
