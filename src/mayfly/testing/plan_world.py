"""A small world for the protocol's property tests: one model, one destination, any plan store.

The world holds what is true: who is in the model, who consented, what the destination has.
`plan_driver` runs syncs in it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa

from mayfly.domain.batch import SyncMode
from mayfly.domain.consent import Spellings
from mayfly.domain.held import HeldBatch
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.spec import (
    Consent,
    ConsentTable,
    KeyColumn,
    PlanField,
    PlanSpec,
    StateIdentity,
    SuppressionColumn,
    TypedColumn,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.ledger import OpenBatch, OpenCopy
from mayfly.ports.planstore import PlanStore
from mayfly.ports.source import Source
from mayfly.ports.spool import Spool
from mayfly.privacy.gate import Form
from mayfly.testing.fake_destination import FakeWorld
from mayfly.testing.turns import Turns

Person = tuple[str | None, str]
ConsentBy = Literal["column", "table", "both"]
ModelRow = tuple[int | None, str | None, str, bool | None]


def digest(text: str) -> bytes:
    """What the fake platform matches on."""
    return hashlib.sha256(text.encode()).digest()


@dataclass
class WorldWorker:
    """Implements `PlanWorker`: a suppression list of clear identifiers, nothing else."""

    suppressed_values: set[str] = field(default_factory=set)

    @property
    def suppresses(self) -> bool:
        """Whether anybody is on the list."""
        return bool(self.suppressed_values)

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
        self, item: SuppressionColumn, values: pa.Array, countries: pa.Array | None
    ) -> pa.Array:
        """Like `digests`."""
        return self.digests(item.column, values, countries)


SHARED = "PHONE"
"""The identifier that a mapping may lose."""
_INSIDE = "({column} IS NULL OR {column} NOT LIKE 'x%')"


def _world_fields(sql: SqlDialect, *, by_identifier: bool, salt: str) -> list[PlanField]:
    """E-mail and city, of which SQL leaves some e-mails to the worker."""
    email = sql.sha256("{column}")
    sent = sql.sha256(sql.joined([sql.literal(salt), "{column}"])) if salt else email
    return [
        PlanField(
            name="EMAIL",
            column="email",
            arrow_type=pa.string(),
            form=Form.DIGEST if by_identifier else Form.CLEAR,
            identifier=by_identifier,
            digest_sql=f"CASE WHEN {_INSIDE} THEN {sent} END",
            inside_sql=_INSIDE,
        ),
        PlanField(
            name="PHONE" if by_identifier else "CITY",
            column="city",
            arrow_type=pa.string(),
            form=Form.DIGEST if by_identifier else Form.CLEAR,
            identifier=by_identifier,
            digest_sql=sql.sha256("{column}"),
            inside_sql="TRUE",
        ),
    ]


def _world_consent(source: Source, sql: SqlDialect, consent_by: ConsentBy) -> Consent:
    """By the column `ok`, by a table of events that says the same, or by both."""
    column = None if consent_by == "table" else "ok"
    if consent_by == "column":
        return Consent(column=column, values=(True,))
    truth = "CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END"
    times = pa.timestamp("us") if sql.has_times else pa.string()
    texts = "1970-01-01 00:00:00.000000", "1970-01-01 00:00:00.001000"
    first, second = (sql.moment(t) if sql.has_times else sql.literal(t) for t in texts)
    people = source.relation(None, "people")
    # Everybody agreed once; what is true now was said later.
    events = (
        f"(SELECT id AS subject, 'ads' AS purpose, 'given' AS state, {first} AS told FROM {people} "
        f"UNION ALL SELECT id, 'ads', {truth}, {second} FROM {people})"
    )
    table = ConsentTable(
        relation=events,
        subject=TypedColumn(name="subject", arrow_type=pa.int64()),
        matches=TypedColumn(name="id", arrow_type=pa.int64()),
        purpose="purpose",
        state="state",
        time=TypedColumn(name="told", arrow_type=times),
        spellings=Spellings(purposes=("ads",), granted=("given",)),
    )
    return Consent(column=column, values=(True,) if column else (), table=table)


def world_spec(
    source: Source,
    sql: SqlDialect,
    *,
    run: str,
    mode: SyncMode,
    by_identifier: bool,
    erases: bool = False,
    suppression_version: int = 0,
    versions: str = "v1",
    salt: str = "",
    batch_rows: int = 3,
    consent_by: ConsentBy = "column",
    unmapped: bool = False,
    now_ms: int = 0,
) -> PlanSpec:
    """The world's one sync over table `people(id, email, city, ok)`.

    By identifiers the city is the second one, which many share, or `unmapped`. An e-mail that SQL
    hashes is hashed behind `salt`.
    """
    model = f"SELECT id, email, city, ok FROM {source.relation(None, 'people')}"
    keys = tuple(
        KeyColumn(name=c.name, sql_type=c.sql_type, arrow_type=c.arrow_type)
        for c in source.describe(model)
        if c.name == "id"
    )
    fields = _world_fields(sql, by_identifier=by_identifier, salt=salt)
    if versions == "v1":
        # Another mapping: a plan left open by the earlier one is closed by its own layout.
        fields.reverse()
    if unmapped:
        fields = [f for f in fields if f.name != SHARED]
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
        model_sql=sql.model(model),
        keys=keys,
        fields=tuple(fields),
        consent=_world_consent(source, sql, consent_by),
        suppression=(_suppressed(sql, fields, sent=by_identifier and not salt),),
        versions=f"{versions}.less" if unmapped else versions,
        erase_withdrawn=erases,
        suppression_version=suppression_version,
        batch_rows=batch_rows,
        now_ms=now_ms,
    )


def _suppressed(sql: SqlDialect, fields: Sequence[PlanField], *, sent: bool) -> SuppressionColumn:
    """The e-mail's canonical digest, which is the one that leaves unless that is salted."""
    if not sent:
        return SuppressionColumn(
            kind="email",
            column="email",
            canonical_sql=f"CASE WHEN {_INSIDE} THEN {sql.sha256('{column}')} END",
            inside_sql=_INSIDE,
        )
    [(position, field)] = [(i, f) for i, f in enumerate(fields) if f.name == "EMAIL"]
    return SuppressionColumn(
        kind="email",
        column="email",
        canonical_sql=field.digest_sql or "",
        inside_sql=field.inside_sql or "",
        sent_as=position,
    )


