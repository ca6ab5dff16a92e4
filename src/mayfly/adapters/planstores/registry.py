"""The line of one state in the registry of a warehouse: whose it is, its lease, its open plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mayfly.adapters.planstores import tables
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanSpec
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import SqlSession

LEASE_MS = 120_000
_WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)


class StateLine:
    """One state's line, in whatever session of the warehouse it is asked for.

    Args:
        sql: dialect of the warehouse.
        names: of the state's tables.
        owner: id of this installation.
    """

    def __init__(self, sql: SqlDialect, names: Names, owner: str) -> None:
        self._sql = sql
        self._names = names
        self._owner = owner
        self._where = f"sid = {sql.literal(names.sid)}"

    def get(self, session: SqlSession) -> dict[str, Any] | None:
        """The line; None where there is none in the registry, which is there."""
        found = session.table(
            f"SELECT owner, fence, holder, lease_until, versions, suppression, format, plan_run, "
            f"plan_versions, plan_layout, state_keys FROM {self._names.registry} "
            f"WHERE {self._where}"
        ).to_pylist()
        return found[0] if found else None

    def known(self, session: SqlSession) -> dict[str, Any] | None:
        """The line of a state whose tables are there; None where there is no state, or where the
        holder of its lease is only making it.
        """
        there = self._sql.has_table(self._names.schema, f"state_{self._names.sid}")
        if not number(session, there):
            return None
        row = self.get(session)
        return row if row is not None and row["state_keys"] is not None else None

    def registered(self, session: SqlSession, spec: PlanSpec) -> dict[str, Any]:
        """The line, which is made where there is none; and with it the registry."""
        tables.make_schema(session, self._sql, self._names.schema)
        session.execute(tables.create_registry(self._sql, self._names))
        if tables.OBJECT_ID not in self.columns(session, "states"):
            session.execute(tables.add_object_id(self._sql, self._names))
        row = self.get(session)
        if row is None or not self.columns(session, "rejected"):
            # Two syncs that begin at once would each make the view without the other.
            lock = self._sql.lock(self._names.registry)
            if lock is not None:
                session.execute(lock)
            row = self.get(session)
        if row is None:
            self._register(session, tables.register(spec, self._sql, self._names, self._owner))
            row = self.get(session)
        if row is None:
            raise run_active(spec)
        return row

    def _register(self, session: SqlSession, statement: str) -> None:
        """Make the line, of which there is one whoever else does so at the same time."""
        turn = self._sql.turn(self._names.turns)
        if turn is None:
            session.execute(statement)
            return
        made, taken = turn
        try:
            session.execute(made)
        except ConfigError as error:
            if error.code != "table_exists":
                raise

        def register() -> None:
            session.execute(taken)
            # Read only now: nobody else can make it any more.
            if self.get(session) is None:
                session.execute(statement)
            session.commit()

        _in_turn(session, register, begins=True)

    def change(self, changes: Mapping[str, str], *, fence: int | None = None) -> str:
        """Statement that changes the line, if it has that fence."""
        where = self._where if fence is None else f"{self._where} AND fence = {int(fence)}"
        return self._sql.update(self._names.registry, changes, where)

    def take(
        self, session: SqlSession, spec: PlanSpec, *, fence: int, holder: str, now_ms: int
    ) -> int:
        """Take the lease from whoever had the fence: the new one. Of two that do so at once one
        gets it; the engine tells which by the number of lines changed.

        Raises:
            TransientError: `run_active`, another was faster.
        """
        taken = {
            "fence": str(fence + 1),
            "holder": self._sql.literal(holder),
            "lease_until": str(now_ms + LEASE_MS),
        }
        if session.execute(self.change(taken, fence=fence)) != 1:
            raise run_active(spec)
        return fence + 1

    def renew(
        self,
        session: SqlSession,
        fence: int,
        clock_ms: Callable[[], int],
        *,
        begins: bool,
        idle_ms: int = 0,
    ) -> None:
        """Renew the lease, as the first statement of a transaction where one `begins`; for longer
        where nothing will be written for `idle_ms`. Where an engine lets one transaction at a time
        change the registry, that of another sync is waited for: nothing else was done yet.
        """

        def extend() -> None:
            until = {"lease_until": str(clock_ms() + LEASE_MS + idle_ms)}
            session.execute(self.change(until, fence=fence))

        _in_turn(session, extend, begins=begins)

    def columns(self, session: SqlSession, table: str) -> list[str]:
        """Columns of a table or view of ours; none where there is none."""
        found = session.table(self._sql.columns_of(self._names.schema, table))
        return [str(name) for name in found.column("name").to_pylist()]

    def object_id(self, session: SqlSession) -> str | None:
        """Id of the destination's object that the state speaks of."""
        if tables.OBJECT_ID not in self.columns(session, "states"):
            return None
        found = session.table(
            f"SELECT {tables.OBJECT_ID} AS id FROM {self._names.registry} WHERE {self._where}"
        ).column("id")
        return None if not len(found) or found[0].as_py() is None else str(found[0].as_py())

    def make_view(self, session: SqlSession) -> None:
        """The view of all rejections, over the states whose tables are there."""
        states = session.table(
            f"SELECT sid, sync, target, state_keys FROM {self._names.registry} "
            f"WHERE state_keys IS NOT NULL ORDER BY sid"
        ).to_pylist()
        session.execute(tables.rejected_view(self._sql, self._names.schema, states))

    def refuse_foreign(self, row: Mapping[str, Any]) -> None:
        """Refuse a state of another installation, or of a release this one does not know.

        Raises:
            PolicyError: `foreign_state`, `state_format`.
        """
        if row["owner"] != self._owner:
            raise PolicyError(
                "foreign_state",
                "The state of this sync belongs to another installation of Mayfly.",
                hint="Take it over with `mayfly state adopt`, or use another workspace or target.",
            )
        tables.refuse_other_format(row)


