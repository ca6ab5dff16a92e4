"""What token endpoints may answer, and how strict the sandbox's own is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply
from mayfly.ports.oauth import OAuthSpec
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.services.oauth import Login, OAuthClient, exchange, refresh

SPEC = OAuthSpec(
    authorise_url="https://login.example.com/oauth/authorize",
    token_url="https://api.example.com/oauth/token",
    scopes=("read", "write"),
    life_seconds=600,
)
CLIENT = OAuthClient(spec=SPEC, client_id="client", client_secret="marked-7f3a")
LOGIN = Login(redirect_uri="http://127.0.0.1:9/callback")
GOOD = {"access_token": "a", "refresh_token": "r", "expires_in": 60, "token_type": "Bearer"}


class Endpoint:
    """A token endpoint that answers one thing, and keeps what it was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.reply = HttpReply(status=status, headers={}, body=body)
        self.url = ""
        self.form: Mapping[str, str] = {}
        self.headers: Mapping[str, str] = {}

    async def request(self, method: str, url: str, **rest: Any) -> HttpReply:
        """See the port."""
        self.url, self.form, self.headers = url, rest["form"], rest["headers"]
        return self.reply

    async def close(self) -> None:
        """Nothing is open."""


def answering(status: int, document: object) -> Endpoint:
    """One that answers JSON."""
    return Endpoint(status, json.dumps(document).encode())


def test_a_code_is_exchanged_with_its_verifier_in_the_body() -> None:
    """Nothing of it is in the address."""
    endpoint = answering(200, GOOD)
    tokens = asyncio.run(exchange(endpoint, CLIENT, LOGIN, "code"))
    assert (tokens.access_token, tokens.refresh_token, tokens.life_seconds) == ("a", "r", 60)
    assert endpoint.url == SPEC.token_url
    assert endpoint.form == {
        "grant_type": "authorization_code",
        "code": "code",
        "redirect_uri": LOGIN.redirect_uri,
        "code_verifier": LOGIN.verifier,
        "client_id": "client",
        "client_secret": "marked-7f3a",
    }


NO_PKCE = replace(SPEC, pkce=False)


def test_a_vendor_that_takes_no_verifier_is_sent_none() -> None:
    """Neither the challenge nor the verifier; then the client must have a secret."""
    client = OAuthClient(spec=NO_PKCE, client_id="client", client_secret="marked-7f3a")
    assert "code_challenge" not in LOGIN.url(client)
    endpoint = answering(200, GOOD)
    asyncio.run(exchange(endpoint, client, LOGIN, "code"))
    assert "code_verifier" not in endpoint.form
    public = OAuthClient(spec=NO_PKCE, client_id="client", client_secret=None)
    endpoint = answering(200, GOOD)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(exchange(endpoint, public, LOGIN, "code"))
    assert (caught.value.code, endpoint.url) == ("oauth_client", "")


def test_a_right_that_no_reply_tells_is_not_missed() -> None:
    """Microsoft does not tell of `offline_access`; another that is not there is missed."""
    client = OAuthClient(
        spec=replace(SPEC, unlisted_scopes=frozenset({"write"})),
        client_id="client",
        client_secret="s",
    )
    told = {**GOOD, "scope": "read"}
    assert asyncio.run(exchange(answering(200, told), client, LOGIN, "c")).access_token == "a"
    with pytest.raises(ConfigError) as caught:
        asyncio.run(exchange(answering(200, {**GOOD, "scope": "write"}), client, LOGIN, "c"))
    assert caught.value.code == "scope_missing"


def test_a_life_that_is_not_told_is_the_declared_one() -> None:
    """Some vendors say none."""
    endpoint = answering(200, {"access_token": "a"})
    tokens = asyncio.run(refresh(endpoint, CLIENT, "r"))
    assert tokens is not None
    assert tokens.life_seconds == 600


def test_a_grant_that_is_over_is_a_value() -> None:
    """Whatever status it comes with."""
    for status in (400, 401):
        endpoint = answering(status, {"error": "invalid_grant"})
        assert asyncio.run(refresh(endpoint, CLIENT, "r")) is None


async def whole(endpoint: Endpoint) -> None:
    """Refresh, and take no answer with a flaw."""
    given = await refresh(endpoint, CLIENT, "r")
    assert given is not None
    given.require_whole()


