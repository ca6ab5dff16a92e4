"""What holds for a spool in a folder: its files, full disks, processes that are killed."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from disks import small_disk
from mayfly.adapters.spools import content
from mayfly.adapters.spools.folder import FolderBlobs
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.adapters.spools.spool import FOLDER, KEYS_FILE, SealedSpool
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError
from mayfly.domain.retention import Place, retention_of
from mayfly.testing.fake_keys import FakeKeyProvider
from mayfly.testing.spool_world import (
    Killed,
    SpoolWorld,
    batch,
    code_of,
    finds,
    marker,
    on_step,
    rows,
    steps_of,
)
from spool_worlds import SameKeys, connected, folder_world, parts, read_all, spool_in


@pytest.fixture
def world(tmp_path: Path) -> SpoolWorld:
    """A project that holds nothing."""
    return folder_world(tmp_path)


def test_the_search_finds_the_marker() -> None:
    """As it is, in UTF-16, and compressed at any place; it can say no as well."""
    frame = bytes(content.compress(rows()))
    assert not finds(os.urandom(4096), marker())
    assert marker() not in frame
    for found in (rows(), b"x" + frame + b"x", marker().decode().encode("utf-16-le")):
        assert finds(found, marker())


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    """Folder 0700, files 0600, at every moment and whatever the process would give them."""
    other = connected(tmp_path)

    def look(name: str) -> None:
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
        assert modes.pop(FOLDER, 0o700) == 0o700, name
        assert set(modes.values()) <= {0o600}, (name, modes)

    before = os.umask(0)
    try:
        spool = folder_world(tmp_path).open(fault=look)
        spool.hold(batch(), rows())
        spool.purge([batch().id])
    finally:
        os.umask(before)
        other.close()


def test_files_that_were_open_are_closed(tmp_path: Path) -> None:
    """The file of keys and the folder lose wider rights before anything is written."""
    (tmp_path / KEYS_FILE).touch(0o644)
    (tmp_path / FOLDER).mkdir(0o755)
    folder_world(tmp_path).open().hold(batch(), rows())
    assert stat.S_IMODE((tmp_path / KEYS_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700


def test_every_file_has_a_retention_class(tmp_path: Path) -> None:
    """Also those that are there for a moment only."""
    seen, other = set(), connected(tmp_path)

    def look(name: str) -> None:
        seen.update(read_all(tmp_path))

    spool = folder_world(tmp_path).open(fault=look)
    spool.hold(batch(), rows())
    spool.purge([batch().id])
    other.close()
    assert {KEYS_FILE, f"{KEYS_FILE}-wal"} <= seen
    assert any(name.endswith(".spool") for name in seen)
    assert [n for n in seen if retention_of(Place.PROJECT, f".mayfly/{n}") is None] == []


@pytest.mark.parametrize("name", [FOLDER, KEYS_FILE])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    """One in the place of the folder or the file of keys is refused; nothing is written there."""
    goal = tmp_path / "elsewhere"
    goal.mkdir()
    project = tmp_path / "project"
    project.mkdir()
    (project / name).symlink_to(goal / "file" if name == KEYS_FILE else goal)
    world = folder_world(project)
    assert code_of(world.open().hold, batch(), rows()) == "spool_unwritable"
    assert list(goal.iterdir()) == []


def test_a_sealed_file_that_is_a_link_is_not_read(world: SpoolWorld, tmp_path: Path) -> None:
    """Not even to the right bytes."""
    spool = world.open()
    spool.hold(batch(), rows())
    ((name, _),) = world.sealed().items()
    path = tmp_path / FOLDER / name
    path.symlink_to(path.rename(tmp_path / "moved"))
    assert code_of(spool.open, batch().id) == "spool_unwritable"


def test_leftovers_of_any_kind_are_swept(world: SpoolWorld, tmp_path: Path) -> None:
    """Files that were being written, and those of a spool whose keys were lost."""
    world.open().hold(batch(), rows())
    for name in (".0f-0f.spool.part", "0f-0f.spool"):
        (tmp_path / FOLDER / name).write_bytes(b"noise")
    assert world.open().sweep() == 1
    assert len(world.sealed()) == 1
    for path in tmp_path.glob(f"{KEYS_FILE}*"):
        path.unlink()
    assert world.open().sweep() == 1
    assert world.sealed() == {}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_batch_held_in_the_middle_of_a_sweep_stays(tmp_path: Path, moment: str) -> None:
    """Whether it came before sealed bytes were listed or after; rows are read last."""
    provider = FakeKeyProvider()
    spool = spool_in(tmp_path, provider)
    spool.hold(batch(1), rows())

    class Listing(FolderBlobs):
        def names(self, beginning: str) -> Iterator[str]:
            if moment == "before":
                spool.hold(batch(2), rows())
            yield from super().names(beginning)
            if moment == "after":
                spool.hold(batch(2), rows())

    made = parts(tmp_path, Listing(tmp_path / FOLDER), provider)
    assert SealedSpool(made, workspace="shop-1", region="eu-west-1").sweep() == 0
    assert {held.batch for held in spool.held()} == {1, 2}
    assert spool.open(batch(2).id) == rows()


def test_too_much_content_is_refused(world: SpoolWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written, and again when it comes out."""
    spool = world.open()
    spool.hold(batch(), b"x" * 1001)
    monkeypatch.setattr(content, "CONTENT_BYTES_MAX", 1000)
    with pytest.raises(ValueError, match="1 GiB"):
        spool.hold(batch(2), b"x" * 1001)
    assert code_of(spool.open, batch().id) == "spool_damaged"
    spool.hold(batch(3), b"x" * 1000)
    assert spool.open(batch(3).id) == b"x" * 1000


