"""Who is holding batches at this moment: a lock that a process's end gives back."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mayfly.domain.errors import ConfigError


class HoldLock:
    """A lock file: shared by those who hold batches, taken alone by who looks for dead holds."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Say that a hold is under way. Waits only while somebody is alone, which is short.

        Raises:
            ConfigError: `spool_unwritable`.
        """
        with self._opened() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no hold is under way, and none begins inside the block. Does not wait.

        Raises:
            ConfigError: `spool_unwritable`.
        """
        with self._opened() as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._file, flags, 0o600)
        except OSError:
            raise ConfigError(
                "spool_unwritable",
                "The spool's lock file cannot be made.",
                hint="Give this user the right to write the folder of the spool's keys.",
            ) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # gives the lock back
