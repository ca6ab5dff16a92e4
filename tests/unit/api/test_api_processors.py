"""What `mayfly processors` says of the register."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import mayfly.api
from mayfly.api.network import network_findings
from mayfly.api.processors import processor_findings
from mayfly.bootstrap import initialise
from mayfly.bootstrap.register import operator_hosts
from mayfly.config.load import load_project
from mayfly.domain.errors import UsageError
from mayfly.domain.processors import canonical
from mayfly.services.events import ReviewsOverdue

JSON = Path(__file__).parents[3] / "docs/reference/json"
PROJECT = """version: 1
workspace: {name: shop}
destinations:
  crm: {type: sqlite, path: crm.db, kind: internal, owner: care, reason: they answer customers}
processors:
  cloud:
    legal_name: Cloud Ltd
    address: Dublin, Ireland
    contact: privacy@cloud.example
    purpose: Hosting
    data_categories: [user.contact.email]
    locations: [IE]
    hosts: ["*.cloud.example"]
    status: active
    announced: 2026-01-01
    effective: 2026-02-01
    dpa: {reference: DPA-1, version: "1", signed: 2026-01-15}
  later:
    kind: affiliate
    legal_name: Later GmbH
    address: Berlin
    contact: privacy@later.example
    purpose: Support
    data_categories: [user]
    locations: [US]
    parent: cloud
    status: announced
    announced: 2026-01-01
    effective: 2126-02-01
    objection_deadline: 2126-01-20
    transfer: {mechanism: scc, assessment: TIA-1, date: 2026-01-01}
    security: {report: SOC 2, date: 2026-01-01, next_due: 2026-01-02}
"""


@pytest.fixture
def project(tmp_path: Path) -> mayfly.api.Project:
    """An initialised one with two entries."""
    (tmp_path / "mayfly.yml").write_text(PROJECT, "utf-8")
    initialise(tmp_path)
    return mayfly.api.load(tmp_path)


def valid(name: str, document: object) -> None:
    """As its schema says."""
    Draft202012Validator(json.loads((JSON / f"{name}.schema.json").read_text())).validate(document)


def test_the_lists_stand_apart_and_say_who_is_engaged(project: mayfly.api.Project) -> None:
    """And recipients beside them; in the form of the schema."""
    document = project.processors()
    valid("processors", document)
    [cloud], [later], [crm] = (document[k] for k in ("infrastructure", "affiliates", "recipients"))
    assert (cloud["engaged"], cloud["reason"], cloud["review_overdue"]) == (True, "", True)
    assert (later["engaged"], later["reason"]) == (False, "its status is announced")
    assert (crm["legal_name"], crm["decides"]) == ("care", None)
    assert document["ai"] == []


def test_one_is_shown_or_named_as_unknown(project: mayfly.api.Project) -> None:
    """Everything of it, or the names that there are."""
    valid("processors", project.processor("later"))
    [entry] = project.processor("later")["affiliates"]
    assert entry["transfer"] == {"mechanism": "scc", "assessment": "TIA-1", "date": "2026-01-01"}
    with pytest.raises(UsageError) as refused:
        project.processor("nobody")
    assert (refused.value.code, refused.value.hint) == (
        "unknown_processor",
        "The register has: cloud, later.",
    )


def test_what_is_archived_is_the_published_form(project: mayfly.api.Project) -> None:
    """The bytes whose digest is shown are a document of the register's schema."""
    valid("register", json.loads(canonical(project.app.project.processors)))


MAIL = """alerts:
  ops: {type: mail, host: smtp.mail.example, sender: a@shop.example, to: [b@shop.example]}
"""
SYNC = """sources:
  shop: {type: sqlite, path: shop.db, state: local}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, ok: {}}
    consent:
      service: {column: ok, equals: 1, lawful_basis: contract}
syncs:
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: upsert
    table: people
    key: [id]
    purpose: service
    mapping: {id: id}
"""


def made(folder: Path, text: str) -> mayfly.api.Project:
    """A project of this text, with a table in its source."""
    (folder / "mayfly.yml").write_text(text, "utf-8")
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, ok INTEGER)")
    initialise(folder)
    return mayfly.api.load(folder)