@pytest.mark.parametrize("frame", [b"", b"junk", b"cut", b"more"])
def test_what_is_no_frame_is_damaged(frame: bytes) -> None:
    """Nothing, something else, a cut one, one with something after it."""
    whole = bytes(pa.compress(rows(), "zstd", asbytes=True))
    given = {b"cut": whole[:-1], b"more": whole + b"junk"}.get(frame, frame)
    with pytest.raises(IntegrityError, match="spool_damaged"):
        content.decompress([given])
    assert content.decompress([whole[:3], whole[3:]]) == rows()


@pytest.mark.parametrize("room", [0, 1, 4, 9, 12, 16, 24, 40, 64, 120])
def test_a_full_disk(tmp_path: Path, room: int) -> None:
    """With any room left: told, and with room again nothing of it is there after a sweep."""
    disk_folder = tmp_path / "disk"
    noise = os.urandom(100_000)
    with small_disk(disk_folder, megabytes=4) as disk:
        world = folder_world(disk_folder)
        world.open().hold(batch(1), rows())
        (disk_folder / "room").write_bytes(b"\0" * 4096 * room)
        disk.fill()
        (disk_folder / "room").unlink()
        codes = [code_of(world.open().hold, batch(number), noise) for number in range(2, 9)]
        assert codes[-1]
        assert set(codes) <= {"", "disk_full"}
        disk.empty()
        held = [found.batch for found in world.open().held()]
        world.open().sweep()
        assert [found.batch for found in world.open().held()] == held
        assert len(world.sealed()) == len(world.keys_found()) == len(held)
        assert world.open().open(batch(1).id) == rows()
        world.open().purge([batch(n).id for n in held])
        assert world.is_clean()


@pytest.mark.parametrize("failing", ["write_private", "sync_directory"])
def test_a_file_is_put_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether its bytes or its name cannot be made durable, nothing is left under any name."""
    from mayfly.adapters.spools import folder

    blobs = FolderBlobs(tmp_path)
    real = getattr(folder, failing)

    def full(*arguments: Any) -> None:
        real(*arguments)
        raise OSError(errno.ENOSPC, "marked-7f3a")

    monkeypatch.setattr(folder, failing, full)
    with pytest.raises(TransientError, match="disk_full") as caught:
        blobs.put("aa-1.spool", b"sealed")
    assert "marked" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_purge_on_a_full_disk(tmp_path: Path) -> None:
    """It is told so, changes nothing, and is done once there is room."""
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        world = folder_world(tmp_path / "disk")
        world.open().hold(batch(), rows())
        disk.fill()
        assert code_of(world.open().purge, [batch().id]) == "disk_full"
        disk.empty()
        assert world.open().open(batch().id) == rows()
        assert list(world.open().purge([batch().id])) == [batch().id]
        assert world.is_clean()


_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spool_worlds import SameKeys, folder_world
from mayfly.testing.spool_world import batch, rows

def fault(name):
    if name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

spool = folder_world(Path(sys.argv[2]), SameKeys()).open(fault=fault)
"""
CONTENT = b"content" * 1000


