"""Runs as a person sees them: real warehouse files, the sandbox, and what is left behind."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, get, make_people, make_project, members
from marks import IN_A_SOAK
from mayfly.api import load
from mayfly.cli.commands import app
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.sandbox.server import SandboxServer
from mayfly.services.scan_paths import scan_paths


def test_a_run_delivers_once_and_then_only_changes(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First everything, then nothing, then what changed, and removals for who left."""
    project = approved(make_project(tmp_path, sandbox.url))
    first = project.run().to_dict()
    assert [s["status"] for s in first["syncs"]] == ["succeeded", "succeeded"]
    assert len(members(sandbox)) == 100
    assert {s["status"] for s in project.run().to_dict()["syncs"]} == {"no_changes"}
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("DELETE FROM people WHERE id < 5")
        connection.execute("UPDATE people SET ads = FALSE WHERE id = 7")
        connection.execute("UPDATE people SET email = 'new@example.com' WHERE id = 9")
    rows = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
    assert rows["to_crm"]["delivered"] == 1
    assert rows["to_crm"]["removed"] == 6
    assert len(members(sandbox)) == 94
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        assert crm.execute("SELECT count(*) FROM people").fetchone() == (94,)
        assert crm.execute("SELECT email FROM people WHERE id = 9").fetchone() == (
            "new@example.com",
        )


@pytest.mark.parametrize("sync", ["to_meta", "to_crm"])
def test_a_plan_reads_its_model_once(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, sync: str
) -> None:
    """A model may be dear, and read twice it may give two answers."""
    project = approved(make_project(tmp_path, sandbox.url))
    assert project.run(sync).exit_code == 0
    compiled = project.app.compile(project.app.project.syncs[sync], run="r")
    assert compiled.spec is not None
    seen: list[str] = []
    for name in ("execute", "table"):
        call = getattr(DuckdbSession, name)

        def noted(self: DuckdbSession, sql: str, call: Any = call) -> Any:
            seen.append(sql)
            return call(self, sql)

        monkeypatch.setattr(DuckdbSession, name, noted)
    project.app.plan_store(compiled).count(compiled.spec, project.app.worker(compiled))
    assert len([sql for sql in seen if 'FROM "people"' in sql]) == 1


