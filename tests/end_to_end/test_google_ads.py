"""A sync to Google Customer Match, from DuckDB to the sandbox: what is taken is followed to its
end, by whoever runs next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from end_to_end.projects import SHOP, approved, change, make_project, ran
from mayfly.api import Project, load
from mayfly.config.load import ConfigProblemsError
from mayfly.connectors.destinations.google_ads_requests import Members
from mayfly.connectors.destinations.google_ads_tokens import LOGIN
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.google_lists import Google
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import LoopbackServer, SandboxServer
from mayfly.services.scan_paths import scan_paths
from oauth_world import Both, visit_beside

INGEST, REMOVE = "/v1/audienceMembers:ingest", "/v1/audienceMembers:remove"
STATUS = "/v1/requestStatus:retrieve"
FILES = (
    SHOP
    + """destinations:
  google:
    type: google_ads
    account_id: "1234567890"
    access_token: "env:GOOGLE_TOKEN"
    customer_match_terms: accepted
    ad_user_data: [ads]
    ad_personalization: [ads]
    endpoint: "URL"
syncs:
  to_google:
    id: to_google
    model: people
    destination: google
    mode: audience
    audience: People
    purpose: ads
    mapping: {emailAddress: email, phoneNumber: phone}
"""
)
ROWS = 6


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_TOKEN", "t0ken")


@pytest.fixture
def google(sandbox: SandboxServer) -> Google:
    """The lists behind the sandbox."""
    return sandbox.app.google


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six people and a list to fill, approved."""
    return approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=FILES))


