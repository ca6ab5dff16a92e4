"""`mayfly state`: seen, forgotten, taken over, in DuckDB and SQLite files and a real PostgreSQL."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, _no_sleep, members
from marks import IN_A_SOAK
from mayfly.adapters.processes import holder_name
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import PolicyError, TransientError, UsageError
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import SandboxServer
from sqlite_files import ask
from sqlite_files import numbers as range_of

ROWS = 20
PEOPLE = (
    "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
    "'06 39 98 00 ' || lpad(CAST(i AS varchar), 2, '0') AS phone, 'Lyon' AS city, TRUE AS ads "
)


@dataclass(frozen=True)
class Shop:
    """A warehouse with people, and the project on it."""

    root: Path
    dsn: str | None
    lite: bool = False

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """The last statement's rows."""
        if self.lite:
            return ask(self.root / "shop.db", *statements)
        if self.dsn is None:
            with duckdb.connect(str(self.root / "shop.duckdb")) as file:
                return [file.execute(s).fetchall() for s in statements][-1]
        with psycopg.connect(self.dsn, autocommit=True) as server:
            cursors = [server.execute(s.encode()) for s in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def text(self, url: str) -> str:
        """The project file; its paths are absolute, so that a copy means the same places."""
        source = f"{{type: duckdb, path: '{self.root / 'shop.duckdb'}'}}"
        if self.lite:
            source = f"{{type: sqlite, path: '{self.root / 'shop.db'}'}}"
        if self.dsn is not None:
            source = '{type: postgres, dsn: "env:WAREHOUSE_DSN"}'
        text = FILES.replace("{type: duckdb, path: shop.duckdb}", source)
        return text.replace("crm.sqlite", str(self.root / "crm.sqlite")).replace("URL", url)

    def tables(self, sid: str) -> list[str]:
        """Our tables of a state."""
        found = self.execute(
            "SELECT table_name FROM information_schema.tables "
            f"WHERE table_schema = '_mayfly' AND table_name LIKE '%{sid}' ORDER BY table_name"
        )
        return [name for (name,) in found]


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.slow),
        pytest.param("sqlite", marks=IN_A_SOAK),
    ]
)
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Twenty people."""
    dsn = None
    numbers = f"FROM range({ROWS}) AS r(i)"
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("WAREHOUSE_DSN", dsn)
        numbers = f"FROM generate_series(0, {ROWS - 1}) AS i"
    lite = request.param == "sqlite"
    root = tmp_path / "shop"
    root.mkdir()
    made = Shop(root=root, dsn=dsn, lite=lite)
    made.execute(PEOPLE + (range_of(ROWS) if lite else numbers))
    return made


def opened(root: Path) -> Project:
    """The project with every sync approved."""
    project = load(root)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    return project


def begun(shop: Shop, sandbox: SandboxServer) -> Project:
    """Initialised, and run once."""
    (shop.root / "mayfly.yml").write_text(shop.text(sandbox.url))
    initialise(shop.root)
    project = opened(shop.root)
    assert project.run().exit_code == 0
    return project


def delivered(project: Project, *names: str) -> dict[str, tuple[str, int, int]]:
    """Status, delivered and removed rows of a run, by sync."""
    ended = project.run(*names).to_dict()["syncs"]
    return {s["sync"]: (s["status"], s["rows"]["delivered"], s["rows"]["removed"]) for s in ended}


def command(root: Path, *words: str) -> tuple[int, str]:
    """Exit code and what is printed."""
    done = CliRunner().invoke(app, ["state", *words, "--project", str(root)])
    if isinstance(done.exception, UsageError):
        return 64, str(done.exception)
    return done.exit_code, done.output


def sid_of(project: Project, sync: str) -> str:
    """Name of a sync's state."""
    return str(project.state(sync)["states"][0]["state"])


def ledger_is_whole(root: Path) -> bool:
    """Every run's working copy is paired, and nothing is inconsistent."""
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
    return bool(report["ok"]) and report["held"] == 0