def child(folder: Path, program: str, stop: str = "") -> int:
    """Run lines in a process of its own; its exit code."""
    here = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", _CHILD + program, here, str(folder), stop]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()[-2000:]
    return done.returncode


@pytest.mark.slow
@pytest.mark.soak
def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL at each step of a hold and of a purge; another process then tidies up."""
    probe = folder_world(tmp_path / "probe")
    hold = steps_of(probe, lambda s: s.hold(batch(), CONTENT))
    purge = steps_of(probe, lambda s: s.purge([batch().id]))
    steps = [name for name in (*hold, *purge) if name.endswith(":before")]
    held = []
    for number, step in enumerate([*steps, purge[-1]]):
        folder = tmp_path / str(number)
        program = "spool.hold(batch(), b'content' * 1000); spool.purge([batch().id])"
        assert child(folder, program, step) == -signal.SIGKILL
        world = folder_world(folder, SameKeys())
        spool = world.open()
        held.append(len(spool.held()))
        assert all(spool.open(found.id) == CONTENT for found in spool.held())
        spool.sweep()
        assert len(spool.purge([batch().id])) == held[-1]
        assert read_all(folder / FOLDER) == {}, step
        connection = sqlite3.connect(folder / KEYS_FILE)
        tables = "SELECT count(*) FROM keys UNION ALL SELECT count(*) FROM batches"
        assert connection.execute(tables).fetchall() == [(0,), (0,)], step
        connection.close()
    first = len([name for name in hold if name.endswith(":before")])
    assert held == [0] * first + [1] + [0] * (len(held) - first - 1)


def test_processes_at_once(tmp_path: Path) -> None:
    """Three hold, sweep and purge in one spool; none loses or removes what is another's."""
    program = (
        "start = int(sys.argv[3])\n"
        "for n in range(start, start + 6):\n"
        "    spool.hold(batch(n), rows(n))\n"
        "    spool.sweep()\n"
        "    assert spool.open(batch(n).id) == rows(n)\n"
        "    if n % 2: assert len(spool.purge([batch(n).id])) == 1\n"
    )
    here = str(Path(__file__).parents[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD + program, here, str(tmp_path), str(start)],
            stderr=subprocess.PIPE,
        )
        for start in (0, 10, 20)
    ]
    for process in running:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors.decode()[-2000:]
    found = {held.batch for held in folder_world(tmp_path).open().held()}
    assert found == {n for s in (0, 10, 20) for n in range(s, s + 6, 2)}


def test_a_killed_process_gives_its_lock_back(tmp_path: Path, world: SpoolWorld) -> None:
    """Its unfinished hold is swept at once, without waiting for a deadline."""
    assert child(tmp_path, "spool.hold(batch(), rows())", "finish:before") < 0
    assert len(world.sealed()) == 1
    assert world.open().sweep() == 1
    assert world.sealed() == {}


def test_nothing_of_a_spool_shows_in_its_text(world: SpoolWorld) -> None:
    """Neither keys nor bytes nor places, of any of its parts."""
    spool = world.open()
    spool.hold(batch(), rows())
    row = KeyRows(Path("x")).__repr__()
    assert repr(spool) == "SealedSpool()"
    assert row == "KeyRows()"
    assert repr(FolderBlobs(Path("x"))) == "FolderBlobs()"


def test_a_mistaken_name_is_no_path() -> None:
    """A sealed file's name never leaves its folder."""
    blobs = FolderBlobs(Path("x"))
    for name in ("../x.spool", "a/b.spool", ".spool", "x", "", "x.spool\n"):
        with pytest.raises(ValueError, match="letters"):
            blobs.get(name)


def test_a_hold_killed_in_memory_is_an_error_of_no_kind(world: SpoolWorld) -> None:
    """The stand-in for a killed process is none of ours, so that nothing tidies up after it."""
    assert not issubclass(Killed, Exception)
    assert not issubclass(Killed, EngineError)
    with pytest.raises(Killed):
        world.open(fault=on_step("put:after", Killed())).hold(batch(), rows())
    assert len(world.sealed()) == 1
    assert not issubclass(ConfigError, TransientError)
