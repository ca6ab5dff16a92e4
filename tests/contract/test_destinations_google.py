"""The destination contract on Google Customer Match, over HTTP against the sandbox, and faults."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from contract.vendor_contract import ListContract
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.google_ads_audience import GoogleAds, GoogleAdsSettings
from mayfly.connectors.destinations.google_ads_tokens import GivenToken
from mayfly.connectors.jobs import AT_ONCE
from mayfly.domain.batch import SyncMode
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress, Submitted
from mayfly.privacy.gate import Form
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import email_digest, finished
from scripted_http import Token

ACCOUNT = "1234567890"


class GoogleContract(ListContract):
    """The connector through our own HTTP client."""

    resumes = False
    fields: tuple[str, ...] = ("emailAddress",)
    field = "emailAddress"
    path = "/v1/audienceMembers:ingest"
    batch_rows = 10_000

    def begin(self, sandbox: SandboxServer) -> None:
        """With nothing there."""
        super().begin(sandbox)
        self.vendor = sandbox.app.google
        self.vendor.reset()

    @property
    def lists(self) -> dict[str, Any]:
        """Of the account."""
        return self.vendor.lists

    def make(self) -> GoogleAds:
        """A connector with an HTTP client of its own."""
        settings = GoogleAdsSettings(
            account_id=ACCOUNT,
            audience="Contract",
            may_personalise=True,
            endpoint=self.sandbox.url,
            pace=AT_ONCE,
        )
        tokens = GivenToken(Token(self.token))
        return GoogleAds(settings, tokens, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """The sync that is served."""
        table, forms = self.rows([])
        return DestinationContext(
            workspace="shop",
            sync="contract",
            mode=SyncMode.AUDIENCE,
            object_name="Contract",
            key=(),
            columns={n: table.schema.field(n).type for n in table.column_names},
            forms=forms,
        )

    async def contents(self) -> set[str]:
        """Values of the first field in the account's only list."""
        lists = list(self.vendor.lists.values())
        assert len(lists) <= 1
        return set(lists[0].members.get(self.fields[0], ())) if lists else set()


class TestGoogleContacts(GoogleContract):
    """E-mail alone, and what goes wrong."""

    def test_a_request_that_fails_in_part_is_unconfirmed(self, sandbox: SandboxServer) -> None:
        """Google counts who failed and names nobody: all count as delivered, and it is told."""

        async def scenario() -> None:
            sandbox.app.faults.add({"path": self.path, "kind": "partial_failure"})
            outcomes = await self.written(self.added([1, 2, 3]))
            assert outcomes.codes.to_pylist() == [1, 1, 1]
            assert {r.vendor_code for r in outcomes.reasons.values()} == {"INVALID_FORMAT"}
            assert await self.contents() == {self.name_of(2), self.name_of(3)}

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("reason", "code"), [("NO_CONSENT", OutcomeCode.REJECTED), ("INTERNAL_ERROR", 3)]
    )
    def test_a_request_that_fails_has_taken_nobody(self, reason: str, code: int) -> None:
        """What was Google's own fault is deferred, anything else rejected."""

        async def scenario() -> None:
            self.vendor.fails_with = [reason]
            outcomes = await self.written(self.added([1, 2]))
            assert outcomes.codes.to_pylist() == [int(code)] * 2
            assert await self.contents() == set()

        asyncio.run(scenario())

    def test_another_connector_hears_of_a_job(self) -> None:
        """As after a restart: the reference is all that it needs, rows and warnings included."""

        async def scenario() -> None:
            self.vendor.polls = 3
            field = "audience_members.audience_members[1].user_data"
            self.vendor.warns = [(field, "WARNING_REASON_GENERIC")]
            first = self.make()
            answer = await first.write(self.added([1, 2, 3]), Progress(rows=3))
            await first.close()
            assert isinstance(answer, Submitted)
            other = self.make()
            outcomes = await finished(other, answer)
            assert outcomes.codes.to_pylist() == [0, 1, 0]
            assert outcomes.reasons[1].vendor_code == "GENERIC"
            await other.close()

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("503", "destination_busy"),
            ("429", "rate_limited"),
            ("401", "reauthorise"),
            ("100", "google_invalid_argument"),
            ("reset", "destination_unreachable"),
            ("garbage", "garbage_answer"),
            ("redirect", "redirected"),
        ],
    )
    def test_faults_change_nothing(self, kind: str, code: str) -> None:
        """Each is told by its code; the same batch goes afterwards."""
        self.run(self.nothing_changes(kind, code))

    def test_a_list_that_is_deleted_meanwhile_is_gone(self) -> None:
        """The run stops, and no row is blamed."""
        self.run(self.deleted_meanwhile())


