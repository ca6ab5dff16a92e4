"""A sync to a Pinterest customer list, from DuckDB to the sandbox: filled, followed, emptied."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from mayfly.connectors.destinations.pinterest import LOGIN
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.pinterest import PinterestVendor
from mayfly.sandbox.server import SandboxServer
from oauth_world import visit_beside

FILES = audience_files(
    """    type: pinterest
    account_id: "549755885175"
    access_token: "env:PINTEREST_TOKEN"
""",
    "pinterest",
    "{EMAIL: email}",
)


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


def held(vendor: PinterestVendor) -> set[str]:
    """Digests in the only list."""
    [found] = vendor.customer_lists.values()
    return set(found.members)


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
    a_list_follows(project, tmp_path, lambda: held(vendor), lambda: acts(sandbox).count("REMOVE"))


@pytest.mark.slow
def test_what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, vendor: PinterestVendor
) -> None:
    """Of a run that could not ask any more the next one hears, and nothing is sent twice."""
    path = "/v5/ad_accounts/*/customer_lists/*"
    what_is_interrupted_goes_on(project, sandbox, path, lambda: held(vendor))
    assert acts(sandbox) == ["made"]


def test_two_kinds_of_identifier_are_refused_before_a_row_is_read(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A list holds one; nobody is asked."""
    files = FILES.replace("{EMAIL: email}", "{EMAIL: email, MAID: city}")
    kinds_are_not_mixed(tmp_path, sandbox, files)


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
    login = (
        'access_token: connection:pinterest\n    client_id: "1234567"\n'
        "    client_secret: env:PINTEREST_CLIENT_SECRET"
    )
    files = FILES.replace('access_token: "env:PINTEREST_TOKEN"', login)
    with logging_in(tmp_path, oauth, files) as made:
        yield made


@pytest.mark.slow
def test_a_person_logs_in_with_mayfly_connect(logged_in: tuple[Path, OAuthSandbox]) -> None:
    """The client says who it is in a header; a run has a token of that log-in, and none is in a
    file.
    """
    root, oauth = logged_in
    load(root).connect("pinterest", ask=lambda: "", show=visit_beside)
    a_run_has_their_token(root, oauth)
