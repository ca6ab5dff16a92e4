"""What must wait is sealed, goes on when its destination is back, and is gone then."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from buckets import Bucket
from end_to_end.projects import FILES, SHOP, approved, make_project, members
from end_to_end.spool_buckets import spool_bucket
from marks import IN_A_SOAK
from mayfly.adapters import clock
from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.adapters.spools.key_rows import KeyRow
from mayfly.adapters.spools.spool import SealedSpool
from mayfly.cli.commands import app
from mayfly.connectors.destinations.database_sqlite import SqliteEngine
from mayfly.domain.errors import TransientError
from mayfly.domain.held import HeldBatch
from mayfly.ledger.entry import Entry, EntryType
from mayfly.sandbox.server import SandboxServer
from mayfly.services.scan_paths import scan_paths
from mayfly.testing.plan_world import digest

HOLD = FILES.replace(
    "    audience: People\n", "    audience: People\n    batch_rows: 30\n"
).replace("mode: audience", "mode: audience\n    on_outage: hold")
LOG = """
destinations:
  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_log:
    id: to_log
    model: people
    destination: log
    mode: append
    on_outage: hold
    batch_rows: 30
    table: people
    mapping: {id: id, email: email}
"""
DAY_MS = 86_400_000
AWAY = TransientError("keys_unavailable", "The key provider is away.")
BUCKETS: dict[Path, Bucket] = {}
"""The bucket of each project that has one."""
SLOW = pytest.mark.slow
# Where batches wait, and where what was delivered is remembered.
BY_SPOOL = [
    ("folder", "source"),
    pytest.param(("s3", "source"), marks=SLOW),
    pytest.param(("gcs", "source"), marks=IN_A_SOAK),
]
PLACES = [*BY_SPOOL, pytest.param(("folder", "local"), marks=SLOW)]
# For what is the spool's alone, wherever a state is.
ONE_STATE = pytest.mark.parametrize("places", BY_SPOOL, indirect=True, ids="-".join)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)


@pytest.fixture(params=PLACES, ids="-".join)
def places(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """The spool as the project says it, and `state` of its source."""
    spool, state = request.param
    if spool == "folder":
        yield "", state
        return
    with spool_bucket(spool, monkeypatch) as (bucket, text):
        BUCKETS[tmp_path / "project"] = bucket
        yield text, state
    del BUCKETS[tmp_path / "project"]


def put(text: str, places: tuple[str, str]) -> str:
    """The project with both places."""
    spool, state = places
    return text.replace("path: shop.duckdb", f"path: shop.duckdb, state: {state}") + spool


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer, places: tuple[str, str]) -> Path:
    """A hundred people in four batches for a platform that is away; some were begun."""
    made = make_project(tmp_path / "project", sandbox.url, text=put(HOLD, places))
    approved(made)
    control(sandbox, "POST", {"path": "/*/users", "kind": "503", "count": 10_000})
    code, document = call(made, "run", "to_meta")
    assert (code, document["syncs"][0]["status"]) == (4, "held")
    return made


def control(sandbox: SandboxServer, method: str, body: dict[str, object] | None = None) -> None:
    """Faults of the platform: ordered, or called off."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", data, method=method)
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    assert done.stdout, done.exception
    return done.exit_code, json.loads(done.stdout)


def text_of(root: Path, *words: str) -> str:
    """What a command prints for people."""
    return CliRunner().invoke(app, [*words, "--project", str(root)]).stdout