REGISTERED = PROJECT.replace("*.cloud.example", "*.mail.example")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (PROJECT, ["processor_unregistered"]),
        (REGISTERED.replace("status: active", "status: announced"), ["processor_not_active"]),
        (REGISTERED, []),
        (PROJECT.partition("processors:")[0], []),
    ],
)
def test_who_is_not_engaged_cannot_be_planned(tmp_path: Path, text: str, codes: list[str]) -> None:
    """With a register, every host of the operator's has somebody active; without, doctor says so.

    In process the same hosts are the only ones: see the tests of the egress guard.
    """
    project = made(tmp_path, text + MAIL + SYNC)
    [plan] = project.plan().to_dict()["syncs"]
    told = [r["code"] for r in plan["refusals"]]
    assert [code for code in told if code.startswith("processor_")] == codes
    document = project.check_processors()
    valid("processors", document)
    assert document["uses"] == [{"what": "alerts.ops", "host": "smtp.mail.example"}]
    assert [r["code"] for r in document["refusals"]] == codes
    without = "processors:" not in text
    syncless = made(tmp_path, text + MAIL)
    found = {f["code"] for f in processor_findings(syncless.app)}
    assert found - {"review_overdue"} == ({"not_enforced"} if without else set(codes))
    found = {f["code"] for f in processor_findings(project.app)}
    assert found - {"review_overdue"} == ({"not_enforced"} if without else set())


def test_hosts_of_the_operator_are_of_all_its_parts(tmp_path: Path) -> None:
    """Keys, spool, store, anchors, alerts; neither the customer's own nor this machine's."""
    text = """version: 1
workspace: {name: shop, residency: {provider: aws, region: eu-west-1}}
keys: {provider: aws_kms, key_id: alias/shop, region: eu-west-1}
spool: {type: s3, bucket: shop-held, region: eu-west-1}
store: {url: "postgresql+psycopg://db.example:5432/mayfly"}
anchors: {audit: {type: webhook, url: "https://audit.example/hook", secret: env:NOTHING}}
alerts:
  chat: {type: slack, url: env:NOTHING_EITHER}
  here: {type: webhook, url: "http://127.0.0.1:9/hook", secret: env:NOTHING}
sources:
  shop: {type: postgres, dsn: env:DSN}
"""
    (tmp_path / "mayfly.yml").write_text(text, "utf-8")
    found = {(u.what, u.host) for u in operator_hosts(load_project(tmp_path))}
    assert {
        ("keys", "kms.eu-west-1.amazonaws.com"),
        ("spool", "s3.eu-west-1.amazonaws.com"),
        ("store", "db.example"),
        ("anchors.audit", "audit.example"),
        ("alerts.chat", "hooks.slack.com"),
    } <= found
    assert {what.partition(".")[0] for what, _ in found} == {
        *("keys", "spool", "store", "anchors", "alerts")
    }
    assert not {host for _, host in found if host.startswith(("127.", "169.254."))}


def test_a_review_that_is_late_is_an_event_of_every_sweep(tmp_path: Path) -> None:
    """With how many there are, so that a channel is told and told again when there are none."""
    told: list[object] = []
    project = made(tmp_path, PROJECT)
    project.app.tell = told.append
    project.sweep()
    assert ReviewsOverdue(target="dev", overdue=1) in told


def test_the_outer_list_is_made_of_the_project_s_hosts(tmp_path: Path) -> None:
    """Addresses from a file alone: nothing is looked up unless somebody asks."""
    project = made(tmp_path, PROJECT + MAIL)
    without = project.network_policy("nftables")
    valid("network-policy", without)
    assert (without["ok"], without["unknown"]) == (False, ["smtp.mail.example"])
    file = tmp_path / "addresses"
    file.write_text("smtp.mail.example 192.0.2.9\n", "utf-8")
    for form in ("kubernetes", "nftables"):
        document = project.network_policy(form, addresses=file)  # type: ignore[arg-type]
        valid("network-policy", document)
        assert document["ok"]
        assert "192.0.2.9" in document["policy"]
    file.write_text("smtp.mail.example here\n", "utf-8")
    with pytest.raises(UsageError, match="line 1"):
        project.network_policy("nftables", addresses=file)


def test_an_open_network_is_noticed(tmp_path: Path) -> None:
    """A server that answers though nothing names it; one that does not is what is wanted."""
    assert [f["code"] for f in network_findings(made(tmp_path, PROJECT).app)] == ["outer_untested"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"{PROJECT}processing: {{probe: '127.0.0.1:{port}'}}\n"
        app = made(tmp_path, text).app
        assert [f["code"] for f in network_findings(app)] == ["outer_open"]
    assert network_findings(app) == []


def test_an_approver_signs_ai_at_global(tmp_path: Path) -> None:
    """What waits is shown in the form of the schema, and once it was signed, by whom."""
    text = PROJECT.replace("{name: shop}", "{name: shop, ai: global}").replace("affiliate", "ai")
    project = made(tmp_path, text)
    waits = project.ai_transfer()
    valid("approve", waits)
    assert (waits["ai"]["waits"], waits["ai"]["processors"][0]["name"]) == (True, "later")
    signed = project.ai_transfer(accept=True, actor="ada")
    valid("approve", signed)
    assert (signed["ai"]["waits"], signed["ai"]["actor"]) == (False, "ada")
    recorded = [e.operation for e in project.app.ledger.entries()]
    assert "approve.ai" in recorded
