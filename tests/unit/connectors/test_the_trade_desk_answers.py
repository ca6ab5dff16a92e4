"""What The Trade Desk answers: each documented error as ours, and failed lines as outcomes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.connectors.destinations import the_trade_desk_answers as answers
from mayfly.connectors.destinations.the_trade_desk_answers import (
    Failures,
    RequestTooLargeError,
    Standing,
    added,
    answer,
    failures,
    reached,
    removed,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.http import HttpReply

FOREIGN_TEXT = "the address person1@example.com is not welcome"
NOTHING = Failures(codes={})


def reply(status: int, body: Any = FOREIGN_TEXT, **headers: str) -> HttpReply:
    """A reply of a status, with JSON, or with plain text as some are."""
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=names, body=content)


def v2(status: int, code: str) -> HttpReply:
    """An error as the second version of responses has it."""
    return reply(status, {"ErrorCode": code, "Message": FOREIGN_TEXT, "FailedLines": []})


def line(number: int | str | None, code: str | None = "MissingUserId") -> dict[str, Any]:
    """One failed line."""
    text = None if number is None else str(number)
    return {"ItemNumber": text, "ErrorCode": code, "Message": FOREIGN_TEXT, "TDID": "x"}


DOCUMENTED: list[tuple[HttpReply, type[EngineError], str]] = [
    (reply(400), ConfigError, "request_refused"),
    (reply(400, {"FailedLines": [line(1)]}), ConfigError, "request_refused"),
    *(
        (v2(400, code), ContractError, "request_refused")
        for code in ("UnknownRequest", "IncorrectContent", "MissingData", "SerializationFailed")
    ),
    (reply(401), ConfigError, "reauthorise"),
    (v2(401, "AuthenticationFailed"), ConfigError, "reauthorise"),
    (v2(401, "InvalidToken"), ConfigError, "reauthorise"),
    (reply(403), ConfigError, "reauthorise"),
    *(
        (v2(403, code), ConfigError, "reauthorise")
        for code in ("IncorrectPermissions", "AdvertiserMisconfigured", "DataProviderMisconfigured")
    ),
    (v2(403, "TargetingDataLimitReached"), ConfigError, "segment_refused"),
    (reply(404), ConfigError, "request_refused"),
    (v2(404, "EndpointNotConfigured"), ConfigError, "request_refused"),
    (reply(410, {}), ContractError, "unknown_answer"),
    (reply(413), RequestTooLargeError, "request_too_large"),
    (v2(413, "MaxRequestSizeExceeded"), RequestTooLargeError, "request_too_large"),
    (reply(429, {}), TransientError, "rate_limited"),
    (reply(500, ""), TransientError, "destination_busy"),
    (reply(502), TransientError, "destination_busy"),
    (reply(503), TransientError, "destination_busy"),
    (reply(504), TransientError, "destination_busy"),
    (reply(302), ContractError, "redirected"),
    (reply(200), TransientError, "garbage_answer"),
    (reply(200, ""), TransientError, "garbage_answer"),
    (reply(200, []), TransientError, "garbage_answer"),
]  # fmt: skip


@pytest.mark.parametrize(("given_reply", "kind", "code"), DOCUMENTED)
def test_each_documented_answer_says_what_to_do(
    given_reply: HttpReply, kind: type[EngineError], code: str
) -> None:
    """Every status and code of the sheet; the vendor's own text is nowhere in it."""
    with pytest.raises(EngineError) as raised:
        answer(given_reply)
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert "person1" not in f"{raised.value} {raised.value.hint}"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_is_the_one_that_is_named(status: int) -> None:
    """`Retry-After` in seconds."""
    with pytest.raises(TransientError) as raised:
        answer(reply(status, {}, retry_after="17"))
    assert raised.value.retry_after_seconds == 17.0


@pytest.mark.parametrize("good", [reply(400), v2(400, "MissingData"), reply(200, {})])
def test_a_refusal_for_no_items_says_that_ours_would_be_heard(good: HttpReply) -> None:
    """So does an answer."""
    reached(good)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (reply(401), ConfigError),
        (reply(403), ConfigError),
        (v2(400, "AdvertiserMisconfigured"), ConfigError),
        (reply(503), TransientError),
    ],
)
def test_any_other_refusal_says_that_it_would_not(bad: HttpReply, kind: type[EngineError]) -> None:
    """A token, an advertiser, an outage."""
    with pytest.raises(kind):
        reached(bad)


@pytest.mark.parametrize("body", [{}, {"FailedLines": None}, {"FailedLines": []}, {"More": 1}])
def test_who_is_not_listed_was_taken(body: dict[str, Any]) -> None:
    """No failed lines, in each way to say so; members nobody knows are tolerated."""
    assert failures(body, 3) == NOTHING


def test_numbers_begin_with_one() -> None:
    """The first item is 1, whether as text or as a number; a second line of it changes nothing."""
    lines = [line(1), {**line(3), "ItemNumber": 3}, line(3, "UserNotMapped")]
    found = failures({"FailedLines": lines}, 3)
    assert dict(found.codes) == {0: "MissingUserId", 2: "MissingUserId"}
    assert not found.unnamed
    assert failures({"FailedLines": [line(None)]}, 3).unnamed


