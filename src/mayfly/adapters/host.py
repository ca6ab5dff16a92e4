"""What this machine does with a process's memory and temporary files, as Linux tells it.

The readers take the folders `/proc` and `/sys`, so that a test can hand them others. What cannot be
read, or has another form than the kernel's, is None or `UNKNOWN`: never what would be harmless.
"""

from __future__ import annotations

import os
import re
import resource
import stat
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from mayfly.adapters.processes import writes_no_dump

_PROC = Path("/proc")
_SYS = Path("/sys")
_SWAP_COLUMNS = ["Filename", "Type", "Size", "Used", "Priority"]
_CIPHERED = ("CRYPT-LUKS1-", "CRYPT-LUKS2-", "CRYPT-PLAIN-", "CRYPT-TCRYPT-", "CRYPT-LOOPAES-")
"""Kinds of dm-crypt that encipher; others of that name (integrity, verity) only check."""
_LAYERS_MAX = 8
_OCTAL = re.compile(r"\\([0-7]{3})")


class Swap(StrEnum):
    """Where one swap device keeps what it is given."""

    MEMORY = "memory"
    ENCRYPTED = "encrypted"
    PLAIN = "plain"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What was read; None for what this machine does not tell.

    `swap_barred`: the control group of this process gets no swap, whatever the machine has.
    `core_limit`: the hard limit on core dumps in bytes, -1 for none.
    `temporary_type`, `temporary_mode`: file system and permissions of the temporary folder.
    """

    swaps: tuple[Swap, ...] | None
    swap_barred: bool
    core_pattern: str | None
    core_limit: int
    writes_no_dump: bool
    temporary_type: str | None
    temporary_mode: int | None


def read_host(proc: Path = _PROC, sys: Path = _SYS) -> HostFacts:
    """The facts as they are now. Reads a few small files, and raises nothing."""
    pattern = _text(proc / "sys/kernel/core_pattern")
    folder = _temporary_folder()
    return HostFacts(
        swaps=_swaps(_text(proc / "swaps"), sys),
        swap_barred=_swap_barred(_text(proc / "self/cgroup"), sys / "fs/cgroup"),
        core_pattern=None if pattern is None else pattern.rstrip("\n"),
        core_limit=resource.getrlimit(resource.RLIMIT_CORE)[1],
        writes_no_dump=writes_no_dump(),
        temporary_type=_type_of(folder, _text(proc / "self/mountinfo")),
        temporary_mode=None if folder is None else _mode(folder),
    )


def parse_swaps(text: str) -> list[tuple[str, str]] | None:
    """Name and type of each swap device in the form of `/proc/swaps`; None for another form."""
    head, *lines = text.splitlines() or [""]
    if head.split() != _SWAP_COLUMNS:
        return None
    rows = [line.split() for line in lines]
    if any(len(row) != len(_SWAP_COLUMNS) or not row[2].isdigit() for row in rows):
        return None
    return [(_unescaped(row[0]), row[1]) for row in rows]


def parse_mounts(text: str) -> list[tuple[PurePosixPath, str]] | None:
    """Place and type of each file system in the form of `mountinfo`; None for another form."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if len(fields) < 6 or not fields[4].startswith("/") or not kind:
            return None
        mounts.append((PurePosixPath(_unescaped(fields[4])), kind))
    return mounts


def parse_group(text: str) -> PurePosixPath | None:
    """Path of the control group in the form of `/proc/self/cgroup`; None without version 2."""
    for line in text.splitlines():
        if line.startswith("0::/"):
            return PurePosixPath(line.removeprefix("0::"))
    return None


def type_at(place: PurePosixPath, mounts: list[tuple[PurePosixPath, str]]) -> str | None:
    """Type of the file system that a path without links lies on; of two at one place, the last."""
    above = [(len(at.parts), kind) for at, kind in mounts if place.is_relative_to(at)]
    deepest = max((depth for depth, _ in above), default=0)
    kinds = [kind for depth, kind in above if depth == deepest]
    return kinds[-1] if kinds else None


def _swaps(text: str | None, sys: Path) -> tuple[Swap, ...] | None:
    listed = None if text is None else parse_swaps(text)
    if listed is None:
        return None
    return tuple(_swap_kind(name, kind, sys) for name, kind in listed)


def _swap_kind(name: str, kind: str, sys: Path) -> Swap:
    block = _block_of_file(name, sys) if kind == "file" else _block_of_device(name, sys)
    if block is None or not block.is_dir():
        return Swap.UNKNOWN
    if block.name.startswith("zram"):
        return Swap.PLAIN if _writes_back(block) else Swap.MEMORY
    return Swap.ENCRYPTED if _encrypted(block) else Swap.PLAIN


def _block_of_file(name: str, sys: Path) -> Path | None:
    """The device that a swap file's file system lies on, where that is one device."""
    try:
        device = os.stat(name).st_dev
    except (OSError, ValueError):
        return None
    return (sys / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve()


def _block_of_device(name: str, sys: Path) -> Path | None:
    """A device by the kernel's name: `/dev/mapper/x` is a link to it."""
    kernel_name = os.path.basename(os.path.realpath(name))
    return sys / "class/block" / kernel_name if kernel_name else None


def _writes_back(zram: Path) -> bool:
    """Whether compressed memory may go on to a device. A kernel that cannot has no such file."""
    backing = zram / "backing_dev"
    if not backing.exists():
        return False
    return (_text(backing) or "").strip() != "none"


def _encrypted(block: Path, layers: int = _LAYERS_MAX) -> bool:
    """Whether all that is written to a device passes a cipher, on it or on each one below."""
    if (_text(block / "dm/uuid") or "").startswith(_CIPHERED):
        return True
    try:
        below = list((block / "slaves").iterdir())
    except OSError:
        return False
    return layers > 0 and bool(below) and all(_encrypted(b, layers - 1) for b in below)


def _swap_barred(text: str | None, groups: Path) -> bool:
    """Whether this control group, or one above, may use no swap (`MemorySwapMax=0`)."""
    group = None if text is None else parse_group(text)
    if group is None or ".." in group.parts:
        return False
    here = PurePosixPath(*group.parts[1:])
    limits = [_text(groups / at / "memory.swap.max") for at in (here, *here.parents)]
    return any(limit is not None and limit.strip() == "0" for limit in limits)


def _temporary_folder() -> Path | None:
    try:
        return Path(tempfile.gettempdir()).resolve()
    except (OSError, RuntimeError):
        return None


def _type_of(folder: Path | None, mountinfo: str | None) -> str | None:
    mounts = None if mountinfo is None else parse_mounts(mountinfo)
    if folder is None or mounts is None:
        return None
    return type_at(PurePosixPath(folder), mounts)


def _mode(folder: Path) -> int | None:
    try:
        return stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _unescaped(name: str) -> str:
    """A path as the kernel lists it: blanks and the like are a backslash and three octal digits."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), name)
