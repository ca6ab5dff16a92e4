"""Disks that are full and folders that may not be written, and the run after the repair."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from disks import Disk, small_disk
from end_to_end.batches import BATCH, LOG, ROWS, in_duckdb, logged, make, run
from end_to_end.projects import SHOP, approved
from mayfly.api import Project

pytestmark = pytest.mark.usefixtures("a_read_for_each_batch")

SQLITE = "{type: sqlite, path: log.sqlite"
IN_SQLITE = SHOP + LOG.replace("log.sqlite", "small/log.sqlite")
IN_DUCKDB = SHOP + LOG.replace(SQLITE, "{type: duckdb, path: small/log.duckdb")
IN_FILES = SHOP + LOG.replace(SQLITE, "{type: files, path: small, format: jsonl").replace(
    "    table: people\n", ""
)
FROM_SMALL = SHOP.replace("shop.duckdb", "small/shop.duckdb") + LOG


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk in the project's folder, for a destination or a source."""
    with small_disk(tmp_path / "small") as made:
        yield made


def project(root: Path, text: str, *, warehouse: str = "shop.duckdb") -> Project:
    """An approved project."""
    make(root, text, in_duckdb(root / warehouse))
    return approved(root)


def arrived(root: Path) -> Counter[int]:
    """How often each id is at the destination on the small disk."""
    folder = root / "small"
    if (folder / "log.sqlite").exists():
        with sqlite3.connect(folder / "log.sqlite") as log:
            return Counter(i for (i,) in log.execute("SELECT id FROM people"))
    if (folder / "log.duckdb").exists():
        with duckdb.connect(str(folder / "log.duckdb")) as log:
            return Counter(i for (i,) in log.execute("SELECT id FROM people").fetchall())
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return Counter(json.loads(line)["id"] for line in lines)


@pytest.mark.parametrize(
    "text", [IN_SQLITE, IN_DUCKDB, IN_FILES], ids=["sqlite", "duckdb", "files"]
)
def test_a_full_disk_of_a_destination(tmp_path: Path, disk: Disk, text: str) -> None:
    """Held with `disk_full` for as long as it is full; then the rest follows, nothing twice."""
    shop = project(tmp_path, text)
    for after in (disk.fill, None):
        full = run(shop, after_first=after)
        assert (full["status"], full["exit"]) == ("held", 4)
        assert full["error"]["code"] == "disk_full"
        assert full["error"]["hint"].startswith("Make room there")
    disk.empty()
    assert run(shop)["status"] == "succeeded"
    assert arrived(tmp_path) == Counter(range(ROWS))


@pytest.mark.parametrize(
    "text", [IN_SQLITE, IN_DUCKDB, IN_FILES], ids=["sqlite", "duckdb", "files"]
)
def test_a_disk_that_is_full_from_the_start(tmp_path: Path, disk: Disk, text: str) -> None:
    """A file that could not even be begun does not stand in the way later."""
    shop = project(tmp_path, text)
    disk.fill()
    full = run(shop)
    assert (full["status"], full["error"]["code"]) == ("held", "disk_full")
    disk.empty()
    assert run(shop)["status"] == "succeeded"
    assert arrived(tmp_path) == Counter(range(ROWS))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (IN_SQLITE, "database_unwritable"),
        (IN_DUCKDB, "database_unwritable"),
        (IN_FILES, "folder_unwritable"),
    ],
    ids=["sqlite", "duckdb", "files"],
)
def test_a_read_only_folder_of_a_destination(
    tmp_path: Path, disk: Disk, text: str, code: str
) -> None:
    """Failed, and the hint asks for the right; with it the rest follows, nothing twice."""
    shop = project(tmp_path, text)
    for after in (disk.read_only, None):
        refused = run(shop, after_first=after)
        assert (refused["status"], refused["exit"]) == ("failed", 1)
        assert refused["error"]["code"] == code
        assert "Give this user the right" in refused["error"]["hint"]
    disk.writable()
    assert run(shop)["status"] == "succeeded"
    assert arrived(tmp_path) == Counter(range(ROWS))


@pytest.mark.parametrize("full", [True, False], ids=["full", "read_only"])
def test_a_warehouse_file_that_takes_no_writes(tmp_path: Path, disk: Disk, full: bool) -> None:
    """The state lies in it: the run fails, and goes on from what was acknowledged."""
    shop = project(tmp_path, FROM_SMALL, warehouse="small/shop.duckdb")
    for after in (disk.fill if full else disk.read_only, None):
        failed = run(shop, after_first=after)
        assert (failed["status"], failed["exit"]) == ("failed", 1)
        assert failed["error"]["code"] == ("disk_full" if full else "file_not_accessible")
        assert failed["error"]["hint"]
    assert sum(logged(tmp_path).values()) == BATCH
    (disk.empty if full else disk.writable)()
    done = run(shop)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", 2 * BATCH)
    assert logged(tmp_path) == Counter(range(ROWS))
