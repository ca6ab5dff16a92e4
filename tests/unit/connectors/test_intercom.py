"""Intercom's answers. Pure."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from hubspot_world import Token
from mayfly.connectors.destinations import intercom_answers as said
from mayfly.connectors.destinations.intercom_api import IntercomSettings, subscription_id
from mayfly.connectors.destinations.intercom_requests import new_user
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.ports.http import HttpReply

# Statuses and codes of Intercom's specification, and those that its developers name.
ANSWERS: list[tuple[int, str, type[Exception], str]] = [
    (400, "parameter_invalid", RequestRefusedError, "parameter_invalid.email"),
    (400, "parameter_not_found", RequestRefusedError, "parameter_not_found.email"),
    (400, "intercom_version_invalid", RequestRefusedError, "intercom_version_invalid.email"),
    (401, "unauthorized", ConfigError, "reauthorise"),
    (401, "token_revoked", ConfigError, "reauthorise"),
    (403, "api_plan_restricted", ConfigError, "reauthorise"),
    (403, "forbidden", ConfigError, "reauthorise"),
    (408, "client_timeout", TransientError, "destination_busy"),
    (409, "conflict", RequestRefusedError, "conflict"),
    (413, "payload_too_large", RequestRefusedError, "payload_too_large.email"),
    (422, "parameter_invalid", RequestRefusedError, "parameter_invalid.email"),
    (429, "rate_limit_exceeded", TransientError, "rate_limited"),
    (500, "server_error", TransientError, "destination_busy"),
    (502, "bad_gateway", TransientError, "destination_busy"),
    (503, "service_unavailable", TransientError, "destination_busy"),
    (504, "gateway_timeout", TransientError, "destination_busy"),
]


def reply(status: int, code: str, message: str = "marked-7f3a", **headers: str) -> HttpReply:
    """In Intercom's form."""
    error = {"code": code, "message": message, "field": "email"}
    body = orjson.dumps({"type": "error.list", "errors": [error]})
    return HttpReply(status=status, headers=headers, body=body)


@pytest.mark.parametrize(("status", "code", "kind", "ours"), ANSWERS)
def test_what_a_status_means(status: int, code: str, kind: type[Exception], ours: str) -> None:
    """Each of 16; with a field of the mapping, and no text of Intercom's."""
    with pytest.raises(kind) as caught:
        said.answer(reply(status, code), ["email"])
    error = caught.value
    assert isinstance(error, EngineError)
    assert (type(error), error.code) == (kind, ours)
    assert "marked" not in f"{error} {error.hint}"


def test_a_field_that_is_not_mapped_is_not_repeated() -> None:
    """It might be a value."""
    with pytest.raises(RequestRefusedError, match=r"^parameter_invalid:"):
        said.answer(reply(400, "parameter_invalid"), ["name"])


@pytest.mark.parametrize(("status", "reason"), [(404, "record_missing"), (410, "contact_merged")])
def test_what_is_gone_is_told(status: int, reason: str) -> None:
    """By why."""
    with pytest.raises(said.GoneError) as caught:
        said.answer(reply(status, "not_found"))
    assert caught.value.reason == reason


@pytest.mark.parametrize("archived", [False, True])
def test_whoever_is_there_is_named(archived: bool) -> None:
    """In words alone."""
    kind = "An archived contact" if archived else "A contact"
    text = f"{kind} matching those details already exists with id=6762f0dd1bb69f9f2193bb83"
    with pytest.raises(said.TakenError) as caught:
        said.answer(reply(409, "conflict", text))
    found = caught.value.contact
    assert (found.record, found.is_archived) == ("6762f0dd1bb69f9f2193bb83", archived)


@pytest.mark.parametrize(
    ("reset", "date", "seconds"),
    [
        ("1487332520", "Fri, 17 Feb 2017 11:55:10 GMT", 10.0),
        ("1487332520", "Fri, 17 Feb 2017 11:59:00 GMT", 1.0),
        ("9999999999", "Fri, 17 Feb 2017 11:55:10 GMT", 3600.0),
        ("soon", "Fri, 17 Feb 2017 11:55:10 GMT", 10.0),
        ("1487332520", "", 10.0),
    ],
)
def test_the_pause_ends_with_the_window(reset: str, date: str, seconds: float) -> None:
    """By Intercom's own clock."""
    headers = {"x-ratelimit-reset": reset, "date": date}
    with pytest.raises(TransientError) as caught:
        said.answer(reply(429, "rate_limit_exceeded", **headers))
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "ask",
    [
        lambda: said.contact({"type": "company", "id": "1"}),
        lambda: said.contact({"type": "contact"}),
        lambda: said.record_id({"id": "a/b"}),
        lambda: said.entries({"data": {}}),
        lambda: said.entries({}),
        lambda: said.found(
            [{"data": [{"type": "contact", "id": "1", "email": "b"}]}], {0: "a"}, "email"
        ),
    ],
)
def test_an_unknown_answer_is_none(ask: Any) -> None:
    """It is an error, and no outcome."""
    with pytest.raises(ContractError, match="unknown_answer"):
        ask()


def test_a_list_ends_where_nothing_follows() -> None:
    """And goes on where it says so."""
    assert said.next_page({"pages": {"next": {"starting_after": "x"}}}) == "x"
    for end in ({}, {"pages": {}}, {"pages": {"next": None}}, {"pages": {"next": "address"}}):
        assert said.next_page(end) == ""


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"region": "mars"}, "bad_region"), ({"endpoint": "https://else.example"}, "bad_endpoint")],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, str], code: str) -> None:
    """A region's own host is all that is called."""
    with pytest.raises(ConfigError, match=code):
        IntercomSettings(app_id="a", access_token=Token(), **settings)
    with pytest.raises(ConfigError, match="unknown_subscription"):
        subscription_id("9/../1")


def test_a_new_contact_is_a_user() -> None:
    """With what is written, which may be nothing."""
    assert orjson.loads(new_user(b'{"email":"a"}')) == {"role": "user", "email": "a"}
    assert orjson.loads(new_user(b"{}")) == {"role": "user"}
