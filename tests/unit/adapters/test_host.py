"""What a machine tells of swap, control groups, core dumps and its temporary folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.adapters.host import (
    Swap,
    parse_group,
    parse_mounts,
    parse_swaps,
    read_host,
    type_at,
)

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=512k
31 22 0:27 / /with\\040blank rw shared:5 master:2 - tmpfs tmpfs rw
32 30 254:1 / /tmp/deep rw - xfs /dev/vdb rw
33 22 254:2 / /twice rw - ext4 /dev/vdc rw
34 22 0:28 / /twice rw - tmpfs tmpfs rw
"""


class Machine:
    """Folders that stand for `/proc` and `/sys`."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys"

    def write(self, path: Path, text: str) -> None:
        """A file of either."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def swaps(self, *names: str, kind: str = "partition") -> None:
        """Swap devices, as the kernel lists them."""
        lines = [f"{name}  {kind}\t2097148\t0\t-{i}\n" for i, name in enumerate(names, 2)]
        self.write(self.proc / "swaps", HEAD + "".join(lines))

    def device(self, name: str, uuid: str = "", *below: str) -> None:
        """A block device; with a uuid of the device mapper, and what it lies on."""
        block = self.sys / "class/block" / name
        block.mkdir(parents=True)
        if uuid:
            self.write(block / "dm/uuid", uuid + "\n")
        (block / "slaves").mkdir()
        for other in below:
            (block / "slaves" / other).symlink_to(self.sys / "class/block" / other)

    def swap_kinds(self) -> tuple[Swap, ...] | None:
        """What is read of it."""
        return read_host(self.proc, self.sys).swaps

    def barred(self, group: str) -> bool:
        """Whether a control group, in the form of `/proc/self/cgroup`, bars swap."""
        self.write(self.proc / "self/cgroup", group)
        return read_host(self.proc, self.sys).swap_barred


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that tells nothing yet."""
    return Machine(tmp_path)


def test_each_swap_device_is_read() -> None:
    """None, several, and one whose path has a blank."""
    assert parse_swaps(HEAD) == []
    text = HEAD + "/dev/dm-1  partition\t8388604\t1024\t-2\n/a\\040file  file\t1024\t0\t-3\n"
    assert parse_swaps(text) == [("/dev/dm-1", "partition"), ("/a file", "file")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Filename Type\n",
        "/dev/sda2 partition 1 0 -2\n",
        HEAD + "/dev/sda2 partition 1 0\n",
        HEAD + "/dev/sda2 partition many 0 -2\n",
        HEAD + "\n",
    ],
    ids=["empty", "head cut", "no head", "line cut", "no number", "empty line"],
)
def test_another_form_of_swaps_is_not_read_as_none(text: str) -> None:
    """Else it would pass for a machine without swap."""
    assert parse_swaps(text) is None


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "ext4"),
        ("/var/tmp", "ext4"),
        ("/tmp/x", "tmpfs"),
        ("/tmpx", "ext4"),
        ("/tmp/deep/x", "xfs"),
        ("/with blank", "tmpfs"),
        ("/twice", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path_is_the_deepest_and_last(place: str, kind: str) -> None:
    """Names that only begin alike are other places; what was mounted later lies on top."""
    mounts = parse_mounts(MOUNTS)
    assert mounts is not None
    assert type_at(PurePosixPath(place), mounts) == kind


def test_another_form_of_mounts_is_not_read() -> None:
    """Neither a cut line nor no line at all names a file system."""
    assert parse_mounts(MOUNTS + "35 22 0:29 / /cut rw\n") is None
    assert parse_mounts("/dev/vda / ext4 rw 0 0\n") is None
    assert type_at(PurePosixPath("/"), []) is None


def test_the_control_group_is_that_of_version_2() -> None:
    """Beside those of version 1, or none."""
    assert parse_group("4:memory:/old\n0::/a/b\n") == PurePosixPath("/a/b")
    assert parse_group("4:memory:/old\n") is None
    assert parse_group("") is None


@given(st.text(alphabet="/: \t\n-\\0178aéFilename"))
def test_no_text_breaks_a_reader(text: str) -> None:
    """Whatever a file holds, the answer is facts or None."""
    for read in (parse_swaps, parse_mounts, parse_group):
        read(text)
    parse_swaps(HEAD + text)


def test_a_machine_without_proc_tells_nothing(machine: Machine) -> None:
    """As macOS: nothing is taken for harmless. What needs no such file is there all the same."""
    facts = read_host(machine.proc, machine.sys)
    assert (facts.swaps, facts.swap_barred, facts.core_pattern) == (None, False, None)
    assert facts.temporary_type is None
    assert facts.temporary_mode is not None


def test_no_temporary_folder_is_not_taken_for_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be written to, nothing is said of it."""

    def none() -> str:
        raise FileNotFoundError

    machine.write(machine.proc / "self/mountinfo", MOUNTS)
    assert read_host(machine.proc, machine.sys).temporary_type is not None
    monkeypatch.setattr(tempfile, "gettempdir", none)
    facts = read_host(machine.proc, machine.sys)
    assert (facts.temporary_type, facts.temporary_mode) == (None, None)


