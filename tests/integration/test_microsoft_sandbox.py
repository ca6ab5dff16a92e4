"""Microsoft's own client drives the sandbox, and its models read what we send.

It takes seconds to be imported. What stands around it (`bingads.service_client`) is left alone: it
changes pydantic itself, for every model of the process.
"""

from __future__ import annotations

import asyncio
import importlib
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.domain.batch import Operation
from mayfly.ports.destination import Progress
from mayfly.sandbox.server import SandboxServer
from microsoft_world import (
    ACCOUNT,
    CUSTOMER,
    DEVELOPER_TOKEN,
    TOKEN,
    batch,
    digest,
    microsoft,
)

pytestmark = pytest.mark.slow
BASE = "/CampaignManagement/v13"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "DeveloperToken": DEVELOPER_TOKEN,
    "CustomerAccountId": ACCOUNT,
    "CustomerId": CUSTOMER,
}
WANTED = {
    "Name": "Größte Kunden",
    "Type": "CustomerList",
    "Scope": "Account",
    "ParentId": ACCOUNT,
    "MembershipDuration": 390,
    "Description": "Kept by Mayfly",
}
A, B = digest("a").hex(), digest("b").hex()


@pytest.fixture(scope="module")
def sdk() -> SimpleNamespace:
    """The client's classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SimpleNamespace(
            models=importlib.import_module("openapi_client.models.campaign"),
            api=importlib.import_module("openapi_client.api.campaign_management_service_api"),
            client=importlib.import_module("openapi_client.api_client").ApiClient,
            configuration=importlib.import_module("openapi_client.configuration").Configuration,
            error=importlib.import_module("openapi_client.exceptions").ApiException,
        )


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxServer]:
    """One sandbox for the module."""
    with SandboxServer(tokens=frozenset({TOKEN})) as server:
        yield server


@pytest.fixture
def server(served: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> SandboxServer:
    """An empty one; the client goes there without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served.app.microsoft.reset()
    served.app.faults.planned.clear()
    served.app.recorder.clear()
    return served


class Client:
    """The vendor's own, of one token."""

    def __init__(self, sdk: SimpleNamespace, server: SandboxServer, token: str = TOKEN) -> None:
        client = sdk.client(sdk.configuration(host=server.url))
        for name, value in {**HEADERS, "Authorization": f"Bearer {token}"}.items():
            client.set_default_header(name, value)
        self._sdk = sdk
        self._api = sdk.api.CampaignManagementServiceApi(client)

    def made(self, **changes: Any) -> Any:
        """The answer to making a list."""
        audience = self._sdk.models.CustomerList.from_dict({**WANTED, **changes})
        request = self._sdk.models.AddAudiencesRequest(Audiences=[audience])
        return self._api.add_audiences(request)

    def not_made(self, **changes: Any) -> Any:
        """The errors of one that is not. The client's model refuses the null that its documentation
        has in place of an id, so that the answer is read without it.
        """
        audience = self._sdk.models.CustomerList.from_dict({**WANTED, **changes})
        request = self._sdk.models.AddAudiencesRequest(Audiences=[audience])
        raw = self._api.add_audiences_without_preload_content(request)
        answer = orjson.loads(raw.read())
        assert answer["AudienceIds"] == [None]
        return [
            (e.index, e.code, e.error_code)
            for e in map(self._sdk.models.BatchError.from_dict, answer["PartialErrors"])
        ]

    def found(self, *ids: str) -> Any:
        """The answer to asking for lists."""
        body = {"Type": "CustomerList", "AudienceIds": list(ids) or None}
        request = self._sdk.models.GetAudiencesByIdsRequest.from_dict(body)
        return self._api.get_audiences_by_ids(request)

    def applied(self, action: str, list_id: str, *items: str, **changes: Any) -> Any:
        """The answer to people."""
        data = {
            "AcceptCustomerMatchTerm": True,
            "ActionType": action,
            "AudienceId": list_id,
            "CustomerListItemSubType": "Email",
            "CustomerListItems": list(items),
        }
        body = {"CustomerListUserData": {**data, **changes}}
        request = self._sdk.models.ApplyCustomerListUserDataRequest.from_dict(body)
        return self._api.apply_customer_list_user_data(request)


def members(server: SandboxServer, list_id: str) -> list[str]:
    """Of a list."""
    return list(server.app.microsoft.members({"audience": list_id})["fields"]["Email"])


def errors(answer: Any) -> list[tuple[int, int, str]]:
    """Place, number and name of each error that the client read."""
    return [(e.index, e.code, e.error_code) for e in answer.partial_errors]


def test_the_client_makes_finds_fills_and_empties_a_list(
    sdk: SimpleNamespace, server: SandboxServer
) -> None:
    """Each wrong item is named by its place; a list is replaced; a name is given once."""
    client = Client(sdk, server)
    [list_id] = client.made().audience_ids
    [found] = client.found(list_id).audiences
    assert type(found).__name__ == "CustomerList"
    assert (found.id, found.name, found.membership_duration) == (list_id, "Größte Kunden", 390)
    assert [x.id for x in client.found().audiences] == [list_id]
    assert errors(client.found(list_id, "7")) == [(1, 4835, "InvalidAudienceId")]
    answer = client.applied("Add", list_id, A, "ada@example.com", B, B.upper())
    assert errors(answer) == [(1, 8004, "EmailMustBeHashed"), (3, 8004, "EmailMustBeHashed")]
    assert members(server, list_id) == sorted([A, B])
    assert errors(client.applied("Remove", list_id, A, A)) == []
    assert members(server, list_id) == [B]
    client.applied("Replace", list_id, A)
    assert members(server, list_id) == [A]
    assert client.not_made() == [(0, 4853, "DuplicateAudienceName")]
    assert client.not_made(Name="x" * 129) == [(0, 4838, "InvalidAudienceName")]
    for wrong in ({"MembershipDuration": 391}, {"ParentId": "7"}, {"Scope": "Customer"}):
        assert client.not_made(Name="other", **wrong) == [(0, 201, "ApiInputValidationError")]
    assert len(server.app.microsoft.audiences) == 1


