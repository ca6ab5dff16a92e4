"""A project of drt's, imported, approved and run: from a DuckDB file to HubSpot's sandbox."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from drt_projects import HUBSPOT, drt_project
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer


def test_what_was_imported_runs_once_it_is_approved(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes before; then each contact arrives under the names of drt's template."""
    monkeypatch.setenv("HUBSPOT_TOKEN", "t0ken")
    root, ours = drt_project(tmp_path / "theirs", contacts=HUBSPOT), tmp_path / "ours"
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE people (email VARCHAR, city VARCHAR, secret VARCHAR)")
        rows = "('ana@example.com', 'Lyon', 'x'), ('bo@example.com', 'Nice', 'y')"
        connection.execute(f"INSERT INTO people VALUES {rows}")
    words = ["--profiles", str(root / ".drt/profiles.yml"), "--project", str(ours)]
    assert CliRunner().invoke(app, ["import", "drt", str(root), *words]).exit_code == 0
    destination = ours / "destinations/contacts_to_hubspot.yml"
    text = destination.read_text("utf-8")
    more = f'    account_id: "1234567"\n    endpoint: "{sandbox.url}"\n'
    destination.write_text(text + more, encoding="utf-8")
    assert CliRunner().invoke(app, ["validate", "--project", str(ours)]).exit_code == 0
    initialise(ours)
    assert load(ours).run("contacts_to_hubspot").exit_code == 3
    records = sandbox.app.hubspot.objects["contacts"].records
    assert records == {}
    load(ours).approve(actor="me")
    assert load(ours).run("contacts_to_hubspot").exit_code == 0
    assert {r.properties["email"]: r.properties["city"] for r in records.values()} == {
        "ana@example.com": "Lyon",
        "bo@example.com": "Nice",
    }
