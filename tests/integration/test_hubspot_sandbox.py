"""HubSpot's own Python client drives the sandbox, and reads what the sandbox answers us."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from hubspot_world import NEWSLETTER, batch, context, made
from mayfly.connectors.destinations.hubspot_requests import Records, read_body, upsert_body
from mayfly.domain.batch import SyncMode
from mayfly.ports.destination import Progress
from mayfly.sandbox.server import SandboxServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from hubspot import HubSpot
    from hubspot.communication_preferences import PublicUpdateSubscriptionStatusRequest
    from hubspot.communication_preferences import exceptions as preference_errors
    from hubspot.crm import contacts, lists


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Takes one token."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


def to(sandbox: SandboxServer, api: Any, token: str = "token-1") -> Any:
    """One of the client's APIs, at the sandbox; each has a configuration of its own."""
    api.api_client.configuration.host = sandbox.url
    api.api_client.configuration.access_token = token
    return api


@pytest.fixture
def client(sandbox: SandboxServer) -> Any:
    """The vendor's client."""
    return HubSpot(access_token="token-1")


def upsert(inputs: list[dict[str, Any]]) -> Any:
    """A request of the client's models."""
    made_ = [contacts.SimplePublicObjectBatchInputUpsert(**entry) for entry in inputs]
    return contacts.BatchInputSimplePublicObjectBatchInputUpsert(inputs=made_)


def one(email: str, **more: Any) -> dict[str, Any]:
    """An input."""
    return {"id": email, "id_property": "email", "properties": {"email": email}, **more}


def test_the_client_writes_reads_archives_and_erases(sandbox: SandboxServer, client: Any) -> None:
    """What it knows of answers is all there; a contact comes back by its address."""
    api = to(sandbox, client.crm.contacts.batch_api)
    made_ = api.upsert(upsert([one("A@example.com"), one("b@example.com")]))
    assert [(r.new, r.properties["email"]) for r in made_.results] == [
        (True, "a@example.com"),
        (True, "b@example.com"),
    ]
    basic = to(sandbox, client.crm.contacts.basic_api)
    assert basic.get_by_id("b@example.com", id_property="email").id == made_.results[1].id
    api.archive(contacts.BatchInputSimplePublicObjectId(inputs=[{"id": made_.results[0].id}]))
    basic.purge(contacts.PublicGdprDeleteInput(object_id="b@example.com", id_property="email"))
    read = contacts.BatchReadInputSimplePublicObjectId(
        inputs=[{"id": "a@example.com"}],
        id_property="email",
        properties=["email"],
        properties_with_history=[],
    )
    assert api.read(read, archived=True).results[0].archived
    assert api.read(read).num_errors == 1


def test_the_client_reads_a_partial_answer(sandbox: SandboxServer, client: Any) -> None:
    """207: the row that is wrong is named by its trace id."""
    api = to(sandbox, client.crm.contacts.batch_api)
    told = api.upsert(
        upsert(
            [one("a@example.com", object_write_trace_id="1"), one("x", object_write_trace_id="2")]
        )
    )
    assert (told.num_errors, len(told.results)) == (1, 1)
    assert told.errors[0].context == {"objectWriteTraceId": ["2"]}


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ([one("a@example.com"), one("A@example.com")], 400),
        ([one("a@example.com"), one("x")], 400),
        ([one("a@example.com") | {"properties": {"emial": "x"}}], 400),
        ([one("a@example.com") | {"id_property": "city"}], 400),
        ([one(f"p{n}@example.com") for n in range(101)], 400),
        ([], 400),
    ],
)
def test_the_sandbox_refuses_what_hubspot_refuses(
    sandbox: SandboxServer, client: Any, inputs: list[dict[str, Any]], status: int
) -> None:
    """Doubles, wrong values without trace ids, properties that are not there, keys that are not
    unique, too many and none.
    """
    api = to(sandbox, client.crm.contacts.batch_api)
    with pytest.raises(contacts.ApiException) as caught:
        api.upsert(upsert(inputs))
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("BatchInputSimplePublicObjectBatchInputUpsert", "upsert"),
        ("BatchReadInputSimplePublicObjectId", "read"),
    ],
)
def test_our_requests_are_read_by_the_clients_models(model: str, body: str) -> None:
    """Each field is one that HubSpot's models have, and is read as what was written."""
    rows = Records(
        batch({"email": pa.array(["ä@example.com"]), "city": pa.array(["Łódź"])}), "email"
    )
    content = (
        upsert_body(rows.inputs(), (0,))
        if body == "upsert"
        else read_body(rows.identifiers(), (0,), "email")
    )
    read = contacts.ApiClient().deserialize(SimpleNamespace(data=content), model).to_dict()
    [entry] = read["inputs"]
    assert entry["id"] == "ä@example.com"
    if body == "upsert":
        assert entry["id_property"] == "email"
        assert entry["object_write_trace_id"] == "0"
        assert entry["properties"] == {"email": "ä@example.com", "city": "Łódź"}
    else:
        assert (read["id_property"], read["properties"]) == ("email", ["email"])


