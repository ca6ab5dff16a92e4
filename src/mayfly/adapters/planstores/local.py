"""The plan store beside a source that may not be written: read-only roles, folders of files.

State and journal are those of `SourcePlanStore`, in a database file of our own whose primary key is
one keyed digest, so that lease, fence and closing are the same statements. What differs is the
plan: it is made in temporary tables of the source, and copied out as digests and sealed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from mayfly.adapters.planstores.in_source import TAKEN, SourcePlanStore
from mayfly.adapters.planstores.local_copy import LocalCopy
from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.local_doubt import doubt_removals
from mayfly.adapters.planstores.local_held import allowed_rows
from mayfly.adapters.planstores.local_rows import SealedRows
from mayfly.adapters.planstores.make import PlanMaker, PlanPlace
from mayfly.adapters.planstores.reading import (
    assemble,
    by_batch,
    granted_positions,
    inspect_batches,
    read_batches,
    taken,
)
from mayfly.adapters.planstores.recognition import (
    SEALED_KEY,
    LocalState,
    Recognition,
    keeps_keys,
    keys_of_texts,
    takes_back_left,
)
from mayfly.adapters.planstores.sampling import with_sample
from mayfly.domain.batch import Batch, Operation, SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.closing import delivered_total
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.scan import ScanFlags
from mayfly.planning.spec import (
    BatchInfo,
    CloseReport,
    KeyColumn,
    OpenPlan,
    Plan,
    PlanCounts,
    PlanSpec,
    PlanWorker,
    StateIdentity,
    SuppressionColumn,
)
from mayfly.planning.sql.dialect import SqlDialect, literal, quote
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import Source, SqlSession

_SCHEMA = "_mayfly"
_MARK = "local_key"
_MARKS = f"{quote(_SCHEMA)}.{quote(_MARK)}"
_CARRIED = SuppressionColumn(kind="email", column="", canonical_sql="", inside_sql="")


@dataclass(frozen=True, kw_only=True)
class LocalDatabases:
    """Where local states are: one database file for each.

    Args:
        folder: of the files; made with the first.
        make: makes an empty database that only this user may read; does nothing where it is.
        open: a database file as a source.
    """

    folder: Path
    make: Callable[[Path], None]
    open: Callable[[Path], Source]

    def path(self, sid: str) -> Path:
        """The file of a state."""
        return self.folder / f"{sid}.duckdb"

    def rows(self, sid: str) -> Path:
        """The folder of its planned rows."""
        return self.folder / f"{sid}.rows"


def local_spec(spec: PlanSpec) -> PlanSpec:
    """A plan as the state's database sees it: one keyed digest is the key, nothing is canonical.

    A sealed primary key goes from plan to state the way of a canonical digest; see `SEALED_KEY`.
    """
    columns = ", ".join(f"{k.name} {k.sql_type}" for k in spec.keys)
    key = KeyColumn(name=columns, sql_type=DuckdbDialect.blob, arrow_type=pa.binary())
    carried = (_CARRIED,) if keeps_keys(spec) else ()
    return replace(spec, keys=(key,), suppression=carried, suppress_key=False)


class LocalPlanStore:
    """See `PlanStore`. What a row was is known by keyed digests, and by sealed identifiers or a
    sealed primary key where it must be taken back.

    Args:
        source, sql: of the model; only read.
        identity: of the state.
        owner: id of this installation.
        clock_ms: milliseconds since 1970.
        databases: of local states.
        key: of the workspace, for local states.
        holds: whether batches of its plans may wait sealed, and go without their run.
    """

    def __init__(
        self,
        source: Source,
        sql: SqlDialect,
        identity: StateIdentity,
        *,
        owner: str,
        clock_ms: Callable[[], int],
        databases: LocalDatabases,
        key: Callable[[], bytes],
        holds: bool = False,
    ) -> None:
        self._source = source
        self._sql = sql
        self._path = databases.path(identity.sid)
        self._make_database = databases.make
        self._database = databases.open(self._path)
        self._names = Names(sql=DuckdbDialect(), schema=_SCHEMA, sid=identity.sid)
        self._temporary = Names(
            sql=sql,
            schema=_SCHEMA,
            sid=identity.sid,
            temporary=True,
            absent=frozenset(STATE_TABLES),
        )
        self._inner = SourcePlanStore(
            self._database, DuckdbDialect(), identity, owner=owner, clock_ms=clock_ms
        )
        self._rows = SealedRows(databases.rows(identity.sid), identity.sid)
        self._taken: dict[int, pa.Table] = {}
        self._key = key
        self._holds = holds

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
        """See `PlanStore.count`."""

        def see(local: SqlSession | None, flags: ScanFlags) -> Plan:
            state = None
            if local is not None:
                state = LocalState(session=local, names=self._names, forgotten=forgotten)
            with self._source.session(write=False) as session:
                place = self._place(session, spec)
                recognition = Recognition(place, self._digests(), state)
                plan = _planned(place, worker, flags, recognition, state)
                if inspect is not None:
                    inspect_batches(place, plan, worker, inspect)
                return with_sample(place, plan, worker, sampled)

        if not (self._path.exists() and self._inner.exists()):
            return see(None, ScanFlags())
        self._marked()
        return self._inner.look(local_spec(spec), see)

    # -- lease ----------------------------------------------------------------------------------

    def acquire(
        self, spec: PlanSpec, *, holder: str, now_ms: int, alive: Callable[[str], bool]
    ) -> None:
        """See `PlanStore.acquire`."""
        self._make_database(self._path)
        self._inner.acquire(local_spec(spec), holder=holder, now_ms=now_ms, alive=alive)
        try:
            if not self._marked():
                self._mark()
        except PolicyError:
            self._inner.release()
            raise

    def release(self) -> None:
        """See `PlanStore.release`. What of its plan was not answered nobody can read any more."""
        try:
            self._inner.release()
        finally:
            self._rows.end()

    def object_id(self) -> str | None:
        """See `PlanStore.object_id`."""
        return self._inner.object_id() if self._path.exists() else None

    def forgets(self, object_id: str | None) -> int:
        """See `PlanStore.forgets`."""
        return self._inner.forgets(object_id) if self._path.exists() else 0

    def bind(self, object_id: str | None) -> int:
        """See `PlanStore.bind`."""
        return self._inner.bind(object_id)

    def left_fields(self, spec: PlanSpec) -> Sequence[str]:
        """See `PlanStore.left_fields`."""
        return self._inner.left_fields(local_spec(spec)) if self._path.exists() else ()

    def left_identifiers(self, fields: Sequence[str]) -> Mapping[str, int]:
        """See `PlanStore.left_identifiers`."""
        return self._inner.left_identifiers(fields)

    # -- plan -----------------------------------------------------------------------------------

    def open_plan(self) -> OpenPlan | None:
        """See `PlanStore.open_plan`."""
        return self._inner.open_plan() if self._path.exists() else None

    def create(self, spec: PlanSpec, worker: PlanWorker, *, check: Callable[[Plan], None]) -> Plan:
        """See `PlanStore.create`."""

        def make(local: SqlSession, names: Names, flags: ScanFlags) -> Plan:
            del names  # those of a state's own database never change
            state = LocalState(session=local, names=self._names)
            with self._source.session(write=False) as session:
                place, digests = self._place(session, spec), self._digests()
                recognition = Recognition(place, digests, state)
                plan = _planned(place, worker, flags, recognition, state)
                plan = replace(plan, reads_at_once=_READS_AT_ONCE)
                check(plan)
                copy = LocalCopy(place, digests, self._rows, state, holds=self._holds)
                copy.write(plan, recognition, left=_tells_left(spec))
                return plan

        try:
            return self._inner.open_with(local_spec(spec), make)
        except BaseException:
            # Whoever took over may have a plan of its own there.
            self._rows.end()
            raise

    def withdrawals(
        self,
        spec: PlanSpec,
        worker: PlanWorker,
        *,
        check: Callable[[Plan], None],
        inspect: Callable[[Batch], None],
    ) -> Plan:
        """See `PlanStore.withdrawals`."""

        def take(local: SqlSession, flags: ScanFlags) -> Plan:
            state = LocalState(session=local, names=self._names)
            if not state.number(delivered_total(DuckdbDialect(), self._names)):
                return Plan(counts=PlanCounts())
            with self._source.session(write=False) as session:
                place, digests = self._place(session, spec), self._digests()
                recognition = Recognition(place, digests, state)
                plan = _planned(place, worker, flags, recognition, state)
                check(plan)
                inspect_batches(place, plan, worker, inspect)
                taken = doubt_removals(place, digests, state, local_spec(spec), plan)
                self._taken = {} if taken is None else by_batch(taken, plan.batches)
                return plan

        return self._inner.beside(local_spec(spec), take)

    def taken_out(self, spec: PlanSpec, batch: int) -> None:
        """See `PlanStore.taken_out`."""
        self._inner.settle_removals(local_spec(spec), self._taken.pop(batch), TAKEN)

    def read(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker, *, of: int
    ) -> list[Batch]:
        """See `PlanStore.read`."""
        self._inner.require_fence()
        rows = _numbered(batches, [self._rows.get(b.number) for b in batches])
        removed = batches[0].operation is Operation.REMOVE
        if removed and spec.by_identifier:
            found = rows.rename_columns({"digest": "f0"})
            return assemble(spec, batches, found, worker, of)
        with self._source.session(write=False) as session:
            self._load_keys(session, spec, rows, "drop" if removed else "plan")
            if spec.external and not removed:
                granted = granted_positions(session, self._sql, spec, self._temporary, batches)
                return assemble(spec, batches, taken(spec, batches, rows, granted), worker, of)
            return read_batches(session, self._sql, spec, self._temporary, batches, worker, of)

    def allowed(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker
    ) -> Mapping[int, pa.Array]:
        """See `PlanStore.allowed`."""
        self._inner.require_fence()
        with (
            self._database.session(write=False) as local,
            self._source.session(write=False) as session,
        ):
            place, state = self._place(session, spec), LocalState(session=local, names=self._names)
            return allowed_rows(place, self._digests(), state, batches, worker)

    def intent(self, batch: int, unsent: Outcomes | None = None) -> None:
        """See `PlanStore.intent`."""
        self._inner.intent(batch, unsent)

    def keep(self, seconds: float) -> None:
        """See `PlanStore.keep`."""
        self._inner.keep(seconds)

    def submitted(self, batch: int, reference: str) -> None:
        """See `PlanStore.submitted`."""
        self._inner.submitted(batch, reference)

    def outcome(self, batch: int, outcomes: Outcomes) -> None:
        """See `PlanStore.outcome`."""
        self._inner.outcome(batch, outcomes)
        self._rows.drop(batch)

    def close(self, spec: PlanSpec, *, now_ms: int) -> CloseReport:
        """See `PlanStore.close`."""
        forget = partial(self._forget_keys, keep=keeps_keys(spec))
        report = self._inner.close_with(local_spec(spec), forget, now_ms=now_ms)
        self._rows.clear()
        return report

    def rejections(self) -> tuple[str | None, Sequence[Mapping[str, object]]]:
        """See `PlanStore.rejections`. Keys are not known here."""
        return None, self._inner.rejections()[1] if self._path.exists() else []

    def forget_rejections(self) -> int:
        """See `PlanStore.forget_rejections`."""
        return self._inner.forget_rejections() if self._path.exists() else 0

    # -- helpers --------------------------------------------------------------------------------

    def _digests(self) -> LocalDigests:
        return LocalDigests(self._key())

    def _place(self, session: SqlSession, spec: PlanSpec) -> PlanPlace:
        return PlanPlace(session=session, sql=self._sql, spec=spec, names=self._temporary)

    def _load_keys(self, session: SqlSession, spec: PlanSpec, rows: pa.Table, kind: str) -> None:
        """Put batch, position and primary key of unsealed rows where a plan's table is."""
        names = [f"t{i}" for i in range(len(spec.keys))]
        session.load("mf_rows", rows.select(["batch", "pos", *names]))
        sql = self._sql
        numbers = ", ".join(f"{sql.cast(c, sql.integer)} AS {c}" for c in ("batch", "pos"))
        query = f"SELECT {numbers}, {keys_of_texts(spec, sql)} FROM mf_rows"
        session.execute(sql.create_as(self._temporary.of(kind), query, temporary=True))

    def _forget_keys(self, local: SqlSession, *, keep: bool) -> None:
        """Of rows that no removal can name any more, since they are not at the destination."""
        state = LocalState(session=local, names=self._names)
        if state.has_keys():
            needless = f"{SEALED_KEY} IS NOT NULL AND NOT (present AND {literal(keep)})"
            local.execute(
                f"UPDATE {self._names.of('state')} SET {SEALED_KEY} = NULL WHERE {needless}"
            )

    def _mark(self) -> None:
        """Note which key the state is made with. No plan was made before."""
        with self._database.session(write=True) as session:
            session.begin()
            session.execute(f"CREATE TABLE {_MARKS} (mark varchar(16))")
            session.execute(f"INSERT INTO {_MARKS} VALUES ({literal(self._digests().mark)})")
            session.commit()

    def _marked(self) -> bool:
        """Whether it was noted; refuses a state that was made with another key."""
        with self._database.session(write=False) as session:
            found = session.table(
                "SELECT count(*) AS n FROM information_schema.tables "
                f"WHERE table_schema = {literal(_SCHEMA)} AND table_name = {literal(_MARK)}"
            )
            if not found.column("n")[0].as_py():
                return False
            marks = session.table(f"SELECT mark FROM {_MARKS}").column("mark").to_pylist()
        if marks != [self._digests().mark]:
            raise PolicyError(
                "local_state_key",
                "The local state of this sync was made with another workspace's key, by which its "
                "digests cannot be compared.",
                hint="Restore that workspace's keys from your backup, or forget the state with "
                "`mayfly state drop`: then everything is sent anew.",
            )
        return True


