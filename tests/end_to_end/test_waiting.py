"""What waits has a deadline that nothing moves, and its end is in the ledger."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, approved, make_project, members
from mayfly.adapters import clock
from mayfly.cli.commands import app
from mayfly.domain.errors import ContractError
from mayfly.sandbox.server import SandboxServer

DAY_MS = 86_400_000
POSTGRES = FILES.replace("{type: duckdb, path: shop.duckdb}", "{type: postgres, dsn: env:SHOP_DSN}")
LOCAL = (
    FILES.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")
    .replace("mode: audience", "mode: upsert")
    .replace("mode: mirror", "mode: upsert")
    .replace("    audience: People", "    audience: People\n    on_outage: replan")
)
Shift = Callable[[float], None]


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Shift:
    """Sets the machine's clock some days ahead of what it is, or behind."""
    real = clock._system_ms

    def set_ahead(days: float) -> None:
        monkeypatch.setattr(clock, "_system_ms", lambda: real() + round(days * DAY_MS))

    return set_ahead


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)


@pytest.fixture(
    params=["duckdb", *(pytest.param(p, marks=pytest.mark.slow) for p in ("postgres", "local"))]
)
def root(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: SandboxServer, no_waiting: None
) -> Path:
    """A project whose platform is away: 100 rows wait, in one batch that was begun."""
    text = {"duckdb": FILES, "postgres": POSTGRES, "local": LOCAL}[request.param]
    made = make_project(tmp_path / "project", sandbox.url, text=text)
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        request.getfixturevalue("monkeypatch").setenv("SHOP_DSN", dsn)
        with duckdb.connect(str(made / "shop.duckdb")) as connection:
            rows = connection.execute("SELECT id, email, phone, city, ads FROM people").fetchall()
        with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE people (id int, email text, phone text, city text, ads boolean)"
            )
            cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s, %s)", rows)
    approved(made)
    away(sandbox)
    assert call(made, "run", "to_meta")[0] == 4
    return made


def away(sandbox: SandboxServer) -> None:
    """The platform answers the next five requests with 503."""
    body = json.dumps({"path": "/*/users", "kind": "503", "count": 5}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command, which waits for nothing."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return done.exit_code, json.loads(done.stdout)


def told(root: Path) -> set[str]:
    """Codes of what `mayfly doctor` finds."""
    return {p["code"] for p in call(root, "doctor")[1]["problems"]}


def ledger(root: Path) -> list[dict[str, Any]]:
    """Its entries, without who did what."""
    lines = (root / ".mayfly" / "ledger" / "entries.jsonl").read_text().splitlines()
    return [entry for line in lines if (entry := json.loads(line))["type"] != "act"]


TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = '_mayfly'"
KINDS = ("scan", "plan", "drop", "batches", "intents", "acks")


def left_over(root: Path) -> list[str]:
    """Working copies that are still somewhere."""
    found = [p.name for p in (root / ".mayfly").rglob("*.rows")]
    tables: list[tuple[str]] = []
    for path in [root / "shop.duckdb", *(root / ".mayfly" / "state").glob("*.duckdb")]:
        with duckdb.connect(str(path), read_only=True) as connection:
            tables += connection.execute(TABLES).fetchall()
    if "SHOP_DSN" in os.environ:
        with psycopg.connect(os.environ["SHOP_DSN"]) as connection:
            tables += connection.execute(TABLES).fetchall()
    return found + [name for (name,) in tables if name.split("_")[0] in KINDS]


@pytest.mark.usefixtures("no_waiting")
def test_what_waits_is_shown_and_ended_at_once_on_demand(
    root: Path, sandbox: SandboxServer
) -> None:
    """It is dropped, said so in the ledger, and the next run plans anew and delivers all."""
    [held] = call(root, "status")[1]["held"]
    assert (held["class"], held["copies"], held["batches"], held["rows"]) == (
        "temporary",
        1,
        1,
        100,
    )
    assert held["purge_by"] > held["oldest_read_at"]
    code, document = call(root, "purge", "to_crm")
    assert (code, document["purged"]) == (0, [])
    code, document = call(root, "purge", "to_meta")
    [ended] = document["purged"]
    assert (code, ended["rows"], ended["batches"], ended["reason"]) == (0, 100, 1, "purged")
    assert left_over(root) == []
    assert call(root, "status")[1]["held"] == []
    assert (ledger(root)[-1]["type"], ledger(root)[-1]["reason"]) == ("dropped", "purged")
    key = str(root / ".mayfly" / "ledger" / "key.pub")
    words = ["verify", str(root / ".mayfly" / "ledger"), "--key", key, "--output", "json"]
    report = json.loads(CliRunner().invoke(app, words).stdout)
    assert (report["unpaired"], report["held"], report["overdue"]) == (0, 0, 0)
    assert call(root, "run", "to_meta")[0] == 0
    assert len(members(sandbox)) == 100


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    "command", [["sweep"], ["run", "to_crm"], ["suppress", "add"], ["approve", "--all"]]
)
def test_thirty_days_end_it_whatever_comes(root: Path, shift: Shift, command: list[str]) -> None:
    """Not a moment before; by `sweep` and by any command that writes."""
    shift(29.9)
    assert call(root, "sweep")[1]["purged"] == []
    assert call(root, "status")[1]["held"] != []
    shift(30.1)
    warned = CliRunner().invoke(app, ["plan", "--project", str(root)])
    assert "mayfly sweep" in warned.stderr
    call(root, *command)
    assert left_over(root) == []
    [entry] = [e for e in ledger(root) if e["reason"] == "expired"]
    assert (entry["type"], entry["sync"], entry["rows"]) == ("dropped", "to_meta", 100)


