"""Events at Meta as a person sees them: orders of a warehouse, consent, refusals, tries."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import approved, change, get, ran
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer

SHOP = """version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  orders:
    source: shop
    table: orders
    primary_key: [id]
    columns:
      id: {}
      kind: {}
      made: {}
      email: {class: email}
      born: {class: date_of_birth}
      agent: {class: user_agent}
      total: {}
      currency: {}
      no_sale: {}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  conversions:
    type: meta_conversions
    dataset_id: "4242"
    access_token: env:META_TOKEN
    action_source: physical_store
    full_use: [ads]
    test_event_code: TEST1
    endpoint: "URL"
syncs:
  orders_to_meta:
    id: orders_to_meta
    model: orders
    destination: conversions
    mode: append
    purpose: ads
    mapping:
      event_name: kind
      event_time: made
      event_id: id
      em: email
      db: born
      client_user_agent: agent
      value: total
      currency: currency
      limited_data_use: no_sale
"""
ORDERS = """
CREATE TABLE orders AS SELECT
  'order-' || i AS id, 'Purchase' AS kind, now() - INTERVAL 1 HOUR AS made,
  ' P' || i || '@Example.com' AS email, DATE '1990-12-31' AS born,
  CASE WHEN i = 2 THEN 'Mozilla/5.0 (X11; Linux x86_64)' WHEN i = 3 THEN chr(10) END AS agent,
  (10.5 + i)::DECIMAL(10, 2) AS total, 'EUR' AS currency, i = 1 AS no_sale, i <> 4 AS ads
FROM range(6) AS r(i)
"""


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("META_TOKEN", "t0ken")


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Six orders, of which one is of somebody who did not agree."""
    change(tmp_path, ORDERS)
    (tmp_path / "mayfly.yml").write_text(SHOP.replace("URL", sandbox.url), encoding="utf-8")
    initialise(tmp_path)
    return approved(tmp_path)


def taken(sandbox: SandboxServer) -> dict[str, dict[str, Any]]:
    """Events of the dataset, by their ids."""
    events = sandbox.app.datasets.events.get("4242", {})
    return {event["event_id"]: event for event in events.values()}


def test_limited_use_is_asked_for_by_what_each_said(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Of a purpose of its own, from a consent table: full use for who granted it, and no other."""
    change(
        tmp_path,
        ORDERS,
        "CREATE TABLE consents AS SELECT 'order-' || i AS person, 'full' AS about, "
        "CASE WHEN i < 2 THEN 'given' ELSE 'refused' END AS said, "
        "TIMESTAMP '2026-01-01' AS told_at FROM range(3) AS r(i)",
    )
    table = (
        "      full: {table: {name: consents, subject: person, purpose: about, state: said, "
        "granted: [given], time: told_at}}\n"
    )
    text = SHOP.replace("    consent:\n", f"    consent:\n{table}")
    text = text.replace("limited_data_use: no_sale", "limited_data_use: consent.full")
    (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url), encoding="utf-8")
    initialise(tmp_path)
    assert ran(approved(tmp_path))["status"] == "succeeded"
    asked = {n: event["data_processing_options"] for n, event in taken(sandbox).items()}
    granted = {"order-0", "order-1"}
    assert {n for n, options in asked.items() if options == []} == granted
    assert {n for n, options in asked.items() if options == ["LDU"]} == set(asked) - granted


def test_orders_go_out_once_and_those_without_consent_never(
    project: Project, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Hashed by Meta's rules; what was sent stays, and a changed order is no other one."""
    [planned] = project.plan().to_dict()["syncs"]
    assert (planned["rows"]["added"], planned["rows"]["withheld_consent"]) == (5, 1)
    first = ran(project)
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 5)
    events = taken(sandbox)
    assert set(events) == {f"order-{n}" for n in (0, 1, 2, 3, 5)}
    assert events["order-0"]["user_data"] == {
        "em": [hashlib.sha256(b"p0@example.com").hexdigest()],
        "db": [hashlib.sha256(b"19901231").hexdigest()],
    }
    assert events["order-2"]["user_data"]["client_user_agent"] == "Mozilla/5.0 (X11; Linux x86_64)"
    assert "client_user_agent" not in events["order-3"]["user_data"]
    assert events["order-5"]["custom_data"] == {"value": 15.5, "currency": "EUR"}
    limited = [name for name, e in events.items() if e["data_processing_options"] == ["LDU"]]
    assert limited == ["order-1"]
    change(
        tmp_path,
        "UPDATE orders SET total = 99 WHERE id = 'order-0'",
        "UPDATE orders SET ads = FALSE WHERE id = 'order-1'",
        "DELETE FROM orders WHERE id = 'order-2'",
        "INSERT INTO orders SELECT 'order-9', * EXCLUDE (id) FROM orders WHERE id = 'order-0'",
    )
    assert ran(project)["rows"]["delivered"] == 1
    assert set(taken(sandbox)) == {f"order-{n}" for n in (0, 1, 2, 3, 5, 9)}
    assert ran(project)["status"] == "no_changes"
    sent = json.dumps(get(f"{sandbox.url}/_sandbox/requests"))
    assert "@" not in sent
    assert "t0ken" not in sent


