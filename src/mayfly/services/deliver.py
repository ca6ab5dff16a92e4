"""Sending one batch: retries, deferral, and the search for the row that a refusal is about."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pyarrow as pa
import tenacity

from mayfly.domain.errors import (
    ContractError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Destination, Done, Locating, Pending, Progress, Submitted
from mayfly.privacy.gate import ProtectedBatch

ATTEMPTS_MAX = 5
AWAY_SECONDS = 60.0
SPLITS_MAX = 64
# Refusals without a row taken, after which the request is what is wrong. More than it takes to
# come down from the largest batch to one row, and to its neighbour.
BLIND_SPLITS_MAX = 20
POLLS_MAX = 3_600
DEFERRALS_MAX = 3
DEFERRAL_SECONDS = 30.0

Sleep = Callable[[float], Awaitable[None]]
Before = Callable[[], Awaitable[object]]


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
        repeatable: whether a batch may be sent again after an attempt without an answer; not for
            appends where the destination keeps no marker of batches.
    """

    destination: Destination
    sleep: Sleep = asyncio.sleep
    attempts_max: int = ATTEMPTS_MAX
    away_seconds: float = AWAY_SECONDS
    splittable: bool = True
    repeatable: bool = True

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
            RequestRefusedError: no part was taken; no row is rejected for it.
        """
        if not self.splittable:
            reason = Reason(code="batch_refused")
            return Done(outcomes=Outcomes.all_of(OutcomeCode.REJECTED, len(batch), reason))
        return Done(outcomes=await self._split(batch, before))

    async def _attempts(self, batch: ProtectedBatch) -> Done | Submitted:
        if not isinstance(batch, ProtectedBatch):
            raise IntegrityError("not_through_the_gate", "A batch did not pass the gate.")
        progress = Progress(rows=len(batch))
        retrying = self._retrying(self.attempts_max if self.repeatable else 1)
        return await retrying(self.destination.write, batch, progress)

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`; None where the destination has no such object at all.

        Raises:
            TransientError: the destination stays away.
            ConfigError: as `Locating.locate`.
        """
        if not isinstance(self.destination, Locating):
            return None
        return await self._retrying(self.attempts_max)(self.destination.locate, known)

    def _retrying(self, attempts_max: int) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(attempts_max)
            | tenacity.stop_before_delay(self.away_seconds),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=self.sleep,
            reraise=True,
        )

    async def _split(self, batch: ProtectedBatch, before: Before) -> Outcomes:
        """Halve a refused batch until the refused rows stand alone, within a bound."""
        parts: list[tuple[int, int]] = [(0, len(batch))]
        codes = [int(OutcomeCode.ACCEPTED)] * len(batch)
        reasons: dict[int, Reason] = {}
        splits, taken = 0, False
        while parts:
            start, length = parts.pop()
            part = batch.part(start, length)
            await before()
            try:
                answer = await self._attempts(part)
            except ContractError as error:
                if not _may_be_rows(error):
                    raise
                splits += 1
                blind = splits >= BLIND_SPLITS_MAX or (length == 1 and not parts)
                if blind and not taken and isinstance(error, RequestRefusedError):
                    raise
                if length > 1 and splits <= SPLITS_MAX:
                    half = length // 2
                    parts += [(start + half, length - half), (start, half)]
                else:
                    for row in range(start, start + length):
                        codes[row] = int(OutcomeCode.REJECTED)
                        reasons[row] = Reason(code="batch_refused")
                continue
            if isinstance(answer, Submitted):
                raise ContractError("split_job", "A part of a batch cannot be a job.")
            taken = True
            codes[start : start + length] = answer.outcomes.codes.to_pylist()
            reasons |= {start + r: reason for r, reason in answer.outcomes.reasons.items()}
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)

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

    async def wait(self, answer: Submitted) -> Done:
        """Follow a job to its end."""
        for _ in range(POLLS_MAX):
            found = await self.destination.poll(answer.job)
            match found:
                case Done():
                    return found
                case Pending(retry_after_seconds=seconds):
                    await self.sleep(min(seconds, 60.0))
        raise TransientError("job_pending", "The destination has not finished a submitted batch.")


def _may_be_rows(error: ContractError) -> bool:
    """Whether rows of a refused batch may be to blame for it."""
    return error.code == "batch_refused" or isinstance(error, RequestRefusedError)


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
