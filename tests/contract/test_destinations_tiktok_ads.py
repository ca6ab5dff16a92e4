"""The destination contract on TikTok's audiences, over HTTP against the sandbox.

Codes that TikTok documents, in replies of status 200: 0, 40001, 40002, 40007, 40100, 40101 to
40105 and those from 50000 on: seven kinds, of which the sandbox gives five by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from contract.vendor_contract import REFUSING, RESET, SealedContract
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.tiktok_ads import TiktokAds, TiktokAdsSettings
from mayfly.connectors.destinations.tiktok_ads_requests import LIMITS
from mayfly.connectors.tiktok_api import TiktokSettings
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import email_digest
from scripted_http import Token

NAMES = ("EMAIL_SHA256", "PHONE_SHA256")


def phone_digest(subject: int) -> bytes | None:
    """SHA-256 of a number that is kept for examples; every other subject has one."""
    text = f"1202555{100 + subject % 100:04}{subject}"
    return hashlib.sha256(text.encode()).digest() if subject % 2 else None


class TestTiktokAds(SealedContract):
    """The connector through our own HTTP client."""

    path = "/open_api/v1.3/segment/mapping/"
    batch_rows = 50_000

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        self.vendor = sandbox.app.tiktok
        self.vendor.reset()
        self.begin(sandbox)

    def make(self, *, token: str = "token-1") -> TiktokAds:
        """A connector with an HTTP client of its own."""
        settings = TiktokAdsSettings(
            api=TiktokSettings(access_token=Token(token), endpoint=self.sandbox.url),
            advertiser_id="42",
            audience="Contract",
        )
        return TiktokAds(settings, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """A sync of e-mails and phones."""
        made = super().context()
        return DestinationContext(
            workspace=made.workspace,
            sync=made.sync,
            mode=made.mode,
            object_name=made.object_name,
            key=(),
            columns=dict.fromkeys(NAMES, pa.binary()),
            forms=dict.fromkeys(NAMES, Form.DIGEST),
        )

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """E-mails of all, phones of some."""
        made = {
            "EMAIL_SHA256": pa.array([email_digest(n) for n in subjects], pa.binary()),
            "PHONE_SHA256": pa.array([phone_digest(n) for n in subjects], pa.binary()),
        }
        return pa.table(made), dict.fromkeys(NAMES, Form.DIGEST)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By e-mail."""
        table, _ = self.rows(subjects)
        return table.select(["EMAIL_SHA256"]), {"EMAIL_SHA256": Form.DIGEST}, "EMAIL_SHA256"

    @property
    def members(self) -> dict[str, set[str]]:
        """Of the advertiser's only audience, by type."""
        assert len(self.vendor.audiences) <= 1
        return next((a.members for a in self.vendor.audiences.values()), {})

    async def contents(self) -> set[str]:
        """E-mail digests in it."""
        return set(self.members.get("EMAIL_SHA256", ()))

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Those that were sent there."""
        found = self.sandbox.app.recorder.requests()
        return [r for r in found if r["path"] == (path or self.path)]

    @pytest.mark.parametrize("rows", [LIMITS.rows_max, LIMITS.rows_max + 1])
    def test_each_number_of_rows_around_the_limit_arrives(self, rows: int) -> None:
        """In one request, or two."""

        async def scenario() -> None:
            destination = self.make()
            outcomes = await self.write(destination, self.added(range(rows)))
            assert outcomes.count(OutcomeCode.ACCEPTED) == rows
            assert len(await self.contents()) == rows
            assert len(self.members["PHONE_SHA256"]) == rows // 2
            assert len(self.requests()) == 1 + rows // (LIMITS.rows_max + 1)
            await destination.close()

        self.run(scenario())

    def test_a_wrong_row_stands_alone_and_the_others_arrive(self) -> None:
        """Though TikTok refuses the whole request; whom nothing tells is not sent at all."""
        self.vendor.bad = {self.name_of(33)}

        async def scenario() -> None:
            destination = self.make()
            table, forms = self.rows(range(40))
            emails = [None if n == 6 else email_digest(n) for n in range(40)]
            table = table.set_column(0, "EMAIL_SHA256", pa.array(emails, pa.binary()))
            batch = self.protect(self.added(range(40)).head, table, forms)
            outcomes = await self.write(destination, batch)
            told = {row: (r.code, r.vendor_code) for row, r in outcomes.reasons.items()}
            assert told == {6: ("no_identifier", ""), 33: ("row_refused", "tiktok_40002")}
            assert len(await self.contents()) == 38
            await destination.close()

        self.run(scenario())

    @pytest.mark.parametrize(("kind", "error", "code"), [*REFUSING, RESET])
    def test_each_fault_is_told_apart_and_the_batch_can_be_repeated(
        self, kind: str, error: type[EngineError], code: str
    ) -> None:
        """Nothing is recorded, and the same batch then arrives."""
        told = self.run(self.told_apart(kind, error, code, retry_after_seconds=7))
        if kind == "429":
            assert getattr(told, "retry_after_seconds", None) == 7

    def test_a_wrong_token_stops_before_anything_is_there(self) -> None:
        """`check` and `write` refuse it."""

        async def scenario() -> None:
            destination = self.make(token="expired")
            for call in (destination.check(), self.write(destination, self.added([1]))):
                with pytest.raises(ConfigError) as raised:
                    await call
                assert raised.value.code == "reauthorise"
            assert self.vendor.audiences == {}
            await destination.close()

        self.run(scenario())

    def test_one_audience_is_found_by_name_and_told_by_id(self) -> None:
        """Over pages; renamed, twice there, and gone are told apart."""

        async def scenario() -> None:
            destination = self.make()
            assert await destination.locate(None) is None
            for number in range(150):
                made = {"advertiser_id": "42", "custom_audience_name": f"other {number}"}
                self.vendor._segment({**made, "action": "create"})
            await self.write(destination, self.added([1]))
            [known] = [
                a.audience_id for a in self.vendor.audiences.values() if a.name == "Contract"
            ]
            assert await destination.locate(known) == known
            self.vendor.audiences[known].name = "renamed"
            with pytest.raises(ConfigError, match="audience_renamed"):
                await destination.locate(known)
            del self.vendor.audiences[known]
            assert await destination.locate(known) is None
            with pytest.raises(ContractError, match="audience_gone"):
                await self.write(destination, self.added([2]))
            for audience in list(self.vendor.audiences.values())[:2]:
                audience.name = "Contract"
            with pytest.raises(ConfigError, match="audience_ambiguous"):
                await destination.locate(None)
            await destination.close()

        self.run(scenario())

    def test_removing_where_no_audience_is_makes_none(self) -> None:
        """Everybody is removed from it."""

        async def scenario() -> None:
            destination = self.make()
            outcomes = await self.write(destination, self.removed([1, 2]))
            assert outcomes.count(OutcomeCode.ACCEPTED) == 2
            assert (self.vendor.audiences, self.requests()) == ({}, [])
            await destination.close()

        self.run(scenario())

    def test_batches_at_once_make_one_audience(self) -> None:
        """And no identifier is in an address."""

        async def scenario() -> None:
            destination = self.make()
            batches = [self.added([n], number=n, of=5) for n in range(5)]
            for batch in batches[:1]:
                await self.write(destination, batch)
            await destination.close()

        self.run(scenario())
        assert len(self.requests("/open_api/v1.3/segment/audience/")) == 1
        assert all(self.name_of(0) not in r["query"] for r in self.sandbox.app.recorder.requests())

    @pytest.mark.slow
    def test_a_hundred_thousand_rows_arrive(self) -> None:
        """In two batches."""
        self.run(self.a_hundred_thousand())
