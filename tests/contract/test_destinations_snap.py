"""The destination contract on Snap customer lists, over HTTP against the sandbox, and faults."""

from __future__ import annotations

from typing import Any

from contract.vendor_contract import UnnamedRefusals
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import snap_audience
from mayfly.connectors.destinations.snap_audience import Snap, SnapSettings
from mayfly.connectors.jobs import AT_ONCE
from mayfly.ports.destination import DestinationContext
from mayfly.sandbox.server import SandboxServer
from scripted_http import Token, context


class TestSnap(UnnamedRefusals):
    """The connector through our own HTTP client."""

    field = "EMAIL_SHA256"
    path = "/v1/segments/*/users"
    module = snap_audience
    batch_rows = 50_000

    def begin(self, sandbox: SandboxServer) -> None:
        """With an empty account."""
        super().begin(sandbox)
        self.vendor = sandbox.app.snap
        self.vendor.reset()

    @property
    def lists(self) -> dict[str, Any]:
        """Of the account."""
        return self.vendor.segments

    def make(self) -> Snap:
        """A connector with an HTTP client of its own."""
        settings = SnapSettings(
            account_id="account-1",
            access_token=Token(self.token),
            audience="Contract",
            endpoint=self.sandbox.url,
            pace=AT_ONCE,
        )
        return Snap(settings, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """A sync of e-mails."""
        return context(self.field)

    async def contents(self) -> set[str]:
        """Digests in the account's only list."""
        assert len(self.lists) <= 1
        return {x for found in self.lists.values() for x in found.members}
