"""Google's own client drives the sandbox, and its message types read what we send."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from google.ads import datamanager_v1 as dm
from google.ads.datamanager_v1.services.ingestion_service.transports.rest import (
    IngestionServiceRestTransport,
)
from google.ads.datamanager_v1.services.user_list_service.transports.rest import (
    UserListServiceRestTransport,
)
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.google_ads_audience import GoogleAds, GoogleAdsSettings
from mayfly.connectors.destinations.google_ads_tokens import GivenToken
from mayfly.connectors.jobs import AT_ONCE
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext, Progress, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer

ACCOUNT = "1234567890"
PARENT = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"
A, B = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))
KEY_TYPE = dm.IngestedUserListInfo.UploadKeyType
DONE = dm.RequestStatusPerDestination.RequestStatus


class Given:
    """A token of a test."""

    def reveal(self) -> str:
        """The text."""
        return "token-1"


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxServer]:
    """One sandbox for the module."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


@pytest.fixture
def server(served: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> SandboxServer:
    """An empty one; the client, too, goes there without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served.app.google.reset()
    served.app.faults.planned.clear()
    served.app.recorder.clear()
    return served


class Client:
    """The vendor's own, of both services."""

    def __init__(self, server: SandboxServer, token: str = "token-1") -> None:
        where: dict[str, Any] = {
            "host": server.url.removeprefix("http://"),
            "url_scheme": "http",
            "credentials": Credentials(token=token),
        }
        self.members = dm.IngestionServiceClient(transport=IngestionServiceRestTransport(**where))
        self.lists = dm.UserListServiceClient(transport=UserListServiceRestTransport(**where))

    def made(self, name: str, kind: Any = KEY_TYPE.CONTACT_ID) -> dm.UserList:
        """A new list."""
        info = dm.IngestedUserListInfo(upload_key_types=[kind])
        wanted = dm.UserList(display_name=name, ingested_user_list_info=info)
        return self.lists.create_user_list(parent=PARENT, user_list=wanted, retry=None)

    def ingest(self, found: dm.UserList, *members: dm.AudienceMember, **more: Any) -> str:
        """Id of a request that adds members."""
        request = dm.IngestAudienceMembersRequest(
            destinations=[destination(found)],
            audience_members=members,
            **{"encoding": dm.Encoding.HEX, "terms_of_service": TERMS, **more},
        )
        return str(self.members.ingest_audience_members(request=request, retry=None).request_id)

    def status(self, request_id: str) -> dm.RequestStatusPerDestination:
        """Of the one destination."""
        request = dm.RetrieveRequestStatusRequest(request_id=request_id)
        answer = self.members.retrieve_request_status(request=request, retry=None)
        [found] = answer.request_status_per_destination
        return found


TERMS = dm.TermsOfService(customer_match_terms_of_service_status="ACCEPTED")


def destination(found: dm.UserList) -> dm.Destination:
    """A list as requests name it."""
    account = dm.ProductAccount(account_type="GOOGLE_ADS", account_id=ACCOUNT)
    return dm.Destination(operating_account=account, product_destination_id=str(found.id))


def person(*identifiers: dm.UserIdentifier) -> dm.AudienceMember:
    """A member by contact information."""
    return dm.AudienceMember(user_data=dm.UserData(user_identifiers=identifiers))


def fields_of(server: SandboxServer, found: dm.UserList) -> Any:
    """Who is in a list."""
    return server.app.google.members(str(found.id))["fields"]


def reasons(error: exceptions.GoogleAPICallError) -> list[tuple[str, str]]:
    """Path and reason of each field that is named."""
    found = [d for d in error.details if d["@type"].endswith("BadRequest")]
    return [(v["field"], v["reason"]) for d in found for v in d["fieldViolations"]]


def test_people_are_added_shown_and_removed(server: SandboxServer) -> None:
    """A request is processed first, then done, with what it held; a removal takes out its own."""
    client = Client(server)
    found = client.made("VIP")
    address = dm.AddressInfo(given_name=A, family_name=B, region_code="US", postal_code="94045")
    request_id = client.ingest(
        found,
        person(dm.UserIdentifier(email_address=A), dm.UserIdentifier(address=address)),
        person(dm.UserIdentifier(phone_number=B)),
    )
    assert client.status(request_id).request_status == DONE.PROCESSING
    assert fields_of(server, found) == {}
    status = client.status(request_id)
    assert status.request_status == DONE.SUCCESS
    counted = status.audience_members_ingestion_status.user_data_ingestion_status
    assert (counted.record_count, counted.user_identifier_count) == (2, 3)
    held = {"address": [f"{A} {B} US 94045"], "emailAddress": [A], "phoneNumber": [B]}
    assert fields_of(server, found) == held
    removal = dm.RemoveAudienceMembersRequest(
        destinations=[destination(found)],
        audience_members=[person(dm.UserIdentifier(email_address=A))],
        encoding=dm.Encoding.HEX,
    )
    gone = client.members.remove_audience_members(request=removal, retry=None).request_id
    server.app.google.finish()
    assert fields_of(server, found) == held | {"emailAddress": []}
    client.status(gone)
    [clearing] = [dm.RemoveAllAudienceMembersRequest(destinations=[destination(found)])]
    client.members.remove_all_audience_members(request=clearing, retry=None)
    server.app.google.finish()
    assert server.app.google.lists[str(found.id)].count == 0


def test_lists_are_found_by_id_and_by_name(server: SandboxServer) -> None:
    """Made once under one name, read with the type that they have, and found by a filter."""
    client = Client(server)
    first, second = client.made('say "hi"'), client.made("other", KEY_TYPE.USER_ID)
    assert client.lists.get_user_list(name=first.name, retry=None).display_name == 'say "hi"'
    assert list(second.ingested_user_list_info.upload_key_types) == [KEY_TYPE.USER_ID]
    assert second.membership_status == dm.UserList.MembershipStatus.OPEN
    request = dm.ListUserListsRequest(parent=PARENT, filter='display_name = "say \\"hi\\""')
    assert [x.id for x in client.lists.list_user_lists(request=request, retry=None)] == [first.id]
    pages = client.lists.list_user_lists(
        request=dm.ListUserListsRequest(parent=PARENT, page_size=1), retry=None
    )
    assert [x.id for x in pages] == [first.id, second.id]
    with pytest.raises(exceptions.BadRequest) as caught:
        client.made("other")
    assert reasons(caught.value) == [("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")]
    client.lists.delete_user_list(name=first.name, retry=None)
    with pytest.raises(exceptions.NotFound):
        client.lists.get_user_list(name=first.name, retry=None)


EMAIL = dm.UserIdentifier(email_address=A)
PHONE_IN_CLEAR = dm.UserIdentifier(phone_number="+15550100")
AT = "audience_members.audience_members[{}].user_data.user_identifiers"


@pytest.mark.parametrize(
    ("members", "more", "named"),
    [
        (
            [person(EMAIL), person(PHONE_IN_CLEAR)],
            {},
            [(AT.format(1) + ".user_identifiers[0].phoneNumber", "INVALID_HEX_ENCODING")],
        ),
        (
            [person(dm.UserIdentifier(email_address="ab" * 20))],
            {},
            [(AT.format(0) + ".user_identifiers[0].emailAddress", "INVALID_SHA256_FORMAT")],
        ),
        ([person(*[EMAIL] * 11)], {}, [(AT.format(0), "TOO_MANY_USER_IDENTIFIERS")]),
        ([], {}, [("audience_members", "REQUIRED_FIELD_MISSING")]),
        ([person(EMAIL)] * 10_001, {}, [("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")]),
        ([person(EMAIL)], {"encoding": 0}, [("encoding", "REQUIRED_FIELD_MISSING")]),
        (
            [person(EMAIL)],
            {"terms_of_service": None},
            [
                (
                    "terms_of_service.customer_match_terms_of_service_status",
                    "TERMS_AND_CONDITIONS_NOT_SIGNED",
                )
            ],
        ),
        (
            [person(EMAIL), dm.AudienceMember(user_id_data=dm.UserIdData(user_id="u"))],
            {},
            [("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED")],
        ),
        (
            [dm.AudienceMember(mobile_data=dm.MobileData(mobile_ids=[f"{'0' * 8}-" * 4]))],
            {},
            [
                (
                    "audience_members.audience_members[0].mobile_data.mobile_ids[0]",
                    "INVALID_MOBILE_ID_FORMAT",
                )
            ],
        ),
        (
            [dm.AudienceMember(user_id_data=dm.UserIdData(user_id="u"))],
            {},
            [("audience_members[0]", "INVALID_USER_LIST_TYPE")],
        ),
    ],
    ids=[
        *("a number in clear", "a short digest", "eleven identifiers", "nobody", "10,001 members"),
        *("no encoding", "no terms", "two kinds", "no mobile id", "a list of another kind"),
    ],
)
def test_what_google_refuses_is_refused_whole(
    server: SandboxServer,
    members: list[dm.AudienceMember],
    more: dict[str, Any],
    named: list[tuple[str, str]],
) -> None:
    """With the field and Google's own reason, and nothing is taken."""
    client = Client(server)
    found = client.made("VIP")
    with pytest.raises(exceptions.BadRequest) as caught:
        client.ingest(found, *members, **more)
    assert reasons(caught.value) == named
    assert server.app.google.jobs == {}


def test_faults_and_wrong_logins_reach_the_client(server: SandboxServer) -> None:
    """Each in the error model that it reads: 503, 429 with the limit's name, and 401."""
    client = Client(server)
    found = client.made("VIP")
    for kind, error in (
        ("503", exceptions.ServiceUnavailable),
        ("429", exceptions.TooManyRequests),
    ):
        server.app.faults.add({"path": "/v1/audienceMembers:", "kind": kind})
        with pytest.raises(error):
            client.ingest(found, person(EMAIL))
    with pytest.raises(RefreshError):  # of a 401, which it answers with a new token
        Client(server, "token-2").ingest(found, person(EMAIL))
    with pytest.raises(exceptions.BadRequest) as caught:
        client.status("956aa6b6-f5b1-409d-aed0-d48b120ac6a9")
    assert reasons(caught.value) == [("request_id", "INVALID_REQUEST_ID")]
    server.app.google.fails_with = ["INTERNAL_ERROR"]
    request_id = client.ingest(found, person(EMAIL))
    client.status(request_id)
    failed = client.status(request_id)
    assert failed.request_status == DONE.FAILED
    assert failed.error_info.error_counts[0].reason.name.endswith("INTERNAL_ERROR")


FORMS = {
    "emailAddress": Form.DIGEST,
    "phoneNumber": Form.DIGEST,
    "givenName": Form.DIGEST,
    "familyName": Form.DIGEST,
    "regionCode": Form.CLEAR,
    "postalCode": Form.CLEAR,
}


def batch(rows: pa.Table, operation: Operation, identifier: str | None = None) -> ProtectedBatch:
    """Sealed as the gate would seal it."""
    head = BatchHead(
        sync="vip",
        run="r",
        number=0,
        of=1,
        operation=operation,
        rows=rows.num_rows,
        identifier=identifier,
    )
    forms = {**FORMS, "mobileIds": Form.CLEAR, "userId": Form.PSEUDONYM}
    return ProtectedBatch(head, rows, {n: forms[n] for n in rows.column_names}, seal=THE_SEAL)


def sent(server: SandboxServer, rows: pa.Table, *batches: ProtectedBatch) -> list[Any]:
    """Bodies and paths of what the connector sends."""
    forms = {**FORMS, "mobileIds": Form.CLEAR, "userId": Form.PSEUDONYM}
    context = DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name="VIP",
        key=(),
        columns={n: rows.schema.field(n).type for n in rows.column_names},
        forms={n: forms[n] for n in rows.column_names},
    )
    settings = GoogleAdsSettings(
        account_id=ACCOUNT,
        audience="VIP",
        may_personalise=False,
        login_account_id="9876543210",
        endpoint=server.url,
        pace=AT_ONCE,
    )

    async def scenario() -> None:
        http = HttpxClient(["127.0.0.1"])
        connector = GoogleAds(settings, GivenToken(Given()), http, context)
        for one in batches:
            answer = await connector.write(one, Progress(rows=len(one)))
            assert isinstance(answer, Submitted)
        await connector.close()

    asyncio.run(scenario())
    calls = server.app.recorder.requests()
    return [(r["path"], r["body"]) for r in calls if r["path"].startswith("/v1/audienceMembers")]