def test_a_wrong_token_is_refused(sandbox: SandboxServer) -> None:
    """As HubSpot says it."""
    api = to(sandbox, HubSpot(access_token="x").crm.contacts.batch_api, "x")
    with pytest.raises(contacts.ApiException) as caught:
        api.upsert(upsert([one("a@example.com")]))
    assert caught.value.status == 401


def test_lists_of_the_client_are_ours(sandbox: SandboxServer, client: Any) -> None:
    """It sees who our connector made a member, and takes one out."""

    async def scenario() -> None:
        given = context({"email": pa.string()}, mode=SyncMode.AUDIENCE)
        destination = made(sandbox.url, given, list_name="VIP")
        rows = batch({"email": pa.array(["a@example.com", "b@example.com"])})
        await destination.write(rows, Progress(rows=2))
        await destination.close()

    asyncio.run(scenario())
    listed = to(sandbox, client.crm.lists.lists_api).get_by_name("VIP", "0-1").list
    members = to(sandbox, client.crm.lists.memberships_api)
    found = [entry.record_id for entry in members.get_page(listed.list_id).results]
    assert len(found) == 2
    gone = members.remove(listed.list_id, [found[0], "999"])
    assert (gone.record_ids_removed, gone.record_ids_missing) == ([found[0]], ["999"])
    with pytest.raises(lists.ApiException) as caught:
        to(sandbox, client.crm.lists.lists_api).get_by_id("77")
    assert caught.value.status == 404


def test_properties_are_listed_for_the_client(sandbox: SandboxServer, client: Any) -> None:
    """With what our check asks for."""
    found = to(sandbox, client.crm.properties.core_api).get_all("contacts").results
    known = {p.name: p for p in found}
    assert known["customer_no"].has_unique_value
    assert known["createdate"].modification_metadata.read_only_value


def test_who_unsubscribes_by_the_client_is_not_subscribed_by_us(
    sandbox: SandboxServer, client: Any
) -> None:
    """The refusal at HubSpot is older than the yes of the source, and stands."""
    status = to(sandbox, client.communication_preferences.status_api)
    asked = PublicUpdateSubscriptionStatusRequest(
        email_address="a@example.com", subscription_id="4471"
    )
    status.unsubscribe(asked)

    async def scenario() -> None:
        given = context({"email": pa.string(), "subscription.newsletter": pa.bool_()})
        destination = made(sandbox.url, given, subscriptions={"newsletter": NEWSLETTER})
        rows = {
            "email": pa.array(["a@example.com", "b@example.com"]),
            "subscription.newsletter": pa.array([True, True]),
        }
        await destination.write(batch(rows), Progress(rows=2))
        await destination.close()

    asyncio.run(scenario())
    for address, told in (("a@example.com", "NOT_SUBSCRIBED"), ("b@example.com", "SUBSCRIBED")):
        found = status.get_email_status(address).subscription_statuses
        assert next(s.status for s in found if s.id == "4471") == told
    with pytest.raises(preference_errors.ApiException):
        status.unsubscribe(
            PublicUpdateSubscriptionStatusRequest(
                email_address="a@example.com", subscription_id="99"
            )
        )
