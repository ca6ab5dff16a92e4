"""What a plan is asked for, and what it counts. Names, types and versions only; no row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, Protocol

import pyarrow as pa

from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.consent import Spelling, Spellings
from mayfly.privacy.gate import Form
from mayfly.privacy.rules import CanonicalKind

SuppressionKind = Literal["email", "phone", "primary_key"]

GUARD_SHARE = 0.20
GUARD_ROWS = 100
"""More than such a share of a state, and at least so many rows, are a mass change."""


class RowClass(IntEnum):
    """What the scan found of one row. The numbers are stored in working copies."""

    ADDED = 1
    CHANGED = 2
    UNCHANGED = 3
    LEFT = 4
    WITHDRAWN = 5  # delivered before, consent refused now
    UNKNOWN = 6  # delivered before, consent unknown now
    WITHHELD = 7  # never delivered, no consent
    REJECTED_BEFORE = 8  # same values, mapping and rule as when it was rejected
    RESEND = 9  # same values, but rule, mapping or doubt asks for a comparison
    SUPPRESSED = 10
    OUTSIDE = 11  # outside the repertoire, and the sync says withhold
    NO_IDENTIFIER = 12
    REFRESHED = 13  # outgoing values as delivered: what the state compares by is noted anew
    DUE = 14  # same values, delivered so long ago that the destination soon forgets them


URGENT = (RowClass.WITHDRAWN, RowClass.SUPPRESSED, RowClass.WITHHELD)
"""What of such rows is still at the destination goes first. Who is withheld has something there
where an earlier removal was not answered.
"""
WANTED = (
    RowClass.ADDED,
    RowClass.CHANGED,
    RowClass.UNCHANGED,
    RowClass.RESEND,
    RowClass.REFRESHED,
    RowClass.DUE,
)


@dataclass(frozen=True, kw_only=True)
class StateIdentity:
    """Which state a sync works on. Another identity is another, empty state."""

    workspace: str
    target: str
    sync: str
    destination: str

    @property
    def sid(self) -> str:
        """Name of the state's tables: 16 hex digits."""
        parts = json.dumps([self.workspace, self.target, self.sync, self.destination])
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class KeyColumn:
    """A primary key column with the engine's own type name."""

    name: str
    sql_type: str
    arrow_type: pa.DataType


@dataclass(frozen=True, kw_only=True)
class PlanField:
    """One destination field.

    Args:
        name: at the destination.
        column: model column.
        arrow_type: of the model column.
        form: digest, pseudonym or clear.
        identifier: whether delivered pairs are kept for it.
        digest_sql: for digests: expression of 32 raw bytes over the column.
        inside_sql: for digests: true where `digest_sql` is final.
        ready_sql: for digests: never null, true where the value is one already.
        shared_sql: parts of these that are worked out once, inner ones first.
        shape: for clear fields at external destinations: anchored pattern both engines know.
        keeps_case: whether an identifier of such a shape leaves with its letters as they are.
        read_sql: expression that streams the column as `arrow_type`.
        unfit_sql: condition for values that `read_sql` does not stream exactly; empty where there
            are none.
        sql_type: of the model column, for messages.
        country_column: model column with the default country of each row's phone.
        unread: whether no value of it is read, so that nothing of it is sent: what was delivered
            counts as wanted by whoever grants. Its column is one of the key's.
        taken_out: whether nobody wants what was delivered of a field that is unread.
    """

    name: str
    column: str
    arrow_type: pa.DataType
    form: Form
    identifier: bool = False
    digest_sql: str | None = None
    inside_sql: str | None = None
    ready_sql: str | None = None
    shared_sql: tuple[str, ...] = ()
    shape: str | None = None
    keeps_case: bool = False
    read_sql: str = ""
    unfit_sql: str = ""
    sql_type: str = ""
    country_column: str | None = None
    unread: bool = False
    taken_out: bool = False


@dataclass(frozen=True, kw_only=True)
class SuppressionColumn:
    """A model column whose canonical digest is compared with the suppression list.

    Args:
        kind: of the identifier.
        version: of its canonical form; an earlier one where the list has entries made by it.
        column: of the model.
        canonical_sql, inside_sql: digest over the column, and where that is final.
        shared_sql: parts that stand in them more than once.
        country_column: each row's own country.
        sent_as: number of the field that leaves as this very digest, which is then kept once.
    """

    kind: CanonicalKind
    version: int = 1
    column: str
    canonical_sql: str
    inside_sql: str
    shared_sql: tuple[str, ...] = ()
    country_column: str | None = None
    sent_as: int | None = None


