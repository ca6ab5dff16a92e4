"""The destination contract on Microsoft Advertising, over HTTP against the sandbox: seven faults of
a request, four errors of an item, and lists that are no good.
"""

from __future__ import annotations

import pytest

from contract.vendor_contract import NamedRefusals
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.microsoft_ads_audience import MicrosoftAds
from mayfly.connectors.destinations.microsoft_ads_requests import LIMITS
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.sandbox.server import SandboxServer
from microsoft_world import ACCOUNT, CONTEXT, microsoft


class TestMicrosoft(NamedRefusals):
    """The connector through our own HTTP client, and what goes wrong."""

    field = "Email"
    path = "/CampaignManagement/v13/CustomerListUserData/Apply"
    refused = "microsoft_request_refused"
    rows_max = LIMITS.rows_max
    batch_rows = 50_000

    def begin(self, sandbox: SandboxServer) -> None:
        """With an empty account."""
        super().begin(sandbox)
        self.vendor = sandbox.app.microsoft
        self.vendor.reset()

    def make(self) -> MicrosoftAds:
        """A connector with an HTTP client of its own."""
        return microsoft(HttpxClient(["127.0.0.1"]), url=self.sandbox.url, token=self.token)

    def context(self) -> DestinationContext:
        """The sync that is served."""
        return CONTEXT

    async def contents(self) -> set[str]:
        """Digests in the account's only list."""
        lists = list(self.vendor.audiences.values())
        assert len(lists) <= 1
        return set(lists[0].members) if lists else set()

    def test_items_that_are_named_are_answered_alone(self, sandbox: SandboxServer) -> None:
        """By their place, with Microsoft's name; its own failures are deferred."""

        async def scenario() -> None:
            destination = self.make()
            self.vendor.answers = {1: (0, "InternalError"), 2: (117, ""), 4: (9999, "NewlyMade")}
            sandbox.app.faults.add({"path": self.path, "kind": "partial_failure"})
            outcomes = await self.write(destination, self.added(range(6)))
            assert outcomes.codes.to_pylist() == [2, 3, 3, 0, 2, 0]
            assert [r.vendor_code for _, r in sorted(outcomes.reasons.items())] == [
                *("EmailMustBeHashed", "InternalError", "CallRateExceeded", "NewlyMade"),
            ]
            assert await self.contents() == {self.name_of(3), self.name_of(5)}
            await destination.close()

        self.run(scenario())

    def test_a_list_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed; a removal of a list that is not there is done."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            destination = microsoft(http, url=self.sandbox.url)
            await self.write(destination, self.added([1]))
            assert await destination.locate("804000001") == "804000001"
            self.vendor.audiences.clear()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([2]), Progress(rows=1))
            assert caught.value.code == "audience_gone"
            outcomes = await self.write(microsoft(http, url=self.sandbox.url), self.removed([2]))
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
                destination = microsoft(
                    http, url=self.sandbox.url, audience=name, membership_days=30
                )
                await self.write(destination, self.added([1]))
            made = list(self.vendor.audiences.values())
            assert [(x.name, x.days, x.owner, x.scope) for x in made] == [
                (name, 30, ACCOUNT, "Account") for name in names
            ]
            assert await microsoft(http, url=self.sandbox.url, audience="804000002").locate(None)
            await http.close()

        self.run(scenario())

    def test_a_list_that_forgets_too_soon_gets_nobody_and_lets_go(self) -> None:
        """Who is in it can still be removed; one that keeps members for ever is taken."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            destination = microsoft(http, url=self.sandbox.url)
            await self.write(destination, self.added([1, 2]))
            [made] = self.vendor.audiences.values()
            made.days = 389
            destination = microsoft(http, url=self.sandbox.url)
            with pytest.raises(ConfigError) as caught:
                await destination.write(self.added([3]), Progress(rows=1))
            assert (caught.value.code, "389" in caught.value.hint) == ("audience_forgets", True)
            await self.write(destination, self.removed([1]))
            assert await self.contents() == {self.name_of(2)}
            made.days = -1
            await self.write(microsoft(http, url=self.sandbox.url), self.added([3]))
            assert await self.contents() == {self.name_of(2), self.name_of(3)}
            await http.close()

        self.run(scenario())
