"""A small world for the protocol's property tests: one model, one destination, any plan store.

The world holds what is true (who is in the model, who consented, what the destination has) and
drives a plan store the way the runner does, with a crash at any step.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from mayfly.domain.batch import Batch, Operation, SyncMode
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.planning.spec import (
    Consent,
    KeyColumn,
    Plan,
    PlanField,
    PlanSpec,
    StateIdentity,
    SuppressionColumn,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.planstore import PlanStore
from mayfly.ports.source import Source
from mayfly.privacy.gate import Form


class CrashError(Exception):
    """The process is gone."""


def digest(text: str) -> bytes:
    """What the fake platform matches on."""
    return hashlib.sha256(text.encode()).digest()


@dataclass
class WorldWorker:
    """Implements `PlanWorker`: a suppression list of clear identifiers, nothing else."""

    suppressed_values: set[str] = field(default_factory=set)

    def suppressed(self, kind: str, digests: pa.Array) -> pa.Array:
        """Whether a digest is on the list."""
        entries = {digest(v) for v in self.suppressed_values} if kind == "email" else set()
        return pa.array([d in entries for d in digests.to_pylist()], pa.bool_())

    def pseudonyms(self, field: str, digests: pa.Array) -> pa.Array:
        """Digests as they are: the world has no key."""
        return digests

    def digests(self, field: str, values: pa.Array, countries: pa.Array | None) -> pa.Array:
        """SHA-256 of values that SQL left to the worker."""
        return pa.array([None if v is None else digest(v) for v in values.to_pylist()])

    def canonical(
        self, kind: str, column: str, values: pa.Array, countries: pa.Array | None
    ) -> pa.Array:
        """Like `digests`."""
        return self.digests(column, values, countries)


def world_spec(
    source: Source,
    sql: SqlDialect,
    *,
    run: str,
    mode: SyncMode,
    by_identifier: bool,
    suppression_version: int = 0,
    versions: str = "v1",
    batch_rows: int = 3,
) -> PlanSpec:
    """The world's one sync over table `people(id, email, city, ok)`."""
    model = f"SELECT id, email, city, ok FROM {source.relation(None, 'people')}"
    keys = tuple(
        KeyColumn(name=c.name, sql_type=c.sql_type, arrow_type=c.arrow_type)
        for c in source.describe(model)
        if c.name == "id"
    )
    email = sql.sha256("{column}")
    inside = "({column} IS NULL OR {column} NOT LIKE 'x%')"
    fields = [
        PlanField(
            name="EMAIL",
            column="email",
            arrow_type=pa.string(),
            form=Form.DIGEST if by_identifier else Form.CLEAR,
            identifier=by_identifier,
            digest_sql=f"CASE WHEN {inside} THEN {email} END",
            inside_sql=inside,
        ),
        PlanField(
            name="CITY",
            column="city",
            arrow_type=pa.string(),
            form=Form.DIGEST if by_identifier else Form.CLEAR,
            digest_sql=sql.sha256("{column}"),
            inside_sql="TRUE",
        ),
    ]
    if versions == "v1":
        # Another mapping: a plan left open by the earlier one is closed by its own layout.
        fields.reverse()
    if not by_identifier:
        fields.insert(0, PlanField(name="ID", column="id", arrow_type=pa.int64(), form=Form.CLEAR))
    return PlanSpec(
        identity=StateIdentity(
            workspace="w", target="dev", sync="people", destination="d" * 8 + mode.value
        ),
        run=run,
        mode=mode,
        external=by_identifier,
        by_identifier=by_identifier,
        model_sql=model,
        keys=keys,
        fields=tuple(fields),
        consent=Consent(column="ok", values=(True,)),
        suppression=(
            SuppressionColumn(kind="email", column="email", canonical_sql=email, inside_sql="TRUE"),
        ),
        versions=versions,
        suppression_version=suppression_version,
        batch_rows=batch_rows,
    )


