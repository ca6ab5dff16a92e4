"""Records and the security report of a whole project, made from what it did."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import create_engine, text

from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.domain.errors import UsageError
from mayfly.ledger.verify import verify_ledger, verify_report

SCHEMAS = Path(__file__).parents[3] / "docs/reference/json"
FORBIDDEN = (
    *("fully compliant", "ensures compliance", "anonymous", "impossible", "guaranteed"),
    *("certified", "never stored"),
)
PROJECT = """version: 1
workspace: {name: shop, residency: {transfers: {US: {mechanism: dpf}}}}
organisation: {name: "<script>alert(1)</script> SARL", contact: https://host.example}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  customers:
    source: shop
    table: customers
    primary_key: [id]
    columns: {id: {}, email: {class: email}, city: {}}
    consent:
      service: {column: ok, equals: true, lawful_basis: contract}
destinations:
  crm: {type: duckdb, path: crm.duckdb, kind: internal, owner: Care, reason: they answer}
  meta:
    type: meta_ads
    account_id: "1234567890"
    access_token: env:META_TOKEN
    responsibility: {decides: Shop SAS, lawful_basis: consent}
syncs:
  to_crm:
    id: to_crm
    model: customers
    destination: crm
    mode: mirror
    table: people
    key: [id]
    purpose: service
    mapping: {id: id, email: email}
  vip:
    id: vip
    model: customers
    destination: meta
    mode: audience
    audience: VIP
    purpose: service
    mapping: {EMAIL: email}
"""


@pytest.fixture(scope="module")
def project_that_ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that ran once: three customers, of whom one does not consent."""
    root = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAYFLY_KEYS_DIR", str(root / "keys"))
        folder = root / "project"
        folder.mkdir()
        (folder / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
        with duckdb.connect(str(folder / "shop.duckdb")) as con:
            con.execute(
                "CREATE TABLE customers AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
                "'Paris' AS city, i > 0 AS ok FROM range(3) t(i)"
            )
        initialise(folder)
        project = load(folder)
        project.approve(actor="ops")
        assert project.run("to_crm").ok
        return folder


@pytest.fixture
def ran(project_that_ran: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with its keys."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(project_that_ran.parent / "keys"))
    return project_that_ran


def made(folder: Path, kind: Any, out: Path) -> dict[str, Any]:
    """A report of the project as its JSON, after every form of it was verified, and found to have
    none of the words that promise more than is known.
    """
    document = load(folder).make_report(kind, out)
    key = folder / ".mayfly/ledger/key.pub"
    found: dict[str, Any] = {}
    assert len(document["files"]) == 3
    for file in document["files"]:
        report = verify_report(Path(file["path"]), key)
        assert (report.ok, report.content_sha256) == (True, document["content_sha256"])
        written = Path(file["path"]).read_text(encoding="utf-8").lower()
        assert not [word for word in FORBIDDEN if re.search(rf"\b{word}\b", written)]
        if file["path"].endswith(".json"):
            found = json.loads(Path(file["path"]).read_text(encoding="utf-8"))
    return found


def check(name: str, document: object) -> None:
    """Raise where a document is not as its schema says."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """Figures of a security report by section and id."""
    return {
        f"{s['id']}.{f['id']}": f for s in document["content"]["sections"] for f in s["figures"]
    }


def table(document: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    """One of its tables."""
    [found] = [
        t
        for s in document["content"]["sections"]
        if s["id"] == section
        for t in s["tables"]
        if t["id"] == name
    ]
    return dict(found)


def test_a_record_names_who_and_what_and_has_a_version(ran: Path, tmp_path: Path) -> None:
    """(a) to (d) from the files; the same files say the same, a change is another version, and the
    ledger has both.
    """
    first = made(ran, "record", tmp_path / "a")
    check("record", first)
    content = first["content"]
    assert content["processor"]["name"].endswith("SARL")
    assert content["controllers"][0]["name"] == "not stated by the controller"
    assert [t["country"] for t in content["transfers"]] == ["US"]
    assert {c["recipient"] for c in content["categories"]} >= {"Care"}
    again = made(ran, "record", tmp_path / "b")
    assert (again["version"], again["content"]) == (first["version"], content)
    (ran / "mayfly.yml").write_text(
        PROJECT.replace("organisation:", "controller: {name: Shop SAS}\norganisation:"), "utf-8"
    )
    changed = made(ran, "record", tmp_path / "c")
    (ran / "mayfly.yml").write_text(PROJECT, "utf-8")
    assert changed["version"] == first["version"] + 1
    assert changed["content"]["controllers"][0]["name"] == "Shop SAS"
    lines = (ran / ".mayfly/ledger/entries.jsonl").read_text().splitlines()
    told = [e for e in map(json.loads, lines) if e["reason"].startswith("record/")]
    assert [e["reason"] for e in told] == [
        f"record/{d['content_sha256']}" for d in (first, changed)
    ]
    ledger = ran / ".mayfly/ledger"
    assert verify_ledger(ledger, ledger / "key.pub").ok


def test_recipients_for_the_customers_own_record(ran: Path, tmp_path: Path) -> None:
    """Purposes, people, categories, recipients, limits; what nobody stated is said not to be."""
    document = made(ran, "recipients", tmp_path)
    check("recipients", document)
    by_sync = {a["sync"]: a for a in document["content"]["activities"]}
    assert by_sync["vip"]["responsibility"]["decides"] == "Shop SAS"
    assert by_sync["vip"]["responsibility"]["terms"] == "not stated by the controller"
    assert by_sync["to_crm"]["responsibility"]["lawful_basis"] == "contract"
    assert by_sync["to_crm"]["categories"] == ["email", "none"]
    assert "US" in by_sync["vip"]["countries"]


def test_the_security_report_says_what_happened(ran: Path, tmp_path: Path) -> None:
    """Fourteen sections, each figure with its evidence; nothing of a person in any form."""
    document = made(ran, "security", tmp_path)
    check("security-report", document)
    found = figures(document)
    assert found["retention.customer_data_ended"]["value"] == 1
    assert found["retention.customer_data_over_cap"]["value"] == 0
    assert found["purge.receipts"]["value"] == 1
    assert found["rights.median_days"]["state"] == "empty"
    assert found["access.approved"]["value"] == 2
    assert found["sub_processors.active"]["value"] == 0
    assert found["sub_processors.notices"]["value"] == 0
    assert found["incidents.open"]["value"] == 0
    assert ["approve", 2] in table(document, "access", "acts")["rows"]
    assert found["residency.differs"]["value"] == 0
    assert table(document, "residency", "places")["rows"]
    assert found["security.restore"]["state"] == "unknown"
    assert all(f["evidence"]["where"] for f in found.values())
    rows = {row[0]: row[1:] for row in table(document, "recipients", "rows")["rows"]}
    assert rows["crm"] == [2, 1, 0, 0]
    assert ["to_crm", 2, 0, 1] in table(document, "recipients", "forms")["rows"]
    assert ["vip", 0, 1, 2] in table(document, "recipients", "forms")["rows"]
    for file in tmp_path.iterdir():
        written = file.read_text(encoding="utf-8")
        assert "@example.com" not in written
        assert "Paris" not in written
        if file.suffix == ".html":
            assert "<script" not in written
            assert "&lt;script&gt;alert(1)" in written
        if file.suffix == ".csv":
            assert len({len(row) for row in csv.reader(written.splitlines())}) == 1


def test_evidence_that_is_gone_makes_no_zero(ran: Path, tmp_path: Path) -> None:
    """Runs and requests that the ledger knows and the store has lost are unknown, and so are
    columns of a source that is away.
    """
    store = ran / ".mayfly/store.sqlite"
    kept = {f: f.read_bytes() for f in (store, ran / "shop.duckdb")}
    engine = create_engine(f"sqlite:///{store}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM runs"))
    engine.dispose()
    (ran / "shop.duckdb").unlink()
    try:
        document = made(ran, "security", tmp_path)
    finally:
        for file, data in kept.items():
            file.write_bytes(data)
    rows = {row[0]: row[1:] for row in table(document, "recipients", "rows")["rows"]}
    assert rows["crm"] == [2, None, None, None]
    assert ["vip", None, None, None] in table(document, "recipients", "forms")["rows"]
    [page] = tmp_path.glob("*.html")
    assert page.read_text(encoding="utf-8").count('class="unknown"') >= 4


def test_a_report_replaces_nothing(
    ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one of the same second is refused, and the first stays."""
    project = load(ran)
    now = project.app.clock.now()
    monkeypatch.setattr(project.app.clock, "now", lambda: now)
    project.make_report("security", tmp_path)
    before = {f: f.read_bytes() for f in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="stays as it is"):
        project.make_report("security", tmp_path)
    assert {f: f.read_bytes() for f in tmp_path.iterdir()} == before
