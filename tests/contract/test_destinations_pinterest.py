"""The destination contract on Pinterest customer lists, over HTTP against the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from contract.vendor_contract import UnnamedRefusals
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import pinterest_audience
from mayfly.connectors.destinations.pinterest_audience import (
    LIMITS,
    Pinterest,
    PinterestSettings,
)
from mayfly.connectors.jobs import AT_ONCE
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import finished
from scripted_http import Token, context


class TestPinterest(UnnamedRefusals):
    """The connector through our own HTTP client."""

    field = "EMAIL"
    path = "/v5/ad_accounts/*/customer_lists/*"
    module = pinterest_audience
    batch_rows = LIMITS.rows_max
    already = (50,)

    def begin(self, sandbox: SandboxServer) -> None:
        """With an empty account."""
        super().begin(sandbox)
        self.vendor = sandbox.app.pinterest
        self.vendor.reset()

    @property
    def lists(self) -> dict[str, Any]:
        """Of the account."""
        return self.vendor.customer_lists

    def make(self) -> Pinterest:
        """A connector with an HTTP client of its own."""
        settings = PinterestSettings(
            account_id="549755885175",
            access_token=Token(self.token),
            audience="Contract",
            endpoint=self.sandbox.url,
            pace=AT_ONCE,
        )
        return Pinterest(settings, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """A sync of e-mails."""
        return context(self.field)

    async def contents(self) -> set[str]:
        """Digests in the account's only list."""
        assert len(self.lists) <= 1
        return {x for found in self.lists.values() for x in found.members}

    def all_taken(self) -> None:
        """With who was there before."""
        [found] = self.lists.values()
        assert found.uploaded == 3

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
            [found] = self.lists.values()
            assert audience["rule"] == {"customer_list_id": found.list_id}
            assert audience["name"] == "Contract"

        self.run(scenario())