@pytest.mark.parametrize(
    ("status", "document", "kind", "code"),
    [
        (200, {**GOOD, "access_token": "two words"}, ContractError, "oauth_answer"),
        (200, {**GOOD, "access_token": ""}, ContractError, "oauth_answer"),
        (200, {**GOOD, "access_token": 7}, ContractError, "oauth_answer"),
        (200, {**GOOD, "refresh_token": ["r"]}, ContractError, "oauth_answer"),
        (200, {**GOOD, "token_type": "mac"}, ContractError, "oauth_answer"),
        (200, {**GOOD, "expires_in": 0}, ContractError, "oauth_answer"),
        (200, {**GOOD, "expires_in": True}, ContractError, "oauth_answer"),
        (200, {**GOOD, "expires_in": "soon"}, ContractError, "oauth_answer"),
        (200, {**GOOD, "expires_in": 1e12}, ContractError, "oauth_answer"),
        (200, [], ContractError, "oauth_answer"),
        (200, {"error": "invalid_grant"}, ContractError, "oauth_answer"),
        (302, {}, ContractError, "oauth_answer"),
        (400, {"error": "marked-7f3a"}, ContractError, "oauth_answer"),
        (401, {"error": "invalid_client"}, ConfigError, "oauth_client"),
        (429, {}, TransientError, "oauth_unavailable"),
        (503, {}, TransientError, "oauth_unavailable"),
    ],
)
def test_any_other_answer_is_an_error_without_its_text(
    status: int, document: object, kind: type[EngineError], code: str
) -> None:
    """Its code says what to do."""
    with pytest.raises(kind) as caught:
        asyncio.run(whole(answering(status, document)))
    assert caught.value.code == code
    assert "marked" not in f"{caught.value} {caught.value.hint}"


def test_a_flaw_costs_no_refresh_token() -> None:
    """The one before is spent."""
    for flaw in ({"expires_in": 0}, {"token_type": "mac"}, {"access_token": ""}):
        given = asyncio.run(refresh(answering(200, {**GOOD, **flaw}), CLIENT, "r"))
        assert given is not None
        assert (given.refresh_token, given.access_token) == (GOOD["refresh_token"], "")
        with pytest.raises(ContractError):
            asyncio.run(exchange(answering(200, {**GOOD, **flaw}), CLIENT, LOGIN, "code"))


def test_a_life_of_null_is_one_that_is_not_told() -> None:
    """As some vendors write it."""
    given = asyncio.run(refresh(answering(200, {**GOOD, "expires_in": None}), CLIENT, "r"))
    assert given is not None
    assert given.life_seconds == CLIENT.spec.life_seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_an_error(body: bytes) -> None:
    """And not a traceback."""
    with pytest.raises(ContractError):
        asyncio.run(refresh(Endpoint(200, body), CLIENT, "r"))


def test_fewer_rights_than_needed_are_refused() -> None:
    """More are not."""
    few = answering(200, {**GOOD, "scope": "read"})
    with pytest.raises(ConfigError) as caught:
        asyncio.run(exchange(few, CLIENT, LOGIN, "code"))
    assert caught.value.code == "scope_missing"
    asyncio.run(exchange(answering(200, {**GOOD, "scope": "a write read"}), CLIENT, LOGIN, "c"))


def test_a_loopback_endpoint_takes_the_place_of_both_hosts() -> None:
    """The paths stay."""
    moved = OAuthClient(spec=SPEC, client_id="c", endpoint="http://127.0.0.1:8765")
    assert moved.authorise_url == "http://127.0.0.1:8765/oauth/authorize"
    assert moved.token_url == "http://127.0.0.1:8765/oauth/token"


def test_every_attempt_has_secrets_of_its_own_and_shows_none() -> None:
    """State and verifier; the address has the challenge only."""
    other = Login(redirect_uri=LOGIN.redirect_uri)
    assert len({LOGIN.state, other.state, LOGIN.verifier, other.verifier}) == 4
    assert LOGIN.verifier not in LOGIN.url(CLIENT)
    assert LOGIN.verifier not in repr(LOGIN)
    assert "marked" not in repr(CLIENT)


def sandbox_calls(*forms: Mapping[str, str], sandbox: OAuthSandbox) -> list[tuple[int, Any]]:
    """Answers of the sandbox's token endpoint; `CODE` and `LAST` stand for what it gave last."""

    async def main() -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        url = Login(redirect_uri="http://127.0.0.1:9/callback", verifier="v" * 43).url(
            OAuthClient(spec=SPEC, client_id="client", endpoint="http://127.0.0.1")
        )
        transport = httpx.ASGITransport(app=sandbox)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            given = parse_qs(urlsplit((await http.get(url)).headers["location"]).query)
            for form in forms:
                real = {k: given["code"][0] if v == "CODE" else v for k, v in form.items()}
                if real.get("refresh_token", "").isdigit():
                    real["refresh_token"] = found[int(real["refresh_token"])][1]["refresh_token"]
                reply = await http.post("/oauth/token", data={"client_id": "client", **real})
                found.append((reply.status_code, reply.json()))
        return found

    return asyncio.run(main())


