"""Sending one batch: retries, deferral, and the search for the row that a refusal is about."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar

import pyarrow as pa
import tenacity

from mayfly.domain.batch import BatchHead, Operation
from mayfly.domain.errors import (
    ContractError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Destination, Done, Locating, Pending, Progress, Submitted
from mayfly.privacy.gate import ProtectedBatch
from mayfly.services.circuit import Circuit

ATTEMPTS_MAX = 5
AWAY_SECONDS = 60.0
SPLITS_MAX = 64
# Rows of one run, from all over a batch, that are refused alone before any is taken: the last of
# them shows that the request is wrong, and not a row.
REFUSED_ROWS_MAX = 5
POLLS_MAX = 3_600
# What is written to the plan keeps its lease for two minutes, and a job may take longer. So many
# seconds are added at a time: a wait of hours is no write each minute.
KEPT_SECONDS, KEPT_MAX_SECONDS = 600.0, 3_600.0
DEFERRALS_MAX = 3
DEFERRAL_SECONDS = 30.0

P = ParamSpec("P")
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
Before = Callable[[], Awaitable[object]]
Keep = Callable[[float], Awaitable[object]]
_Kind = tuple[Operation, str | None]
_Part = tuple[int, int]  # first row, and number of rows


class _UnprovenError(Exception):
    """The warehouse is away, and not the destination that a request was to go to."""

    def __init__(self, reason: TransientError) -> None:
        super().__init__()
        self.reason = reason


class Refused:
    """A destination's answer that a batch holds a row it does not take, without saying which."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Hands batches to a destination.

    Args:
        destination: the connector.
        sleep: how to wait; tests give one that does not.
        attempts_max, away_seconds: after so many attempts or seconds the destination is away.
        splittable: whether a refused batch may be cut in two; never for appends.
        taken: kinds of request of which the destination has taken rows: what it then refuses, it
            refuses for a row.
        alone: rows refused alone, by kind of request, while it has taken none.
        circuit: judges whether the destination is away.
        repeatable: whether a batch may be sent again after an attempt without an answer; not for
            appends where the destination keeps no marker of batches.
        rows: waits until so many rows may go, by the limits of the account.
        proven: called before each request: raises where the batch may be another's by now.
    """

    destination: Destination
    sleep: Sleep = asyncio.sleep
    attempts_max: int = ATTEMPTS_MAX
    away_seconds: float = AWAY_SECONDS
    splittable: bool = True
    repeatable: bool = True
    taken: set[_Kind] = field(default_factory=set)
    alone: dict[_Kind, int] = field(default_factory=dict)
    circuit: Circuit = field(default_factory=Circuit)
    rows: Callable[[int], Awaitable[None]] | None = None
    proven: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def send(self, batch: ProtectedBatch) -> Done | Submitted | Refused:
        """The destination's answer for every row, or for the batch as a whole.

        Raises:
            TransientError: the destination stays away.
            ContractError, ConfigError: it refused in a way no row is to blame for.
        """
        try:
            return await self._attempts(batch)
        except ContractError as error:
            if not _may_be_rows(error):
                raise
            return Refused()

    async def narrow(self, batch: ProtectedBatch, *, before: Before) -> Done:
        """The rows a refusal is about rejected, the others sent.

        Args:
            batch: as it was refused.
            before: called before each sending: many parts take longer than one lease.

        Raises:
            RequestRefusedError: the destination has taken nothing in this run, and refused
                REFUSED_ROWS_MAX rows one by one.
        """
        if not self.splittable:
            reason = Reason(code="batch_refused")
            return Done(outcomes=Outcomes.all_of(OutcomeCode.REJECTED, len(batch), reason))
        return Done(outcomes=await self._split(batch, before))

    async def _attempts(self, batch: ProtectedBatch) -> Done | Submitted:
        if not isinstance(batch, ProtectedBatch):
            raise IntegrityError("not_through_the_gate", "A batch did not pass the gate.")
        if self.rows is not None:
            await self.rows(len(batch))
        progress = Progress(rows=len(batch))
        attempts_max = self.attempts_max if self.repeatable else 1
        try:
            answer = await self._asked(attempts_max, self._write, batch, progress)
        except _UnprovenError as error:
            raise error.reason from None
        if isinstance(answer, Submitted) or _holds_taken(answer.outcomes):
            self.taken.add(_kind(batch))
        return answer

    async def _write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        for prove in self.proven:
            try:
                await prove()
            except TransientError as error:
                raise _UnprovenError(error) from None
        return await self.destination.write(batch, progress)

    async def erase(self, batch: ProtectedBatch) -> Done:
        """What came of asking the destination to forget people; a job is followed to its end.

        Raises:
            TransientError: the destination stays away.
            ContractError, ConfigError: it cannot, or refused.
        """
        if not isinstance(batch, ProtectedBatch):
            raise IntegrityError("not_through_the_gate", "A batch did not pass the gate.")
        answer = await self._asked(self.attempts_max, self.destination.erase, batch)
        return await self.wait(answer, keep=_nothing) if isinstance(answer, Submitted) else answer

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`; None where the destination has no such object at all.

        Raises:
            TransientError: the destination stays away.
            ConfigError: as `Locating.locate`.
        """
        if not isinstance(self.destination, Locating):
            return None
        return await self._asked(self.attempts_max, self.destination.locate, known)

    async def applied(self, head: BatchHead) -> bool | None:
        """See `Destination.applied`.

        Raises:
            TransientError: the destination stays away, or still works on what it took.
        """
        return await self._asked(self.attempts_max, self.destination.applied, head)

    async def probe(self) -> None:
        """Ask a destination that was away whether it is back, before anything is planned for it.

        Raises:
            TransientError: it is not.
            ConfigError: as `Destination.check`.
        """
        if self.circuit.half_open:
            await self._asked(1, self.destination.check)

    async def _asked(
        self, attempts_max: int, ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The destination's answer, after some attempts perhaps; without one it is away."""
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(attempts_max)
            | tenacity.stop_before_delay(self.away_seconds),
            wait=_wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._once, partial(ask, *args, **kwargs))
        except TransientError as error:
            self.circuit.opened(error)
            raise

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another attempt is worth it."""
        return isinstance(error, TransientError) and self.circuit.away is None

    async def _once(self, ask: Callable[[], Awaitable[T]]) -> T:
        self.circuit.require()
        try:
            answer = await ask()
        except TransientError as error:
            self.circuit.failed(error)
            raise
        except ContractError:
            self.circuit.succeeded()
            raise
        self.circuit.succeeded()
        return answer

    async def _split(self, batch: ProtectedBatch, before: Before) -> Outcomes:
        """Halve a refused batch until the refused rows stand alone, within a bound."""
        parts: list[_Part] = [(0, len(batch))]
        codes = [int(OutcomeCode.ACCEPTED)] * len(batch)
        reasons: dict[int, Reason] = {}
        splits = 0
        while parts:
            start, length = parts.pop()
            await before()
            try:
                answer = await self._attempts(batch.part(start, length))
            except ContractError as error:
                if not _may_be_rows(error):
                    raise
                splits += 1
                if length > 1 and splits <= SPLITS_MAX:
                    half = length // 2
                    parts += [(start + half, length - half), (start, half)]
                    continue
                self._blame(batch, error, rows=length)
                codes[start : start + length] = [int(OutcomeCode.REJECTED)] * length
                reasons |= dict.fromkeys(range(start, start + length), _refused(error))
                if _kind(batch) not in self.taken:
                    parts = _one_row_first(parts)
                continue
            if isinstance(answer, Submitted):
                raise ContractError("split_job", "A part of a batch cannot be a job.")
            codes[start : start + length] = answer.outcomes.codes.to_pylist()
            reasons |= {start + r: reason for r, reason in answer.outcomes.reasons.items()}
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)

    def _blame(self, batch: ProtectedBatch, error: ContractError, *, rows: int) -> None:
        """Stop where it is the request that is refused: so many rows, and none was ever taken."""
        kind = _kind(batch)
        if not isinstance(error, RequestRefusedError) or kind in self.taken:
            return
        self.alone[kind] = self.alone.get(kind, 0) + 1
        if rows > 1 or self.alone[kind] >= REFUSED_ROWS_MAX:
            raise RequestRefusedError(
                error.code,
                error.message,
                hint=f"Of this run, {self.alone[kind]} rows were sent alone, and each was refused: "
                "it is the request that is refused, and no row. Nothing was taken; see the code "
                "in the destination's documentation, and report it.",
            )

    async def again(self, batch: ProtectedBatch, answer: Done, *, before: Before) -> Outcomes:
        """Send deferred rows again, a few times and within a bound; what is left stays deferred.

        Not for appends: the marker of the batch could not tell later which of its rows are there.

        Args:
            batch: as it was sent.
            answer: to it.
            before: called before each sending.

        Raises:
            TransientError: the destination is away; the rows are in doubt with their batch.
            ContractError: it took them as a job.
        """
        waited = 0.0
        outcomes, hint = answer.outcomes, answer.retry_after_seconds
        for attempt in range(1, DEFERRALS_MAX + 1):
            rows = outcomes.rows_of(OutcomeCode.DEFERRED)
            pause = _pause(attempt) if hint is None else max(0.0, hint)
            waited += pause
            if not rows or not self.splittable or waited > DEFERRAL_SECONDS:
                break
            await self.sleep(pause)
            await before()
            picked = batch.pick(rows, attempt=attempt)
            part = await self.send(picked)
            if isinstance(part, Refused):
                part = await self.narrow(picked, before=before)
            if isinstance(part, Submitted):
                raise ContractError("split_job", "A part of a batch cannot be a job.")
            outcomes, hint = outcomes.replaced(rows, part.outcomes), part.retry_after_seconds
        return outcomes

    async def wait(self, answer: Submitted, *, keep: Keep) -> Done:
        """Follow a job to its end; outcomes of the whole batch that it is of.

        Args:
            answer: to the batch.
            keep: called before a wait that is longer than the plan's lease may last, with its
                seconds.
        """
        waited, kept = 0.0, 60.0
        for _ in range(POLLS_MAX):
            found = await self._asked(self.attempts_max, self.destination.poll, answer.job)
            match found:
                case Done():
                    return replace(found, outcomes=answer.whole(found.outcomes))
                case Pending(retry_after_seconds=seconds):
                    pause = min(seconds, 60.0)
                    if waited + pause > kept:
                        longer = min(max(seconds, KEPT_SECONDS), KEPT_MAX_SECONDS)
                        await keep(longer)
                        kept = waited + longer
                    await self.sleep(pause)
                    waited += pause
        raise TransientError("job_pending", "The destination has not finished a submitted batch.")


async def _nothing(seconds: float) -> None:
    """No plan waits while a person is erased."""
    del seconds


def _may_be_rows(error: ContractError) -> bool:
    """Whether rows of a refused batch may be to blame for it."""
    return error.code == "batch_refused" or isinstance(error, RequestRefusedError)


def _kind(batch: ProtectedBatch) -> _Kind:
    """Of its requests: they differ in nothing but their rows."""
    return batch.head.operation, batch.head.identifier


def _holds_taken(outcomes: Outcomes) -> bool:
    return outcomes.count(OutcomeCode.ACCEPTED) + outcomes.count(OutcomeCode.UNCONFIRMED) > 0


def _refused(error: ContractError) -> Reason:
    """The row's reason, with the vendor's code where that is what was refused with."""
    vendor = error.code if isinstance(error, RequestRefusedError) else ""
    return Reason(code="batch_refused", vendor_code=vendor)


def _one_row_first(parts: list[_Part]) -> list[_Part]:
    """The same rows, beginning with one from the middle of the largest part.

    Neighbours of a row that is wrong are wrong more often than rows far away.
    """
    if not parts:
        return parts
    start, length = max(parts, key=lambda part: part[1])
    middle = start + length // 2
    ends = [(start, middle - start), (middle + 1, start + length - middle - 1)]
    rest = [part for part in parts if part != (start, length)]
    return [*rest, *(part for part in ends if part[1]), (middle, 1)]


def _wait(state: tenacity.RetryCallState) -> float:
    """The moment the destination named, else exponential with jitter."""
    outcome = state.outcome
    error = outcome.exception() if outcome is not None else None
    if isinstance(error, TransientError) and error.retry_after_seconds is not None:
        return max(0.0, error.retry_after_seconds)
    return tenacity.wait_exponential_jitter(multiplier=0.5, max=20.0, jitter=0.5)(state)


def _pause(attempt: int) -> float:
    """Seconds: exponential with jitter."""
    return min(0.5 * 2.0**attempt, 20.0) + random.uniform(0.0, 0.5)  # noqa: S311


def spread(
    outcomes: Outcomes, positions: pa.Array, rows: int, withheld: dict[int, Reason]
) -> Outcomes:
    """Outcomes of the sent rows, laid out over the planned batch.

    Rows that were withheld by the gate are WITHHELD; rows that could not be read any more are
    DEFERRED, and the next plan looks at them.
    """
    if not withheld and len(positions) == rows:
        return outcomes
    codes = [int(OutcomeCode.DEFERRED)] * rows
    reasons = dict.fromkeys(range(rows), Reason(code="gone_or_not_consented"))
    for row, (position, code) in enumerate(
        zip(positions.to_pylist(), outcomes.codes.to_pylist(), strict=True)
    ):
        codes[position] = code
        reasons.pop(position, None)
        if row in outcomes.reasons:
            reasons[position] = outcomes.reasons[row]
    for position, reason in withheld.items():
        codes[position] = int(OutcomeCode.WITHHELD)
        reasons[position] = reason
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)
