"""The vendor's own client drives the sandbox."""

import hashlib

import httpx
import pytest

from mayfly.sandbox.server import SandboxServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:facebook_business.*")
A, B = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))
SECRET = "s3cret"


@pytest.fixture(scope="module")
def server():
    """A sandbox whose account has an app secret."""
    with SandboxServer(app_secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture
def api(server, monkeypatch):
    """The vendor's client, pointed at the sandbox."""
    from facebook_business.api import FacebookAdsApi
    from facebook_business.session import FacebookSession

    monkeypatch.setattr(FacebookSession, "GRAPH", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    httpx.post(f"{server.url}/_sandbox/reset", trust_env=False)
    yield FacebookAdsApi.init(access_token="token", app_secret=SECRET)
    FacebookAdsApi.set_default_api(None)


def created(api):
    """A new audience."""
    from facebook_business.adobjects.adaccount import AdAccount

    return AdAccount("act_123").create_custom_audience(
        params={
            "name": "people",
            "subtype": "CUSTOM",
            "customer_file_source": "USER_PROVIDED_ONLY",
        }
    )


def members(server, audience):
    """Who is in an audience."""
    url = f"{server.url}/_sandbox/members"
    return httpx.get(url, params={"audience": audience["id"]}, trust_env=False).json()


def test_create_add_list_and_sessions(server, api):
    """Audiences are made and listed; a multi-key upload reaches them; its session is shown."""
    from facebook_business.adobjects.adaccount import AdAccount

    audience = created(api)
    answer = audience.create_user(
        params={
            "session": {"session_id": 5, "batch_seq": 1, "last_batch_flag": True},
            "payload": {"schema": ["EMAIL", "PHONE"], "data": [[A, B], ["nonsense", ""]]},
        }
    )
    assert answer["num_received"] == 2
    assert answer["num_invalid_entries"] == 1
    assert members(server, audience)["fields"] == {"EMAIL": [A], "PHONE": [B]}
    listed = AdAccount("act_123").get_custom_audiences(fields=["id", "name"])
    assert [item["name"] for item in listed] == ["people"]
    [session] = audience.get_sessions()
    assert session["stage"] == "completed"


def test_remove_by_delete_and_by_method(server, api):
    """People leave through DELETE, and through POST with method=delete."""
    audience = created(api)
    audience.create_user(params={"payload": {"schema": ["EMAIL"], "data": [[A], [B]]}})
    audience.delete_users(params={"payload": {"schema": ["EMAIL"], "data": [[A]]}})
    assert members(server, audience)["fields"] == {"EMAIL": [B]}
    audience.create_user(
        params={"method": "delete", "payload": {"schema": ["EMAIL"], "data": [[B]]}}
    )
    assert members(server, audience)["count"] == 0


def test_a_long_removal_in_the_address_is_refused(server, api):
    """The client puts removals into the URL; past the limit the sandbox refuses them."""
    from facebook_business.exceptions import FacebookRequestError

    audience = created(api)
    with pytest.raises(FacebookRequestError) as caught:
        audience.delete_users(params={"payload": {"schema": ["EMAIL"], "data": [[A]] * 300}})
    assert caught.value.http_status() == 414


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("503", 503, 2), ("429", 429, 80003), ("401", 401, 190)]
)
def test_faults_reach_the_client_in_the_vendors_envelope(server, api, kind, status, code):
    """The client reads code and status of a planned fault; the next call works."""
    from facebook_business.exceptions import FacebookRequestError

    fault = {"path": "/v", "kind": kind, "retry_after_seconds": 1}
    httpx.post(f"{server.url}/_sandbox/faults", json=fault, trust_env=False)
    with pytest.raises(FacebookRequestError) as caught:
        created(api)
    assert (caught.value.http_status(), caught.value.api_error_code()) == (status, code)
    assert created(api)["id"]


def test_a_wrong_secret_or_parameter_is_an_error(server, api):
    """A proof made with another secret is refused, as is an unknown audience."""
    from facebook_business.adobjects.customaudience import CustomAudience
    from facebook_business.api import FacebookAdsApi
    from facebook_business.exceptions import FacebookRequestError

    with pytest.raises(FacebookRequestError) as caught:
        CustomAudience("9").api_get()
    assert (caught.value.api_error_code(), caught.value.api_error_subcode()) == (100, 33)
    FacebookAdsApi.init(access_token="token", app_secret="other")
    with pytest.raises(FacebookRequestError):
        created(api)
