"""A sync to a Pinterest customer list, from DuckDB to the sandbox: filled, followed, emptied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.projects import SHOP, approved, make_project
from mayfly.api import Project, RunRequest, load
from mayfly.connectors.destinations.pinterest import LOGIN
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.pinterest import PinterestVendor
from mayfly.sandbox.server import LoopbackServer, SandboxServer
from mayfly.services.scan_paths import scan_paths
from oauth_world import Both, visit_beside

FILES = (
    SHOP
    + """destinations:
  pinterest:
    type: pinterest
    account_id: "549755885175"
    access_token: "env:PINTEREST_TOKEN"
    endpoint: "URL"
syncs:
  to_pinterest:
    id: to_pinterest
    model: people
    destination: pinterest
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email}
"""
)
ROWS = 6


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINTEREST_TOKEN", "t0ken")


@pytest.fixture
def vendor(sandbox: SandboxServer) -> PinterestVendor:
    """The lists behind the sandbox."""
    return sandbox.app.pinterest


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six people and a list to fill, approved."""
    return approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=FILES))


def ran(project: Project, **asked: Any) -> dict[str, Any]:
    """How a run of the sync ended."""
    [ended] = project.run("to_pinterest", request=RunRequest(**asked)).to_dict()["syncs"]
    return dict(ended)


def held(vendor: PinterestVendor) -> set[str]:
    """Digests in the only list."""
    [found] = vendor.customer_lists.values()
    return set(found.members)


def digest(address: str) -> str:
    """As Pinterest wants it."""
    return hashlib.sha256(address.encode()).hexdigest()


def change(root: Path, sql: str) -> None:
    """In the warehouse."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


def acts(sandbox: SandboxServer) -> list[str]:
    """Of requests about people."""
    calls = sandbox.app.recorder.requests()
    return [
        json.loads(r["body"]).get("operation_type", "made")
        for r in calls
        if "/customer_lists" in r["path"] and r["method"] != "GET"
    ]


def test_a_list_follows_the_model(
    tmp_path: Path, project: Project, sandbox: SandboxServer, vendor: PinterestVendor
) -> None:
    """It is made and filled; who moves is moved, who withdraws or leaves is removed; a full
    refresh sends all again and empties nothing.
    """
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    before = held(vendor)
    assert len(before) == ROWS
    assert ran(project)["status"] == "no_changes"
    change(tmp_path, "UPDATE people SET email = ' New@Example.com ' WHERE id = 0")
    change(tmp_path, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(tmp_path, "DELETE FROM people WHERE id = 2")
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 3)
    assert held(vendor) - before == {digest("new@example.com")}
    assert len(held(vendor)) == ROWS - 2
    assert ran(project)["status"] == "no_changes"
    removed = acts(sandbox).count("REMOVE")
    assert ran(project, full_refresh=True)["rows"]["delivered"] == ROWS - 2
    assert acts(sandbox).count("REMOVE") == removed
    assert len(held(vendor)) == ROWS - 2


@pytest.mark.slow
def test_what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, vendor: PinterestVendor
) -> None:
    """Of a run that could not ask any more the next one hears, and nothing is sent twice."""
    sandbox.app.faults.add(
        {"path": "/v5/ad_accounts/*/customer_lists/*", "kind": "503", "count": 5}
    )
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("held", 0)
    assert ran(project)["status"] == "no_changes"
    assert len(held(vendor)) == ROWS
    assert acts(sandbox) == ["made"]


def test_two_kinds_of_identifier_are_refused_before_a_row_is_read(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A list holds one; nobody is asked."""
    files = FILES.replace("{EMAIL: email}", "{EMAIL: email, MAID: city}")
    root = make_project(tmp_path, sandbox.url, rows=1, text=files)
    refusals = load(root).plan("to_pinterest").to_dict()["syncs"][0]["refusals"]
    assert [r["code"] for r in refusals] == ["identifiers_mixed"]
    assert sandbox.app.recorder.total == 0


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to Pinterest, and the server of both."""
    monkeypatch.setenv("PINTEREST_CLIENT_SECRET", "client-7f3a")
    oauth = OAuthSandbox(
        client_id="1234567",
        client_secret="client-7f3a",
        scopes=frozenset(LOGIN.scopes),
        authorise_path="/oauth/",
        token_path="/v5/oauth/token",
        scope_separator=",",
        wants_header=True,
    )
    tokens: Any = oauth.access_tokens  # grows
    login = (
        'access_token: connection:pinterest\n    client_id: "1234567"\n'
        "    client_secret: env:PINTEREST_CLIENT_SECRET"
    )
    files = FILES.replace('access_token: "env:PINTEREST_TOKEN"', login)
    with LoopbackServer(Both(oauth, SandboxApp(tokens=tokens))) as server:
        yield make_project(tmp_path, server.url, rows=ROWS, text=files), oauth


@pytest.mark.slow
def test_a_person_logs_in_with_mayfly_connect(logged_in: tuple[Path, OAuthSandbox]) -> None:
    """The client says who it is in a header; a run has a token of that log-in, and none is in a
    file.
    """
    root, oauth = logged_in
    load(root).connect("pinterest", ask=lambda: "", show=visit_beside)
    assert ran(approved(root))["rows"]["delivered"] == ROWS
    assert oauth.token_requests == ["authorization_code", "refresh_token"]
    assert scan_paths([root / ".mayfly"], known_values=sorted(oauth.access_tokens)) == []