@dataclass
class World:
    """Truth, and a driver of the protocol.

    Args:
        make_store: a plan store for an identity; called for each attempt, as a new process would.
        write_model: replaces the model's table by rows (id, email, city, ok).
        source, sql: of the model.
    """

    make_store: Callable[[StateIdentity], PlanStore]
    write_model: Callable[[list[tuple[int, str | None, str, bool | None]]], None]
    source: Source
    sql: SqlDialect
    mode: SyncMode
    by_identifier: bool
    seed: int
    people: dict[int, tuple[str | None, str]] = field(default_factory=dict)
    consent: dict[int, bool | None] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    members: set[bytes] = field(default_factory=set)
    table: dict[int, tuple[str | None, str]] = field(default_factory=dict)
    worker: WorldWorker = field(default_factory=WorldWorker)
    list_version: int = 0
    versions: str = "v1"
    runs: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def wanted(self) -> dict[int, tuple[str | None, str]]:
        """People who may be at the destination."""
        return {
            k: v
            for k, v in self.people.items()
            if self.consent.get(k, True) is True
            and (v[0] is None or v[0] not in self.worker.suppressed_values)
        }

    def suppress(self, email: str) -> None:
        """Put an identifier on the list."""
        self.worker.suppressed_values.add(email)
        self.list_version += 1

    def sync(self, crash_at: int | None = None) -> Plan:
        """One run, as the runner does it; raises CrashError at the given step."""
        self._store_model()
        steps = 0

        def tick() -> None:
            nonlocal steps
            steps += 1
            if crash_at is not None and steps == crash_at:
                raise CrashError

        self.runs += 1
        spec = world_spec(
            self.source,
            self.sql,
            run=f"r{self.runs}",
            mode=self.mode,
            by_identifier=self.by_identifier,
            suppression_version=self.list_version,
            versions=self.versions,
        )
        store = self.make_store(spec.identity)
        store.acquire(spec, holder=f"h{self.runs}", now_ms=self.runs * 10, alive=lambda _: False)
        tick()
        if store.open_plan() is not None:
            store.close(spec, now_ms=self.runs * 10)
        tick()
        plan = store.create(spec, self.worker, check=lambda _: None)
        tick()
        batches = list(plan.batches)
        self.random.shuffle(batches)
        for info in batches:
            [batch] = store.read(spec, [info], self.worker, of=len(plan.batches))
            store.intent(info.number)
            tick()
            outcomes = self._apply(batch, tick)
            tick()
            store.outcome(info.number, outcomes)
            tick()
        store.close(spec, now_ms=self.runs * 10)
        tick()
        store.release()
        return plan

    def _store_model(self) -> None:
        rows = [
            (k, email, city, self.consent.get(k, True)) for k, (email, city) in self.people.items()
        ]
        self.write_model(rows)

    def _apply(self, batch: Batch, tick: Callable[[], None]) -> Outcomes:
        """The destination takes a batch row by row; a crash may fall between two rows."""
        codes = [int(OutcomeCode.DEFERRED)] * batch.head.rows
        reasons: dict[int, Reason] = {}
        rows = batch.rows.to_pylist()
        for position, row in zip(batch.positions.to_pylist(), rows, strict=True):
            code = self._row(batch.head.operation, row)
            codes[position] = int(code)
            if code is OutcomeCode.REJECTED:
                reasons[position] = Reason(code="bad")
            if self.random.random() < 0.05:
                tick()
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)

    def _row(self, operation: Operation, row: dict[str, object]) -> OutcomeCode:
        if self.by_identifier:
            value = row["EMAIL"]
            if not isinstance(value, bytes):
                return OutcomeCode.REJECTED
            if operation is Operation.REMOVE:
                self.members.discard(value)
            elif value in {digest(b) for b in self.bad}:
                return OutcomeCode.REJECTED
            else:
                self.members.add(value)
            return OutcomeCode.ACCEPTED
        key = row["ID"]
        if not isinstance(key, int):
            raise AssertionError("a key is missing")
        if operation is Operation.REMOVE:
            self.table.pop(key, None)
        elif row["EMAIL"] in self.bad:
            return OutcomeCode.REJECTED
        else:
            email, city = row["EMAIL"], row["CITY"]
            self.table[key] = (None if email is None else str(email), str(city))
        return OutcomeCode.ACCEPTED
