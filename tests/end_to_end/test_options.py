"""What can be asked of a run: which syncs, how many rows, everything again, another target."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import FILES, approved, get, make_project, members
from mayfly.api import RunRequest, load
from mayfly.domain.errors import UsageError
from mayfly.sandbox.server import SandboxServer

TARGETS = """
targets:
  dev: {}
  prod:
    destinations:
      meta: {endpoint: "PRODUCTION"}
"""


def crm_rows(root: Path) -> int:
    """Rows of the internal table."""
    with sqlite3.connect(root / "crm.sqlite") as crm:
        return int(crm.execute("SELECT count(*) FROM people").fetchone()[0])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], ["to_crm", "to_meta"]),
        (["to_crm"], ["to_crm"]),
        (["*_meta"], ["to_meta"]),
        (["tag:ads"], ["to_meta"]),
        (["tag:ads", "to_*"], ["to_crm", "to_meta"]),
    ],
)
def test_syncs_are_selected_by_name_glob_and_tag(
    tmp_path: Path, asked: list[str], found: list[str]
) -> None:
    """Names add up; a sync named twice runs once."""
    text = FILES.replace("    id: to_meta\n", "    id: to_meta\n    tags: [ads]\n")
    root = make_project(tmp_path, "http://127.0.0.1:9", text=text)
    assert sorted(s.name for s in load(root).select(asked)) == found


def test_a_selection_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    """A wrong name never turns into 'nothing to do'."""
    root = make_project(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(UsageError) as caught:
        load(root).select(["to_crm", "tag:nothing"])
    assert caught.value.code == "unknown_sync"
    assert "to_crm, to_meta" in (caught.value.hint or "")


def test_a_limited_run_removes_nothing_and_the_next_sends_the_rest(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """`--limit` is a first try: what is beyond it is neither lost nor taken for gone."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_meta", request=RunRequest(limit=10))
    assert len(members(sandbox)) == 10
    project.run("to_meta", request=RunRequest(limit=5))
    assert len(members(sandbox)) == 10
    project.run("to_meta")
    assert len(members(sandbox)) == 100


def test_a_full_refresh_sends_all_again_and_never_empties(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """The audience keeps its members while it is refreshed, and who left goes."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run()
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        crm.execute("DELETE FROM people WHERE id < 50")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("DELETE FROM people WHERE id >= 98")
    before = len(get(f"{sandbox.url}/_sandbox/requests"))
    result = project.run(request=RunRequest(full_refresh=True)).to_dict()
    rows = {s["sync"]: s["rows"] for s in result["syncs"]}
    assert rows["to_meta"]["delivered"] == 98
    assert crm_rows(tmp_path) == 98
    assert len(members(sandbox)) == 98
    sent = get(f"{sandbox.url}/_sandbox/requests")[before:]
    assert not [r for r in sent if r["path"].endswith("usersreplace")]


def test_a_full_refresh_does_not_let_a_mass_removal_through(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Sending all again was asked for; taking most back was not."""
    project = approved(make_project(tmp_path, sandbox.url, rows=300))
    project.run("to_meta")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("DELETE FROM people WHERE id >= 100")
    [ended] = project.run("to_meta", request=RunRequest(full_refresh=True)).to_dict()["syncs"]
    assert ended["error"]["code"] == "mass_change"
    assert "--accept removals=200" in ended["error"]["hint"]


def test_a_dry_run_says_what_a_run_then_does(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The same counts, nothing sent, no state left."""
    project = approved(make_project(tmp_path, sandbox.url))
    [tried] = project.run("to_meta", request=RunRequest(dry_run=True)).to_dict()["syncs"]
    assert get(f"{sandbox.url}/_sandbox/requests") == []
    [done] = project.run("to_meta").to_dict()["syncs"]
    assert done["rows"]["delivered"] == 100
    assert tried["rows"]["planned"] == done["rows"]["planned"]


def test_production_gets_everything_although_the_sandbox_has_it(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """What was delivered to one address says nothing of another."""
    with SandboxServer(port=0) as production:
        text = FILES + TARGETS.replace("PRODUCTION", production.url)
        project = approved(make_project(tmp_path, sandbox.url, text=text))
        project.run("to_meta")
        assert get(f"{production.url}/_sandbox/audiences") == []
        there = load(tmp_path, target="prod")
        refused = there.run("to_meta").to_dict()["syncs"][0]
        assert refused["error"]["code"] == "not_approved"
        there.approve(actor="tester")
        [sent] = there.run("to_meta").to_dict()["syncs"]
        assert sent["rows"]["delivered"] == 100
        assert members(production) == members(sandbox)
        [again] = load(tmp_path).run("to_meta").to_dict()["syncs"]
        assert again["status"] == "no_changes"


def test_the_python_interface_runs_a_project(tmp_path: Path, sandbox: SandboxServer) -> None:
    """`mayfly.load(dir).run("sync")`, as the README has it."""
    import mayfly

    approved(make_project(tmp_path, sandbox.url))
    result = mayfly.load(tmp_path).run("to_crm")
    assert (result.exit_code, crm_rows(tmp_path)) == (0, 100)
