"""What people do to a workspace, on its ledger; and incidents, from their event to the notice."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, make_project
from end_to_end.test_pause import TEXT
from mayfly.adapters.processes import holder_name
from mayfly.api import Project, load
from mayfly.cli.acts import RECORDED
from mayfly.cli.commands import app
from mayfly.domain.audit import OpenAct
from mayfly.domain.errors import EngineError, PolicyError, UsageError
from mayfly.ledger.verify import verify_ledger
from mayfly.services.audit import INTERRUPTED, LATE

SCHEMAS = Path(__file__).parents[2] / "docs/reference/json"
ADDRESS = '{"kind": "email", "value": "b@example.com"}\n'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten people, whom nobody was told of yet."""
    monkeypatch.setenv("MAYFLY_ACTOR", "alice")
    return make_project(tmp_path / "shop", "", rows=10, text=TEXT)


def call(root: Path, *words: str, text: str | None = None, code: int = 0) -> dict[str, Any]:
    """The document of a command, which is as its schema says."""
    line = [*words, "--project", str(root), "--output", "json"]
    done = CliRunner().invoke(app, line, input=text)
    assert done.exit_code == code, (words, done.output)
    document: dict[str, Any] = json.loads(done.stdout)
    if words[0] in ("audit", "incidents"):
        schema = json.loads((SCHEMAS / f"{words[0]}.schema.json").read_text("utf-8"))
        jsonschema.validate(document, schema)
    return document


def acts(root: Path) -> Sequence[dict[str, Any]]:
    """Those on record."""
    found: Sequence[dict[str, Any]] = call(root, "audit")["acts"]
    return found


def stored(root: Path) -> dict[str, list[Any]]:
    """All that the store and the ledger hold, without the time that was seen last."""
    with sqlite3.connect(root / ".mayfly/store.sqlite") as store:
        names = [n for (n,) in store.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {n: store.execute(f"SELECT * FROM {n}").fetchall() for n in names if n != "clock"}
    store.close()
    lines = (root / ".mayfly/ledger/entries.jsonl").read_text("ascii").splitlines()
    return found | {"ledger": lines}


def test_an_act_says_who_did_what_before_and_after(root: Path) -> None:
    """By a random id, whose name the store alone has; deleted, the act stays and names nobody."""
    call(root, "pause", "to_crm")
    call(root, "resume", "to_crm")
    paused, resumed = acts(root)
    assert (paused["action"], paused["object"], paused["target"]) == ("pause", "sync/to_crm", "dev")
    assert (paused["actor_name"], paused["verified"], paused["outcome"]) == ("alice", False, "done")
    assert paused["before"] == resumed["after"] != paused["after"] == resumed["before"]
    ledger = root / ".mayfly/ledger"
    assert verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).ok
    assert "alice" not in (ledger / "entries.jsonl").read_text("ascii")
    done = CliRunner().invoke(app, ["audit", "--project", str(root), "--output", "csv"])
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(r["actor_name"], r["action"]) for r in rows] == [
        ("alice", "pause"),
        ("alice", "resume"),
    ]
    assert (
        "alice: pause sync/to_crm"
        in CliRunner().invoke(app, ["audit", "--project", str(root)]).stdout
    )
    assert call(root, "audit", "--since", "2099-01-01")["acts"] == []
    call(root, "audit", "forget", paused["actor"])
    assert [a["actor_name"] for a in acts(root)][:2] == [None, None]
    assert [a["actor"] for a in acts(root)][:2] == [paused["actor"]] * 2


def test_what_was_refused_and_changed_nothing_is_no_act(root: Path) -> None:
    """Nothing of it stays open either."""
    with pytest.raises(EngineError):
        load(root).cancel("no-such-run")
    with pytest.raises(EngineError):
        load(root).drop_state("to_crm")
    assert acts(root) == []
    assert stored(root)["open_acts"] == []


def test_an_act_that_could_not_be_recorded_is_recorded_later(root: Path) -> None:
    """A brake works while the clock is wrong; and what a killed process did is told as cut off."""
    project = load(root)
    store = project.app.store
    broken = _Broken(project)
    assert project.pause("to_crm")["syncs"][0]["changed"]
    broken.mend()
    assert [a.outcome for a in store.open_acts()] == ["done"]
    left = OpenAct(
        id="0",
        action="purge",
        object="sync/to_erp",
        target="dev",
        actor=store.actor("bob", "a-bob"),
        before="b" * 64,
        holder=f"{holder_name().split('/')[0]}/1/0",
    )
    store.note_acts([left])
    load(root).resume("to_crm")
    found = [(a["actor_name"], a["action"], a["outcome"]) for a in acts(root)]
    assert found == [
        ("bob", "purge", INTERRUPTED),
        ("alice", "pause", LATE),
        ("alice", "resume", "done"),
    ]
    assert store.open_acts() == []


