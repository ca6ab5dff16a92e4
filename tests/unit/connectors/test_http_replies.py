"""What statuses and headers of HTTP platforms mean."""

from __future__ import annotations

import pytest

from mayfly.connectors import http_replies as replies
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply


def _reply(status: int, body: bytes = b"{}", **headers: str) -> HttpReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=named, body=body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, b"{}", ContractError, "unknown_answer"),
        (400, b"<html>", ContractError, "garbage_answer"),
        (401, b"{}", ConfigError, "reauthorise"),
        (403, b"{}", ConfigError, "reauthorise"),
        (302, b"", ContractError, "redirected"),
        (408, b"", TransientError, "destination_busy"),
        (429, b"{}", TransientError, "rate_limited"),
        (500, b"", TransientError, "destination_busy"),
        (503, b"{}", TransientError, "destination_busy"),
        (200, b"[]", TransientError, "garbage_answer"),
        (200, b"\xff", TransientError, "garbage_answer"),
    ],
)
def test_a_status_says_what_to_do(
    status: int, body: bytes, kind: type[EngineError], code: str
) -> None:
    """And nothing of the body is said."""
    with pytest.raises(kind) as raised:
        replies.json_object(_reply(status, body), "Acme")
    assert raised.value.code == code
    assert "Acme" in raised.value.message


def test_an_object_is_read() -> None:
    """Whatever 2xx it comes with."""
    assert replies.json_object(_reply(202, b'{"a": 1}'), "Acme") == {"a": 1}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "17"}, 17.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (
            {
                "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT",
                "date": "Wed, 21 Oct 2026 07:27:30 GMT",
            },
            30.0,
        ),
        (
            {
                "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT",
                "date": "Wed, 21 Oct 2026 07:28:30 -0000",
            },
            0.0,
        ),
    ],
)
def test_a_pause_is_a_number_or_a_date_by_the_servers_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Without the server's clock a date says nothing."""
    assert replies.retry_after(_reply(429, **headers)) == seconds


@pytest.mark.parametrize(
    ("value", "code"),
    [("E_1", "E_1"), (17, "17"), (True, ""), (None, ""), ("has space", ""), ("x" * 65, "")],
)
def test_only_an_identifier_is_a_vendors_code(value: object, code: str) -> None:
    """Other text of a vendor may hold a value."""
    assert replies.vendor_code(value) == code


def test_counts_are_whole_numbers() -> None:
    """Anything else is no documented answer."""
    assert replies.whole_number({"n": 3}, "n", "Acme") == 3
    for wrong in (-1, True, "3", None, 1.0):
        with pytest.raises(ContractError):
            replies.whole_number({"n": wrong}, "n", "Acme")


@pytest.mark.parametrize(
    "endpoint", ["https://api.acme.example", "http://127.0.0.1:1", "http://[::1]:2"]
)
def test_endpoints_that_may_be_called(endpoint: str) -> None:
    """The vendor's own, and loopback."""
    replies.check_endpoint(endpoint, "api.acme.example")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://api.acme.example",
        "https://evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost:1",
        "https://api.acme.example:444",
        "http://127.300.0.1",
    ],
)
def test_endpoints_that_may_not(endpoint: str) -> None:
    """Names may be led elsewhere."""
    with pytest.raises(ConfigError, match="bad_endpoint"):
        replies.check_endpoint(endpoint, "api.acme.example")
