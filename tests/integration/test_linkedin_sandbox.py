"""LinkedIn's own client drives the sandbox and its log-in, and says what our requests should be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
from linkedin_api.clients.auth.client import AuthClient
from linkedin_api.clients.restli.client import RestliClient
from linkedin_api.common import constants

from linkedin_world import ACCOUNT, TOKEN, batch, digest, guid, linkedin
from mayfly.adapters.http import HttpxClient
from mayfly.domain.batch import Operation
from mayfly.ports.destination import Progress
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.sandbox.server import LoopbackServer, SandboxServer

URN = f"urn:li:sponsoredAccount:{ACCOUNT}"
WANTED = {
    "name": "Größte Kunden",
    "account": URN,
    "accessPolicy": "PRIVATE",
    "type": "USER",
    "sourcePlatform": "MAYFLY",
    "sourceSegmentId": "mayfly-1",
    "destinations": [{"destination": "LINKEDIN"}],
}
EMAIL = {"idType": "SHA256_EMAIL", "idValue": digest("a").hex()}
DEVICE = {"idType": "GOOGLE_AID", "idValue": guid(1)}
ADD = {"action": "ADD", "userIds": [EMAIL]}


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxServer]:
    """One sandbox for the module."""
    with SandboxServer(tokens=frozenset({TOKEN})) as server:
        yield server


@pytest.fixture
def server(served: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> SandboxServer:
    """An empty one; the client goes there, and without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "VERSIONED_BASE_URL", f"{served.url}/rest")
    served.app.linkedin.reset()
    served.app.faults.planned.clear()
    served.app.recorder.clear()
    return served


class Client:
    """The vendor's own, of one token and version."""

    def __init__(self, token: str = TOKEN, version: str = "202604") -> None:
        self._client = RestliClient()
        self._how: dict[str, Any] = {"access_token": token, "version_string": version}

    def made(self, **changes: Any) -> Any:
        """The answer to making a segment."""
        entity = {name: v for name, v in {**WANTED, **changes}.items() if v is not None}
        return self._client.create(resource_path="/dmpSegments", entity=entity, **self._how)

    def users(self, segment: str, *elements: Any) -> Any:
        """The answer to people."""
        return self._client.batch_create(
            resource_path="/dmpSegments/{id}/users",
            path_keys={"id": int(segment)},
            entities=list(elements),
            **self._how,
        )

    def found(self, **query: Any) -> list[Any]:
        """The account's segments."""
        asked = {"account": URN, **query}
        answer = self._client.finder(
            resource_path="/dmpSegments", finder_name="account", query_params=asked, **self._how
        )
        return list(answer.elements)

    def segment(self, segment: str) -> Any:
        """The answer to asking for one."""
        return self._client.get(
            resource_path="/dmpSegments/{id}", path_keys={"id": int(segment)}, **self._how
        )


def members(server: SandboxServer, segment: str) -> dict[str, list[str]]:
    """Of a segment, by type."""
    return dict(server.app.linkedin.members({"audience": segment})["fields"])


def test_the_client_makes_finds_fills_and_empties_a_segment(server: SandboxServer) -> None:
    """With the id in its header; each element is answered in order."""
    client = Client()
    segment = client.made().entity_id
    assert client.found() == [client.segment(segment).entity]
    [found] = client.found(sourcePlatform="MAYFLY", sourceSegmentId="mayfly-1")
    assert (str(found["id"]), found["name"]) == (segment, "Größte Kunden")
    assert found["destinations"][0]["status"] == "BUILDING"
    assert client.found(account="urn:li:sponsoredAccount:2") == []
    named = {"action": "ADD", "firstName": "Ada", "lastName": "Example"}
    answer = client.users(segment, {**ADD, "userIds": [EMAIL, DEVICE]}, named, {"action": "ADD"})
    assert [element.status for element in answer.elements] == [201, 201, 400]
    assert members(server, segment) == {
        "GOOGLE_AID": [guid(1)],
        "SHA256_EMAIL": [digest("a").hex()],
    }
    client.users(segment, {"action": "REMOVE", "userIds": [EMAIL]})
    assert members(server, segment) == {"GOOGLE_AID": [guid(1)], "SHA256_EMAIL": []}