def digest(text: str) -> bytes:
    """SHA-256."""
    return hashlib.sha256(text.encode()).digest()


def test_our_requests_are_google_s_messages(server: SandboxServer) -> None:
    """Read by the vendor's own types, every value is where it belongs, and there is no other."""
    rows = pa.table(
        {
            "emailAddress": pa.array([digest("e0"), None], pa.binary()),
            "phoneNumber": pa.array([None, digest("p1")], pa.binary()),
            "givenName": pa.array([digest("g0"), digest("g1")], pa.binary()),
            "familyName": pa.array([digest("f0"), digest("f1")], pa.binary()),
            "regionCode": pa.array(["fr", "US"]),
            "postalCode": pa.array([" 69001 ", None]),
        }
    )
    removal = batch(rows.select(["emailAddress"]).slice(0, 1), Operation.REMOVE, "emailAddress")
    [added, removed] = sent(server, rows, batch(rows, Operation.ADD), removal)
    assert (added[0], removed[0]) == ("/v1/audienceMembers:ingest", "/v1/audienceMembers:remove")
    request = dm.IngestAudienceMembersRequest.from_json(added[1], ignore_unknown_fields=False)
    [to] = request.destinations
    assert (to.operating_account.account_id, to.login_account.account_id) == (ACCOUNT, "9876543210")
    assert to.product_destination_id == next(iter(server.app.google.lists))
    first, second = (list(m.user_data.user_identifiers) for m in request.audience_members)
    assert first[0].email_address == digest("e0").hex()
    address = first[1].address
    assert (address.region_code, address.postal_code) == ("FR", "69001")
    assert (address.given_name, address.family_name) == (digest("g0").hex(), digest("f0").hex())
    # A part of an address is none: it is left out.
    assert [x.phone_number for x in second] == [digest("p1").hex()]
    assert request.encoding == dm.Encoding.HEX
    assert request.consent.ad_user_data == dm.ConsentStatus.CONSENT_GRANTED
    assert request.consent.ad_personalization == dm.ConsentStatus.CONSENT_DENIED
    assert request.terms_of_service == TERMS
    gone = dm.RemoveAudienceMembersRequest.from_json(removed[1], ignore_unknown_fields=False)
    [member] = gone.audience_members
    assert [x.email_address for x in member.user_data.user_identifiers] == [digest("e0").hex()]