PERSONAL = FILES.replace(
    "      ads: {column",
    """      personal:
        table:
          name: consents
          subject: person
          purpose: about
          state: said
          granted: [given]
          time: told_at
      ads: {column""",
).replace("phoneNumber: phone}", "phoneNumber: phone, adPersonalization: consent.personal}")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The consent of each member that is sent, in the order of their e-mails."""
    found: list[dict[str, str]] = []
    made = Members.body

    def body(self: Members, rows: Any, around: Any) -> bytes:
        content = made(self, rows, around)
        members = json.loads(content)["audienceMembers"]
        members.sort(key=lambda m: str(m["userData"]["userIdentifiers"]))
        found.extend(m.get("consent", {}) for m in members)
        return content

    monkeypatch.setattr(Members, "body", body)
    return found


def test_each_member_is_sent_with_what_they_said(
    tmp_path: Path, sandbox: SandboxServer, told: list[dict[str, str]]
) -> None:
    """Of ads made for them, from a consent table; who changes their mind is sent again, and what
    decides is part of the approval.
    """
    root = make_project(tmp_path, sandbox.url, rows=3, text=PERSONAL)
    change(
        root,
        "CREATE TABLE consents (person BIGINT, about VARCHAR, said VARCHAR, told_at TIMESTAMP)",
        "INSERT INTO consents VALUES (0, 'personal', 'given', '2026-01-01'), "
        "(1, 'personal', 'refused', '2026-01-01')",
    )
    project = approved(root)
    assert ran(project)["status"] == "succeeded"
    said = [c["adPersonalization"] for c in told]
    assert sorted(said) == ["CONSENT_DENIED", "CONSENT_DENIED", "CONSENT_GRANTED"]
    assert {c["adUserData"] for c in told} == {"CONSENT_GRANTED"}
    told.clear()
    change(root, "INSERT INTO consents VALUES (2, 'personal', 'given', '2026-02-01')")
    rows = ran(project)["rows"]
    assert (rows["delivered"], rows["removed"]) == (1, 0)
    assert [c["adPersonalization"] for c in told] == ["CONSENT_GRANTED"]
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace("granted: [given]", "granted: [given, asked]"))
    assert ran(load(root))["error"]["code"] == "approval_changed"


def test_of_a_column_the_same_is_told(
    tmp_path: Path, sandbox: SandboxServer, told: list[dict[str, str]]
) -> None:
    """A purpose that a column states; and an unknown one is no column."""
    text = (
        PERSONAL[: PERSONAL.index("      personal:")]
        + ("      personal: {column: city, equals: Lyon}\n")
        + PERSONAL[PERSONAL.index("      ads: {column") :]
    )
    root = make_project(tmp_path, sandbox.url, rows=2, text=text)
    change(root, "UPDATE people SET city = 'Nantes' WHERE id = 1")
    assert ran(approved(root))["status"] == "succeeded"
    assert sorted(c["adPersonalization"] for c in told) == ["CONSENT_DENIED", "CONSENT_GRANTED"]
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace("consent.personal", "consent.other"))
    with pytest.raises(ConfigProblemsError):
        load(root)


def held(google: Google) -> dict[str, int]:
    """How many are in the only list, by field."""
    google.finish()
    [found] = google.lists.values()
    return {name: len(values) for name, values in found.members.items()}


def asked(sandbox: SandboxServer, path: str) -> list[Any]:
    """Bodies of the requests to a path."""
    calls = sandbox.app.recorder.requests()
    return [json.loads(r["body"] or "null") for r in calls if r["path"] == path]


def test_a_list_follows_the_model(
    tmp_path: Path, project: Project, sandbox: SandboxServer, google: Google
) -> None:
    """It is made and filled; what has not changed is not sent; who moves is moved, who withdraws
    or leaves is removed by each identifier; and a full refresh empties nothing.
    """
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    assert held(google) == {"emailAddress": ROWS, "phoneNumber": ROWS}
    assert ran(project)["status"] == "no_changes"
    assert len(asked(sandbox, INGEST)) == 1
    change(tmp_path, "UPDATE people SET email = 'new@example.com' WHERE id = 0")
    change(tmp_path, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(tmp_path, "DELETE FROM people WHERE id = 2")
    ended = ran(project)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 5)
    assert held(google) == {"emailAddress": ROWS - 2, "phoneNumber": ROWS - 2}
    assert ran(project)["status"] == "no_changes"
    before = len(asked(sandbox, REMOVE))
    ended = ran(project, full_refresh=True)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (ROWS - 2, 0)
    assert len(asked(sandbox, REMOVE)) == before
    assert asked(sandbox, "/v1/audienceMembers:removeAll") == []
    consents = [body["consent"] for body in asked(sandbox, INGEST)]
    granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    assert consents == [granted] * 3
    assert all("consent" not in body for body in asked(sandbox, REMOVE))


def test_what_is_interrupted_goes_on(
    project: Project, sandbox: SandboxServer, google: Google
) -> None:
    """A burst of 503 is got over within the run, a daily limit holds it; of a run that was cut off
    after Google had taken its batch the next one hears, and nothing is sent twice.
    """
    sandbox.app.faults.add({"path": INGEST, "kind": "429", "retry_after_seconds": 3_600})
    assert ran(project)["status"] == "held"
    assert google.jobs == {}
    project.app.store.end_outage("google", project.app.project.target)
    sandbox.app.faults.add({"path": INGEST, "kind": "503", "count": 3})
    sandbox.app.faults.add({"path": STATUS, "kind": "503", "count": 5})
    ended = ran(project)
    assert (ended["status"], ended["rows"]["delivered"]) == ("held", 0)
    assert len(google.jobs) == 1
    assert ran(project)["status"] == "no_changes"
    assert held(google) == {"emailAddress": ROWS, "phoneNumber": ROWS}
    assert len(asked(sandbox, INGEST)) == 5


def test_what_fails_as_it_is_worked_off_goes_again(
    project: Project, sandbox: SandboxServer, google: Google
) -> None:
    """Google's own error by the next run; a refusal once somebody says so, after it was told."""
    google.fails_with = ["INTERNAL_ERROR", "NO_CONSENT"]
    ended = ran(project)
    assert (ended["status"], ended["rows"]["deferred"]) == ("partial", ROWS)
    assert ran(project)["rows"]["rejected"] == ROWS
    assert ran(project)["status"] == "no_changes"
    [reason] = project.rejected("to_google")["reasons"]
    assert (reason["reason"], reason["vendor"]) == ("processing_failed", "NO_CONSENT")
    project.retry("to_google")
    assert ran(project)["rows"]["delivered"] == ROWS