def test_what_is_about_a_list_is_told_in_place_of_items(
    sdk: SimpleNamespace, server: SandboxServer
) -> None:
    """Terms, kind of item, action and list; and nothing is taken."""
    client = Client(sdk, server)
    [list_id] = client.made().audience_ids
    terms = (0, 8003, "CustomerListTermsAndConditionsNotAccepted")
    for accepted in (None, False):
        assert errors(client.applied("Add", list_id, A, AcceptCustomerMatchTerm=accepted)) == [
            terms
        ]
    kind = (0, 8002, "CustomerListItemSubTypeNotSupported")
    assert errors(client.applied("Add", list_id, A, CustomerListItemSubType="CRM")) == [kind]
    assert errors(client.applied("Add", "7", A)) == [(0, 8000, "InvalidCustomerListId")]
    action = (0, 8001, "InvalidCustomerListActionType")
    assert errors(client.applied("None", list_id, A)) == [action]
    assert members(server, list_id) == []
    server.app.microsoft.terms_accepted = True
    assert errors(client.applied("Add", list_id, A, AcceptCustomerMatchTerm=None)) == []


def test_faults_reach_the_client(sdk: SimpleNamespace, server: SandboxServer) -> None:
    """Too many items or none, wrong logins, and faults on demand, in the models that it reads."""
    client = Client(sdk, server)
    [list_id] = client.made().audience_ids

    def refused(call: Any) -> tuple[int, list[int]]:
        with pytest.raises(sdk.error) as caught:
            call()
        # The client itself reads faults by the model of another service, and loses their errors.
        data = sdk.models.ApplicationFault.from_dict(orjson.loads(caught.value.body))
        told = data.errors if type(data).__name__ == "AdApiFaultDetail" else data.operation_errors
        return caught.value.status, [e.code for e in told]

    for items in ([], [A] * 1_001):
        call = lambda items=items: client.applied("Add", list_id, *items)  # noqa: E731
        assert refused(call) == (400, [201])
    assert refused(lambda: Client(sdk, server, "token-2").found()) == (401, [109])
    assert refused(lambda: client.found(*["7"] * 101)) == (400, [201])
    for kind, told in (("401", (401, [109])), ("100", (400, [201])), ("429", (429, [117]))):
        server.app.faults.add({"path": BASE, "kind": kind})
        assert refused(client.found) == told
    assert members(server, list_id) == []


def test_our_requests_are_microsoft_s_messages(sdk: SimpleNamespace, server: SandboxServer) -> None:
    """Read by the vendor's own models, every value is where it belongs, and there is no other."""

    async def ours() -> None:
        connector = microsoft(HttpxClient(["127.0.0.1"]), url=server.url)
        added = batch(Operation.ADD, [digest("a"), None, digest("b")])
        await connector.write(added, Progress(rows=3))
        await connector.write(batch(Operation.REMOVE, [digest("a")]), Progress(rows=1))
        await connector.close()

    asyncio.run(ours())
    calls = server.app.recorder.requests()
    assert [call["path"].removeprefix(BASE) for call in calls] == [
        *("/Audiences/QueryByIds", "/Audiences"),
        *["/CustomerListUserData/Apply"] * 2,
    ]
    models = sdk.models
    kinds = (models.GetAudiencesByIdsRequest, models.AddAudiencesRequest)
    apply = models.ApplyCustomerListUserDataRequest
    read = [
        kind.from_dict(orjson.loads(call["body"]))
        for kind, call in zip((*kinds, apply, apply), calls, strict=True)
    ]
    assert str(read[0].type) in ("CustomerList", "AudienceType.CUSTOMERLIST")
    [audience] = read[1].audiences
    assert (audience.name, audience.parent_id, audience.scope.value) == (
        *("Contract", ACCOUNT, "Account"),
    )
    assert (audience.membership_duration, audience.description) == (390, "Kept by Mayfly")
    added, removed = (message.customer_list_user_data for message in read[2:])
    assert (added.action_type.value, added.customer_list_items) == ("Add", [A, B])
    assert (removed.action_type.value, removed.customer_list_items) == ("Remove", [A])
    for data in (added, removed):
        assert data.customer_list_item_sub_type.value == "Email"
        assert data.audience_id == "804000001"
        assert data.accept_customer_match_term is True
    known = {field.alias for field in models.CustomerListUserData.model_fields.values()}
    assert set(orjson.loads(calls[2]["body"])["CustomerListUserData"]) <= known
    assert members(server, "804000001") == [B]


def test_each_header_is_needed(server: SandboxServer) -> None:
    """As Microsoft has them."""
    headers = {**HEADERS, "Content-Type": "application/json"}
    found = {}
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for without in headers:
            sent = {name: value for name, value in headers.items() if name != without}
            reply = http.post(f"{BASE}/Audiences/QueryByIds", headers=sent, content=b"{}")
            found[without] = reply.status_code
        assert http.get(f"{BASE}/Campaigns", headers=headers).status_code == 400
    assert [*found.values()] == [401, 401, 400, 400, 400]