def refuse_other_key(row: Mapping[str, Any], spec: PlanSpec) -> None:
    """Refuse a model whose primary key is not that of its state.

    Raises:
        PolicyError: `key_changed`.
    """
    if row["state_keys"] != tables.keys_text(spec):
        raise PolicyError(
            "key_changed",
            "The model's primary key is not the one that the state of this sync was made "
            "with: names or types of its columns differ.",
            hint="Restore the key, or give the sync another id, which begins with an empty "
            "state and sends everything.",
        )


def run_active(spec: PlanSpec) -> TransientError:
    """Another process works on the state."""
    return TransientError(
        "run_active",
        f"Sync {spec.identity.sync} is being run by another process.",
        hint="Wait until it has ended, or stop it, and run again.",
    )


def is_held(row: Mapping[str, Any], now_ms: int, alive: Callable[[str], bool]) -> bool:
    """Whether the holder of a state's lease may still work on it."""
    return bool(row["holder"]) and row["lease_until"] > now_ms and alive(str(row["holder"]))


def speaks_of_another(known: str | None, object_id: str | None) -> bool:
    """Whether a state was filled at another object than the one there is now."""
    return object_id is None or known not in (None, object_id)


def fenced_out() -> IntegrityError:
    """What is raised of whoever was overtaken."""
    return IntegrityError(
        "fenced", "Another run took over this sync; this one changed nothing and stops."
    )


def number(session: SqlSession, query: str) -> int:
    """The number `n` of a query; -1 where it gives no row."""
    found = session.table(query).column("n")
    return int(found[0].as_py()) if len(found) else -1


def _in_turn(session: SqlSession, act: Callable[[], None], *, begins: bool) -> None:
    """Do what another transaction may be in the way of, and again once that has ended.

    Args:
        session: in which it is done; a transaction of its own where one `begins`.
        act: done anew from its beginning each time.
        begins: with a transaction.
    """
    for wait_seconds in (*_WAITS_SECONDS, None):
        if begins:
            session.begin()
        try:
            act()
        except TransientError as error:
            if error.code != "transaction_conflict" or wait_seconds is None:
                raise
            session.rollback()
            time.sleep(wait_seconds)
        else:
            return
