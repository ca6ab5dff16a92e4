"""`mayfly connect` with a secret: from what is typed to what the destination gets."""

from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from end_to_end.projects import FILES, approved, make_project, members
from mayfly.adapters import clock
from mayfly.api import load
from mayfly.api.examine import examine
from mayfly.cli.commands import app
from mayfly.cli.entry import main
from mayfly.sandbox.server import SandboxServer
from mayfly.services.scan_paths import scan_paths

MARK = "marked-7f3a-token"
SCHEMA = Path(__file__).parents[2] / "docs/reference/json/connect.schema.json"
CONNECTED = FILES.replace("env:META_TOKEN", "connection:meta")


@pytest.fixture
def meta() -> Any:
    """A Meta that takes one token."""
    with SandboxServer(port=0, tokens=frozenset({MARK})) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path, meta: SandboxServer) -> Path:
    """A project whose Meta logs in by a connection, approved."""
    made = make_project(tmp_path / "project", meta.url, text=CONNECTED)
    approved(made)
    return made


def connect(root: Path, given: str = MARK, *words: str) -> Result:
    """`mayfly connect meta` with a secret on standard input."""
    return CliRunner().invoke(app, ["connect", "meta", "--project", str(root), *words], input=given)


def test_a_secret_that_is_piped_in_is_what_the_destination_gets(
    root: Path, meta: SandboxServer
) -> None:
    """And a run with it delivers."""
    connected = connect(root, f"{MARK}\n", "--output", "json")
    document = json.loads(connected.stdout)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)
    assert document == {
        "schema": "mayfly/connect/1",
        "ok": True,
        "act": "connected",
        "destination": "meta",
        "target": "dev",
        "login": False,
        "version": 1,
        "deleted": 0,
    }
    [done] = load(root).run("to_meta").syncs
    assert done.status == "succeeded"
    assert len(members(meta)) == 100


def test_without_a_connection_nothing_goes_out(root: Path, meta: SandboxServer) -> None:
    """Run and doctor name the command; a plan is made all the same."""
    project = load(root)
    [done] = project.run("to_meta").syncs
    assert done.error is not None
    assert done.error.code == "not_connected"
    assert "mayfly connect meta" in done.error.hint
    assert meta.app.recorder.total == 0
    assert "not_connected" in {problem["code"] for problem in examine(root, target="dev")}
    assert project.plan("to_meta").ok


def test_the_secret_is_in_no_file_log_text_or_argument(
    root: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not while it is stored, used, refused, rewrapped and forgotten, with every logger open."""
    with caplog.at_level(logging.DEBUG):
        said = [connect(root), connect(root, "other"), connect(root, f"{MARK}\n{MARK}")]
        load(root).run("to_meta")
        connect(root)
        load(root).run("to_meta")
        load(root).keys("rotate")
    kept = [root / ".mayfly", root / "approvals.lock", Path(os.environ["MAYFLY_KEYS_DIR"])]
    assert scan_paths(kept, known_values=[MARK]) == []
    told = "".join(f"{s.output}{s.exception!r}" for s in said)
    assert MARK not in told + caplog.text + str(capfd.readouterr())
    (root / ".mayfly/note.txt").write_text(MARK, encoding="utf-8")
    assert scan_paths(kept, known_values=[MARK])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "secret_empty"),
        ("  \n", "secret_empty"),
        ("one\ntwo", "secret_malformed"),
        ("nul\0", "secret_malformed"),
        (b"caf\xe9", "secret_malformed"),
        ("x" * 65_537, "secret_malformed"),
    ],
)
def test_what_is_no_secret_is_refused(root: Path, given: str | bytes, code: str) -> None:
    """And the credential before stays."""
    connect(root)
    refused = connect(root, given)
    assert getattr(refused.exception, "code", None) == code
    place = load(root).app.connections.place("meta")
    assert load(root).app.connections.vault.get(place).secret == MARK


@pytest.mark.parametrize(
    ("name", "code"), [("nowhere", "unknown_destination"), ("crm", "no_connection")]
)
def test_only_a_destination_with_a_connection_is_connected(
    root: Path, name: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage, and standard input is not read."""
    with pytest.raises(SystemExit) as ended:
        main(["connect", name, "--project", str(root)])
    assert ended.value.code == 64
    assert f"[{code}]" in capsys.readouterr().err


def test_rotated_keys_open_it_and_destroyed_ones_are_not_missed(root: Path) -> None:
    """`keys rotate`, `rewrap` and `destroy` count and cover it."""
    before = load(root).keys("rewrap")["rewrapped"]
    connect(root)
    rotated = load(root).keys("rotate")
    assert rotated["rewrapped"] == before + 1
    load(root).keys("destroy", "1")
    assert load(root).run("to_meta").ok


def test_a_version_that_was_replaced_goes_seven_days_later(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any sweep."""
    connect(root, "first")
    connect(root)
    store = load(root).app.store
    assert [c.version for c in store.credentials()] == [1, 2]
    load(root).sweep()
    assert len(store.credentials()) == 2
    real = clock._system_ms
    ahead = timedelta(days=7, minutes=1) // timedelta(milliseconds=1)
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + ahead)
    load(root).sweep()
    assert [c.version for c in store.credentials()] == [2]


def test_what_is_forgotten_is_gone(root: Path) -> None:
    """Every version; the next run asks to connect."""
    connect(root, "first")
    connect(root)
    forgotten = connect(root, "", "--forget", "--output", "json")
    assert json.loads(forgotten.stdout)["deleted"] == 2
    assert load(root).app.store.credentials() == []
    [done] = load(root).run("to_meta").syncs
    assert done.error is not None
    assert done.error.code == "not_connected"


def test_a_token_of_one_endpoint_never_goes_to_another(root: Path, sandbox: SandboxServer) -> None:
    """Whoever changes the endpoint must connect anew."""
    connect(root)
    file = root / "mayfly.yml"
    text = file.read_text(encoding="utf-8")
    old = load(root).app.project.destinations["meta"].endpoint
    file.write_text(text.replace(str(old), sandbox.url), encoding="utf-8")
    approved(root)
    [done] = load(root).run("to_meta").syncs
    assert done.error is not None
    assert done.error.code == "not_connected"
    assert sandbox.app.recorder.total == 0


def test_a_dsn_may_be_a_connection(
    tmp_path: Path, postgres_database: str, sandbox: SandboxServer
) -> None:
    """A table at PostgreSQL is written with it."""
    postgres = '{type: postgres, dsn: "connection:crm", schema: public,'
    text = FILES.replace("{type: sqlite, path: crm.sqlite,", postgres)
    root = make_project(tmp_path / "project", sandbox.url, text=text)
    approved(root)
    words = ["connect", "crm", "--project", str(root)]
    assert CliRunner().invoke(app, words, input=postgres_database).exit_code == 0
    [done] = load(root).run("to_crm").syncs
    assert done.status == "succeeded", done.error
