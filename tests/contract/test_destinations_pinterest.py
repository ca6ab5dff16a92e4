"""The destination contract on Pinterest customer lists, over HTTP against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import pinterest_audience
from mayfly.connectors.destinations.pinterest_audience import (
    LIMITS,
    Pinterest,
    PinterestSettings,
)
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

FIELD = "EMAIL"
LISTS = "/v5/ad_accounts/*/customer_lists/*"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


class TestPinterest(DestinationContract):
    """The connector through our own HTTP client."""

    resumes = False
    token = "token-1"

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        sandbox.app.pinterest.reset()
        sandbox.app.faults.planned.clear()
        self.url, self.vendor, self.faults = sandbox.url, sandbox.app.pinterest, sandbox.app.faults

    def make(self) -> Pinterest:
        """A connector with an HTTP client of its own."""
        settings = PinterestSettings(
            account_id="549755885175",
            access_token=Token(self.token),
            audience="Contract",
            endpoint=self.url,
            pace=AT_ONCE,
        )
        return Pinterest(settings, HttpxClient(["127.0.0.1"]), self.context())

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
        assert len(self.vendor.customer_lists) <= 1
        return {x for found in self.vendor.customer_lists.values() for x in found.members}

    async def written(self, batch: ProtectedBatch) -> Outcomes:
        """A batch's outcomes, over a connection of its own."""
        destination = self.make()
        try:
            return await self.write(destination, batch)
        finally:
            await destination.close()

    async def begun(self) -> Pinterest:
        """A connector that knows its list: what it asks next is about people."""
        destination = self.make()
        await self.write(destination, self.added([50]))
        return destination

    def test_who_is_counted_out_leaves_all_unconfirmed(self) -> None:
        """Pinterest names nobody: all count as delivered, and it is told."""

        async def scenario() -> None:
            destination = await self.begun()
            self.faults.add({"path": LISTS, "kind": "partial_failure"})
            outcomes = await self.write(destination, self.added([1, 2, 3]))
            assert outcomes.codes.to_pylist() == [1, 1, 1]
            assert await self.contents() == {self.name_of(n) for n in (2, 3, 50)}
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

        async def scenario() -> None:
            destination = await self.begun()
            more = {"retry_after_seconds": 7} if pause else {}
            self.faults.add({"path": LISTS, "kind": kind, **more})
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([1]), Progress(rows=1))
            assert caught.value.code == code
            assert getattr(caught.value, "retry_after_seconds", None) == pause
            assert self.faults.planned == []
            await self.write(destination, self.added([1]))
            assert await self.contents() == {self.name_of(1), self.name_of(50)}
            await destination.close()

        self.run(scenario())

    def test_an_answer_that_never_comes_may_be_repeated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The people are taken; sending them again changes nothing."""

        async def scenario() -> None:
            destination = await self.begun()
            monkeypatch.setattr(pinterest_audience, "REQUEST_SECONDS", 0.3)
            self.faults.add({"path": LISTS, "kind": "accept_then_hang"})
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([1, 2]), Progress(rows=2))
            assert caught.value.code == "destination_timeout"
            [found] = self.vendor.customer_lists.values()
            assert found.uploaded == 3
            await self.write(destination, self.added([1, 2]))
            assert len(await self.contents()) == 3
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
            self.vendor.customer_lists.clear()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([2]), Progress(rows=1))
            assert caught.value.code == "audience_gone"
            await destination.close()

        self.run(scenario())

    @pytest.mark.parametrize("late", [False, True])
    def test_counters_may_rise_at_once_or_later(self, late: bool) -> None:
        """Of several requests that are on their way together, and of removals, too."""

        async def scenario() -> None:
            self.vendor.counts_late = late
            destination = self.make()
            batches = [self.added([n, n + 100], number=n) for n in (1, 2, 3)]
            answers = [await destination.write(b, Progress(rows=2)) for b in batches]
            answers.append(await destination.write(self.removed([1, 77], 4), Progress(rows=2)))
            for answer in answers:
                assert (await finished(destination, answer)).codes.to_pylist() == [0, 0]
            assert len(await self.contents()) == 5
            await destination.close()

        self.run(scenario())

    def test_a_list_that_is_ready_gets_one_audience(self) -> None:
        """Also where two processes fill it, one after the other; a small one gets none."""

        async def scenario() -> None:
            await self.written(self.added(range(99)))
            assert self.vendor.audiences == []
            for number in (1, 2):
                await self.written(self.added(range(100 * number, 100 * number + 50), number))
            [audience] = self.vendor.audiences
            [found] = self.vendor.customer_lists.values()
            assert audience["rule"] == {"customer_list_id": found.list_id}
            assert audience["name"] == "Contract"

        self.run(scenario())

    @pytest.mark.slow
    def test_a_hundred_thousand_people_arrive(self) -> None:
        """In ten requests, each as large as we send; not one goes missing."""

        async def scenario() -> None:
            destination = self.make()
            most = LIMITS.rows_max
            for number in range(10):
                subjects = range(number * most, (number + 1) * most)
                outcomes = await self.write(destination, self.added(subjects, number=number))
                assert outcomes.count(OutcomeCode.ACCEPTED) == most
            assert len(await self.contents()) == 100_000
            await destination.close()

        self.run(scenario())
