"""Where parts are, before each run and by `mayfly residency`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, change, digests, make_project, members
from mayfly.api import Project, load
from mayfly.api.examine import examine
from mayfly.bootstrap import residency as asking
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

SCHEMA = Path(__file__).parents[2] / "docs/reference/json/residency.schema.json"
WORKSPACE = "workspace: {name: shop}\n"
PLACED = "workspace: {name: shop, residency: {geography: eu}}\n"


def placed(root: Path, *changes: tuple[str, str]) -> Path:
    """The same project, placed."""
    path = root / "mayfly.yml"
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return root


def told(root: Path) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Exit code and document, and the state of each part."""
    done = CliRunner().invoke(app, ["residency", "--project", str(root), "--output", "json"])
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text("utf-8")))
    return done.exit_code, document, {p["part"]: p["state"] for p in document["parts"]}


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer) -> Path:
    """Ten people, delivered."""
    made = make_project(tmp_path / "shop", sandbox.url, rows=10)
    assert approved(made).run("to_meta").exit_code == 0
    return made


def refusals(project: Project) -> set[str]:
    """Codes that runs end with."""
    return {s.get("error", {}).get("code", "") for s in project.run("to_meta").to_dict()["syncs"]}


def test_a_project_of_one_machine_is_where_that_is(root: Path) -> None:
    """Of a project that says nothing nobody knows it, and runs go on; where it says it, all that
    lies on the machine is there.
    """
    code, document, states = told(root)
    assert (code, document["placement"]["explicit"], states["worker"]) == (0, False, "unknown")
    placed(root, (WORKSPACE, PLACED))
    code, document, states = told(root)
    assert (code, set(states.values())) == (0, {"ok"})
    assert {p["by"] for p in document["parts"]} == {"config", "same_machine"}
    assert "region_not_known" not in {f["code"] for f in examine(root, target="dev")}
    text = CliRunner().invoke(app, ["residency", "--project", str(root)]).stdout
    assert "worker: eu, declared by config, planned eu: ok" in text


def test_a_difference_refuses_all_but_withdrawals(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator let the cloud be asked, and the machine is not where it was planned."""
    before = members(sandbox)
    monkeypatch.setenv("MAYFLY_METADATA", "aws")
    outer = load(root).network_policy("nftables")
    assert "169.254.169.254" in {host["host"] for host in outer["hosts"]}
    ask = asking.places_of.__kwdefaults__
    monkeypatch.setitem(ask, "ask", lambda cloud: "us-east-1")
    change(
        root,
        "UPDATE people SET ads = FALSE WHERE id = 3",
        "INSERT INTO people VALUES (99, 'new@example.com', '06 39 98 99 99', 'Lyon', TRUE)",
    )
    assert refusals(load(root)) == {"region_differs"}
    assert members(sandbox) == before - digests("p3@example.com")
    code, document, states = told(root)
    assert (code, document["code"], states["worker"]) == (3, "region_differs", "differs")
    assert "region_differs" in {f["code"] for f in examine(root, target="dev")}
    monkeypatch.setitem(ask, "ask", lambda cloud: "eu-west-1")
    assert load(root).run("to_meta").exit_code == 0
    assert members(sandbox) == (before | digests("new@example.com")) - digests("p3@example.com")


def test_what_was_to_be_observed_and_was_not_refuses_where_a_place_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers where the cloud's service should."""
    monkeypatch.setenv("MAYFLY_METADATA", "gcp")
    monkeypatch.setitem(
        asking.places_of.__kwdefaults__,
        "ask",
        lambda cloud: asking.machine_region(cloud, address=("127.0.0.1", 1)),
    )
    assert load(root).run("to_meta").exit_code == 0
    placed(root, (WORKSPACE, PLACED))
    assert refusals(load(root)) == {"region_unknown"}
    assert told(root)[2]["worker"] == "unknown"


def test_anchors_and_channels_have_a_region(root: Path, tmp_path: Path) -> None:
    """Listed where nobody says it, refused where another geography is declared."""
    receivers = f"anchors:\n  audit: {{type: folder, path: {tmp_path}/audit}}\n"
    (tmp_path / "audit").mkdir()
    placed(root, (WORKSPACE, receivers + PLACED))
    code, _, states = told(root)
    assert (code, states["anchor"]) == (0, "unknown")
    assert "region_not_known" in {f["code"] for f in examine(root, target="dev")}
    placed(root, ("folder, path", "folder, region: us, path"))
    done = CliRunner().invoke(app, ["validate", "--project", str(root), "--output", "json"])
    assert "region_elsewhere" in done.stdout
    placed(root, ("region: us", "region: europe-west9"))
    assert told(root)[2]["anchor"] == "ok"