@pytest.mark.parametrize("cause", [SystemExit(9), ContractError("odd_answer", "What is this?")])
def test_without_an_outage_a_working_copy_has_a_day(
    tmp_path: Path,
    sandbox: SandboxServer,
    shift: Shift,
    monkeypatch: pytest.MonkeyPatch,
    cause: BaseException,
) -> None:
    """Its run was killed, or failed: nothing waits for anybody, and the next plan is as good."""
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES)
    approved(root)

    async def dying(*_: object) -> None:
        raise cause

    with monkeypatch.context() as patch:
        patch.setattr("mayfly.services.advance_run.deliver", dying)
        CliRunner().invoke(app, ["run", "to_crm", "--project", str(root)])
    [held] = call(root, "status")[1]["held"]
    assert held["copies"] == 1
    shift(0.99)
    assert call(root, "sweep")[1]["purged"] == []
    assert "overdue" not in told(root)
    shift(1.01)
    assert "overdue" in told(root)
    assert [e["reason"] for e in call(root, "sweep")[1]["purged"]] == ["expired"]
    assert left_over(root) == []
    assert call(root, "run", "to_crm")[1]["syncs"][0]["rows"]["delivered"] == 5


def test_what_waits_with_nobody_there_to_end_it_is_told(root: Path, shift: Shift) -> None:
    """After a day without a command that sweeps; one that does is somebody."""
    shift(0.9)
    assert "unattended" not in told(root)
    shift(1.1)
    assert "unattended" in told(root)
    call(root, "sweep")
    assert "unattended" not in told(root)
    call(root, "purge")
    shift(9)
    assert "unattended" not in told(root)


@pytest.mark.usefixtures("no_waiting")
def test_a_clock_set_back_gives_no_time(root: Path, shift: Shift) -> None:
    """The latest time that was ever noted counts; runs are refused until the clock is right."""
    shift(31)
    with pytest.MonkeyPatch.context() as patch:
        # A process that noted the time and died before it ended anything.
        patch.setattr("mayfly.services.waiting.WaitingRoom._late_copies", lambda self: [])
        call(root, "sweep")
    assert left_over(root) != []
    shift(-100)
    refused = CliRunner().invoke(app, ["run", "to_crm", "--project", str(root)])
    assert getattr(refused.exception, "code", "") == "clock_backwards"
    assert "clock_backwards" in told(root)
    assert left_over(root) == []
    shift(31.01)
    assert call(root, "run")[0] == 0


