"""What the sandbox of Snap takes and refuses, by the examples of its documentation.

Snap has no client of its own for lists; our requests are held to the same examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mayfly.sandbox.server import SandboxServer
from mayfly.sandbox.snap import ROWS_MAX, Segment
from scripted_http import digest

ACCOUNT = "8adc3db7-8148-4fbf-999c-8d2266369d74"
A, B = digest(1).hex(), digest(2).hex()
NEW = {
    "name": "all the sams in the world",
    "description": "all the sams in the world",
    "source_type": "FIRST_PARTY",
    "retention_in_days": 180,
    "ad_account_id": ACCOUNT,
}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """One sandbox for the module."""
    with SandboxServer(tokens=frozenset({"token-1"})) as made:
        yield made


@pytest.fixture(scope="module")
def client(server: SandboxServer) -> Iterator[httpx.Client]:
    """Somebody who is logged in."""
    headers = {"authorization": "Bearer token-1"}
    with httpx.Client(base_url=f"{server.url}/v1", headers=headers, trust_env=False) as made:
        yield made


@pytest.fixture
def segment(server: SandboxServer) -> Segment:
    """The only list."""
    server.app.snap.reset()
    return server.app.snap.make(ACCOUNT, "VIP")


def users(*digests: Any, schema: Any = ("EMAIL_SHA256",), **more: Any) -> dict[str, Any]:
    """A request about people."""
    return {"users": [{"schema": list(schema), "data": [[d] for d in digests], **more}]}


def test_a_list_lives_as_the_documentation_shows(
    server: SandboxServer, client: httpx.Client
) -> None:
    """Made, listed, filled, worked off, emptied of one, cleared and deleted."""
    server.app.snap.reset()
    made = client.post(f"/adaccounts/{ACCOUNT}/segments", json={"segments": [NEW]}).json()
    assert made["request_status"].upper() == "SUCCESS"
    [entry] = made["segments"]
    found = entry["segment"]
    assert (found["name"], found["retention_in_days"]) == (NEW["name"], 180)
    path = f"/segments/{found['id']}"
    given = client.post(f"{path}/users", json=users(A, B)).json()
    assert given["users"][0]["user"] == {"number_uploaded_users": 2}

    def upload_status() -> str:
        [one] = client.get(path).json()["segments"]
        return str(one["segment"]["upload_status"])

    assert [upload_status(), upload_status()] == ["PROCESSING", "COMPLETE"]
    held = server.app.snap.segments[found["id"]].members
    assert held == {A, B}
    client.request("DELETE", f"{path}/users", json=users(A, id=found["id"])).raise_for_status()
    server.app.snap.finish()
    assert held == {B}
    client.delete(f"{path}/all_users").raise_for_status()
    server.app.snap.finish()
    assert held == set()
    client.delete(path).raise_for_status()
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        [],
        {"users": []},
        {"users": [{"schema": ["EMAIL_SHA256"], "data": []}]},
        users(A, schema=("EMAIL",)),
        users(A, schema=("EMAIL_SHA256", "PHONE_SHA256")),
        users(A, more=1),
        users(A.upper()),
        users("person1@example.com"),
        users(A, A),
        users(None),
        {"users": [{"schema": ["EMAIL_SHA256"], "data": [A]}]},
        {"users": [{"schema": ["EMAIL_SHA256"], "data": [[A, B]]}]},
        users(*(f"{n:064x}" for n in range(ROWS_MAX + 1))),
    ],
)
def test_a_request_that_is_wrong_is_refused_whole(
    client: httpx.Client, segment: Segment, body: Any
) -> None:
    """With a code, and without a value; nobody is taken."""
    how: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    reply = client.post(f"/segments/{segment.segment_id}/users", **how)
    assert reply.status_code == 400
    assert reply.json()["request_status"] == "ERROR"
    assert A not in reply.text
    assert segment.uploads == []


def test_a_list_takes_one_kind_of_identifier(client: httpx.Client, segment: Segment) -> None:
    """The one that came first; one that is no customer list takes none."""
    path = f"/segments/{segment.segment_id}/users"
    assert client.post(path, json=users(A, schema=("PHONE_SHA256",))).status_code == 200
    assert client.post(path, json=users(A)).status_code == 400
    segment.schema, segment.source = "", "LOOKALIKE"
    assert client.post(path, json=users(A)).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a" * 376},
        {"source_type": "PIXEL"},
        {"retention_in_days": 0},
        {"ad_account_id": "another"},
        {"more": 1},
    ],
)
def test_a_list_that_cannot_be_is_not_made(client: httpx.Client, wrong: dict[str, Any]) -> None:
    """Each for one thing."""
    body = {"segments": [{**NEW, **wrong}]}
    assert client.post(f"/adaccounts/{ACCOUNT}/segments", json=body).status_code == 400


def test_pages_follow_one_another(
    server: SandboxServer, client: httpx.Client, segment: Segment
) -> None:
    """By a link with a cursor; a page that is too short or of no place is refused."""
    server.app.snap.make(ACCOUNT, "Other")
    server.app.snap.page_size = 1
    path = f"/adaccounts/{ACCOUNT}/segments"
    first = client.get(path, params={"limit": 50}).json()
    assert [s["segment"]["id"] for s in first["segments"]] == [segment.segment_id]
    second = client.get(first["paging"]["next_link"]).json()
    assert [s["segment"]["name"] for s in second["segments"]] == ["Other"]
    assert second["paging"] == {}
    for params in ({"limit": 49}, {"limit": "x"}, {"cursor": "x"}):
        assert client.get(path, params=params).status_code == 400


def test_who_is_not_logged_in_sees_nothing(server: SandboxServer, segment: Segment) -> None:
    """Nor does one of another scheme; and there is nothing at other addresses."""
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic token-1"}):
        url = f"{server.url}/v1/segments/{segment.segment_id}"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 401
    headers = {"authorization": "Bearer token-1"}
    for path, status in (("segments/x", 404), (f"segments/{segment.segment_id}/users", 405)):
        reply = httpx.get(f"{server.url}/v1/{path}", headers=headers, trust_env=False)
        assert reply.status_code == status
