"""Tokens of a service account: signed statements, and what Google's token endpoint answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mayfly.connectors.destinations.google_ads_tokens import LOGIN, GivenToken, ServiceAccount
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply
from mayfly.sandbox.google_tokens import GoogleTokens

EMAIL = "mayfly@project.iam.gserviceaccount.com"


@dataclass(frozen=True)
class Secret:
    """A secret of a test."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    """A key of this module alone."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_of(private: rsa.RSAPrivateKey, **more: str) -> Secret:
    """The text of a key's file."""
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    known = {"type": "service_account", "client_email": EMAIL, "private_key": text}
    return Secret(json.dumps({**known, "token_uri": "https://elsewhere.example.com", **more}))


@dataclass
class Endpoint:
    """An `HttpClient` with a strict token endpoint behind it; planned answers come first."""

    tokens: GoogleTokens = field(default_factory=GoogleTokens)
    planned: list[HttpReply] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Answer one request."""
        assert method == "POST"
        assert params is None
        assert form is not None
        self.urls.append(url)
        await asyncio.sleep(0)
        if self.planned:
            return self.planned.pop(0)
        status, body = self.tokens.answer(dict(form))
        return reply(status, body)

    async def close(self) -> None:
        """Nothing is open."""


def reply(status: int, body: Any) -> HttpReply:
    """An answer."""
    return HttpReply(status=status, headers={}, body=orjson.dumps(body))


def test_a_key_gets_a_token_and_keeps_it_until_its_end(private: rsa.RSAPrivateKey) -> None:
    """Asked for once, whoever wants it at the same time; anew before it ends; from Google's own
    address, whatever the key's file says.
    """
    endpoint = Endpoint()
    endpoint.tokens.keys[EMAIL] = private.public_key()
    later = [0.0]
    account = ServiceAccount(key_of(private), endpoint, now=lambda: time.time() + later[0])

    async def scenario() -> None:
        first = await asyncio.gather(*(account.token() for _ in range(3)))
        assert len(set(first)) == 1
        assert first[0] in endpoint.tokens.given
        later[0] = 3_400.0
        assert await account.token() == first[0]
        endpoint.planned = [reply(200, {"access_token": "second", "expires_in": 60})]
        later[0] = 3_500.0
        assert await account.token() == "second"

    asyncio.run(scenario())
    assert endpoint.urls == [LOGIN.token_url] * 2


def refused(private: rsa.RSAPrivateKey, endpoint: Endpoint, **more: Any) -> EngineError:
    """Why there is no token."""
    account = ServiceAccount(key_of(private), endpoint, **more)
    with pytest.raises(EngineError) as caught:
        asyncio.run(account.token())
    assert EMAIL not in str(caught.value)
    return caught.value


def test_another_key_and_a_wrong_clock_are_refused(private: rsa.RSAPrivateKey) -> None:
    """As Google refuses a statement that it cannot verify, or of another hour."""
    other = Endpoint()
    other.tokens.keys[EMAIL] = rsa.generate_private_key(
        public_exponent=65537, key_size=2048
    ).public_key()
    found = [refused(private, other), refused(private, Endpoint(), now=lambda: 1_000_000.0)]
    assert [(type(e), e.code) for e in found] == [(ConfigError, "reauthorise")] * 2


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (reply(503, {}), TransientError, "destination_busy"),
        (reply(429, {}), TransientError, "rate_limited"),
        (reply(401, {"error": "invalid_client"}), ConfigError, "reauthorise"),
        (reply(403, {"error": "access_denied"}), ConfigError, "reauthorise"),
        (reply(400, {"error": "invalid_scope"}), ContractError, "unknown_answer"),
        (reply(200, []), TransientError, "garbage_answer"),
        (reply(200, {}), ContractError, "oauth_answer"),
        (reply(200, {"access_token": "a b"}), ContractError, "oauth_answer"),
        (reply(200, {"access_token": "a", "expires_in": -1}), ContractError, "oauth_answer"),
        (reply(200, {"access_token": "a", "expires_in": "x"}), ContractError, "oauth_answer"),
    ],
)
def test_an_answer_without_a_token_says_what_to_do(
    private: rsa.RSAPrivateKey, answer: HttpReply, kind: type[EngineError], code: str
) -> None:
    """Try again, another key, or report it."""
    error = refused(private, Endpoint(planned=[answer]))
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize("text", ["", "{}", '{"type": "authorized_user"}', "[" * 100_000])
def test_what_is_no_key_is_refused_at_once(text: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError) as caught:
        ServiceAccount(Secret(text), Endpoint())
    assert caught.value.code == "credentials_invalid"


def test_a_key_that_cannot_be_read_is_not_shown(private: rsa.RSAPrivateKey) -> None:
    """Its text is in no message."""
    with pytest.raises(ConfigError) as caught:
        ServiceAccount(key_of(private, private_key="hunter2"), Endpoint())
    assert caught.value.code == "credentials_invalid"
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_token_that_others_keep_fresh_is_asked_for_each_time() -> None:
    """As a connection gives another once the one before ends."""
    assert asyncio.run(GivenToken(Secret("t")).token()) == "t"
