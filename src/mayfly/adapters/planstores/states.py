"""The states of one warehouse: to see them, to forget one, to make one that of another sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mayfly.adapters.planstores import tables
from mayfly.adapters.planstores.closing_plan import (
    close_open_plan,
    drop_copies,
    left_copies,
    registered_spec,
)
from mayfly.adapters.planstores.journal import batches_of
from mayfly.adapters.planstores.shared import is_busy
from mayfly.domain.errors import PolicyError, TransientError
from mayfly.planning.names import STATE_TABLES, WORKING_COPIES, Names
from mayfly.planning.spec import CloseReport, PlanSpec
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.ports.states import LeftPlan, Record, StateInfo

_UNKNOWN_SUPPRESSION = -1


class SourceStates:
    """`States` in schema `_mayfly` of a source.

    Args:
        source: opened anew for each call.
        sql: its dialect.
        schema: our schema's name.
        closing: what else is done where a plan is ended, in the same transaction.
    """

    def __init__(
        self,
        source: Source,
        sql: SqlDialect,
        *,
        schema: str = "_mayfly",
        closing: Callable[[SqlSession, Names], None] = lambda *_: None,
    ) -> None:
        self._source = source
        self._closing = closing
        self._sql = sql
        self._schema = schema

    def all(self) -> Sequence[StateInfo]:
        """See `States.all`."""
        with self._source.session(write=False) as session:
            if not self._columns(session, "states"):
                return []
            return [self.info(session, row) for row in self.rows(session)]

    def formats(self) -> Mapping[str, int]:
        """See `States.formats`."""
        with self._source.session(write=False) as session:
            if not self._columns(session, "states"):
                return {}
            return {str(row["sid"]): int(row["format"]) for row in self.rows(session)}

    def open_plans(self) -> Sequence[LeftPlan]:
        """See `States.open_plans`."""
        with self._source.session(write=False) as session:
            if not self._columns(session, "states"):
                return []
            found = (self._left_plan(session, row) for row in self.rows(session))
            return [plan for plan in found if plan is not None]

    def drop(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool], record: Record
    ) -> StateInfo:
        """See `States.drop`."""
        with self._source.session(write=True) as session:
            row = self._taken(session, sid, now_ms, alive)
            found = self.info(session, row)
            self._drop(session, sid)
            record(found)
            session.commit()
            return found

    def end_plan(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool]
    ) -> tuple[StateInfo, CloseReport]:
        """See `States.end_plan`."""
        with self._source.session(write=True) as session:
            row = self._taken(session, sid, now_ms, alive)
            found = self.info(session, row)
            if found.open_run is None:
                return found, CloseReport()
            doubtful = self._take_as_sent(session, row)
            names, layout = self._names(sid), str(row["plan_layout"])
            report = close_open_plan(
                session, self._sql, names, registered_spec(row), layout=layout, now_ms=now_ms
            )
            self._closing(session, names)
            session.commit()
            drop_copies(session, self._sql, names, layout)
            return found, replace(report, in_doubt=report.in_doubt + doubtful)

    def adopt(
        self,
        sid: str,
        spec: PlanSpec,
        *,
        owner: str,
        now_ms: int,
        alive: Callable[[str], bool],
        record: Record,
    ) -> StateInfo:
        """See `States.adopt`."""
        with self._source.session(write=True) as session:
            row = self._taken(session, sid, now_ms, alive)
            found = self.info(session, row)
            self._check(row, found, spec)
            if spec.identity.sid != sid:
                self._rename(session, found, spec, now_ms, alive)
            registry = self._names(sid).registry
            i = spec.identity
            changes = tables.whose(i, self._sql, owner)
            if i.sid != sid and tables.OBJECT_ID in self._columns(session, "states"):
                # That the rows are where the sync now leads is what its operator has said.
                changes[tables.OBJECT_ID] = "NULL"
            # Neither keys nor suppression list of the earlier owner need be ours: nothing that
            # was worked out with them is taken as current.
            changes |= {
                "fence": "fence + 1",
                "holder": "NULL",
                "lease_until": "0",
                "versions": self._sql.literal("adopted"),
                "suppression": str(_UNKNOWN_SUPPRESSION),
            }
            line = f"sid = {self._sql.literal(sid)}"
            session.execute(self._sql.update(registry, changes, line))
            self._make_view(session)
            record(found)
            session.commit()
            return found

    def _taken(
        self, session: SqlSession, sid: str, now_ms: int, alive: Callable[[str], bool]
    ) -> dict[str, Any]:
        """A state no run works on, locked until the transaction's end."""
        session.begin()
        rows: list[dict[str, Any]] = []
        if self._columns(session, "states"):
            lock = self._sql.lock(self._names(sid).registry)
            if lock is not None:
                session.execute(lock)
            rows = [row for row in self.rows(session) if row["sid"] == sid]
        if not rows:
            raise PolicyError(
                "state_unknown",
                "The warehouse holds no state of that name.",
                hint="`mayfly state list` shows what there is.",
            )
        [row] = rows
        require_idle(row, now_ms, alive)
        return row

    def _take_as_sent(self, session: SqlSession, row: dict[str, Any]) -> int:
        """Rows of an append that were begun count as there: whoever planned them anew would append
        them twice. How many.
        """
        if not tables.is_append(str(row["plan_layout"])):
            return 0
        names = tables.copies_of(self._names(str(row["sid"])), str(row["plan_layout"]))
        begun = [b for b in batches_of(session, names) if b.intent and not b.acknowledged]
        for batch in begun:
            session.execute(f"INSERT INTO {names.of('acks')} VALUES ({int(batch.number)})")
        return sum(b.rows - len(b.unsent) for b in begun)

    def _check(self, row: dict[str, Any], found: StateInfo, spec: PlanSpec) -> None:
        if row["state_keys"] != tables.keys_text(spec):
            raise PolicyError(
                "key_changed",
                "The model's primary key is not the one that the state was made with: names or "
                "types of its columns differ.",
                hint="Restore the key, or let the sync begin with an empty state.",
            )
        if found.rows and bool(found.identifiers) != spec.by_identifier:
            raise PolicyError(
                "state_kind",
                "The state is of an audience and the sync is not, or the other way round.",
                hint="Let the sync begin with an empty state.",
            )

    def _rename(
        self,
        session: SqlSession,
        found: StateInfo,
        spec: PlanSpec,
        now_ms: int,
        alive: Callable[[str], bool],
    ) -> None:
        """Another identity: the state's tables take its name, where that is free."""
        if found.open_run is not None:
            # What is in doubt is asked of the destination under the identity it was sent by.
            raise PolicyError(
                "plan_open",
                f"Run {found.open_run} left its plan open.",
                hint="Run the sync once more under its old id and destination, then adopt.",
            )
        new = spec.identity.sid
        for row in self.rows(session):
            if row["sid"] != new:
                continue
            self._taken_over(session, row, now_ms, alive)
        for kind in STATE_TABLES:
            old = self._names(found.sid).of(kind)
            session.execute(self._sql.rename_table(old, f"{kind}_{new}"))

    def _taken_over(
        self,
        session: SqlSession,
        row: dict[str, Any],
        now_ms: int,
        alive: Callable[[str], bool],
    ) -> None:
        """An empty state of the new identity gives way; one that remembers anything does not."""
        there = self.info(session, row)
        busy = is_busy(row, now_ms, alive)
        if there.rows or there.identifiers or there.open_run is not None or busy:
            raise PolicyError(
                "state_exists",
                "The sync has a state that holds rows already.",
                hint="Keep it, or forget it first with `mayfly state drop`.",
            )
        self._drop(session, there.sid)

    def _drop(self, session: SqlSession, sid: str) -> None:
        names = self._names(sid)
        session.execute(self._sql.delete(names.registry, f"sid = {self._sql.literal(sid)}"))
        # The view goes first: it reads a table that is dropped.
        self._make_view(session)
        if not self._sql.transactional_ddl:
            for table in left_copies(session, self._sql, names):
                session.execute(self._sql.drop_table(table))
        for kind in (*STATE_TABLES, *WORKING_COPIES):
            session.execute(self._sql.drop_table(names.of(kind)))

    def _make_view(self, session: SqlSession) -> None:
        """Over the states that are left; it keeps its columns, and so what was granted on it."""
        states = self.rows(session)
        columns = self._columns(session, "rejected")
        if not states:
            if columns:
                session.execute(self._sql.drop_view(self._names("").rejected_view))
            return
        keys = sum(1 for c in columns if c.startswith("key_") and c != "key_columns")
        session.execute(tables.rejected_view(self._sql, self._schema, states, keys_min=keys))

    def _names(self, sid: str) -> Names:
        return Names(sql=self._sql, schema=self._schema, sid=sid)

    def rows(self, session: SqlSession) -> list[dict[str, Any]]:
        """Of the table of states, which must be there."""
        found: list[dict[str, Any]] = session.table(
            "SELECT sid, workspace, target, sync, destination, owner, holder, lease_until, format, "
            f"plan_run, plan_layout, state_keys FROM {self._names('').registry} "
            "ORDER BY target, sync, sid"
        ).to_pylist()
        return found

    def _columns(self, session: SqlSession, name: str) -> list[str]:
        """Columns of a table or view of ours; none where there is none."""
        found = session.table(self._sql.columns_of(self._schema, name))
        return [str(text) for text in found.column("name").to_pylist()]

    def info(self, session: SqlSession, row: dict[str, Any]) -> StateInfo:
        """A state by its row."""
        names = self._names(str(row["sid"]))
        counts = [
            int(session.table(f"SELECT count(*) AS n FROM {names.of(k)}").column("n")[0].as_py())
            for k in STATE_TABLES
        ]
        plan = self._left_plan(session, row)
        return StateInfo(
            waiting_batches=plan.waiting_batches if plan else 0,
            waiting_rows=plan.waiting_rows if plan else 0,
            sid=str(row["sid"]),
            workspace=str(row["workspace"]),
            target=str(row["target"]),
            sync=str(row["sync"]),
            owner=str(row["owner"]),
            rows=counts[0],
            identifiers=counts[1],
            rejected=counts[2],
            open_run=plan.run if plan else None,
        )

    def _left_plan(self, session: SqlSession, row: dict[str, Any]) -> LeftPlan | None:
        if row["plan_run"] is None:
            return None
        sid = str(row["sid"])
        names = tables.copies_of(self._names(sid), str(row["plan_layout"]))
        waiting = [b for b in batches_of(session, names) if not b.acknowledged]
        appends = tables.is_append(str(row["plan_layout"]))
        return LeftPlan(
            in_doubt=sum(b.rows - len(b.unsent) for b in waiting if appends and b.intent),
            sid=sid,
            run=str(row["plan_run"]),
            waiting_batches=len(waiting),
            waiting_rows=sum(b.rows for b in waiting),
        )


def require_idle(row: dict[str, Any], now_ms: int, alive: Callable[[str], bool]) -> None:
    """Refuse a state that this release does not know, or that a run works on.

    Raises:
        PolicyError: `state_format`.
        TransientError: `run_active`.
    """
    tables.refuse_other_format(row)
    if is_busy(row, now_ms, alive):
        raise TransientError(
            "run_active",
            "A run works on the state.",
            hint="Wait until it has ended, or stop it.",
        )
