"""What the sandbox of The Trade Desk and of the operators takes and refuses."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pytest

from mayfly.ports.http import HttpReply
from mayfly.sandbox.trade_desk_rows import NAME_MAX, TTL_MAX
from mayfly.sandbox.uid2_operator import ITEMS_MAX, _checked, _RefusalError
from trade_desk_world import TOKEN, URL, InProcess, guid

UPLOAD, DELETION = "/data/advertiser", "/data/deletion-optout/advertiser"
RAW = base64.b64encode(bytes(range(33))).decode()


def asked(
    http: InProcess, body: Any, path: str = UPLOAD, *, method: str = "POST", **headers: str
) -> HttpReply:
    """The sandbox's answer."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"ttd-auth": TOKEN, "content-type": "application/json", **headers}
    return asyncio.run(
        http.request(method, URL + path, headers=sent, content=content, timeout_seconds=1)
    )


def upload(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request."""
    return {"AdvertiserId": "abc123", "Items": list(items), **more}


def item(name: str = "Contract", minutes: Any = 60, **who: Any) -> dict[str, Any]:
    """One person for a segment."""
    return {**(who or {"TDID": guid(1)}), "Data": [{"Name": name, "TtlInMinutes": minutes}]}


def codes(reply: HttpReply) -> list[str]:
    """Of the failed lines, with their numbers."""
    assert reply.status == 200
    lines = orjson.loads(reply.body).get("FailedLines", [])
    return [f"{line['ItemNumber']} {line['ErrorCode']}" for line in lines]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ([], 400),
        (upload(), 400),
        ({"AdvertiserId": "abc123"}, 400),
        (upload(item(), More=1), 400),
        (upload(item(), AdvertiserId="abc 123"), 400),
        (upload(item(), AdvertiserId=None), 400),
        (upload(item(), RequestType="Deletion"), 400),
    ],
)
def test_a_request_of_another_form_is_refused_whole(body: Any, status: int) -> None:
    """And nothing of it is applied."""
    http = InProcess()
    assert asked(http, body).status == status
    assert http.app.trade_desk.segments == {}


def test_who_asks_and_where_is_looked_at_first() -> None:
    """Token, path, method, size, kind of content."""
    http = InProcess()
    body = upload(item())
    assert asked(http, body, **{"ttd-auth": ""}).status == 401
    assert asked(http, body, **{"ttd-auth": "another"}).status == 401
    assert asked(http, body, "/data/thirdparty").status == 403
    assert asked(http, body, "/data/deletion-optout/merchant").status == 403
    assert asked(http, b"", method="GET").status == 404
    assert asked(http, b" " * 2_500_001).status == 413
    assert asked(http, body, **{"content-type": "text/plain"}).status == 400
    assert (
        asked(http, b" " * (2_500_000 - len(orjson.dumps(body))) + orjson.dumps(body)).status == 200
    )


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (item(), ""),
        (item(TDID=guid(1).upper()), ""),
        (item(UID2=RAW), ""),
        (item(RampID="XY1"), ""),
        (item(TDID="x"), "1 MissingUserId"),
        (item(TDID=""), "1 MissingUserId"),
        (item(TDID=None), "1 MissingUserId"),
        (item(TDID=5), "1 ItemDeserializationError"),
        (item(UID2=RAW[:-1]), "1 MissingUserId"),
        (item(UID2=RAW, TDID=guid(1)), "1 MissingUserId"),
        (item(Email="person1@example.com"), "1 ItemDeserializationError"),
        ({"TDID": guid(1)}, "1 ItemDeserializationError"),
        ({"TDID": guid(1), "Data": []}, "1 ItemDeserializationError"),
        ({"TDID": guid(1), "Data": [{"Name": "a", "More": 1}]}, "1 ItemDeserializationError"),
        (item(name=""), "1 ItemDeserializationError"),
        (item(name="x" * NAME_MAX), ""),
        (item(name="x" * (NAME_MAX + 1)), "1 DataNameTooLong"),
        (item(minutes=0), ""),
        (item(minutes=TTL_MAX), ""),
        (item(minutes=TTL_MAX + 1), "1 InvalidTtlInMinutes"),
        (item(minutes=-1), "1 InvalidTtlInMinutes"),
        (item(minutes="60"), "1 InvalidTtlInMinutes"),
        (
            {"TDID": guid(1), "Data": [{"Name": "a", "TimestampUtc": "2026-11-23T10:00:00Z"}]},
            "",
        ),
        (
            {"TDID": guid(1), "Data": [{"Name": "a", "TimestampUtc": "once"}]},
            "1 InvalidTimestampUtc",
        ),
    ],
)
def test_an_item_of_another_form_is_a_failed_line(who: dict[str, Any], code: str) -> None:
    """With the vendor's code; the item beside it is taken, and its values are in no message."""
    http = InProcess()
    reply = asked(http, upload(who, item(TDID=guid(9))))
    assert codes(reply) == ([code] if code else [])
    assert http.members().get("TDID", [])[-1] == guid(9)
    assert b"person1" not in reply.body


def test_a_deletion_needs_its_kind_and_no_segment() -> None:
    """It takes ids alone, and forgets them in every segment."""
    http = InProcess()
    asked(http, upload(item(), item(name="Other")))
    people = {"AdvertiserId": "abc123", "Items": [{"TDID": guid(1)}, {}]}
    assert asked(http, people, DELETION).status == 400
    assert asked(http, {**people, "RequestType": "Purge"}, DELETION).status == 400
    reply = asked(http, {**people, "RequestType": "Deletion"}, DELETION)
    assert codes(reply) == ["2 InvalidUserId"]
    assert [one["count"] for one in http.app.trade_desk.lists()] == [0, 0]


@pytest.mark.parametrize(
    "lists",
    [
        [],
        {},
        {"hashes": []},
        {"email_hash": "x"},
        {"email_hash": ["x"] * ITEMS_MAX, "phone_hash": ["x"]},
    ],
)
def test_the_operator_refuses_other_lists_than_its_four(lists: Any) -> None:
    """And more than 5,000 in all."""
    with pytest.raises(_RefusalError) as raised:
        _checked(lists)
    assert raised.value.status == 400


def test_the_operator_takes_no_clear_value() -> None:
    """None may leave Mayfly; as base64 or hex, a digest is the same one."""
    told = InProcess().app.trade_desk.operator
    digest = bytes(range(32))
    hashes = [base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper(), "0" * 63]
    found = told._mapped("uid2", {"email": ["person1@example.com"], "email_hash": hashes}, False)
    assert found["email"] == [{"e": "invalid identifier"}]
    first, second, third, last = found["email_hash"]
    assert first["u"] == second["u"] == third["u"]
    assert last == {"e": "invalid identifier"}
