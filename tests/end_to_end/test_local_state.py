"""State beside a source that is not written: a folder of files, a role that only reads."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from end_to_end.local_shops import PEOPLE, TEXT, Row, Shop, ended, make_shop, table
from end_to_end.projects import graph, members, only_audience
from mayfly.api import RunRequest
from mayfly.api.examine import examine
from mayfly.bootstrap import SPECS, initialise
from mayfly.cli.commands import app
from mayfly.connectors.sources.local_state import LocalStateDatabase
from mayfly.domain.errors import PolicyError, TransientError
from mayfly.domain.retention import Place, RetentionClass, retention_of
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.plan_world import digest


@pytest.fixture(
    params=[
        "folder",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("read-only role", "local file")),
    ]
)
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Each kind of source with a local state."""
    return make_shop(request, monkeypatch, tmp_path / "shop")


@pytest.fixture(
    params=[
        "folder",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("read-only role", "state in the file")),
    ]
)
def any_shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """Local states, and one in the source, which behaves the same."""
    return make_shop(request, monkeypatch, tmp_path / "shop")


@pytest.fixture
def folder(tmp_path: Path) -> Shop:
    """A folder of files."""
    root = tmp_path / "shop"
    root.mkdir()
    return Shop(root=root, kind="folder")


def test_an_upsert_sends_what_changed_and_only_that(shop: Shop, sandbox: SandboxServer) -> None:
    """Twice the same: nothing; then a changed, a new and a withdrawn row."""
    shop.write(PEOPLE)
    project = shop.begin(sandbox.url)
    assert ended(project, "to_crm", RunRequest(dry_run=True)) == ("succeeded", 0, 0)
    assert shop.state_files() == []
    assert ended(project, "to_crm") == ("succeeded", 2, 0)
    assert ended(shop.opened(), "to_crm") == ("no_changes", 0, 0)
    shop.write([(1, "ann@example.com", "Nice", True), (2, *PEOPLE[1][1:3], False), *PEOPLE[2:]])
    assert ended(shop.opened(), "to_crm") == ("succeeded", 1, 0)
    assert table(shop, "people") == [
        (1, "ann@example.com", "Nice"),
        (2, "bob@example.com", "Lyon"),
    ]
    shop.write([*PEOPLE, (4, "zoe@example.com", "Lille", True)])
    assert ended(shop.opened(), "to_crm") == ("succeeded", 3, 0)


def test_what_was_appended_is_known_again(shop: Shop, sandbox: SandboxServer) -> None:
    """A changed row is not appended again, nor one that was away; a new one is."""
    shop.write(PEOPLE)
    project = shop.begin(sandbox.url)
    assert ended(project, "to_log") == ("succeeded", 2, 0)
    shop.write([(2, "bob@example.com", "Nice", True)])
    assert ended(shop.opened(), "to_log") == ("no_changes", 0, 0)
    shop.write([*PEOPLE, (4, "zoe@example.com", "Lille", True)])
    assert ended(shop.opened(), "to_log") == ("succeeded", 1, 0)
    assert table(shop, "log") == [(1, "Lyon"), (2, "Lyon"), (4, "Lille")]


def test_a_platform_forgets_who_withdraws(any_shop: Shop, sandbox: SandboxServer) -> None:
    """By the identifiers that were delivered, also earlier ones; what another row holds stays."""
    shop = any_shop
    ann, bob, shared = (f"{name}@example.com" for name in ("ann", "bob", "shared"))
    shop.write([(1, ann, "", True), (2, bob, "", True), (3, shared, "", True)])
    assert ended(shop.begin(sandbox.url), "to_meta") == ("succeeded", 3, 0)
    shop.write([(1, "new@example.com", "", True), (2, shared, "", True), (3, shared, "", True)])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 2, 0)
    delivered = {digest(e).hex() for e in (ann, bob, shared, "new@example.com")}
    assert members(sandbox) == delivered
    assert ended(shop.opened(), "to_meta") == ("no_changes", 0, 0)
    shop.write([(1, "new@example.com", "", False), (2, shared, "", False), (3, shared, "", True)])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 0, 3)
    assert members(sandbox) == {digest(shared).hex()}
    # Who left the model still holds what was delivered: an upsert takes nothing back for that.
    shop.write([(2, shared, "", False), (4, shared, "", False)])
    assert ended(shop.opened(), "to_meta") == ("no_changes", 0, 0)
    assert members(sandbox) == {digest(shared).hex()}


def test_a_suppressed_person_is_taken_back(any_shop: Shop, sandbox: SandboxServer) -> None:
    """Though nothing in the source changed; the others are not sent again."""
    shop = any_shop
    shop.write(PEOPLE)
    project = shop.begin(sandbox.url)
    assert ended(project, "to_meta") == ("succeeded", 2, 0)
    project.suppress("add", [b'{"kind": "email", "value": "ann@example.com"}'])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 0, 1)
    assert members(sandbox) == {digest("bob@example.com").hex()}
    assert ended(shop.opened(), "to_meta") == ("no_changes", 0, 0)


