"""Meta refuses a whole request, or has no audience any more."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from end_to_end.projects import (
    approved,
    get,
    graph,
    make_people,
    make_project,
    members,
    only_audience,
)
from mayfly.api import RunRequest, load
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer


def plan_fault(sandbox: SandboxServer, kind: str, count: int, path: str = "/*/users") -> None:
    """Of the next requests; by default of those that carry people."""
    body = json.dumps({"path": path, "kind": kind, "count": count}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def sendings(sandbox: SandboxServer) -> int:
    """Requests that carried people."""
    return sum(r["path"].endswith("/users") for r in get(f"{sandbox.url}/_sandbox/requests"))


def test_a_refused_request_is_narrowed_to_its_rows(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The whole, a half, a quarter and so on down to the first row are refused; the rest goes."""
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    plan_fault(sandbox, "100", 5)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["rows"]["delivered"], ended["rows"]["rejected"]) == (7, 1)
    assert len(members(sandbox)) == 7
    reasons = project.rejected("to_meta")["reasons"]
    assert [(r["reason"], r["rows"]) for r in reasons] == [("batch_refused", 1)]


def test_a_request_refused_in_every_part_stops_the_run(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """No row is rejected for what is no row's fault, and Meta is not asked a thousand times."""
    project = approved(make_project(tmp_path, sandbox.url, rows=1000))
    plan_fault(sandbox, "100", 1000)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("failed", "meta_100")
    assert "5 rows were sent alone" in ended["error"]["hint"]
    # The whole twice, nine times its first half, and five single rows.
    assert sendings(sandbox) <= 18
    assert project.rejected("to_meta")["reasons"] == []
    urllib.request.urlopen(
        urllib.request.Request(f"{sandbox.url}/_sandbox/reset", b"", method="POST"), timeout=10
    ).read()
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 1000


def test_a_batch_of_one_refused_row_stops_no_run(tmp_path: Path, sandbox: SandboxServer) -> None:
    """It is rejected with Meta's code and not sent again, and what changes later goes."""
    project = approved(make_project(tmp_path, sandbox.url, rows=1))
    plan_fault(sandbox, "100", 2)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["rows"]["rejected"]) == ("partial", 1)
    [reason] = project.rejected("to_meta")["reasons"]
    assert (reason["reason"], reason["vendor"], reason["rows"]) == ("batch_refused", "meta_100", 1)
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "no_changes"
    make_people(tmp_path / "shop.duckdb", 3)
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 2
    project.retry("to_meta")
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 1


def test_an_audience_deleted_at_meta_is_filled_anew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Everybody is sent to the one that takes its place, not those who changed alone."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_meta")
    first = only_audience(sandbox)
    graph(sandbox, "DELETE", first)
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", 100)
    assert only_audience(sandbox) != first
    assert len(members(sandbox)) == 100
    lines = (tmp_path / ".mayfly/ledger/entries.jsonl").read_text().splitlines()
    [gone] = [e for e in map(json.loads, lines) if e["type"] == "state_dropped"]
    assert (gone["rows"], gone["reason"]) == (100, "object_gone")
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "no_changes"


