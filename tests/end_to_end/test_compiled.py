"""Sources of engines that were never asked: refused, told, and, before stand-ins, read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from databricks_server import VOLUME, Databricks
from end_to_end.projects import PEOPLE_TO_META, _no_sleep
from mayfly.api import Project, load
from mayfly.api.examine import WARNINGS, examine
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.cli.entry import main
from mayfly.sandbox.server import SandboxServer

FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse:
    type: databricks
    host: shop.cloud.databricks.com
    http_path: /sql/1.0/warehouses/0123456789abcdef
    token: "env:DATABRICKS_TOKEN"
    catalog: shop
    schema: main
    volume: VOLUME
    endpoint: "ENDPOINT"
"""
ACCEPTED = "    accept_untested: true\n"


def write(root: Path, server: Databricks, url: str, *, accepted: bool) -> None:
    """A project over ten people, one of whom did not consent."""
    text = FILES + (ACCEPTED if accepted else "") + PEOPLE_TO_META
    text = text.replace("VOLUME", VOLUME).replace("ENDPOINT", server.endpoint)
    (root / "mayfly.yml").write_text(text.replace("URL", url))


def people(server: Databricks, change: str = "") -> None:
    """Made, or changed."""
    made = (
        "CREATE OR REPLACE TABLE people AS SELECT i AS id, ' P' || i || '@Example.com' AS email, "
        "'Zoë' AS first_name, i > 1 AS ads FROM range(1, 11) t(i)"
    )
    server.warehouse._base.execute(change or made)


def rows(project: Project) -> dict[str, int]:
    """What a run did."""
    [sync] = project.run().to_dict()["syncs"]
    assert sync["status"] in ("succeeded", "no_changes"), sync
    return {kind: n for kind, n in sync["rows"].items() if n and kind in ("delivered", "removed")}


def test_without_a_word_of_the_project_nothing_is_asked(
    databricks_standin: Databricks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a plan, a run and a look; each says why, and ends as refused by policy."""
    server = databricks_standin
    write(tmp_path, server, "http://127.0.0.1:1", accepted=False)
    initialise(tmp_path)
    for command in (["plan"], ["run"], ["discover", "warehouse"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--project", str(tmp_path)])
        assert ended.value.code == 3
        assert "compiled, not run" in " ".join("".join(capsys.readouterr()).split())
    assert "source_untested" in {p["code"] for p in examine(tmp_path, target="dev")}
    assert "source_untested" not in WARNINGS
    grants = ["doctor", "--grants", "warehouse", "--project", str(tmp_path)]
    done = CliRunner().invoke(app, grants)
    assert done.exit_code == 0
    assert done.output.startswith("-- Compiled, not run: no Databricks was ever asked.")
    assert (server.warehouse.said, server.stage.asked) == ([], [])


@pytest.mark.slow
def test_before_a_stand_in_a_run_sends_what_changed(
    databricks_standin: Databricks, tmp_path: Path
) -> None:
    """First all who consent, then nothing, then one change, then a withdrawal; `plan` and `doctor`
    say each time that no Databricks was ever asked. No statement has a value or a digest.
    """
    server = databricks_standin
    people(server)
    with SandboxServer(port=0) as sandbox:
        write(tmp_path, server, sandbox.url, accepted=True)
        initialise(tmp_path)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        planned = CliRunner().invoke(app, ["plan", "--project", str(tmp_path)])
        assert "no Databricks was ever asked" in " ".join(planned.output.split())
        [sync] = project.plan().to_dict()["syncs"]
        assert sync["compiled_not_run"] is True
        assert {c["where"] for c in sync["columns"]} == {"warehouse"}
        assert "compiled_not_run" in {p["code"] for p in examine(tmp_path, target="dev")}
        assert rows(project) == {"delivered": 9}
        assert rows(project) == {}
        people(server, "UPDATE people SET email = 'new@example.com' WHERE id = 4")
        assert rows(project)["delivered"] == 1
        people(server, "UPDATE people SET ads = FALSE WHERE id = 5")
        assert rows(project) == {"removed": 1}
    assert not any("xample.com" in sql and "mf_probe" not in sql for sql in server.warehouse.said)
    assert server.stage.files == {}
