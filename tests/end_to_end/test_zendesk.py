"""From a DuckDB file to Zendesk's sandbox: users, a checkbox as an audience, and who leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.projects import approved, change, make_project, run
from mayfly.api import load
from mayfly.sandbox.server import SandboxServer

SHOP = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    sql: SELECT id, 'u' || id AS external_id, email, 'Person ' || id AS name, city, ads FROM people
    primary_key: [external_id]
    columns: {external_id: {}, email: {class: email}, name: {class: full_name}, city: {}}
    consent:
      ads: {column: ads, equals: true, constant: all agreed}
destinations:
  desk:
    type: zendesk
    kind: internal
    owner: care
    reason: our own
    subdomain: shop
    access_token: env:ZENDESK_TOKEN
    endpoint: "URL"
syncs:
  mirror:
    id: mirror
    model: people
    destination: desk
    mode: mirror
    key: [external_id]
    purpose: ads
    mapping: {external_id: external_id, email: email, name: name, user_fields.plan: city}
  vip:
    id: vip
    model: people
    destination: desk
    mode: audience
    audience: is_vip
    key: [external_id]
    purpose: ads
    mapping: {external_id: external_id, name: name}
"""


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENDESK_TOKEN", "token-1")


def test_users_come_and_go(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First all who consent, then what changed and who left, then nothing."""
    root = make_project(tmp_path, sandbox.url, rows=5, text=SHOP)
    assert run(root, "mirror")["rows"]["delivered"] == 5
    users = sandbox.app.zendesk.users
    assert {u["user_fields"]["plan"] for u in users.values()} == {"Lyon"}
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 3")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(root, "DELETE FROM people WHERE id = 2")
    ended = run(root, "mirror")
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 2)
    assert {u["external_id"] for u in users.values()} == {"u0", "u3", "u4"}
    assert len(sandbox.app.zendesk.gone) == 2
    assert run(root, "mirror")["status"] == "no_changes"
    kept = b"".join(p.read_bytes() for p in (root / ".mayfly").rglob("*") if p.is_file())
    assert b"token-1" not in kept
    assert b"p3@example.com" not in kept


@pytest.mark.slow
def test_a_checkbox_is_an_audience(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Who leaves stays a user; `mayfly test` takes back whom it checked."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=SHOP)
    assert run(root, "vip")["rows"]["delivered"] == 3
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    assert run(root, "vip")["rows"]["removed"] == 1
    vendor = sandbox.app.zendesk
    assert {u["external_id"] for u in vendor.members({"audience": "is_vip"})} == {"u0", "u2"}
    assert len(vendor.users) == 3
    told = approved(root).test("desk", sync="vip", rows=2)
    assert (told["ok"], told["left"]) == (True, 0)
    assert len(vendor.members({"audience": "is_vip"})) == 2


def test_a_mapping_is_proposed(tmp_path: Path, sandbox: SandboxServer) -> None:
    """From the account's own fields."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=SHOP)
    told = load(root).map("mirror")
    assert {"email", "name"} <= {entry["field"] for entry in told["mapping"]}