@pytest.mark.slow
def test_one_wrong_order_keeps_none_of_the_others_back(
    project: Project, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Too old: known here. Refused there: found by halving. Both are told by their keys."""
    change(tmp_path, "UPDATE orders SET made = made - INTERVAL 70 DAY WHERE id = 'order-0'")
    sandbox.app.datasets.bad.add(("Purchase", "order-3"))
    sandbox.app.faults.add({"path": "/v26.0/4242/events", "kind": "503"})
    first = ran(project)
    assert (first["rows"]["delivered"], first["rows"]["rejected"]) == (3, 2)
    told = {(r["reason"], r["vendor"]) for r in project.rejected("orders_to_meta")["reasons"]}
    assert told == {("event_too_old", None), ("row_refused", "meta_100")}
    assert ran(project)["rows"]["rejected"] == 0


def test_a_try_counts_as_no_event(project: Project, tmp_path: Path, sandbox: SandboxServer) -> None:
    """Its events carry the test code; without one nothing is tried."""
    document = project.test("conversions", rows=2)
    assert document["ok"], document
    assert document["sent"]["rows"]["delivered"] == 2
    assert taken(sandbox) == {}
    first, second = sandbox.app.datasets.tests["4242"]
    assert first["event_name"] == "MayflyTest"
    assert first["event_id"] != second["event_id"]
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("    test_event_code: TEST1\n", ""))
    document = approved(tmp_path).test("conversions", rows=2)
    assert document["sent"]["error"]["code"] == "no_test_event_code"
    assert len(sandbox.app.datasets.tests["4242"]) == 2


@pytest.mark.slow
def test_a_purpose_that_covers_less_limits_the_use_of_all(
    tmp_path: Path, project: Project, sandbox: SandboxServer
) -> None:
    """And a sync that leaves out what every event needs is refused with its name."""
    path = tmp_path / "mayfly.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("full_use: [ads]", "full_use: []"), encoding="utf-8")
    assert ran(load(tmp_path))["error"]["code"] == "approval_changed"
    assert ran(approved(tmp_path))["rows"]["delivered"] == 5
    assert all(e["data_processing_options"] == ["LDU"] for e in taken(sandbox).values())
    path.write_text(text.replace("      event_id: id\n", ""), encoding="utf-8")
    [planned] = load(tmp_path).plan().to_dict()["syncs"]
    [refusal] = planned["refusals"]
    assert refusal["code"] == "missing_field"
    assert "event_id" in refusal["message"]


@pytest.mark.slow
def test_events_wait_sealed_while_meta_is_away(
    tmp_path: Path, project: Project, sandbox: SandboxServer
) -> None:
    """What was tried before is asked about; those of who withdrew meanwhile do not go."""
    sandbox.app.faults.add({"path": "/v26.0/4242/events", "kind": "503", "count": 50})
    held = ran(project)
    assert (held["status"], held["rows"]["held"]) == ("held", 5)
    for path in (tmp_path / ".mayfly").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert hashlib.sha256(b"p0@example.com").hexdigest().encode() not in content
            assert hashlib.sha256(b"p0@example.com").digest() not in content
    sandbox.app.faults.planned.clear()
    change(
        tmp_path,
        "UPDATE orders SET ads = FALSE WHERE id = 'order-1'",
        "INSERT INTO orders SELECT 'order-9', * EXCLUDE (id) FROM orders WHERE id = 'order-0'",
    )
    assert ran(project)["status"] == "in_doubt"
    drained = ran(project, in_doubt="resend")
    assert drained["status"] == "succeeded"
    assert set(taken(sandbox)) == {f"order-{n}" for n in (0, 2, 3, 5, 9)}
    assert ran(project)["status"] == "no_changes"


@pytest.mark.slow
def test_a_list_has_no_shape_and_is_refused_before_a_row_is_read(
    tmp_path: Path, project: Project, sandbox: SandboxServer
) -> None:
    """As is a column of bytes; the plan says which column it is."""
    change(
        tmp_path,
        "ALTER TABLE orders ADD COLUMN items VARCHAR[]",
        "ALTER TABLE orders ADD COLUMN kinds BLOB",
    )
    path = tmp_path / "mayfly.yml"
    text = path.read_text(encoding="utf-8").replace("no_sale: {}", "no_sale: {}\n      items: {}")
    text = text.replace("items: {}", "items: {}\n      kinds: {}")
    more = "currency: currency\n      content_ids: items\n      content_type: kinds"
    path.write_text(text.replace("currency: currency", more), encoding="utf-8")
    [planned] = load(tmp_path).plan().to_dict()["syncs"]
    told = [(r["code"], r["column"]) for r in planned["refusals"] if r["code"] == "no_text"]
    assert told == [("no_text", "items"), ("no_text", "kinds")]
    assert ran(load(tmp_path))["status"] == "refused"
