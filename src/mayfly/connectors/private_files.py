"""Files that a database library makes beside its own, as private as the database is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER_ONLY = 0o077


class _Umask:
    """The process's umask, which several threads may want stricter at once.

    What any of them wants closed is closed to all until it leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []
        self._before = 0

    @contextmanager
    def at_least(self, mask: int) -> Iterator[None]:
        """Within, files are made without the rights in `mask`."""
        with self._lock:
            if not self._wanted:
                self._before = os.umask(_OWNER_ONLY)
            self._wanted.append(mask)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._wanted.remove(mask)
                self._set()

    def _set(self) -> None:
        union = self._before
        for mask in self._wanted:
            union |= mask
        os.umask(union)


_UMASK = _Umask()


@contextmanager
def as_private_as(path: Path) -> Iterator[None]:
    """Within, no file is made that more people may read or write than `path`.

    DuckDB makes its write-ahead log, which holds rows, by the process's umask. Where there is no
    `path` yet, files are made for their owner alone.
    """
    try:
        mask = _closed(path.stat().st_mode)
    except OSError:
        mask = _OWNER_ONLY
    with _UMASK.at_least(mask):
        yield


def _closed(mode: int) -> int:
    """Rights of group and others that a file of this mode does not give.

    The right to enter goes with the right to read: other threads may make directories.
    """
    mask = 0
    for shift in (3, 0):
        rights = mode >> shift
        if not rights & 0o4:
            mask |= 0o7 << shift
        elif not rights & 0o2:
            mask |= 0o2 << shift
    return mask