def change(root: Path, sql: str) -> None:
    """The warehouse's owner changes it."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


def sealed_bytes(root: Path) -> dict[str, bytes]:
    """What lies in the spool."""
    if root in BUCKETS:
        assert not (root / ".mayfly" / "spool").exists()
        return dict(BUCKETS[root].objects)
    return {p.name: p.read_bytes() for p in (root / ".mayfly" / "spool").glob("*")}


def sealed(root: Path) -> list[str]:
    """Names in the spool."""
    return sorted(sealed_bytes(root))


def ledger(root: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of a type that are about a batch."""
    lines = (root / ".mayfly" / "ledger" / "entries.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [e for e in found if e["type"] == kind and e["batch"] is not None]


def of_keys(root: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of a kind that name no batch."""
    lines = (root / ".mayfly" / "ledger" / "entries.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, lines) if e["type"] == kind]


def verified(root: Path) -> tuple[int, int, int]:
    """Unpaired, overdue and inconsistent, as anyone sees them."""
    folder = root / ".mayfly" / "ledger"
    words = ["verify", str(folder), "--key", str(folder / "key.pub"), "--output", "json"]
    report = json.loads(CliRunner().invoke(app, words).stdout)
    return report["unpaired"], report["overdue"], report["inconsistent"]


def emails(*numbers: int) -> set[str]:
    """What the platform matches on."""
    return {digest(f"p{n}@example.com").hex() for n in numbers}


def test_what_waits_is_sealed_and_says_until_when(root: Path) -> None:
    """In batches, with a deadline each; nothing of ours can be read."""
    waiting = {h["class"]: h for h in call(root, "status")[1]["held"]}
    assert (waiting["customer_data"]["batches"], waiting["customer_data"]["rows"]) == (4, 100)
    assert len(sealed(root)) == 4
    assert scan_paths([root / ".mayfly"]) == []
    digests = [value.encode() for value in emails(*range(100))]
    raw = [bytes.fromhex(value.decode()) for value in digests]
    files = {p.name: p.read_bytes() for p in (root / ".mayfly").rglob("*") if p.is_file()}
    for name, content in {**files, **sealed_bytes(root)}.items():
        assert not any(value in content for value in (*digests, *raw)), name
    assert [e["reason"] for e in ledger(root, "held")] == ["destination_outage"] * 4


@pytest.mark.parametrize("places", [("folder", "local")], indirect=True)
def test_beside_a_local_state_no_rows_wait_twice(root: Path) -> None:
    """Those that a run has planned go with it: what is sealed in the spool is all there is."""
    assert [p.suffix for p in (root / ".mayfly" / "state").iterdir()] == [".duckdb"]


def test_it_goes_when_the_platform_is_back_and_is_gone(root: Path, sandbox: SandboxServer) -> None:
    """Once, under the run that planned it; the ledger pairs each batch with its end."""
    control(sandbox, "DELETE")
    [planned] = {e["run"] for e in ledger(root, "held")}
    code, document = call(root, "run", "to_meta")
    [ended] = document["syncs"]
    assert (code, ended["status"], ended["rows"]["delivered"]) == (0, "succeeded", 100)
    assert members(sandbox) == emails(*range(100))
    assert sealed(root) == []
    assert call(root, "status")[1]["held"] == []
    assert {e["run"] for e in ledger(root, "delivered")} == {planned}
    purged = ledger(root, "purged")
    assert [(e["run"], e["reason"]) for e in purged] == [(planned, "delivered")] * 4
    assert all(e["age_ms"] >= 0 for e in purged)
    assert verified(root) == (0, 0, 0)
    assert call(root, "run", "to_meta")[1]["syncs"][0]["status"] == "no_changes"


@ONE_STATE
def test_while_it_is_away_nothing_moves_the_deadline(root: Path) -> None:
    """Nor is anything sealed again."""
    before, files = call(root, "status")[1]["held"], sealed(root)
    for _ in range(2):
        assert call(root, "run", "to_meta")[0] == 4
    assert (call(root, "status")[1]["held"], sealed(root)) == (before, files)
    assert len(ledger(root, "held")) == 4


def test_who_may_not_go_any_more_does_not(root: Path, sandbox: SandboxServer) -> None:
    """Consent withdrawn, suppressed, gone from the model: each since the batch was sealed."""
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    change(root, "DELETE FROM people WHERE id = 95")
    line = b'{"kind": "email", "value": "p50@example.com"}\n'
    words = ["suppress", "add", "--project", str(root)]
    assert CliRunner().invoke(app, words, input=line).exit_code == 0
    control(sandbox, "DELETE")
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100)) - emails(3, 50, 95)
    assert sealed(root) == []
    assert verified(root) == (0, 0, 0)


def test_where_consent_cannot_be_read_nothing_goes(root: Path, sandbox: SandboxServer) -> None:
    """The batches wait on."""
    control(sandbox, "DELETE")
    files = sealed(root)
    change(root, "ALTER TABLE people RENAME COLUMN ads TO consent")
    assert call(root, "run", "to_meta")[0] != 0
    assert (sealed(root), members_or_none(sandbox)) == (files, set())
    change(root, "ALTER TABLE people RENAME COLUMN consent TO ads")
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))


def members_or_none(sandbox: SandboxServer) -> set[str]:
    """Nobody where there is no audience yet."""
    try:
        return members(sandbox)
    except ValueError:
        return set()


def test_another_mapping_sends_nothing_old(root: Path, sandbox: SandboxServer) -> None:
    """What was sealed under the earlier one is purged, and everything is planned anew."""
    control(sandbox, "DELETE")
    text = (
        (root / "mayfly.yml").read_text().replace("{EMAIL: email, PHONE: phone}", "{EMAIL: email}")
    )
    (root / "mayfly.yml").write_text(text)
    approved(root)
    assert call(root, "run", "to_meta")[0] == 0
    assert {e["reason"] for e in ledger(root, "purged")} == {"planned_anew"}
    assert members(sandbox) == emails(*range(100))
    assert (sealed(root), verified(root)) == ([], (0, 0, 0))


@ONE_STATE
def test_thirty_days_end_it_undelivered(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Purged, and recorded as expired; what the source still has is planned again."""
    real = clock._system_ms
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + 31 * DAY_MS)
    late = [p["message"] for p in call(root, "doctor")[1]["problems"] if p["code"] == "overdue"]
    assert sum("a sealed batch" in message for message in late) == 4
    planned = CliRunner().invoke(app, ["plan", "--project", str(root)])
    assert "mayfly sweep" in planned.stderr
    monkeypatch.setattr(
        SealedSpool, "_content", lambda *_: pytest.fail("no key is needed to destroy")
    )
    document = call(root, "sweep")[1]
    assert {e["reason"] for e in document["purged"]} == {"expired"}
    assert sealed(root) == []
    assert [e["rows"] for e in ledger(root, "expired")] == [30, 30, 30, 10]
    assert {e["kek_version"] for e in ledger(root, "expired")} == {"1"}
    monkeypatch.undo()


@ONE_STATE
def test_it_ends_at_once_on_demand(root: Path, sandbox: SandboxServer) -> None:
    """With the working copy; the next run plans anew."""
    document = call(root, "purge", "to_meta")[1]
    assert sum(e["rows"] for e in document["purged"] if e["batches"] == 1) == 100
    assert (sealed(root), call(root, "status")[1]["held"]) == ([], [])
    control(sandbox, "DELETE")
    assert call(root, "run", "to_meta")[1]["syncs"][0]["rows"]["delivered"] == 100
    assert verified(root) == (0, 0, 0)


@ONE_STATE
def test_a_key_that_is_rotated_meanwhile_opens_what_waits(
    root: Path, sandbox: SandboxServer
) -> None:
    """Its data key is wrapped anew; the sealed bytes stay as they are."""
    before = sealed_bytes(root)
    [run] = {e["run"] for e in ledger(root, "held")}
    assert {e["kek_version"] for e in ledger(root, "held")} == {"1"}
    code, document = call(root, "keys", "rotate")
    assert (code, len(document["versions"])) == (0, 2)
    assert document["rewrapped"] >= len(before)
    assert call(root, "keys", "destroy", "1", "--yes")[0] == 0
    assert sealed_bytes(root) == before
    control(sandbox, "DELETE")
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))
    assert {e["kek_version"] for e in ledger(root, "purged")} == {"2"}
    assert verified(root) == (0, 0, 0)
    # Erased, and for good once the version that wrapped them last is destroyed as well.
    fates = [b["cryptographic"] for b in call(root, "report", "erasure")[1]["batches"]]
    assert fates == [{"state": "open", "at": None, "waits_for": ["2"]}] * 4
    assert "cryptographic erase: open: key version 2" in text_of(root, "report", "erasure")
    for words in (["rotate"], ["destroy", "2", "--yes"]):
        assert call(root, "keys", *words)[0] == 0
    code, document = call(root, "report", "erasure")
    assert code == 0
    for batch in document["batches"]:
        assert (batch["run"], batch["reason"]) == (run, "delivered")
        assert (batch["key_versions"], batch["cryptographic"]["state"]) == (["1", "2"], "final")
        assert batch["sealed_at"] < batch["logical_at"] < batch["cryptographic"]["at"]
    assert "100 rows in 4 batches" in text_of(root, "report", "erasure")


