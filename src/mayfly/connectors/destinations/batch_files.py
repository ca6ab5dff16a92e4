"""One file for each batch, at a place beyond this machine: what buckets and SFTP share.

A file's name is made of ids: sync, run, number of the batch. It is there whole or not at all, and
made once: a batch that is sent again finds it and changes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from mayfly.connectors.destinations.file_formats import file_bytes, require_format
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.checks import require_protected
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
from mayfly.privacy.gate import Form, ProtectedBatch

ROWS_MAX, BYTES_MAX = 50_000, 1_000_000_000
SHOWN_MAX = 20
_NAME = re.compile(r"[A-Za-z0-9._-]{1,240}")
NOTES = (
    "Each batch becomes one file, `<sync>.<run>.<batch>.<format>`: ids, and nothing of a row. It "
    "is there whole or not at all. A batch that is sent again finds its file and changes nothing; "
    "after a crash Mayfly looks whether it is there.",
    "`append` writes rows that are new, `upsert` rows that are new or changed: whoever reads the "
    "files takes the last row of a key, by the order of runs. Nothing tells a reader that a row "
    "left the model, so `mirror` and `audience` are not offered: a plan holds what changed, and no "
    "file would be the whole.",
    "Formats are those of [files](../../howto/tables-and-files.md): Parquet, CSV with quotes where "
    "they are needed, JSON Lines.",
    "**Rows cannot be taken back out of files.** Who withdraws consent is not sent again; what was "
    "delivered stays until whoever owns the place removes it. The names tell where to look: the "
    "ledger has sync, run, number and date of every delivered batch. Let a lifecycle rule, or "
    "whoever reads the files, remove them once they are read: Mayfly never deletes or reads one.",
)
"""What the pages of such destinations say."""


def files_spec(name: str, hosts: frozenset[str] = frozenset()) -> DestinationSpec:
    """The specification of such a destination."""
    return DestinationSpec(
        name=name,
        modes=frozenset({SyncMode.APPEND, SyncMode.UPSERT}),
        fields=(),
        request=RequestLimits(rows_max=ROWS_MAX, bytes_max=BYTES_MAX),
        hosts=hosts,
        processor=None,
        erasure=Erasure.NONE,
        batch_marker=True,
        concurrency=2,
    )


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file that is there: its name, made of ids, and the day it was written (`2026-11-29`)."""

    name: str
    day: str


class Place(Protocol):
    """Where files go. Calls may run concurrently.

    Each raises ConfigError where the place cannot work as it is configured, TransientError where it
    is away, ContractError where it answers as it never should.
    """

    async def check(self) -> None:
        """Whether a file could be written now. Writes nothing; asked again only until it could."""

    async def put(self, name: str, content: bytes, rows: int) -> None:
        """Make a file, whole or not at all; where it is there already, leave it."""

    async def settled(self, name: str, nothing: bytes) -> bool:
        """Whether a file is there. Where not, no attempt that is still under way makes it.

        Args:
            name: of the file.
            nothing: a file without rows, for a place that can keep others out by that alone.
        """

    async def written(self, start: str) -> Sequence[Written]:
        """Files whose names begin so."""

    async def close(self) -> None:
        """Release connections. May be repeated."""


class BatchFiles:
    """Writes the batches of one sync to a place."""

    def __init__(self, place: Place, file_format: str, context: DestinationContext) -> None:
        self._place = place
        self._format = file_format
        self._context = context

    async def check(self) -> None:
        """See `Destination.check`."""
        require_format(self._format)
        await self._place.check()

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Write one batch as a file; one without rows makes none."""
        require_protected(batch)
        del progress
        if batch.head.operation is Operation.REMOVE:
            raise ContractError("no_removal", "Rows cannot be taken back out of files.")
        await self.check()
        if len(batch):
            content = await asyncio.to_thread(self._content, batch.rendered())
            await self._place.put(self._name(batch.head), content, len(batch))
        return Done(outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, len(batch)))

    async def poll(self, job: JobRef) -> Done | Pending:
        """A file is there at once; there is nothing to ask for."""
        raise ContractError("no_such_job", f"Files have no job for batch {job.batch}.")

    async def applied(self, head: BatchHead) -> bool | None:
        """Whether the batch's file is there; where not, a late attempt does not make it."""
        await self.check()
        return await self._place.settled(self._name(head), self._content(self._nothing()))

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Files cannot forget one person; says which of them may hold one."""
        require_protected(identifiers)
        await self._place.check()
        found = await self._place.written(f"{self._context.sync}.")
        raise ContractError(
            "no_erasure",
            f"Rows cannot be taken back out of files: {_out_of_reach(self._context.sync, found)}",
            hint="Remove those files there, or write them anew without the person.",
        )

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._place.close()

    def _name(self, head: BatchHead) -> str:
        name = f"{self._context.sync}.{head.run}.{head.number:06d}.{self._format}"
        if not _NAME.fullmatch(name):
            raise ContractError("bad_file_name", "A sync or run has a name that no file can have.")
        return name

    def _content(self, rows: pa.Table) -> bytes:
        content = file_bytes(rows, self._format)
        if len(content) > BYTES_MAX:
            # Halving the batch makes two files of it.
            raise ContractError("batch_refused", f"A file is larger than {BYTES_MAX:,} bytes.")
        return content

    def _nothing(self) -> pa.Table:
        """No row, in the columns of the sync."""
        types = {
            name: kind if self._context.forms[name] is Form.CLEAR else pa.string()
            for name, kind in self._context.columns.items()
        }
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})


def _out_of_reach(sync: str, found: Sequence[Written]) -> str:
    """What is there of a sync, in names of ids and days."""
    if not found:
        return f"there is none of sync {sync}."
    days = sorted(file.day for file in found)
    shown = ", ".join(sorted(file.name for file in found)[:SHOWN_MAX])
    more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
    return (
        f"sync {sync} wrote {len(found)} from {days[0]} to {days[-1]} that may hold the person: "
        f"{shown}{more}."
    )
