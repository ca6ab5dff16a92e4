"""Syncs to an ad platform's list that the sandbox plays: what their tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from end_to_end.projects import SHOP, address_digest, approved, change, make_project, ran
from mayfly.api import Project, load
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import LoopbackServer, SandboxServer
from mayfly.services.scan_paths import scan_paths
from oauth_world import Both

ROWS = 6


def audience_files(destination: str, name: str, mapping: str) -> str:
    """A project that sends its people to a destination of this name."""
    return f"""{SHOP}destinations:
  {name}:
{destination}    endpoint: "URL"
syncs:
  to_{name}:
    id: to_{name}
    model: people
    destination: {name}
    mode: audience
    audience: People
    purpose: ads
    mapping: {mapping}
"""


def a_list_follows(
    project: Project, root: Path, held: Callable[[], set[str]], removals: Callable[[], int]
) -> None:
    """It is made and filled; who moves is moved, who withdraws or leaves is removed; a full
    refresh sends all again and empties nothing.
    """
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    before = held()
    assert len(before) == ROWS
    assert ran(project)["status"] == "no_changes"
    change(root, "UPDATE people SET email = ' New@Example.com ' WHERE id = 0")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(root, "DELETE FROM people WHERE id = 2")
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 3)
    assert held() - before == {address_digest("new@example.com")}
    assert len(held()) == ROWS - 2
    assert ran(project)["status"] == "no_changes"
    removed = removals()
    assert ran(project, full_refresh=True)["rows"]["delivered"] == ROWS - 2
    assert removals() == removed
    assert len(held()) == ROWS - 2


def what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, status_path: str, held: Callable[[], set[str]]
) -> None:
    """Of a run that could not ask any more the next one hears."""
    sandbox.app.faults.add({"path": status_path, "kind": "503", "count": 5})
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("held", 0)
    assert ran(project)["status"] == "no_changes"
    assert len(held()) == ROWS


def faults_are_got_over(
    project: Project, sandbox: SandboxServer, path: str, held: Callable[[], set[str]], refused: str
) -> None:
    """A limit, an outage, and one row that is refused, by this code, until it is sent again."""
    sandbox.app.faults.add({"path": path, "kind": "429", "retry_after_seconds": 1})
    sandbox.app.faults.add({"path": path, "kind": "503"})
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["rejected"]) == (ROWS - 1, 1)
    sync = str(ended["sync"])
    [reason] = project.rejected(sync)["reasons"]
    assert (reason["reason"], reason["vendor"]) == ("row_refused", refused)
    project.retry(sync)
    assert ran(project)["rows"]["delivered"] == 1
    assert len(held()) == ROWS


def a_lost_list_is_made_anew(
    project: Project, lists: dict[Any, Any], held: Callable[[], set[str]]
) -> None:
    """And filled with everybody."""
    lists.clear()
    assert ran(project)["rows"]["delivered"] == ROWS
    assert len(held()) == ROWS


def kinds_are_not_mixed(root: Path, sandbox: SandboxServer, files: str) -> None:
    """A list holds identifiers of one kind; nobody is asked."""
    made = make_project(root, sandbox.url, rows=1, text=files)
    [planned] = load(made).plan().to_dict()["syncs"]
    assert [r["code"] for r in planned["refusals"]] == ["identifiers_mixed"]
    assert sandbox.app.recorder.total == 0


@contextmanager
def logging_in(root: Path, oauth: OAuthSandbox, files: str) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to a platform, and the server of both."""
    tokens: Any = oauth.access_tokens  # grows
    with LoopbackServer(Both(oauth, SandboxApp(tokens=tokens))) as server:
        yield make_project(root, server.url, rows=ROWS, text=files), oauth


def a_run_has_their_token(root: Path, oauth: OAuthSandbox) -> None:
    """Of a log-in, and none is in a file."""
    assert ran(approved(root))["rows"]["delivered"] == ROWS
    assert oauth.token_requests == ["authorization_code", "refresh_token"]
    assert scan_paths([root / ".mayfly"], known_values=sorted(oauth.access_tokens)) == []
