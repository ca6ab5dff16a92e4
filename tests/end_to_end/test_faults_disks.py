"""Disks that are full and folders that may not be written, and the run after the repair."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from disks import Disk, small_disk
from end_to_end.batches import BATCH, LOG, PEOPLE, ROWS, in_duckdb, logged, make, run
from end_to_end.projects import SHOP, approved
from mayfly.api import Project
from mayfly.cli.entry import main
from mayfly.domain.errors import TransientError
from mayfly.ledger.verify import verify_ledger

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


def mayfly(root: Path, *words: str) -> int:
    """Exit code of a command in this process."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--project", str(root)])
    return int(str(ended.value.code))


def verified(root: Path) -> tuple[bool, int]:
    """Whether the ledger verifies, and the working copies it has no end of."""
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", []).to_dict()
    return report["ok"], report["unpaired"]


def test_a_full_disk_of_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither ledger nor store take a note: held, exit 4, one line and a hint. What was written
    is in the warehouse's state, so that nothing is written twice.
    """
    with small_disk(tmp_path / ".mayfly") as disk:
        shop = project(tmp_path, SHOP + LOG)
        with pytest.raises(TransientError, match="disk_full"):
            run(shop, after_first=disk.fill)
        written = sum(logged(tmp_path).values())
        assert written < ROWS
        assert mayfly(tmp_path, "run") == 4
        line, hint = capsys.readouterr().err.splitlines()
        assert line.endswith("[disk_full]")
        assert "Make room there" in hint
        assert sum(logged(tmp_path).values()) == written
        assert verified(tmp_path) == (False, 1)
        disk.empty()
        assert mayfly(tmp_path, "run") == 0
        assert logged(tmp_path) == Counter(range(ROWS))
        assert verified(tmp_path) == (True, 0)


def test_a_read_only_folder_of_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent that could not be noted."""
    with small_disk(tmp_path / ".mayfly") as disk:
        project(tmp_path, SHOP + LOG).app.store.close()
        disk.read_only()
        for words in (["run"], ["plan"], ["status"]):
            assert mayfly(tmp_path, *words) == 1
            line, hint = capsys.readouterr().err.splitlines()
            assert line.endswith(("[store_unwritable]", "[ledger_unwritable]"))
            assert "writ" in hint
        assert not (tmp_path / "log.sqlite").exists()
        disk.writable()
        assert mayfly(tmp_path, "run") == 0
        assert logged(tmp_path) == Counter(range(ROWS))


STEPS = """
import gc, json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from mayfly.cli.entry import main

for words, folder, mode in json.loads(sys.argv[1]):
    said = StringIO()
    before = Path(folder).stat().st_mode
    Path(folder).chmod(mode)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            main([*words, "--project", sys.argv[2]])
    except SystemExit as ended:
        print(json.dumps([ended.code, said.getvalue()]))
    gc.collect()  # SQLite would use an open file of an earlier step again, whatever its mode is now
    Path(folder).chmod(before)
"""


def as_owner(root: Path, steps: list[tuple[list[str], Path, int]]) -> list[tuple[int, str]]:
    """Exit code and output of commands, each under a mode of a path, as a user whom
    permissions bind: root is none, unless without these two capabilities.
    """
    caps = "-dac_override,-dac_read_search"
    before = ["setpriv", "--bounding-set", caps, "--inh-caps", caps] if os.geteuid() == 0 else []
    told = json.dumps(steps, default=str)
    command = [*before, sys.executable, "-c", STEPS, told, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_folders_without_the_right_to_write(tmp_path: Path) -> None:
    """Each command says in one line which folder it needs, and does the work once it may."""
    root = tmp_path / "shop"
    (root / "small").mkdir(parents=True)
    (root / "mayfly.yml").write_text(IN_DUCKDB)
    in_duckdb(root / "shop.duckdb")(PEOPLE)
    run, approve = ["run"], ["approve", "--all"]
    steps = [(["init"], root, 0o555), (["init"], root, 0o700)]
    steps += [(approve, root, 0o555), (approve, root, 0o700)]
    steps += [(run, root / ".mayfly" / "store.sqlite", 0o400)]
    steps += [(run, root / name, 0o555) for name in (".mayfly/ledger", "small", "")]
    steps += [(run, root, 0o700)]
    codes = ["store_unwritable", "", "approvals_lock_unwritable", "", "store_unwritable"]
    codes += ["ledger_unwritable", "database_unwritable", "file_not_accessible", ""]
    for (words, folder, _), code, (ended, said) in zip(
        steps, codes, as_owner(root, steps), strict=True
    ):
        assert ended == (1 if code else 0), (words, folder, said)
        assert code in said
    assert arrived(root) == Counter(range(ROWS))
