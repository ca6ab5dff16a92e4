"""The sandbox of Intercom, driven by Intercom's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from intercom import Intercom as Client
from intercom.core.api_error import ApiError
from intercom.types import (
    MultipleFilterSearchRequest,
    SingleFilterSearchRequest,
    StartingAfterPaging,
)

from mayfly.sandbox.server import SandboxServer


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A workspace without contacts."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """The client's own would stay open."""
    with httpx.Client(trust_env=False) as opened:
        yield opened


@pytest.fixture
def client(sandbox: SandboxServer, http: httpx.Client) -> Any:
    """The client, with the workspace's token."""
    return Client(token="token-1", base_url=sandbox.url, httpx_client=http)


def one_of(field: str, *values: str) -> Any:
    """A search for users of these values."""
    by_key = SingleFilterSearchRequest(field=field, operator="IN", value=list(values))  # type: ignore[arg-type]
    users = SingleFilterSearchRequest(field="role", operator="=", value="user")
    return MultipleFilterSearchRequest(operator="AND", value=[by_key, users])


def refused(status: int, call: Any, *given: Any, **named: Any) -> Any:
    """What a call that is refused is answered with."""
    with pytest.raises(ApiError) as caught:
        call(*given, **named)
    assert caught.value.status_code == status
    return caught.value.body


def test_a_contact_is_made_found_written_and_deleted(client: Any) -> None:
    """By its id; a search names it by its key."""
    made = client.contacts.create(
        request={"role": "user", "external_id": "u1", "email": "jane@example.com"}
    )
    found = list(client.contacts.search(query=one_of("external_id", "u1", "u2")).items or [])
    assert [c.id for c in found] == [made.id]
    attributes = {"plan": "pro", "vip": True}
    written = client.contacts.update(made.id, name="Jane", custom_attributes=attributes)
    assert (written.name, written.custom_attributes) == ("Jane", attributes)
    assert client.contacts.delete(made.id).deleted is True
    refused(404, client.contacts.find, made.id)


def test_whoever_is_there_is_named(client: Any, sandbox: SandboxServer) -> None:
    """By the refusal to make them again, archived or not."""
    given = {"role": "user", "external_id": "u1"}
    made = client.contacts.create(request=given)
    error = refused(409, client.contacts.create, request=given)
    assert f"A contact matching those details already exists with id={made.id}" in str(error)
    client.contacts.archive(made.id)
    assert not client.contacts.search(query=one_of("external_id", "u1")).items
    error = refused(409, client.contacts.create, request=given)
    assert f"An archived contact matching those details already exists with id={made.id}" in str(
        error
    )
    client.contacts.unarchive(made.id)
    sandbox.app.intercom.merged.add(made.id)
    refused(410, client.contacts.find, made.id)


def test_pages_of_a_search(client: Any) -> None:
    """To the end."""
    for n in range(7):
        client.contacts.create(request={"role": "user", "external_id": f"u{n}"})
    query = one_of("external_id", *(f"u{n}" for n in range(7)))
    first = client.contacts.search(query=query, pagination=StartingAfterPaging(per_page=4))
    place = first.response.pages.next.starting_after
    paging = StartingAfterPaging(per_page=4, starting_after=place)
    second = client.contacts.search(query=query, pagination=paging)
    assert second.response.pages.next is None
    assert len({c.id for c in (*first.items, *second.items)}) == 7


def test_what_is_wrong_in_a_contact_is_refused(client: Any, sandbox: SandboxServer) -> None:
    """An address that is none, an attribute that is not there or of another type."""
    create = client.contacts.create
    refused(400, create, request={"role": "user", "email": "none"})
    for own in ({"none": "x"}, {"plan": 7}, {"vip": 1}, {"since": "today"}):
        refused(400, create, request={"role": "user", "custom_attributes": own})
    assert sandbox.app.intercom.contacts == {}


def test_tags_and_subscriptions(client: Any) -> None:
    """Of one contact."""
    made = client.contacts.create(request={"role": "user", "external_id": "u1"})
    tag = client.tags.create(request={"name": "VIP"})
    assert [t.name for t in client.tags.list().data] == ["VIP"]
    client.tags.tag_contact(made.id, tag_id=tag.id)
    client.tags.untag_contact(made.id, tag.id)
    refused(404, client.tags.untag_contact, made.id, tag.id)
    types = {s.id: s.consent_type for s in client.subscription_types.list().data}
    assert types == {"91": "opt_in", "92": "opt_out"}
    attach = client.contacts.attach_subscription
    attach(made.id, subscription_id="91", consent_type="opt_in")
    refused(400, attach, made.id, subscription_id="92", consent_type="opt_in")
    listed = client.contacts.list_attached_subscriptions(made.id).data
    assert [s.id for s in listed] == ["91"]
    client.contacts.detach_subscription(made.id, "91")


def test_what_the_workspace_has(client: Any, sandbox: SandboxServer, http: httpx.Client) -> None:
    """And an unknown token has nothing."""
    me = client.admins.identify()
    assert (me.app.id_code, me.app.region) == ("ab12cd34", "US")
    names = {a.name for a in client.data_attributes.list(model="contact").data if a.custom}
    assert names == {"plan", "vip", "since", "spend"}
    stranger = Client(token="wrong", base_url=sandbox.url, httpx_client=http)
    refused(401, stranger.admins.identify)
