"""From a DuckDB file to Intercom's sandbox: contacts, a tag as an audience, and who leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.projects import approved, change, make_project, run
from mayfly.sandbox.server import SandboxServer

SHOP = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    sql: SELECT id, 'u' || id AS external_id, email, city, ads, ads AS news FROM people
    primary_key: [external_id]
    columns: {external_id: {}, email: {class: email}, city: {}, news: {}}
    consent:
      ads: {column: ads, equals: true, constant: all agreed}
destinations:
  inbox:
    type: intercom
    kind: internal
    owner: care
    reason: our own
    app_id: ab12cd34
    access_token: env:INTERCOM_TOKEN
    endpoint: "URL"
    subscriptions: {news: {id: "92"}}
syncs:
  mirror:
    id: mirror
    model: people
    destination: inbox
    mode: mirror
    key: [external_id]
    purpose: ads
    mapping: {external_id: external_id, email: email, custom_attributes.plan: city}
  said:
    id: said
    model: people
    destination: inbox
    mode: upsert
    key: [external_id]
    mapping: {external_id: external_id, subscription.news: news}
  vip:
    id: vip
    model: people
    destination: inbox
    mode: audience
    audience: VIP
    key: [external_id]
    purpose: ads
    mapping: {external_id: external_id}
"""


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERCOM_TOKEN", "token-1")


def test_contacts_come_and_go(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First all who consent, then what changed and who left, who comes back from the archive."""
    root = make_project(tmp_path, sandbox.url, rows=4, text=SHOP)
    assert run(root, "mirror")["rows"]["delivered"] == 4
    contacts = sandbox.app.intercom.contacts
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 3")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    ended = run(root, "mirror")
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 1)
    assert [c["external_id"] for c in contacts.values() if c["archived"]] == ["u1"]
    assert run(root, "mirror")["status"] == "no_changes"
    change(root, "UPDATE people SET ads = TRUE WHERE id = 1")
    assert run(root, "mirror")["rows"]["delivered"] == 1
    assert not [c for c in contacts.values() if c["archived"]]
    assert len(contacts) == 4
    kept = b"".join(p.read_bytes() for p in (root / ".mayfly").rglob("*") if p.is_file())
    assert b"token-1" not in kept
    assert b"p3@example.com" not in kept


def test_what_people_said_is_told(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A refusal is written, and a yes does not take it back."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 0")
    assert run(root, "said")["rows"]["delivered"] == 2
    held = {c["external_id"]: c["subscriptions"] for c in sandbox.app.intercom.members({})}
    assert held == {"u0": {"92"}, "u1": set()}
    change(root, "UPDATE people SET ads = TRUE WHERE id = 0")
    assert run(root, "said")["rows"]["unconfirmed"] == 1
    assert held["u0"] == {"92"}


def test_a_tag_is_an_audience(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Who leaves stays a contact; a tag that was deleted is filled anew."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=SHOP)
    assert run(root, "vip")["rows"]["delivered"] == 3
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    assert run(root, "vip")["rows"]["removed"] == 1
    vendor = sandbox.app.intercom
    members = {c["external_id"] for c in vendor.members({"audience": "VIP"})}
    assert (members, len(vendor.contacts)) == ({"u0", "u2"}, 3)
    vendor.tags.clear()
    for contact in vendor.contacts.values():
        contact["tags"] = set()
    assert run(root, "vip")["rows"]["delivered"] == 2
    told = approved(root).test("inbox", sync="vip", rows=2)
    assert (told["ok"], told["left"]) == (True, 0)
    assert len(vendor.members({"audience": "VIP"})) == 2


def test_a_sync_of_a_purpose_cannot_tell_who_refuses_it(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """They would not be sent."""
    text = SHOP.replace("subscriptions: {news:", "subscriptions: {ads:").replace(
        "    mapping: {external_id: external_id, subscription.news: news}",
        "    purpose: ads\n    mapping: {external_id: external_id, subscription.ads: news}",
    )
    root = make_project(tmp_path, sandbox.url, rows=2, text=text)
    ended = run(root, "said")
    assert (ended["status"], ended["error"]["code"]) == ("failed", "refusals_kept_back")