def test_a_core_pattern_is_read_without_its_line_end(machine: Machine) -> None:
    """A blank at the end is the pattern's own."""
    machine.write(machine.proc / "sys/kernel/core_pattern", "|/usr/lib/handler %p \n")
    assert read_host(machine.proc, machine.sys).core_pattern == "|/usr/lib/handler %p "


def test_devices_are_told_by_what_they_lie_on(machine: Machine) -> None:
    """Encrypted itself, on an encrypted one, on one that is only half so, plain, and not there."""
    machine.device("none1")
    machine.device("none2")
    machine.device("none3", "CRYPT-INTEGRITY-swap")
    machine.device("none4", "CRYPT-PLAIN-swap", "none1")
    machine.device("none5", "LVM-abc", "none4")
    machine.device("none6", "LVM-def", "none4", "none2")
    machine.swaps(*(f"/dev/none{i}" for i in range(1, 8)))
    plain, encrypted = Swap.PLAIN, Swap.ENCRYPTED
    assert machine.swap_kinds() == (
        *(plain, plain, plain, encrypted, encrypted, plain),
        Swap.UNKNOWN,
    )


def test_layers_that_never_end_are_not_followed(machine: Machine) -> None:
    """A device that lies on itself is plain."""
    machine.device("none1", "LVM-abc", "none1")
    machine.swaps("/dev/none1")
    assert machine.swap_kinds() == (Swap.PLAIN,)


@pytest.mark.parametrize(
    ("backing", "kind"),
    [(None, Swap.MEMORY), ("none\n", Swap.MEMORY), ("/dev/sda3\n", Swap.PLAIN)],
)
def test_compressed_memory_is_memory(machine: Machine, backing: str | None, kind: Swap) -> None:
    """Unless it is written on to a device."""
    machine.device("zram7")
    if backing is not None:
        machine.write(machine.sys / "class/block/zram7/backing_dev", backing)
    machine.swaps("/dev/zram7")
    assert machine.swap_kinds() == (kind,)


def test_a_swap_file_is_told_by_its_device(machine: Machine, tmp_path: Path) -> None:
    """Encrypted as that is; of a file that cannot be seen nothing is known."""
    file = tmp_path / "swapfile"
    file.touch()
    device = file.stat().st_dev
    machine.swaps(str(file), kind="file")
    assert machine.swap_kinds() == (Swap.UNKNOWN,)
    machine.device("dm-0", "CRYPT-LUKS2-root")
    link = machine.sys / f"dev/block/{os.major(device)}:{os.minor(device)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(machine.sys / "class/block/dm-0")
    assert machine.swap_kinds() == (Swap.ENCRYPTED,)
    file.unlink()
    assert machine.swap_kinds() == (Swap.UNKNOWN,)


def test_swap_is_barred_by_a_group_or_one_above(machine: Machine) -> None:
    """Not by one beside it, by a small limit, or where the group lies out of sight."""
    groups = machine.sys / "fs/cgroup"
    assert not machine.barred("0::/a/b\n")
    machine.write(groups / "a/b/memory.swap.max", "max\n")
    machine.write(groups / "c/memory.swap.max", "0\n")
    assert not machine.barred("0::/a/b\n")
    assert not machine.barred("0::/../c\n")
    machine.write(groups / "a/memory.swap.max", "0\n")
    assert machine.barred("0::/a/b\n")
    machine.write(groups / "a/memory.swap.max", "1048576\n")
    assert not machine.barred("0::/a/b\n")
    machine.write(groups / "memory.swap.max", "0\n")
    assert machine.barred("0::/\n")
