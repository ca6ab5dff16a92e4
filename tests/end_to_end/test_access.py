"""`mayfly access`: what concerns a person, told once and kept nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.holding import come_back, leave, verified
from end_to_end.test_erase import ADA, ADDRESS, Shop, make_shop, traces
from mayfly.api import Project
from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.server import SandboxServer

LINE = json.dumps({"kind": "email", "value": f" {ADDRESS.upper()} "}).encode()
KEY = json.dumps({"kind": "primary_key", "value": ADA}).encode()
NOBODY = json.dumps({"kind": "email", "value": "nobody@example.com"}).encode()
DOCUMENT = {
    "regulation": "gdpr",
    "subject_request_id": "b2f5ff47-436e-4c2a-9c5e-0d4b1f2a3c4d",
    "subject_request_type": "portability",
    "submitted_time": "2026-01-31T10:00:00Z",
    "subject_identities": [
        {"identity_type": "email", "identity_value": ADDRESS, "identity_format": "raw"}
    ],
}


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)])
def shop(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    tmp_path: Path,
) -> Shop:
    """Twenty people in a source that is written, or is not."""
    monkeypatch.setenv("META_TOKEN", "t0ken")
    return make_shop(tmp_path / "shop", sandbox.url, people=20, local=request.param)


def persons(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each sync has of the person."""
    return {sync["sync"]: sync["person"] for sync in document["syncs"]}


def written(project: Project) -> list[list[tuple[Any, ...]]]:
    """All that the store holds, but for what each act notes of the time."""
    return [
        list(project.app.store.erasures()),
        list(project.app.store.runs(100)),
        project.app.store.suppression_digests().to_pylist(),
    ]


def test_a_person_is_told_who_has_what_since_when(shop: Shop, sandbox: SandboxServer) -> None:
    """Recipients, fields, rules, consent and times; the store is as it was before."""
    project = shop.open()
    project.run("to_meta", "to_crm")
    shop.execute(f"UPDATE people SET ads = FALSE WHERE id = {ADA}")
    before = written(project)
    document = project.access(LINE)
    assert written(project) == before
    assert document["ok"]
    assert (document["suppressed"], document["requests"]) == (False, [])
    meta, crm, drop = document["syncs"]
    assert (meta["recipient"], meta["purpose"]) == ("Meta Platforms Ireland Ltd", "ads")
    assert (crm["recipient"], crm["lawful_basis"]) == ("care", "consent")
    [field] = meta["fields"]
    assert (field["field"], field["column"], field["leaves"]) == ("EMAIL", "email", "hashed")
    assert {f["field"]: f["leaves"] for f in crm["fields"]} == dict.fromkeys(
        ("id", "email", "city"), "clear"
    )
    person = meta["person"]
    assert person["consent"] == {"granted": 0, "refused": 1, "unknown": 0}
    assert (person["at_destination"], person["present_rows"]) == ("present", 1)
    assert person["identifiers"] == [{"field": "EMAIL", "count": 1}]
    assert person["first_delivery"] == person["last_delivery"] is not None
    assert drop["person"]["at_destination"] == "never_sent"
    assert ADDRESS not in json.dumps(document)
    assert traces(shop.root) == []
    [receipt] = [e for e in project.app.ledger.entries() if e.type == "access"]
    assert (receipt.reason, receipt.rows) == (f"access/{document['request']}/answered", 3)
    assert verified(shop.root) == (0, 0, 0)


@pytest.mark.slow
def test_who_left_is_absent_and_nobody_is_nowhere(shop: Shop) -> None:
    """The next run takes the person out; what was delivered once is told still."""
    project = shop.open()
    project.run("to_meta")
    shop.execute(f"UPDATE people SET ads = FALSE WHERE id = {ADA}")
    project.run("to_meta")
    person = persons(project.access(KEY))["to_meta"]
    assert (person["at_destination"], person["absent_rows"]) == ("absent", 1)
    assert all(
        p["model_rows"] == 0 and p["at_destination"] == "never_sent"
        for p in persons(project.access(NOBODY)).values()
    )


@pytest.mark.slow
def test_what_waits_sealed_and_what_is_asked_for_is_told(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """With the day on which it is gone at the latest; an erasure that is open is named."""
    project = shop.open()
    project.run("to_crm")
    leave(sandbox)
    project.run("to_meta")
    [held] = project.app.spool().held()
    [sealed] = persons(project.access(LINE))["to_meta"]["sealed"]
    assert (sealed["batch"], sealed["rows"]) == (held.batch, 1)
    assert persons(project.access(NOBODY))["to_meta"]["sealed"] == []
    request = project.erase(LINE)["request"]
    document = project.access(LINE)
    assert document["suppressed"]
    assert [r["request"] for r in document["requests"]] == [request]
    assert persons(document)["to_meta"]["sealed"] == []
    come_back(sandbox)


@pytest.mark.slow
def test_the_command_takes_a_document_and_keeps_no_value(shop: Shop) -> None:
    """Its id is the request's; a document that asks for an erasure is refused."""
    shop.open().run("to_crm")
    words = ["access", "--project", str(shop.root)]
    done = CliRunner().invoke(app, words, input=json.dumps(DOCUMENT).encode())
    assert done.exit_code == 0, done.output
    assert str(DOCUMENT["subject_request_id"]) in done.output
    assert "email leaves as EMAIL: hashed" in done.output
    assert ADDRESS not in done.output
    with pytest.raises(ConfigError, match="bad_request"):
        shop.again().access(json.dumps(DOCUMENT | {"subject_request_type": "erasure"}).encode())
    with pytest.raises(ConfigError, match="bad_request"):
        shop.again().erase(json.dumps(DOCUMENT).encode())


@pytest.mark.slow
def test_what_cannot_be_looked_at_is_said(shop: Shop) -> None:
    """Its source is away: the other syncs are told, and the answer is not whole."""
    project = shop.open()
    project.run("to_crm")
    shop.execute("ALTER TABLE people RENAME COLUMN city TO town")
    done = CliRunner().invoke(app, ["access", "--project", str(shop.root)], input=LINE)
    assert done.exit_code == 1
    assert "not looked at [column_missing]" in done.output