def test_each_epoch_has_its_key_and_ends_with_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week each, and two at most until what was purged is erased for good; `sweep` is enough."""
    main = root / "mayfly.yml"
    main.write_text(main.read_text() + "keys: {epoch_days: 7}\n")
    real, states = clock._system_ms, []
    for day in (0, 6, 8, 14, 16, 23, 31, 39, 47):
        monkeypatch.setattr(clock, "_system_ms", lambda day=day: real() + day * DAY_MS)
        assert call(root, "sweep")[0] == 0
        known = call(root, "keys", "versions")[1]["versions"]
        states.append("".join(v["state"][0] for v in known))
        if day == 23:
            assert len(sealed(root)) == 4
            assert call(root, "purge", "to_meta")[0] == 0
    assert states == ["e", "e", "ee", "ee", "dee", "ddee", "dddee", "ddddee", "dddddee"]
    assert [e["reason"] for e in of_keys(root, "kek_destroyed")] == ["1", "2", "3", "4", "5"]
    assert [e["kek_version"] for e in of_keys(root, "rewrapped")][:3] == ["1", "2", "3"]
    assert verified(root) == (0, 0, 0)
    for batch in call(root, "report", "erasure")[1]["batches"]:
        assert (batch["reason"], batch["cryptographic"]["state"]) == ("purged", "final")
        assert batch["key_versions"] == ["1", "2", "3", "4"]
        logical, final = batch["logical_at"], batch["cryptographic"]["at"]
        assert datetime.fromisoformat(final) - datetime.fromisoformat(logical) < timedelta(17)


def test_what_keeps_an_epoch_from_its_end_keeps_nothing_else(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, nothing is destroyed, and the next command goes on."""
    main = root / "mayfly.yml"
    main.write_text(main.read_text() + "keys: {epoch_days: 1}\n")
    real = clock._system_ms
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr(LocalKeyProvider, "rotate", lambda self: (_ for _ in ()).throw(AWAY))
        done = CliRunner().invoke(app, ["sweep", "--project", str(root)])
        assert (done.exit_code, of_keys(root, "rewrapped")) == (0, [])
        assert "[keys_unavailable]" in done.stderr
    assert call(root, "sweep")[0] == 0
    assert [e["kek_version"] for e in of_keys(root, "rewrapped")] == ["2"]


