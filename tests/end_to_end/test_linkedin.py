"""A sync to a LinkedIn segment, from DuckDB to the sandbox: who agreed is in it, nobody else."""

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
from mayfly.connectors.destinations.linkedin_ads import LOGIN
from mayfly.sandbox.linkedin import LinkedInVendor
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import SandboxServer
from oauth_world import visit_beside

FILES = audience_files(
    """    type: linkedin_ads
    account_id: "516848833"
    access_token: "env:LINKEDIN_TOKEN"
""",
    "linkedin",
    "{SHA256_EMAIL: email}",
)
USERS = "/rest/dmpSegments/*/users"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKEDIN_TOKEN", "t0ken")


@pytest.fixture
def vendor(sandbox: SandboxServer) -> LinkedInVendor:
    """The segments behind the sandbox."""
    return sandbox.app.linkedin


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six people and a segment to fill, approved."""
    return approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=FILES))


def members(vendor: LinkedInVendor) -> set[str]:
    """E-mail digests in the only segment."""
    [found] = vendor.segments.values()
    return found.members.get("SHA256_EMAIL", set())


def test_a_segment_follows_the_model(
    tmp_path: Path, project: Project, sandbox: SandboxServer, vendor: LinkedInVendor
) -> None:
    """It is made and filled; who withdraws, leaves or moves is removed; white space within
    an address is no part of it; and nothing that left holds an address.
    """
    change(tmp_path, "UPDATE people SET email = ' P0 @Example.com' WHERE id = 0")
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    assert members(vendor) == digests(*(f"p{n}@example.com" for n in range(ROWS)))
    sandbox.app.recorder.clear()
    assert ran(project)["status"] == "no_changes"
    assert [call["method"] for call in sandbox.app.recorder.requests()] == ["GET"]
    change(
        tmp_path,
        "UPDATE people SET ads = FALSE WHERE id = 1",
        "DELETE FROM people WHERE id = 2",
        "UPDATE people SET email = 'new@example.com' WHERE id = 3",
    )
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 3)
    left = [f"p{n}@example.com" for n in (0, 4, 5)]
    assert members(vendor) == digests("new@example.com", *left)
    assert all("@" not in (call["body"] or "") for call in sandbox.app.recorder.requests())


@pytest.mark.slow
def test_faults_are_got_over_and_told(
    project: Project, sandbox: SandboxServer, vendor: LinkedInVendor
) -> None:
    """Of a trial nothing stays. A limit, an outage, a new segment, a row that is told later and one
    that is refused in one run; a segment that is gone is made anew, and filled with everybody.
    """
    tried = project.test("linkedin", rows=2)
    assert (tried["ok"], tried["left"]) == (True, 0)
    vendor.reset()
    vendor.new_is_unknown_for = 1
    vendor.answers = [201, 503, 400]
    faults_are_got_over(project, sandbox, USERS, lambda: members(vendor), "ILLEGAL_ARGUMENT")
    a_lost_list_is_made_anew(project, vendor.segments, lambda: members(vendor))


@pytest.mark.slow
def test_a_segment_that_ended_lets_people_go(
    tmp_path: Path, project: Project, vendor: LinkedInVendor
) -> None:
    """Its status is read by each run: nobody is added, and who has withdrawn is removed."""
    ran(project)
    [found] = vendor.segments.values()
    found.status = "EXPIRED"
    change(tmp_path, "UPDATE people SET ads = FALSE WHERE id = 1")
    assert ran(project)["rows"]["removed"] == 1
    change(
        tmp_path,
        "UPDATE people SET ads = FALSE WHERE id = 4",
        "UPDATE people SET ads = TRUE WHERE id = 1",
    )
    ended = ran(project)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "audience_unusable")
    assert not members(vendor) & digests("p1@example.com")


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to LinkedIn, and the server of both."""
    monkeypatch.setenv("LINKEDIN_CLIENT_SECRET", "client-7f3a")
    oauth = OAuthSandbox(
        client_id="86abcdefghij",
        client_secret="client-7f3a",
        scopes=frozenset(LOGIN.scopes),
        rotates=False,
        pkce=False,
        authorise_path="/oauth/v2/authorization",
        token_path="/oauth/v2/accessToken",
    )
    login = (
        "access_token: connection:linkedin\n"
        "    client_id: 86abcdefghij\n"
        "    client_secret: env:LINKEDIN_CLIENT_SECRET"
    )
    files = FILES.replace('access_token: "env:LINKEDIN_TOKEN"', login)
    with logging_in(tmp_path, oauth, files) as made:
        yield made


@pytest.mark.slow
def test_a_person_logs_in_with_mayfly_connect(logged_in: tuple[Path, OAuthSandbox]) -> None:
    """In the browser, without PKCE, which LinkedIn refuses; a run has a token of that log-in."""
    root, oauth = logged_in
    load(root).connect("linkedin", ask=lambda: "", show=visit_beside)
    a_run_has_their_token(root, oauth)