@pytest.mark.usefixtures("no_waiting")
def test_a_warehouse_that_is_away_is_no_end(
    tmp_path: Path, sandbox: SandboxServer, shift: Shift
) -> None:
    """What cannot be reached is said to be left, and is ended once it can."""
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    approved(root)
    away(sandbox)
    assert call(root, "run", "to_meta")[0] == 4
    (root / "shop.duckdb").rename(root / "elsewhere")
    [held] = call(root, "status")[1]["held"]
    assert (held["copies"], held["batches"], held["rows"]) == (1, None, None)
    shift(31)
    code, document = call(root, "sweep")
    assert (code, document["ok"], document["purged"]) == (4, False, [])
    [left] = document["left"]
    assert left["sync"] == "to_meta"
    assert "overdue" in told(root)
    (root / "elsewhere").rename(root / "shop.duckdb")
    assert [e["reason"] for e in call(root, "sweep")[1]["purged"]] == ["expired"]
    assert left_over(root) == []


def test_an_approval_is_asked_for_since_the_first_run_that_lacks_it(
    tmp_path: Path, sandbox: SandboxServer, shift: Shift
) -> None:
    """For 30 days that no later run moves; then it is forgotten, on record, and asked for anew."""
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES)
    shift(0)
    call(root, "plan")
    call(root, "run", "--dry-run", "to_crm")
    assert call(root, "status")[1]["pending"] == []
    assert call(root, "run", "to_crm")[0] == 3
    [asked] = call(root, "status")[1]["pending"]
    text = CliRunner().invoke(app, ["status", "--project", str(root)]).stdout
    assert "to_crm waits for approval since" in text
    shift(29)
    assert call(root, "run", "to_crm")[0] == 3
    assert call(root, "status")[1]["pending"] == [asked]
    shown = {p["sync"]: p["expires_at"] for p in call(root, "approve")[1]["pending"]}
    assert shown["to_crm"] == asked["expires_at"] < shown["to_meta"]
    shift(30.1)
    call(root, "sweep")
    assert call(root, "status")[1]["pending"] == []
    entry = ledger(root)[-1]
    assert (entry["type"], entry["sync"]) == ("refused", "to_crm")
    assert entry["reason"] == "approval_expired"
    assert call(root, "run", "to_crm")[0] == 3
    assert len(call(root, "status")[1]["pending"]) == 1
    call(root, "approve", "--all")
    assert call(root, "status")[1]["pending"] == []
    assert call(root, "run", "to_crm")[0] == 0


def test_a_change_that_is_taken_back_is_asked_for_no_longer(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """By the next run."""
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES)
    approved(root)
    files, changed = (root / "mayfly.yml").read_text(), ", city: city}"
    assert changed in files
    (root / "mayfly.yml").write_text(files.replace(changed, "}"))
    assert call(root, "run", "to_crm")[0] == 3
    assert len(call(root, "status")[1]["pending"]) == 1
    (root / "mayfly.yml").write_text(files)
    assert call(root, "run", "to_crm")[0] == 0
    assert call(root, "status")[1]["pending"] == []


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.usefixtures("no_waiting")
def test_a_copy_for_another_account_ends_in_time_too(
    tmp_path: Path, sandbox: SandboxServer, shift: Shift
) -> None:
    """The sync writes to another one now, with a state of its own: what waits is not taken for
    gone.
    """
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    approved(root)
    away(sandbox)
    assert call(root, "run", "to_meta")[0] == 4
    files = root / "mayfly.yml"
    files.write_text(files.read_text().replace('account_id: "123"', 'account_id: "124"'))
    approved(root)
    call(root, "run", "to_meta")
    [held] = call(root, "status")[1]["held"]
    assert (held["copies"], left_over(root) != []) == (1, True)
    shift(31)
    assert [e["reason"] for e in call(root, "sweep")[1]["purged"]] == ["expired"]
    assert left_over(root) == []