def test_another_s_new_version_is_on_record_too(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What wrapped the key of a batch is, whatever a run thinks is the newest one."""
    call(root, "purge", "to_meta")
    monkeypatch.setattr("mayfly.bootstrap.keeping.newest_version", lambda keys: "1")
    assert call(root, "keys", "rotate")[0] == 0
    assert call(root, "run", "to_meta")[0] == 4
    [run] = {e["run"] for e in ledger(root, "held")[4:]}
    told = [e["kek_version"] for e in ledger(root, "held")[4:]]
    assert told == ["2"] * 4
    assert verified(root) == (4, 0, 0)
    waiting = [b for b in call(root, "report", "erasure")[1]["batches"] if b["run"] == run]
    assert [b["logical_at"] for b in waiting] == [None] * 4
    assert "logical erase: waits, no later than" in text_of(root, "report", "erasure")


@pytest.mark.parametrize("answered", [True, False])
def test_a_version_made_during_a_seal_that_fails_is_on_record(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """It wrapped a key, though the batch was never held: the report waits for its end, also where
    whoever made it did not come to say so.
    """
    call(root, "purge", "to_meta")
    begin = SealedSpool._wrapped
    made: list[str] = []

    def wrapped(spool: SealedSpool, held: HeldBatch) -> tuple[bytes, KeyRow]:
        if not made:
            made.append(str(spool._provider.rotate()))
        return begin(spool, held)

    def fails(spool: SealedSpool, row: KeyRow, content: bytes) -> None:
        if answered:
            spool._blobs.put(row.blob, content)
        raise TransientError("spool_unavailable", "The place is away.")

    monkeypatch.setattr(SealedSpool, "_wrapped", wrapped)
    monkeypatch.setattr(SealedSpool, "_written", fails)
    assert call(root, "run", "to_meta")[0] == 4
    [entry] = ledger(root, "held")[4:]
    assert (entry["kek_version"], made) == ("2", ["2"])
    assert [e["reason"] for e in ledger(root, "purged")[4:]] == ["not_held"]
    assert call(root, "keys", "destroy", "1", "--yes")[0] == 0
    [batch] = [b for b in call(root, "report", "erasure")[1]["batches"] if b["run"] == entry["run"]]
    assert batch["cryptographic"] == {"state": "open", "at": None, "waits_for": ["2"]}
    assert (sealed(root), verified(root)[0]) == ([], 0)


def test_a_batch_that_was_answered_before_its_purge_is_not_sent_again(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies in between; the next run purges it and sends the others."""
    control(sandbox, "DELETE")
    with monkeypatch.context() as patch:
        patch.setattr(SealedSpool, "purge", lambda self, ids: (_ for _ in ()).throw(SystemExit(9)))
        done = CliRunner().invoke(app, ["run", "to_meta", "--project", str(root)])
    assert done.exit_code == 9
    assert len(sealed(root)) == 4
    assert len(ledger(root, "delivered")) == 1
    assert call(root, "run", "to_meta")[1]["syncs"][0]["rows"]["delivered"] == 70
    assert members(sandbox) == emails(*range(100))
    assert (sealed(root), verified(root)) == ([], (0, 0, 0))


def die_before_an_end(patch: pytest.MonkeyPatch) -> None:
    """The process is gone before the end of a batch is written down."""
    append = FolderLedger.append

    def dying(self: FolderLedger, entries: Sequence[Entry]) -> None:
        if any(e.type in (EntryType.PURGED, EntryType.EXPIRED) for e in entries):
            raise SystemExit(9)
        append(self, entries)

    patch.setattr(FolderLedger, "append", dying)


@ONE_STATE
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_an_end_that_nobody_wrote_down_is_written_later(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The process dies between purging and saying so; the next run says it, and where there is
    none, the first command after the cap.
    """
    with monkeypatch.context() as patch:
        die_before_an_end(patch)
        done = CliRunner().invoke(app, ["purge", "to_meta", "--project", str(root)])
    assert done.exit_code == 9
    assert (sealed(root), verified(root)[0]) == ([], 4)
    control(sandbox, "DELETE")
    if command == "sweep":
        real = clock._system_ms
        monkeypatch.setattr(clock, "_system_ms", lambda: real() + 31 * DAY_MS)
    assert call(root, *(["run", "to_meta"] if command == "run" else ["sweep"]))[0] == 0
    kind = "purged" if command == "run" else "expired"
    assert [e["reason"] for e in ledger(root, kind)] == ["not_there"] * 4
    assert verified(root)[0] == 0


# -- appends to a table of one's own ------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path, places: tuple[str, str]) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A log that somebody else has locked, and what gives it free."""
    root = make_project(tmp_path / "project", "", text=put(SHOP + LOG, places))
    with sqlite3.connect(root / "log.sqlite") as made:
        made.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT)")
    approved(root)
    other = sqlite3.connect(root / "log.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield root, other.close
    other.close()


def logged(root: Path) -> list[int]:
    """Ids in the log, in order."""
    with sqlite3.connect(root / "log.sqlite") as connection:
        return [n for (n,) in connection.execute("SELECT id FROM people ORDER BY id")]


def test_rows_that_left_the_source_meanwhile_still_arrive(
    log: tuple[Path, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sync without a purpose: nobody's consent is asked for. Each arrives once, but who was
    suppressed does not.
    """
    monkeypatch.setitem(SqliteEngine.__init__.__kwdefaults__, "busy_seconds", 0.05)
    root, free = log
    assert call(root, "run")[0] == 4
    assert len(sealed(root)) == 4
    assert scan_paths([root / ".mayfly"]) == []
    change(root, "DELETE FROM people")
    lines = (
        b'{"kind": "email", "value": "p7@example.com"}\n{"kind": "primary_key", "value": "50"}\n'
    )
    words = ["suppress", "add", "--project", str(root)]
    assert CliRunner().invoke(app, words, input=lines).exit_code == 0
    free()
    code, document = call(root, "run")
    assert (code, document["syncs"][0]["rows"]["delivered"]) == (0, 98)
    assert logged(root) == sorted(set(range(100)) - {7, 50})
    assert (sealed(root), verified(root)) == ([], (0, 0, 0))