class GoogleAddresses(GoogleContract):
    """Everything that a contact may have; what Google finds wrong is left out, one by one."""

    fields = ("emailAddress", "givenName", "familyName", "regionCode", "postalCode")

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Those above 1,000 have a postcode that their country has not."""
        table, forms = super().rows(subjects)
        digests = pa.array([hashlib.sha256(b"ada").digest() for _ in subjects], pa.binary())
        postcodes = pa.array(["7" if n > 1_000 else "94045" for n in subjects], pa.string())
        columns = {
            "givenName": digests,
            "familyName": digests,
            "regionCode": pa.array(["us" for _ in subjects], pa.string()),
            "postalCode": postcodes,
        }
        for name, column in columns.items():
            table = table.append_column(name, column)
        clear = ("regionCode", "postalCode")
        return table, {
            **forms,
            **{n: Form.CLEAR if n in clear else Form.DIGEST for n in columns},
        }

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the e-mail alone."""
        return *ListContract.rows(self, subjects), self.field


class GoogleUserIds(GoogleContract):
    """Ids of the customer's own, in a list of their own kind."""

    fields = ("userId",)

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Pseudonyms."""
        ids = pa.array([email_digest(n) for n in subjects], pa.binary())
        return pa.table({"userId": ids}), {"userId": Form.PSEUDONYM}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the same."""
        return *self.rows(subjects), "userId"


class GoogleMobileIds(GoogleContract):
    """Ids of devices, in a list that their owner has made."""

    fields = ("mobileIds",)

    def begin(self, sandbox: SandboxServer) -> None:
        """With an empty list of the app."""
        super().begin(sandbox)
        app = {"appId": "com.example.app", "keySpace": "ANDROID"}
        info = {"uploadKeyTypes": ["MOBILE_ID"], "mobileIdInfo": app}
        self.vendor.make(ACCOUNT, {"displayName": "Contract", "ingestedUserListInfo": info})

    def name_of(self, subject: int) -> str:
        """As devices name themselves."""
        return f"00000000-0000-4000-8000-{subject:012d}"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """In clear."""
        ids = pa.array([self.name_of(n) for n in subjects], pa.string())
        return pa.table({"mobileIds": ids}), {"mobileIds": Form.CLEAR}

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """By the same."""
        return *self.rows(subjects), "mobileIds"


@pytest.mark.parametrize("kind", [GoogleAddresses, GoogleUserIds, GoogleMobileIds])
def test_each_kind_goes_in_and_out(sandbox: SandboxServer, kind: type[GoogleContract]) -> None:
    """Two facts of the contract, which hold of the first identifier of each kind."""
    for fact in (
        GoogleContract.test_rows_written_are_there_with_one_code_each,
        GoogleContract.test_a_removal_takes_out_what_it_names_and_nothing_else,
    ):
        made = kind()
        made.begin(sandbox)
        fact(made)


@pytest.mark.parametrize("named_most", [None, 1])
def test_who_has_a_wrong_postcode_is_rejected_alone(
    sandbox: SandboxServer, named_most: int | None
) -> None:
    """Whether Google names all of them at once or one in each answer."""

    async def scenario() -> None:
        made = GoogleAddresses()
        made.begin(sandbox)
        made.vendor.named_most = named_most
        outcomes = await made.written(made.added([1, 1_001, 2, 1_002]))
        assert outcomes.codes.to_pylist() == [0, 2, 0, 2]
        assert outcomes.reasons[1].vendor_code == "INVALID_POSTAL_CODE"
        assert await made.contents() == {made.name_of(1), made.name_of(2)}
        [found] = made.vendor.lists.values()
        assert {text.split()[2] for text in found.members["address"]} == {"US"}

    asyncio.run(scenario())
