"""Rows as events of TikTok's Events API, settings, and answers that nobody is sure of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.tiktok_events import (
    CONNECTOR,
    SPEC,
    TiktokEvents,
    TiktokEventsSettings,
)
from mayfly.connectors.destinations.tiktok_events_rows import Events
from mayfly.connectors.event_columns import events_body
from mayfly.connectors.tiktok_api import TiktokSettings
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.destination import DestinationContext, Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.privacy.rules import hash_value

NOW = 1_795_953_600  # 2026-11-29 12:00 UTC
DIGEST = bytes(range(32))
ONE = {
    "event": ["Purchase"],
    "event_time": [NOW],
    "event_id": ["e1"],
    "email": pa.array([DIGEST], pa.binary()),
}


@dataclass(frozen=True)
class _Token:
    def reveal(self) -> str:
        return "t0ken"


def batch(columns: Mapping[str, Any], operation: Operation = Operation.INSERT) -> ProtectedBatch:
    """Rows as the gate lets them through."""
    table = pa.table(dict(columns))
    forms = {}
    for name in table.column_names:
        spec = SPEC.field(name)
        forms[name] = Form.CLEAR if spec is None else spec.form
    head = BatchHead(sync="s", run="r", number=0, of=1, operation=operation, rows=table.num_rows)
    return ProtectedBatch(head, table, forms, seal=THE_SEAL)


def events(columns: Mapping[str, Any], *, is_limited: bool = False) -> Events:
    """Of a batch."""
    return Events(batch(columns), is_limited=is_limited, now=NOW)


def read(made: Events) -> list[dict[str, Any]]:
    """What a request says."""
    body = orjson.loads(events_body(made.texts, range(len(made)), {"event_source": "web"}))
    assert body["event_source"] == "web"
    listed: list[dict[str, Any]] = body["data"]
    return listed


def reasons(made: Events) -> list[str]:
    """Why rows are not sent."""
    return [made.unsent[n].code if n in made.unsent else "" for n in range(len(made))]


def test_every_member_stands_where_tiktok_looks_for_it() -> None:
    """Numbers as numbers, and what is missing nowhere."""
    made = events(
        {
            **ONE,
            "phone": pa.array([None], pa.binary()),
            "ttclid": ["E.C.P.abc"],
            "ip": ["203.0.113.7"],
            "user_agent": ["Mozilla/5.0"],
            "page_url": ["https://shop.example/thanks"],
            "value": [12.5],
            "currency": ["eur"],
        }
    )
    assert read(made) == [
        {
            "event": "Purchase",
            "event_time": NOW,
            "event_id": "e1",
            "limited_data_use": False,
            "user": {
                "email": DIGEST.hex(),
                "ttclid": "E.C.P.abc",
                "ip": "203.0.113.7",
                "user_agent": "Mozilla/5.0",
            },
            "page": {"url": "https://shop.example/thanks"},
            "properties": {"value": 12.5, "currency": "EUR"},
        }
    ]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, ""),
        ({"event": [""]}, "no_event_name"),
        ({"event_time": pa.array([None], pa.int64())}, "no_event_time"),
        ({"event_id": pa.array([None], pa.string())}, "no_event_id"),
        ({"event_time": [NOW + 300]}, ""),
        ({"event_time": [NOW + 301]}, "event_in_future"),
        ({"email": pa.array([None], pa.binary())}, "no_identifier"),
        ({"email": pa.array([None], pa.binary()), "ip": ["203.0.113.7"]}, "no_identifier"),
        (
            {
                "email": pa.array([None], pa.binary()),
                "ip": ["203.0.113.7"],
                "user_agent": ["Mozilla/5.0"],
            },
            "",
        ),
    ],
)
def test_an_event_that_says_too_little_is_not_sent(more: dict[str, Any], code: str) -> None:
    """With the reason that a person can act on."""
    assert reasons(events({**ONE, **more})) == [code]


def test_limited_use_follows_each_row_and_unknown_is_yes() -> None:
    """The sync's purpose can ask for it in all rows."""
    three = {
        "event": ["Purchase"] * 3,
        "event_time": [NOW] * 3,
        "event_id": ["a", "b", "c"],
        "email": pa.array([DIGEST] * 3, pa.binary()),
        "limited_data_use": pa.array([False, True, None]),
    }
    assert [e["limited_data_use"] for e in read(events(three))] == [False, True, True]
    assert [e["limited_data_use"] for e in read(events(three, is_limited=True))] == [True] * 3


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_no_text_makes_another_event_or_member(texts: list[str]) -> None:
    """Quotes, backslashes, controls and other scripts stay within their value."""
    count = len(texts)
    columns = {
        "event": ["Purchase"] * count,
        "event_time": [NOW] * count,
        "event_id": texts,
        "user_agent": texts,
        "email": pa.array([DIGEST] * count, pa.binary()),
    }
    found = read(events(columns))
    assert [(e["event_id"], e["user"]["user_agent"]) for e in found] == [(t, t) for t in texts]


