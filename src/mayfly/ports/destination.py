"""The port of a destination, and the specification every connector declares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import pyarrow as pa

from mayfly.domain.batch import BatchHead, SyncMode
from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.oauth import OAuthSpec
from mayfly.privacy.gate import Form, ProtectedBatch


class Erasure(StrEnum):
    """How far a destination can forget one person."""

    BY_IDENTIFIER = "by_identifier"
    BY_KEY = "by_key"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class FieldSpec:
    """One field of a destination.

    Args:
        name: as the destination spells it.
        kind: class of personal data it holds (architecture section 8), `none` for other data.
        form: the only form it may leave in at an external destination.
        rule: (platform, field) of the match-hash rule for `Form.DIGEST`, else of the clear rule.
        identifier: whether it matches a person, so that delivered pairs are kept for it.
        shape: pattern that a value of `Form.CLEAR` must match whole; by default a device's id.
        keeps_case: whether letters of a `Form.CLEAR` identifier leave as they are; else in lower
            case.
        sample: what a row of `mayfly test` holds, where its class does not tell: `{n}` is the
            row's number, `{now}` seconds since 1970.
    """

    name: str
    kind: str
    form: Form
    rule: tuple[str, str] | None = None
    identifier: bool = False
    shape: str | None = None
    keeps_case: bool = False
    sample: str = ""


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Bounds of one call."""

    rows_max: int
    bytes_max: int


@dataclass(frozen=True, kw_only=True)
class Processor:
    """Who receives the data, and where."""

    legal_name: str
    countries: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class DestinationSpec:
    """What a connector can do; the runner and the planner rely on nothing else.

    Args:
        name: type in the project files.
        modes: supported sync modes.
        fields: the fields it declares; empty for tables and files, whose fields are the mapping's.
        request: bounds of one call.
        hosts: host names it may connect to; empty where the host comes from the configuration.
        processor: None where the customer says who answers for it (databases, files).
        erasure: what it can forget.
        confirms_erasure: whether what it accepts of `erase` is its word for that very person, and
            not for a request or a count.
        batch_marker: True where each batch leaves its number in the destination's own
            transaction, so that a repeat is a no-op and `applied` can answer.
        repeatable: True where a batch that is sent again is known by its id and not applied twice,
            though `applied` cannot tell.
        always_external: True where no configuration can make it internal.
        locates: True where the connector is `Locating`.
        concurrency: how many batches of a run may be on their way at the same time.
        shared: True where batches of one run may go from several processes: none needs what another
            of them has told the connector.
        oauth: how a person logs in, where the vendor gives refresh tokens.
        batch_rows: most rows of a batch; a sync may ask for fewer.
    """

    name: str
    modes: frozenset[SyncMode]
    fields: tuple[FieldSpec, ...]
    request: RequestLimits
    hosts: frozenset[str]
    processor: Processor | None
    erasure: Erasure
    confirms_erasure: bool = False
    batch_marker: bool = False
    repeatable: bool = False
    always_external: bool = False
    locates: bool = False
    concurrency: int = 1
    shared: bool = False
    oauth: OAuthSpec | None = None
    batch_rows: int = 50_000

    def field(self, name: str) -> FieldSpec | None:
        """The declared field of that name."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True, kw_only=True)
class JobRef:
    """An asynchronous job at the destination, stored with the batch's intent."""

    batch: int
    rows: int
    reference: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.:/+=-]{1,200}", self.reference):
            raise ContractError("bad_job_reference", "A job reference is not an identifier.")


