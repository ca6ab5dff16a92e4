"""The contract suite of the destination port: derive a test class from `DestinationContract`.

```python
class TestAcmeMail(DestinationContract):
    def make(self) -> Destination: ...
    def protect(self, head, rows, forms) -> ProtectedBatch: ...
    async def contents(self) -> set[str]: ...
```

Subjects are small numbers; `rows` says how they look in this destination. The defaults are those
of an audience of e-mail digests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import pyarrow as pa

from mayfly.domain.batch import Batch, BatchHead, Operation, SyncMode
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import (
    Destination,
    DestinationContext,
    Done,
    Pending,
    Progress,
    Submitted,
)
from mayfly.privacy.gate import Form, ProtectedBatch

T = TypeVar("T")
POLLS_MAX = 100


def email_digest(subject: int) -> bytes:
    """SHA-256 of a subject's address at a reserved domain."""
    return hashlib.sha256(f"person{subject}@example.com".encode()).digest()


async def finished(destination: Destination, answer: Done | Submitted) -> Outcomes:
    """The outcomes of an answer, polled for where the destination answers later."""
    if isinstance(answer, Done):
        return answer.outcomes
    for _ in range(POLLS_MAX):
        polled = await destination.poll(answer.job)
        if not isinstance(polled, Pending):
            return answer.whole(polled.outcomes)
    raise AssertionError("the job was never finished")


