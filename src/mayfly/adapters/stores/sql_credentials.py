"""`CredentialStore` as a part of the SQL store."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from mayfly.adapters.stores.statements import Statements, statement, time_text
from mayfly.domain.credentials import ConnectionKey, ConnectionState, SealedCredential
from mayfly.domain.errors import IntegrityError, TransientError


class SqlLockedConnection:
    """See `LockedConnection`; lives within one transaction, at whose begin the lock was taken."""

    def __init__(self, connection: Connection, key: ConnectionKey) -> None:
        self._connection = connection
        self._key = _names(key)

    def state(self) -> ConnectionState | None:
        """See `LockedConnection.state`."""
        return _found(self._connection, self._key)[0]

    def current(self) -> SealedCredential | None:
        """See `LockedConnection.current`."""
        return _found(self._connection, self._key)[1]

    def add(self, credential: SealedCredential) -> None:
        """See `LockedConnection.add`."""
        values = {
            **self._key,
            "version": credential.version,
            "place": credential.place,
            "key_version": credential.key_version,
            "wrapped_key": _text(credential.wrapped_key),
            "sealed": _text(credential.sealed),
            "now": time_text(credential.created_at),
        }
        self._run("begin_connection", values)
        if self._run("move_connection", values) != 1:
            raise TransientError(
                "connection_changed",
                "Another process changed the connection at this moment.",
                hint="Repeat.",
            )
        self._run("insert_credential", values)
        self._run("retire_credential", values)

    def need_consent(self, now: datetime) -> None:
        """See `LockedConnection.need_consent`."""
        state = ConnectionState.NEEDS_CONSENT.value
        self._run("update_connection_state", {**self._key, "state": state, "now": time_text(now)})

    def forget(self) -> int:
        """See `LockedConnection.forget`."""
        self._run("delete_connection", self._key)
        return self._run("delete_credentials", self._key)

    def _run(self, name: str, values: Mapping[str, Any]) -> int:
        return self._connection.execute(statement(name), dict(values)).rowcount


class SqlCredentials(Statements):
    """See `CredentialStore`; mixed into the store, which has the transactions."""

    @contextmanager
    def lock_connection(self, key: ConnectionKey) -> Iterator[SqlLockedConnection]:
        """See `CredentialStore.lock_connection`."""
        # On SQLite a transaction that writes begins with the lock of the whole store.
        with self._transaction(write=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(statement("lock_connection"), _names(key))
            yield SqlLockedConnection(connection, key)

    def connection(
        self, key: ConnectionKey
    ) -> tuple[ConnectionState | None, SealedCredential | None]:
        """See `CredentialStore.connection`."""
        with self._transaction(write=False) as connection:
            return _found(connection, _names(key))

    def credentials(self) -> Sequence[SealedCredential]:
        """See `CredentialStore.credentials`."""
        with self._transaction(write=False) as connection:
            rows = connection.execute(statement("select_credentials")).mappings().all()
        return [_credential(row) for row in rows]

    def replace_wrapping(self, credential: SealedCredential, wrapped: bytes, version: str) -> bool:
        """See `CredentialStore.replace_wrapping`."""
        values = {
            **_names(credential.key),
            "version": credential.version,
            "wrapped": _text(wrapped),
            "key_version": version,
            "before": _text(credential.wrapped_key),
        }
        with self._transaction(write=True) as connection:
            return connection.execute(statement("replace_wrapping"), values).rowcount == 1

    def sweep_credentials(self, before: datetime) -> int:
        """See `CredentialStore.sweep_credentials`."""
        values = {"before": time_text(before)}
        with self._transaction(write=True) as connection:
            return connection.execute(statement("delete_replaced_credentials"), values).rowcount


def _found(
    connection: Connection, key: Mapping[str, str]
) -> tuple[ConnectionState | None, SealedCredential | None]:
    head = connection.execute(statement("select_connection"), dict(key)).mappings().one_or_none()
    if head is None:
        return None, None
    values = {**key, "version": head["current"]}
    row = connection.execute(statement("select_credential"), values).mappings().one_or_none()
    if row is None or head["state"] not in list(ConnectionState):
        raise _damaged()
    return ConnectionState(head["state"]), _credential(row)


def _credential(row: Mapping[Any, Any]) -> SealedCredential:
    try:
        return SealedCredential(
            key=ConnectionKey(target=row["target"], name=row["connection"]),
            version=int(row["version"]),
            place=row["place"],
            key_version=row["key_version"],
            wrapped_key=base64.b64decode(row["wrapped_key"], validate=True),
            sealed=base64.b64decode(row["sealed"], validate=True),
            created_at=datetime.fromisoformat(row["created_at"]),
            replaced_at=datetime.fromisoformat(row["replaced_at"]) if row["replaced_at"] else None,
        )
    except (ValueError, TypeError, binascii.Error):
        raise _damaged() from None


def _damaged() -> IntegrityError:
    return IntegrityError(
        "credential_damaged",
        "A stored credential is not whole.",
        hint="Connect again with `mayfly connect`, or restore the store from your backup.",
    )


def _names(key: ConnectionKey) -> dict[str, str]:
    return {"target": key.target, "name": key.name}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
