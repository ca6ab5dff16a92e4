"""The ledger in a folder: durable, ordered between processes, whole after a kill."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mayfly.adapters.ledgers import folder as folder_module
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    PolicyError,
    TransientError,
)
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.verify import Report, verify_ledger

SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now


def act(kind: str, run: str = "r1", batch: int | None = None) -> Entry:
    """A draft of an entry."""
    return Entry(type=EntryType(kind), workspace="shop", sync="vip", run=run, batch=batch, rows=1)


WHOLE_RUN = [act("created"), act("delivered", batch=0), act("dropped")]


@pytest.fixture
def clock() -> Clock:
    """A clock at the start."""
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / ".mayfly" / "ledger"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> FolderLedger:
    """A new ledger."""
    return FolderLedger.create(path, SIGNER, clock)


def verified(path: Path) -> Report:
    """What the stand-alone verifier says."""
    return verify_ledger(path, path / "key.pub")


def lines(path: Path) -> list[bytes]:
    """The entries' lines."""
    return (path / "entries.jsonl").read_bytes().splitlines()


def test_appending_nothing_writes_nothing(path: Path, ledger: FolderLedger) -> None:
    """An empty append leaves the files untouched."""
    before = (path / "checkpoint").stat().st_ino
    ledger.append([])
    assert (path / "checkpoint").stat().st_ino == before


def test_files_are_private(path: Path, ledger: FolderLedger) -> None:
    """The folder has mode 0700 and its files 0600; no temporary file stays."""
    ledger.append(WHOLE_RUN)
    assert path.stat().st_mode & 0o777 == path.parent.stat().st_mode & 0o777 == 0o700
    names = {file.name for file in path.iterdir()}
    assert names == {"entries.jsonl", "checkpoint", "key.pub", "lock"}
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}