WRONG_ELEMENTS: list[Any] = [
    {"userIds": [EMAIL]},
    {"action": "REPLACE", "userIds": [EMAIL]},
    {"action": "ADD", "userIds": []},
    {"action": "ADD", "userIds": "none"},
    {"action": "ADD", "firstName": "Ada"},
    {"action": "ADD", "userIds": [{"idType": "SHA256_EMAIL", "idValue": "ada@example.com"}]},
    {"action": "ADD", "userIds": [{**EMAIL, "idValue": digest("a").hex().upper()}]},
    {"action": "ADD", "userIds": [{"idType": "PHONE", "idValue": "15550100"}]},
    {"action": "ADD", "userIds": [{**DEVICE, "idValue": guid(1)[1:]}]},
    {"action": "ADD", "userIds": [{**EMAIL, "more": 1}]},
    {"action": "ADD", "userIds": [EMAIL], "phone": "1"},
    {"action": "ADD", "userIds": [EMAIL, {**DEVICE, "idValue": "x"}]},
]
WRONG_SEGMENTS: list[dict[str, Any]] = [
    {"name": " "},
    {"name": "x" * 201},
    {"account": "516848833"},
    {"account": None},
    {"type": "CAR"},
    {"destinations": [{"destination": "ELSEWHERE"}]},
    {"accessPolicy": "SECRET"},
    {"colour": "blue"},
]


def test_an_element_that_is_wrong_is_refused_alone(server: SandboxServer) -> None:
    """Nothing of it is taken, and its neighbour is."""
    client = Client()
    segment = client.made().entity_id
    answer = client.users(segment, *WRONG_ELEMENTS, {"action": "ADD", "userIds": [DEVICE]})
    assert [element.status for element in answer.elements] == [400] * len(WRONG_ELEMENTS) + [201]
    assert {e.error["code"] for e in answer.elements[:-1]} == {"ILLEGAL_ARGUMENT"}
    assert members(server, segment) == {"GOOGLE_AID": [guid(1)]}


def test_a_segment_that_is_wrong_is_not_made(server: SandboxServer) -> None:
    """The client is told so."""
    assert [Client().made(**wrong).status_code for wrong in WRONG_SEGMENTS] == [422] * 8
    assert server.app.linkedin.segments == {}


def test_requests_that_are_wrong_are_refused_whole(server: SandboxServer) -> None:
    """Too many elements or none, no segment, one of companies, another token, another version."""
    client = Client()
    segment = client.made().entity_id
    companies = client.made(type="COMPANY").entity_id
    asked = [
        (client, segment, [ADD] * 5_001, 400),
        (client, segment, [], 400),
        (client, "7", [ADD], 404),
        (client, companies, [ADD], 422),
        (Client(token="token-2"), segment, [ADD], 401),
        (Client(version="202510"), segment, [ADD], 426),
        (Client(version="202604.01"), segment, [ADD], 426),
    ]
    for who, which, elements, status in asked:
        with httpx.Client(trust_env=False) as http:
            reply = http.post(
                f"{server.url}/rest/dmpSegments/{which}/users",
                headers=headers_of(who),
                content=orjson.dumps({"elements": elements}),
            )
        assert (reply.status_code, orjson.loads(reply.content)["status"]) == (status, status)
    assert members(server, segment) == {}
    for kind, status in (("503", 503), ("429", 429), ("401", 401), ("100", 400)):
        server.app.faults.add({"path": "/rest/dmpSegments", "kind": kind})
        assert client.segment(segment).status_code == status


