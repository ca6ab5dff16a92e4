"""Events at TikTok as a person sees them: orders of a warehouse, consent, and a try."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import approved, get
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
      phone: {class: phone, default_country: FR}
      address: {class: ip_address}
      total: {}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  tiktok:
    type: tiktok_events
    event_source: offline
    event_source_id: C4A5
    access_token: env:TIKTOK_TOKEN
    full_use: []
    test_event_code: TEST1
    endpoint: "URL"
syncs:
  orders_to_tiktok:
    id: orders_to_tiktok
    model: orders
    destination: tiktok
    mode: append
    purpose: ads
    mapping: {event: kind, event_time: made, event_id: id, phone: phone, ip: address, value: total}
"""
ORDERS = """CREATE TABLE orders AS SELECT
  'order-' || i AS id, 'Purchase' AS kind, (epoch(now()) - 60)::BIGINT AS made,
  '06 39 98 00 0' || i AS phone, '192.0.2.' || i AS address, 10.5 + i AS total, i <> 4 AS ads
FROM range(6) AS r(i)"""


def test_limited_use_is_asked_for_by_what_each_said(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a purpose of its own, by column: full use for who granted it; a no, nothing said, and an
    answer that nobody declared are limited.
    """
    monkeypatch.setenv("TIKTOK_TOKEN", "t0ken")
    said = "CASE i WHEN 0 THEN 'yes' WHEN 1 THEN 'no' WHEN 2 THEN 'Yes' END AS said"
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(ORDERS.replace(" AS ads\n", f" AS ads, {said}\n"))
    text = SHOP.replace(
        "    consent:\n", "    consent:\n      full: {column: said, equals: 'yes'}\n"
    )
    text = text.replace("value: total}", "value: total, limited_data_use: consent.full}")
    text = text.replace("full_use: []", "full_use: [ads]").replace("URL", sandbox.url)
    (tmp_path / "mayfly.yml").write_text(text, encoding="utf-8")
    initialise(tmp_path)
    [done] = approved(tmp_path).run().to_dict()["syncs"]
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 5)
    events = {e["event_id"]: e for e in sandbox.app.tiktok_events.events["C4A5"].values()}
    assert {n: e["limited_data_use"] for n, e in events.items()} == {
        f"order-{n}": n != 0 for n in (0, 1, 2, 3, 5)
    }


def test_orders_go_out_once_and_those_without_consent_never(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phones hashed with their plus; one wrong order keeps none back; a try is apart."""
    monkeypatch.setenv("TIKTOK_TOKEN", "t0ken")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(ORDERS)
    (tmp_path / "mayfly.yml").write_text(SHOP.replace("URL", sandbox.url), encoding="utf-8")
    initialise(tmp_path)
    project = approved(tmp_path)
    vendor = sandbox.app.tiktok_events
    vendor.bad = {("Purchase", "order-3")}
    assert project.test("tiktok", rows=2)["ok"]
    assert (len(vendor.tests["C4A5"]), vendor.events) == (2, {})
    sandbox.app.faults.add({"path": "/open_api/v1.3/event/track/", "kind": "429"})
    [first] = project.run().to_dict()["syncs"]
    assert (first["rows"]["delivered"], first["rows"]["rejected"]) == (4, 1)
    events = {e["event_id"]: e for e in vendor.events["C4A5"].values()}
    assert set(events) == {f"order-{n}" for n in (0, 1, 2, 5)}
    assert events["order-1"]["user"] == {
        "phone": hashlib.sha256(b"+33639980001").hexdigest(),
        "ip": "192.0.2.1",
    }
    assert events["order-1"]["properties"] == {"value": 11.5}
    assert events["order-1"]["limited_data_use"] is True
    [again] = project.run().to_dict()["syncs"]
    assert again["status"] == "no_changes"
    sent = json.dumps(get(f"{sandbox.url}/_sandbox/requests"))
    assert "06 39" not in sent
    assert "t0ken" not in sent
