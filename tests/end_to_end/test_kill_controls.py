"""What the search after a kill finds where something was left: so that nothing found tells."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from killed import MARKER, TOKEN, Place, Warehouse, digests_found, leaks
from mariadb import FOLDERS
from mayfly.testing.plan_world import digest
from unreliable import Sending, sent_again


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project that nothing was left in."""
    made = Place.below(tmp_path)
    (made.root / ".mayfly").mkdir(parents=True)
    return made


@pytest.fixture
def shop(place: Place) -> Warehouse:
    """Its warehouse, with people whose rows hold the marker."""
    made = Warehouse(str(place.root / "shop.duckdb"), random.Random(1))
    made.make()
    made.change(0)
    return made


def spill(place: Place) -> None:
    """A deliberate one, packed, in the folder of temporary files."""
    (place.tmp / "spill").write_bytes(gzip.compress(f"{MARKER}@example.com".encode()))


def traceback_with_locals(place: Place) -> None:
    """As some loggers write it."""
    try:
        row = {"email": MARKER}
        raise ValueError(len(row))
    except ValueError:
        told = traceback.TracebackException(*sys.exc_info(), capture_locals=True)
        (place.home / "app.log").write_text("".join(told.format()))


def deleted_row(place: Place, *, secure: str = "OFF") -> None:
    """A row of a database that was deleted again."""
    with closing(sqlite3.connect(place.root / ".mayfly" / "store.sqlite")) as store:
        store.execute(f"PRAGMA secure_delete = {secure}")
        store.execute("CREATE TABLE notes (text)")
        store.execute("INSERT INTO notes VALUES (?)", (MARKER,))
        store.commit()
        store.execute("DELETE FROM notes")
        store.commit()


def in_a_log_without_its_index(place: Place) -> None:
    """Of SQLite, as a kill at the end of a process leaves it."""
    path = place.root / ".mayfly" / "store.sqlite"
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("CREATE TABLE notes (text)")
        store.execute("INSERT INTO notes VALUES (?)", (MARKER,))
        store.commit()
        log = path.with_name("store.sqlite-wal").read_bytes()
    path.with_name("store.sqlite-wal").write_bytes(log)


def in_a_table_of_ours(place: Place) -> None:
    """In the customer's file, compressed as the engine does it."""
    with duckdb.connect(str(place.root / "shop.duckdb")) as shop:
        shop.execute("CREATE SCHEMA _mayfly")
        shop.execute(f"CREATE TABLE _mayfly.plan AS SELECT '{MARKER}' AS v FROM range(5000)")


def in_a_log_of_the_engine(place: Place) -> None:
    """Of what was not moved to the file yet."""
    (place.root / "shop.duckdb.wal").write_bytes(b"\0" * 99 + MARKER.encode())


def credential(place: Place) -> None:
    """Kept where no key is."""
    (place.root / ".mayfly" / "cache").write_text(TOKEN.encode().hex())


def name_of_a_file(place: Place) -> None:
    """Which holds nothing."""
    (place.tmp / f"{MARKER}.csv").touch()


@pytest.mark.parametrize(
    "left",
    [
        spill,
        traceback_with_locals,
        deleted_row,
        in_a_log_without_its_index,
        in_a_table_of_ours,
        in_a_log_of_the_engine,
        credential,
        name_of_a_file,
    ],
)
def test_what_is_left_is_found(
    place: Place, shop: Warehouse, left: Callable[[Place], None]
) -> None:
    """Of each of these."""
    left(place)
    assert leaks(place, shop) != []


def test_where_nothing_is_left_nothing_is_found(place: Place, shop: Warehouse) -> None:
    """Nor of a row that was overwritten, with `secure_delete` as our databases have it."""
    deleted_row(place, secure="ON")
    assert leaks(place, shop) == []


def test_what_processes_share_and_say_is_looked_at(place: Place) -> None:
    """Memory that outlives them, and their output; not what a server of another test has there."""
    shared = Path("/dev/shm") / f"mayfly-{os.getpid()}"
    others = Path("/dev/shm") / f"{FOLDERS}{os.getpid()}"
    try:
        shared.write_text(MARKER)
        others.mkdir()
        (others / "help").write_text(MARKER)
        assert leaks(place) == [shared.name]
    finally:
        shared.unlink()
        shutil.rmtree(others)
    assert leaks(place, said=f"no such token {TOKEN}") != []


@pytest.mark.parametrize("form", [bytes, lambda value: value.hex().encode()])
def test_a_digest_in_clear_is_found(place: Place, form: Callable[[bytes], bytes]) -> None:
    """As it is, and in hexadecimal."""
    value = digest(MARKER)
    (place.root / ".mayfly" / "one.spool").write_bytes(b"sealed" + form(value))
    assert digests_found(place, [digest("other"), value]) == ["one.spool"]
    assert digests_found(place, [digest("other")]) == []


def one(turn: int, *people: str, answered: bool = True) -> Sending:
    """A request."""
    named = frozenset(("POST", person) for person in people)
    return Sending(turn=turn, people=named, answered=answered)


@pytest.mark.parametrize(
    ("sendings", "expected"),
    [
        ([one(1, "a"), one(2, "b")], (0, 0)),
        ([one(1, "a", answered=False), one(1, "a"), one(1, "b")], (0, 0)),
        ([one(1, "a"), one(1, "b"), one(2, "a")], (1, 0)),
        ([one(1, "a"), one(1, "b"), one(1, "c"), one(2, "a")], (1, 1)),
        ([one(1, "a"), one(1, "a")], (1, 1)),
    ],
)
def test_who_is_sent_again_is_told(sendings: list[Sending], expected: tuple[int, int]) -> None:
    """Without excuse where the answer came long before the end of the process."""
    assert sent_again(sendings, lanes=2) == expected
