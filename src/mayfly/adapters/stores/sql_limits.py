"""Limits that all workers share, in the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.adapters.stores.statements import statement
from mayfly.domain.limits import Bucket, burst
from mayfly.ports.limits import Drawn

_PLACES = "concurrency"


class SqlLimits:
    """See `Limits`. A transaction holds the row of the limit that it is about."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def draw(
        self, account: str, name: str, *, per_minute: int, wanted: int, whole: bool = False
    ) -> Drawn:
        """See `Limits.draw`."""
        with self._locked(account, name, float(burst(per_minute))) as (connection, tokens, at):
            bucket, now = Bucket(per_minute=per_minute, tokens=tokens, at=at), _now(connection)
            if whole:
                after, all_, wait = bucket.owed(wanted, now)
                granted = wanted if all_ else 0
            else:
                after, granted, wait = bucket.drawn(wanted, now)
            values = {"account": account, "name": name, "tokens": after.tokens, "at": after.at}
            connection.execute(statement("update_limit"), values)
        return Drawn(granted=granted, wait_seconds=wait)

    def enter(self, account: str, holder: str, *, most: int, seconds: float) -> bool:
        """See `Limits.enter`."""
        known = {"account": account, "holder": holder}
        with self._locked(account, _PLACES, 0.0) as (connection, _, _):
            now = _now(connection)
            late = {"account": account, "now": now}
            connection.execute(statement("delete_late_places"), late)
            taken = connection.execute(statement("count_other_places"), known).scalar_one()
            if int(taken) >= most:
                return False
            connection.execute(statement("upsert_place"), {**known, "until": now + seconds})
        return True

    def leave(self, account: str, holder: str) -> None:
        """See `Limits.leave`."""
        with self._store.transaction(write=True) as connection:
            values = {"account": account, "holder": holder}
            connection.execute(statement("delete_place"), values)

    @contextmanager
    def _locked(
        self, account: str, name: str, tokens: float
    ) -> Iterator[tuple[Connection, float, float]]:
        """The row of a limit, made full where there is none; nobody else changes it meanwhile."""
        known = {"account": account, "name": name}
        with self._store.transaction(write=True) as connection:
            values = {**known, "tokens": tokens, "at": _now(connection)}
            connection.execute(statement("insert_limit"), values)
            row = connection.execute(statement("lock_limit"), known).mappings().one()
            yield connection, float(row["tokens"]), float(row["at"])


def _now(connection: Connection) -> float:
    """Seconds since 1970 by the database's clock."""
    name = f"select_now_{connection.dialect.name}"
    return float(connection.execute(statement(name)).scalar_one())
