"""Pinterest's own client drives the sandbox, and its models read what we send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from openapi_generated.pinterest_client import ApiClient, Configuration
from openapi_generated.pinterest_client.api.audiences_api import AudiencesApi
from openapi_generated.pinterest_client.api.customer_lists_api import CustomerListsApi
from openapi_generated.pinterest_client.exceptions import ApiException
from openapi_generated.pinterest_client.model.audience_create_request import AudienceCreateRequest
from openapi_generated.pinterest_client.model.audience_rule import AudienceRule
from openapi_generated.pinterest_client.model.customer_list import CustomerList
from openapi_generated.pinterest_client.model.customer_list_request import CustomerListRequest
from openapi_generated.pinterest_client.model.customer_list_update_request import (
    CustomerListUpdateRequest,
)
from openapi_generated.pinterest_client.model_utils import validate_and_convert_types

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.pinterest_audience import Pinterest, PinterestSettings
from mayfly.connectors.jobs import AT_ONCE
from mayfly.domain.batch import Operation
from mayfly.ports.destination import Pending, Progress, Submitted
from mayfly.privacy.gate import ProtectedBatch
from mayfly.sandbox.server import SandboxServer
from scripted_http import Token, batch, context, digest

ACCOUNT = "549755885175"
MANY = ",".join(digest(n).hex() for n in range(120))


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxServer]:
    """One sandbox for the module."""
    with SandboxServer(tokens=frozenset({"token-1"})) as made:
        yield made


@pytest.fixture
def server(served: SandboxServer) -> SandboxServer:
    """An empty one."""
    served.app.pinterest.reset()
    served.app.faults.planned.clear()
    served.app.recorder.clear()
    return served


class Client:
    """The vendor's own."""

    def __init__(self, server: SandboxServer, token: str = "token-1") -> None:
        where = Configuration(host=f"{server.url}/v5", access_token=token)
        self.api = ApiClient(where)
        self.lists, self.audiences = CustomerListsApi(self.api), AudiencesApi(self.api)

    def made(self, records: str, kind: str = "EMAIL") -> CustomerList:
        """A new list."""
        wanted = CustomerListRequest(name="VIP", records=records, list_type=kind)
        return self.lists.customer_lists_create(ACCOUNT, wanted)

    def changed(self, list_id: str, operation: str, records: str) -> CustomerList:
        """The list after a change."""
        wanted = CustomerListUpdateRequest(operation_type=operation, records=records)
        return self.lists.customer_lists_update(ACCOUNT, list_id, wanted)

    def list_of(self, list_id: str) -> CustomerList:
        """A list."""
        return self.lists.customer_lists_get(ACCOUNT, list_id)


def test_a_list_lives_in_the_client_s_hands(server: SandboxServer) -> None:
    """Made, worked off, changed, found again; counters rise for who is absent or there already."""
    client = Client(server)
    made = client.made(MANY + ",")
    assert (made.status, made.num_batches, made.num_uploaded_user_records) == ("PROCESSING", 1, 120)
    assert [client.list_of(made.id).status for _ in range(2)] == ["PROCESSING", "READY"]
    changed = client.changed(made.id, "ADD", digest(0).hex())
    assert changed.num_uploaded_user_records == 121
    absent = f"{digest(0).hex()},{digest(999).hex()}"
    changed = client.changed(made.id, "REMOVE", absent)
    assert (changed.num_removed_user_records, changed.num_batches) == (2, 3)
    server.app.pinterest.finish()
    held = server.app.pinterest.customer_lists[made.id].members
    assert len(held) == 119
    client.changed(made.id, "REMOVE", MANY)
    server.app.pinterest.finish()
    assert client.list_of(made.id).status == "TOO_SMALL"
    [found] = client.lists.customer_lists_list(ACCOUNT, page_size=1)["items"]
    assert found["id"] == made.id


def test_an_audience_is_made_of_a_list_that_is_ready(server: SandboxServer) -> None:
    """And of no other; the client finds it by the list's id."""
    client = Client(server)
    made = client.made(MANY)
    wanted = AudienceCreateRequest(
        ad_account_id=ACCOUNT,
        name="VIP",
        rule=AudienceRule(customer_list_id=made.id),
        audience_type="CUSTOMER_LIST",
    )
    with pytest.raises(ApiException) as raised:
        client.audiences.audiences_create(ACCOUNT, wanted)
    assert raised.value.status == 400
    server.app.pinterest.finish()
    client.audiences.audiences_create(ACCOUNT, wanted)
    [found] = client.audiences.audiences_list(ACCOUNT)["items"]
    assert found["rule"]["customer_list_id"] == made.id


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        (digest(1).hex().upper(), "EMAIL"),
        (f"{digest(1).hex()};{digest(2).hex()}", "EMAIL"),
        ("Person1@example.com", "EMAIL"),
        ("00000000-0000-4000-8000-000000000001", "MAID"),
        ("person1@example.com", "MAID"),
        (",", "EMAIL"),
        ("", "EMAIL"),
    ],
)
def test_records_that_are_wrong_are_refused_whole(
    server: SandboxServer, records: str, kind: str
) -> None:
    """In Pinterest's error model, and without a value; no list is made."""
    with pytest.raises(ApiException) as raised:
        Client(server).made(records, kind)
    assert raised.value.status == 400
    assert set(orjson.loads(raised.value.body)) == {"code", "message"}
    assert len(records) < 2 or records not in str(raised.value.body)
    assert server.app.pinterest.customer_lists == {}