@dataclass(frozen=True, kw_only=True)
class TypedColumn:
    """A column that statements read by its type."""

    name: str
    arrow_type: pa.DataType


@dataclass(frozen=True, kw_only=True)
class ConsentTable:
    """Events of consent in a table of the same source.

    Args:
        relation: FROM item.
        subject: column that names whom an event is about.
        matches: column of the model with the same.
        purpose, state: columns.
        time: when it was said.
        valid_until: how long that counts; None where for ever.
        source: where it came from; None where that does not matter.
        spellings: what of these counts.
    """

    relation: str
    subject: TypedColumn
    matches: TypedColumn
    purpose: str
    state: str
    time: TypedColumn
    valid_until: TypedColumn | None = None
    source: str | None = None
    spellings: Spellings


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The consent filter; null is unknown, and unknown is no.

    Args:
        column: of the model; None where the table alone tells.
        values: of that column that grant.
        table: of events; where both are bound both must grant.
        withdrawn_at: column of the model that says since when a row does not grant.
        constant: whether every row may grant.
    """

    column: str | None = None
    values: tuple[Spelling, ...] = ()
    table: ConsentTable | None = None
    withdrawn_at: TypedColumn | None = None
    constant: bool = False

    @property
    def is_dated(self) -> bool:
        """Whether it is known since when a row does not grant."""
        return self.table is not None or self.withdrawn_at is not None


@dataclass(frozen=True, kw_only=True)
class PlanSpec:
    """Everything the planner's statements are made from.

    Args:
        identity: of the state.
        run: id of the run, for comments in the warehouse's query history.
        mode: sync mode.
        external: whether outgoing values are kept in the plan (digests), or joined at delivery.
        by_identifier: whether delivered pairs are kept (audiences), or keys alone (tables).
        model_sql: one SELECT.
        keys: primary key.
        fields: destination fields in the mapping's order.
        consent: None only for internal destinations.
        suppression: columns compared with the list.
        suppress_key: whether the primary key is, too.
        destination_key: model columns behind the destination's key where they are not the
            primary key; empty otherwise.
        erase_withdrawn: whether rows without consent are removed though the mode would not.
        outside: what happens to values outside the repertoire SQL may hash.
        versions: fingerprint of rules, mapping and fingerprint format.
        suppression_version: of the list.
        batch_rows: rows in a batch, at most.
        renew_before_ms: rows last delivered before that moment (milliseconds since 1970) are sent
            again; None where a destination keeps what it was given.
        now_ms: the moment (milliseconds since 1970) at which consent is asked for.
        only_withdrawals: whether nothing is planned but to take out who withdrew or is suppressed.
        guard_rows: fewer rows are never a mass change.
    """

    identity: StateIdentity
    run: str
    mode: SyncMode
    external: bool
    by_identifier: bool
    model_sql: str
    keys: tuple[KeyColumn, ...]
    fields: tuple[PlanField, ...]
    consent: Consent | None
    suppression: tuple[SuppressionColumn, ...]
    suppress_key: bool = False
    destination_key: tuple[str, ...] = ()
    erase_withdrawn: bool = False
    outside: Literal["worker", "withhold"] = "worker"
    versions: str
    suppression_version: int = 0
    batch_rows: int = 50_000
    limit: int | None = None
    full_refresh: bool = False
    renew_before_ms: int | None = None
    now_ms: int = 0
    only_withdrawals: bool = False
    guard_rows: int = GUARD_ROWS

    @property
    def add_operation(self) -> Operation:
        """The kind of change of rows that go to the destination."""
        if self.by_identifier:
            return Operation.ADD
        return Operation.INSERT if self.mode is SyncMode.APPEND else Operation.WRITE

    @property
    def removes(self) -> tuple[RowClass, ...]:
        """Classes whose earlier deliveries are taken back."""
        withdrawn = (RowClass.WITHDRAWN, RowClass.UNKNOWN, RowClass.SUPPRESSED)
        if self.mode in (SyncMode.AUDIENCE, SyncMode.MIRROR):
            return (RowClass.LEFT, *withdrawn, RowClass.NO_IDENTIFIER)
        if self.mode is SyncMode.UPSERT and self.erase_withdrawn:
            return withdrawn
        return ()


@dataclass(frozen=True, kw_only=True)
class BatchInfo:
    """One numbered batch of an open plan, with what is known of its delivery.

    `unsent` are the rows, by number, that its request did not hold; known until it is answered.
    `urgent` are removals of who withdrew or is suppressed; known to who made the plan.
    """

    number: int
    operation: Operation
    identifier: str | None
    rows: int
    intent: bool = False
    acknowledged: bool = False
    job: str | None = None
    unsent: tuple[int, ...] = ()
    urgent: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenPlan:
    """A plan that a run left open; `versions` are those of `PlanSpec` that it was made by."""

    run: str
    batches: tuple[BatchInfo, ...]
    versions: str = ""


@dataclass(frozen=True, kw_only=True)
class ValueCounts:
    """Values of one digest field in rows that are looked at to be sent.

    Args:
        field: at the destination.
        ready: were digests when they came; how they were normalised cannot be known.
        unusable: are there and give no digest: not of the field's form, or of another algorithm.
    """

    field: str
    ready: int
    unusable: int


@dataclass(frozen=True, kw_only=True)
class PlanCounts:
    """Row counts of a plan. `resend` are re-sends for another reason than new values, `due` those
    of members that the destination would soon forget.

    `granted` are rows of the model whose consent is granted.

    `outside` are rows withheld for a value that SQL may not hash, `outside_worker` values that the
    worker hashed instead. `values` counts values, of fields where there is something to say.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    withheld_consent: int = 0
    withdrawn: int = 0
    unknown: int = 0
    granted: int = 0
    left: int = 0
    suppressed: int = 0
    rejected_before: int = 0
    resend: int = 0
    due: int = 0
    outside: int = 0
    outside_worker: int = 0
    no_identifier: int = 0
    in_doubt: int = 0
    state_rows: int = 0
    duplicate_keys: int = 0
    null_keys: int = 0
    duplicate_destination_keys: int = 0
    values: tuple[ValueCounts, ...] = ()

    def to_dict(self) -> dict[str, int]:
        """The counts that `mayfly plan` prints."""
        return {name: int(getattr(self, name)) for name in _SHOWN}


