"""A sync to a Snap customer list, from DuckDB to the sandbox: filled, followed, emptied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.projects import SHOP, approved, make_project
from mayfly.api import Project, RunRequest, load
from mayfly.connectors.destinations.snap import LOGIN
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import LoopbackServer, SandboxServer
from mayfly.sandbox.snap import SnapVendor
from mayfly.services.scan_paths import scan_paths
from oauth_world import Both, ended_at

FILES = (
    SHOP
    + """destinations:
  snap:
    type: snap
    account_id: account-1
    access_token: "env:SNAP_TOKEN"
    endpoint: "URL"
syncs:
  to_snap:
    id: to_snap
    model: people
    destination: snap
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL_SHA256: email}
"""
)
ROWS = 6
REDIRECT = "https://shop.example.com/snap"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP_TOKEN", "t0ken")


@pytest.fixture
def vendor(sandbox: SandboxServer) -> SnapVendor:
    """The lists behind the sandbox."""
    return sandbox.app.snap


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six people and a list to fill, approved."""
    return approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=FILES))


def ran(project: Project, **asked: Any) -> dict[str, Any]:
    """How a run of the sync ended."""
    [ended] = project.run("to_snap", request=RunRequest(**asked)).to_dict()["syncs"]
    return dict(ended)


def held(vendor: SnapVendor) -> set[str]:
    """Digests in the only list."""
    [found] = vendor.segments.values()
    return set(found.members)


def digest(address: str) -> str:
    """As Snap wants it."""
    return hashlib.sha256(address.encode()).hexdigest()


def change(root: Path, sql: str) -> None:
    """In the warehouse."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


def methods(sandbox: SandboxServer) -> list[str]:
    """Of requests about people."""
    calls = sandbox.app.recorder.requests()
    return [r["method"] for r in calls if r["path"].endswith("users")]


def test_a_list_follows_the_model(
    tmp_path: Path, project: Project, sandbox: SandboxServer, vendor: SnapVendor
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
    removed = methods(sandbox).count("DELETE")
    assert ran(project, full_refresh=True)["rows"]["delivered"] == ROWS - 2
    assert methods(sandbox).count("DELETE") == removed
    assert len(held(vendor)) == ROWS - 2


@pytest.mark.slow
def test_what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, vendor: SnapVendor
) -> None:
    """Of a run that could not ask any more the next one hears, and nothing is sent twice."""
    sandbox.app.faults.add({"path": "/v1/segments/*[0-9]", "kind": "503", "count": 5})
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("held", 0)
    assert ran(project)["status"] == "no_changes"
    assert len(held(vendor)) == ROWS
    assert methods(sandbox) == ["POST"]


def test_two_kinds_of_identifier_are_refused_before_a_row_is_read(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A list holds one; nobody is asked."""
    files = FILES.replace("{EMAIL_SHA256: email}", "{EMAIL_SHA256: email, PHONE_SHA256: phone}")
    root = make_project(tmp_path, sandbox.url, rows=1, text=files)
    refusals = load(root).plan("to_snap").to_dict()["syncs"][0]["refusals"]
    assert [r["code"] for r in refusals] == ["identifiers_mixed"]
    assert sandbox.app.recorder.total == 0


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to Snap, and the server of both."""
    monkeypatch.setenv("SNAP_CLIENT_SECRET", "client-7f3a")
    oauth = OAuthSandbox(
        client_id="client-1",
        client_secret="client-7f3a",
        scopes=frozenset(LOGIN.scopes),
        rotates=False,
        authorise_path="/login/oauth2/authorize",
        token_path="/login/oauth2/access_token",
        redirect_uris=frozenset({REDIRECT}),
    )
    tokens: Any = oauth.access_tokens  # grows
    login = (
        "access_token: connection:snap\n    client_id: client-1\n"
        f"    client_secret: env:SNAP_CLIENT_SECRET\n    redirect_uri: {REDIRECT}"
    )
    files = FILES.replace('access_token: "env:SNAP_TOKEN"', login)
    with LoopbackServer(Both(oauth, SandboxApp(tokens=tokens))) as server:
        yield make_project(tmp_path, server.url, rows=ROWS, text=files), oauth


@pytest.mark.slow
def test_a_person_gives_the_address_that_the_browser_ended_at(
    logged_in: tuple[Path, OAuthSandbox],
) -> None:
    """Where the vendor takes no address of ours; runs get tokens of it, and none is in a file."""
    root, oauth = logged_in
    shown: list[str] = []
    load(root).connect("snap", ask=lambda: f" {ended_at(shown[0])} ", show=shown.append)
    assert "redirect_uri=https%3A%2F%2Fshop.example.com%2Fsnap" in shown[0]
    assert ran(approved(root))["rows"]["delivered"] == ROWS
    assert oauth.token_requests == ["authorization_code", "refresh_token"]
    assert scan_paths([root / ".mayfly"], known_values=sorted(oauth.access_tokens)) == []


@pytest.mark.slow
def test_an_address_of_another_attempt_logs_nobody_in(
    logged_in: tuple[Path, OAuthSandbox],
) -> None:
    """Nothing is asked of the vendor, and nothing stored."""
    root, oauth = logged_in
    project = load(root)
    for given, code in (
        ("", "secret_empty"),
        (REDIRECT, "oauth_state"),
        (f"{REDIRECT}?code=c&state=another", "oauth_state"),
        ("anything", "oauth_state"),
    ):
        with pytest.raises(ConfigError) as caught:
            project.connect("snap", ask=partial(str, given), show=len)  # type: ignore[arg-type]
        assert caught.value.code == code
    assert oauth.token_requests == []
    assert project.app.store.credentials() == []
