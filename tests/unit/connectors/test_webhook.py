"""A receiver's answers, requests that are cut the same each time, and signatures."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from hubspot_world import Token, batch
from mayfly.connectors.destinations import webhook as module
from mayfly.connectors.destinations.webhook import WebhookSettings, codes
from mayfly.connectors.destinations.webhook_requests import Rows, body, message_id
from mayfly.crypto.webhooks import signed_headers, webhook_key
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, RequestRefusedError
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import HostsRequest
from mayfly.ports.http import HttpReply

_KEYS = [bytes([n]) * 32 for n in (1, 2)]
_JSON = {"content-type": "application/json; charset=utf-8"}


def reply(status: int = 200, content: object = None, headers: Any = None) -> HttpReply:
    """Of a receiver."""
    told = content if isinstance(content, bytes) else json.dumps(content).encode()
    return HttpReply(status=status, headers=headers or _JSON, body=told)


@pytest.mark.parametrize(
    "answer",
    [
        reply(content=b""),
        reply(201, content=b" "),
        reply(202, content={}),
        reply(204, content=b"", headers={"server": "x"}),
        reply(content=b"<html>ok", headers={"content-type": "text/html"}),
        reply(content={"results": []}),
        reply(content={"results": [{"row": 1, "status": "accepted"}]}),
        reply(content=[1]),
    ],
)
def test_an_answer_that_names_no_row_takes_all(answer: HttpReply) -> None:
    """Eight ways of saying yes."""
    assert codes(answer, 2).codes.to_pylist() == [0, 0]


def test_rows_are_named_by_their_place() -> None:
    """With a code of the receiver's own, where it is one."""
    told = codes(
        reply(
            content={
                "results": [
                    {"row": 0, "status": "rejected", "code": "bad_email"},
                    {"row": 2, "status": "deferred", "code": "jane@example.com"},
                    {"row": 3, "status": "rejected"},
                ]
            }
        ),
        4,
    )
    assert told.codes.to_pylist() == [2, 0, 3, 2]
    assert {n: (r.code, r.vendor_code) for n, r in told.reasons.items()} == {
        0: ("rejected_by_receiver", "bad_email"),
        2: ("deferred_by_receiver", ""),
        3: ("rejected_by_receiver", ""),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        {"results": {}},
        {"results": ["x"]},
        {"results": [{"row": 2, "status": "rejected"}]},
        {"results": [{"row": -1, "status": "rejected"}]},
        {"results": [{"row": True, "status": "rejected"}]},
        {"results": [{"row": "0", "status": "rejected"}]},
        {"results": [{"row": 0, "status": "done"}]},
        {"results": [{"row": 0}]},
        {"results": [{"row": 0, "status": "rejected"}, {"row": 0, "status": "accepted"}]},
    ],
)
def test_an_answer_that_does_not_fit_is_refused(content: object) -> None:
    """Nothing is taken for delivered."""
    with pytest.raises(ContractError) as caught:
        codes(reply(content=content), 2)
    assert caught.value.code == "unknown_answer"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, RequestRefusedError, "webhook_400"),
        (413, RequestRefusedError, "webhook_413"),
        (422, RequestRefusedError, "webhook_422"),
        (401, ConfigError, "reauthorise"),
        (404, ConfigError, "webhook_gone"),
        (410, ConfigError, "webhook_gone"),
        (409, ContractError, "unknown_answer"),
        (308, ContractError, "redirected"),
    ],
)
def test_a_status_says_what_to_do(status: int, kind: type[EngineError], code: str) -> None:
    """The rest is as at every platform."""
    with pytest.raises(EngineError) as caught:
        codes(reply(status, {"jane": "marked"}), 1)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in str(caught.value)


@given(st.lists(st.sampled_from([1, 300, 400_000]), max_size=8), st.data())
def test_requests_are_cut_at_the_same_places(sizes: list[int], data: st.DataObject) -> None:
    """Wherever a retry begins, the messages that follow have the bytes and the id they had."""
    rows = batch({"x": pa.array(["x" * size for size in sizes], pa.string())})
    made = Rows(rows)

    def messages(first: int) -> list[tuple[str, bytes]]:
        return [
            (
                message_id(("w", "s", "u"), rows.head, r, "write"),
                body(rows.head, r, made.texts, operation="write", key=("x",)),
            )
            for r in made.requests(first)
        ]

    whole = list(made.requests(0))
    assert sum(r.rows for r in whole) == len(sizes)
    place = data.draw(st.integers(0, len(whole)))
    first = whole[place].first if place < len(whole) else len(sizes)
    assert messages(first) == messages(0)[place:]
    assert all(len(text) <= 1_000_000 for _, text in messages(0))


def test_ids_differ_where_messages_do() -> None:
    """By workspace, sync, address, batch, operation and first row."""
    rows = batch({"x": pa.array([1, 2])})
    other = batch({"x": pa.array([1, 2])}, Operation.WRITE, number=1)
    [one], [two] = list(Rows(rows).requests(0)), list(Rows(rows).requests(1))
    made = {
        message_id(("w", "s", "u"), rows.head, one, "write"),
        message_id(("w", "s", "v"), rows.head, one, "write"),
        message_id(("w", "s", "u"), other.head, one, "write"),
        message_id(("w", "s", "u"), rows.head, one, "erase"),
        message_id(("w", "s", "u"), rows.head, two, "write"),
    }
    assert len(made) == 5


@pytest.mark.parametrize("keys", [_KEYS[:1], _KEYS, _KEYS[::-1]])
def test_the_library_verifies_whichever_key_it_has(keys: list[bytes]) -> None:
    """Each key signs; another verifies nothing, nor does any another body."""
    content = '{"type":"mayfly.rows","name":"Zoë"}'.encode()
    now = int(time.time())
    headers = dict(signed_headers(keys, "msg_1", now, content))
    for key in keys:
        assert Webhook(base64.b64encode(key).decode()).verify(content, headers)
    for key, text in ((b"x" * 32, content), (keys[0], content + b" ")):
        with pytest.raises(WebhookVerificationError):
            Webhook(base64.b64encode(key).decode()).verify(text, headers)


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_of_every_allowed_length(size: int) -> None:
    """24 to 64 bytes; beyond that, or in another form, nothing is signed."""
    secret = f"whsec_{base64.b64encode(b'k' * size).decode()}"
    assert webhook_key(secret, whose="x") == b"k" * size
    for wrong in (secret[6:], f"whsec_{base64.b64encode(b'k' * 23).decode()}", "whsec_é"):
        with pytest.raises(ConfigError):
            webhook_key(wrong, whose="x")


@pytest.mark.parametrize("url", ["http://hooks.example.com/x", "ftp://x/y", "https:///x"])
def test_an_address_without_tls_is_refused(url: str) -> None:
    """Off this machine."""
    with pytest.raises(ConfigError):
        WebhookSettings(url=url, secret=Token())


def test_a_run_may_connect_to_the_addresss_host_alone() -> None:
    """As the settings name it."""
    settings = DestinationSettings(
        name="own", type="webhook", options={"url": "https://hooks.example.com:8443/a"}
    )
    assert module.CONNECTOR.hosts is not None
    found = module.CONNECTOR.hosts(HostsRequest(settings=settings, reveal=lambda _: Token()))
    assert found == {"hooks.example.com"}