@dataclass(frozen=True, kw_only=True)
class Done:
    """Final answer for a batch: one outcome per row of the batch handed over.

    `retry_after_seconds` is when deferred rows may be sent again, where the destination says so.
    """

    outcomes: Outcomes
    retry_after_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The destination answers later; `poll` asks.

    Args:
        job: `rows` counts what it holds.
        known: one outcome per row of the batch handed over, where some are not in the job: those
            have their final code, the others ACCEPTED. None where the job holds every row.
    """

    job: JobRef
    known: Outcomes | None = None

    def __post_init__(self) -> None:
        held = self.job.rows if self.known is None else self.known.count(OutcomeCode.ACCEPTED)
        if held != self.job.rows:
            raise ContractError("outcome_count", "A job holds another number of rows than it says.")

    def whole(self, outcomes: Outcomes) -> Outcomes:
        """Outcomes of the job's rows, with those of the rows that are not in it."""
        if self.known is None:
            return outcomes
        return self.known.replaced(self.known.rows_of(OutcomeCode.ACCEPTED), outcomes)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Not finished; ask again after so many seconds."""

    retry_after_seconds: float = 1.0


@dataclass
class Progress:
    """Outcomes of the requests of one batch so far; survives retries of the same batch.

    A connector begins at `next_row`, so that a retry repeats only what was not answered.
    """

    rows: int
    next_row: int = 0
    _codes: list[pa.Array] = field(default_factory=list)
    _reasons: dict[int, Reason] = field(default_factory=dict)

    def rows_done(self, outcomes: Outcomes) -> None:
        """Record the answers for the next rows, in order."""
        if self.next_row + len(outcomes) > self.rows:
            raise ContractError("too_many_outcomes", "More outcomes than rows in the batch.")
        for row, reason in outcomes.reasons.items():
            self._reasons[self.next_row + row] = reason
        self._codes.append(outcomes.codes)
        self.next_row += len(outcomes)

    def done(self) -> Done:
        """The batch's outcomes; every row must have been answered."""
        if self.next_row != self.rows:
            raise ContractError("missing_outcomes", "Not every row of the batch was answered.")
        codes = pa.concat_arrays([pa.array([], pa.uint8()), *self._codes])
        return Done(outcomes=Outcomes(codes=codes, reasons=dict(self._reasons)))


@dataclass(frozen=True, kw_only=True)
class DestinationContext:
    """What a connector is told about the sync it serves: names only, no rows.

    Args:
        workspace, sync: names.
        mode: the sync's mode.
        object_name: audience or table, as configured.
        key: destination fields that name a row uniquely.
        columns: destination field to Arrow type as it will arrive (digests: pa.binary()).
        forms: destination field to form.
    """

    workspace: str
    sync: str
    mode: SyncMode
    object_name: str
    key: tuple[str, ...]
    columns: Mapping[str, pa.DataType]
    forms: Mapping[str, Form]


@runtime_checkable
class Locating(Protocol):
    """A destination whose object (an audience) can be deleted there and made again.

    What a state remembers is in one such object, and in no other of the same name.
    """

    async def locate(self, known: str | None) -> str | None:
        """Id of the object the sync writes to, None where there is none yet. Writes nothing.

        Args:
            known: the id it had in the last run, None where none was recorded.

        Raises:
            ConfigError: the object of that id exists, and is not the one that is configured.
        """


@dataclass(frozen=True, kw_only=True)
class VendorField:
    """A field as the destination itself names it."""

    name: str
    is_required: bool = False


@runtime_checkable
class Describing(Protocol):
    """A destination that tells which fields it has, where they are not the same for everyone."""

    async def fields(self) -> Sequence[VendorField]:
        """Those that rows can be written to. Writes nothing.

        Raises:
            ConfigError, TransientError: as `Destination.check`.
        """


class Destination(Protocol):
    """A system that rows are written to. Async, on one loop; batches may run concurrently."""

    async def check(self) -> None:
        """Raise ConfigError or TransientError if a run could not succeed now. Writes nothing."""

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch. Raises TransientError if rows stay unanswered; then called again."""

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask for a submitted job. Outcomes are DEFERRED where the job was lost."""

    async def applied(self, head: BatchHead) -> bool | None:
        """Whether that batch is in the destination; None where it cannot tell.

        False is final: what was not applied by now never will be, since the rows are sent again.

        Raises:
            TransientError: the destination still works on what it took.
        """

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove subjects; an absent subject counts as accepted."""

    async def close(self) -> None:
        """Release connections. May be repeated."""


def unconfirmed_or_accepted(code: OutcomeCode) -> bool:
    """Whether a row with this outcome enters the state as delivered."""
    return code in (OutcomeCode.ACCEPTED, OutcomeCode.UNCONFIRMED)