def test_an_audience_made_by_hand_in_its_place_is_filled(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """It has the name and another id: nobody is in it."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_meta")
    graph(sandbox, "DELETE", only_audience(sandbox))
    create(sandbox, "People")
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 100
    assert len(members(sandbox)) == 100


def create(sandbox: SandboxServer, name: str) -> None:
    """An audience of the ad account."""
    wanted = {"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    request = urllib.request.Request(
        f"{sandbox.url}/v26.0/act_123/customaudiences", json.dumps(wanted).encode(), method="POST"
    )
    request.add_header("authorization", "Bearer t0ken")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()


def test_an_audience_that_was_renamed_is_not_left_behind(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Its people would stay in it for ever: the run says so, and a drop lets it begin anew."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_meta")
    audience = sandbox.app.meta.audiences[only_audience(sandbox)]
    audience.name = "Renamed"
    ended = project.run("to_meta").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("failed", "audience_renamed")
    audience.name = "People"
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "no_changes"
    audience.name = "Renamed"
    project.drop_state("to_meta")
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 100
    assert len(get(f"{sandbox.url}/_sandbox/audiences")) == 2


def test_a_run_held_before_it_could_note_its_audience_goes_on(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """The next one finds it by its name, and sends what was not delivered."""
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    plan_fault(sandbox, "503", 5)
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "held"
    assert project.run("to_meta").to_dict()["syncs"][0]["rows"]["delivered"] == 8
    assert len(members(sandbox)) == 8


AUDIENCES = "/*/customaudiences"


def command(root: Path, *words: str) -> tuple[int, str]:
    """Exit code and what is printed."""
    done = CliRunner().invoke(app, [*words, "--project", str(root)])
    return done.exit_code, " ".join(done.output.split())


def test_a_plan_says_that_the_audience_is_gone(tmp_path: Path, sandbox: SandboxServer) -> None:
    """What is planned is what the run then does; nothing is sent and no audience made for it.

    Who was rejected is still left out: that holds for the next audience, too.
    """
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    plan_fault(sandbox, "100", 5)
    project.run("to_meta")
    graph(sandbox, "DELETE", only_audience(sandbox))
    before, sent = (tmp_path / "shop.duckdb").read_bytes(), sendings(sandbox)
    planned = project.plan("to_meta").to_dict()["syncs"][0]
    assert planned["object"] == {"forgotten": 7, "unasked": None}
    assert (planned["rows"]["added"], planned["rows"]["rejected_before"]) == (7, 1)
    assert "new audience: the one that 7 rows" in command(tmp_path, "plan", "to_meta")[1]
    tried = project.run("to_meta", request=RunRequest(dry_run=True)).to_dict()["syncs"][0]
    assert (tried["object"]["forgotten"], tried["rows"]["planned"]) == (7, 7)
    code, said = command(tmp_path, "run", "to_meta", "--dry-run")
    assert (code, "new audience: the one that 7 rows" in said) == (0, True)
    assert sendings(sandbox) == sent
    assert get(f"{sandbox.url}/_sandbox/audiences") == []
    assert (tmp_path / "shop.duckdb").read_bytes() == before
    done = project.run("to_meta").to_dict()["syncs"][0]
    assert (done["object"]["forgotten"], done["rows"]["delivered"]) == (7, 7)
    assert project.plan("to_meta").to_dict()["syncs"][0]["object"]["forgotten"] == 0


def test_a_plan_goes_without_the_platform(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that nobody was asked, and counts as if the audience were there."""
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    project.run("to_meta")
    graph(sandbox, "DELETE", only_audience(sandbox))
    plan_fault(sandbox, "503", 2, path=AUDIENCES)
    planned = project.plan("to_meta").to_dict()["syncs"][0]
    assert planned["object"] == {"forgotten": 0, "unasked": "destination_busy"}
    assert (planned["rows"]["unchanged"], planned["refusals"]) == (8, [])
    code, said = command(tmp_path, "plan", "to_meta")
    assert (code, "not asked [destination_busy]" in said) == (0, True)
    monkeypatch.delenv("META_TOKEN")
    planned = project.plan("to_meta").to_dict()["syncs"][0]
    assert planned["object"]["unasked"] == "secret_missing"
    asked = len(get(f"{sandbox.url}/_sandbox/requests"))
    assert command(tmp_path, "plan", "to_meta")[0] == 0
    assert len(get(f"{sandbox.url}/_sandbox/requests")) == asked


def test_a_plan_refuses_what_the_run_would_refuse(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A renamed audience; and an address that nobody approved is not asked at all."""
    project = approved(make_project(tmp_path, sandbox.url, rows=8))
    project.run("to_meta")
    sandbox.app.meta.audiences[only_audience(sandbox)].name = "Renamed"
    refusals = project.plan("to_meta").to_dict()["syncs"][0]["refusals"]
    assert [r["code"] for r in refusals] == ["audience_renamed"]
    asked = len(get(f"{sandbox.url}/_sandbox/requests"))
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text().replace("{EMAIL: email, PHONE: phone}", "{EMAIL: email}"))
    refusals = load(tmp_path).plan("to_meta").to_dict()["syncs"][0]["refusals"]
    assert [r["code"] for r in refusals] == ["approval_changed"]
    assert len(get(f"{sandbox.url}/_sandbox/requests")) == asked
