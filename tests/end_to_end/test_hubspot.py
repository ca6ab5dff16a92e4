"""From a DuckDB file to HubSpot's sandbox: records, a list, subscriptions, and a log-in."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from end_to_end.projects import SHOP_WITH_ADS, approved, change, make_project, run
from mayfly.api import load
from mayfly.bootstrap import SPECS
from mayfly.connectors.destinations import hubspot
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.oauth import TOKEN_PATH, OAuthSandbox
from mayfly.sandbox.server import LoopbackServer, SandboxServer
from oauth_world import visit_beside

SHOP = (
    SHOP_WITH_ADS
    + """destinations:
  crm:
    type: hubspot
    kind: internal
    owner: sales
    reason: our own CRM
    account_id: "1234567"
    access_token: env:HUBSPOT_TOKEN
    subscriptions:
      newsletter: {id: "4471", legal_basis: CONSENT_WITH_NOTICE, explanation: in the shop}
    endpoint: "URL"
syncs:
  contacts:
    id: contacts
    model: people
    destination: crm
    mode: upsert
    key: [email]
    mapping: {email: email, city: city, subscription.newsletter: ads}
  members:
    id: members
    model: people
    destination: crm
    mode: audience
    audience: VIP
    key: [customer_no]
    purpose: ads
    mapping: {customer_no: id, email: email}
  mirror:
    id: mirror
    model: people
    destination: crm
    mode: mirror
    key: [customer_no]
    mapping: {customer_no: id, email: email}
"""
)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "t0ken")


def contacts(sandbox: SandboxServer) -> dict[str, dict[str, str]]:
    """Active contacts by address."""
    found = sandbox.app.hubspot.objects["contacts"].records.values()
    return {r.properties["email"]: r.properties for r in found if not r.archived}


def fault(sandbox: SandboxServer, kind: str, count: int) -> None:
    """Of the next upserts."""
    body = json.dumps({"path": "*batch/upsert", "kind": kind, "count": count}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def test_contacts_and_what_they_said(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First all, then what changed, then nothing; who refused at HubSpot is not asked again."""
    root = make_project(tmp_path, sandbox.url, rows=120, text=SHOP)
    change(
        root,
        "ALTER TABLE people ALTER ads DROP NOT NULL; UPDATE people SET ads = NULL WHERE id = 2",
    )
    first = run(root, "contacts")
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 120)
    statuses = sandbox.app.hubspot.statuses
    assert len(statuses) == 119
    assert set(statuses.values()) == {"SUBSCRIBED"}
    assert contacts(sandbox)["p7@example.com"]["city"] == "Lyon"
    assert run(root, "contacts")["status"] == "no_changes"

    statuses["p2@example.com", 4471] = "UNSUBSCRIBED"
    change(root, "UPDATE people SET ads = TRUE, city = 'Nice' WHERE id = 2")
    change(root, "UPDATE people SET ads = FALSE, city = NULL WHERE id = 3")
    second = run(root, "contacts")
    assert (second["rows"]["unconfirmed"], second["rows"]["delivered"]) == (1, 1)
    assert statuses["p2@example.com", 4471] == "UNSUBSCRIBED"
    assert statuses["p3@example.com", 4471] == "UNSUBSCRIBED"
    assert contacts(sandbox)["p2@example.com"]["city"] == "Nice"
    assert "city" not in contacts(sandbox)["p3@example.com"]
    assert run(root, "contacts")["status"] == "no_changes"


