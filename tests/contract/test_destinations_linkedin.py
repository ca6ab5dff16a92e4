"""The destination contract on LinkedIn, over HTTP against the sandbox: ten statuses of an element,
and a version, a token and segments that are no good. Statuses of requests are tried in
`tests/unit/connectors/test_linkedin_ads.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from contract.vendor_contract import NamedRefusals
from linkedin_world import ACCOUNT, context, guid, linkedin
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.linkedin_ads_audience import LinkedInAds
from mayfly.connectors.destinations.linkedin_ads_requests import LIMITS
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.privacy.gate import Form
from mayfly.sandbox.server import SandboxServer


class LinkedInContract(NamedRefusals):
    """The connector through our own HTTP client."""

    field = "SHA256_EMAIL"
    path = "/rest/dmpSegments/10804/users"
    refused = "linkedin_request_refused"
    rows_max = LIMITS.rows_max
    batch_rows = 50_000

    def begin(self, sandbox: SandboxServer) -> None:
        """With nothing there."""
        super().begin(sandbox)
        self.vendor = sandbox.app.linkedin
        self.vendor.reset()

    def make(self) -> LinkedInAds:
        """A connector with an HTTP client of its own."""
        return self.made()

    def made(self, **how: str) -> LinkedInAds:
        """The same with other settings."""
        how = {"token": self.token, "url": self.sandbox.url, **how}
        return linkedin(HttpxClient(["127.0.0.1"]), self.field, **how)

    def context(self) -> DestinationContext:
        """The sync that is served."""
        return context(self.field)

    async def contents(self) -> set[str]:
        """Values in the account's only segment."""
        segments = list(self.vendor.segments.values())
        assert len(segments) <= 1
        return set(segments[0].members.get(self.field, ())) if segments else set()


class TestLinkedIn(LinkedInContract):
    """E-mails, and what goes wrong."""

    def test_a_row_that_is_refused_is_refused_alone(self, sandbox: SandboxServer) -> None:
        """By its place in the answer, with LinkedIn's code."""

        async def scenario() -> None:
            sandbox.app.faults.add({"path": self.path, "kind": "partial_failure"})
            destination = self.make()
            outcomes = await self.write(destination, self.added([1, 2, 3]))
            assert outcomes.codes.to_pylist() == [2, 0, 0]
            assert (outcomes.reasons[0].code, outcomes.reasons[0].vendor_code) == (
                *("row_refused", "ILLEGAL_ARGUMENT"),
            )
            assert await self.contents() == {self.name_of(2), self.name_of(3)}
            await destination.close()

        self.run(scenario())

    def test_each_status_of_an_element_is_an_outcome(self) -> None:
        """Of its own row, wherever it stands."""

        async def scenario() -> None:
            told = {200: 0, 201: 0, 400: 2, 409: 2, 422: 2, 404: 3, 408: 3, 429: 3, 500: 3, 503: 3}
            self.vendor.answers = list(told)
            destination = self.make()
            outcomes = await self.write(destination, self.added(range(len(told) + 1)))
            assert outcomes.codes.to_pylist() == [*told.values(), 0]
            named = {400: "ILLEGAL_ARGUMENT", 404: "NOT_FOUND", 429: "TOO_MANY_REQUESTS"}
            assert [r.vendor_code for _, r in sorted(outcomes.reasons.items())] == [
                named.get(status, str(status)) for status, code in told.items() if code
            ]
            await destination.close()

        self.run(scenario())

    def test_a_version_that_has_ended_is_told(self) -> None:
        """By what has to be changed."""

        async def scenario() -> None:
            destination = self.made(version="202510")
            with pytest.raises(ConfigError) as caught:
                await destination.check()
            assert (caught.value.code, "api_version" in caught.value.hint) == ("version_ended", 1)
            await destination.close()

        self.run(scenario())

    def test_a_segment_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed; a removal of a segment that is not there is done."""

        async def scenario() -> None:
            first = self.make()
            await self.write(first, self.added([1]))
            await first.close()
            destination = self.make()
            assert await destination.locate("10804") == "10804"
            self.vendor.segments.clear()
            with pytest.raises(EngineError) as caught:
                await destination.write(self.added([2]), Progress(rows=1))
            assert caught.value.code == "audience_gone"
            await destination.close()
            other = self.make()
            outcomes = await self.write(other, self.removed([2]))
            assert outcomes.count(OutcomeCode.ACCEPTED) == 1
            assert self.vendor.segments == {}
            await other.close()

        self.run(scenario())

    def test_a_segment_that_is_new_is_waited_for(self) -> None:
        """By the process that made it, and by one that only finds it listed."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            self.vendor.new_is_unknown_for = 2
            for _ in range(2):
                with pytest.raises(TransientError) as caught:
                    await linkedin(http, url=self.sandbox.url).write(
                        self.added([1]), Progress(rows=1)
                    )
                assert caught.value.code == "audience_not_ready"
            await self.write(linkedin(http, url=self.sandbox.url), self.added([1]))
            assert await self.contents() == {self.name_of(1)}
            await http.close()

        self.run(scenario())

    def test_an_unusable_segment_gets_nobody_and_lets_go(self) -> None:
        """Whoever has withdrawn leaves it, whatever its status; every process reads that anew."""

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            await linkedin(http, url=self.sandbox.url).write(self.added([1, 2]), Progress(rows=2))
            for status in ("EXPIRED", "FAILED", "ERROR", "ARCHIVED", "READY"):
                self.vendor.segments[10_804].status = status
                destination = linkedin(http, url=self.sandbox.url)
                assert await destination.locate(None) == "10804"
                await self.write(destination, self.removed([1]))
                assert await self.contents() == {self.name_of(2)}
                if status in ("ARCHIVED", "READY"):
                    await self.write(destination, self.added([1]))
                    assert await self.contents() == {self.name_of(1), self.name_of(2)}
                else:
                    with pytest.raises(ConfigError) as caught:
                        await destination.write(self.added([3]), Progress(rows=1))
                    assert caught.value.code == "audience_unusable"
                    assert await self.contents() == {self.name_of(2)}
            await http.close()

        self.run(scenario())

    def test_any_name_of_a_segment_is_found_again(self) -> None:
        """It is made once, for each name."""
        names = ["Größte Kunden 顧客", 'say "hi"', "#N/A", "a,b\tc"]

        async def scenario() -> None:
            http = HttpxClient(["127.0.0.1"])
            for name in names * 2:
                destination = linkedin(http, url=self.sandbox.url, audience=name)
                await self.write(destination, self.added([1]))
            assert [(x["name"], x["count"]) for x in self.vendor.lists()] == [
                (name, 1) for name in names
            ]
            assert {x["account"] for x in self.vendor.lists()} == {
                f"urn:li:sponsoredAccount:{ACCOUNT}"
            }
            await http.close()

        self.run(scenario())


class LinkedInDevices(LinkedInContract):
    """Ids of devices, in clear."""

    field = "GOOGLE_AID"

    def name_of(self, subject: int) -> str:
        """As devices name themselves."""
        return guid(subject)

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """In clear."""
        ids = pa.array([guid(n) for n in subjects], pa.string())
        return pa.table({self.field: ids}), {self.field: Form.CLEAR}


def test_devices_go_in_and_out(sandbox: SandboxServer) -> None:
    """Two facts of the contract that hold of each kind of identifier."""
    for fact in (
        LinkedInContract.test_rows_written_are_there_with_one_code_each,
        LinkedInContract.test_a_removal_takes_out_what_it_names_and_nothing_else,
    ):
        made = LinkedInDevices()
        made.begin(sandbox)
        fact(made)
