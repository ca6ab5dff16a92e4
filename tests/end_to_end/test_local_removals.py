"""What left a source that is not written is taken back: audiences and mirrors with local states."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from end_to_end.local_shops import PEOPLE, TEXT, Row, Shop, ended, make_shop, table
from end_to_end.projects import members
from marks import IN_A_SOAK
from mayfly.api import RunRequest
from mayfly.domain.errors import EngineError
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.plan_world import digest

# Other places that are not written, beside the folder that every test takes.
SLOW, BESIDE = pytest.mark.slow, ("read-only role", "state in the file")
REMOVING = TEXT.replace("upsert\n    audience", "audience\n    audience").replace(
    "upsert\n    table", "mirror\n    table"
)
ANN, BOB, SHARED = (f"{name}@example.com" for name in ("ann", "bob", "shared"))


@pytest.fixture(params=["folder", *(pytest.param(p, marks=SLOW) for p in BESIDE)])
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


def digests(*emails: str) -> set[str]:
    """What the platform matches on."""
    return {digest(email).hex() for email in emails}


def in_state(shop: Shop, query: str) -> list[tuple[object, ...]]:
    """Of the only local state's table of rows, which a query calls `state`."""
    [file] = shop.state_files()
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query.replace("state", f"_mayfly.state_{file.stem}")).fetchall()


def test_an_audience_loses_who_left(any_shop: Shop, sandbox: SandboxServer) -> None:
    """And who withdrew or was suppressed; what another row still wants stays."""
    shop = any_shop
    shop.write([(1, ANN, "", True), (2, BOB, "", True), (3, SHARED, "", True)])
    assert ended(shop.begin(sandbox.url, REMOVING), "to_meta") == ("succeeded", 3, 0)
    shop.write([(2, SHARED, "", True)])
    planned = shop.opened().plan("to_meta").to_dict()["syncs"][0]["rows"]
    assert (planned["removed"], planned["changed"], planned["unchanged"]) == (2, 1, 0)
    assert ended(shop.opened(), "to_meta") == ("succeeded", 1, 2)
    assert members(sandbox) == digests(SHARED)
    # That of the row that left is forgotten: another row's delivery holds it now.
    assert [s["identifiers"] for s in shop.opened().states()["states"]] == [1]
    assert ended(shop.opened(), "to_meta") == ("no_changes", 0, 0)
    shop.write([(2, SHARED, "", False), (4, BOB, "", True), (5, ANN, "", True)])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 2, 1)
    project = shop.opened()
    project.suppress("add", [b'{"kind": "email", "value": "ann@example.com"}'])
    shop.write([(5, ANN, "", True)])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 0, 2)
    assert members(sandbox) == set()
    shop.write([(1, ANN, "", True), (4, BOB, "", True)])
    assert ended(shop.opened(), "to_meta") == ("succeeded", 1, 0)
    assert members(sandbox) == digests(BOB)


def test_a_mirror_loses_who_left(any_shop: Shop, sandbox: SandboxServer) -> None:
    """And who withdrew or was suppressed, but no row that was there before."""
    shop = any_shop
    shop.write([(n, f"p{n}@example.com", "Lyon", True) for n in range(6)])
    project = shop.begin(sandbox.url, REMOVING)
    assert ended(project, "to_crm") == ("succeeded", 6, 0)
    other = (99, "old@example.com", "Metz")
    with table_of(shop) as crm:
        crm.execute("INSERT INTO people VALUES (?, ?, ?)", other)
    project.suppress("add", [b'{"kind": "email", "value": "p5@example.com"}'])
    kept = [(n, f"p{n}@example.com", "Lyon", n != 4) for n in (0, 4, 5)]
    shop.write(kept)
    planned = shop.opened().plan("to_crm").to_dict()["syncs"][0]["rows"]
    assert (planned["removed"], planned["unchanged"]) == (5, 1)
    assert ended(shop.opened(), "to_crm") == ("succeeded", 0, 5)
    assert table(shop, "people") == [(0, "p0@example.com", "Lyon"), other]
    assert ended(shop.opened(), "to_crm") == ("no_changes", 0, 0)
    shop.write([*kept, (2, "p2@example.com", "Lyon", True)])
    assert ended(shop.opened(), "to_crm") == ("succeeded", 1, 0)
    shop.write([])
    assert ended(shop.opened(), "to_crm") == ("succeeded", 0, 2)
    assert table(shop, "people") == [other]


@pytest.mark.slow
@pytest.mark.soak
def test_a_run_of_a_part_takes_nobody_back(folder: Shop, sandbox: SandboxServer) -> None:
    """Whoever is not in it may have left, or not been looked at."""
    folder.write(PEOPLE)
    project = folder.begin(sandbox.url, REMOVING)
    for sync in ("to_meta", "to_crm"):
        assert ended(project, sync) == ("succeeded", 2, 0)
    folder.write([(4, "zoe@example.com", "Lille", True)])
    part = RunRequest(limit=1)
    for sync in ("to_meta", "to_crm"):
        assert ended(folder.opened(), sync, part) == ("succeeded", 1, 0)
        assert ended(folder.opened(), sync) == ("succeeded", 0, 2)


