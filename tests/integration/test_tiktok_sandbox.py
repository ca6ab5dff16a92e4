"""TikTok's own client drives the sandbox, and makes calls that it has no method for."""

from __future__ import annotations

import hashlib
import re
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mayfly.sandbox.server import SandboxServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import business_api_client as tiktok

TOKEN, ADVERTISER = "token-1", "42"
A, B = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """Takes one token."""
    with SandboxServer(tokens=frozenset({TOKEN})) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[Any]:
    """The vendor's client, at an empty sandbox."""
    sandbox.app.tiktok.reset()
    configuration = tiktok.Configuration()
    configuration.host = sandbox.url
    made = tiktok.ApiClient(configuration)
    yield made
    made.rest_client.pool_manager.clear()
    made.pool.close()
    made.pool.join()


def called(client: Any, path: str, body: Any, token: str = TOKEN) -> Any:
    """The data of the answer to a call that the client has no method for."""
    headers = {"Access-Token": token, "Content-Type": "application/json"}
    return client.call_api(
        f"/open_api/v1.3/{path}/",
        "POST",
        header_params=headers,
        body=body,
        response_type="InlineResponse200",
        _return_http_data_only=True,
    )["data"]


def code_of(call: Callable[[], Any]) -> int:
    """The code with which the client says that it was refused."""
    with pytest.raises(tiktok.TiktokSDKError) as caught:
        call()
    found = re.search("Error Code: ([0-9]+)", str(caught.value))
    assert found is not None
    return int(found[1])


def made(client: Any, name: str) -> str:
    """A new audience."""
    body = {"advertiser_id": ADVERTISER, "custom_audience_name": name, "action": "create"}
    return str(called(client, "segment/audience", body)["audience_id"])


def mapping(audience: str, *rows: Any, action: str = "add") -> dict[str, Any]:
    """Members, by e-mail and phone."""
    cells = [
        [{} if value is None else {"id": value, "audience_ids": [audience]} for value in row]
        for row in rows
    ]
    return {
        "advertiser_ids": [ADVERTISER],
        "action": action,
        "id_schema": ["EMAIL_SHA256", "PHONE_SHA256"],
        "batch_data": cells,
    }


def members(sandbox: SandboxServer, audience: str) -> Any:
    """Who is in an audience, as the sandbox's own page shows it."""
    query = {"vendor": "tiktok_ads", "audience": audience}
    url = f"{sandbox.url}/_sandbox/members"
    return httpx.get(url, params=query, trust_env=False).json()["fields"]


def test_members_come_and_go(sandbox: SandboxServer, client: Any) -> None:
    """Of an audience that the client's own method lists and deletes."""
    audience = made(client, "people")
    called(client, "segment/mapping", mapping(audience, (A, B), (B, None)))
    assert members(sandbox, audience) == {"EMAIL_SHA256": sorted((A, B)), "PHONE_SHA256": [B]}
    called(client, "segment/mapping", mapping(audience, (A, None), action="delete"))
    assert members(sandbox, audience)["EMAIL_SHA256"] == [B]
    api = tiktok.AudienceApi(client)
    listed = api.dmp_custom_audience_list(ADVERTISER, TOKEN, page=1, page_size=10)["data"]
    assert [(a["audience_id"], a["name"]) for a in listed["list"]] == [(audience, "people")]
    assert listed["page_info"]["total_page"] == 1
    body = tiktok.CustomAudienceDeleteBody(advertiser_id=ADVERTISER, custom_audience_ids=[audience])
    api.dmp_custom_audience_delete(TOKEN, body=body)
    assert sandbox.app.tiktok.audiences == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"advertiser_ids": []}, 40002),
        ({"advertiser_ids": ["43"]}, 40007),
        ({"action": "replace"}, 40002),
        ({"id_schema": ["EMAIL"]}, 40002),
        ({"id_schema": ["EMAIL_SHA256"]}, 40002),
        ({"id_schema": ["EMAIL_SHA256", "EMAIL_SHA256"]}, 40002),
        ({"batch_data": []}, 40061),
        ({"batch_data": [[{}, {}]]}, 40002),
        ({"batch_data": [[{"id": A}, {}]]}, 40002),
        ({"batch_data": [[{"id": "a@example.com", "audience_ids": ["1"]}, {}]]}, 40062),
        ({"batch_data": [[{"id": A, "audience_ids": []}, {}]]}, 40002),
        ({"batch_data": [[{"id": A, "audience_ids": ["9"]}, {}]]}, 40007),
        ({"batch_data": [[{}, {}]] * 10_001}, 40061),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_request_changes_nothing(
    sandbox: SandboxServer, client: Any, change: dict[str, Any], code: int
) -> None:
    """The status is 200, and the code says what is wrong."""
    audience = made(client, "people")
    right = mapping(audience, (A, B))
    assert code_of(lambda: called(client, "segment/mapping", {**right, **change})) == code
    assert members(sandbox, audience) == {}


