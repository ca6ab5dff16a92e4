"""The destination contract on Meta custom audiences, over HTTP against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.meta_ads import MetaAds, MetaAdsSettings
from mayfly.domain.batch import BatchHead
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract


@dataclass(frozen=True)
class _Token:
    text: str = "token-1"

    def reveal(self) -> str:
        return self.text


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


class TestMetaAds(DestinationContract):
    """The connector through our own HTTP client."""

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        httpx.post(f"{sandbox.url}/_sandbox/reset", trust_env=False).raise_for_status()
        self.url = sandbox.url

    def make(self) -> MetaAds:
        """A connector with an HTTP client of its own."""
        settings = MetaAdsSettings(
            account_id="42", access_token=_Token(), audience="Contract", endpoint=self.url
        )
        return MetaAds(settings, HttpxClient(["127.0.0.1"]), self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    async def contents(self) -> set[str]:
        """E-mail digests in the account's only audience."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            audiences = (await client.get("/_sandbox/audiences")).json()
            assert len(audiences) <= 1
            if not audiences:
                return set()
            query = {"audience": audiences[0]["id"]}
            members = (await client.get("/_sandbox/members", params=query)).json()
            return set(members["fields"].get("EMAIL", ()))
