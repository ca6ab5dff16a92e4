"""A sync to a Snap customer list, from DuckDB to the sandbox: filled, followed, emptied."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from end_to_end.audiences import (
    ROWS,
    a_list_follows,
    a_run_has_their_token,
    audience_files,
    kinds_are_not_mixed,
    logging_in,
    what_is_interrupted_goes_on,
)
from end_to_end.projects import approved, make_project
from mayfly.api import Project, load
from mayfly.connectors.destinations.snap import LOGIN
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import SandboxServer
from mayfly.sandbox.snap import SnapVendor
from oauth_world import ended_at

FILES = audience_files(
    """    type: snap
    account_id: account-1
    access_token: "env:SNAP_TOKEN"
""",
    "snap",
    "{EMAIL_SHA256: email}",
)
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


def held(vendor: SnapVendor) -> set[str]:
    """Digests in the only list."""
    [found] = vendor.segments.values()
    return set(found.members)


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
    a_list_follows(
        project, tmp_path, lambda: held(vendor), lambda: methods(sandbox).count("DELETE")
    )


@pytest.mark.slow
def test_what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, vendor: SnapVendor
) -> None:
    """Of a run that could not ask any more the next one hears, and nothing is sent twice."""
    what_is_interrupted_goes_on(project, sandbox, "/v1/segments/*[0-9]", lambda: held(vendor))
    assert methods(sandbox) == ["POST"]


def test_two_kinds_of_identifier_are_refused_before_a_row_is_read(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A list holds one; nobody is asked."""
    files = FILES.replace("{EMAIL_SHA256: email}", "{EMAIL_SHA256: email, PHONE_SHA256: phone}")
    kinds_are_not_mixed(tmp_path, sandbox, files)


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
    login = (
        "access_token: connection:snap\n    client_id: client-1\n"
        f"    client_secret: env:SNAP_CLIENT_SECRET\n    redirect_uri: {REDIRECT}"
    )
    files = FILES.replace('access_token: "env:SNAP_TOKEN"', login)
    with logging_in(tmp_path, oauth, files) as made:
        yield made


@pytest.mark.slow
def test_a_person_gives_the_address_that_the_browser_ended_at(
    logged_in: tuple[Path, OAuthSandbox],
) -> None:
    """Where the vendor takes no address of ours; runs get tokens of it, and none is in a file."""
    root, oauth = logged_in
    shown: list[str] = []
    load(root).connect("snap", ask=lambda: f" {ended_at(shown[0])} ", show=shown.append)
    assert "redirect_uri=https%3A%2F%2Fshop.example.com%2Fsnap" in shown[0]
    a_run_has_their_token(root, oauth)


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