def test_a_phone_of_an_event_keeps_its_plus() -> None:
    """Other than in an audience, as TikTok's sheet says."""
    spec = SPEC.field("phone")
    assert spec is not None
    assert spec.rule is not None
    context = {"default_country": "US"}
    made = hash_value(*spec.rule, "(657) 777-0000", context)
    assert made.digest == "a6e82c2f4091baff57a4f33d01efb65bfbeacbbfbcfaa9d0ff9f57d28d78fedb"
    audience = hash_value("tiktok", "phone", "(657) 777-0000", context)
    assert audience.digest != made.digest


def settings(**more: Any) -> TiktokEventsSettings:
    """Of one pixel."""
    given_ = {"event_source": "web", "event_source_id": "C4A5", **more}
    return TiktokEventsSettings(api=TiktokSettings(access_token=_Token()), **given_)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: settings(event_source="app"), "bad_event_source"),
        (lambda: settings(event_source_id="a b"), "bad_event_source_id"),
        (lambda: settings(test_event_code="a b"), "bad_test_event_code"),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Callable[[], Any], code: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError) as raised:
        make()
    assert raised.value.code == code


class _Tiktok:
    """Answers with one code."""

    def __init__(self, code: int) -> None:
        self._body = orjson.dumps({"code": code, "data": {}})

    async def request(self, method: str, url: str, **how: Any) -> HttpReply:
        """The answer."""
        assert (method, url) == (
            "POST",
            "https://business-api.tiktok.com/open_api/v1.3/event/track/",
        )
        return HttpReply(status=200, headers={}, body=self._body)

    async def close(self) -> None:
        """Nothing to release."""


def connector(code: int = 0, **columns: pa.DataType) -> TiktokEvents:
    """One that TikTok answers so."""
    context = DestinationContext(
        workspace="shop",
        sync="s",
        mode=SyncMode.APPEND,
        object_name="s",
        key=(),
        columns=columns,
        forms={},
    )
    return TiktokEvents(settings(), _Tiktok(code), context, seconds=lambda: NOW)


def test_of_a_request_that_was_partly_taken_nobody_is_sure() -> None:
    """Its events count as delivered: sent again, some would be doubled if their time is over."""
    done = asyncio.run(connector(20001).write(batch(ONE), Progress(rows=1)))
    assert isinstance(done, Done)
    assert done.outcomes.count(OutcomeCode.UNCONFIRMED) == 1
    assert done.outcomes.reasons[0].vendor_code == "tiktok_20001"


def test_another_refusal_is_no_rows() -> None:
    """Nor is it an outcome."""
    with pytest.raises(ContractError, match="tiktok_40400"):
        asyncio.run(connector(40400).write(batch(ONE), Progress(rows=1)))


def test_check_is_refused_for_want_of_events_and_nothing_else() -> None:
    """An answer that takes nothing for something is none."""
    asyncio.run(connector(40002).check())
    with pytest.raises(ContractError):
        asyncio.run(connector(0).check())


def test_what_an_event_source_cannot_do_is_refused() -> None:
    """Nothing is taken back, asked for, or written otherwise."""
    made = connector()
    assert asyncio.run(made.applied(batch(ONE).head)) is None
    with pytest.raises(ContractError, match="no_such_job"):
        asyncio.run(made.poll(JobRef(batch=0, rows=1, reference="x")))
    with pytest.raises(ContractError, match="no_erasure"):
        asyncio.run(made.erase(batch(ONE)))
    with pytest.raises(ContractError, match="unknown_operation"):
        asyncio.run(made.write(batch(ONE, Operation.ADD), Progress(rows=1)))
    with pytest.raises(ConfigError, match="unsendable_type"):
        connector(event_time=pa.string())
    with pytest.raises(ConfigError, match="unknown_field"):
        connector(em=pa.string())


def test_a_sync_without_what_every_event_needs_is_refused_before_a_row_is_read() -> None:
    """By the names of what is missing."""
    there = DestinationSettings(name="d", type="tiktok_events", options={})
    sync = SyncSettings(
        name="s", id="s", model="m", destination="d", mode="append", mapping={"event": "event"}
    )
    assert CONNECTOR.refuses is not None
    told = [text for _, text in CONNECTOR.refuses(there, sync)]
    assert ["needs event_time" in told[0], "needs event_id" in told[1]] == [True, True]
    assert len(told) == 2