def test_a_clear_address_is_taken_where_pinterest_takes_it(server: SandboxServer) -> None:
    """That none goes out is the gate's work, and not the vendor's."""
    made = Client(server).made("person1@example.com")
    assert made.num_uploaded_user_records == 1


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("503", 503, 4197), ("429", 429, 8), ("401", 401, 2), ("100", 400, 4196)],
)
def test_faults_reach_the_client(server: SandboxServer, kind: str, status: int, code: int) -> None:
    """Each as an error of its own, with Pinterest's number; the next call works."""
    server.app.faults.add({"path": "/v5/", "kind": kind})
    client = Client(server)
    with pytest.raises(ApiException) as raised:
        client.made(MANY)
    assert (raised.value.status, orjson.loads(raised.value.body)["code"]) == (status, code)
    assert client.made(MANY).name == "VIP"


def test_what_is_not_there_is_told(server: SandboxServer) -> None:
    """A list of another account, too; and nobody is let in with another token."""
    client = Client(server)
    made = client.made(MANY)
    for account, list_id, status in ((ACCOUNT, "1", 404), ("1", made.id, 404)):
        with pytest.raises(ApiException) as raised:
            client.lists.customer_lists_get(account, list_id)
        assert raised.value.status == status
    with pytest.raises(ApiException) as raised:
        Client(server, token="other").list_of(made.id)
    assert raised.value.status == 401


def filled(server: SandboxServer, *batches: ProtectedBatch) -> None:
    """Batches through the connector and our own client, each to its end."""

    async def scenario() -> None:
        settings = PinterestSettings(
            account_id=ACCOUNT,
            access_token=Token(),
            audience="VIP",
            endpoint=server.url,
            pace=AT_ONCE,
        )
        made = Pinterest(settings, HttpxClient(["127.0.0.1"]), context("EMAIL"))
        for one in batches:
            answer = await made.write(one, Progress(rows=len(one)))
            assert isinstance(answer, Submitted)
            while isinstance(await made.poll(answer.job), Pending):
                pass
        await made.close()

    asyncio.run(scenario())


def test_our_requests_are_what_the_client_s_models_take(server: SandboxServer) -> None:
    """A list that is made, members added and removed, and an audience."""
    people: list[bytes | None] = [digest(n) for n in range(120)]
    filled(
        server,
        batch(Operation.ADD, "EMAIL", people),
        batch(Operation.ADD, "EMAIL", [digest(500)]),
        batch(Operation.REMOVE, "EMAIL", [digest(1)]),
    )
    asked = [r for r in server.app.recorder.requests() if r["method"] != "GET"]
    models = {
        "customer_lists": CustomerListRequest,
        "audiences": AudienceCreateRequest,
    }
    read: list[Any] = []
    for request in asked:
        name = str(request["path"]).rpartition("/")[2]
        model = models.get(name, CustomerListUpdateRequest)
        body = orjson.loads(request["body"])
        made = validate_and_convert_types(
            body, (model,), ["body"], True, True, configuration=Configuration()
        )
        assert ApiClient.sanitize_for_serialization(made) == body
        read.append(model)
    assert read == [
        CustomerListRequest,
        AudienceCreateRequest,
        CustomerListUpdateRequest,
        CustomerListUpdateRequest,
    ]


def test_the_client_and_the_connector_mean_the_same_list(server: SandboxServer) -> None:
    """Who was added by one is removed by the other."""
    client = Client(server)
    made = client.made(f"{digest(1).hex()},{digest(2).hex()}")
    filled(server, batch(Operation.REMOVE, "EMAIL", [digest(1)]))
    client.changed(made.id, "REMOVE", digest(2).hex())
    server.app.pinterest.finish()
    assert server.app.pinterest.customer_lists[made.id].members == set()


def test_pages_are_of_a_size_that_pinterest_takes(server: SandboxServer) -> None:
    """By bookmarks; none after the last."""
    for name in ("A", "B"):
        server.app.pinterest.make(ACCOUNT, name)
    url = f"{server.url}/v5/ad_accounts/{ACCOUNT}/customer_lists"
    headers = {"authorization": "Bearer token-1"}
    with httpx.Client(trust_env=False, headers=headers) as client:
        first = client.get(url, params={"page_size": 1}).json()
        second = client.get(url, params={"page_size": 1, "bookmark": first["bookmark"]}).json()
        assert [first["items"][0]["name"], second["items"][0]["name"]] == ["A", "B"]
        assert second["bookmark"] is None
        for wrong in ({"page_size": 251}, {"page_size": 0}, {"bookmark": "x"}):
            assert client.get(url, params=wrong).status_code == 400
