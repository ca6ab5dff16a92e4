"""The destination contract over HTTP against the sandbox: what the suites of vendors share."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from types import ModuleType
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import Destination, DestinationContext, Progress, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, email_digest, finished

REFUSING = [
    ("503", TransientError, "destination_busy"),
    ("429", TransientError, "rate_limited"),
    ("garbage", TransientError, "garbage_answer"),
    ("redirect", ContractError, "redirected"),
    ("401", ConfigError, "reauthorise"),
]
"""Faults of a request with what each is told by."""
RESET = ("reset", TransientError, "destination_unreachable")


class SealedContract(DestinationContract):
    """Batches that the gate has sealed.

    Attributes:
        path: of the requests that carry people.
        token: that the connector is given; `token-1` is the right one.
        batch_rows: rows of a batch where a hundred thousand are sent.
    """

    path: ClassVar[str]
    token = "token-1"
    batch_rows: ClassVar[int]
    sandbox: SandboxServer

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def begin(self, sandbox: SandboxServer) -> None:
        """With no fault and no request."""
        sandbox.app.faults.planned.clear()
        sandbox.app.recorder.clear()
        self.sandbox = sandbox

    async def written(self, batch: ProtectedBatch) -> Outcomes:
        """A batch's outcomes, over a connection of its own."""
        destination = self.make()
        try:
            return await self.write(destination, batch)
        finally:
            await destination.close()

    async def a_hundred_thousand(self) -> None:
        """All of them arrive, and not one goes missing."""
        destination = self.make()
        for number in range(100_000 // self.batch_rows):
            subjects = range(number * self.batch_rows, (number + 1) * self.batch_rows)
            outcomes = await self.write(destination, self.added(subjects, number=number))
            assert outcomes.count(OutcomeCode.ACCEPTED) == self.batch_rows
        assert len(await self.contents()) == 100_000
        await destination.close()

    async def told_apart(
        self, kind: str, error: type[EngineError], code: str, **more: Any
    ) -> EngineError:
        """A fault's error, after which nothing is recorded and the same batch arrives once."""
        batch, progress = self.added([1, 2, 3]), Progress(rows=3)
        self.sandbox.app.faults.add({"path": self.path, "kind": kind, **more})
        destination = self.make()
        with pytest.raises(error) as raised:
            await destination.write(batch, progress)
        assert raised.value.code == code
        assert progress.next_row == 0
        await destination.write(batch, progress)
        assert await self.contents() == {self.name_of(n) for n in (1, 2, 3)}
        await destination.close()
        return raised.value


class ListContract(SealedContract):
    """A list of people by digests of their e-mails.

    Attributes:
        field: of the digests.
        already: who is in the list before a fault.
        vendor: the sandbox's part that plays the vendor.
    """

    field: str
    vendor: Any
    already: tuple[int, ...] = ()

    @pytest.fixture(autouse=True)
    def _begun(self, sandbox: SandboxServer) -> None:
        self.begin(sandbox)

    @property
    def lists(self) -> MutableMapping[Any, Any]:
        """The vendor's lists."""
        raise NotImplementedError

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """E-mail digests."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        return pa.table({self.field: digests}), {self.field: Form.DIGEST}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the same."""
        return *self.rows(subjects), self.field

    async def ready(self) -> Destination:
        """A connector that knows its list where one has to, before a fault."""
        destination = self.make()
        if self.already:
            await self.write(destination, self.added(self.already))
        return destination

    def names(self, *subjects: int) -> set[str]:
        """What the list holds with these."""
        return {self.name_of(n) for n in (*subjects, *self.already)}

    async def nothing_changes(self, kind: str, code: str, **more: Any) -> EngineError:
        """A fault's error, after which the same batch goes."""
        destination = await self.ready()
        self.sandbox.app.faults.add({"path": self.path, "kind": kind, **more})
        with pytest.raises(EngineError) as caught:
            await destination.write(self.added([1]), Progress(rows=1))
        assert caught.value.code == code
        assert self.sandbox.app.faults.planned == []
        assert await self.contents() == self.names()
        await self.write(destination, self.added([1]))
        assert await self.contents() == self.names(1)
        await destination.close()
        return caught.value

    async def deleted_meanwhile(self) -> None:
        """A list goes away between two batches."""
        destination = self.make()
        await self.write(destination, self.added([1]))
        self.lists.clear()
        with pytest.raises(EngineError) as caught:
            await destination.write(self.added([2]), Progress(rows=1))
        assert caught.value.code == "audience_gone"
        await destination.close()

    def test_a_wrong_token_stops_everything(self) -> None:
        """Also one that has ended meanwhile."""

        async def scenario() -> None:
            self.token = "token-2"
            destination = self.make()
            for call in (
                destination.check(),
                destination.locate(None),
                destination.write(self.added([1]), Progress(rows=1)),
            ):
                with pytest.raises(ConfigError) as caught:
                    await call
                assert caught.value.code == "reauthorise"
            await destination.close()

        self.run(scenario())

    @pytest.mark.slow
    def test_a_hundred_thousand_people_arrive(self) -> None:
        """In requests that are as large as we send; none is there twice."""
        self.run(self.a_hundred_thousand())


class UnnamedRefusals(ListContract):
    """Lists whose vendor counts who was refused and names nobody.

    Attributes:
        module: of the connector, that says how long a request may take.
    """

    resumes = False
    module: ClassVar[ModuleType]

    def all_taken(self) -> None:
        """What a vendor shows of three people it has taken, where it shows more."""

    def test_who_is_counted_out_leaves_all_unconfirmed(self) -> None:
        """The vendor names nobody: all count as delivered, and it is told."""

        async def scenario() -> None:
            destination = await self.ready()
            self.sandbox.app.faults.add({"path": self.path, "kind": "partial_failure"})
            outcomes = await self.write(destination, self.added([1, 2, 3]))
            assert outcomes.codes.to_pylist() == [1, 1, 1]
            assert await self.contents() == self.names(2, 3)
            await destination.close()

        self.run(scenario())

    def test_another_connector_hears_of_a_job(self) -> None:
        """As after a restart: the reference is all that it needs."""

        async def scenario() -> None:
            self.vendor.polls = 3
            first = self.make()
            answer = await first.write(self.added([1, 2]), Progress(rows=2))
            await first.close()
            assert isinstance(answer, Submitted)
            assert await self.contents() == set()
            other = self.make()
            assert (await finished(other, answer)).codes.to_pylist() == [0, 0]
            assert len(await self.contents()) == 2
            await other.close()

        self.run(scenario())

    @pytest.mark.parametrize(
        ("kind", "code", "pause"),
        [
            ("503", "destination_busy", None),
            ("429", "rate_limited", 7.0),
            ("401", "reauthorise", None),
            ("100", "request_refused", None),
            ("reset", "destination_unreachable", None),
            ("garbage", "garbage_answer", None),
            ("redirect", "redirected", None),
        ],
    )
    def test_faults_change_nothing(self, kind: str, code: str, pause: float | None) -> None:
        """Each is told by its code; the same batch goes afterwards."""
        more = {"retry_after_seconds": 7} if pause else {}
        error = self.run(self.nothing_changes(kind, code, **more))
        assert getattr(error, "retry_after_seconds", None) == pause

    def test_an_answer_that_never_comes_may_be_repeated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The people are taken; sending them again changes nothing."""

        async def scenario() -> None:
            destination = await self.ready()
            monkeypatch.setattr(self.module, "REQUEST_SECONDS", 0.3)
            self.sandbox.app.faults.add({"path": self.path, "kind": "accept_then_hang"})
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([1, 2]), Progress(rows=2))
            assert caught.value.code == "destination_timeout"
            self.all_taken()
            await self.write(destination, self.added([1, 2]))
            assert await self.contents() == self.names(1, 2)
            await destination.close()

        self.run(scenario())

    def test_a_list_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed."""
        self.run(self.deleted_meanwhile())


class NamedRefusals(ListContract):
    """Lists whose vendor answers for each row at once.

    Attributes:
        rows_max: of a request.
        refused: what a request is told by that is the connector's fault.
    """

    rows_max: ClassVar[int]
    refused: ClassVar[str]

    def test_each_number_of_rows_around_the_limit_arrives(self) -> None:
        """One row less, as many and one more than a request holds make one request, or two."""

        async def scenario() -> None:
            destination = self.make()
            sent = []
            for rows in (self.rows_max - 1, self.rows_max, self.rows_max + 1):
                self.sandbox.app.recorder.clear()
                outcomes = await self.write(destination, self.added(range(rows)))
                assert outcomes.count(OutcomeCode.ACCEPTED) == rows
                assert len(await self.contents()) == rows
                paths = [call["path"] for call in self.sandbox.app.recorder.requests()]
                sent.append(paths.count(self.path))
            assert sent == [1, 1, 2]
            await destination.close()

        self.run(scenario())

    def test_faults_change_nothing(self) -> None:
        """Each is told by its code; the same batch goes afterwards."""
        faults = {
            "503": "destination_busy",
            "429": "rate_limited",
            "401": "reauthorise",
            "100": self.refused,
            "reset": "destination_unreachable",
            "garbage": "garbage_answer",
            "redirect": "redirected",
        }

        async def scenario() -> None:
            destination = self.make()
            for kind, code in faults.items():
                self.sandbox.app.faults.add({"path": self.path, "kind": kind})
                with pytest.raises(EngineError) as caught:
                    await destination.write(self.added([1]), Progress(rows=1))
                assert caught.value.code == code
                assert await self.contents() == set()
            await self.write(destination, self.added([1]))
            assert await self.contents() == {self.name_of(1)}
            await destination.close()

        self.run(scenario())


class EventContract(SealedContract):
    """Events of people, which nobody takes back.

    Attributes:
        kinds: types of the columns.
        digests: the column of digests; the others go in clear.
        rows_max: of a request.
    """

    adds = Operation.INSERT
    removes = None
    kinds: ClassVar[Mapping[str, pa.DataType]]
    digests: ClassVar[str]
    rows_max: ClassVar[int]

    @pytest.fixture(autouse=True)
    def _begun(self, sandbox: SandboxServer) -> None:
        self.begin(sandbox)

    def make(self, **how: Any) -> Destination:
        """A connector, with other settings where some are given."""
        raise NotImplementedError

    @property
    def forms(self) -> dict[str, Form]:
        """Of the columns."""
        return {n: Form.DIGEST if n == self.digests else Form.CLEAR for n in self.kinds}

    def context(self) -> DestinationContext:
        """A sync of events."""
        return DestinationContext(
            workspace="shop",
            sync="contract",
            mode=SyncMode.APPEND,
            object_name="contract",
            key=(),
            columns=dict(self.kinds),
            forms=self.forms,
        )

    def table(self, columns: Mapping[str, Sequence[Any]]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Rows of these columns."""
        made = {name: pa.array(values, self.kinds[name]) for name, values in columns.items()}
        return pa.table(made), self.forms

    def name_of(self, subject: int) -> str:
        """The event's id."""
        return f"order-{subject}"

    def changed(self, subjects: Sequence[int], **columns: Sequence[Any]) -> ProtectedBatch:
        """Events of which some columns are others."""
        table, forms = self.rows(subjects)
        for name, values in columns.items():
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, pa.array(values, self.kinds[name]))
        return self.protect(self._head(self.adds, 0, len(subjects), None), table, forms)

    async def around_the_limit(self, rows: int) -> None:
        """So many rows arrive in one request, or in two."""
        destination = self.make()
        outcomes = await self.write(destination, self.added(range(rows)))
        assert outcomes.count(OutcomeCode.ACCEPTED) == rows
        assert len(await self.contents()) == rows
        assert len(self.sandbox.app.recorder.requests()) == 1 + rows // (self.rows_max + 1)
        await destination.close()

    @pytest.mark.slow
    def test_a_hundred_thousand_events_arrive(self) -> None:
        """In batches of the size that the specification says."""
        self.run(self.a_hundred_thousand())