CODE = {
    "grant_type": "authorization_code",
    "code": "CODE",
    "redirect_uri": "http://127.0.0.1:9/callback",
    "code_verifier": "v" * 43,
}
REFRESH = {"grant_type": "refresh_token"}
SCOPES = frozenset({"read", "write"})


def test_the_sandbox_takes_a_code_once() -> None:
    """And only with its own verifier and address; a wrong try uses it up."""
    for wrong in ({"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:8/callback"}):
        sandbox = OAuthSandbox(client_id="client", scopes=SCOPES)
        found = sandbox_calls({**CODE, **wrong}, CODE, sandbox=sandbox)
        assert [status for status, _ in found] == [400, 400]
    sandbox = OAuthSandbox(client_id="client", scopes=SCOPES)
    assert [s for s, _ in sandbox_calls(CODE, CODE, sandbox=sandbox)] == [200, 400]


def test_a_sandbox_that_takes_no_verifier_refuses_one() -> None:
    """As LinkedIn does: by saying that it does not know the client."""
    sandbox = OAuthSandbox(client_id="client", scopes=SCOPES, pkce=False)
    bare = {name: value for name, value in CODE.items() if name != "code_verifier"}
    assert [status for status, _ in sandbox_calls(CODE, bare, sandbox=sandbox)] == [401, 200]


def test_the_sandbox_ends_a_grant_whose_old_token_is_used_again() -> None:
    """The newest one, too: that is what rotation is for."""
    sandbox = OAuthSandbox(client_id="client", scopes=SCOPES)
    again = {**REFRESH, "refresh_token": "0"}
    newest = {**REFRESH, "refresh_token": "1"}
    found = sandbox_calls(CODE, again, again, newest, sandbox=sandbox)
    assert [status for status, _ in found] == [200, 200, 400, 400]


def test_a_client_may_say_who_it_is_in_the_header_alone() -> None:
    """Where the vendor wants it there; both parts are encoded first, as RFC 6749 has it."""
    spec = replace(SPEC, client_in_header=True)
    client = OAuthClient(spec=spec, client_id="a:b", client_secret="marked 7f3a")
    endpoint = answering(200, GOOD)
    asyncio.run(refresh(endpoint, client, "r"))
    assert endpoint.form == {"grant_type": "refresh_token", "refresh_token": "r"}
    scheme, _, text = endpoint.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(text)) == ("Basic", b"a%3Ab:marked+7f3a")


def test_a_vendor_may_part_scopes_by_commas() -> None:
    """In the address; a reply may part them by either."""
    client = replace(CLIENT, spec=replace(SPEC, scope_separator=","))
    assert parse_qs(urlsplit(LOGIN.url(client)).query)["scope"] == ["read,write"]
    for given in ("read,write", "read write"):
        endpoint = answering(200, {**GOOD, "scope": given})
        assert asyncio.run(exchange(endpoint, client, LOGIN, "code")).access_token == "a"
    endpoint = answering(200, {**GOOD, "scope": "read"})
    with pytest.raises(ConfigError) as caught:
        asyncio.run(exchange(endpoint, client, LOGIN, "code"))
    assert caught.value.code == "scope_missing"


@pytest.mark.parametrize(
    ("header", "status", "error"),
    [
        (None, 401, "invalid_client"),
        ("Bearer x", 401, "invalid_client"),
        ("Basic !", 401, "invalid_client"),
        (f"Basic {base64.b64encode(b'client:marked-7f3a').decode()}", 400, "invalid_grant"),
    ],
)
def test_the_sandbox_may_want_the_client_in_the_header(
    header: str | None, status: int, error: str
) -> None:
    """What stands in the body is not looked at, and a header that is none of its is refused."""
    sandbox = OAuthSandbox(
        client_id="client", client_secret="marked-7f3a", scopes=SCOPES, wants_header=True
    )
    body = {**REFRESH, "refresh_token": "r", "client_id": "client", "client_secret": "marked-7f3a"}

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=sandbox)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            headers = {} if header is None else {"authorization": header}
            return await http.post("/oauth/token", data=body, headers=headers)

    reply = asyncio.run(main())
    assert (reply.status_code, reply.json()["error"]) == (status, error)
