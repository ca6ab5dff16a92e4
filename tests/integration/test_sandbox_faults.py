"""Faults of the sandbox over a real connection."""

import hashlib
import json

import httpx
import pytest

from mayfly.sandbox.server import SandboxServer

A, B = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))


@pytest.fixture
def client():
    """A client of a fresh sandbox."""
    with (
        SandboxServer() as sandbox,
        httpx.Client(
            base_url=sandbox.url, headers={"authorization": "Bearer t"}, trust_env=False
        ) as http,
    ):
        yield http


def audience(client):
    """The id of a new audience."""
    given = {"name": "n", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    return client.post("/v26.0/act_1/customaudiences", json=given).json()["id"]


def plan(client, kind, **more):
    """Plan one fault on all of Meta's paths."""
    assert client.post("/_sandbox/faults", json={"path": "/v26.0", "kind": kind} | more).is_success


PEOPLE = {"payload": {"schema": ["EMAIL"], "data": [[A], [B]]}}


def test_a_missing_token_is_190(client):
    """Without a token nothing is answered."""
    client.headers.pop("authorization")
    reply = client.get("/v26.0/act_1")
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, 190)


def test_reset_cuts_the_connection_and_applies_nothing(client):
    """The client sees no answer at all; the audience stays empty."""
    number = audience(client)
    plan(client, "reset")
    with pytest.raises(httpx.TransportError):
        client.post(f"/v26.0/{number}/users", json=PEOPLE)
    assert client.get("/_sandbox/members", params={"audience": number}).json()["count"] == 0


def test_accept_then_hang_applies_and_never_answers(client):
    """The people are in, though the client ran out of time."""
    number = audience(client)
    plan(client, "accept_then_hang")
    with pytest.raises(httpx.ReadTimeout):
        client.post(f"/v26.0/{number}/users", json=PEOPLE, timeout=0.3)
    assert client.get("/_sandbox/members", params={"audience": number}).json()["count"] == 2


def test_partial_failure_counts_one_row_out(client):
    """One row is invalid and no member."""
    number = audience(client)
    plan(client, "partial_failure")
    assert client.post(f"/v26.0/{number}/users", json=PEOPLE).json()["num_invalid_entries"] == 1
    found = client.get("/_sandbox/members", params={"audience": number}).json()
    assert found["fields"] == {"EMAIL": [B]}


def test_garbage_redirect_and_retry_after(client):
    """Other faults answer as asked."""
    plan(client, "garbage")
    with pytest.raises(json.JSONDecodeError):
        json.loads(client.get("/v26.0/act_1").text)
    plan(client, "redirect")
    assert client.get("/v26.0/act_1").status_code == 302
    plan(client, "429", retry_after_seconds=7)
    reply = client.get("/v26.0/act_1")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert "x-business-use-case-usage" in client.get("/v26.0/act_1").headers


def test_requests_are_listed_without_token(client):
    """What came is shown with its body; the token is not."""
    number = audience(client)
    client.request("DELETE", f"/v26.0/{number}/users?access_token=hush", json=PEOPLE)
    listed = client.get("/_sandbox/requests")
    last = listed.json()[-1]
    assert (last["method"], last["path"]) == ("DELETE", f"/v26.0/{number}/users")
    assert A in last["body"]
    assert "hush" not in listed.text
