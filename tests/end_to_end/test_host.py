"""`mayfly doctor` on a machine: what it leaves open, and that a run is possible all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from mayfly.adapters.host import HostFacts, Swap
from mayfly.api.examine import examine
from mayfly.api.host import HOST_CODES

CLOSED = HostFacts(
    swaps=(Swap.ENCRYPTED,),
    swap_barred=False,
    core_pattern="core",
    core_limit=0,
    writes_no_dump=True,
    temporary_type="tmpfs",
    temporary_mode=0o1777,
)
OPEN = HostFacts(
    swaps=(Swap.PLAIN, Swap.UNKNOWN),
    swap_barred=False,
    core_pattern="|/usr/share/apport/apport %p",
    core_limit=0,
    writes_no_dump=False,
    temporary_type="ext4",
    temporary_mode=0o777,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project for which everything is there."""
    folder = make_project(tmp_path / "project", "", rows=5, text=SHOP + TO_LOG)
    approved(folder)
    return folder


def doctor(root: Path, temporary: Path) -> tuple[int, set[str]]:
    """Exit code and what the command, a process of its own, finds of the machine."""
    done = subprocess.run(
        [sys.executable, "-m", "mayfly", "doctor", "--project", str(root), "--output", "json"],
        capture_output=True,
        check=False,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    found = {problem["code"] for problem in json.loads(done.stdout)["problems"]}
    return done.returncode, found & set(HOST_CODES)


def file_system(folder: Path) -> str:
    """As another program than ours names it."""
    command = ["stat", "--file-system", "--format", "%T", str(folder)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_what_a_machine_leaves_open_is_listed(root: Path) -> None:
    """Each finding of an open one, none of a closed one; what else is found stays as it is."""
    closed = [f["code"] for f in examine(root, target="dev", host=lambda: CLOSED)]
    opened = [f["code"] for f in examine(root, target="dev", host=lambda: OPEN)]
    assert set(closed).isdisjoint(HOST_CODES)
    assert sorted(opened) == sorted([*closed, *HOST_CODES])


@pytest.mark.skipif(sys.platform != "linux", reason="reads what only Linux tells")
def test_the_command_agrees_with_this_machine(root: Path, tmp_path: Path) -> None:
    """Of a folder of its own, and of one open to all; its own process is not dumped in any case."""
    private, shared = tmp_path / "private", tmp_path / "shared"
    for folder, mode in ((private, 0o700), (shared, 0o777)):
        folder.mkdir()
        folder.chmod(mode)
    code, found = doctor(root, private)
    assert code == 0
    assert "core_dump_open" not in found
    assert ("temporary_on_disk" in found) == (file_system(private) != "tmpfs")
    if len(Path("/proc/swaps").read_text().splitlines()) == 1:
        assert found <= {"temporary_on_disk"}
    assert doctor(root, shared) == (0, found | {"temporary_shared"})


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no folder in memory")
def test_a_temporary_folder_in_memory_is_seen(root: Path) -> None:
    """Named by TMPDIR, as the hint says."""
    memory = Path("/dev/shm")
    on_disk = file_system(memory) != "tmpfs"
    assert ("temporary_on_disk" in doctor(root, memory)[1]) == on_disk
