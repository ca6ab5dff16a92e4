"""The sandbox's datasets, driven by Meta's own client, and what they refuse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mayfly.sandbox.server import SandboxServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:facebook_business.*")
SECRET, TOKEN, DATASET = "s3cret", "token", "4242"
DIGEST = hashlib.sha256(b"a@example.com").hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """A sandbox whose calls need the proof of an app secret."""
    with SandboxServer(app_secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def send(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Sends events as the vendor's client does."""
    from facebook_business.adobjects.serverside.event import Event
    from facebook_business.adobjects.serverside.event_request import EventRequest
    from facebook_business.api import FacebookAdsApi
    from facebook_business.session import FacebookSession

    monkeypatch.setattr(FacebookSession, "GRAPH", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.app.datasets.reset()
    FacebookAdsApi.init(access_token=TOKEN, app_secret=SECRET)

    def sent(*events: Event, **more: Any) -> Any:
        return EventRequest(pixel_id=DATASET, events=list(events), **more).execute()

    yield sent
    FacebookAdsApi.set_default_api(None)


def event(**more: Any) -> Any:
    """An event with a person, as the client makes it."""
    from facebook_business.adobjects.serverside.action_source import ActionSource
    from facebook_business.adobjects.serverside.event import Event
    from facebook_business.adobjects.serverside.user_data import UserData

    given = {
        "event_name": "Lead",
        "event_time": int(time.time()) - 5,
        "event_id": "one",
        "action_source": ActionSource.PHYSICAL_STORE,
        "user_data": UserData(email="A@example.com", fbp="fb.1.1596403881668.1"),
    }
    return Event(**{**given, **more})


def taken(server: SandboxServer) -> list[dict[str, Any]]:
    """Events of the dataset."""
    query = {"vendor": "meta_conversions", "audience": DATASET}
    reply = httpx.get(f"{server.url}/_sandbox/members", params=query, trust_env=False)
    return list(reply.json()) if reply.status_code == 200 else []


def test_the_vendors_client_sends_events(server: SandboxServer, send: Callable[..., Any]) -> None:
    """As a form of texts of JSON; one of the same name and id is taken once."""
    from facebook_business.adobjects.serverside.custom_data import CustomData

    order = CustomData(value=12.5, currency="EUR", content_ids=["a", "b"])
    purchase = event(event_name="Purchase", event_id="two", custom_data=order)
    assert send(event(), purchase).events_received == 2
    assert send(event()).events_received == 1
    lead, bought = taken(server)
    assert lead["user_data"] == {"em": [DIGEST], "fbp": "fb.1.1596403881668.1"}
    assert bought["custom_data"] == {"value": 12.5, "currency": "eur", "content_ids": ["a", "b"]}


def test_a_test_is_none_of_the_events(server: SandboxServer, send: Callable[..., Any]) -> None:
    """Those with a test code are kept apart."""
    send(event(), test_event_code="TEST1")
    assert taken(server) == []
    assert len(server.app.datasets.tests[DATASET]) == 1


def test_one_wrong_event_refuses_all(server: SandboxServer, send: Callable[..., Any]) -> None:
    """The client reads Meta's code and subcode; nothing was taken."""
    from facebook_business.adobjects.serverside.user_data import UserData
    from facebook_business.exceptions import FacebookRequestError

    faults = {
        2804003: event(event_time=int(time.time()) - 63 * 24 * 3600),
        2804050: event(user_data=UserData(country_code="fr")),
    }
    for subcode, wrong in faults.items():
        with pytest.raises(FacebookRequestError) as caught:
            send(event(), wrong)
        assert (caught.value.api_error_code(), caught.value.api_error_subcode()) == (100, subcode)
    assert taken(server) == []


def raw(**more: Any) -> dict[str, Any]:
    """An event as JSON."""
    given = {
        "event_name": "Lead",
        "event_time": int(time.time()),
        "action_source": "other",
        "user_data": {"em": DIGEST},
    }
    return {**given, **more}


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_name": ""},
        {"event_time": "1795440000"},
        {"event_time": 2_000_000_000},
        {"event_id": 7},
        {"action_source": "shop"},
        {"action_source": "website"},
        {"opt_out": "yes"},
        {"event_source_url": "shop.example"},
        {"user_data": {}},
        {"user_data": {"em": "a@example.com"}},
        {"user_data": {"fbp": DIGEST}},
        {"user_data": {"shoe_size": "42"}},
        {"user_data": {"fn": DIGEST, "ge": DIGEST}},
        {"data_processing_options": ["NONE"]},
        {"data_processing_options": ["LDU"], "data_processing_options_country": 1},
        {"custom_data": {"value": "12"}},
        {"custom_data": {"currency": "euro"}},
        {"custom_data": {"content_ids": [1]}},
        {"event_name": "Purchase", "custom_data": {"value": 1}},
        {"favourite_colour": "red"},
    ],
    ids=str,
)
def test_what_meta_takes_in_no_event_is_refused(
    server: SandboxServer, wrong: dict[str, Any]
) -> None:
    """Though another event of the request is right."""
    server.app.datasets.reset()
    assert posted(server, [raw()])["events_received"] == 1
    server.app.datasets.reset()
    assert posted(server, [raw(), raw(**wrong)])["error"]["code"] == 100
    assert taken(server) == []


@pytest.mark.parametrize("data", [None, [], {}, "[", [1], [{}] * 1001], ids=lambda d: str(d)[:9])
def test_a_request_holds_a_list_of_up_to_a_thousand(server: SandboxServer, data: Any) -> None:
    """Anything else is refused before an event is looked at."""
    assert posted(server, data)["error"]["code"] == 100


def posted(server: SandboxServer, data: Any) -> Any:
    """The answer to a request."""
    import hmac

    proof = hmac.new(SECRET.encode(), TOKEN.encode(), "sha256").hexdigest()
    return httpx.post(
        f"{server.url}/v26.0/{DATASET}/events",
        params={"appsecret_proof": proof},
        headers={"authorization": f"Bearer {TOKEN}"},
        json={"data": data},
        trust_env=False,
    ).json()
