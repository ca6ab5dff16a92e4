"""Planned rows of a local plan: one sealed file for each batch, gone once it is answered.

The key is made for each plan and stays in the memory of its run. Whatever a crash leaves behind
can be read by nobody, and the next run takes it away.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa

from mayfly.crypto.aead import associated_data, new_key, seal, unseal
from mayfly.domain.errors import ConfigError, IntegrityError

_RUN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SealedRows:
    """The files of one state.

    Args:
        folder: holds nothing else; made when the first batch is written.
        name: of the state; what is sealed is bound to it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._run = ""
        self._key: bytes | None = None

    def __repr__(self) -> str:
        return "SealedRows()"

    def begin(self, run: str) -> None:
        """Begin a plan, with a new key. What any earlier one has left goes.

        Raises:
            ConfigError: `local_state_not_writable`.
            ValueError: the run's id cannot be part of a file name.
        """
        if not _RUN.fullmatch(run):
            raise ValueError("a run's id is letters, digits, dots, dashes and underscores")
        self.clear()
        self._run, self._key = run, new_key()
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _not_writable(error) from None

    def put(self, batch: int, rows: pa.Table) -> None:
        """Seal the rows of a batch.

        Raises:
            ConfigError: `local_state_not_writable`.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        sealed = seal(self._required(), sink.getvalue().to_pybytes(), self._bound(batch))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(self._path(batch), flags, 0o600), "wb") as file:
                file.write(sealed)
        except OSError as error:
            raise _not_writable(error) from None

    def get(self, batch: int) -> pa.Table:
        """The rows of a batch.

        Raises:
            IntegrityError: `plan_rows_gone`, they are not there, or not as they were written.
        """
        try:
            sealed = self._path(batch).read_bytes()
        except OSError:
            raise _gone() from None
        opened = unseal(self._required(), sealed, self._bound(batch))
        with pa.ipc.open_stream(opened) as reader:
            return reader.read_all()

    def drop(self, batch: int) -> None:
        """A batch was answered. May be repeated."""
        self._path(batch).unlink(missing_ok=True)

    def clear(self) -> None:
        """Every file there is, and the key. For the holder of the lease alone."""
        self._key = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def end(self) -> None:
        """The plan's files, and its key; those of whoever took over stay. May be repeated.

        A file that cannot be removed is one that nobody can read.
        """
        self._key = None
        if self._run and self._folder.is_dir():
            with contextlib.suppress(OSError):
                for path in self._folder.glob(f"{glob.escape(self._run)}-*"):
                    path.unlink(missing_ok=True)
                self._folder.rmdir()

    def _path(self, batch: int) -> Path:
        return self._folder / f"{self._run}-{int(batch)}"

    def _bound(self, batch: int) -> bytes:
        return associated_data("mayfly/local-rows/1", self._name, self._run, str(int(batch)))

    def _required(self) -> bytes:
        if self._key is None:
            raise _gone()
        return self._key


def _gone() -> IntegrityError:
    return IntegrityError(
        "plan_rows_gone",
        "The planned rows are not there any more; the run stops and has lost nothing.",
        hint="Run again: the next run plans anew.",
    )


def _not_writable(error: OSError) -> ConfigError:
    return ConfigError(
        "local_state_not_writable",
        f"The folder of the local state cannot be written ({error.strerror}).",
        hint="Make room on its disk, and give this user the right to write `.mayfly/state`.",
    )
