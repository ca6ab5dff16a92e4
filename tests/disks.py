"""A small disk of its own: full or read-only at will."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = 4096


class Disk:
    """A file system mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave room for nothing."""
        with self._ballast.open("ab", buffering=0) as file:
            while True:
                try:
                    file.write(b"\0" * _BLOCK)
                except OSError:
                    return

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def read_only(self) -> None:
        """Take no writes from anybody."""
        self._remount("ro")

    def writable(self) -> None:
        """Take writes again."""
        self._remount("rw")

    def _remount(self, mode: str) -> None:
        assert _as_root("mount", "-o", f"remount,{mode}", str(self._folder))


@contextmanager
def small_disk(folder: Path, *, megabytes: int = 16) -> Iterator[Disk]:
    """A disk at a folder, which is made; gone afterwards."""
    folder.mkdir(parents=True)
    if not _as_root("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)):
        pytest.skip("needs to mount a small disk (as root, or by sudo)")
    try:
        yield Disk(folder)
    finally:
        _as_root("umount", "-l", str(folder))


def _as_root(*command: str) -> bool:
    before = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if before and shutil.which("sudo") is None:
        return False
    done = subprocess.run([*before, *command], capture_output=True, check=False)
    return done.returncode == 0
