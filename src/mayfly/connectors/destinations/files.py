"""Files in one configured folder: Parquet, CSV or JSON Lines, one file per run.

Each batch waits as a hidden part in the folder itself; the run's file appears at once and whole
when the last part is there. A file is never written over.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.ipc

from mayfly.connectors.destinations.file_formats import in_text, require_format, write_file
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.checks import require_protected
from mayfly.ports.connector import FIRST_ADDRESS, Connector, DestinationRequest
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.privacy.gate import ProtectedBatch

SPEC = DestinationSpec(
    name="files",
    modes=frozenset({SyncMode.APPEND, SyncMode.UPSERT}),
    fields=(),
    request=RequestLimits(rows_max=50_000, bytes_max=1_000_000_000),
    hosts=frozenset(),
    processor=None,
    erasure=Erasure.NONE,
    batch_marker=True,
)


class Files:
    """Writes runs of one sync into a folder."""

    def __init__(self, root: Path, file_format: str, context: DestinationContext) -> None:
        self._root = root
        self._format = file_format
        self._context = context
        self._lock = asyncio.Lock()

    async def check(self) -> None:
        """See `Destination.check`."""
        require_format(self._format)
        if self._root.is_symlink() or not self._root.is_dir():
            raise ConfigError(
                "folder_missing",
                "The destination's folder must exist, and be no symbolic link.",
                hint="Make it, or correct `path`.",
            )
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise ConfigError(
                "folder_unwritable",
                "The destination's folder may not be written.",
                hint="Give this user the right to write it, or name another folder.",
            )

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Stage one batch; the last one makes the file."""
        require_protected(batch)
        del progress
        head = batch.head
        if head.operation is Operation.REMOVE:
            raise ContractError("no_removal", "Rows cannot be taken back out of files.")
        await self.check()
        async with self._lock:
            await asyncio.to_thread(self._stage, head, batch.rendered())
        reference = f"{head.run}:{head.of}:{head.number}"
        return Submitted(job=JobRef(batch=head.number, rows=len(batch), reference=reference))

    async def poll(self, job: JobRef) -> Done | Pending:
        """Accepted once the run's file is there; deferred where its parts are lost."""
        run, of, _ = job.reference.rsplit(":", 2)
        async with self._lock:
            done = await asyncio.to_thread(self._assemble, run, int(of))
        code = OutcomeCode.ACCEPTED if done else OutcomeCode.DEFERRED
        return Done(outcomes=Outcomes.all_of(code, job.rows))

    async def applied(self, head: BatchHead) -> bool | None:
        """Whether the run's file is there; made now where a crash left all of its parts.

        Without that a run killed between its last part and its file would be told "not applied",
        and a repeat of its first `poll` would still make the file: rows twice.
        """
        async with self._lock:
            return await asyncio.to_thread(self._assemble, head.run, head.of)

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Files cannot forget one person."""
        require_protected(identifiers)
        raise ContractError("no_erasure", "Rows cannot be taken back out of files.")

    async def close(self) -> None:
        """Nothing stays open."""

    def _final(self, run: str) -> Path:
        return self._root / f"{self._context.sync}.{run}.{self._format}"

    def _folder(self, run: str) -> Path:
        return self._root / f".mayfly-{self._context.sync}-{run}"

    def _stage(self, head: BatchHead, rows: pa.Table) -> None:
        with _translated():
            self._clear_others(head.run)
            if self._final(head.run).exists():
                return
            folder = self._folder(head.run)
            folder.mkdir(mode=0o700, exist_ok=True)
            part = folder / f"{head.number:06d}.arrow"
            held = rows if self._format == "parquet" else in_text(rows)
            with _atomic(part) as file, pa.ipc.new_file(file, held.schema) as writer:
                writer.write_table(held)
            self._assemble(head.run, head.of)

    def _clear_others(self, run: str) -> None:
        """Parts that an earlier run left: it was closed, and they will never be a file."""
        for folder in self._root.glob(f".mayfly-{self._context.sync}-*"):
            if folder != self._folder(run) and folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)

    def _assemble(self, run: str, of: int) -> bool:
        """Make the file where every part is there; whether it exists."""
        final, folder = self._final(run), self._folder(run)
        with _translated():
            if not final.exists():
                parts = sorted(folder.glob("*.arrow")) if folder.is_dir() else []
                if len(parts) < of:
                    return False
                with _atomic(final) as file:
                    write_file(file, self._format, map(_held, parts))
            if folder.is_dir():
                shutil.rmtree(folder)
        return True


def _held(part: Path) -> pa.Table:
    return pa.ipc.open_file(part.read_bytes()).read_all()


@contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file of mode 0600 that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise TransientError(
            "disk_full" if full else "folder_unavailable",
            f"The destination's folder does not take the file (error {error.errno}).",
            hint="Make room there, and check its rights.",
        ) from None
    except pa.ArrowException:
        raise ContractError(
            "batch_refused", "A batch holds a type that the file format cannot."
        ) from None


def make(*, path: Path, file_format: str, context: DestinationContext) -> Files:
    """The connector for one folder."""
    return Files(path, file_format, context)


def _open(request: DestinationRequest) -> Files:
    return make(
        path=request.path(),
        file_format=request.text("format", "parquet"),
        context=request.context,
    )


CONNECTOR = Connector(spec=SPEC, open=_open, address=FIRST_ADDRESS)
