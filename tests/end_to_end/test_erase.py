"""`mayfly erase`: one person is planted in every place among 999 others, and taken out of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.holding import about_batches, come_back, leave, sealed, verified, waiting
from end_to_end.projects import _no_sleep, address_digest, members
from mayfly.api import Project, load
from mayfly.bootstrap import initialise, open_app
from mayfly.cli.commands import app
from mayfly.domain.erasures import Extension, Regulation, RequestKind
from mayfly.domain.errors import EngineError, UsageError
from mayfly.sandbox.faults import Fault, Faults
from mayfly.sandbox.server import SandboxServer
from mayfly.services.events import ErasureDue, ErasuresDue, Event
from mayfly.services.hold import rows_of

PEOPLE = 1_000
ADA = 7
ADDRESS, MOVED = f"p{ADA}@example.com", f"new{ADA}@example.com"
LINE = json.dumps({"kind": "email", "value": f" New{ADA}@Example.com"}).encode()
TEXT = """
version: 1
workspace: {name: shop}
sources:
  shop: SOURCE
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, city: {}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  crm: {type: duckdb, path: crm.duckdb, kind: internal, owner: care, reason: answers}
  drop: {type: files, path: drop, format: csv, kind: internal, owner: mail room, reason: post}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    on_outage: hold
    mapping: {EMAIL: email}
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: upsert
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, city: city}
  to_drop:
    id: to_drop
    model: people
    destination: drop
    mode: append
    purpose: ads
    mapping: {id: id, city: city}
"""


@dataclass(frozen=True)
class Shop:
    """A source with a thousand people, and the project on it."""

    root: Path
    url: str
    dsn: str
    local: bool

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """The last statement's rows."""
        if not self.dsn:
            with duckdb.connect(str(self.root / "shop.duckdb")) as file:
                return [file.execute(s).fetchall() for s in statements][-1]
        with psycopg.connect(self.dsn, autocommit=True) as server:
            cursors = [server.execute(s.encode()) for s in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def open(self, change: Callable[[str], str] = str) -> Project:
        """The project, initialised and approved."""
        source = "{type: duckdb, path: shop.duckdb"
        if self.dsn:
            source = '{type: postgres, dsn: "env:WAREHOUSE_DSN"'
        text = TEXT.replace("SOURCE", source + (", state: local}" if self.local else "}"))
        (self.root / "mayfly.yml").write_text(change(text).replace("URL", self.url))
        (self.root / "drop").mkdir(exist_ok=True)
        initialise(self.root)
        return self.again()

    def again(self) -> Project:
        """As another process opens it."""
        project = load(self.root)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        return project

    def remembered(self) -> list[str]:
        """All that the tables of our schema hold, as texts, where the source is written."""
        where = "table_schema = '_mayfly' AND table_type = 'BASE TABLE'"
        names = self.execute(f"SELECT table_name FROM information_schema.tables WHERE {where}")
        rows = [r for (n,) in names for r in self.execute(f'SELECT * FROM "_mayfly"."{n}"')]
        return [v.hex() if isinstance(v, bytes) else str(v) for row in rows for v in row]

    def known_keys(self) -> set[str]:
        """All primary keys in these tables."""
        where = "table_schema = '_mayfly' AND column_name = 'k0'"
        names = self.execute(f"SELECT table_name FROM information_schema.columns WHERE {where}")
        rows = [r for (n,) in names for r in self.execute(f'SELECT k0 FROM "_mayfly"."{n}"')]
        return {str(key) for (key,) in rows}

    def customers(self) -> list[tuple[Any, ...]]:
        """Of the internal database."""
        with duckdb.connect(str(self.root / "crm.duckdb")) as file:
            return file.execute("SELECT id, email FROM people ORDER BY id").fetchall()


def make_shop(root: Path, url: str, *, people: int, dsn: str = "", local: bool = False) -> Shop:
    """With so many people."""
    root.mkdir()
    shop = Shop(root=root, url=url, dsn=dsn, local=local)
    numbers = f"generate_series(0, {people - 1}) AS i" if dsn else f"range({people}) AS r(i)"
    shop.execute(
        "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
        f"'Lyon' AS city, TRUE AS ads FROM {numbers}"
    )
    return shop


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("local", marks=pytest.mark.slow),
        pytest.param("postgres", marks=pytest.mark.slow),
    ]
)
def crowd(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    tmp_path: Path,
) -> Shop:
    """A thousand people in a source that is written, or is not."""
    monkeypatch.setenv("META_TOKEN", "t0ken")
    dsn = ""
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("WAREHOUSE_DSN", dsn)
    local = request.param == "local"
    return make_shop(tmp_path / "shop", sandbox.url, people=PEOPLE, dsn=dsn, local=local)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer, tmp_path: Path) -> Shop:
    """Twenty people in a source that is written."""
    monkeypatch.setenv("META_TOKEN", "t0ken")
    return make_shop(tmp_path / "shop", sandbox.url, people=20)


