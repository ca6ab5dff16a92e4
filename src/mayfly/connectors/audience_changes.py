"""What a batch asks of an audience: people come by all of a sync's fields, or leave by one."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from mayfly.domain.batch import BatchHead, Operation
from mayfly.domain.errors import ContractError
from mayfly.ports.checks import require_protected
from mayfly.ports.destination import Done, Progress, Submitted
from mayfly.privacy.gate import ProtectedBatch


class Send(Protocol):
    """Sends one batch."""

    def __call__(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...], *, adds: bool
    ) -> Awaitable[Done | Submitted]:
        """Add the people of a batch, or remove them.

        Args:
            batch: that passed the gate.
            progress: of it.
            fields: that it is sent by.
            adds: whether people are added.
        """


@dataclass(frozen=True, kw_only=True)
class AudienceChanges:
    """Batches of an audience, each handed to `send` with the fields that it goes by.

    Args:
        fields: of the sync.
        identifiers: fields of the destination that tell somebody.
        send: sends one batch.
    """

    fields: tuple[str, ...]
    identifiers: Collection[str]
    send: Send

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Add the people of a batch, or remove them.

        Raises:
            ContractError: `unknown_operation`, `one_identifier`.
            EngineError: as `send`.
        """
        require_protected(batch)
        if adds(batch.head):
            return await self.send(batch, progress, self.fields, adds=True)
        return await self._remove(batch, progress, (batch.head.identifier or "",))

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people by one identifier.

        Raises:
            ContractError: `one_identifier`.
            EngineError: as `send`.
        """
        require_protected(identifiers)
        fields = tuple(identifiers.rows.column_names)
        return await self._remove(identifiers, Progress(rows=len(identifiers)), fields)

    async def _remove(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...]
    ) -> Done | Submitted:
        require_one_identifier(fields, self.identifiers)
        return await self.send(batch, progress, fields, adds=False)


def adds(head: BatchHead) -> bool:
    """Whether the people of a batch come to an audience; else they leave it.

    Raises:
        ContractError: `unknown_operation`.
    """
    match head.operation:
        case Operation.ADD | Operation.WRITE:
            return True
        case Operation.REMOVE:
            return False
        case Operation.INSERT:
            raise ContractError("unknown_operation", "An audience takes no inserts.")


def require_one_identifier(fields: Sequence[str], identifiers: Collection[str]) -> None:
    """Refuse a removal by something else than one identifier.

    Raises:
        ContractError: `one_identifier`.
    """
    if len(fields) != 1 or fields[0] not in identifiers:
        raise ContractError("one_identifier", "A removal holds exactly one identifier field.")
