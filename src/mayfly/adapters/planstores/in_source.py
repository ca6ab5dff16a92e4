"""The plan store in the customer's own warehouse: the normal case."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mayfly.adapters.planstores import journal, tables
from mayfly.adapters.planstores.closing_plan import close_open_plan, drop_copies, left_copies
from mayfly.adapters.planstores.make import PlanMaker, PlanPlace
from mayfly.adapters.planstores.reading import allowed_positions, inspect_batches, read_batches
from mayfly.adapters.planstores.sampling import with_sample
from mayfly.domain.batch import Batch
from mayfly.domain.errors import IntegrityError, PolicyError, TransientError
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.closing import ClosingSql
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.scan import ScanFlags
from mayfly.planning.spec import (
    BatchInfo,
    CloseReport,
    OpenPlan,
    Plan,
    PlanSpec,
    PlanWorker,
    StateIdentity,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, SqlSession

LEASE_MS = 120_000
_ALL = frozenset(STATE_TABLES)
# What is remembered of an object that is gone; which rows were rejected holds for the next one.
_FORGOTTEN = ("state", "pairs")


class SourcePlanStore:
    """State and plan in schema `_mayfly` of the source.

    Args:
        source: opened anew for each group of statements.
        sql: its dialect.
        identity: of the state.
        owner: id of this installation.
        clock_ms: milliseconds since 1970.
        schema: our schema's name.
    """

    def __init__(
        self,
        source: Source,
        sql: SqlDialect,
        identity: StateIdentity,
        *,
        owner: str,
        clock_ms: Callable[[], int],
        schema: str = "_mayfly",
    ) -> None:
        self._source = source
        self._sql = sql
        self._identity = identity
        self._owner = owner
        self._clock_ms = clock_ms
        self._schema = schema
        self._names = Names(sql=sql, schema=schema, sid=identity.sid)
        self._fence: int | None = None
        self._writing = threading.RLock()

    # -- counting -------------------------------------------------------------------------------

    def count(
        self,
        spec: PlanSpec,
        worker: PlanWorker,
        *,
        inspect: Callable[[Batch], None] | None = None,
        forgotten: bool = False,
        sampled: int = 0,
    ) -> Plan:
        """See `PlanStore.count`: temporary tables only, in a session that may not write."""
        with self._source.session(write=False) as session:
            exists = self._state_exists(session)
            absent = frozenset(_FORGOTTEN if forgotten else ()) if exists else _ALL
            names = replace(self._names, temporary=True, absent=absent)
            for statement in tables.create_state(spec, self._sql, names):
                session.execute(statement)
            flags = ScanFlags()
            if exists:
                self._refuse_other_key(self._registry(session) or {}, spec)
                flags = self._flags(session, spec)
            place = PlanPlace(session=session, sql=self._sql, spec=spec, names=names)
            plan = PlanMaker(place, flags).make(worker)
            if inspect is not None:
                inspect_batches(place, plan, worker, inspect)
            return with_sample(place, plan, worker, sampled)

    # -- lease ----------------------------------------------------------------------------------

    def acquire(
        self, spec: PlanSpec, *, holder: str, now_ms: int, alive: Callable[[str], bool]
    ) -> None:
        """See `PlanStore.acquire`."""
        if not re.fullmatch(r"[A-Za-z0-9_.:/-]{1,128}", holder):
            raise IntegrityError("bad_holder", "The name of a lease holder is not an identifier.")
        with self._source.session(write=True) as session:
            if self._sql.transactional_ddl:
                session.begin()
            row = self._registered(session, spec)
            self._refuse_foreign(row)
            if row["state_keys"] is not None:
                self._refuse_other_key(row, spec)
            held = row.get("holder")
            if held and held != holder and row["lease_until"] > now_ms and alive(str(held)):
                raise _run_active(spec)
            fence = int(row.get("fence", 0))
            self._take(session, fence, holder, now_ms)
            if int(self._row(session, spec)["fence"]) != fence + 1:
                raise _run_active(spec)
            self._fence = fence + 1
            try:
                self._make_tables(session, spec, is_new=row["state_keys"] is None)
            except BaseException:
                self._fence = None
                raise
            if self._sql.transactional_ddl:
                session.commit()

    def _registered(self, session: SqlSession, spec: PlanSpec) -> dict[str, Any]:
        """The state's line in the registry, which is made where there is none."""
        tables.make_schema(session, self._sql, self._schema)
        session.execute(tables.create_registry(self._sql, self._names))
        if tables.OBJECT_ID not in self._columns(session, "states"):
            session.execute(tables.add_object_id(self._sql, self._names))
        if self._registry(session) is None or not self._columns(session, "rejected"):
            # Two syncs that begin at once would each make the view without the other.
            lock = self._sql.lock(self._names.registry)
            if lock is not None:
                session.execute(lock)
        if self._registry(session) is None:
            session.execute(tables.register(spec, self._sql, self._names, self._owner))
        return self._row(session, spec)

    def _take(self, session: SqlSession, fence: int, holder: str, now_ms: int) -> None:
        """Take the lease from whoever had the fence; of two that do so at once one gets it."""
        taken = {
            "fence": str(fence + 1),
            "holder": self._sql.literal(holder),
            "lease_until": str(now_ms + LEASE_MS),
        }
        session.execute(self._change(taken, fence=fence))

    def _make_tables(self, session: SqlSession, spec: PlanSpec, *, is_new: bool) -> None:
        """As the holder of the lease: tables of a new state, columns that an old one lacks, and the
        view of all rejections.
        """
        sql, names = self._sql, self._names
        if is_new:
            # What a state of this name left behind, whose line went first, is not this one's.
            for kind in STATE_TABLES:
                session.execute(sql.drop_table(names.of(kind)))
            for statement in tables.create_state(spec, sql, names):
                session.execute(statement)
            keys = {"state_keys": sql.literal(tables.keys_text(spec))}
            session.execute(self._change(keys, fence=self._fence))
        else:
            known = self._columns(session, f"state_{names.sid}")
            for statement in tables.missing_digests(spec, sql, names, known):
                session.execute(statement)
        if is_new or not sql.transactional_ddl or not self._columns(session, "rejected"):
            self._make_view(session)

    def release(self) -> None:
        """See `PlanStore.release`."""
        if self._fence is None:
            return
        with self._source.session(write=True) as session:
            freed = {"holder": "NULL", "lease_until": "0"}
            session.execute(self._change(freed, fence=self._fence))
        self._fence = None

    def object_id(self) -> str | None:
        """See `PlanStore.object_id`."""
        with self._source.session(write=False) as session:
            if tables.OBJECT_ID not in self._columns(session, "states"):
                return None
            return self._object_id(session)

    def forgets(self, object_id: str | None) -> int:
        """See `PlanStore.forgets`."""
        known = self.object_id()
        with self._source.session(write=False) as session:
            if not self._state_exists(session) or not _speaks_of_another(known, object_id):
                return 0
            return _number(session, f"SELECT count(*) AS n FROM {self._names.of('state')}")

    def bind(self, object_id: str | None) -> int:
        """See `PlanStore.bind`."""
        with self._fenced() as session:
            known, rows = self._object_id(session), 0
            if _speaks_of_another(known, object_id):
                rows = _number(session, f"SELECT count(*) AS n FROM {self._names.of('state')}")
                for kind in _FORGOTTEN:
                    session.execute(self._sql.delete(self._names.of(kind)))
            if object_id != known:
                value = "NULL" if object_id is None else self._sql.literal(object_id)
                session.execute(self._change({tables.OBJECT_ID: value}))
            return rows

    # -- plan -----------------------------------------------------------------------------------

    def open_plan(self) -> OpenPlan | None:
        """See `PlanStore.open_plan`."""
        with self._source.session(write=False) as session:
            if not self._state_exists(session):
                return None
            row = self._registry(session)
            if row is None or row["plan_run"] is None:
                return None
            return OpenPlan(
                run=str(row["plan_run"]),
                batches=journal.batches_of(session, self._copies(row)),
                versions=str(row["plan_versions"]),
            )

    def create(self, spec: PlanSpec, worker: PlanWorker, *, check: Callable[[Plan], None]) -> Plan:
        """See `PlanStore.create`."""

        def make(session: SqlSession, names: Names, flags: ScanFlags) -> Plan:
            place = PlanPlace(session=session, sql=self._sql, spec=spec, names=names)
            plan = PlanMaker(place, flags).make(worker)
            check(plan)
            return plan

        return self.open_with(spec, make)

    def open_with(
        self, spec: PlanSpec, make: Callable[[SqlSession, Names, ScanFlags], Plan]
    ) -> Plan:
        """Open a plan whose working copies `make` writes, in one transaction of the holder.

        What `make` raises is raised; then nothing was written, or, where an engine's transactions
        undo no table that was made in them, working copies that belong to no plan.
        """
        names = self._names
        if not self._sql.transactional_ddl:
            names = replace(names, copy=self._fence)
        with self._fenced(makes_tables=True) as session:
            row = self._registry(session) or {}
            if row.get("plan_run") is not None:
                raise IntegrityError("plan_open", "A plan is open; it must be closed first.")
            self._drop_left(session, spec)
            plan = make(session, names, self._flags(session, spec))
            for statement in tables.create_journal(spec, self._sql, names):
                session.execute(statement)
            literal = self._sql.literal
            opened = {
                "plan_run": literal(spec.run),
                "plan_versions": literal(spec.versions),
                "plan_suppression": str(spec.suppression_version),
                "plan_layout": literal(tables.layout_text(spec, names)),
            }
            session.execute(self._change(opened, fence=self._fence))
            self._require_fence(session)
            return plan

    def _drop_left(self, session: SqlSession, spec: PlanSpec) -> None:
        """Drop working copies of plans that are closed, or were never opened."""
        if self._sql.transactional_ddl:
            for statement in ClosingSql(spec, self._sql, self._names).drop_all():
                session.execute(statement)
            return
        for table in left_copies(session, self._sql, self._names):
            session.execute(self._sql.drop_table(table))

    def read(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker, *, of: int
    ) -> list[Batch]:
        """See `PlanStore.read`."""
        with self._source.session(write=False) as session:
            # Whoever took over has made tables of the same names, or dropped them.
            names = self._require_fence(session)
            return read_batches(session, self._sql, spec, names, batches, worker, of)

    def allowed(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker
    ) -> Mapping[int, pa.Array]:
        """See `PlanStore.allowed`."""
        with self._source.session(write=False) as session:
            names = self._require_fence(session)
            return allowed_positions(session, self._sql, spec, names, batches, worker)

    def exists(self) -> bool:
        """Whether there is a state, even an empty one."""
        with self._source.session(write=False) as session:
            return self._state_exists(session)

    def require_fence(self) -> None:
        """Raise `fenced` where another run took over."""
        with self._source.session(write=False) as session:
            self._require_fence(session)

    def look(self, spec: PlanSpec, see: Callable[[SqlSession, ScanFlags], Plan]) -> Plan:
        """What `see` makes of the state, which it only reads."""
        with self._source.session(write=False) as session:
            self._refuse_other_key(self._registry(session) or {}, spec)
            return see(session, self._flags(session, spec))

    def intent(self, batch: int, unsent: Outcomes | None = None) -> None:
        """See `PlanStore.intent`."""
        with self._fenced() as session:
            names = self._require_fence(session)
            if unsent is not None:
                journal.insert_codes(session, names, batch, unsent)
            session.execute(f"INSERT INTO {names.of('intents')} VALUES ({int(batch)}, NULL)")

    def submitted(self, batch: int, reference: str) -> None:
        """See `PlanStore.submitted`."""
        with self._fenced() as session:
            intents, job = self._require_fence(session).of("intents"), self._sql.literal(reference)
            session.execute(f"INSERT INTO {intents} VALUES ({int(batch)}, {job})")

    def outcome(self, batch: int, outcomes: Outcomes) -> None:
        """See `PlanStore.outcome`."""
        with self._fenced() as session:
            names = self._require_fence(session)
            journal.insert_codes(session, names, batch, outcomes)
            session.execute(f"INSERT INTO {names.of('acks')} VALUES ({int(batch)})")

    def close(self, spec: PlanSpec, *, now_ms: int) -> CloseReport:
        """See `PlanStore.close`."""
        return self.close_with(spec, lambda _: None, now_ms=now_ms)

    def close_with(
        self, spec: PlanSpec, then: Callable[[SqlSession], None], *, now_ms: int
    ) -> CloseReport:
        """Close the open plan, and do what `then` does once it is merged, in one transaction of the
        holder. Without an open plan a no-op.
        """
        with self._fenced() as session:
            row = self._registry(session) or {}
            if row.get("plan_run") is None:
                return CloseReport()
            layout = str(row["plan_layout"])
            report = close_open_plan(
                session, self._sql, self._names, spec, layout=layout, now_ms=now_ms
            )
            then(session)
        if not self._sql.transactional_ddl:
            with self._source.session(write=True) as session:
                drop_copies(session, self._sql, self._names, layout)
        return report

    def rejections(self) -> tuple[str, Sequence[Mapping[str, object]]]:
        """See `PlanStore.rejections`."""
        name, view = self._names.of("rejected"), self._names.rejected_view
        with self._source.session(write=False) as session:
            if not self._state_exists(session):
                return view, []
            found = session.table(
                f"SELECT reason, vendor, {self._sql.cast('count(*)', self._sql.bigint)} AS n "
                f"FROM {name} GROUP BY reason, vendor ORDER BY reason, vendor"
            )
        return view, found.rename_columns(["reason", "vendor", "rows"]).to_pylist()

    def forget_rejections(self) -> int:
        """See `PlanStore.forget_rejections`."""
        with self._source.session(write=True) as session:
            if not self._state_exists(session):
                return 0
            name = self._names.of("rejected")
            count = _number(session, f"SELECT count(*) AS n FROM {name}")
            session.execute(self._sql.delete(name))
            return count

    # -- helpers --------------------------------------------------------------------------------

    @contextmanager
    def _fenced(self, *, makes_tables: bool = False) -> Iterator[SqlSession]:
        """One transaction of the lease's holder; renews the lease, which also locks its row.

        One after the other in this process: of two that renew it at once an engine may refuse one.

        Args:
            makes_tables: inside; then it is no transaction where an engine has none that undo it.
        """
        if self._fence is None:
            raise IntegrityError("no_lease", "The state is not leased to this run.")
        is_whole = self._sql.transactional_ddl or not makes_tables
        with self._writing, self._source.session(write=True) as session:
            if is_whole:
                session.begin()
            until = {"lease_until": str(self._clock_ms() + LEASE_MS)}
            session.execute(self._change(until, fence=self._fence))
            self._require_fence(session)
            yield session
            if is_whole:
                session.commit()

    def _change(self, changes: Mapping[str, str], *, fence: int | None = None) -> str:
        """Statement that changes the state's line in the registry, if it has that fence."""
        where = f"sid = {self._sql.literal(self._identity.sid)}"
        if fence is not None:
            where += f" AND fence = {int(fence)}"
        return self._sql.update(self._names.registry, changes, where)

    def _require_fence(self, session: SqlSession) -> Names:
        """Names with the working copies of the plan that is open, as the holder of the lease."""
        if self._fence is None:
            raise IntegrityError("no_lease", "The state is not leased to this run.")
        sid = self._sql.literal(self._identity.sid)
        found = session.table(
            f"SELECT fence, plan_layout FROM {self._names.registry} WHERE sid = {sid}"
        ).to_pylist()
        if not found or int(found[0]["fence"]) != self._fence:
            raise IntegrityError(
                "fenced",
                "Another run took over this sync; this one changed nothing and stops.",
            )
        return self._copies(found[0])

    def _copies(self, row: Mapping[str, Any]) -> Names:
        return tables.copies_of(self._names, str(row["plan_layout"] or "{}"))

    def _make_view(self, session: SqlSession) -> None:
        states = session.table(
            f"SELECT sid, sync, target, state_keys FROM {self._names.registry} ORDER BY sid"
        ).to_pylist()
        session.execute(tables.rejected_view(self._sql, self._schema, states))

    def _state_exists(self, session: SqlSession) -> bool:
        query = self._sql.has_table(self._schema, f"state_{self._identity.sid}")
        return bool(_number(session, query))

    def _columns(self, session: SqlSession, table: str) -> list[str]:
        """Columns of a table or view of ours; none where there is none."""
        found = session.table(self._sql.columns_of(self._schema, table))
        return [str(name) for name in found.column("name").to_pylist()]

    def _object_id(self, session: SqlSession) -> str | None:
        found = session.table(
            f"SELECT {tables.OBJECT_ID} AS id FROM {self._names.registry} "
            f"WHERE sid = {self._sql.literal(self._identity.sid)}"
        ).column("id")
        return None if not len(found) or found[0].as_py() is None else str(found[0].as_py())

    def _registry(self, session: SqlSession) -> dict[str, Any] | None:
        found = session.table(
            f"SELECT owner, fence, holder, lease_until, versions, suppression, format, plan_run, "
            f"plan_versions, plan_layout, state_keys FROM {self._names.registry} "
            f"WHERE sid = {self._sql.literal(self._identity.sid)}"
        ).to_pylist()
        return found[0] if found else None

    def _row(self, session: SqlSession, spec: PlanSpec) -> dict[str, Any]:
        row = self._registry(session)
        if row is None:
            raise _run_active(spec)
        return row

    def _refuse_foreign(self, row: dict[str, Any]) -> None:
        if row["owner"] != self._owner:
            raise PolicyError(
                "foreign_state",
                "The state of this sync belongs to another installation of Mayfly.",
                hint="Take it over with `mayfly state adopt`, or use another workspace or target.",
            )
        if row["format"] != tables.FORMAT:
            raise PolicyError(
                "state_format",
                f"The state has format {row['format']}; this program knows {tables.FORMAT}.",
                hint="Use the release of Mayfly that wrote it, or a newer one.",
            )

    def _refuse_other_key(self, row: dict[str, Any], spec: PlanSpec) -> None:
        if row["state_keys"] != tables.keys_text(spec):
            raise PolicyError(
                "key_changed",
                "The model's primary key is not the one that the state of this sync was made "
                "with: names or types of its columns differ.",
                hint="Restore the key, or give the sync another id, which begins with an empty "
                "state and sends everything.",
            )

    def _flags(self, session: SqlSession, spec: PlanSpec) -> ScanFlags:
        row = self._registry(session) or {}
        rejected = _number(session, f"SELECT count(*) AS n FROM {self._names.of('rejected')}")
        known = row.get("versions")
        return ScanFlags(
            versions_changed=known is not None and known != spec.versions,
            rejected=rejected > 0,
            suppression_changed=row.get("suppression") != spec.suppression_version,
        )


def _speaks_of_another(known: str | None, object_id: str | None) -> bool:
    """Whether a state was filled at another object than the one there is now."""
    return object_id is None or known not in (None, object_id)


def _run_active(spec: PlanSpec) -> TransientError:
    return TransientError(
        "run_active",
        f"Sync {spec.identity.sync} is being run by another process.",
        hint="Wait until it has ended, or stop it, and run again.",
    )


def _number(session: SqlSession, query: str) -> int:
    found = session.table(query).column("n")
    return int(found[0].as_py()) if len(found) else -1
