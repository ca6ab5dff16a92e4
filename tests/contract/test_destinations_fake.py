"""The destination contract on the fake, in each of its manners, and the faults it can plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ContractError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import (
    Destination,
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.testing.destination_contract import DestinationContract, email_digest, finished
from mayfly.testing.fake_destination import FakeDestination, FakeWorld


class FakeContract(DestinationContract):
    """The fake's audience; each test has a world of its own."""

    asynchronous = False
    batch_marker = False

    @pytest.fixture(autouse=True)
    def _world(self) -> None:
        self.world = FakeWorld()

    def make(self) -> FakeDestination:
        """Another connection to the test's world."""
        return FakeDestination(
            self.world,
            self.context(),
            asynchronous=self.asynchronous,
            batch_marker=self.batch_marker,
            rows_max=2,
        )

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    async def contents(self) -> set[str]:
        """Digests or rows in the test's world."""
        return set(self.world.members.get("EMAIL", ()))


class TestFakeSynchronous(FakeContract):
    """The fake answering at once."""


class TestFakeMarker(FakeContract):
    """The fake with a marker per batch."""

    batch_marker = True
    resumes = False


class TestFakeAsynchronous(FakeContract):
    """The fake taking jobs."""

    asynchronous = True
    resumes = False


class TestFakeAsynchronousMarker(FakeContract):
    """The fake taking jobs that leave markers."""

    asynchronous = True
    batch_marker = True
    resumes = False