@pytest.mark.slow
def test_the_key_of_a_row_is_kept_as_long_as_it_is_there(
    folder: Shop, sandbox: SandboxServer
) -> None:
    """Sealed; not of rows that were taken out, nor in a state that needs no keys."""
    folder.write(PEOPLE)
    assert ended(folder.begin(sandbox.url, REMOVING), "to_crm") == ("succeeded", 2, 0)
    keys = "SELECT present, s0 IS NOT NULL FROM state ORDER BY present"
    assert in_state(folder, keys) == [(True, True), (True, True)]
    folder.write(PEOPLE[1:])
    assert ended(folder.opened(), "to_crm") == ("succeeded", 0, 1)
    assert in_state(folder, keys) == [(False, False), (True, True)]
    set_mode(folder, "upsert")
    folder.write([(2, BOB, "Nice", True), (4, ANN, "Lyon", True)])
    assert ended(folder.opened(), "to_crm") == ("succeeded", 2, 0)
    assert in_state(folder, keys) == [(False, False), (True, False), (True, False)]


@pytest.mark.slow
def test_a_sync_that_becomes_a_mirror_learns_the_keys(folder: Shop, sandbox: SandboxServer) -> None:
    """Of rows that are in the model still; it is refused while one has left that it cannot name."""
    folder.write([*PEOPLE, (4, "zoe@example.com", "Lille", True)])
    assert ended(folder.begin(sandbox.url), "to_crm") == ("succeeded", 3, 0)
    set_mode(folder, "mirror")
    folder.write([*PEOPLE[:2], (5, "new@example.com", "Metz", True)])
    for request in (RunRequest(dry_run=True), RunRequest()):
        [run] = folder.opened().run("to_crm", request=request).syncs
        assert run.error is not None
        assert (run.error.code, run.error.exit_code) == ("local_state_unnamed", 3)
        assert "1 rows" in run.error.message
    folder.write([*PEOPLE[:2], (4, "zoe@example.com", "Lille", True)])
    assert ended(folder.opened(), "to_crm") == ("no_changes", 0, 0)
    folder.write(PEOPLE[:1])
    assert ended(folder.opened(), "to_crm") == ("succeeded", 0, 2)
    assert table(folder, "people") == [PEOPLE[0][:3]]


@pytest.mark.slow
def test_a_changed_mapping_forgets_no_key(folder: Shop, sandbox: SandboxServer) -> None:
    """Rows that are looked at again, and leave as they were, can still be taken back."""
    folder.write(PEOPLE)
    assert ended(folder.begin(sandbox.url, REMOVING), "to_crm") == ("succeeded", 2, 0)
    file = folder.root / "mayfly.yml"
    file.write_text(file.read_text().replace("email: {class: email}", "email: {}"))
    assert ended(folder.opened(), "to_crm")[0] in ("succeeded", "no_changes")
    folder.write(PEOPLE[:1])
    assert ended(folder.opened(), "to_crm") == ("succeeded", 0, 1)
    assert table(folder, "people") == [PEOPLE[0][:3]]


ODD = [
    ("-", "2026-01-31"),
    ("3:a", "2026-01-31"),
    ("3:a", "0044-03-15"),
    ('Zoë, "Z"', "2026-02-01"),
]


def test_keys_of_several_columns_are_named_as_they_are(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """From files of comma-separated values, with signs of ours and of theirs, and a date beside."""
    root = tmp_path / "shop"
    (root / "data").mkdir(parents=True)

    def write(rows: Sequence[tuple[str, str]]) -> None:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE visits (who varchar, on_day date, city varchar)")
            connection.executemany("INSERT INTO visits VALUES (?, ?, 'Lyon')", rows)
            path = root / "data" / "visits.csv"
            connection.execute(f"COPY visits TO '{path}' (FORMAT csv, FORCE_QUOTE (who))")

    shop = Shop(root=root, kind="folder")
    write(ODD)
    text = REMOVING.partition("models:")[0] + VISITS
    assert ended(shop.begin(sandbox.url, text), "to_crm") == ("succeeded", 4, 0)
    write(ODD[1:2])
    assert ended(shop.opened(), "to_crm") == ("succeeded", 0, 3)
    with table_of(shop) as crm:
        assert [row[0] for row in crm.execute("SELECT who FROM visits")] == ["3:a"]


VISITS = """
models:
  visits:
    source: shop
    table: visits
    primary_key: [who, on_day]
    columns: {who: {}, on_day: {}, city: {}}
destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_crm:
    id: to_crm
    model: visits
    destination: crm
    mode: mirror
    table: visits
    key: [who, on_day]
    mapping: {who: who, on_day: on_day, city: city}
"""


def test_a_key_of_another_row_takes_nothing_out(folder: Shop, sandbox: SandboxServer) -> None:
    """Whoever can write the state, but has no key, cannot turn a removal on somebody else."""
    folder.write(PEOPLE)
    assert ended(folder.begin(sandbox.url, REMOVING), "to_crm") == ("succeeded", 2, 0)
    [file] = folder.state_files()
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            f"UPDATE _mayfly.state_{file.stem} t SET s0 = o.s0 "
            f"FROM _mayfly.state_{file.stem} o WHERE o.k0 <> t.k0"
        )
    folder.write(PEOPLE[1:])
    assert failed(folder, "to_crm") == "local_state_damaged"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"UPDATE _mayfly.state_{file.stem} SET s0 = '\\x00'::BLOB || s0")
    assert failed(folder, "to_crm") == "unseal_failed"
    assert len(table(folder, "people")) == 2


