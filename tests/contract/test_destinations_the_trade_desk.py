"""The destination contract on The Trade Desk, over HTTP against the sandbox and its operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.the_trade_desk import TheTradeDesk
from mayfly.connectors.destinations.the_trade_desk_requests import LIMITS
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, email_digest
from trade_desk_world import TOKEN, desk, phone_digest


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({TOKEN})) as server:
        yield server


class OnTheSandbox(DestinationContract):
    """The connector through our own HTTP client, with e-mails as EUID."""

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        self.vendor = sandbox.app.trade_desk
        self.vendor.reset()
        self.url = sandbox.url

    def make(self) -> TheTradeDesk:
        """A connector with an HTTP client of its own."""
        return desk(HttpxClient(["127.0.0.1"]), self.context(), url=self.url)

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    async def contents(self) -> set[str]:
        """EUIDs in the advertiser's only segment."""
        assert len(self.vendor.lists()) <= 1
        found = self.vendor.members({"audience": "abc123/Contract"})
        return set(found["fields"].get("EUID", ())) if found else set()

    def name_of(self, subject: int) -> str:
        """What the operator makes of the digest."""
        return self.vendor.operator.raw("euid", "email", email_digest(subject), 0)


class TestTheTradeDesk(OnTheSandbox):
    """E-mails, and what is the same for all identifiers."""

    def test_each_number_of_rows_around_the_limit_arrives(self) -> None:
        """One row less, as many and one more than a request holds make one request, or two."""

        async def scenario() -> None:
            destination = self.make()
            for rows in (LIMITS.rows_max - 1, LIMITS.rows_max, LIMITS.rows_max + 1):
                self.vendor.reset()
                outcomes = await self.write(destination, self.added(range(rows)))
                assert outcomes.count(OutcomeCode.ACCEPTED) == rows
                assert len(await self.contents()) == rows
            await destination.close()

        self.run(scenario())

    def test_a_wrong_token_stops_before_anything_is_there(self) -> None:
        """`check` and `write` refuse it, and so they do a key that the operator does not know."""

        async def scenario(**wrong: str) -> None:
            destination = desk(HttpxClient(["127.0.0.1"]), self.context(), url=self.url, **wrong)
            for call in (destination.check(), self.write(destination, self.added([1]))):
                with pytest.raises(ConfigError) as raised:
                    await call
                assert raised.value.code == "reauthorise"
            assert await self.contents() == set()
            await destination.close()

        self.run(scenario(token="expired"))
        self.run(scenario(api_key="unknown"))

    def test_a_segment_that_was_emptied_there_is_filled_again(self) -> None:
        """A segment is made by its first member, also where another was there before."""

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1]))
            self.vendor.segments.clear()
            outcomes = await self.write(destination, self.added([2]))
            assert outcomes.count(OutcomeCode.ACCEPTED) == 1
            assert await self.contents() == {self.name_of(2)}
            await destination.close()

        self.run(scenario())

    @pytest.mark.slow
    def test_a_hundred_thousand_rows_arrive(self) -> None:
        """In batches of the size that the specification says, of which one ends in the middle."""

        async def scenario() -> None:
            destination = self.make()
            for first in range(0, 100_000, 20_000):
                batch = self.added(range(first, first + 20_000), number=first // 20_000)
                outcomes = await self.write(destination, batch)
                assert outcomes.count(OutcomeCode.ACCEPTED) == 20_000
            assert len(await self.contents()) == 100_000
            await destination.close()

        self.run(scenario())


@pytest.mark.slow
class TestPhones(OnTheSandbox):
    """The same with phones, as UID2."""

    def context(self) -> DestinationContext:
        """A sync of phones."""
        made = super().context()
        return DestinationContext(
            workspace=made.workspace,
            sync=made.sync,
            mode=made.mode,
            object_name=made.object_name,
            key=(),
            columns={"PHONE": pa.binary()},
            forms={"PHONE": Form.DIGEST},
        )

    def make(self) -> TheTradeDesk:
        """A connector that maps to UID2."""
        return desk(HttpxClient(["127.0.0.1"]), self.context(), url=self.url, scope="uid2")

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Phones alone."""
        digests = pa.array([phone_digest(n) for n in subjects], pa.binary())
        return pa.table({"PHONE": digests}), {"PHONE": Form.DIGEST}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By phone."""
        table, forms = self.rows(subjects)
        return table, forms, "PHONE"

    async def contents(self) -> set[str]:
        """UID2s in the advertiser's only segment."""
        found = self.vendor.members({"audience": "abc123/Contract"})
        return set(found["fields"].get("UID2", ())) if found else set()

    def name_of(self, subject: int) -> str:
        """What the operator makes of the digest."""
        return self.vendor.operator.raw("uid2", "phone", phone_digest(subject), 0)