def test_an_unapproved_or_changed_sync_is_refused(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Nothing leaves before approval, nor after the mapping changed."""
    root = make_project(tmp_path, sandbox.url)
    ended = load(root).run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "not_approved")
    approved(root)
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace("PHONE: phone}", "PHONE: phone, FN: city}"))
    shown = CliRunner().invoke(app, ["approve", "--project", str(root)])
    waiting = "to_meta: shop.people.city: changed: column FN added"
    lines = shown.stdout.splitlines()
    assert [lines[0], lines[-1]] == [waiting, "Approve with --all, or refuse with --reject."]
    there = "It goes to a third party."
    assert lines[1:-1] == [
        "  new: field: FN, column: city, type: VARCHAR",
        "to_meta: discovered",
        f"  email as EMAIL (email): suggested match. It is declared email. {there}",
        f"  phone as PHONE (phone): suggested match. It is declared phone. {there}",
        f"  city as FN (city): suggested match. The name of column city says city. {there}",
        "to_crm: approved by tester",
    ]
    result = load(root).run("to_meta")
    assert result.exit_code == 3
    assert result.to_dict()["syncs"][0]["error"]["code"] == "approval_changed"
    assert get(f"{sandbox.url}/_sandbox/requests") == [] or not members_exist(sandbox)


def members_exist(sandbox: SandboxServer) -> bool:
    """Whether any audience was made."""
    return bool(get(f"{sandbox.url}/_sandbox/audiences"))


def test_no_consent_binding_no_third_party(tmp_path: Path, sandbox: SandboxServer) -> None:
    """An external sync without a bound purpose is refused when planned."""
    root = make_project(tmp_path, sandbox.url)
    path = root / "mayfly.yml"
    path.write_text(
        path.read_text().replace("    purpose: ads\n    mapping: {EMAIL", "    mapping: {EMAIL")
    )
    plan = load(root).plan("to_meta").to_dict()
    assert "consent_not_bound" in [r["code"] for r in plan["syncs"][0]["refusals"]]


def test_suppression_takes_out_and_keeps_out(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A suppressed person is removed where delivered, and never sent again."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run()
    line = json.dumps({"kind": "email", "value": " P3@example.com "}).encode()
    assert project.suppress("add", [line])["total"] == 1
    rows = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
    assert rows["to_meta"]["suppressed"] == 1
    assert len(members(sandbox)) == 99
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        assert crm.execute("SELECT count(*) FROM people WHERE id = 3").fetchone() == (0,)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "P5@example.com"),
        pytest.param("phone", "+33639980005", marks=IN_A_SOAK),
        pytest.param("primary_key", "5", marks=IN_A_SOAK),
    ],
)
def test_a_person_is_suppressed_by_whatever_names_them(
    tmp_path: Path, sandbox: SandboxServer, kind: str, value: str
) -> None:
    """Before anything went, after it was delivered, and after it changed; nobody else is."""
    project = approved(make_project(tmp_path, sandbox.url, rows=20))
    line = json.dumps({"kind": kind, "value": value}).encode()
    assert project.run("to_meta", "to_crm").exit_code == 0
    assert project.suppress("add", [line])["total"] == 1
    ended = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
    assert {s: r["suppressed"] for s, r in ended.items()} == {"to_meta": 1, "to_crm": 1}
    assert len(members(sandbox)) == 19
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET city = 'Nice'")
    [crm] = [s["rows"] for s in project.run("to_crm").to_dict()["syncs"]]
    assert (crm["delivered"], crm["suppressed"]) == (19, 1)
    with sqlite3.connect(tmp_path / "crm.sqlite") as file:
        assert file.execute("SELECT count(*) FROM people WHERE id = 5").fetchone() == (0,)
    assert project.suppress("remove", [line])["total"] == 0
    assert [s["rows"]["delivered"] for s in project.run().to_dict()["syncs"]] == [1, 1]


def test_a_suppressed_phone_is_known_by_its_digest(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Also where the warehouse holds digests alone, as Meta takes them."""
    root = make_project(tmp_path, sandbox.url)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(
            "UPDATE people SET phone = sha256('336399800' || lpad(id::VARCHAR, 2, '0'))"
        )
    project = approved(root)
    line = json.dumps(
        {"kind": "phone", "value": "06 39 98 00 03", "default_country": "FR"}
    ).encode()
    assert project.suppress("add", [line])["total"] == 1
    rows = project.run("to_meta").to_dict()["syncs"][0]["rows"]
    assert (rows["suppressed"], rows["delivered"]) == (1, 99)


def test_a_mass_change_is_refused_until_accepted(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Losing most of the model does not empty the audience by accident."""
    from mayfly.api import RunRequest

    project = approved(make_project(tmp_path, sandbox.url, rows=1000))
    project.run("to_meta")
    make_people(tmp_path / "shop.duckdb", 100)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "mass_change")
    assert len(members(sandbox)) == 1000
    done = project.run("to_meta", request=RunRequest(accept_removals=900))
    assert done.exit_code == 0
    assert len(members(sandbox)) == 100


def test_duplicate_and_null_keys_are_refused(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A key that is not a key stops the plan, with a count."""
    project = approved(make_project(tmp_path, sandbox.url))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("INSERT INTO people SELECT * FROM people WHERE id = 1")
        connection.execute("INSERT INTO people VALUES (NULL, 'n@example.com', NULL, 'x', TRUE)")
    ended = project.run("to_crm").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "key_null")
    codes = [r["code"] for r in project.plan("to_crm").to_dict()["syncs"][0]["refusals"]]
    assert codes == ["key_null", "key_duplicate"]


def verified(root: Path) -> tuple[int, int, int]:
    """Exit code of `mayfly verify`, and the runs it calls held and unpaired."""
    ledger = root / ".mayfly" / "ledger"
    words = ["verify", str(ledger), "--key", str(ledger / "key.pub"), "--output", "json"]
    result = CliRunner().invoke(app, words)
    report = json.loads(result.output)
    return result.exit_code, report["held"], report["unpaired"]


def test_a_destination_that_stays_away_is_held_and_made_up(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Five 503 answers: held, exit 4, and the ledger verifies and says so; the next run closes,
    plans anew and delivers.
    """
    project = approved(make_project(tmp_path, sandbox.url))
    body = json.dumps({"path": "/*/users", "kind": "503", "count": 5}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()
    result = project.run("to_meta")
    assert result.exit_code == 4
    assert result.to_dict()["syncs"][0]["status"] == "held"
    assert verified(tmp_path) == (0, 1, 0)
    assert project.run("to_meta").exit_code == 0
    assert verified(tmp_path) == (0, 0, 0)
    assert len(members(sandbox)) == 100


def test_a_rejected_row_is_named_by_its_key_in_the_warehouse(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """The query that `mayfly rejected` prints gives the key of the row, and nothing of the row."""
    project = approved(make_project(tmp_path, sandbox.url))
    body = json.dumps({"path": "/*/users", "kind": "partial_failure"}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()
    assert project.run("to_meta").exit_code == 1
    text = CliRunner().invoke(app, ["rejected", "to_meta", "--project", str(tmp_path)]).output
    query = text[text.index("SELECT") : text.index(" (in the warehouse)")]
    with duckdb.connect(str(tmp_path / "shop.duckdb"), read_only=True) as connection:
        [found] = connection.execute(query).fetchall()
        columns = [c[0] for c in connection.description]
    row = dict(zip(columns, found, strict=True))
    assert (row["outcome"], row["reason"]) == ("rejected", "invalid_entry")
    assert (row["key_columns"], row["key_1"].isdigit()) == ("id", True)
    assert not any("example.com" in str(v) for v in found)


def test_dry_run_sends_nothing_and_writes_nothing(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Every row passes the gate, and neither platform nor warehouse sees a change."""
    from mayfly.api import RunRequest

    project = approved(make_project(tmp_path, sandbox.url))
    before = (tmp_path / "shop.duckdb").read_bytes()
    ended = project.run(request=RunRequest(dry_run=True)).to_dict()
    assert [s["rows"]["planned"] for s in ended["syncs"]] == [100, 100]
    assert not members_exist(sandbox)
    assert (tmp_path / "shop.duckdb").read_bytes() == before


def test_nothing_of_a_person_stays_in_what_mayfly_writes(
    tmp_path: Path, sandbox: SandboxServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Marked values in every column are in no file of ours and in no output, even when failing;
    the destination and the warehouse have them, so the scan works.
    """
    project = approved(make_project(tmp_path, sandbox.url))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "UPDATE people SET email = 'mark' || id || '@example.com', city = 'MARKEDCITY'"
        )
    project.run()
    body = json.dumps({"path": "/*/users", "kind": "garbage", "count": 9}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET email = 'mark9' || id || '@example.com'")
    project.run("to_meta")
    marks = ["mark1@example.com", "mark91@example.com", "MARKEDCITY"]
    assert scan_paths([tmp_path / ".mayfly", tmp_path / "approvals.lock"], known_values=marks) == []
    shown = capfd.readouterr()
    assert not any(m in shown.out + shown.err for m in marks)
    assert scan_paths([tmp_path / "crm.sqlite"], known_values=marks)


def test_a_project_that_was_not_initialised_says_so(tmp_path: Path) -> None:
    """Exit 3, and the command to run."""
    (tmp_path / "mayfly.yml").write_text("version: 1\nworkspace: {name: shop}\n")
    with pytest.raises(PolicyError, match="not_initialised"):
        load(tmp_path)


def test_lost_keys_are_never_replaced(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the store here and the keys gone, neither a run nor init goes on."""
    from mayfly.bootstrap import initialise

    root = make_project(tmp_path / "p", sandbox.url)
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(PolicyError, match="key_missing"):
        load(root)
    with pytest.raises(PolicyError, match="key_missing"):
        initialise(root)


def test_a_missing_table_is_told_with_its_name(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A model whose table is gone fails in one clear sentence."""
    project = approved(make_project(tmp_path, sandbox.url))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("DROP TABLE people")
    with pytest.raises(ConfigError):
        project.plan("to_crm")
    ended = project.run("to_crm").to_dict()["syncs"][0]
    assert ended["status"] == "failed"