class DestinationContract:
    """What every destination keeps, whoever wrote it. Not collected under its own name.

    Attributes:
        adds: operation that brings rows in.
        removes: operation that takes rows out, None where the destination has none.
        resumes: whether a batch is cut into requests that are answered one by one; False where
            a batch is all or nothing or a job.
    """

    adds: Operation = Operation.ADD
    removes: Operation | None = Operation.REMOVE
    resumes: bool = True

    def make(self) -> Destination:
        """A new connection to this test's destination. Called inside the running loop."""
        raise NotImplementedError

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """The rows as a batch that passed the gate; no other code can make one."""
        raise NotImplementedError

    async def contents(self) -> set[str]:
        """What is in the destination, as `name_of` spells it."""
        raise NotImplementedError

    def name_of(self, subject: int) -> str:
        """How `contents` spells a subject."""
        return email_digest(subject).hex()

    def context(self) -> DestinationContext:
        """The sync that is served."""
        return DestinationContext(
            workspace="shop",
            sync="contract",
            mode=SyncMode.AUDIENCE,
            object_name="Contract",
            key=(),
            columns={"EMAIL": pa.binary()},
            forms={"EMAIL": Form.DIGEST},
        )

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Rows that bring subjects in, and the forms of their columns."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        return pa.table({"EMAIL": digests}), {"EMAIL": Form.DIGEST}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """Rows that take subjects out, their forms, and the one identifier field if there is."""
        table, forms = self.rows(subjects)
        return table, forms, "EMAIL"

    # -- making batches ------------------------------------------------------------------------

    def added(
        self, subjects: Sequence[int], number: int = 0, of: int | None = None
    ) -> ProtectedBatch:
        """A batch that brings subjects in: the last of its run, or one of so many."""
        table, forms = self.rows(subjects)
        head = self._head(self.adds, number, len(subjects), None)
        return self.protect(head if of is None else replace(head, of=of), table, forms)

    def removed(self, subjects: Sequence[int], number: int = 1) -> ProtectedBatch:
        """A batch that takes subjects out."""
        table, forms, identifier = self.removal(subjects)
        assert self.removes is not None
        head = self._head(self.removes, number, len(subjects), identifier)
        return self.protect(head, table, forms)

    @staticmethod
    def _head(operation: Operation, number: int, rows: int, identifier: str | None) -> BatchHead:
        return BatchHead(
            sync="contract",
            run="run-1",
            number=number,
            of=number + 1,
            operation=operation,
            rows=rows,
            identifier=identifier,
        )

    @staticmethod
    def run(scenario: Coroutine[Any, Any, T]) -> T:
        """Run one scenario on a loop of its own."""
        return asyncio.run(scenario)

    @staticmethod
    async def write(destination: Destination, batch: ProtectedBatch) -> Outcomes:
        """Write a whole batch, to its end."""
        answer = await destination.write(batch, Progress(rows=len(batch)))
        return await finished(destination, answer)

    # -- the facts -----------------------------------------------------------------------------

    def test_rows_written_are_there_with_one_code_each(self) -> None:
        """A batch of n rows gets n codes, and what is accepted is in the destination."""

        async def scenario() -> None:
            destination = self.make()
            outcomes = await self.write(destination, self.added([1, 2, 3]))
            assert outcomes.codes.type == pa.uint8()
            assert outcomes.codes.to_pylist() == [int(OutcomeCode.ACCEPTED)] * 3
            assert await self.contents() == {self.name_of(n) for n in (1, 2, 3)}
            await destination.close()

        self.run(scenario())

    def test_an_empty_batch_is_done(self) -> None:
        """A batch all of whose rows were withheld is answered with no codes and changes nothing."""

        async def scenario() -> None:
            destination = self.make()
            assert len(await self.write(destination, self.added([]))) == 0
            assert await self.contents() == set()
            await destination.close()

        self.run(scenario())

    def test_writing_twice_is_writing_once(self) -> None:
        """The same batch again, over a new connection, leaves the contents as they were."""

        async def scenario() -> None:
            first = self.make()
            await self.write(first, self.added([1, 2]))
            once = await self.contents()
            await first.close()
            second = self.make()
            outcomes = await self.write(second, self.added([1, 2]))
            assert outcomes.count(OutcomeCode.ACCEPTED) == 2
            assert await self.contents() == once
            assert len(once) == 2
            await second.close()

        self.run(scenario())

    def test_batches_may_run_at_once_in_any_order(self) -> None:
        """Several batches written at the same time, the last first, all arrive."""

        async def scenario() -> None:
            destination = self.make()
            batches = [self.added([10 * n, 10 * n + 1], number=n - 1, of=3) for n in (3, 2, 1)]
            await asyncio.gather(*(self.write(destination, batch) for batch in batches))
            expected = {self.name_of(n) for n in (10, 11, 20, 21, 30, 31)}
            assert await self.contents() == expected
            await destination.close()

        self.run(scenario())

    def test_a_removal_takes_out_what_it_names_and_nothing_else(self) -> None:
        """Removed subjects are gone, the others stay, and an absent one counts as accepted."""
        if self.removes is None:
            return

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1, 2, 3]))
            outcomes = await self.write(destination, self.removed([2, 99]))
            assert outcomes.codes.to_pylist() == [int(OutcomeCode.ACCEPTED)] * 2
            assert await self.contents() == {self.name_of(1), self.name_of(3)}
            await destination.close()

        self.run(scenario())

    def test_erasing_forgets_subjects(self) -> None:
        """Erased subjects are gone, present or not, and every row is answered."""
        if self.removes is None:
            return

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1, 2]))
            answer = await destination.erase(self.removed([1, 77]))
            outcomes = await finished(destination, answer)
            assert outcomes.count(OutcomeCode.ACCEPTED) == 2
            assert await self.contents() == {self.name_of(2)}
            await destination.close()

        self.run(scenario())

    def test_a_retry_sends_only_what_was_not_answered(self) -> None:
        """A write that is given progress begins at its next row and answers for all rows."""
        if not self.resumes:
            return

        async def scenario() -> None:
            destination = self.make()
            progress = Progress(rows=4)
            progress.rows_done(Outcomes.all_of(OutcomeCode.UNCONFIRMED, 2))
            answer = await destination.write(self.added([1, 2, 3, 4]), progress)
            outcomes = await finished(destination, answer)
            assert outcomes.codes.to_pylist() == [1, 1, 0, 0]
            assert await self.contents() == {self.name_of(3), self.name_of(4)}
            await destination.close()

        self.run(scenario())

    def test_check_writes_nothing(self) -> None:
        """`check` leaves the destination as it was, empty or not."""

        async def scenario() -> None:
            destination = self.make()
            await destination.check()
            assert await self.contents() == set()
            await self.write(destination, self.added([1]))
            await destination.check()
            assert await self.contents() == {self.name_of(1)}
            await destination.close()

        self.run(scenario())

    def test_closing_may_be_repeated(self) -> None:
        """`close` twice, used or not, raises nothing."""

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1]))
            await destination.close()
            await destination.close()
            unused = self.make()
            await unused.close()
            await unused.close()

        self.run(scenario())

    def test_applied_is_known_or_unknown_never_wrong(self) -> None:
        """`applied` is None, or False before and True after the batch was written."""

        async def scenario() -> None:
            destination = self.make()
            batch = self.added([1])
            before = await destination.applied(batch.head)
            await self.write(destination, batch)
            after = await destination.applied(batch.head)
            assert (before, after) in {(None, None), (False, True)}
            await destination.close()

        self.run(scenario())

    def test_rows_that_did_not_pass_the_gate_are_refused(self) -> None:
        """A plain batch is refused at run time by write and erase, and nothing arrives."""

        async def scenario() -> None:
            destination = self.make()
            passed = self.added([1])
            plain = cast(
                "ProtectedBatch",
                Batch(head=passed.head, rows=passed.rows, positions=pa.array([0], pa.int32())),
            )
            for call in (destination.write(plain, Progress(rows=1)), destination.erase(plain)):
                refusal = ""
                try:
                    await call
                except IntegrityError as error:
                    refusal = error.code
                assert refusal == "not_through_the_gate"
            assert await self.contents() == set()
            await destination.close()

        self.run(scenario())
