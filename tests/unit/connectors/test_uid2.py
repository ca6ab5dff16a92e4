"""Digests and what an operator says of them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pyarrow as pa
import pytest

from mayfly.connectors.uid2 import HOSTS, ITEMS_MAX, Kind, Uid2Settings, base64_text, operator_host
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    TransientError,
)
from mayfly.ports.http import HttpReply
from mayfly.sandbox.uid2_operator import CLIENT_SECRET
from trade_desk_world import InProcess, Secret, email_digest, operator, phone_digest

PATH = "/v3/identity/map"
FOREIGN_TEXT = b"the address person1@example.com is not welcome"


def digests(*subjects: int | None) -> pa.Array:
    """E-mail digests, null where there is none."""
    return pa.array([None if n is None else email_digest(n) for n in subjects], pa.binary())


def mapped(http: InProcess, **columns: pa.Array) -> dict[str, Any]:
    """Each kind's identities as plain lists."""
    kinds: dict[Kind, pa.Array] = {}
    for kind in ("email_hash", "phone_hash"):
        if kind in columns:
            kinds[kind] = columns[kind]  # type: ignore[index]
    found = asyncio.run(operator(http).map(kinds))
    return {
        kind: {
            name: getattr(identities, name).to_pylist()
            for name in ("current", "previous", "opted_out", "invalid")
        }
        for kind, identities in found.items()
    }


def test_each_digest_gets_its_own_identifier_in_order() -> None:
    """Of both kinds in one request; a null is not asked for and stays one."""
    http = InProcess()
    told = http.app.trade_desk.operator
    phones = pa.array([phone_digest(9), None], pa.binary())
    found = mapped(http, email_hash=digests(1, None, 2, None), phone_hash=phones)
    emails = [told.raw("euid", "email", email_digest(n), 0) for n in (1, 2)]
    assert found["email_hash"]["current"] == [emails[0], None, emails[1], None]
    assert found["email_hash"]["opted_out"] == [False] * 4
    assert found["phone_hash"]["current"] == [told.raw("euid", "phone", phone_digest(9), 0), None]
    assert len(http.to(PATH)) == 1


def test_the_identifier_of_before_is_told_after_it_changed() -> None:
    """`p` where the salts are of another year, null before."""
    http = InProcess()
    first = mapped(http, email_hash=digests(1))["email_hash"]
    assert first["previous"] == [None]
    http.app.trade_desk.operator.year = 1
    second = mapped(http, email_hash=digests(1))["email_hash"]
    assert second["previous"] == first["current"]
    assert second["current"] != first["current"]


def test_who_opted_out_and_what_is_invalid_are_told_apart() -> None:
    """Neither has an identifier."""
    http = InProcess()
    http.app.trade_desk.operator.opted_out.add(email_digest(2))
    short = pa.array([email_digest(1), email_digest(2), b"short"], pa.binary())
    found = mapped(http, email_hash=short)["email_hash"]
    assert [c is None for c in found["current"]] == [False, True, True]
    assert found["opted_out"] == [False, True, False]
    assert found["invalid"] == [False, False, True]


def test_requests_go_one_after_the_other() -> None:
    """Operators ask for it, whoever maps at the same time."""
    http = InProcess()
    asked = operator(http)

    async def scenario() -> None:
        await asyncio.gather(*(asked.map({"email_hash": digests(n)}) for n in range(6)))

    asyncio.run(scenario())
    assert http.most[PATH] == 1
    assert len(http.to(PATH)) == 6


def test_the_most_that_is_mapped_at_once() -> None:
    """5,000 are taken, in less than 1 MB; one more is the caller's mistake, and nothing is sent."""
    http = InProcess()
    column = digests(*range(ITEMS_MAX))
    assert None not in mapped(http, email_hash=column)["email_hash"]["current"]
    assert len(http.calls[0].content) < 1_000_000
    with pytest.raises(ValueError, match="5,000"):
        mapped(http, email_hash=column, phone_hash=digests(1))
    assert len(http.calls) == 1


