"""The destination contract on Snap customer lists, over HTTP against the sandbox, and faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import snap_audience
from mayfly.connectors.destinations.snap_audience import Snap, SnapSettings
from mayfly.connectors.jobs import AT_ONCE
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import EngineError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Progress, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, email_digest, finished
from scripted_http import Token, context

FIELD = "EMAIL_SHA256"
USERS = "/v1/segments/*/users"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


class TestSnap(DestinationContract):
    """The connector through our own HTTP client."""

    resumes = False
    token = "token-1"

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        sandbox.app.snap.reset()
        sandbox.app.faults.planned.clear()
        self.url, self.vendor, self.faults = sandbox.url, sandbox.app.snap, sandbox.app.faults

    def make(self) -> Snap:
        """A connector with an HTTP client of its own."""
        settings = SnapSettings(
            account_id="account-1",
            access_token=Token(self.token),
            audience="Contract",
            endpoint=self.url,
            pace=AT_ONCE,
        )
        return Snap(settings, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """A sync of e-mails."""
        return context(FIELD)

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """E-mail digests."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        return pa.table({FIELD: digests}), {FIELD: Form.DIGEST}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the same."""
        return *self.rows(subjects), FIELD

    async def contents(self) -> set[str]:
        """Digests in the account's only list."""
        assert len(self.vendor.segments) <= 1
        return {x for found in self.vendor.segments.values() for x in found.members}

    async def written(self, batch: ProtectedBatch) -> Outcomes:
        """A batch's outcomes, over a connection of its own."""
        destination = self.make()
        try:
            return await self.write(destination, batch)
        finally:
            await destination.close()

    def test_who_is_counted_out_leaves_all_unconfirmed(self) -> None:
        """Snap names nobody: all count as delivered, and it is told."""

        async def scenario() -> None:
            self.faults.add({"path": USERS, "kind": "partial_failure"})
            outcomes = await self.written(self.added([1, 2, 3]))
            assert outcomes.codes.to_pylist() == [1, 1, 1]
            assert await self.contents() == {self.name_of(2), self.name_of(3)}

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

        async def scenario() -> None:
            destination = self.make()
            more = {"retry_after_seconds": 7} if pause else {}
            self.faults.add({"path": USERS, "kind": kind, **more})
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([1]), Progress(rows=1))
            assert caught.value.code == code
            assert getattr(caught.value, "retry_after_seconds", None) == pause
            await self.write(destination, self.added([1]))
            assert await self.contents() == {self.name_of(1)}
            await destination.close()

        self.run(scenario())

    def test_an_answer_that_never_comes_may_be_repeated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The people are in; sending them again changes nothing."""
        monkeypatch.setattr(snap_audience, "REQUEST_SECONDS", 0.3)

        async def scenario() -> None:
            self.faults.add({"path": USERS, "kind": "accept_then_hang"})
            destination = self.make()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([1, 2]), Progress(rows=2))
            assert caught.value.code == "destination_timeout"
            await self.write(destination, self.added([1, 2]))
            assert len(await self.contents()) == 2
            await destination.close()

        self.run(scenario())

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
                with pytest.raises(EngineError) as caught:
                    await call
                assert caught.value.code == "reauthorise"
            await destination.close()

        self.run(scenario())

    def test_a_list_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed."""

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1]))
            self.vendor.segments.clear()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([2]), Progress(rows=1))
            assert caught.value.code == "audience_gone"
            await destination.close()

        self.run(scenario())

    @pytest.mark.slow
    def test_a_hundred_thousand_people_arrive(self) -> None:
        """In two requests; not one goes missing, and none is there twice."""

        async def scenario() -> None:
            destination = self.make()
            for number in range(2):
                subjects = range(number * 50_000, (number + 1) * 50_000)
                outcomes = await self.write(destination, self.added(subjects, number=number))
                assert outcomes.count(OutcomeCode.ACCEPTED) == 50_000
            assert len(await self.contents()) == 100_000
            await destination.close()

        self.run(scenario())