def failed(shop: Shop, sync: str) -> str:
    """Code of the error that ends a run."""
    error: EngineError | None = shop.opened().run(sync).syncs[0].error
    assert error is not None
    return error.code


@pytest.mark.parametrize("kind", ["folder", pytest.param("read-only role", marks=IN_A_SOAK)])
def test_the_state_holds_no_key_that_can_be_read(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    kind: str,
) -> None:
    """Neither of rows that are there nor of those that left, whatever a run began with."""
    request.param = kind
    shop = make_shop(request, monkeypatch, tmp_path / "shop")
    rows: list[Row] = [
        (70_000_001 + i, f"m4rk-{i}@example.com", "M4rkville", True) for i in range(9)
    ]
    shop.write(rows)
    project = shop.begin(sandbox.url, REMOVING)
    for left in (rows, rows[:4]):
        shop.write(left)
        for sync in ("to_meta", "to_crm"):
            assert ended(project, sync)[0] == "succeeded"
        found = shop.state_files()
        assert [p.suffix for p in found] == [".duckdb"] * 2
        for path in found:
            require_unreadable(path, rows)


def require_unreadable(path: Path, rows: Sequence[Row]) -> None:
    """A file holds none of the rows' values, and no digest of one."""
    content = path.read_bytes()
    for key, email, city, _ in rows:
        for mark in (email.encode(), city.encode(), digest(email), digest(str(key))):
            assert mark not in content
        assert digest(email).hex().encode() not in content
        assert str(key).encode() not in content
        assert key.to_bytes(8, "little") not in content


CRASH = """
import os, signal, sys
from mayfly.api import load
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.local import LocalPlanStore
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
owner, _, name = sys.argv[2].rpartition(".")
setattr(SourcePlanStore if owner else LocalPlanStore, name, die)
load(sys.argv[1]).run(sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.parametrize("sync", ["to_meta", "to_crm"])
@pytest.mark.parametrize("where", ["create", "read", "intent", "outcome", "_forget_keys"])
def test_a_run_killed_before_it_took_everybody_back_leaves_that_to_the_next(
    folder: Shop, sandbox: SandboxServer, where: str, sync: str
) -> None:
    """Whether or not the removal arrived, and with nothing on the disk that can be read."""
    rows: list[Row] = [
        (70_000_001 + i, f"m4rk-{i}@example.com", "M4rkville", True) for i in range(9)
    ]
    folder.write(rows)
    assert ended(folder.begin(sandbox.url, REMOVING), sync) == ("succeeded", 9, 0)
    left: list[Row] = [*rows[:3], (70_000_000, "m4rk-9@example.com", "M4rkville", True)]
    folder.write(left)
    words = [sys.executable, "-c", CRASH, str(folder.root), where, sync]
    done = subprocess.run(words, check=False, capture_output=True, env=dict(os.environ))
    assert done.returncode == -9, done.stderr
    for path in folder.state_files():
        require_unreadable(path, [*rows, *left])
    assert ended(folder.opened(), sync)[0] in ("succeeded", "no_changes")
    if sync == "to_meta":
        assert members(sandbox) == digests(*(email for _, email, _, _ in left))
    else:
        assert table(folder, "people") == sorted(row[:3] for row in left)
    assert ended(folder.opened(), sync) == ("no_changes", 0, 0)


def set_mode(shop: Shop, mode: str) -> None:
    """Of the sync to the table."""
    file = shop.root / "mayfly.yml"
    other = {"mirror": "upsert", "upsert": "mirror"}[mode]
    file.write_text(file.read_text().replace(f"{other}\n    table", f"{mode}\n    table"))


def table_of(shop: Shop) -> sqlite3.Connection:
    """The database of the destination."""
    return sqlite3.connect(shop.root / "crm.sqlite")