@pytest.mark.parametrize(
    "lines",
    [
        "text",
        ["text"],
        [line(0)],
        [line(4)],
        [line("one")],
        [line("-1")],
        [line("²")],
        [line("1" * 40)],
        [line(1, "SomethingNew")],
    ],
)
def test_lines_that_cannot_be_are_a_broken_contract(lines: Any) -> None:
    """Numbers of no item, codes that no documentation has."""
    with pytest.raises(ContractError) as raised:
        failures({"FailedLines": lines}, 3)
    assert raised.value.code == "unknown_answer"
    assert "person1" not in str(raised.value)


@pytest.mark.parametrize("code", sorted(answers._OF_ALL))
def test_what_is_the_same_in_all_items_is_no_row_s_fault(code: str) -> None:
    """A segment or an advertiser that takes nobody stops the run; of some rows it rejects these."""
    with pytest.raises(ConfigError) as raised:
        failures({"FailedLines": [line(n, code) for n in (1, 2, 3)]}, 3)
    assert raised.value.code == "segment_refused"
    assert code in raised.value.message
    found = failures({"FailedLines": [line(2, code)]}, 3)
    assert added(Standing(rows=3), [0, 1, 2], found).codes.to_pylist() == [0, 2, 0]


@pytest.mark.parametrize("code", [None, *sorted(answers._OF_ONE)])
def test_what_a_row_is_refused_for_stands_beside_our_code(code: str | None) -> None:
    """Every row code of the vendor's client; a line without one is `Unknown`."""
    found = failures({"FailedLines": [line(2, code)]}, 2)
    outcomes = added(Standing(rows=2), [0, 1], found)
    assert outcomes.codes.to_pylist() == [0, 2]
    reason = outcomes.reasons[1]
    assert (reason.code, reason.vendor_code) == ("invalid_entry", code or "Unknown")


def test_the_codes_are_those_of_the_vendor_s_client() -> None:
    """`ttd-data` knows no code that we do not, and deletions have one more."""
    from ttd_data.models import AdvertiserDataResponseErrorCode, DsrErrorCode

    theirs = {c.value for c in (*AdvertiserDataResponseErrorCode, *DsrErrorCode)}
    assert theirs == answers._OF_ALL | answers._OF_ONE


def shown(outcomes: Outcomes) -> list[str]:
    """Code and reason of each row."""
    return [
        f"{OutcomeCode(code).name.lower()}"
        + (f" {outcomes.reasons[row].code}" if row in outcomes.reasons else "")
        for row, code in enumerate(outcomes.codes.to_pylist())
    ]


def test_one_outcome_for_a_row_of_several_identifiers() -> None:
    """All taken, all refused, some refused, some invalid, none there, opted out."""
    standing = Standing(rows=7, opted_out={5}, invalid={3, 6})
    item_rows = [0, 1, 2, 3, 0, 1, 2]
    found = added(standing, item_rows, Failures(codes={1: "Unknown", 5: "Unknown", 6: "Unknown"}))
    assert shown(found) == [
        "accepted",
        "rejected invalid_entry",
        "unconfirmed partly_taken",
        "unconfirmed partly_taken",
        "rejected no_identifier",
        "rejected opted_out",
        "rejected invalid_identifier",
    ]


def test_where_a_refused_item_is_not_named_nobody_is_sure() -> None:
    """Added rows count as delivered, so that they can be removed; rows to remove do not."""
    unsure = Failures(codes={0: "Unknown"}, unnamed=True)
    assert shown(added(Standing(rows=3), [0, 1, 2], unsure)) == [
        "rejected invalid_entry",
        *["unconfirmed invalid_count_only"] * 2,
    ]
    assert shown(removed(Standing(rows=3, opted_out={2}), [0, 1], unsure)) == [
        "rejected invalid_entry",
        "rejected invalid_count_only",
        "unconfirmed opted_out",
    ]


def test_who_is_not_there_is_removed() -> None:
    """What no member can have is no failure of a removal; anything else is, of any of its items."""
    codes = {0: "UserNotMapped", 1: "MissingUserId", 2: "InvalidUserId", 3: "Unknown", 5: "Unknown"}
    item_rows = [0, 1, 2, 3, 4, 4]
    found = removed(Standing(rows=6), item_rows, Failures(codes=codes))
    assert shown(found) == [
        *["accepted"] * 3,
        "rejected invalid_entry",
        "rejected invalid_entry",
        "accepted",
    ]


@settings(max_examples=40)
@given(st.data())
def test_every_row_has_one_outcome_and_its_reason(data: st.DataObject) -> None:
    """Whatever was sent and refused: codes for all rows, reasons for all that are not accepted."""
    rows = data.draw(st.integers(0, 12))
    some = st.sets(st.integers(0, max(0, rows - 1)), max_size=rows)
    opted_out = data.draw(some)
    standing = Standing(rows=rows, opted_out=opted_out, invalid=data.draw(some))
    others = [row for row in range(rows) if row not in opted_out]
    items = data.draw(st.lists(st.sampled_from(others), max_size=20)) if others else []
    failed = data.draw(st.sets(st.integers(0, max(0, len(items) - 1)))) if items else set()
    found = Failures(
        codes=dict.fromkeys(failed, "Unknown"), unnamed=data.draw(st.booleans()) and bool(items)
    )
    for outcomes in (added(standing, items, found), removed(standing, items, found)):
        assert len(outcomes) == rows
        assert set(outcomes.reasons) == set(outcomes.not_accepted())
    outcomes = added(standing, items, found)
    for row in range(rows):
        taken = any(r == row and n not in failed for n, r in enumerate(items))
        delivered = outcomes.codes[row].as_py() in (0, 1)
        assert delivered == taken
