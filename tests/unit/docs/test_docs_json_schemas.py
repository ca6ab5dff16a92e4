"""What the commands print as JSON is what the schemas in the docs say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from dbt_projects import write
from mayfly.cli.commands import app
from mayfly.ledger.entry import Entry, EntryType, format_time
from mayfly.services.events import NAMES
from mayfly.services.hash_values import hash_lines
from mayfly.services.report_erasure import erasure_report
from mayfly.services.report_retention import Period

FOLDER = Path(__file__).parents[3] / "docs/reference/json"
SCHEMAS = sorted(p for p in FOLDER.glob("*.schema.json") if p.name != "project.schema.json")
PROJECT = """version: 1
workspace: {name: shop}
organisation: {name: Host, contact: https://host.example, dpo: Paris}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  customers:
    source: shop
    table: customers
    primary_key: [id]
    columns: {id: {}, email: {class: email}}
    consent:
      service: {column: ok, equals: true, lawful_basis: contract}
destinations:
  crm: {type: duckdb, path: crm.duckdb, kind: internal, owner: care, reason: they answer customers}
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
"""
Call = Callable[..., dict[str, Any]]


def check(name: str, document: object) -> None:
    """Raise where a document is not as its schema says."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)


def open_objects(schema: object) -> list[object]:
    """Objects of a schema that would let unknown fields through."""
    if isinstance(schema, list):
        return [found for item in schema for found in open_objects(item)]
    if not isinstance(schema, dict):
        return []
    closed = schema.get("additionalProperties") is False or schema.get("maxProperties") == 0
    found = [] if schema.get("type") != "object" or closed else [schema]
    return found + [inner for value in schema.values() for inner in open_objects(value)]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command in a small project and gives its one JSON document."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("CREATE TABLE customers (id BIGINT, email VARCHAR, ok BOOLEAN)")
        con.execute("INSERT INTO customers VALUES (1, 'a@example.com', true)")
    monkeypatch.chdir(folder)

    def run(*words: str, text: str | None = None) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--output", "json"], input=text)
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    return run


def test_the_commands_have_schemas() -> None:
    """Each command whose output is described has its file."""
    wanted = (
        "approve bench connect discover doctor hash init plan rejected retry run runs scan status"
    )
    names = {p.name.partition(".")[0] for p in SCHEMAS}
    assert names >= {*wanted.split(), "connect", "keys", "state", "suppress", "validate", "verify"}


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.name)
def test_schemas_are_valid_and_closed(path: Path) -> None:
    """Each is a JSON Schema 2020-12 in which no object takes unknown fields."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert open_objects(schema) == []


def test_a_whole_job_prints_what_the_schemas_say(call: Call) -> None:
    """From init to status, each document is as described, and says that it went well."""
    entry = '{"kind": "email", "value": "b@example.com"}\n'
    steps: list[tuple[str, ...]] = [
        ("init",),
        ("validate",),
        ("discover", "shop"),
        ("approve",),
        ("approve", "to_crm", "--reject"),
        ("approve", "--people"),
        ("approve", "--check"),
        ("approve", "--all"),
        ("map", "to_crm"),
        ("plan",),
        ("doctor",),
        ("doctor", "--grants", "shop"),
        ("test", "crm"),
        ("run",),
        ("run",),
        ("pause", "to_crm"),
        ("status",),
        ("resume", "to_crm"),
        ("status",),
        ("runs",),
        ("rejected", "to_crm"),
        ("retry", "to_crm"),
        ("scan", "mayfly.yml"),
        ("verify", ".mayfly/ledger", "--key", ".mayfly/ledger/key.pub"),
        ("suppress", "list"),
        ("processors", "list"),
        ("report", "retention"),
        ("report", "erasure"),
        ("report", "security", "out"),
        ("report", "record", "out"),
        ("report", "record", "out", "--for", "30.1"),
        ("report", "privacy-page", "privacy.html"),
        ("keys", "versions"),
        ("keys", "rotate"),
        ("keys", "rewrap"),
        ("keys", "destroy", "1", "--yes"),
        ("upgrade", "--check"),
        ("upgrade",),
        ("state", "list"),
        ("state", "drop", "to_crm", "--yes"),
        ("uninstall", "shop", "--yes"),
    ]
    for words in steps:
        document = call(*words)
        check(words[0], document)
        assert document["ok"], words
    for act in ("add", "remove"):
        check("suppress", call("suppress", act, text=entry))
    told = call("access", text=entry)
    check("access", told)
    assert told["ok"]
    erased = call("erase", text=entry)
    assert erased["status"] == "completed"
    for document in (erased, call("erase", "list"), call("erase", "show", erased["request"])):
        check("erase", document)
        assert document["ok"]
    deleted = call("workspace", "delete", "../receipt", "--yes", text="shop\n")
    check("workspace", deleted)
    assert deleted["ok"]


def test_what_is_asked_of_runs_is_described(call: Call) -> None:
    """What one told, and that one which has ended cannot be ended."""
    for act in (["init"], ["approve", "--all"], ["run"]):
        call(*act)
    [run] = call("runs")["runs"]
    told = call("logs", run["run"])
    check("logs", told)
    assert [e["event"] for e in told["events"]][0::5] == ["run_started", "run_ended"]
    with pytest.raises(ValidationError):
        check("logs", told | {"events": [told["events"][0] | {"more": 1}]})
    schema = json.loads((FOLDER / "logs.schema.json").read_text(encoding="utf-8"))
    described = schema["anyOf"][0]["properties"]["events"]["items"]["anyOf"]
    of_runs = {name for kind, name in NAMES.items() if "run" in kind.__dataclass_fields__}
    assert {d["properties"]["event"]["const"] for d in described} == of_runs


@pytest.mark.parametrize("words", [["--from", "2"], ["--entry", "2"]])
def test_proofs_and_what_is_said_of_them_are_described(call: Call, words: list[str]) -> None:
    """A proof is JSON without being asked for it."""
    for act in (["init"], ["approve", "--all"], ["run"]):
        call(*act)
    printed = CliRunner().invoke(app, ["prove", *words]).stdout
    check("prove", json.loads(printed))
    Path("proof.json").write_text(printed, encoding="utf-8")
    asked = "verify", "proof.json", "--key", ".mayfly/ledger/key.pub"
    document = call(*asked, "--proof")
    check("verify", document)
    assert (document["ok"], document["schema"]) == (True, "mayfly/verify-proof/1")
    refused = call(*asked)
    check("verify", refused)
    assert (refused["ok"], refused["schema"]) == (False, "mayfly/verify/1")
    Path("proof.json").write_text("{", encoding="utf-8")
    check("verify", call(*asked, "--proof"))


def test_what_is_said_of_reports_is_described(call: Call) -> None:
    """One that verifies, and one whose signature is gone."""
    call("init")
    [html, *_] = [f["path"] for f in call("report", "record", "out")["files"]]
    asked = "verify", html, "--key", ".mayfly/ledger/key.pub"
    for gone in (False, True):
        if gone:
            Path(f"{html}.sig").unlink()
        document = call(*asked)
        check("verify", document)
        assert (document["ok"], document["schema"]) == (not gone, "mayfly/verify-reports/1")


def test_an_export_of_the_ledger_is_described(call: Call) -> None:
    """It says how many entries were written."""
    call("init")
    document = call("ledger", "export", "audit")
    check("ledger", document)
    assert document == {"schema": "mayfly/ledger/1", "ok": True, "entries": 0}


def test_what_goes_wrong_is_described_too(call: Call) -> None:
    """Refusals of a plan and of a run, faults of project files and findings of a scan."""
    call("init")
    refused = call("plan"), call("run")
    assert refused[0]["syncs"][0]["refusals"]
    check("plan", refused[0])
    check("run", refused[1])
    Path("mayfly.yml").write_text(PROJECT.replace("mode:", "mod:"), encoding="utf-8")
    faulty = call("validate")
    assert faulty["problems"]
    check("validate", faulty)
    Path("list.csv").write_text("c@example.com\n", encoding="utf-8")
    found = call("scan", "list.csv")
    assert found["findings"]
    check("scan", found)


def test_batches_of_an_erasure_report_are_described(call: Call) -> None:
    """One that waits, and one whose key's version is destroyed."""
    call("init")
    known = {"workspace": "w", "sync": "s", "kek_version": "1", "run": "r"}
    kinds = [("held", 0), ("held", 1), ("purged", 1), ("kek_destroyed", None)]
    at = datetime(2026, 3, 1, tzinfo=UTC)
    made = [
        Entry(
            type=EntryType(kind), batch=batch, reason="1", final_at=format_time(at), **known
        ).placed(seq=seq, at=at)
        for seq, (kind, batch) in enumerate(kinds)
    ]
    found = erasure_report(made, period=Period(), now=at)
    assert [b["logical_at"] is None for b in found["batches"]] == [False, True]
    check("report", call("report", "erasure") | found)


def test_hash_lines_are_described() -> None:
    """A digest, a refusal and a line that is no JSON."""
    good = {"platform": "meta", "field": "email", "value": "a@example.com"}
    lines = [json.dumps(good), json.dumps(good | {"value": None}), "{"]
    answers = list(hash_lines(io.BytesIO("\n".join(lines).encode())))
    assert [a["digest"] is None for a in answers] == [False, True, True]
    for answer in answers:
        check("hash", answer)


def test_exposures_are_described(call: Call) -> None:
    """Those of a project over dbt."""
    write(Path())
    found = call("dbt", "exposures")
    check("dbt", found)
    assert len(found["exposures"]) == 1


def test_an_unknown_field_is_noticed(call: Call) -> None:
    """A field that the schema does not know makes it fail: the checks above can fail."""
    document = call("init") | {"more": 1}
    with pytest.raises(ValidationError):
        check("init", document)