_SHOWN = (
    *("added", "changed", "removed", "unchanged", "withheld_consent", "suppressed"),
    *("in_doubt", "resend", "due", "rejected_before", "no_identifier", "withdrawn"),
    *("outside", "outside_worker"),
)


@dataclass(frozen=True, kw_only=True)
class SampleCell:
    """One value of a row that goes out, masked before and after.

    Args:
        column: of the model.
        to: field of the destination.
        before, after: as far as a person may see them.
    """

    column: str
    to: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class WithdrawalTimes:
    """When rows of a batch were withdrawn.

    Args:
        positions: of the rows whose time is known (int64).
        at_us: their times, microseconds since 1970 (int64).
    """

    positions: pa.Array
    at_us: pa.Array


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A numbered plan.

    Args:
        counts: of rows.
        batches: in order of their numbers.
        row_bytes: what a row of a batch weighs once it is read, on average; 0 where that is little,
            as of digests.
        reads_at_once: how many times the usual number of rows are worth reading together, since
            each reading looks at all of the model again.
        sample: some rows that go out, where they were asked for.
        withdrawn: of urgent batches, by number, when each row was withdrawn, as far as it is known.
    """

    counts: PlanCounts
    batches: tuple[BatchInfo, ...] = ()
    row_bytes: int = 0
    reads_at_once: int = 1
    sample: tuple[tuple[SampleCell, ...], ...] = ()
    withdrawn: Mapping[int, WithdrawalTimes] = field(default_factory=dict)


class PlanWorker(Protocol):
    """What the planner asks of the worker, column by column: keys never enter SQL."""

    @property
    def suppresses(self) -> bool:
        """Whether anybody is on the suppression list."""

    def suppressed(self, kind: SuppressionKind, digests: pa.Array) -> pa.Array:
        """Bool per canonical digest; null digests are false."""

    def pseudonyms(self, field: str, digests: pa.Array) -> pa.Array:
        """Keyed digests of SHA-256 digests of canonical text; nulls kept."""

    def digests(self, field: str, values: pa.Array, countries: pa.Array | None) -> pa.Array:
        """Match hash of values outside the repertoire; null where refused."""

    def canonical(
        self, item: SuppressionColumn, values: pa.Array, countries: pa.Array | None
    ) -> pa.Array:
        """Canonical digests of values of such a column that are outside the repertoire."""


@dataclass(frozen=True, kw_only=True)
class CloseReport:
    """What closing a plan found."""

    delivered: int = 0
    removed: int = 0
    in_doubt: int = 0
    dropped: int = 0
    complete: bool = True

    @property
    def rows(self) -> int:
        """Rows of the working copy that went."""
        return self.delivered + self.removed + self.in_doubt + self.dropped