@pytest.mark.parametrize(
    ("field", "column", "said"),
    [
        (
            "mobileIds",
            pa.array(["00000000-0000-4000-8000-000000000000"]),
            dm.AudienceMember(
                mobile_data=dm.MobileData(mobile_ids=["00000000-0000-4000-8000-000000000000"])
            ),
        ),
        (
            "userId",
            pa.array([digest("u")], pa.binary()),
            dm.AudienceMember(user_id_data=dm.UserIdData(user_id=digest("u").hex())),
        ),
    ],
)
def test_the_other_kinds_are_google_s_messages_too(
    server: SandboxServer, field: str, column: pa.Array, said: dm.AudienceMember
) -> None:
    """Mobile ids and user ids, each alone in a list of its own kind."""
    kind = KEY_TYPE.MOBILE_ID if field == "mobileIds" else KEY_TYPE.USER_ID
    info = dm.IngestedUserListInfo(upload_key_types=[kind])
    info.mobile_id_info = dm.MobileIdInfo(key_space="IOS", app_id="com.example.app")
    Client(server).lists.create_user_list(
        parent=PARENT,
        user_list=dm.UserList(display_name="VIP", ingested_user_list_info=info),
        retry=None,
    )
    rows = pa.table({field: column})
    [(_, body)] = sent(server, rows, batch(rows, Operation.ADD))
    request = dm.IngestAudienceMembersRequest.from_json(body, ignore_unknown_fields=False)
    assert list(request.audience_members) == [said]
    server.app.google.finish()
    [found] = server.app.google.lists.values()
    assert found.count == 1


def test_the_sandbox_has_the_same_law_over_http(server: SandboxServer) -> None:
    """A body with a key that no message has is refused, and so is a path that is none."""
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        headers = {"authorization": "Bearer token-1"}
        wrong = http.post("/v1/audienceMembers:ingest", json={"people": []}, headers=headers)
        assert wrong.status_code == 400
        assert http.post("/v1/audienceMembers:sing", headers=headers).status_code == 404
        assert http.post("/v1/audienceMembers:ingest", json={}).status_code == 401