def headers_of(client: Client) -> dict[str, str]:
    """What the client sends with people."""
    how = client._how
    return {
        "authorization": f"Bearer {how['access_token']}",
        "linkedin-version": how["version_string"],
        "x-restli-protocol-version": "2.0.0",
        "x-restli-method": "BATCH_CREATE",
        "content-type": "application/json",
    }


def test_each_header_is_needed(server: SandboxServer) -> None:
    """As LinkedIn has them."""
    segment = Client().made().entity_id
    url = f"{server.url}/rest/dmpSegments/{segment}/users"
    found = {}
    with httpx.Client(trust_env=False) as http:
        for without in headers_of(Client()):
            headers = {n: v for n, v in headers_of(Client()).items() if n != without}
            reply = http.post(url, headers=headers, content=orjson.dumps({"elements": [ADD]}))
            found[without] = reply.status_code
    assert found.pop("authorization") == 401
    assert set(found.values()) == {400}
    assert members(server, segment) == {}


def test_our_requests_are_those_of_the_client(server: SandboxServer) -> None:
    """The same paths, queries and bodies, where both do the same; headers the sandbox demands."""
    rows = {"SHA256_EMAIL": [digest("a"), None], "GOOGLE_AID": [guid(1), guid(2)]}

    async def ours() -> None:
        http = HttpxClient(["127.0.0.1"])
        connector = linkedin(http, *rows, url=server.url, audience="Größte Kunden")
        await connector.write(batch(Operation.ADD, rows), Progress(rows=2))
        removal = batch(Operation.REMOVE, {"GOOGLE_AID": [guid(2)]})
        await connector.write(removal, Progress(rows=1))
        await connector.close()

    asyncio.run(ours())
    calls = server.app.recorder.requests()
    made = orjson.loads(calls[1]["body"])
    server.app.linkedin.reset()
    server.app.recorder.clear()
    client = Client()
    client.found(start=0, count=100)
    segment = client.made(sourceSegmentId=made["sourceSegmentId"]).entity_id
    both = {"action": "ADD", "userIds": [EMAIL, DEVICE]}
    second = {**DEVICE, "idValue": guid(2)}
    client.users(segment, both, {"action": "ADD", "userIds": [second]})
    client.users(segment, {"action": "REMOVE", "userIds": [second]})
    theirs = server.app.recorder.requests()
    assert [(c["method"], c["path"]) for c in calls] == [(c["method"], c["path"]) for c in theirs]
    assert [query(c) for c in calls] == [query(c) for c in theirs]
    bodies = [[orjson.loads(c["body"]) for c in some[1:]] for some in (calls, theirs)]
    assert bodies[0] == bodies[1]


def query(call: Any) -> dict[str, list[str]]:
    """Of a request, decoded."""
    return parse_qs(call["query"])


def test_the_client_logs_in_and_refreshes_without_pkce(monkeypatch: pytest.MonkeyPatch) -> None:
    """As LinkedIn's own flow for clients with a secret is: what our log-in leaves out, it does."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    oauth = OAuthSandbox(
        client_id="app-1",
        client_secret="s3cret",
        scopes=frozenset({"rw_dmp_segments"}),
        pkce=False,
        rotates=False,
        authorise_path="/oauth/v2/authorization",
        token_path="/oauth/v2/accessToken",
    )
    with LoopbackServer(oauth) as server:
        monkeypatch.setattr(constants, "OAUTH_BASE_URL", f"{server.url}/oauth/v2")
        client = AuthClient("app-1", "s3cret", "http://localhost:8976/callback")
        url = urlsplit(client.generate_member_auth_url(["rw_dmp_segments"], "state-1"))
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            sent = http.get(f"/oauth/v2/authorization?{url.query}").headers["location"]
        [code] = parse_qs(urlsplit(sent).query)["code"]
        given = client.exchange_auth_code_for_access_token(code)
        assert given.access_token in oauth.access_tokens
        again = client.exchange_refresh_token_for_access_token(given.refresh_token)
        assert again.access_token in oauth.access_tokens
    assert oauth.token_requests == ["authorization_code", "refresh_token"]