def _expired(held: HeldBatch) -> Entry:
    return Entry(
        type=EntryType.EXPIRED,
        workspace="w",
        target=held.target,
        sync=held.sync,
        run=held.run,
        batch=held.batch,
        rows=held.rows,
    )


def identifiers(name: str, people: Mapping[int, Person], salt: str = "") -> set[str]:
    """What an audience holds of some people, under EMAIL or PHONE."""
    values = [v[0] if name == "EMAIL" else v[1] for v in people.values()]
    before = salt if name == "EMAIL" else ""
    return {digest(before + v).hex() for v in values if v is not None}


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A plan store under test, with the source its model is in.

    Args:
        source, sql: of the model.
        write_model: replaces the model's table by rows (id, email, city, ok).
        make_store: a plan store for an identity and a clock; called anew for each run, as a new
            process would.
        make_spool: a spool for a clock, the same place each time; None where nothing may wait.
        stranger: the source as another role has it, to whom the engine's defaults give every new
            table and schema; None where an engine has no roles.
    """

    source: Source
    sql: SqlDialect
    write_model: Callable[[Sequence[ModelRow]], None]
    make_store: Callable[[StateIdentity, Callable[[], int]], PlanStore]
    make_spool: Callable[[Callable[[], int]], Spool] | None = None
    stranger: Callable[[], Source] | None = None


class MemoryLedger:
    """A ledger that outlives its processes."""

    def __init__(self) -> None:
        self.recorded: list[Entry] = []

    def append(self, entries: Sequence[Entry]) -> None:
        """See `Ledger.append`."""
        self.recorded += entries

    def entries(self) -> Iterator[Entry]:
        """See `Ledger.entries`."""
        return iter(self.recorded)

    def open_copies(self) -> Sequence[OpenCopy]:
        """See `Ledger.open_copies`; entries have no time here."""
        dropped = {e.run for e in self.recorded if e.type is EntryType.DROPPED}
        start = datetime.fromtimestamp(0, UTC)
        return [
            OpenCopy(sync=e.sync, target=e.target, run=e.run, created_at=start)
            for e in self.recorded
            if e.type is EntryType.CREATED and e.run not in dropped
        ]

    def open_batches(self) -> Sequence[OpenBatch]:
        """See `Ledger.open_batches`; entries have no time here."""
        found: dict[tuple[str, int | None], OpenBatch] = {}
        start = datetime.fromtimestamp(0, UTC)
        for e in self.recorded:
            if e.type is EntryType.HELD and e.batch is not None:
                held = OpenBatch(
                    sync=e.sync,
                    target=e.target,
                    run=e.run,
                    batch=e.batch,
                    rows=e.rows,
                    held_at=start,
                )
                found.setdefault((e.run, e.batch), held)
            elif e.type in (EntryType.PURGED, EntryType.EXPIRED):
                found.pop((e.run, e.batch), None)
        return list(found.values())

    def open_runs(self, sync: str, target: str) -> Sequence[str]:
        """See `Ledger.open_runs`."""
        return [c.run for c in self.open_copies() if (c.sync, c.target) == (sync, target)]

    def last_time(self) -> None:
        """Entries have no time here."""

    def size(self) -> int:
        """Number of entries."""
        return len(self.recorded)


@dataclass(kw_only=True)
class World:
    """What is true, whoever crashes.

    Attributes:
        by_identifier: whether the destination holds identifiers, as an audience always does.
        erases: whether an upsert takes back who withdrew.
        consent_by: what states consent.
        people, consent: the model, and each key's consent (granted where it is not named).
        doubles: rows of the model beside them, whose keys are others' or null.
        rejected_emails: what the destination refuses, from now on.
        history: what was wanted after each edit, so that a run can be held to its own time.
        began: each run's first moment, as a place in the history.
        now_ms: a clock that moves with each run.
        salt: what the present rule puts before an e-mail, of those that SQL hashes.
        had: what each person ever was.
        withdrew: who ever refused, or was suppressed.
        unmapped: whether `SHARED` is mapped no more; of identifiers alone.
        turns: of processes that go on at the same time.
        owner: the run that took the lease last.
        over: runs that nobody may send batches of any more.
        senders: which process sent a batch of a run.
    """

    warehouse: Warehouse
    mode: SyncMode
    by_identifier: bool = False
    erases: bool = False
    consent_by: ConsentBy = "column"
    people: dict[int, Person] = field(default_factory=dict)
    consent: dict[int, bool | None] = field(default_factory=dict)
    doubles: list[ModelRow] = field(default_factory=list)
    rejected_emails: set[str] = field(default_factory=set)
    destination: FakeWorld = field(default_factory=FakeWorld)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    worker: WorldWorker = field(default_factory=WorldWorker)
    list_version: int = 0
    versions: str = "v1"
    salt: str = ""
    runs: int = 0
    now_ms: int = 0
    history: list[dict[int, Person]] = field(default_factory=list)
    began: dict[str, int] = field(default_factory=dict)
    had: dict[int, set[Person]] = field(default_factory=dict)
    withdrew: set[int] = field(default_factory=set)
    unmapped: bool = False
    turns: Turns = field(default_factory=Turns)
    owner: str = ""
    over: set[str] = field(default_factory=set)
    senders: dict[tuple[str, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_identifier = self.by_identifier or self.mode is SyncMode.AUDIENCE
        self.edited()

    def wanted(self) -> dict[int, Person]:
        """People who may be at the destination."""
        return {
            k: v
            for k, v in self.people.items()
            if self.consent.get(k, True) is True
            and (v[0] is None or v[0] not in self.worker.suppressed_values)
            and all(self._grants(row) for row in self.doubles if row[0] == k)
        }

    def _grants(self, row: ModelRow) -> bool:
        return row[3] is True and row[1] not in self.worker.suppressed_values

    def edited(self) -> None:
        """Write the model after a change of people or consent."""
        self.history.append(self.wanted())
        for key, person in self.people.items():
            self.had.setdefault(key, set()).add(person)
        self._note_withdrawn()
        people = [(k, e, city, self.consent.get(k, True)) for k, (e, city) in self.people.items()]
        self.warehouse.write_model([*people, *self.doubles])

    def suppress(self, email: str) -> None:
        """Put an identifier on the list."""
        self.worker.suppressed_values.add(email)
        self.list_version += 1
        self.history.append(self.wanted())
        self._note_withdrawn()

    def _note_withdrawn(self) -> None:
        off = self.worker.suppressed_values
        self.withdrew |= {
            k
            for k, (email, _) in self.people.items()
            if self.consent.get(k, True) is False or email in off
        }
        self.withdrew |= {k for k, *_ in self.doubles if k is not None and k not in self.wanted()}

    def withdrawn(self, identifier: str | None) -> set[Any]:
        """What of those who ever withdrew may be taken out: keys, or values of an identifier."""
        if identifier is None:
            return set(self.withdrew)
        had = [{k: v} for k in self.withdrew for v in self.had.get(k, ())]
        salts = ("", self.salt)
        return set[str]().union(*(identifiers(identifier, h, s) for h in had for s in salts))

    def reject(self, email: str) -> None:
        """The destination refuses this e-mail from now on."""
        self.rejected_emails.add(email)
        self.destination.reject_values(self._as_sent([email]))

    def defer(self, email: str, times: int, *, retry_after_seconds: float | None = None) -> None:
        """The destination says to come again with this e-mail later, so many times."""
        self.destination.defer_values(
            self._as_sent([email]), times, retry_after_seconds=retry_after_seconds
        )

    def accept(self, email: str) -> None:
        """The destination takes this e-mail again."""
        self.rejected_emails.discard(email)
        self.destination.accept_values(self._as_sent([email]))

    def has_taken(self, email: str) -> bool:
        """Whether the destination holds, or may still be given, this e-mail."""
        held = (
            self.destination.members.get("EMAIL", set())
            if self.by_identifier
            else {
                row["EMAIL"]
                for row in (*self.destination.rows.values(), *self.destination.inserted)
            }
        )
        return not held.isdisjoint(self._as_sent([email]))

    def refusing(self) -> set[tuple[int]]:
        """Keys of the model of which a row refuses, or is suppressed."""
        people = [(k, e, c, self.consent.get(k, True)) for k, (e, c) in self.people.items()]
        off = self.worker.suppressed_values
        rows: list[ModelRow] = [*people, *self.doubles]
        return {
            (k,) for k, email, _, told in rows if k is not None and (told is False or email in off)
        }

    def lost(self) -> set[int]:
        """Keys whose rows a table holds, though nobody withdrew: they left the model, or their
        consent is not known any more.
        """
        return {
            key
            for (key,) in self.destination.rows
            if key not in self.people or self.consent.get(key, True) is None
        }

    def spec(self, run: str) -> PlanSpec:
        """The sync, compiled for one run."""
        return world_spec(
            self.warehouse.source,
            self.warehouse.sql,
            run=run,
            mode=self.mode,
            by_identifier=self.by_identifier,
            erases=self.erases,
            suppression_version=self.list_version,
            versions=self.versions,
            salt=self.salt,
            consent_by=self.consent_by,
            unmapped=self.unmapped,
            now_ms=self.now_ms,
        )

    def is_lost(self, name: str | None) -> bool:
        """Whether an identifier is mapped no more."""
        return self.unmapped and name == SHARED

    def store(self, identity: StateIdentity) -> PlanStore:
        """A plan store of a process of its own."""
        return self.warehouse.make_store(identity, lambda: self.now_ms)

    def spool(self) -> Spool | None:
        """The spool as a process of its own opens it."""
        make = self.warehouse.make_spool
        return None if make is None else make(lambda: self.now_ms)

    def sweep(self) -> None:
        """What every command does first: purge what is past its cap."""
        spool = self.spool()
        late = [h for h in spool.held() if h.purge_by_ms <= self.now_ms] if spool else []
        if spool is not None and late:
            spool.purge([h.id for h in late])
            self.ledger.append([_expired(h) for h in late])

    def check_truth(self, *, in_doubt: str | None = None) -> None:
        """What must hold after two undisturbed runs.

        Args:
            in_doubt: what was chosen for appends in doubt; None where the destination has markers.

        Raises:
            AssertionError: something is left behind, missing, or there twice.
        """
        wanted = self.wanted()
        accepted = {k: v for k, v in wanted.items() if v[0] not in self.rejected_emails}
        if self.by_identifier:
            self._check_members(wanted, accepted)
        elif self.mode is SyncMode.APPEND:
            times = Counter(row["ID"] for row in self.destination.inserted)
            assert in_doubt == "skip" or set(times) >= set(accepted), "an appended row is missing"
            assert in_doubt == "resend" or set(times.values()) <= {1}, "a row was appended twice"
        else:
            self._check_table(wanted, accepted)

    def _check_members(self, wanted: dict[int, Person], accepted: dict[int, Person]) -> None:
        for name, values in self.destination.members.items():
            # What a rejected row shares with its earlier values may stay.
            audience, lost = self.mode is SyncMode.AUDIENCE, self.is_lost(name)
            mapped = set() if lost else self._as_held(name, wanted)
            held = mapped if audience else self._ever(name)
            assert values <= held, "an identifier is left behind"
            assert lost or values >= self._as_held(name, accepted), "an identifier is missing"
        emails = set(self._as_sent(self.rejected_emails))
        assert emails.isdisjoint(self.destination.members.get("EMAIL", set()))

    def _check_table(self, wanted: dict[int, Person], accepted: dict[int, Person]) -> None:
        rows = {k: (r["EMAIL"], r["CITY"]) for (k,), r in self.destination.rows.items()}
        # A row whose new values are rejected keeps its earlier ones.
        kept = {k: v for k, v in rows.items() if k in accepted}
        assert kept == accepted, "a row is missing, or not as it should be"
        assert self.mode is SyncMode.UPSERT or set(rows) <= set(wanted), "a row is left behind"
        assert not self.erases or not set(rows) & self._withheld(), "who withdrew is left behind"

    def _withheld(self) -> set[int]:
        """Keys of the model that may not be at the destination."""
        return set(self.people) - set(self.wanted())

    def _ever(self, name: str) -> set[str]:
        """What was wanted of anybody, at any time, who has not withdrawn."""
        erased = self._withheld() if self.erases else set()
        return set[str]().union(
            *(
                self._as_held(name, {k: v for k, v in moment.items() if k not in erased})
                for moment in self.history
            )
        )

    def _as_held(self, name: str, people: Mapping[int, Person]) -> set[str]:
        return identifiers(name, people, self.salt)

    def _as_sent(self, emails: Iterable[str]) -> list[str]:
        if self.by_identifier:
            return [digest(email).hex() for email in emails]
        return list(emails)