class TestFakeRows(FakeContract):
    """The fake as a table that is mirrored by key."""

    adds = Operation.WRITE

    def context(self) -> DestinationContext:
        """A mirrored table of two columns."""
        return DestinationContext(
            workspace="shop",
            sync="contract",
            mode=SyncMode.MIRROR,
            object_name="contract",
            key=("id",),
            columns={"id": pa.int64(), "EMAIL": pa.binary()},
            forms={"id": Form.CLEAR, "EMAIL": Form.DIGEST},
        )

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Key and digest."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        table = pa.table({"id": pa.array(subjects, pa.int64()), "EMAIL": digests})
        return table, self.context().forms

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        return pa.table({"id": pa.array(subjects, pa.int64())}), {"id": Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Digests or rows in the test's world."""
        return {row["EMAIL"] for row in self.world.rows.values()}


@pytest.fixture
def made() -> FakeContract:
    """A world, and batches for it."""
    contract = FakeContract()
    contract.world = FakeWorld()
    return contract


async def _fails(destination: Destination, batch: ProtectedBatch, progress: Progress) -> str:
    with pytest.raises(TransientError) as raised:
        await destination.write(batch, progress)
    return raised.value.code


def test_away_refuses_every_kind_of_call_then_ends(made: FakeContract) -> None:
    """`be_away(n)` fails n calls of any kind without effect; the next one works."""

    async def scenario() -> None:
        made.world.be_away(2)
        destination = made.make()
        with pytest.raises(TransientError):
            await destination.check()
        assert await _fails(destination, made.added([1]), Progress(rows=1)) == (
            "destination_unreachable"
        )
        assert await made.contents() == set()
        await made.write(destination, made.added([1]))
        assert await made.contents() == {made.name_of(1)}

    asyncio.run(scenario())


def test_a_cut_before_leaves_nothing_and_keeps_the_progress(made: FakeContract) -> None:
    """A request cut before is not applied; a retry with the progress sends the rest once."""

    async def scenario() -> None:
        made.world.fail_before(skip=1)
        destination, batch, progress = made.make(), made.added([1, 2, 3]), Progress(rows=3)
        await _fails(destination, batch, progress)
        assert (progress.next_row, await made.contents()) == (
            2,
            {made.name_of(1), made.name_of(2)},
        )
        answer = await destination.write(batch, progress)
        assert len(await finished(destination, answer)) == 3
        assert made.world.requests == [(Operation.ADD, 2), (Operation.ADD, 1)]

    asyncio.run(scenario())


def test_a_cut_after_leaves_rows_that_nobody_was_told_of(made: FakeContract) -> None:
    """Accept then hang up: the rows are there, the progress does not know it."""

    async def scenario() -> None:
        made.world.fail_after()
        progress = Progress(rows=1)
        code = await _fails(made.make(), made.added([1]), progress)
        assert (code, progress.next_row) == ("destination_timeout", 0)
        assert await made.contents() == {made.name_of(1)}

    asyncio.run(scenario())


def test_rejected_rows_and_values_have_a_reason_and_do_not_arrive(made: FakeContract) -> None:
    """A row is refused by its number or by a value it holds, whatever request it is in."""

    async def scenario() -> None:
        made.world.reject_rows(0, {0})
        made.world.reject_values([made.name_of(3)])
        outcomes = await made.write(made.make(), made.added([1, 2, 3, 4]))
        assert outcomes.not_accepted() == [0, 2]
        assert {reason.code for reason in outcomes.reasons.values()} == {"refused_by_fake"}
        assert await made.contents() == {made.name_of(2), made.name_of(4)}
        made.world.accept_values([made.name_of(3)])
        assert (await made.write(made.make(), made.added([3], number=5))).not_accepted() == []

    asyncio.run(scenario())


def test_a_job_survives_the_worker_that_submitted_it(made: FakeContract) -> None:
    """A new instance over the same world polls the job to its end; asking again repeats nothing."""

    async def scenario() -> None:
        made.asynchronous = True
        submitted = await made.make().write(made.added([1, 2]), Progress(rows=2))
        assert isinstance(submitted, Submitted)
        assert await made.contents() == set()
        other = made.make()
        assert isinstance(await other.poll(submitted.job), Pending)
        first, second = await other.poll(submitted.job), await other.poll(submitted.job)
        assert isinstance(first, Done)
        assert isinstance(second, Done)
        assert first.outcomes == second.outcomes
        assert made.world.requests == [(Operation.ADD, 2)]

    asyncio.run(scenario())


def test_not_applied_is_final(made: FakeContract) -> None:
    """A job nobody asked for is worked off before its marker is asked for, since a batch that was
    not applied is sent again under another number.
    """

    async def scenario() -> None:
        made.asynchronous, made.batch_marker, made.adds = True, True, Operation.INSERT
        batch = made.added([1, 2])
        submitted = await made.make().write(batch, Progress(rows=2))
        assert isinstance(submitted, Submitted)
        assert await made.make().applied(made.added([3], number=7).head) is False
        assert made.world.inserted == []
        assert await made.make().applied(batch.head) is True
        made.world.finish_jobs()
        assert len(made.world.inserted) == 2

    asyncio.run(scenario())


def test_a_job_stays_pending_as_often_as_planned(made: FakeContract) -> None:
    """With three polls to go, the fourth answers, and nothing has arrived before it."""

    async def scenario() -> None:
        destination = FakeDestination(made.world, made.context(), asynchronous=True, polls=3)
        submitted = await destination.write(made.added([1]), Progress(rows=1))
        assert isinstance(submitted, Submitted)
        for _ in range(3):
            assert isinstance(await destination.poll(submitted.job), Pending)
            assert await made.contents() == set()
        assert isinstance(await destination.poll(submitted.job), Done)
        assert await made.contents() == {made.name_of(1)}

    asyncio.run(scenario())


def test_a_lost_job_is_deferred(made: FakeContract) -> None:
    """A job that was taken and forgotten, and one never heard of, answer DEFERRED for each row."""

    async def scenario() -> None:
        made.asynchronous = True
        made.world.lose_jobs()
        destination = made.make()
        submitted = await destination.write(made.added([1, 2]), Progress(rows=2))
        unknown = Submitted(job=JobRef(batch=9, rows=2, reference="job-99"))
        for answer in (submitted, unknown):
            outcomes = await finished(destination, answer)
            assert outcomes == Outcomes.all_of(OutcomeCode.DEFERRED, 2, outcomes.reasons[0])
        assert await made.contents() == set()
        again = await made.write(destination, made.added([1, 2]))
        assert again.count(OutcomeCode.ACCEPTED) == 2

    asyncio.run(scenario())


def test_a_job_may_hold_fewer_rows_than_the_batch(made: FakeContract) -> None:
    """What is known of the others stands beside it; of both the batch's outcomes are made."""

    async def scenario() -> None:
        made.asynchronous = True
        made.world.refuse_early([made.name_of(2)])
        destination = made.make()
        answer = await destination.write(made.added([1, 2, 3]), Progress(rows=3))
        assert isinstance(answer, Submitted)
        assert answer.job.rows == 2
        outcomes = await finished(destination, answer)
        assert outcomes.codes.to_pylist() == [0, 2, 0]
        assert {reason.code for reason in outcomes.reasons.values()} == {"refused_early"}
        with pytest.raises(ContractError):
            Submitted(job=answer.job, known=Outcomes.all_of(OutcomeCode.ACCEPTED, 3))

    asyncio.run(scenario())


def test_a_job_cut_after_it_was_taken_is_worked_off(made: FakeContract) -> None:
    """The caller gets no reference, yet the rows arrive: the case that leaves a batch in doubt."""

    async def scenario() -> None:
        made.asynchronous = True
        made.world.fail_after()
        await _fails(made.make(), made.added([1]), Progress(rows=1))
        assert await made.contents() == {made.name_of(1)}

    asyncio.run(scenario())


@pytest.mark.parametrize("marker", [True, False])
def test_only_a_marker_keeps_a_repeated_insert_from_doubling(
    made: FakeContract, marker: bool
) -> None:
    """After a cut answer, repeating an insert doubles rows, except where batches leave markers."""

    async def scenario() -> None:
        made.adds = Operation.INSERT
        made.batch_marker = marker
        made.world.fail_after()
        batch = made.added([1, 2])
        await _fails(made.make(), batch, Progress(rows=2))
        assert await made.make().applied(batch.head) is (True if marker else None)
        await made.write(made.make(), batch)
        assert len(made.world.inserted) == (2 if marker else 4)

    asyncio.run(scenario())
