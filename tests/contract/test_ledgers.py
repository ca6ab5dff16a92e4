"""The suite of ledgers, in a folder and in PostgreSQL, and what holds for the latter alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest

from mayfly.adapters.ledgers.export import StoredLedger, export_ledger
from mayfly.adapters.ledgers.folder import FolderLedger, folder_ledger
from mayfly.adapters.ledgers.in_store import StoreLedger, stored_ledger
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import EngineError, IntegrityError, TransientError, UsageError
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.verify import verify_ledger
from mayfly.testing import store_contract
from mayfly.testing.ledger_contract import (
    SIGNER,
    WHOLE_RUN,
    Clock,
    LedgerContract,
    LedgerWorld,
    act,
    code_of,
)


class TestFolder(LedgerContract):
    """A folder of the project."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> LedgerWorld:
        """A folder that is not there yet."""
        path, clock, copies = tmp_path / ".mayfly" / "ledger", Clock(), count()

        def export() -> Path:
            folder = tmp_path / f"export{next(copies)}"
            with folder_ledger(path) as stored:
                export_ledger(stored, folder)
            return folder

        def edit(number: int, line: str | None) -> None:
            file = path / "entries.jsonl"
            lines = file.read_text("ascii").splitlines()
            lines[number : number + 1] = [] if line is None else [line]
            file.write_text("".join(f"{each}\n" for each in lines))

        def sign(note: str) -> None:
            (path / "checkpoint").write_text(note)

        return LedgerWorld(
            create=lambda: FolderLedger.create(path, SIGNER, clock),
            open=lambda signer: FolderLedger(path, signer, clock),
            export=export,
            edit=edit,
            sign=sign,
            clock=clock,
        )


@pytest.fixture
def stores(postgres_database: str, tmp_path: Path) -> Iterator[list[SqlStore]]:
    """A made store on a real server, opened three times as by as many machines."""
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
    opened = [SqlStore(url, tmp_path / ".mayfly") for _ in range(3)]
    store_contract.create(opened[0])
    yield opened
    for store in opened:
        store.close()


class TestPostgres(LedgerContract):
    """The database of a store, opened anew as by another machine."""

    @pytest.fixture
    def world(self, stores: list[SqlStore], postgres_database: str, tmp_path: Path) -> LedgerWorld:
        """A store without a ledger."""
        clock, numbers = Clock(), count()

        def export() -> Path:
            folder = tmp_path / f"export{next(numbers)}"
            found = stored_ledger(stores[0])
            assert found is not None
            export_ledger(found, folder)
            return folder

        def execute(statement: str, *values: object) -> None:
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute(statement.encode(), values)

        def edit(number: int, line: str | None) -> None:
            execute("DELETE FROM ledger_entries WHERE seq = %s", number)
            if line is not None:
                execute("INSERT INTO ledger_entries VALUES (%s, %s)", number, line)

        return LedgerWorld(
            create=lambda: StoreLedger.create(stores[0], SIGNER, clock),
            open=lambda signer: StoreLedger(stores[next(numbers) % 3], signer, clock),
            export=export,
            edit=edit,
            sign=lambda note: execute("UPDATE ledger_head SET note = %s", note),
            clock=clock,
        )


def at_present() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def exported(store: SqlStore, folder: Path) -> Path:
    """The files of a store's ledger."""
    found = stored_ledger(store)
    assert found is not None
    export_ledger(found, folder)
    return folder


def test_a_folders_ledger_is_taken_over_whole(stores: list[SqlStore], tmp_path: Path) -> None:
    """Lines and checkpoint are those of the folder byte for byte, and it is gone on with; it is
    taken over once.
    """
    lay = FolderLedger.create(tmp_path / "lay", SIGNER, Clock())
    lay.append(WHOLE_RUN * 2_000)
    lay.append([act("suppression", "", rows=1, reason="ab" * 32)])
    before = {f.name: f.read_bytes() for f in (tmp_path / "lay").iterdir()}
    for again in (False, True):
        with folder_ledger(tmp_path / "lay") as taken:
            if again:
                refused = code_of(
                    lambda: StoreLedger.create(stores[1], SIGNER, Clock(), taken=taken)
                )
                assert refused == "ledger_exists"
            else:
                ledger = StoreLedger.create(stores[0], SIGNER, Clock(), taken=taken)
    assert ledger.checkpoint() == lay.checkpoint()
    folder = exported(stores[1], tmp_path / "export")
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {
        name: content for name, content in before.items() if name != "lock"
    }
    ledger.append([act("refused")])
    kept = tmp_path / "lay" / "checkpoint"
    report = verify_ledger(exported(stores[1], tmp_path / "later"), folder / "key.pub", [kept])
    assert (report.inconsistent, report.anchored, report.entries) == (0, True, 6_002)