def test_a_deleted_audience_is_filled_anew(any_shop: Shop, sandbox: SandboxServer) -> None:
    """A plan and a dry run say so, and forget nothing."""
    any_shop.write(PEOPLE)
    project = any_shop.begin(sandbox.url)
    assert ended(project, "to_meta") == ("succeeded", 2, 0)
    graph(sandbox, "DELETE", only_audience(sandbox))
    for _ in range(2):
        planned = any_shop.opened().plan("to_meta").to_dict()["syncs"][0]
        assert (planned["object"]["forgotten"], planned["rows"]["added"]) == (2, 2)
    assert ended(any_shop.opened(), "to_meta") == ("succeeded", 2, 0)
    assert len(members(sandbox)) == 2
    assert ended(any_shop.opened(), "to_meta") == ("no_changes", 0, 0)


def test_the_state_holds_no_value_and_no_digest_of_one(shop: Shop, sandbox: SandboxServer) -> None:
    """Neither keys, nor values, nor what a platform matches on; for this user's eyes alone."""
    rows: list[Row] = [
        (70_000_001 + i, f"m4rk-{i}@example.com", "M4rkville", True) for i in range(9)
    ]
    shop.write(rows)
    project = shop.begin(sandbox.url)
    for sync in ("to_meta", "to_crm", "to_log"):
        assert ended(project, sync) == ("succeeded", 9, 0)
    found = shop.state_files()
    assert [p.suffix for p in found] == [".duckdb"] * 3
    for path in found:
        content = path.read_bytes()
        for key, email, city, _ in rows:
            for mark in (email.encode(), city.encode(), digest(email), digest(str(key))):
                assert mark not in content
            assert digest(email).hex().encode() not in content
            assert key.to_bytes(8, "little") not in content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((shop.root / ".mayfly" / "state").stat().st_mode) == 0o700


