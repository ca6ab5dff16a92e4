"""From a DuckDB file to a receiver of webhooks, whose signatures a library of others verifies."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import pytest
from standardwebhooks.webhooks import Webhook

from end_to_end.projects import approved, get, make_project
from mayfly.api import load
from mayfly.sandbox.server import SandboxServer

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
SHOP = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {rule: RULE}, email: {class: email}, city: {values: [Lyon, Nice]}}
    consent:
      ads: {column: ads, equals: true, constant: all agreed}
destinations:
  own: {type: webhook, OWNED url: "URL/webhook/own", secret: env:WEBHOOK_SECRET}
syncs:
  mirror:
    id: mirror
    model: people
    destination: own
    mode: MODE
    key: [id]
    purpose: ads
    mapping: {id: id, city: city MORE}
  log:
    id: log
    model: people
    destination: own
    mode: append
    on_outage: replan
    purpose: ads
    mapping: {id: id, city: city}
"""
INTERNAL = (
    SHOP.replace("OWNED", "kind: internal, owner: data, reason: our own,")
    .replace("MORE", ", email: email")
    .replace("MODE", "mirror")
    .replace("{rule: RULE}", "{}")
)
EXTERNAL = (SHOP.replace("OWNED", "").replace("MORE", "").replace("MODE", "upsert")).replace(
    "RULE", "pseudonym"
)


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    library = Webhook(SECRET)
    sandbox.app.webhook.verify = lambda body, headers: library.verify(body, dict(headers))


def change(root: Path, statement: str) -> None:
    """In the warehouse."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(statement)


def run(root: Path, sync: str) -> dict[str, Any]:
    """How a run of one sync ended."""
    ended: dict[str, Any] = approved(root).run(sync).to_dict()["syncs"][0]
    return ended


def fault(sandbox: SandboxServer, kind: str, count: int) -> None:
    """Of the next messages."""
    body = json.dumps({"path": "/webhook/", "kind": kind, "count": count}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def test_a_mirror_at_the_own_address(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First all, then what changed and who left, then nothing; a burst of 503 is outlasted."""
    root = make_project(tmp_path, sandbox.url, rows=5, text=INTERNAL)
    fault(sandbox, "503", 2)
    assert run(root, "mirror")["rows"]["delivered"] == 5
    kept = sandbox.app.webhook.rows["mirror"]
    assert kept[3,] == {"id": 3, "city": "Lyon", "email": "p3@example.com"}
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 3")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(root, "DELETE FROM people WHERE id = 2")
    ended = run(root, "mirror")
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 2)
    assert set(kept) == {(0,), (3,), (4,)}
    assert kept[3,]["city"] == "Nice"
    assert run(root, "mirror")["status"] == "no_changes"
    fault(sandbox, "partial_failure", 1)
    change(root, "UPDATE people SET city = 'Nice'")
    assert run(root, "mirror")["rows"]["rejected"] == 1
    [reason] = load(root).rejected("mirror")["reasons"]
    assert (reason["reason"], reason["vendor"]) == ("rejected_by_receiver", "sandbox")


def test_an_append_whose_answer_was_lost_is_there_once(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """It is sent again within the run, and known by its id."""
    root = make_project(tmp_path, sandbox.url, rows=4, text=INTERNAL)
    fault(sandbox, "garbage", 1)
    fault(sandbox, "503", 1)
    ended = run(root, "log")
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", 4)
    change(root, "INSERT INTO people VALUES (9, 'p9@example.com', NULL, 'Nice', TRUE)")
    fault(sandbox, "503", 1)
    assert run(root, "log")["rows"]["delivered"] == 1
    ids = [row["id"] for row in sandbox.app.webhook.inserted["log"]]
    assert 9 in ids
    assert len(ids) == len(set(ids))


def test_a_third_partys_address_gets_pseudonyms(tmp_path: Path, sandbox: SandboxServer) -> None:
    """And is told who withdrew, by the same."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=EXTERNAL)
    assert run(root, "mirror")["rows"]["delivered"] == 3
    kept = sandbox.app.webhook.rows["mirror"]
    assert all(len(row["id"]) == 64 and set(row) == {"id", "city"} for row in kept.values())
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    assert run(root, "mirror")["rows"]["removed"] == 1
    assert len(kept) == 2


def test_another_address_is_approved_anew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """And nothing is sent to it before."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=INTERNAL)
    approved(root)
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace("/webhook/own", "/webhook/other"))
    ended = load(root).run("mirror").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "approval_changed")
    assert get(f"{sandbox.url}/_sandbox/requests") == []


def test_the_secret_is_in_no_file_and_no_message(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Nor are addresses of people in the ledger or the store."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=INTERNAL)
    run(root, "mirror")
    sent = json.dumps(get(f"{sandbox.url}/_sandbox/requests"))
    assert SECRET not in sent
    for path in (root / ".mayfly").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content
            assert b"p1@example.com" not in content
