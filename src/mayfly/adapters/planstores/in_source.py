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
from mayfly.adapters.planstores.reading import (
    allowed_positions,
    by_batch,
    inspect_batches,
    read_batches,
)
from mayfly.adapters.planstores.recognition import key_texts, keys_of_texts
from mayfly.adapters.planstores.registry import (
    StateLine,
    fenced_out,
    is_held,
    number,
    refuse_other_key,
    run_active,
    speaks_of_another,
)
from mayfly.adapters.planstores.sampling import with_sample
from mayfly.domain.batch import Batch
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.closing import (
    ClosingSql,
    delivered_total,
    doubted_removals,
    fields_delivered,
    identifiers_delivered,
    settled_removals,
)
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.scan import ScanFlags
from mayfly.planning.spec import (
    BatchInfo,
    CloseReport,
    OpenPlan,
    Plan,
    PlanCounts,
    PlanSpec,
    PlanWorker,
    StateIdentity,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, SqlSession

_ALL = frozenset(STATE_TABLES)
# What is remembered of an object that is gone; which rows were rejected holds for the next one.
_FORGOTTEN = ("state", "pairs")
TAKEN = "mf_taken"
"""Loaded removals that were sent beside an open plan."""


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
        self._clock_ms = clock_ms
        self._names = Names(sql=sql, schema=schema, sid=identity.sid)
        self._line = StateLine(sql, self._names, owner)
        self._fence: int | None = None
        self._taken: dict[int, pa.Table] = {}
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
            row = self._line.known(session)
            absent = _ALL if row is None else frozenset(_FORGOTTEN if forgotten else ())
            names = replace(self._names, temporary=True, absent=absent)
            for statement in tables.create_state(spec, self._sql, names):
                session.execute(statement)
            flags = ScanFlags()
            if row is not None:
                refuse_other_key(row, spec)
                flags = self._flags(session, row, spec)
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
            row = self._line.registered(session, spec)
            self._line.refuse_foreign(row)
            is_new = row["state_keys"] is None
            if not is_new:
                refuse_other_key(row, spec)
            if row["holder"] != holder and is_held(row, now_ms, alive):
                raise run_active(spec)
            self._end_helping(session, spec, now_ms, alive)
            fence = self._line.take(
                session, spec, fence=int(row["fence"]), holder=holder, now_ms=now_ms
            )
            self._make_tables(session, spec, fence=fence, is_new=is_new)
            if self._sql.transactional_ddl:
                session.commit()
            self._fence = fence

    def _end_helping(
        self, session: SqlSession, spec: PlanSpec, now_ms: int, alive: Callable[[str], bool]
    ) -> None:
        """Let nobody help with the open plan any more; `run_active` where somebody still does."""

    def _make_tables(
        self, session: SqlSession, spec: PlanSpec, *, fence: int, is_new: bool
    ) -> None:
        """As the holder of the lease: tables of a new state, columns that an old one lacks, and the
        view of all rejections.
        """
        sql, names, line = self._sql, self._names, self._line
        if is_new:
            # What a state of this name left behind, whose line went first, is not this one's.
            for kind in STATE_TABLES:
                session.execute(sql.drop_table(names.of(kind)))
            for statement in tables.create_state(spec, sql, names):
                session.execute(statement)
            keys = {"state_keys": sql.literal(tables.keys_text(spec))}
            session.execute(line.change(keys, fence=fence))
        else:
            known = line.columns(session, f"state_{names.sid}")
            for statement in tables.missing_digests(spec, sql, names, known):
                session.execute(statement)
        if is_new or not sql.transactional_ddl or not line.columns(session, "rejected"):
            line.make_view(session)

    def release(self) -> None:
        """See `PlanStore.release`."""
        if self._fence is None:
            return
        with self._source.session(write=True) as session:
            freed = {"holder": "NULL", "lease_until": "0"}
            session.execute(self._line.change(freed, fence=self._fence))
        self._fence = None

    def object_id(self) -> str | None:
        """See `PlanStore.object_id`."""
        with self._source.session(write=False) as session:
            return self._line.object_id(session)

    def forgets(self, object_id: str | None) -> int:
        """See `PlanStore.forgets`."""
        known = self.object_id()
        with self._source.session(write=False) as session:
            if self._line.known(session) is None or not speaks_of_another(known, object_id):
                return 0
            return number(session, f"SELECT count(*) AS n FROM {self._names.of('state')}")

    def bind(self, object_id: str | None) -> int:
        """See `PlanStore.bind`."""
        with self._fenced() as (session, _):
            known, rows = self._line.object_id(session), 0
            if speaks_of_another(known, object_id):
                rows = number(session, f"SELECT count(*) AS n FROM {self._names.of('state')}")
                for kind in _FORGOTTEN:
                    session.execute(self._sql.delete(self._names.of(kind)))
            if object_id != known:
                value = "NULL" if object_id is None else self._sql.literal(object_id)
                session.execute(self._line.change({tables.OBJECT_ID: value}))
            return rows

    def left_fields(self, spec: PlanSpec) -> Sequence[str]:
        """See `PlanStore.left_fields`."""
        with self._source.session(write=False) as session:
            if not spec.by_identifier or self._line.known(session) is None:
                return ()
            found = session.table(fields_delivered(self._names)).column("field").to_pylist()
        return sorted(set(found) - {field.name for field in spec.fields})

    def left_identifiers(self, fields: Sequence[str]) -> Mapping[str, int]:
        """See `PlanStore.left_identifiers`."""
        query = identifiers_delivered(self._names, self._sql, fields)
        with self._source.session(write=False) as session:
            return {row["field"]: int(row["n"]) for row in session.table(query).to_pylist()}

    # -- plan -----------------------------------------------------------------------------------

    def open_plan(self) -> OpenPlan | None:
        """See `PlanStore.open_plan`."""
        with self._source.session(write=False) as session:
            row = self._line.known(session)
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
        with self._fenced(makes_tables=True) as (session, row):
            if row["plan_run"] is not None:
                raise IntegrityError("plan_open", "A plan is open; it must be closed first.")
            self._drop_left(session, spec)
            plan = make(session, names, self._flags(session, row, spec))
            for statement in tables.create_journal(spec, self._sql, names):
                session.execute(statement)
            literal = self._sql.literal
            opened = {
                "plan_run": literal(spec.run),
                # After withdrawals alone nothing was compared anew.
                "plan_versions": "versions" if spec.only_withdrawals else literal(spec.versions),
                "plan_suppression": "suppression"
                if spec.only_withdrawals
                else str(spec.suppression_version),
                "plan_layout": literal(tables.layout_text(spec, names)),
            }
            if session.execute(self._line.change(opened, fence=self._fence)) != 1:
                raise fenced_out()
            return plan

    def withdrawals(
        self,
        spec: PlanSpec,
        worker: PlanWorker,
        *,
        check: Callable[[Plan], None],
        inspect: Callable[[Batch], None],
    ) -> Plan:
        """See `PlanStore.withdrawals`: planned in temporary tables."""

        def take(session: SqlSession, flags: ScanFlags) -> Plan:
            if not number(session, delivered_total(self._sql, self._names)):
                return Plan(counts=PlanCounts())
            names = replace(self._names, temporary=True)
            place = PlanPlace(session=session, sql=self._sql, spec=spec, names=names)
            plan = PlanMaker(place, flags).make(worker)
            check(plan)
            inspect_batches(place, plan, worker, inspect)
            if plan.batches:
                for statement in doubted_removals(spec, self._sql, names, names.of("drop")):
                    session.execute(statement)
                what = ["field", "digest"] if spec.by_identifier else key_texts(spec, self._sql)
                drop = names.of("drop")
                found = session.table(f"SELECT batch, {', '.join(what)} FROM {drop}")
                self._taken = by_batch(found, plan.batches)
            return plan

        return self.beside(spec, take)

    def taken_out(self, spec: PlanSpec, batch: int) -> None:
        """See `PlanStore.taken_out`."""
        rows = f"(SELECT {keys_of_texts(spec, self._sql)} FROM {TAKEN})"
        taken = TAKEN if spec.by_identifier else rows
        self.settle_removals(spec, self._taken.pop(batch), taken)

    def settle_removals(self, spec: PlanSpec, rows: pa.Table, taken: str) -> None:
        """Note that rows, which are loaded as `TAKEN`, were taken out.

        Args:
            spec: of the state.
            rows: `field` and `digest`, or the primary key.
            taken: FROM item of them, as the state has them.
        """
        with self._fenced(taken=rows) as (session, _):
            for statement in settled_removals(spec, self._sql, self._names, taken):
                session.execute(statement)

    def beside(self, spec: PlanSpec, make: Callable[[SqlSession, ScanFlags], Plan]) -> Plan:
        """What `make` does beside the open plan, in one transaction of the holder."""
        with self._fenced(makes_tables=True) as (session, row):
            return make(session, self._flags(session, row, spec))

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
            names = self._copies(self._require_fence(session))
            return read_batches(session, self._sql, spec, names, batches, worker, of)

    def allowed(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker
    ) -> Mapping[int, pa.Array]:
        """See `PlanStore.allowed`."""
        with self._source.session(write=False) as session:
            names = self._copies(self._require_fence(session))
            return allowed_positions(session, self._sql, spec, names, batches, worker)

    def exists(self) -> bool:
        """Whether there is a state, even an empty one."""
        with self._source.session(write=False) as session:
            return self._line.known(session) is not None

    def require_fence(self) -> None:
        """Raise `fenced` where another run took over."""
        with self._source.session(write=False) as session:
            self._require_fence(session)

    def look(self, spec: PlanSpec, see: Callable[[SqlSession, ScanFlags], Plan]) -> Plan:
        """What `see` makes of the state, which it only reads."""
        with self._source.session(write=False) as session:
            row = self._line.known(session)
            if row is None:
                return see(session, ScanFlags())
            refuse_other_key(row, spec)
            return see(session, self._flags(session, row, spec))

    def intent(self, batch: int, unsent: Outcomes | None = None) -> None:
        """See `PlanStore.intent`."""
        with self._fenced(batch=batch, codes=unsent) as (session, row):
            self._insert_intent(session, row, batch, unsent)

    def _insert_intent(
        self, session: SqlSession, row: Mapping[str, Any], batch: int, unsent: Outcomes | None
    ) -> None:
        names = self._copies(row)
        if unsent is not None:
            journal.insert_codes(session, names, unsent)
        session.execute(f"INSERT INTO {names.of('intents')} VALUES ({int(batch)}, NULL)")

    def keep(self, seconds: float) -> None:
        """See `PlanStore.keep`."""
        with self._fenced(idle_ms=int(seconds * 1_000)):
            pass

    def submitted(self, batch: int, reference: str) -> None:
        """See `PlanStore.submitted`."""
        with self._fenced() as (session, row):
            intents, job = self._copies(row).of("intents"), self._sql.literal(reference)
            session.execute(f"INSERT INTO {intents} VALUES ({int(batch)}, {job})")

    def outcome(self, batch: int, outcomes: Outcomes) -> None:
        """See `PlanStore.outcome`."""
        with self._fenced(batch=batch, codes=outcomes) as (session, row):
            names = self._copies(row)
            journal.insert_codes(session, names, outcomes)
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
        with self._fenced() as (session, row):
            if row["plan_run"] is None:
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
            if self._line.known(session) is None:
                return view, []
            found = session.table(
                f"SELECT reason, vendor, {self._sql.cast('count(*)', self._sql.bigint)} AS n "
                f"FROM {name} GROUP BY reason, vendor ORDER BY reason, vendor"
            )
        return view, found.rename_columns(["reason", "vendor", "rows"]).to_pylist()

    def forget_rejections(self) -> int:
        """See `PlanStore.forget_rejections`."""
        with self._source.session(write=True) as session:
            if self._line.known(session) is None:
                return 0
            name = self._names.of("rejected")
            count = number(session, f"SELECT count(*) AS n FROM {name}")
            session.execute(self._sql.delete(name))
            return count

    # -- helpers --------------------------------------------------------------------------------

    @contextmanager
    def _fenced(
        self,
        *,
        makes_tables: bool = False,
        batch: int = 0,
        codes: Outcomes | None = None,
        taken: pa.Table | None = None,
        idle_ms: int = 0,
    ) -> Iterator[tuple[SqlSession, Mapping[str, Any]]]:
        """One transaction of the lease's holder, with the state's line; renews the lease, which
        also locks that line.

        One after the other in this process: of two that renew it at once an engine may refuse one.

        Args:
            makes_tables: inside; then it is no transaction where an engine has none that undo it.
            batch: of `codes`.
            codes: loaded before it begins, for `journal.insert_codes`.
            taken: loaded before it begins, as `TAKEN`.
            idle_ms: for which nothing will be written.
        """
        if self._fence is None:
            raise IntegrityError("no_lease", "The state is not leased to this run.")
        is_whole = self._sql.transactional_ddl or not makes_tables
        with self._writing, self._source.session(write=True) as session:
            if codes is not None:
                journal.load_codes(session, batch, codes)
            if taken is not None:
                session.load(TAKEN, taken)
            self._renew(session, self._fence, begins=is_whole, idle_ms=idle_ms)
            yield session, self._require_fence(session)
            if is_whole:
                session.commit()

    def _renew(self, session: SqlSession, fence: int, *, begins: bool, idle_ms: int) -> None:
        """See `StateLine.renew`."""
        self._line.renew(session, fence, self._clock_ms, begins=begins, idle_ms=idle_ms)

    def _require_fence(self, session: SqlSession) -> Mapping[str, Any]:
        """The state's line, as the holder of its lease."""
        if self._fence is None:
            raise IntegrityError("no_lease", "The state is not leased to this run.")
        row = self._line.get(session)
        if row is None or int(row["fence"]) != self._fence:
            raise fenced_out()
        return row

    def _copies(self, row: Mapping[str, Any]) -> Names:
        return tables.copies_of(self._names, str(row["plan_layout"] or "{}"))

    def _flags(self, session: SqlSession, row: Mapping[str, Any], spec: PlanSpec) -> ScanFlags:
        rejected = number(session, f"SELECT count(*) AS n FROM {self._names.of('rejected')}")
        known = row["versions"]
        return ScanFlags(
            versions_changed=known is not None and known != spec.versions,
            rejected=rejected > 0,
            suppression_changed=row["suppression"] != spec.suppression_version,
        )