def test_entries_are_synced_once_before_the_checkpoint(
    path: Path, ledger: FolderLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call syncs the entries once, however many, and before the checkpoint is replaced."""
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("reads the names of open files, which needs /proc")
    monkeypatch.setattr(folder_module.os, "fsync", fsync)
    ledger.append(WHOLE_RUN)
    assert synced == ["entries.jsonl", ".checkpoint.new", "ledger"]


def test_a_missing_ledger_is_not_made_silently(path: Path, clock: Clock) -> None:
    """Opening never creates; creating never replaces; a creation cut off is finished."""
    with pytest.raises(PolicyError, match="ledger_missing"):
        FolderLedger(path, SIGNER, clock)
    assert not path.exists()
    FolderLedger.create(path, SIGNER, clock)
    with pytest.raises(PolicyError, match="ledger_exists"):
        FolderLedger.create(path, SIGNER, clock)
    (path / "checkpoint").unlink()
    with pytest.raises(PolicyError, match="ledger_missing"):
        FolderLedger(path, SIGNER, clock)
    assert FolderLedger.create(path, SIGNER, clock).size() == 0


def test_entries_without_a_checkpoint_are_refused(
    path: Path, ledger: FolderLedger, clock: Clock
) -> None:
    """A checkpoint taken away cannot be had anew by opening or creating."""
    ledger.append(WHOLE_RUN)
    (path / "checkpoint").unlink()
    for opening in (FolderLedger, FolderLedger.create):
        with pytest.raises(IntegrityError, match="ledger_inconsistent"):
            opening(path, SIGNER, clock)
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        ledger.append([act("refused")])


def _edit(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


@pytest.mark.parametrize(
    "change",
    [
        _edit(b'"rows":1', b'"rows":2'),
        lambda data: b"".join(data.splitlines(keepends=True)[1:]),
        lambda data: b"".join(data.splitlines(keepends=True)[:-1]),
        lambda data: b"".join(reversed(data.splitlines(keepends=True))),
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data + b"garbage\n",
        lambda data: data + data.splitlines(keepends=True)[-1],
    ],
    ids=["edit", "no first", "no last", "reversed", "torn", "empty", "garbage", "twice"],
)
def test_tampered_entries_are_refused_and_kept(
    path: Path, ledger: FolderLedger, clock: Clock, change: Callable[[bytes], bytes]
) -> None:
    """A ledger that does not match its checkpoint is not opened, and not altered by trying."""
    ledger.append(WHOLE_RUN)
    file = path / "entries.jsonl"
    file.write_bytes(change(file.read_bytes()))
    before = file.read_bytes(), (path / "checkpoint").read_bytes()
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        FolderLedger(path, SIGNER, clock)
    assert (file.read_bytes(), (path / "checkpoint").read_bytes()) == before


def test_a_ledger_rolled_back_under_us_is_refused(path: Path, ledger: FolderLedger) -> None:
    """An open ledger notices that an older copy was put in its place."""
    ledger.append(WHOLE_RUN)
    old = {file: file.read_bytes() for file in path.iterdir()}
    ledger.append([act("refused")])
    for file, content in old.items():
        file.write_bytes(content)
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        ledger.append([act("refused")])


def test_entries_cut_off_under_us_are_refused(path: Path, ledger: FolderLedger) -> None:
    """An open ledger notices that its file became shorter under the same checkpoint."""
    ledger.append(WHOLE_RUN)
    data = (path / "entries.jsonl").read_bytes()
    for size in (len(data) - 1, 0):
        (path / "entries.jsonl").write_bytes(data[:size])
        for call in (lambda: ledger.append([act("refused")]), ledger.size, ledger.last_time):
            with pytest.raises(IntegrityError, match="shorter"):
                call()
        assert (path / "entries.jsonl").read_bytes() == data[:size]


@pytest.mark.parametrize("whole", [0, 1, 2])
@pytest.mark.parametrize("torn", [b"", b"{", b'{"at":"2026', b"\x00" * 300])
def test_a_tail_left_by_a_kill_is_finished(
    path: Path, ledger: FolderLedger, clock: Clock, whole: int, torn: bytes
) -> None:
    """Lines written before the checkpoint was are signed on opening; a torn one is cut away."""
    ledger.append(WHOLE_RUN)
    signed = (path / "checkpoint").read_bytes()
    ledger.append([act("refused", f"n{n}") for n in range(whole)])
    with (path / "entries.jsonl").open("ab") as stream:
        stream.write(torn)
    (path / "checkpoint").write_bytes(signed)
    again = FolderLedger(path, SIGNER, clock)
    assert again.size() == 3 + whole
    report = verified(path)
    assert (report.ok, report.entries) == (True, 3 + whole)
    again.append([act("refused")])
    assert verified(path).ok


def test_an_open_ledger_takes_over_anothers_torn_tail(path: Path, ledger: FolderLedger) -> None:
    """A process that goes on after another was killed cuts its torn line and appends."""
    ledger.append(WHOLE_RUN)
    with (path / "entries.jsonl").open("ab") as stream:
        stream.write(b'{"at":"20')
    ledger.append([act("refused")])
    report = verified(path)
    assert (report.ok, report.entries) == (True, 4)


@pytest.mark.parametrize("failing", ["entries.jsonl", ".checkpoint.new"])
@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, TransientError, "disk_full"),
        (errno.EDQUOT, TransientError, "disk_full"),
        (errno.EIO, TransientError, "ledger_io_failed"),
        (errno.EROFS, ConfigError, "ledger_unwritable"),
    ],
)
def test_a_failing_disk_records_nothing(
    path: Path,
    ledger: FolderLedger,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    number: int,
    kind: type[EngineError],
    code: str,
) -> None:
    """Whichever write fails half-way, the ledger stands as before and goes on afterwards."""
    ledger.append(WHOLE_RUN)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    real, opened = os.write, os.open
    broken: set[int] = set()

    def open_file(file: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opened(file, flags, mode)
        broken.discard(descriptor)
        if Path(file).name == failing:
            broken.add(descriptor)
        return descriptor

    def write(descriptor: int, data: memoryview) -> int:
        if descriptor not in broken:
            return real(descriptor, data)
        if len(data) > 40:
            return real(descriptor, data[:40])
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, "open", open_file)
        patch.setattr(folder_module.os, "write", write)
        patch.setattr(folder_module, "_CHUNK_BYTES", 60)
        with pytest.raises(kind) as caught:
            ledger.append([act("refused"), act("refused", "r2")])
    assert caught.value.code == code
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    ledger.append([act("refused")])
    report = verified(path)
    assert (report.ok, report.entries) == (True, 4)


LIMITED = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.domain.errors import TransientError
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
path = Path(sys.argv[1])
signer = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
ledger = FolderLedger(path, signer, lambda: datetime.now(UTC))
limit = (path / "entries.jsonl").stat().st_size + 500
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
refused = Entry(type=EntryType.REFUSED, workspace="shop", sync="vip", run="r2")
try:
    ledger.append([refused] * 50)
except TransientError as error:
    print(error.code, ledger.size())
"""


def test_a_disk_that_is_really_full_records_nothing(path: Path, ledger: FolderLedger) -> None:
    """The operating system's own refusal half-way through a write leaves nothing behind."""
    ledger.append(WHOLE_RUN)
    before = (path / "entries.jsonl").read_bytes()
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "disk_full 3\n"
    assert (path / "entries.jsonl").read_bytes() == before
    assert verified(path).ok


WORKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
path, name, turns = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
signer = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
ledger = FolderLedger(path, signer, lambda: datetime.now(UTC))
for turn in range(turns):
    common = {"workspace": "shop", "sync": "vip", "run": f"{name}-{turn}"}
    ledger.append([Entry(type=EntryType(k), **common) for k in ("created", "dropped")])
    print(turn, flush=True)
"""


def worker(path: Path, name: str, turns: int) -> subprocess.Popen[bytes]:
    """A process that appends pairs and says so after each."""
    command = [sys.executable, "-c", WORKER, str(path), name, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.soak
def test_processes_killed_at_any_moment_lose_nothing(path: Path, ledger: FolderLedger) -> None:
    """After kill -9 of one of two writers, at several moments, every acknowledged append is in
    the ledger, and it verifies once it is opened.
    """
    acknowledged = 0
    for after in (0, 1, 3, 8):
        victim, survivor = worker(path, f"v{after}", 10_000), worker(path, f"s{after}", 15)
        assert victim.stdout is not None
        for _ in range(after + 1):
            victim.stdout.readline()
        victim.kill()
        with victim.stdout as rest:
            acknowledged += after + 1 + len(rest.readlines())
        survivor.communicate()
        victim.wait()
        assert survivor.returncode == 0
        acknowledged += 15
    FolderLedger(path, SIGNER, lambda: datetime.now(UTC))
    report = verified(path)
    assert report.inconsistent == 0
    assert report.entries >= 2 * acknowledged
    assert report.unpaired <= 4


def test_messages_name_no_path(path: Path, ledger: FolderLedger, clock: Clock) -> None:
    """An unwritable ledger is a setting to change, told without paths or foreign text."""
    (path / "lock").unlink()
    (path / "lock").mkdir()
    with pytest.raises(ConfigError, match="ledger_unwritable") as caught:
        ledger.append(WHOLE_RUN)
    assert str(path) not in str(caught.value)
    assert caught.value.hint