def test_digests_and_keys_stay_out_of_addresses() -> None:
    """A sealed body holds what is asked, a header who asks."""
    http = InProcess()
    mapped(http, email_hash=digests(1))
    (call,) = http.calls
    assert call.url == f"http://127.0.0.1:8765{PATH}"
    digest = base64.b64encode(email_digest(1))
    assert digest not in call.content
    assert digest not in base64.b64decode(call.content)
    assert call.headers["authorization"] == "Bearer EUID-C-I-1-sandbox"
    assert CLIENT_SECRET not in f"{call.headers} {call.content!r}"


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (HttpReply(status=400, headers={}, body=FOREIGN_TEXT), ConfigError, "uid2_refused"),
        (HttpReply(status=401, headers={}, body=FOREIGN_TEXT), ConfigError, "reauthorise"),
        (HttpReply(status=403, headers={}, body=b"{}"), ConfigError, "reauthorise"),
        (HttpReply(status=408, headers={}, body=b""), TransientError, "destination_busy"),
        (HttpReply(status=429, headers={}, body=b""), TransientError, "rate_limited"),
        (HttpReply(status=500, headers={}, body=b""), TransientError, "destination_busy"),
        (HttpReply(status=503, headers={}, body=b""), TransientError, "destination_busy"),
        (HttpReply(status=302, headers={}, body=b""), ContractError, "redirected"),
        (HttpReply(status=404, headers={}, body=b""), ContractError, "garbage_answer"),
        (HttpReply(status=200, headers={}, body=b"<html>"), TransientError, "garbage_answer"),
        (HttpReply(status=200, headers={}, body=b"AAAA"), IntegrityError, "uid2_reply_altered"),
    ],
)
def test_each_status_says_what_to_do(reply: HttpReply, kind: type[EngineError], code: str) -> None:
    """Every documented status, and what no operator answers; its own text is nowhere."""
    http = InProcess(planned={PATH: [reply]})
    with pytest.raises(EngineError) as raised:
        mapped(http, email_hash=digests(1))
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert "person1" not in f"{raised.value} {raised.value.hint}"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"status": "success"},
        {"status": "client_error", "body": {"email_hash": [{"e": "optout"}]}},
        {"status": "success", "body": {"email_hash": []}},
        {"status": "success", "body": {"email_hash": [{"e": "optout"}, {"e": "optout"}]}},
        {"status": "success", "body": {"email_hash": [{"e": "on holiday"}]}},
        {"status": "success", "body": {"email_hash": [{}]}},
        {"status": "success", "body": {"email_hash": ["text"]}},
        {"status": "success", "body": {"email_hash": [{"u": 5, "p": None, "r": 1}]}},
        {"status": "success", "body": {"email_hash": [{"u": "short", "p": None, "r": 1}]}},
        {"status": "success", "body": {"email_hash": [{"u": "A" * 44, "p": "no", "r": 1}]}},
    ],
)
def test_an_answer_that_is_not_documented_is_a_broken_contract(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, foreign and misplaced entries prove nothing of anybody."""
    http = InProcess()
    told = http.app.trade_desk.operator
    sealed = told._sealed
    monkeypatch.setattr(
        told, "_sealed", lambda nonce, answered, *, binary: sealed(nonce, answer, binary=binary)
    )
    with pytest.raises(ContractError) as raised:
        mapped(http, email_hash=digests(1))
    assert raised.value.code == "unknown_answer"


def test_another_secret_is_a_setting_to_change() -> None:
    """The operator cannot read the request, and says so."""
    http = InProcess()
    other = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ConfigError) as raised:
        asyncio.run(operator(http, secret=other).check())
    assert raised.value.code == "uid2_refused"
    asyncio.run(operator(http).check())


@pytest.mark.parametrize("secret", ["", "no base64!", base64.b64encode(bytes(16)).decode(), "ä"])
def test_a_secret_that_is_none_is_refused_at_once(secret: str) -> None:
    """Before anything is sealed with it, and without showing it."""
    with pytest.raises(ConfigError) as raised:
        operator(InProcess(), secret=secret)
    assert raised.value.code == "bad_client_secret"


def test_operators_are_those_that_are_documented() -> None:
    """An endpoint elsewhere is refused; EUID has no operators of regions; secrets are not shown."""
    assert operator_host("euid", "global") == "prod.euid.eu"
    assert operator_host("uid2", "japan") == "jp.prod.uidapi.com"
    with pytest.raises(ConfigError) as raised:
        operator_host("euid", "japan")
    assert raised.value.code == "bad_operator"
    with pytest.raises(ConfigError) as raised:
        operator(InProcess(), url="https://prod.euid.eu.example.com")
    assert raised.value.code == "bad_endpoint"
    shown = repr(
        Uid2Settings(
            scope="euid",
            host=HOSTS["euid"]["test"],
            api_key=Secret("k3y"),
            client_secret=Secret(CLIENT_SECRET),
            endpoint="https://integ.euid.eu",
        )
    )
    assert "k3y" not in shown
    assert CLIENT_SECRET not in shown


def test_base64_is_of_the_bytes() -> None:
    """As the vendor prints it for an address at example.com; of the hex text it would be longer."""
    import hashlib

    digest = hashlib.sha256(b"user@example.com").digest()
    column = pa.array([digest, None], pa.binary())
    expected = "tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ="
    assert base64_text(column).to_pylist() == [expected, None]
    assert orjson.dumps(expected) == f'"{expected}"'.encode()