def statuses(document: dict[str, Any]) -> dict[str, str]:
    """By sync."""
    return {step["sync"]: step["status"] for step in document["destinations"]}


def needles() -> list[bytes]:
    """What the person could be known by in a file of ours."""
    made = [hashlib.sha256(text.encode()) for text in (ADDRESS, MOVED)]
    forms = [form for d in made for form in (d.digest(), d.hexdigest().encode())]
    return [ADDRESS.encode(), MOVED.encode(), *forms]


def traces(root: Path) -> list[str]:
    """Files of the project's own folder that hold the person."""
    files = [p for p in (root / ".mayfly").rglob("*") if p.is_file()]
    return [p.name for p in files if any(n in p.read_bytes() for n in needles())]


def sealed_digests(root: Path) -> set[str]:
    """Of addresses in all that waits sealed, opened as its worker would."""
    spool = open_app(root).spool()
    opened = [rows_of(spool.open(held.id))[0] for held in spool.held()]
    return {digest.hex() for rows in opened for digest in rows.column("EMAIL").to_pylist()}


def arrive_once(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform takes one batch and is away from then on."""
    take, calls = Faults.take, []

    def after_one(faults: Faults, path: str) -> Fault | None:
        if path.endswith("/users"):
            calls.append(path)
            if len(calls) == 2:
                faults.add({"path": "/*/users", "kind": "503", "count": 10_000})
        return take(faults, path)

    monkeypatch.setattr(Faults, "take", after_one)


def refuse_moved(shop: Shop) -> None:
    """The internal database takes everybody, but not the person's new address."""
    checked = f"email VARCHAR CHECK (email <> '{MOVED}')"
    with duckdb.connect(str(shop.root / "crm.duckdb")) as file:
        file.execute(f"CREATE TABLE checked (id BIGINT PRIMARY KEY, {checked}, city VARCHAR)")
        file.execute("INSERT INTO checked SELECT id, email, city FROM people")
        file.execute("DROP TABLE people")
        file.execute("ALTER TABLE checked RENAME TO people")


def rejected(project: Project) -> dict[str, int]:
    """Rows that each state remembers as rejected, by sync."""
    return {state["sync"]: state["rejected"] for state in project.states()["states"]}


def plant_rejection(shop: Shop) -> None:
    """As if the person's row had been refused by the others, too."""
    where = "table_schema = '_mayfly' AND table_name LIKE 'rejected_%'"
    names = shop.execute(f"SELECT table_name FROM information_schema.tables WHERE {where}")
    assert len(names) == 3
    for (name,) in names:
        shop.execute(
            f'INSERT INTO "_mayfly"."{name}" (k0, versions, code, noted_at) '
            f"VALUES ({ADA}, 'v', 2, 0)"
        )


def test_a_person_is_gone_from_every_place_and_the_others_are_delivered(
    crowd: Shop, sandbox: SandboxServer
) -> None:
    """State, pairs, sealed batches, open plan, rejections, platform and database: none left."""
    project = crowd.open()
    project.run()
    assert len(members(sandbox)) == len(crowd.customers()) == PEOPLE
    crowd.execute("UPDATE people SET email = 'new' || id || '@example.com'")
    refuse_moved(crowd)
    refused = project.run("to_crm").to_dict()["syncs"][0]["rows"]
    assert (refused["delivered"], refused["rejected"]) == (PEOPLE - 1, 1)
    leave(sandbox)
    project.run("to_meta")
    assert sealed(crowd.root)
    come_back(sandbox)
    assert rejected(project) == {"to_meta": 0, "to_crm": 1, "to_drop": 0}
    if not crowd.local:
        assert crowd.execute('SELECT key_1 FROM "_mayfly".rejected') == [(str(ADA),)]
        plant_rejection(crowd)
        assert rejected(project) == {"to_meta": 1, "to_crm": 2, "to_drop": 1}
    document = crowd.again().erase(LINE)
    assert document["status"] == "completed"
    wanted = {"to_meta": "accepted", "to_crm": "confirmed", "to_drop": "unsupported"}
    assert statuses(document) == wanted
    assert [s["rows"] for s in project.states()["states"]] == [PEOPLE - 1] * 3
    assert not any(rejected(project).values())
    assert address_digest(ADDRESS) not in members(sandbox)
    assert ADA not in dict(crowd.customers())
    assert sum(held.rows for held in waiting(crowd.root)) == PEOPLE - 1
    assert not sealed_digests(crowd.root) & {address_digest(ADDRESS), address_digest(MOVED)}
    if not crowd.local:
        found = set(crowd.remembered())
        assert address_digest("p8@example.com") in found
        assert not found & {address_digest(ADDRESS), address_digest(MOVED)}
        assert "8" in crowd.known_keys()
        assert str(ADA) not in crowd.known_keys()
        assert crowd.execute('SELECT key_1 FROM "_mayfly".rejected') == []
    assert traces(crowd.root) == []
    ended = {s["sync"]: s for s in crowd.again().run().to_dict()["syncs"]}
    assert ended["to_meta"]["status"] == "succeeded"
    others = [i for i in range(PEOPLE) if i != ADA]
    assert members(sandbox) == {address_digest(f"new{i}@example.com") for i in others}
    assert crowd.customers() == [(i, f"new{i}@example.com") for i in others]
    assert [s["rows"] for s in project.states()["states"]] == [PEOPLE - 1] * 3
    assert not any(rejected(project).values())
    assert verified(crowd.root) == (0, 0, 0)


@pytest.mark.parametrize("local", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_others_that_wait_sealed_go_on_waiting(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer, tmp_path: Path, *, local: bool
) -> None:
    """Of three batches one held the person: it is sealed again with its old deadline under another
    key, the others are not touched, and all the others are delivered by the plan that was open.
    """
    monkeypatch.setenv("META_TOKEN", "t0ken")
    shop = make_shop(tmp_path / "shop", sandbox.url, people=25, local=local)
    project = shop.open(lambda text: text.replace("on_outage", "batch_rows: 10\n    on_outage"))
    leave(sandbox)
    project.run("to_meta")
    before = {held.batch: held for held in waiting(shop.root)}
    files, spool = set(sealed(shop.root)), project.app.spool()
    assert [held.rows for held in before.values()] == [10, 10, 5]
    rows, _ = rows_of(spool.open(before[2].id))
    digests = [digest.hex() for digest in rows.column("EMAIL").to_pylist()]
    gone = next(i for i in range(25) if address_digest(f"p{i}@example.com") in digests)
    who = address_digest(f"p{gone}@example.com")
    line = json.dumps({"kind": "email", "value": f"p{gone}@example.com"}).encode()
    # All three were begun: whether the platform has anybody of them it has to say itself.
    assert statuses(project.erase(line))["to_meta"] == "requested"
    after = {held.batch: held for held in waiting(shop.root)}
    # Another copy, by its id, and otherwise the same batch.
    assert after[2].id != before[2].id
    assert after == {**before, 2: replace(before[2], id=after[2].id, rows=4)}
    assert len(files & set(sealed(shop.root))) == 2
    assert who not in sealed_digests(shop.root)
    [purged] = about_batches(shop.root, "purged")
    assert (purged["batch"], purged["reason"], purged["rows"]) == (2, "erased", 5)
    again = about_batches(shop.root, "held")[-1]
    assert (again["batch"], again["rows"], again["age_ms"] is not None) == (2, 4, True)
    assert verified(shop.root)[1:] == (0, 0)
    come_back(sandbox)
    ended = shop.again().run("to_meta").to_dict()["syncs"][0]
    assert ended["status"] == "succeeded"
    others = {address_digest(f"p{i}@example.com") for i in range(25) if i != gone}
    assert members(sandbox) == others
    if not local:
        assert who not in shop.remembered()
    [request] = shop.again().erasures()["requests"]
    assert request["status"] == "completed"
    reasons = [e["reason"] for e in about_batches(shop.root, "purged")[1:]]
    assert reasons == ["delivered"] * 3
    assert verified(shop.root) == (0, 0, 0)


@pytest.mark.slow
def test_a_sealed_batch_that_cannot_be_opened_is_destroyed_whole(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Nobody can say who is in it; whoever else was is planned anew and delivered."""
    project = shop.open(lambda text: text.replace("on_outage", "batch_rows: 10\n    on_outage"))
    leave(sandbox)
    project.run("to_meta")
    kept, damaged = sorted((shop.root / ".mayfly" / "spool").glob("*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    come_back(sandbox)
    line = json.dumps({"kind": "email", "value": "nobody@example.com"}).encode()
    assert shop.again().erase(line)["status"] == "completed"
    assert sealed(shop.root) == [kept.name]
    [purged] = about_batches(shop.root, "purged")
    assert (purged["reason"], purged["rows"]) == ("erased", 10)
    shop.again().run("to_meta")
    assert len(members(sandbox)) == 20
    assert verified(shop.root) == (0, 0, 0)


@pytest.mark.slow
def test_who_was_sent_by_a_plan_that_is_open_is_asked_for(
    shop: Shop, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch arrived and its plan waits for the others: no state knows of it yet."""
    project = shop.open(lambda text: text.replace("on_outage", "batch_rows: 10\n    on_outage"))
    arrive_once(sandbox, monkeypatch)
    project.run("to_meta")
    [there, *_] = arrived = sorted(members(sandbox))
    assert len(arrived) == len(waiting(shop.root)) * 10 == 10
    come_back(sandbox)
    gone = next(i for i in range(20) if address_digest(f"p{i}@example.com") == there)
    line = json.dumps({"kind": "email", "value": f"p{gone}@example.com"}).encode()
    assert statuses(shop.again().erase(line))["to_meta"] == "accepted"
    assert there not in members(sandbox)
    assert there not in shop.remembered()
    assert len(waiting(shop.root)) == 1
    shop.again().run("to_meta")
    assert len(members(sandbox)) == 19
    assert verified(shop.root) == (0, 0, 0)


@pytest.mark.slow
def test_who_left_the_warehouse_is_known_by_the_state(shop: Shop) -> None:
    """The absent row is the record of a past recipient: it is asked, and then forgotten."""
    project = shop.open()
    project.run("to_crm")
    shop.execute(f"DELETE FROM people WHERE id = {ADA}")
    project.run("to_crm")
    assert ADA in dict(shop.customers())
    document = shop.again().erase(json.dumps({"kind": "email", "value": ADDRESS}).encode())
    assert statuses(document)["to_crm"] == "confirmed"
    assert statuses(document)["to_meta"] == "never_sent"
    assert ADA not in dict(shop.customers())
    assert address_digest(ADDRESS) not in shop.remembered()


def test_a_destination_that_is_away_is_asked_again_by_the_next_run(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Until it answers the request is open, what it is asked by stays, and nothing is completed."""
    project = shop.open()
    project.run()
    leave(sandbox)
    document = project.erase(json.dumps({"kind": "primary_key", "value": ADA}).encode())
    assert document["status"] == "in_progress"
    assert statuses(document)["to_meta"] == "requested"
    assert statuses(document)["to_crm"] == "confirmed"
    assert document["receipt"] is None
    assert address_digest(ADDRESS) in shop.remembered()
    assert len(project.app.store.erasure_digests(document["request"])) == 1
    come_back(sandbox)
    shop.again().run("to_crm")
    later = shop.again().erasure(document["request"])
    assert (later["status"], statuses(later)["to_meta"]) == ("completed", "accepted")
    assert address_digest(ADDRESS) not in members(sandbox)
    assert address_digest(ADDRESS) not in shop.remembered()
    assert project.app.store.erasure_digests(document["request"]) == []
    [ended] = [e for e in project.app.ledger.entries() if e.reason.endswith("/ended")]
    assert (ended.seq, ended.type) == (later["receipt"], "erasure")
    assert verified(shop.root) == (0, 0, 0)


@pytest.mark.slow
def test_an_identifier_that_another_row_has_delivered_stays_with_it(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Asked for by key, its owner alone goes; asked for by itself, it goes and is suppressed."""
    shop.execute(f"UPDATE people SET email = 'p8@example.com' WHERE id = {ADA}")
    project = shop.open()
    project.run()
    project.erase(json.dumps({"kind": "primary_key", "value": ADA}).encode())
    assert address_digest("p8@example.com") in members(sandbox)
    project.erase(json.dumps({"kind": "email", "value": "p8@example.com"}).encode())
    assert address_digest("p8@example.com") not in members(sandbox)
    shop.again().run()
    assert address_digest("p8@example.com") not in members(sandbox)


@pytest.mark.slow
def test_an_objection_suppresses_and_erases_nothing(shop: Shop, sandbox: SandboxServer) -> None:
    """What the platform has of the person is taken out by the next run; the database keeps it."""
    project = shop.open()
    project.run()
    line = json.dumps({"kind": "email", "value": ADDRESS}).encode()
    document = project.erase(line, kind=RequestKind.OBJECTION)
    assert (document["status"], document["destinations"]) == ("completed", [])
    assert address_digest(ADDRESS) in members(sandbox)
    shop.again().run()
    assert address_digest(ADDRESS) not in members(sandbox)
    assert ADA in dict(shop.customers())


@pytest.mark.slow
def test_a_restriction_suppresses_until_it_is_lifted(shop: Shop, sandbox: SandboxServer) -> None:
    """By another spelling of the address as well; nothing is erased, and it comes back."""
    shop.execute(f"UPDATE people SET email = 'ada.l+x@googlemail.com' WHERE id = {ADA}")
    project, digest = shop.open(), address_digest("ada.l+x@googlemail.com")
    project.run()
    assert digest in members(sandbox)
    line = json.dumps({"kind": "email", "value": "AdaL@gmail.com"}).encode()
    assert project.erase(line, kind=RequestKind.RESTRICTION)["destinations"] == []
    shop.again().run()
    assert digest not in members(sandbox)
    assert ADA in dict(shop.customers())
    shop.again().suppress("remove", [line])
    shop.again().run()
    assert digest in members(sandbox)


@pytest.mark.slow
def test_a_request_is_cancelled_only_while_nobody_was_asked(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Its source is away: it waits, `status` shows it, and it may be cancelled."""
    project = shop.open()
    project.run()
    line = json.dumps({"kind": "email", "value": ADDRESS}).encode()
    shop.execute("ALTER TABLE people RENAME TO moved")
    request = project.erase(line)["request"]
    [due] = project.status()["erasures"]
    assert (due["request"], due["days_left"] in (29, 30)) == (request, True)
    document = project.cancel_erasure(request)
    assert (document["status"], document["days_left"], document["receipt"]) == (
        "cancelled",
        None,
        None,
    )
    assert project.status()["erasures"] == []
    assert project.app.store.erasure_digests(request) == []
    with pytest.raises(UsageError, match="not_cancellable"):
        project.cancel_erasure(request)
    shop.execute("ALTER TABLE moved RENAME TO people")
    assert shop.again().resume_erasures()["requests"][0]["status"] == "cancelled"
    assert ADA in dict(shop.customers())
    leave(sandbox)
    asked = shop.again().erase(line)
    assert statuses(asked)["to_meta"] == "requested"
    with pytest.raises(UsageError, match="not_cancellable"):
        shop.again().cancel_erasure(asked["request"])


@pytest.mark.slow
def test_a_rectified_address_travels_as_a_change(shop: Shop, sandbox: SandboxServer) -> None:
    """The new one is sent, the old one is taken out."""
    shop.open().run()
    shop.execute(f"UPDATE people SET email = '{MOVED}' WHERE id = {ADA}")
    shop.again().run()
    found = members(sandbox)
    assert address_digest(MOVED) in found
    assert address_digest(ADDRESS) not in found
    assert dict(shop.customers())[ADA] == MOVED


@pytest.mark.slow
def test_a_document_is_known_by_its_id_and_has_one_longer_time_limit(shop: Shop) -> None:
    """An OpenDSR request that comes twice is one; its limit is extended once, with a reason."""
    project = shop.open()
    request = {
        "regulation": "ccpa",
        "subject_request_id": "b2f5ff47-436e-4c2a-9c5e-0d4b1f2a3c4d",
        "subject_request_type": "erasure",
        "submitted_time": "2026-01-31T10:00:00Z",
        "subject_identities": [
            {"identity_type": "email", "identity_value": ADDRESS, "identity_format": "raw"}
        ],
        "extensions": {"mayfly": {"subject_identities": [{"kind": "primary_key", "value": ADA}]}},
    }
    first = project.erase(json.dumps(request).encode())
    assert (first["request"], first["regulation"]) == (request["subject_request_id"], "ccpa")
    assert first["due_at"] == "2026-03-17T10:00:00+00:00"
    assert project.erase(json.dumps(request).encode())["receipt"] == first["receipt"]
    assert len(project.erasures()["requests"]) == 1
    with pytest.raises(UsageError, match="not_extendable"):
        project.extend_erasure(first["request"], Extension.NUMBER)


@pytest.mark.slow
def test_an_open_request_is_extended_once_and_reminds_of_itself(
    shop: Shop, sandbox: SandboxServer
) -> None:
    """Three months from receipt under GDPR; within its last week each run tells of it."""
    project = shop.open()
    project.run()
    leave(sandbox)
    line = json.dumps({"kind": "email", "value": ADDRESS}).encode()
    document = project.erase(line, regulation=Regulation.GDPR)
    longer = project.extend_erasure(document["request"], Extension.COMPLEXITY)
    assert longer["due_at"] > document["due_at"]
    with pytest.raises(UsageError, match="not_extendable"):
        project.extend_erasure(document["request"], Extension.NUMBER)
    [known] = project.app.store.erasures()
    soon = project.app.clock.now() + timedelta(days=2, minutes=1)
    project.app.store.change_erasure(replace(known, due_at=soon))
    heard: list[Event] = []
    project.app.tell = heard.append
    project.resume_erasures()
    assert [e for e in heard if isinstance(e, ErasureDue)] == [
        ErasureDue(request=document["request"], days_left=2)
    ]
    assert ErasuresDue(target="dev", due=1) in heard


@pytest.mark.slow
def test_the_command_reads_standard_input_or_a_file(shop: Shop, sandbox: SandboxServer) -> None:
    """It ends with 0 once all is done, with 4 while a destination is still to answer."""
    shop.open().run()

    def call(*words: str, text: bytes = b"") -> tuple[int, dict[str, Any]]:
        asked = ["erase", *words, "--project", str(shop.root), "--output", "json"]
        done = CliRunner().invoke(app, asked, input=text)
        assert ADDRESS not in done.output
        return done.exit_code, json.loads(done.stdout)

    code, document = call(text=json.dumps({"kind": "email", "value": ADDRESS}).encode())
    assert (code, document["status"]) == (0, "completed")
    assert call("show", document["request"])[1]["destinations"] == document["destinations"]
    assert [r["request"] for r in call("list")[1]["requests"]] == [document["request"]]
    leave(sandbox)
    file = shop.root / "request.jsonl"
    file.write_text(json.dumps({"kind": "email", "value": "p9@example.com"}))
    code, document = call("--file", str(file))
    assert (code, statuses(document)["to_meta"]) == (4, "requested")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "no_identifier"),
        (b'{"kind": "email"}', "bad_line"),
        (b'{"subject_request_id": "1"}', "bad_request"),
        (b" " * 1_000_001, "input_too_large"),
    ],
)
def test_a_bad_request_changes_nothing(shop: Shop, text: bytes, code: str) -> None:
    """It is refused as a whole, and nobody is suppressed."""
    project = shop.open()
    with pytest.raises(EngineError, match=code):
        project.erase(text)
    assert project.suppress("list", ())["total"] == 0
    assert project.erasures()["requests"] == []
