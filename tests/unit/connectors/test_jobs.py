"""Jobs at a destination: when they are asked for, and which rows are in them."""

from __future__ import annotations

import asyncio

import pytest

from mayfly.connectors.jobs import (
    AT_ONCE,
    Pace,
    Questions,
    lost_rows,
    no_such_job,
    submitted,
    worked_off,
)
from mayfly.domain.batch import Operation
from mayfly.domain.errors import TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Done, JobRef, Pending
from scripted_http import batch, digest

JOB = JobRef(batch=0, rows=2, reference="job-1")
DONE = Outcomes.all_of(OutcomeCode.ACCEPTED, 2)


def test_a_job_is_asked_for_when_it_is_time_and_not_before() -> None:
    """The second time as much later as the pace says; each job by itself."""
    clock, asked = [1_030.0], []

    async def status() -> Outcomes | None:
        asked.append(clock[0])
        return DONE if len(asked) == 3 else None

    questions = Questions(Pace(first_seconds=60.0, least_seconds=40.0), now=lambda: clock[0])
    pauses = []
    for moment in (1_030.0, 1_060.0, 1_061.0, 1_100.0):
        clock[0] = moment
        polled = asyncio.run(questions.poll(JOB, 1_000.0, status))
        assert isinstance(polled, Pending)
        pauses.append(polled.retry_after_seconds)
    assert (pauses, asked) == ([30.0, 40.0, 39.0, 40.0], [1_060.0, 1_100.0])
    other = JobRef(batch=1, rows=2, reference="job-2")
    assert asyncio.run(questions.poll(other, 1_000.0, status)) == Done(outcomes=DONE)


def test_a_question_that_failed_is_asked_again_at_once() -> None:
    """And a job that was not asked for by this process, too: only when it was taken counts."""
    moments = [2_000.0]

    async def away() -> Outcomes | None:
        raise TransientError("destination_busy", "later")

    async def done() -> Outcomes | None:
        return DONE

    questions = Questions(Pace(first_seconds=60.0, least_seconds=60.0), now=lambda: moments[0])
    with pytest.raises(TransientError):
        asyncio.run(questions.poll(JOB, 1_000.0, away))
    assert isinstance(asyncio.run(questions.poll(JOB, 1_000.0, done)), Done)
    assert isinstance(asyncio.run(Questions(AT_ONCE).poll(JOB, 1_000.0, done)), Done)


def test_a_job_holds_the_rows_that_were_not_refused() -> None:
    """Without any that was, nothing is known of its rows."""
    rows = batch(Operation.ADD, "EMAIL", [digest(1), None])
    assert submitted(rows, "job-1", {}, rows=2).known is None
    reason = Reason(code="no_identifier")
    part = submitted(rows, "job-1", {1: reason}, rows=1)
    assert part.job == JobRef(batch=rows.head.number, rows=1, reference="job-1")
    assert part.known is not None
    assert part.known.codes.to_pylist() == [OutcomeCode.ACCEPTED, OutcomeCode.REJECTED]
    assert part.known.reasons == {1: reason}
    assert no_such_job("Acme", JOB).code == "no_such_job"


def test_who_counts_and_names_nobody_leaves_all_in_doubt_where_one_is_missing() -> None:
    """And where it never ends; what it has lost goes again."""
    told = [
        worked_off(2, all_counted=True),
        worked_off(2, all_counted=False),
        worked_off(2, all_counted=True, is_late=True),
        lost_rows(2),
    ]
    assert [found.codes.to_pylist() for found in told] == [[0, 0], [1, 1], [1, 1], [3, 3]]
    codes = [{reason.code for reason in found.reasons.values()} for found in told]
    assert codes == [set(), {"invalid_count_only"}, {"processing_unknown"}, {"job_lost"}]
