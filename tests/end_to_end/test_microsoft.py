"""A sync to a customer list of Microsoft Advertising, from DuckDB to the sandbox: who agreed is in
it, nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end.audiences import (
    ROWS,
    a_lost_list_is_made_anew,
    a_run_has_their_token,
    audience_files,
    faults_are_got_over,
    logging_in,
)
from end_to_end.projects import approved, change, digests, make_project, ran
from mayfly.api import Project, load
from mayfly.connectors.destinations.microsoft_ads import LOGIN
from mayfly.sandbox.microsoft import MicrosoftVendor
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import SandboxServer
from oauth_world import visit_beside

FILES = audience_files(
    """    type: microsoft_ads
    account_id: "123456789"
    customer_id: "987654321"
    developer_token: env:MICROSOFT_DEVELOPER_TOKEN
    access_token: "env:MICROSOFT_TOKEN"
    customer_match_terms: accepted
""",
    "microsoft",
    "{Email: email}",
)
APPLY = "/CampaignManagement/v13/CustomerListUserData/Apply"


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROSOFT_TOKEN", "t0ken")
    monkeypatch.setenv("MICROSOFT_DEVELOPER_TOKEN", "d3veloper")


@pytest.fixture
def vendor(sandbox: SandboxServer) -> MicrosoftVendor:
    """The lists behind the sandbox."""
    return sandbox.app.microsoft


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six people and a list to fill, approved."""
    return approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=FILES))


def members(vendor: MicrosoftVendor) -> set[str]:
    """E-mail digests in the only list."""
    [found] = vendor.audiences.values()
    return found.members


def test_a_list_follows_the_model(
    tmp_path: Path, project: Project, sandbox: SandboxServer, vendor: MicrosoftVendor
) -> None:
    """It is made and filled; who withdraws, leaves or moves is removed; dots and plus are part of
    an address; and nothing that left holds one.
    """
    change(tmp_path, "UPDATE people SET email = ' P.0+x@Example.com' WHERE id = 0")
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    first = digests("p.0+x@example.com", *(f"p{n}@example.com" for n in range(1, ROWS)))
    assert members(vendor) == first
    sandbox.app.recorder.clear()
    assert ran(project)["status"] == "no_changes"
    assert [call["path"] for call in sandbox.app.recorder.requests()] == [
        "/CampaignManagement/v13/Audiences/QueryByIds"
    ]
    change(
        tmp_path,
        "UPDATE people SET ads = FALSE WHERE id = 1",
        "DELETE FROM people WHERE id = 2",
        "UPDATE people SET email = 'new@example.com' WHERE id = 3",
    )
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 3)
    left = ("p.0+x@example.com", "p4@example.com", "p5@example.com", "new@example.com")
    assert members(vendor) == digests(*left)
    assert all("@" not in (call["body"] or "") for call in sandbox.app.recorder.requests())


@pytest.mark.slow
def test_faults_are_got_over_and_told(
    project: Project, sandbox: SandboxServer, vendor: MicrosoftVendor
) -> None:
    """Of a trial nothing stays. A limit, an outage, an item that is told later and one that is
    refused in one run; a list that is gone is made anew, and filled with everybody.
    """
    tried = project.test("microsoft", rows=2)
    assert (tried["ok"], tried["left"]) == (True, 0)
    vendor.reset()
    vendor.answers = {1: (0, "InternalError"), 2: (8004, "EmailMustBeHashed")}
    faults_are_got_over(project, sandbox, APPLY, lambda: members(vendor), "EmailMustBeHashed")
    a_lost_list_is_made_anew(project, vendor.audiences, lambda: members(vendor))


@pytest.mark.slow
def test_members_are_sent_again_before_their_time_is_over(
    project: Project, vendor: MicrosoftVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a third of 390 days is: by a run like any other."""
    start_ms, days = project.app.clock.now_ms(), 0
    clock = project.app.clock
    monkeypatch.setattr(clock, "now_ms", lambda: start_ms + days * 24 * 3_600_000)
    assert ran(project)["rows"]["delivered"] == ROWS
    days = 129
    assert ran(project)["status"] == "no_changes"
    days = 131
    assert ran(project)["rows"]["delivered"] == ROWS
    assert len(members(vendor)) == ROWS


@pytest.fixture
def logged_in(tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to Microsoft with a public client, and the server of both."""
    oauth = OAuthSandbox(
        client_id="00001111-aaaa-2222-bbbb-3333cccc4444",
        scopes=frozenset(LOGIN.scopes),
        authorise_path="/common/oauth2/v2.0/authorize",
        token_path="/common/oauth2/v2.0/token",
    )
    login = (
        "access_token: connection:microsoft\n    client_id: 00001111-aaaa-2222-bbbb-3333cccc4444"
    )
    files = FILES.replace('access_token: "env:MICROSOFT_TOKEN"', login)
    with logging_in(tmp_path, oauth, files) as made:
        yield made


@pytest.mark.slow
def test_a_person_logs_in_with_mayfly_connect(logged_in: tuple[Path, OAuthSandbox]) -> None:
    """In the browser; a run has a token of that log-in, and its refresh token is replaced."""
    root, oauth = logged_in
    load(root).connect("microsoft", ask=lambda: "", show=visit_beside)
    a_run_has_their_token(root, oauth)
