"""Whether the files of a project are still those that were read, without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mayfly.config.files import FILES_MAX, SECTIONS

_SETTLED_NS = 2_000_000_000
Stamp = tuple[tuple[str, int, int, int], ...]
"""Of each file and folder its path, when it was changed, its size and its number on the disk."""


def stamp_of(root: Path, files: Sequence[Path]) -> Stamp:
    """Another one where a file was changed, made or removed.

    Args:
        root: folder of the project.
        files: that were read.
    """
    found = []
    for path in sorted({*map(str, files), *_folders(root)}):
        try:
            known = os.stat(path)
        except OSError:
            found.append((path, 0, -1, 0))
            continue
        folder = os.path.isdir(path)
        # A folder's time tells of what was made, renamed or removed in it.
        found.append((path, known.st_mtime_ns, 0 if folder else known.st_size, known.st_ino))
    return tuple(found)


def stamp_when_read(root: Path, files: Sequence[Path], began_ns: int) -> Stamp | None:
    """The stamp of files that were just read; None where one was changed so lately that it may
    have been changed again since, within what its file system tells apart.

    Args:
        root: folder of the project.
        files: that were read.
        began_ns: when the reading began, in nanoseconds since 1970.
    """
    stamp = stamp_of(root, files)
    newest = max((changed for _, changed, _, _ in stamp), default=0)
    return stamp if newest < began_ns - _SETTLED_NS else None


def _folders(root: Path) -> Iterator[str]:
    """Those in which any file is a part of the project, as many as are read."""
    left = FILES_MAX
    for section in SECTIONS:
        for folder, _, _ in os.walk(root / section):
            yield folder
            left -= 1
            if left == 0:
                return