def test_a_wrong_token_or_path_is_told_by_its_code(sandbox: SandboxServer, client: Any) -> None:
    """As is a page that does not exist."""
    api = tiktok.AudienceApi(client)
    assert code_of(lambda: called(client, "segment/mapping", {"a": 1}, token="other")) == 40105
    assert code_of(lambda: called(client, "segment/nothing", {"a": 1})) == 40400
    assert code_of(lambda: api.dmp_custom_audience_list("42", TOKEN, page_size=101)) == 40002
    assert code_of(lambda: called(client, "segment/audience", {"action": "create"})) == 40002


@pytest.mark.parametrize(("kind", "code"), [("503", 50000), ("429", 40100), ("401", 40105)])
def test_faults_come_in_the_vendors_envelope(
    sandbox: SandboxServer, client: Any, kind: str, code: int
) -> None:
    """With status 200, as everything of TikTok's."""
    sandbox.app.faults.add({"path": "/open_api/", "kind": kind})
    api = tiktok.AudienceApi(client)
    assert code_of(lambda: api.dmp_custom_audience_list(ADVERTISER, TOKEN)) == code
    assert api.dmp_custom_audience_list(ADVERTISER, TOKEN)["data"]["list"] == []


def event(**more: Any) -> dict[str, Any]:
    """An event of a pixel."""
    now = int(time.time())
    return {"event": "Purchase", "event_time": now, "event_id": "1", "user": {"email": A}, **more}


def track(*events: Any, **more: Any) -> dict[str, Any]:
    """A request with events."""
    return {"event_source": "web", "event_source_id": "C4A5", "data": list(events), **more}


def test_events_are_taken_once(sandbox: SandboxServer, client: Any) -> None:
    """Those of a test are kept apart."""
    sandbox.app.tiktok_events.reset()
    for _ in range(2):
        called(client, "event/track", track(event(), event(event_id="2")))
    called(client, "event/track", track(event(event_id="3"), test_event_code="TEST1"))
    query = {"vendor": "tiktok_events", "audience": "C4A5"}
    url = f"{sandbox.url}/_sandbox/members"
    taken = httpx.get(url, params=query, trust_env=False).json()
    assert [e["event_id"] for e in taken] == ["1", "2"]
    assert len(sandbox.app.tiktok_events.tests["C4A5"]) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"data": []}, 40002),
        ({"data": [event()] * 1_001}, 40061),
        ({"data": [event(), 7]}, 40002),
        ({"event_source": "tv"}, 40002),
        ({"event_source_id": ""}, 40002),
        ({"colour": "red"}, 40002),
        ({"data": [event(), event(event="")]}, 40002),
        ({"data": [event(), event(event_time="now")]}, 40002),
        ({"data": [event(), event(event_time=4_000_000_000)]}, 40002),
        ({"data": [event(), event(event_id=7)]}, 40002),
        ({"data": [event(), event(limited_data_use="no")]}, 40002),
        ({"data": [event(), event(user={})]}, 40002),
        ({"data": [event(), event(user={"email": "a@example.com"})]}, 40062),
        ({"data": [event(), event(user={"ttclid": A})]}, 40002),
        ({"data": [event(), event(properties={"value": "12"})]}, 40002),
        ({"data": [event(), event(page=[])]}, 40002),
    ],
)
def test_one_wrong_event_refuses_all(
    sandbox: SandboxServer, client: Any, wrong: dict[str, Any], code: int
) -> None:
    """And nothing of the request is taken."""
    sandbox.app.tiktok_events.reset()
    assert code_of(lambda: called(client, "event/track", {**track(event()), **wrong})) == code
    assert sandbox.app.tiktok_events.events == {}