class _Broken:
    """A ledger that takes nothing until it is mended."""

    def __init__(self, project: Project) -> None:
        self.ledger = project.app.ledger
        self.ledger.append = self._refuse  # type: ignore[method-assign]

    def _refuse(self, entries: object) -> None:
        raise PolicyError("clock_backwards", "The clock stands before the last entry.")

    def mend(self) -> None:
        """Let it write again."""
        del self.ledger.append


def test_an_incident_goes_from_its_event_to_a_notice(root: Path) -> None:
    """Values in clear open one per sync; it is closed by measures, and no note may name anybody."""
    call(root, "keys", "rotate")
    [found] = call(root, "incidents", "list")["incidents"]
    assert (found["kind"], found["subject"], found["closed_at"]) == ("keys_changed", "keys", None)
    name = found["id"]
    notice = call(root, "incidents", "notice", name)["notice"]
    assert (notice["known_at"], notice["measures"]) == (found["known_at"], [])
    close = ("incidents", "close", name, "--measure", "none_needed", "--note", "-")
    done = CliRunner().invoke(app, [*close, "--project", str(root)], input="ask ann@example.com")
    assert isinstance(done.exception, PolicyError)
    assert done.exception.code == "note_personal"
    assert "ann@" not in f"{done.exception.message} {done.exception.hint}"
    gone = [*close[:-1], str(root / "no.txt"), "--project", str(root)]
    missing = CliRunner().invoke(app, gone).exception
    assert isinstance(missing, UsageError)
    assert missing.code == "file_unreadable"
    call(root, *close, text="a planned rotation")
    [closed] = call(root, "incidents", "show", name)["incidents"]
    assert (closed["measures"], closed["note"]) == (["none_needed"], "a planned rotation")
    shown = CliRunner().invoke(app, ["incidents", "notice", name, "--project", str(root)]).stdout
    assert "none_needed: the event was meant" in shown
    assert "Article 33(2)" in shown
    assert [a["action"] for a in acts(root)] == ["keys.rotate", "incidents.close"]


@pytest.mark.slow
def test_commands_change_something_only_where_they_record_it(root: Path) -> None:
    """Walked as a user would: what changed store or ledger left an act, or is no act's command."""
    approved(root)
    load(root).run()
    connected = json.dumps({"kind": "email", "value": "a@example.com"})
    lines: list[tuple[tuple[str, ...], str | None]] = [
        (("approve", "to_crm", "--reject"), None),
        (("approve", "--all"), None),
        (("pause", "to_crm"), None),
        (("resume", "to_crm"), None),
        (("run", "--accept", "removals=5"), None),
        (("suppress", "add"), ADDRESS),
        (("suppress", "remove"), ADDRESS),
        (("retry", "to_crm"), None),
        (("test", "crm"), None),
        (("purge", "to_crm"), None),
        (("erase",), connected),
        (("keys", "rotate"), None),
        (("keys", "rewrap"), None),
        (("keys", "destroy", "1", "--yes"), None),
        (("state", "drop", "to_crm", "--yes"), None),
        (("uninstall", "shop", "--yes", "--force"), None),
    ]
    missing = []
    for words, text in lines:
        before, told = stored(root), len(acts(root))
        CliRunner().invoke(app, [*words, "--project", str(root)], input=text)
        name = "mayfly " + " ".join(words[: 2 if words[0] in ("suppress", "keys", "state") else 1])
        new = [act["action"] for act in acts(root)[told:]]
        if not new or not set(new) <= set(RECORDED[name]):
            missing.append((name, new, before == stored(root)))
    assert missing == []
    for words in (
        ("plan",),
        ("status",),
        ("runs",),
        ("rejected", "to_crm"),
        ("state", "list"),
        ("suppress", "list"),
        ("keys", "versions"),
        ("audit",),
        ("incidents", "list"),
        ("residency",),
        ("erase", "list"),
        ("report", "retention"),
    ):
        before = stored(root)
        CliRunner().invoke(app, [*words, "--project", str(root)])
        assert stored(root) == before, words