# Nothing helps a source that nobody writes to to find the rows of a batch: of a CSV file all of it
# is read and understood anew each time.
_READS_AT_ONCE = 4


def _planned(
    place: PlanPlace,
    worker: PlanWorker,
    flags: ScanFlags,
    recognition: Recognition,
    state: LocalState | None,
) -> Plan:
    """A plan in temporary tables, with the counts of what only the state knows."""
    recognition.fill()
    # Canonical digests of delivered rows are not kept here: once the suppression list has changed
    # every row is worked out anew, and those that are as they were are settled.
    flags = ScanFlags(
        versions_changed=flags.versions_changed or flags.suppression_changed,
        rejected=flags.rejected,
    )
    spec = place.spec
    settle = recognition.settle if spec.external else None
    add_gone = recognition.add_gone if spec.by_identifier and takes_back_left(spec) else None
    plan = PlanMaker(place, flags, settle=settle, add_gone=add_gone).make(worker)
    if state is None:
        return plan
    counts = replace(plan.counts, state_rows=state.rows("state", "WHERE present"))
    if _tells_left(spec):
        left = f"SELECT count(*) AS n FROM ({recognition.left()}) AS mf_l"
        doubt = 0 if keeps_keys(spec) else state.number(f"{left} WHERE redo")
        counts = replace(counts, left=state.number(left), in_doubt=counts.in_doubt + doubt)
    return replace(plan, counts=counts)


def _tells_left(spec: PlanSpec) -> bool:
    """Whether a row that is not in the plan's model has left: not of a part, of an append, or of
    withdrawals alone.
    """
    whole = spec.limit is None and not spec.only_withdrawals
    return whole and spec.mode is not SyncMode.APPEND


def _numbered(batches: Sequence[BatchInfo], rows: Sequence[pa.Table]) -> pa.Table:
    """Rows of several batches, with positions as whole numbers and the batch beside them."""
    parts = []
    for info, part in zip(batches, rows, strict=True):
        numbers = pa.array([info.number] * part.num_rows, pa.int64())
        position = part.schema.get_field_index("pos")
        whole = part.set_column(position, "pos", part.column("pos").cast(pa.int64()))
        parts.append(whole.append_column("batch", numbers))
    return pa.concat_tables(parts)
