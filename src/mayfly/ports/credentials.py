"""The store of credentials: sealed versions, and a pointer to the current one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from mayfly.domain.credentials import ConnectionKey, ConnectionState, SealedCredential


class LockedConnection(Protocol):
    """One connection, which nobody else can change meanwhile. Read after the lock was taken."""

    def state(self) -> ConnectionState | None:
        """None where there is no credential."""

    def current(self) -> SealedCredential | None:
        """Its current version."""

    def add(self, credential: SealedCredential) -> None:
        """Insert a version and move the pointer to it; the connection is connected then.

        Raises:
            TransientError: `connection_changed`, its number does not follow the current one.
        """

    def need_consent(self, now: datetime) -> None:
        """Note that the current version is no longer taken."""

    def forget(self) -> int:
        """Delete every version; how many there were."""


class CredentialStore(Protocol):
    """Calls block, each is one transaction, and any may come from several threads and processes.

    Every call raises what `Store` says of its calls.
    """

    def lock_connection(self, key: ConnectionKey) -> AbstractContextManager[LockedConnection]:
        """The connection, locked until the block ends: on PostgreSQL its row, on SQLite the store.

        What was written in the block is durable once it ends, and none of it where it raises.
        """

    def connection(
        self, key: ConnectionKey
    ) -> tuple[ConnectionState | None, SealedCredential | None]:
        """State and current version, without waiting for a lock."""

    def credentials(self) -> Sequence[SealedCredential]:
        """Every version of every connection."""

    def replace_wrapping(self, credential: SealedCredential, wrapped: bytes, version: str) -> bool:
        """Give a version's data key another wrapping; False where it changed meanwhile."""

    def sweep_credentials(self, before: datetime) -> int:
        """Delete versions that were replaced before that; how many there were."""