def test_keys_of_removed_rows_go_with_a_plan_that_is_swept(
    tmp_path: Path, sandbox: SandboxServer, shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a mirror beside a source that is not written; its run was killed before its end."""
    text = FILES.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")
    root = make_project(tmp_path / "project", sandbox.url, rows=20, text=text)
    approved(root)
    assert call(root, "run", "to_crm")[0] == 0
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("DELETE FROM people WHERE id < 5")

    async def dying(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr("mayfly.services.advance_run._close", dying)
        CliRunner().invoke(app, ["run", "to_crm", "--project", str(root)])
    shift(1.1)
    assert [e["reason"] for e in call(root, "sweep")[1]["purged"]] == ["expired"]
    [file] = (root / ".mayfly" / "state").glob("*.duckdb")
    with duckdb.connect(str(file), read_only=True) as state:
        [table] = [n for (n,) in state.execute(TABLES).fetchall() if n.startswith("state_")]
        found = state.execute(
            f"SELECT present, s0 IS NULL, count(*) FROM _mayfly.{table} GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert found == [(False, True, 5), (True, False, 15)]


def test_a_clock_that_stands_a_moment_behind_is_none_set_back(
    tmp_path: Path, sandbox: SandboxServer, shift: Shift
) -> None:
    """Two machines' clocks never agree to the millisecond."""
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES)
    approved(root)
    call(root, "run", "to_crm")
    shift(-1 / 86_400)
    assert "clock_backwards" not in told(root)
    assert call(root, "run", "to_crm")[0] == 0


@pytest.mark.parametrize("words", [["sweep"], ["status"], ["purge"], ["keys", "rewrap"], ["run"]])
def test_a_source_that_no_sync_reads_stops_nothing(
    tmp_path: Path, sandbox: SandboxServer, words: list[str]
) -> None:
    """Its secret is not set where sweeping is done, say."""
    other = (
        "  shop: {type: duckdb, path: shop.duckdb}\n  other: {type: postgres, dsn: env:NO_DSN}\n"
    )
    text = FILES.replace("  shop: {type: duckdb, path: shop.duckdb}\n", other)
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=text)
    approved(root)
    code, document = call(root, *words)
    assert (code, document["ok"]) == (0, True)


@pytest.mark.usefixtures("no_waiting")
def test_a_copy_that_nobody_has_is_no_longer_said_to_wait(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Its warehouse was restored from before, say."""
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    approved(root)
    before = (root / "shop.duckdb").read_bytes()
    away(sandbox)
    call(root, "run", "to_meta")
    (root / "shop.duckdb").write_bytes(before)
    assert [e["reason"] for e in call(root, "purge")[1]["purged"]] == ["not_there"]
    assert call(root, "status")[1]["held"] == []


@pytest.mark.usefixtures("no_waiting")
def test_the_report_tells_ages_and_what_is_open(root: Path, shift: Shift) -> None:
    """Rows were held for seconds, and a copy waits; beyond its cap the report is of a fault."""
    assert call(root, "run", "to_crm")[0] == 0
    code, document = call(root, "report", "retention")
    rows, copies = document["classes"]
    assert (code, rows["count"], rows["over_target"], copies["count"]) == (0, 1, 0, 1)
    assert 0 <= rows["age_at_purge_seconds"]["max"] < 3_600
    [there] = document["open"]
    assert (there["sync"], there["reason"]) == ("to_meta", "destination_outage")
    shift(31)
    assert call(root, "report", "retention")[0] == 1
    call(root, "sweep")
    code, document = call(root, "report", "retention")
    assert (code, document["expired"], document["open"]) == (1, 1, [])
    assert document["classes"][1]["over_cap"] == 1
    text = CliRunner().invoke(app, ["report", "retention", "--project", str(root)]).stdout
    assert "over the cap of 30 d: 1" in text
    assert "open: nothing" in text
    assert text.startswith("Retention, the beginning to now, from the ledger alone\n")
    tomorrow = ["report", "retention", "--since", "2199-01-01"]
    assert [c["count"] for c in call(root, *tomorrow)[1]["classes"]] == [0, 0]
    shown = CliRunner().invoke(app, [*tomorrow, "--project", str(root)]).stdout
    assert shown.startswith("Retention, 2199-01-01 to now, ")