def test_a_plan_refuses_what_may_not_go(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Before a row is read, with every reason, and nobody is asked."""
    files = FILES.replace("ad_user_data: [ads]", "ad_user_data: [news]").replace(
        "phoneNumber: phone", "mobileIds: city, regionCode: city"
    )
    root = make_project(tmp_path, sandbox.url, rows=1, text=files)
    refusals = load(root).plan("to_google").to_dict()["syncs"][0]["refusals"]
    assert [r["code"] for r in refusals] == [
        *("kinds_mixed", "address_incomplete", "address_stays", "consent_not_stated"),
    ]
    assert sandbox.app.recorder.total == 0


def test_what_is_stated_of_consent_is_approved(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A purpose that covers another thing than was approved stops the sync."""
    project = approved(make_project(tmp_path, sandbox.url, rows=1, text=FILES))
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text().replace("ad_personalization: [ads]", "ad_personalization: []"))
    again = load(tmp_path)
    ended = again.run("to_google").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "approval_changed")
    again.approve(actor="tester")
    again.app.sleep = project.app.sleep
    assert again.run("to_google").ok
    [body] = asked(sandbox, INGEST)
    assert body["consent"]["adPersonalization"] == "CONSENT_DENIED"


def test_a_service_account_gets_its_tokens_itself(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for a whole run; its key is in no file of ours."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    email = "mayfly@project.iam.gserviceaccount.com"
    key = {"type": "service_account", "client_email": email, "private_key": text}
    monkeypatch.setenv("GOOGLE_KEY", json.dumps(key))
    vendor = sandbox.app.google_vendor
    vendor.token_endpoint.keys[email] = private.public_key()
    vendor._tokens = frozenset()
    files = FILES.replace('access_token: "env:GOOGLE_TOKEN"', "service_account_key: env:GOOGLE_KEY")
    project = approved(make_project(tmp_path, sandbox.url, rows=ROWS, text=files))
    assert ran(project)["rows"]["delivered"] == ROWS
    [token] = vendor.token_endpoint.given
    secrets = [token, text.splitlines()[1]]
    assert scan_paths([tmp_path / ".mayfly"], known_values=secrets) == []


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Any]]:
    """A project whose people log in to Google, and the server of both."""
    monkeypatch.setenv("GOOGLE_CLIENT_SECRET", "client-7f3a")
    oauth = OAuthSandbox(
        client_id="1234-abcd.apps.googleusercontent.com",
        client_secret="client-7f3a",
        scopes=frozenset(LOGIN.scopes),
        rotates=False,
        authorise_path="/o/oauth2/v2/auth",
        token_path="/token",
    )
    tokens: Any = oauth.access_tokens  # grows
    vendor = SandboxApp(tokens=tokens)
    login = (
        "access_token: connection:google\n"
        "    client_id: 1234-abcd.apps.googleusercontent.com\n"
        "    client_secret: env:GOOGLE_CLIENT_SECRET"
    )
    files = FILES.replace('access_token: "env:GOOGLE_TOKEN"', login)
    with LoopbackServer(Both(oauth, vendor)) as server:
        yield make_project(tmp_path, server.url, rows=ROWS, text=files), oauth


def test_a_person_logs_in_with_mayfly_connect(logged_in: tuple[Path, OAuthSandbox]) -> None:
    """In the browser, for the one right that is needed; a run has a token of that log-in."""
    root, oauth = logged_in
    seen: list[str] = []

    def browser(url: str) -> None:
        seen.append(url)
        visit_beside(url)

    load(root).connect("google", ask=lambda: "", show=browser)
    assert "access_type=offline" in seen[0]
    assert "auth%2Fdatamanager" in seen[0]
    assert ran(approved(root))["rows"]["delivered"] == ROWS
    assert oauth.token_requests == ["authorization_code", "refresh_token"]


@pytest.mark.slow
def test_a_run_that_is_killed_while_google_works_loses_nothing(
    tmp_path: Path, project: Project, sandbox: SandboxServer, google: Google
) -> None:
    """By kill -9 once its batch is a job: the next run waits for it, and knows who is there."""
    google.polls = 10**6
    command = [sys.executable, "-m", "mayfly", "run", "to_google", "--project", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        ends = time.monotonic() + 60
        while not (google.jobs and asked(sandbox, STATUS)) and time.monotonic() < ends:
            time.sleep(0.05)
        process.kill()
    assert len(google.jobs) == 1
    google.polls = 1
    for job in google.jobs.values():
        job.polls_left = 2
    assert ran(project)["status"] == "no_changes"
    assert held(google) == {"emailAddress": ROWS, "phoneNumber": ROWS}
    assert len(asked(sandbox, INGEST)) == 1
    change(tmp_path, "UPDATE people SET ads = FALSE")
    assert ran(project)["rows"]["removed"] == 2 * ROWS