CRASH = """
import os, signal, sys
from mayfly.api import load
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.local import LocalPlanStore
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
owner, _, name = sys.argv[2].rpartition(".")
setattr(SourcePlanStore if owner else LocalPlanStore, name, die)
load(sys.argv[1]).run("to_crm")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["_inner.acquire", "_mark", "create", "read", "intent", "outcome", "close"]
)
def test_what_a_killed_run_leaves_can_be_read_by_nobody(
    folder: Shop, sandbox: SandboxServer, where: str
) -> None:
    """Sealed rows under a key that died; the next run takes them away and does the work."""
    folder.write(PEOPLE)
    folder.begin(sandbox.url)
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(folder.root), where], check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr
    left = [p for p in folder.state_files() if p.parent.suffix == ".rows"]
    assert bool(left) == (where in ("read", "intent", "outcome"))
    for path in left:
        assert b"ann@example.com" not in path.read_bytes()
        name = path.relative_to(folder.root).as_posix()
        entry = retention_of(Place.PROJECT, name)
        assert entry is not None
        assert entry.cls is RetentionClass.TEMPORARY
    assert ended(folder.opened(), "to_crm", RunRequest(dry_run=True))[0] == "succeeded"
    assert len(folder.opened().states()["states"]) == (where != "_inner.acquire")
    assert ended(folder.opened(), "to_crm")[0] in ("succeeded", "no_changes")
    assert table(folder, "people") == [row[:3] for row in PEOPLE[:2]]
    assert [p.suffix for p in folder.state_files()] == [".duckdb"]


def test_rejected_rows_are_counted_and_can_be_tried_again(
    folder: Shop, sandbox: SandboxServer
) -> None:
    """They are remembered by keyed digests, so that no view shows their keys."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert project.rejected("to_meta")["reasons"] == []
    body = json.dumps({"path": "/*/users", "kind": "partial_failure"}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()
    assert ended(project, "to_meta")[1] == 1
    assert ended(folder.opened(), "to_meta")[1] == 0
    text = CliRunner().invoke(app, ["rejected", "to_meta", "--project", str(folder.root)]).output
    assert text.splitlines() == [
        "1  invalid_entry",
        "Their keys are not shown: a local state knows keyed digests only.",
    ]
    assert project.retry("to_meta")["rows"] == 1
    assert ended(folder.opened(), "to_meta")[1] == 1
    assert len(members(sandbox)) == 2


def test_states_are_listed_adopted_and_dropped(folder: Shop, sandbox: SandboxServer) -> None:
    """As those in a source: by the sync that uses them; a renamed sync goes on from its own."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert ended(project, "to_crm") == ("succeeded", 2, 0)
    [state] = project.states()["states"]
    assert (state["sync"], state["source"], state["rows"], state["ours"]) == (
        "to_crm",
        "local",
        2,
        True,
    )
    file = folder.root / "mayfly.yml"
    file.write_text(file.read_text().replace("id: to_crm", "id: customers"))
    project = folder.opened()
    project.adopt_state("to_crm", state=state["state"])
    assert ended(project, "to_crm") == ("no_changes", 0, 0)
    [adopted] = project.states()["states"]
    assert (adopted["sync"], adopted["used_by"], adopted["rows"]) == ("customers", "to_crm", 2)
    project.drop_state("to_crm")
    assert folder.state_files() == []
    assert ended(folder.opened(), "to_crm") == ("succeeded", 2, 0)


def test_a_copy_of_a_dropped_state_is_good_until_the_key_is_gone(
    folder: Shop, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropping removes the file alone: put back, it is the state as it was, also once the first
    version of the key encryption key is destroyed. Without the workspace's key no copy is of use.
    """
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert ended(project, "to_meta")[1] == 2
    [made] = folder.state_files()
    kept = made.read_bytes()
    project.drop_state("to_meta")
    project.keys("rotate")
    project.keys("destroy", "1")
    made.write_bytes(kept)
    made.chmod(0o600)
    assert ended(folder.opened(), "to_meta")[0] == "no_changes"
    folder.write([(1, "ann@example.com", "Lyon", False), *PEOPLE[1:]])
    assert ended(folder.opened(), "to_meta")[2] == 1
    for key in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("local_state.key"):
        key.unlink()
    folder.opened().keys("rotate")
    folder.opened().keys("destroy", "2")
    made.write_bytes(kept)
    [run] = folder.opened().run("to_meta").to_dict()["syncs"]
    assert (run["status"], run["error"]["code"]) == ("refused", "key_missing")


def test_a_state_of_another_workspace_is_refused(folder: Shop, sandbox: SandboxServer) -> None:
    """Even where it was adopted: its digests were made with a key that is not here."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert ended(project, "to_log") == ("succeeded", 2, 0)
    [made] = folder.state_files()
    kept = made.read_bytes()
    shutil.rmtree(folder.root / ".mayfly")
    initialise(folder.root)
    made.parent.mkdir(mode=0o700)
    made.write_bytes(kept)
    project = folder.opened()
    [run] = project.run("to_log").syncs
    assert run.error is not None
    assert run.error.code == "foreign_state"
    project.adopt_state("to_log")
    for request in (RunRequest(), RunRequest(dry_run=True)):
        [run] = project.run("to_log", request=request).syncs
        assert isinstance(run.error, PolicyError)
        assert run.error.code == "local_state_key"
    assert len(table(folder, "log")) == 2


def test_an_append_that_no_destination_can_answer_for_is_refused(
    folder: Shop, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash nothing here could tell, or send the same bytes again."""
    monkeypatch.setitem(SPECS, "sqlite", replace(SPECS["sqlite"], batch_marker=False))
    folder.write(PEOPLE)
    [run] = folder.begin(sandbox.url).run("to_log").syncs
    assert run.error is not None
    assert (run.error.code, run.error.exit_code) == ("local_state_append", 3)


@pytest.mark.parametrize("shop", ["read-only role"], indirect=True)
def test_doctor_names_the_way_without_writing(shop: Shop, sandbox: SandboxServer) -> None:
    """A role that only reads, for a source that would keep its state in itself."""
    shop.write(PEOPLE)
    shop.begin(sandbox.url, TEXT.replace("SOURCE", '{type: postgres, dsn: "env:WAREHOUSE_DSN"}'))
    [found] = [p for p in examine(shop.root, target="dev") if p["code"] == "missing_grant"]
    assert "GRANT CREATE ON DATABASE" in found["hint"]
    assert "Or set `state: local` on source shop" in found["hint"]
    file = shop.root / "mayfly.yml"
    file.write_text(file.read_text().replace('DSN"}', 'DSN", state: local}'))
    assert "missing_grant" not in {p["code"] for p in examine(shop.root, target="dev")}


def test_a_damaged_state_is_told_with_the_ways_out(folder: Shop, sandbox: SandboxServer) -> None:
    """By its own name, not as a source of the project; without the file everything is sent."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert ended(project, "to_crm") == ("succeeded", 2, 0)
    [file] = folder.state_files()
    file.write_bytes(b"no database" * 1000)
    [run] = folder.opened().run("to_crm").syncs
    assert run.error is not None
    assert (run.error.code, run.error.exit_code) == ("local_state_damaged", 1)
    assert file.stem in run.error.message
    assert f".mayfly/state/{file.name}" in run.error.hint
    file.unlink()
    assert ended(folder.opened(), "to_crm") == ("succeeded", 2, 0)


def test_a_state_in_use_is_told_as_a_run(folder: Shop, sandbox: SandboxServer) -> None:
    """Not as a file that somebody could copy."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url)
    assert ended(project, "to_crm") == ("succeeded", 2, 0)
    [file] = folder.state_files()
    with duckdb.connect(str(file)):
        state = LocalStateDatabase(file, lock_wait_seconds=0)
        with pytest.raises(TransientError, match="run_active"), state.session(write=True):
            raise AssertionError
