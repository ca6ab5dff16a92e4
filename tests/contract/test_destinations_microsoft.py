"""The destination contract on Microsoft Advertising, over HTTP against the sandbox: seven faults of
a request, four errors of an item, and lists that are no good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.microsoft_ads_audience import MicrosoftAds
from mayfly.connectors.destinations.microsoft_ads_requests import LIMITS
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, email_digest
from microsoft_world import ACCOUNT, CONTEXT, TOKEN, microsoft

APPLY = "/CampaignManagement/v13/CustomerListUserData/Apply"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({TOKEN})) as server:
        yield server


class TestMicrosoft(DestinationContract):
    """The connector through our own HTTP client, and what goes wrong."""

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        sandbox.app.microsoft.reset()
        sandbox.app.faults.planned.clear()
        sandbox.app.recorder.clear()
        self.url, self.vendor = sandbox.url, sandbox.app.microsoft

    def make(self) -> MicrosoftAds:
        """A connector with an HTTP client of its own."""
        return microsoft(HttpxClient(["127.0.0.1"]), url=self.url)

    def context(self) -> DestinationContext:
        """The sync that is served."""
        return CONTEXT

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    async def contents(self) -> set[str]:
        """Digests in the account's only list."""
        lists = list(self.vendor.audiences.values())
        assert len(lists) <= 1
        return set(lists[0].members) if lists else set()

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """E-mail digests."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        return pa.table({"Email": digests}), {"Email": Form.DIGEST}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the only field."""
        return *self.rows(subjects), "Email"

    def test_each_number_of_rows_around_the_limit_arrives(self, sandbox: SandboxServer) -> None:
        """One row less, as many and one more than a request holds make one request, or two."""

        async def scenario() -> None:
            destination = self.make()
            sent = []
            for rows in (LIMITS.rows_max - 1, LIMITS.rows_max, LIMITS.rows_max + 1):
                sandbox.app.recorder.clear()
                outcomes = await self.write(destination, self.added(range(rows)))
                assert outcomes.count(OutcomeCode.ACCEPTED) == rows
                assert len(await self.contents()) == rows
                paths = [call["path"] for call in sandbox.app.recorder.requests()]
                sent.append(paths.count(APPLY))
            assert sent == [1, 1, 2]
            await destination.close()

        self.run(scenario())

    def test_items_that_are_named_are_answered_alone(self, sandbox: SandboxServer) -> None:
        """By their place, with Microsoft's name; its own failures are deferred."""

        async def scenario() -> None:
            destination = self.make()
            self.vendor.answers = {1: (0, "InternalError"), 2: (117, ""), 4: (9999, "NewlyMade")}
            sandbox.app.faults.add({"path": APPLY, "kind": "partial_failure"})
            outcomes = await self.write(destination, self.added(range(6)))
            assert outcomes.codes.to_pylist() == [2, 3, 3, 0, 2, 0]
            assert [r.vendor_code for _, r in sorted(outcomes.reasons.items())] == [
                *("EmailMustBeHashed", "InternalError", "CallRateExceeded", "NewlyMade"),
            ]
            assert await self.contents() == {self.name_of(3), self.name_of(5)}
            await destination.close()

        self.run(scenario())

    def test_faults_change_nothing(self, sandbox: SandboxServer) -> None:
        """Each is told by its code; the same batch goes afterwards."""
        faults = {
            "503": "destination_busy",
            "429": "rate_limited",
            "401": "reauthorise",
            "100": "microsoft_request_refused",
            "reset": "destination_unreachable",
            "garbage": "garbage_answer",
            "redirect": "redirected",
        }

        async def scenario() -> None:
            destination = self.make()
            for kind, code in faults.items():
                sandbox.app.faults.add({"path": APPLY, "kind": kind})
                with pytest.raises(EngineError) as caught:
                    await destination.write(self.added([1]), Progress(rows=1))
                assert caught.value.code == code
                assert await self.contents() == set()
            await self.write(destination, self.added([1]))
            assert await self.contents() == {self.name_of(1)}
            await destination.close()

        self.run(scenario())

    def test_a_wrong_token_stops_everything(self) -> None:
        """Also one that has ended meanwhile."""

        async def scenario() -> None:
            destination = microsoft(HttpxClient(["127.0.0.1"]), url=self.url, token="token-2")
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

    def test_a_list_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed; a removal of a list that is not there is done."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            destination = microsoft(http, url=self.url)
            await self.write(destination, self.added([1]))
            assert await destination.locate("804000001") == "804000001"
            self.vendor.audiences.clear()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([2]), Progress(rows=1))
            assert caught.value.code == "audience_gone"
            outcomes = await self.write(microsoft(http, url=self.url), self.removed([2]))
            assert outcomes.count(OutcomeCode.ACCEPTED) == 1
            assert self.vendor.audiences == {}
            await http.close()

        self.run(scenario())

    def test_any_name_of_a_list_is_found_again(self) -> None:
        """It is made once, for each name, in the account, for as long as the settings say."""
        names = ["Größte Kunden 顧客", 'say "hi"', "#N/A", "a,b\tc"]

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            for name in names * 2:
                destination = microsoft(http, url=self.url, audience=name, membership_days=30)
                await self.write(destination, self.added([1]))
            made = list(self.vendor.audiences.values())
            assert [(x.name, x.days, x.owner, x.scope) for x in made] == [
                (name, 30, ACCOUNT, "Account") for name in names
            ]
            assert await microsoft(http, url=self.url, audience="804000002").locate(None)
            await http.close()

        self.run(scenario())

    def test_a_list_that_forgets_too_soon_gets_nobody_and_lets_go(self) -> None:
        """Who is in it can still be removed; one that keeps members for ever is taken."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            destination = microsoft(http, url=self.url)
            await self.write(destination, self.added([1, 2]))
            [made] = self.vendor.audiences.values()
            made.days = 389
            destination = microsoft(http, url=self.url)
            with pytest.raises(ConfigError) as caught:
                await destination.write(self.added([3]), Progress(rows=1))
            assert (caught.value.code, "389" in caught.value.hint) == ("audience_forgets", True)
            await self.write(destination, self.removed([1]))
            assert await self.contents() == {self.name_of(2)}
            made.days = -1
            await self.write(microsoft(http, url=self.url), self.added([3]))
            assert await self.contents() == {self.name_of(2), self.name_of(3)}
            await http.close()

        self.run(scenario())

    @pytest.mark.slow
    def test_a_hundred_thousand_people_arrive(self) -> None:
        """In a hundred requests, each as large as Microsoft takes; not one goes missing."""

        async def scenario() -> None:
            destination = self.make()
            for number in range(2):
                subjects = range(number * 50_000, (number + 1) * 50_000)
                outcomes = await self.write(destination, self.added(subjects, number=number))
                assert outcomes.count(OutcomeCode.ACCEPTED) == 50_000
            assert len(await self.contents()) == 100_000
            await destination.close()

        self.run(scenario())
