"""The sandbox of Zendesk, driven by a public client that was made from Zendesk's API reference;
Zendesk has none of its own for Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from zdesk import Zendesk as Client
from zdesk import ZendeskError

from mayfly.sandbox.server import SandboxServer

USER = {"external_id": "u1", "email": "jane@example.com", "name": "Jane"}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """An account without users."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


@pytest.fixture
def client(sandbox: SandboxServer) -> Any:
    """The client, with a token of the API."""
    return Client(sandbox.url, "admin@example.com", "token-1", True)


def results(client: Any, answer: Any) -> list[dict[str, Any]]:
    """Of a job, once it has ended."""
    job = answer["job_status"]
    while job["status"] in ("queued", "working"):
        job = client.job_status_show(job["id"])["job_status"]
    assert job["status"] == "completed"
    found: list[dict[str, Any]] = job["results"]
    return found


def test_users_are_made_found_and_deleted_for_good(client: Any, sandbox: SandboxServer) -> None:
    """By either key, without regard to case."""
    [made] = results(client, client.users_create_or_update_many({"users": [USER]}))
    assert (made["status"], made["email"]) == ("Created", "jane@example.com")
    assert sandbox.app.zendesk.mailed == ["jane@example.com"]
    for stub in ({"external_id": "U1"}, {"email": "JANE@example.com"}):
        [found] = results(client, client.users_create_or_update_many({"users": [stub]}))
        assert (found["status"], found["id"]) == ("Updated", made["id"])
    [shown] = client.users_show_many(ids=str(made["id"]))["users"]
    assert shown["role"] == "end-user"
    [gone] = results(client, client.users_destroy_many(ids=str(made["id"])))
    assert gone["status"] == "Deleted"
    client.deleted_user_delete(made["id"])
    with pytest.raises(ZendeskError):
        client.deleted_user_delete(made["id"])


def test_a_new_user_needs_a_name(client: Any, sandbox: SandboxServer) -> None:
    """Nobody is made without; what stands in `id` then is the index."""
    users = [USER, {"external_id": "u2"}, {**USER, "external_id": "u3", "email": "a@example.com_"}]
    told = results(client, client.users_create_or_update_many({"users": users}))
    assert [(r["status"], r["index"]) for r in told] == [
        ("Created", 0),
        ("Failed", 1),
        ("Failed", 2),
    ]
    assert len(sandbox.app.zendesk.users) == 1


def test_a_hundred_users_at_a_time(client: Any) -> None:
    """And thirty jobs that wait."""
    users = [{"external_id": str(n), "name": "x"} for n in range(101)]
    assert len(results(client, client.users_create_or_update_many({"users": users[:100]}))) == 100
    with pytest.raises(ZendeskError, match="400"):
        client.users_create_or_update_many({"users": users})
    for _ in range(30):
        client.users_create_or_update_many({"users": [USER]})
    # The client would wait, and ask again.
    reply = httpx.post(
        f"{client.zdesk_url}/api/v2/users/create_or_update_many",
        json={"users": [USER]},
        headers={"authorization": "Bearer token-1"},
        trust_env=False,
    )
    assert reply.status_code == 429


def test_fields_are_listed(client: Any) -> None:
    """With key and type."""
    found = {f["key"]: f["type"] for f in client.user_fields_list()["user_fields"]}
    assert found["is_vip"] == "checkbox"


def test_an_unknown_login_is_refused(sandbox: SandboxServer) -> None:
    """But for the question who one is."""
    stranger = Client(sandbox.url, "admin@example.com", "wrong", True)
    assert stranger.call("/api/v2/users/me.json")["user"]["id"] is None
    with pytest.raises(ZendeskError, match="401"):
        stranger.user_fields_list()