def entries(root: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of one type."""
    lines = (root / ".mayfly/ledger/entries.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, lines) if e["type"] == kind]


def rejected_syncs(shop: Shop) -> Sequence[tuple[Any, ...]]:
    """Read the view of rejections; there are none."""
    return shop.execute("SELECT sync, key_1 FROM _mayfly.rejected")


def test_states_are_listed_with_whom_they_serve(shop: Shop, sandbox: SandboxServer) -> None:
    """Counts and ids; before the first run there is nothing."""
    (shop.root / "mayfly.yml").write_text(shop.text(sandbox.url))
    initialise(shop.root)
    assert command(shop.root, "list") == (0, "Nothing was ever delivered from here.\n")
    project = opened(shop.root)
    project.run()
    listed = {s["used_by"]: s for s in project.states()["states"]}
    assert set(listed) == {"to_meta", "to_crm"}
    assert [(s["rows"], s["ours"]) for s in listed.values()] == [(ROWS, True)] * 2
    assert (listed["to_meta"]["identifiers"], listed["to_crm"]["identifiers"]) == (2 * ROWS, 0)
    assert "to_crm (dev)  20 rows, 0 identifiers  used by to_crm" in command(shop.root, "list")[1]


def test_a_dropped_state_is_gone_and_everything_is_sent_anew(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Not without a yes; the other sync and the view of rejections stay, and the ledger tells."""
    project = begun(shop, sandbox)
    sid = sid_of(project, "to_crm")
    asked = command(shop.root, "drop", "to_crm")
    assert asked[0] == 64
    assert "Forget 20 delivered rows" in asked[1]
    assert len(shop.tables(sid)) == 3
    assert command(shop.root, "drop", "to_crm", "--yes") == (0, "forgot 20 rows of to_crm (dev)\n")
    assert shop.tables(sid) == []
    assert rejected_syncs(shop) == []
    [entry] = entries(shop.root, "state_dropped")
    assert (entry["sync"], entry["rows"], entry["reason"]) == ("to_crm", ROWS, f"state/{sid}")
    assert delivered(project) == {
        "to_meta": ("no_changes", 0, 0),
        "to_crm": ("succeeded", ROWS, 0),
    }
    assert ledger_is_whole(shop.root)


def test_the_last_state_takes_the_view_along(shop: Shop, sandbox: SandboxServer) -> None:
    """A later run makes both again."""
    project = begun(shop, sandbox)
    for name in ("to_crm", "to_meta"):
        project.drop_state(name)
    views = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'rejected'"
    assert shop.execute(views) == [(0,)]
    assert delivered(project)["to_meta"] == ("succeeded", ROWS, 0)
    assert rejected_syncs(shop) == []


def test_the_view_keeps_its_columns_and_grants(shop: Shop, sandbox: SandboxServer) -> None:
    """PostgreSQL replaces no view by one of fewer columns: those of the longest key stay."""
    project = begun(shop, sandbox)
    path = shop.root / "mayfly.yml"
    text = path.read_text()
    path.write_text(
        text.replace("primary_key: [id]", "primary_key: [id, city]").replace(
            "id: to_meta", "id: by_city"
        )
    )
    project = opened(shop.root)
    assert delivered(project, "to_meta")["to_meta"][0] == "succeeded"
    assert shop.execute("SELECT key_2 FROM _mayfly.rejected") == []
    project.drop_state("to_meta")
    assert shop.execute("SELECT key_1, key_2 FROM _mayfly.rejected") == []


def test_a_plan_that_was_left_open_goes_with_its_state(shop: Shop, sandbox: SandboxServer) -> None:
    """Its working copies are dropped, and the ledger says so."""
    project = begun(shop, sandbox)
    sid = sid_of(project, "to_crm")
    run = leave_open(project, shop, sid)
    assert f"plan_{sid}" in shop.tables(sid)
    project.drop_state(sid)
    assert shop.tables(sid) == []
    assert run in {e["run"] for e in entries(shop.root, "dropped")}
    assert ledger_is_whole(shop.root)


def leave_open(project: Project, shop: Shop, sid: str) -> str:
    """A run of `to_crm` that finds its destination locked away: its plan stays."""
    crm = shop.root / "crm.sqlite"
    crm.rename(crm.with_suffix(".away"))
    crm.mkdir()
    shop.execute("UPDATE people SET city = 'Nantes' WHERE id = 1")
    ended = project.run("to_crm").to_dict()["syncs"][0]
    assert ended["status"] in ("held", "failed"), ended
    crm.rmdir()
    crm.with_suffix(".away").rename(crm)
    [(run,)] = shop.execute(f"SELECT plan_run FROM _mayfly.states WHERE sid = '{sid}'")
    assert run == ended["run"]
    return str(run)


def test_a_renamed_sync_goes_on_from_its_old_state(shop: Shop, sandbox: SandboxServer) -> None:
    """Nothing is sent again, and who leaves is taken back."""
    project = begun(shop, sandbox)
    old = sid_of(project, "to_meta")
    path = shop.root / "mayfly.yml"
    path.write_text(path.read_text().replace("id: to_meta", "id: people_to_meta"))
    project = opened(shop.root)
    assert [s["used_by"] for s in project.states()["states"] if s["state"] == old] == [None]
    code, said = command(shop.root, "adopt", "to_meta", "--from", old)
    assert (code, "Only what changed since" in said) == (64, True)
    assert command(shop.root, "adopt", "to_meta", "--from", old, "--yes")[0] == 0
    assert shop.tables(old) == []
    assert delivered(project, "to_meta")["to_meta"][1:] == (0, 0)
    shop.execute("DELETE FROM people WHERE id = 3")
    assert delivered(project, "to_meta")["to_meta"] == ("succeeded", 0, 2)  # e-mail and phone
    assert len(members(sandbox)) == ROWS - 1
    assert rejected_syncs(shop) == []
    [entry] = entries(shop.root, "state_adopted")
    assert (entry["sync"], entry["rows"]) == ("to_meta", ROWS)
    assert ledger_is_whole(shop.root)


def test_an_empty_state_gives_way_and_another_does_not(shop: Shop, sandbox: SandboxServer) -> None:
    """What would be forgotten by adopting is refused."""
    project = begun(shop, sandbox)
    old = sid_of(project, "to_crm")
    path = shop.root / "mayfly.yml"
    path.write_text(path.read_text().replace("table: people\n    key", "table: folk\n    key"))
    project = opened(shop.root)
    assert delivered(project, "to_crm")["to_crm"][1] == ROWS
    with pytest.raises(PolicyError) as caught:
        project.adopt_state("to_crm", state=old)
    assert caught.value.code == "state_exists"
    new = sid_of(project, "to_crm")
    shop.execute(f"DELETE FROM _mayfly.state_{new}")
    project.adopt_state("to_crm", state=old)
    assert sid_of(project, "to_crm") == new
    assert shop.execute(f"SELECT count(*) FROM _mayfly.state_{new}") == [(ROWS,)]


def test_another_installation_must_say_that_it_takes_over(
    shop: Shop, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Until then it is refused; afterwards the first one is."""
    first = begun(shop, sandbox)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(shop.root / "mayfly.yml", elsewhere / "mayfly.yml")
    initialise(elsewhere)
    second = opened(elsewhere)
    ended = second.run("to_meta").to_dict()["syncs"][0]
    assert ended["error"]["code"] == "foreign_state"
    assert "mayfly state adopt" in ended["error"]["hint"]
    assert "; of another installation" in command(elsewhere, "list")[1]
    with pytest.raises(PolicyError) as caught:
        second.drop_state("to_meta")
    assert caught.value.code == "foreign_state"
    second.adopt_state("to_meta")
    assert delivered(second, "to_meta")["to_meta"][1:] == (0, 0)
    with pytest.raises(UsageError) as used:
        second.adopt_state("to_meta")
    assert used.value.code == "nothing_to_adopt"
    refused = first.run("to_meta").to_dict()["syncs"][0]
    assert refused["error"]["code"] == "foreign_state"
    assert ledger_is_whole(elsewhere)


def test_an_open_plan_is_taken_over_only_with_its_identity(
    shop: Shop, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """What is in doubt is settled by the identity it was sent under; the ledger pairs it."""
    project = begun(shop, sandbox)
    sid = sid_of(project, "to_crm")
    leave_open(project, shop, sid)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(shop.root / "mayfly.yml", elsewhere / "mayfly.yml")
    initialise(elsewhere)
    path = shop.root / "mayfly.yml"
    path.write_text(path.read_text().replace("id: to_crm", "id: renamed"))
    with pytest.raises(PolicyError) as caught:
        load(shop.root).adopt_state("to_crm", state=sid)
    assert caught.value.code == "plan_open"
    second = opened(elsewhere)
    second.adopt_state("to_crm")
    assert delivered(second, "to_crm")["to_crm"] == ("succeeded", 1, 0)
    assert ledger_is_whole(elsewhere)


def test_a_registry_made_before_objects_were_noted_gets_the_column(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Where the audience is there it is noted, and where it is gone everybody is sent."""
    project = begun(shop, sandbox)
    noted = "SELECT object_id FROM _mayfly.states WHERE sync = 'to_meta'"
    first = shop.execute(noted)
    assert first != [(None,)]
    shop.execute("ALTER TABLE _mayfly.states DROP COLUMN object_id")
    assert delivered(project)["to_meta"] == ("no_changes", 0, 0)
    assert shop.execute(noted) == first
    shop.execute("ALTER TABLE _mayfly.states DROP COLUMN object_id")
    sandbox.app.meta.reset()
    planned = project.plan("to_meta").to_dict()["syncs"][0]
    assert (planned["object"]["forgotten"], planned["rows"]["added"]) == (ROWS, ROWS)
    assert delivered(project)["to_meta"] == ("succeeded", ROWS, 0)
    assert len(members(sandbox)) == ROWS


def test_what_does_not_fit_is_refused(shop: Shop, sandbox: SandboxServer) -> None:
    """Another key, an audience for a table, a state that serves another sync, an unknown one."""
    project = begun(shop, sandbox)
    meta, crm = sid_of(project, "to_meta"), sid_of(project, "to_crm")
    with pytest.raises(UsageError) as used:
        project.adopt_state("to_crm", state=meta)
    assert used.value.code == "state_used"
    path = shop.root / "mayfly.yml"
    text = path.read_text().replace("id: to_meta", "id: renamed")
    path.write_text(text)
    with pytest.raises(PolicyError) as kind:
        load(shop.root).adopt_state("to_crm", state=meta)
    assert kind.value.code == "state_kind"
    path.write_text(text.replace("primary_key: [id]", "primary_key: [id, city]"))
    with pytest.raises(PolicyError) as key:
        load(shop.root).adopt_state("to_meta", state=meta)
    assert key.value.code == "key_changed"
    with pytest.raises(UsageError) as unknown:
        project.drop_state("0" * 16)
    assert unknown.value.code == "unknown_state"
    assert [len(shop.tables(sid)) for sid in (meta, crm)] == [3, 3]


def test_a_state_that_a_run_works_on_stays(shop: Shop, sandbox: SandboxServer) -> None:
    """A live process holds its lease; a dead one's does not count."""
    project = begun(shop, sandbox)
    for holder, code in ((holder_name(), "run_active"), (None, None)):
        held = f"'{holder}'" if holder else f"'{dead_holder()}'"
        shop.execute(f"UPDATE _mayfly.states SET holder = {held}, lease_until = {2**50}")
        if code is None:
            project.drop_state("to_crm")
            continue
        with pytest.raises(TransientError) as caught:
            project.drop_state("to_crm")
        assert caught.value.code == code


def dead_holder() -> str:
    """A process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    host, _, start = holder_name().split("/")
    return f"{host}/{child.pid}/{start}"


KILLED = """
import os, signal, sys
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.states import SourceStates
from mayfly.api import load

def killed(call):
    def then(*args, **kwargs):
        call(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return then

folder, moment, act, *words = sys.argv[1:]
done = (SourcePlanStore, "bind") if act == "run" else (SourceStates, act)
place, name = (FolderLedger, "append") if moment == "recorded" else done
setattr(place, name, killed(getattr(place, name)))
project = load(folder)
{"drop": project.drop_state, "adopt": project.adopt_state, "run": project.run}[act](*words)
"""


def kill_when(moment: str, root: Path, act: str, name: str) -> None:
    """An act in a process of its own that dies once it is recorded, or done."""
    words = [sys.executable, "-c", KILLED, str(root), moment, act, name]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["recorded", "done"])
def test_a_drop_that_was_killed_is_on_record(
    shop: Shop, sandbox: SandboxServer, moment: str
) -> None:
    """Nothing is forgotten without a record, and the working copy is paired by the next run."""
    project = begun(shop, sandbox)
    sid = sid_of(project, "to_crm")
    leave_open(project, shop, sid)
    kill_when(moment, shop.root, "drop", "to_crm")
    assert bool(shop.tables(sid)) == (moment == "recorded")
    assert [e["rows"] for e in entries(shop.root, "state_dropped")] == [ROWS]
    if moment == "recorded":
        project.drop_state("to_crm")
        assert [e["rows"] for e in entries(shop.root, "state_dropped")] == [ROWS, ROWS]
    assert delivered(project, "to_crm")["to_crm"] == ("succeeded", ROWS, 0)
    assert ledger_is_whole(shop.root)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["recorded", "done"])
def test_an_adoption_that_was_killed_is_on_record(
    shop: Shop, sandbox: SandboxServer, tmp_path: Path, moment: str
) -> None:
    """The other installation's open plan is named once, however often the act is repeated."""
    project = begun(shop, sandbox)
    run = leave_open(project, shop, sid_of(project, "to_crm"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(shop.root / "mayfly.yml", elsewhere / "mayfly.yml")
    initialise(elsewhere)
    second = opened(elsewhere)
    kill_when(moment, elsewhere, "adopt", "to_crm")
    assert second.state("to_crm")["states"][0]["ours"] == (moment == "done")
    if moment == "recorded":
        second.adopt_state("to_crm")
    assert {e["rows"] for e in entries(elsewhere, "state_adopted")} == {ROWS}
    assert [e["run"] for e in entries(elsewhere, "created")] == [run]
    assert delivered(second, "to_crm")["to_crm"] == ("succeeded", 1, 0)
    assert ledger_is_whole(elsewhere)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["recorded", "done"])
def test_a_run_killed_as_it_forgets_a_gone_audience_has_said_so(
    shop: Shop, sandbox: SandboxServer, moment: str
) -> None:
    """The next run fills the new one, whether or not the first could forget."""
    project = begun(shop, sandbox)
    sandbox.app.meta.reset()
    kill_when(moment, shop.root, "run", "to_meta")
    gone = [(e["rows"], e["reason"]) for e in entries(shop.root, "state_dropped")]
    assert gone == [(ROWS, "object_gone")]
    assert project.state("to_meta")["states"][0]["rows"] == (ROWS if moment == "recorded" else 0)
    assert delivered(project, "to_meta")["to_meta"] == ("succeeded", ROWS, 0)
    assert len(members(sandbox)) == ROWS
    assert ledger_is_whole(shop.root)