def test_a_list_follows_consent(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Who withdraws leaves the list and stays a contact; a burst of 503 is outlasted."""
    root = make_project(tmp_path, sandbox.url, rows=8, text=SHOP)
    fault(sandbox, "503", 2)
    assert run(root, "members")["rows"]["delivered"] == 8
    [found] = sandbox.app.hubspot.lists.values()
    assert len(found.members) == 8
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    change(root, "DELETE FROM people WHERE id = 4")
    ended = run(root, "members")
    assert (ended["status"], ended["rows"]["removed"]) == ("succeeded", 2)
    records = sandbox.app.hubspot.objects["contacts"].records
    members = {records[m].properties["customer_no"] for m in found.members}
    assert members == {"0", "1", "2", "5", "6", "7"}
    assert len(contacts(sandbox)) == 8
    del sandbox.app.hubspot.lists[found.list_id]
    assert run(root, "members")["rows"]["delivered"] == 6


def test_a_mirror_archives_who_left(tmp_path: Path, sandbox: SandboxServer) -> None:
    """By the primary key, which is a property of its own."""
    root = make_project(tmp_path, sandbox.url, rows=5, text=SHOP)
    run(root, "mirror")
    change(root, "DELETE FROM people WHERE id IN (1, 4)")
    assert run(root, "mirror")["rows"]["removed"] == 2
    assert set(contacts(sandbox)) == {f"p{n}@example.com" for n in (0, 2, 3)}


def test_people_who_do_not_exist_are_tried(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A sync by address leaves them there, which is told; a mirror takes them back."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    project = approved(root)
    sent = project.test("crm", sync="contacts", rows=2)
    assert (sent["ok"], sent["left"], len(contacts(sandbox))) == (True, 2, 2)
    sandbox.app.hubspot.reset()
    back = project.test("crm", sync="mirror", rows=2)
    assert (back["ok"], back["left"], contacts(sandbox)) == (True, 0, {})
    lines = project.map("contacts")["fields_left"]
    assert "customer_no" in [line["field"] for line in lines]


def test_another_account_gets_nothing(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A token of another account than the state is of."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    sandbox.app.hubspot.portal_id = 99
    ended = run(root, "contacts")
    assert (ended["status"], ended["error"]["code"]) == ("failed", "wrong_account")
    assert contacts(sandbox) == {}


def test_another_subscription_is_approved_anew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """What people are subscribed to is part of what was approved."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    approved(root)
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace('"4471"', '"4472"'))
    [planned] = load(root).plan("contacts").to_dict()["syncs"]
    assert "approval_changed" in [r["code"] for r in planned["refusals"]]


def test_an_audience_is_taken_back_by_its_key(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A key that does not carry the primary key could not be taken back."""
    text = SHOP.replace("key: [customer_no]\n    purpose", "key: [email]\n    purpose")
    root = make_project(tmp_path, sandbox.url, rows=2, text=text)
    [planned] = load(root).plan("members").to_dict()["syncs"]
    assert "mirror_key" in [r["code"] for r in planned["refusals"]]


def test_who_refuses_is_not_kept_back(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A purpose that filters the very refusals is told."""
    text = SHOP.replace("newsletter", "ads").replace(
        "subscription.ads: ads}", "subscription.ads: ads}\n    purpose: ads"
    )
    root = make_project(tmp_path, sandbox.url, rows=2, text=text)
    assert run(root, "contacts")["error"]["code"] == "refusals_kept_back"
    assert contacts(sandbox) == {}


class _LogIn:
    """HubSpot's paths of a log-in, and the rest of it."""

    def __init__(self, oauth: OAuthSandbox, vendor: SandboxApp) -> None:
        self._oauth, self._vendor = oauth, vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["path"].startswith("/oauth/"):
            path = {"/oauth/v1/token": TOKEN_PATH}.get(scope["path"], scope["path"])
            await self._oauth({**scope, "path": path}, receive, send)
        else:
            await self._vendor(scope, receive, send)


class OAuthHubspot(LoopbackServer):
    """Takes the access tokens that it gave, and no others."""

    def __init__(self, oauth: OAuthSandbox) -> None:
        self.oauth = oauth
        tokens: Any = oauth.access_tokens  # grows
        self.app = SandboxApp(tokens=tokens)
        super().__init__(_LogIn(oauth, self.app))


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthHubspot]:
    """A HubSpot that people log in to, by the addresses of the connector, at any port."""
    monkeypatch.setenv("HUBSPOT_CLIENT", "s3cret")
    spec = hubspot.SPEC.oauth
    assert spec is not None
    free = replace(hubspot.SPEC, oauth=replace(spec, redirect_port=0))
    monkeypatch.setitem(SPECS, "hubspot", free)
    scopes = frozenset(spec.scopes)
    made = OAuthSandbox(client_id="app-1", client_secret="s3cret", scopes=scopes)
    with OAuthHubspot(made) as server:
        yield server


def test_a_log_in_gives_runs_their_tokens(tmp_path: Path, login: OAuthHubspot) -> None:
    """Back to `localhost`, the one name that HubSpot takes without TLS."""
    given = 'connection:crm\n    client_id: "app-1"\n    client_secret: env:HUBSPOT_CLIENT'
    text = SHOP.replace("env:HUBSPOT_TOKEN", given)
    root = make_project(tmp_path, login.url, rows=3, text=text)
    seen: list[str] = []

    def show(url: str) -> None:
        seen.append(url)
        visit_beside(url)

    load(root).connect("crm", ask=_no_secret, show=show)
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A" in seen[0]
    assert run(root, "contacts")["rows"]["delivered"] == 3
    assert login.oauth.token_requests == ["authorization_code", "refresh_token"]


def _no_secret() -> str:
    """Nobody is asked for one."""
    raise AssertionError