@pytest.mark.parametrize("fault", ["line", "note", "shorter", "key"])
def test_a_ledger_that_does_not_verify_is_not_taken_over(
    stores: list[SqlStore], tmp_path: Path, fault: str
) -> None:
    """Nothing of it is in the store then, and one that does can be taken over."""
    FolderLedger.create(tmp_path / "lay", SIGNER, Clock()).append(WHOLE_RUN)
    with folder_ledger(tmp_path / "lay") as whole:
        lines = list(whole.lines)
    other = Signer.from_seed(workspace="shop", seed=bytes(32))
    taken = StoredLedger(
        note=whole.note if fault != "note" else other.checkpoint(3, bytes(32)),
        key_line=whole.key_line if fault != "key" else other.verifier_key.to_line() + "\n",
        lines=iter(
            [lines[0], lines[0], lines[2]] if fault == "line" else lines[: 2 + (fault != "shorter")]
        ),
    )
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        StoreLedger.create(stores[0], SIGNER, Clock(), taken=taken)
    assert stored_ledger(stores[0]) is None
    good = StoredLedger(note=whole.note, key_line=whole.key_line, lines=iter(lines))
    assert StoreLedger.create(stores[0], SIGNER, Clock(), taken=good).size() == 3


def test_an_export_changes_nothing_that_is_there(stores: list[SqlStore], tmp_path: Path) -> None:
    """A folder with anything in it is refused; the files made are their owner's alone."""
    StoreLedger.create(stores[0], SIGNER, Clock()).append(WHOLE_RUN)
    folder = exported(stores[0], tmp_path / "new" / "export")
    assert {f.name: f.stat().st_mode & 0o777 for f in folder.iterdir()} == {
        "entries.jsonl": 0o600,
        "checkpoint": 0o600,
        "key.pub": 0o600,
    }
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    with pytest.raises(UsageError, match="export_not_empty"):
        exported(stores[0], folder)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError) as caught:
        exported(stores[0], tmp_path / "file" / "below")
    assert caught.value.code == "export_unwritable"
    assert str(tmp_path) not in f"{caught.value} {caught.value.hint}"


def test_an_append_whose_session_is_ended_records_nothing(
    stores: list[SqlStore], postgres_database: str, tmp_path: Path
) -> None:
    """The database ends the session in the middle of an append: it is as if it had not begun, for
    this process, too, and the next one goes on.
    """
    ledger = StoreLedger.create(stores[0], SIGNER, Clock())
    ledger.append(WHOLE_RUN)

    def end_session(times: int, last: object) -> None:
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    class Cut(Clock):
        def __call__(self) -> datetime:
            end_session(0, None)
            return super().__call__()

    with pytest.raises(TransientError, match="store_unavailable"):
        StoreLedger(stores[0], SIGNER, Cut()).append([act("refused")])
    StoreLedger(stores[1], SIGNER, Clock()).append([act("refused", "r2")])
    assert [entry.run for entry in ledger.entries()] == ["r1", "r1", "r1", "r2"]
    ledger.append([act("refused", "r3")])
    report = verify_ledger(exported(stores[2], tmp_path / "x"), tmp_path / "x" / "key.pub")
    assert (report.ok, report.entries) == (True, 5)


WORKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mayfly.adapters.ledgers.in_store import StoreLedger
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
url, name, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
signer = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
ledger = StoreLedger(SqlStore(url, Path(".")), signer, lambda: datetime.now(UTC))
for turn in range(turns):
    common = {"workspace": "shop", "sync": "vip", "run": f"{name}-{turn}"}
    ledger.append([Entry(type=EntryType(k), **common) for k in ("created", "dropped")])
    print(turn, flush=True)
"""


def worker(url: str, name: str, turns: int) -> subprocess.Popen[bytes]:
    """A process that appends pairs and says so after each."""
    command = [sys.executable, "-c", WORKER, url, name, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_processes_killed_at_any_moment_make_no_fork(
    stores: list[SqlStore], postgres_database: str, tmp_path: Path
) -> None:
    """Of three processes that append at once one is killed at several moments: every acknowledged
    append is in the one ledger, all of it verifies, and the killed one left nothing half.
    """
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
    StoreLedger.create(stores[0], SIGNER, at_present)
    acknowledged = 0
    for after in (0, 7):
        victim, *others = (
            worker(url, f"{n}{after}", t) for n, t in (("v", 10_000), ("a", 40), ("b", 40))
        )
        assert victim.stdout is not None
        for _ in range(after + 1):
            victim.stdout.readline()
        victim.kill()
        with victim.stdout as rest:
            acknowledged += after + 1 + len(rest.readlines())
        victim.wait()
        for other in others:
            other.communicate(timeout=60)
            assert other.returncode == 0
            acknowledged += 40
    report = verify_ledger(exported(stores[0], tmp_path / "x"), tmp_path / "x" / "key.pub")
    assert report.ok
    # At most one append of each killed process was committed and not told.
    assert 2 * acknowledged <= report.entries <= 2 * (acknowledged + 2)
