"""Rows as events of Meta's Conversions API, settings, and answers that do not fit."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.meta_conversions import (
    CONNECTOR,
    SPEC,
    MetaConversions,
    MetaConversionsSettings,
)
from mayfly.connectors.destinations.meta_conversions_events import Events
from mayfly.connectors.event_columns import events_body
from mayfly.connectors.meta_graph import GraphSettings
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    TransientError,
)
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.destination import DestinationContext, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

NOW = 1_795_953_600  # 2026-11-29 12:00 UTC
DIGEST = bytes(range(32))
ONE = {
    "event_name": ["Lead"],
    "event_time": [NOW],
    "event_id": ["e1"],
    "em": pa.array([DIGEST], pa.binary()),
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


def events(columns: Mapping[str, Any], **how: Any) -> Events:
    """Of a batch, in a shop."""
    given = {"action_source": "physical_store", "is_limited": False, "now": float(NOW)}
    return Events(batch(columns), **{**given, **how})


def read(made: Events) -> list[dict[str, Any]]:
    """What a request says."""
    listed: list[dict[str, Any]] = orjson.loads(events_body(made.texts, range(len(made)), {}))[
        "data"
    ]
    return listed


def reasons(made: Events) -> list[str]:
    """Why rows are not sent."""
    return [made.unsent[n].code if n in made.unsent else "" for n in range(len(made))]


def test_every_member_stands_where_meta_looks_for_it() -> None:
    """Digests in lists, numbers as numbers, ids as a list, what is missing nowhere."""
    digest = pa.array([DIGEST], pa.binary())
    made = events(
        {
            **ONE,
            "event_name": ["Purchase"],
            "event_source_url": ["https://shop.example/thanks"],
            "action_source": ["website"],
            "opt_out": [False],
            **dict.fromkeys(("ph", "fn", "db", "country", "external_id"), digest),
            "client_ip_address": ["203.0.113.7"],
            "client_user_agent": ['Mozilla/5.0 "x"'],
            "fbc": pa.array([None], pa.string()),
            "value": [12.5],
            "currency": ["eur"],
            "content_ids": ["a-1,b-2"],
            "num_items": [2],
        }
    )
    assert reasons(made) == [""]
    [event] = read(made)
    shown = [DIGEST.hex()]
    assert event == {
        "event_name": "Purchase",
        "event_time": NOW,
        "event_id": "e1",
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "data_processing_options": [],
        "opt_out": False,
        "user_data": {
            **dict.fromkeys(("em", "ph", "external_id", "fn", "db", "country"), shown),
            "client_ip_address": "203.0.113.7",
            "client_user_agent": 'Mozilla/5.0 "x"',
        },
        "custom_data": {
            "value": 12.5,
            "currency": "EUR",
            "content_ids": ["a-1", "b-2"],
            "num_items": 2,
        },
    }


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (pa.array([NOW], pa.int32()), NOW),
        (pa.array([dt.datetime(2026, 11, 29, 12, 0, 0, 999_999)], pa.timestamp("us")), NOW),
        (pa.array([NOW * 10**9 + 1], pa.int64()).cast(pa.timestamp("ns", "Europe/Paris")), NOW),
        (pa.array([dt.date(2026, 11, 29)], pa.date32()), NOW - 12 * 3600),
        (pa.array([dt.date(2026, 11, 29)], pa.date64()), NOW - 12 * 3600),
    ],
    ids=["number", "without a zone", "with a zone", "day", "day in milliseconds"],
)
def test_a_moment_is_whole_seconds_of_utc(moment: pa.Array, seconds: int) -> None:
    """Whatever type it came in; what is less than a second is cut off."""
    [event] = read(events({**ONE, "event_time": moment}))
    assert event["event_time"] == seconds


@pytest.mark.parametrize(
    ("source", "age", "code"),
    [
        ("other", 7 * 24 * 3600, ""),
        ("other", 7 * 24 * 3600 + 1, "event_too_old"),
        ("physical_store", 62 * 24 * 3600, ""),
        ("physical_store", 62 * 24 * 3600 + 1, "event_too_old"),
        ("other", -300, ""),
        ("other", -301, "event_in_future"),
    ],
)
def test_only_events_of_their_time_are_sent(source: str, age: int, code: str) -> None:
    """At the edge, and one second beyond."""
    made = events({**ONE, "event_time": [NOW - age], "action_source": [source]})
    assert reasons(made) == [code]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"event_name": [""]}, "no_event_name"),
        ({"event_id": pa.array([None], pa.string())}, "no_event_id"),
        ({"action_source": ["website"]}, "no_source_url"),
        (
            {"action_source": ["website"], "event_source_url": ["https://shop.example"]},
            "no_user_agent",
        ),
        ({"event_name": ["Purchase"]}, "no_value"),
        ({"event_name": ["Purchase"], "value": [1.0]}, "no_currency"),
        ({"em": pa.array([None], pa.binary())}, "no_identifier"),
    ],
)
def test_an_event_without_what_meta_needs_is_not_sent(more: dict[str, Any], code: str) -> None:
    """With the reason that a person can act on."""
    assert reasons(events({**ONE, **more})) == [code]


@pytest.mark.parametrize(
    ("members", "is_enough"),
    [
        (("country",), False),
        (("ct", "country", "st", "zp", "ge"), False),
        (("ct", "fn"), True),
        (("fn", "ge"), False),
        (("fn", "ln"), True),
        (("db",), False),
        (("db", "zp"), True),
        (("external_id",), True),
    ],
)
def test_what_many_have_in_common_tells_nobody(members: tuple[str, ...], is_enough: bool) -> None:
    """Meta's four combinations, and any part of one."""
    digest = pa.array([DIGEST], pa.binary())
    rest = {name: column for name, column in ONE.items() if name != "em"}
    made = events({**rest, **dict.fromkeys(members, digest)})
    assert reasons(made) == ["" if is_enough else "no_identifier"]


def test_limited_data_use_follows_each_row_and_unknown_is_yes() -> None:
    """The sync's purpose can ask for it in all rows, and a row never takes that back."""
    three = {
        "event_name": ["Lead"] * 3,
        "event_time": [NOW] * 3,
        "event_id": ["a", "b", "c"],
        "em": pa.array([DIGEST] * 3, pa.binary()),
        "limited_data_use": pa.array([False, True, None]),
        "opt_out": pa.array([False, True, None]),
    }
    made = read(events(three))
    assert [e["data_processing_options"] for e in made] == [[], ["LDU"], ["LDU"]]
    assert [e.get("data_processing_options_state") for e in made] == [None, 0, 0]
    assert [e["opt_out"] for e in made] == [False, True, True]
    made = read(events(three, is_limited=True))
    assert [e["data_processing_options"] for e in made] == [["LDU"]] * 3


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_no_text_makes_another_event_or_member(texts: list[str]) -> None:
    """Quotes, backslashes, controls and other scripts stay within their value."""
    count = len(texts)
    columns = {
        "event_name": ["Lead"] * count,
        "event_time": [NOW] * count,
        "event_id": texts,
        "client_user_agent": texts,
        "em": pa.array([DIGEST] * count, pa.binary()),
    }
    found = read(events(columns))
    assert [(e["event_id"], e["user_data"]["client_user_agent"]) for e in found] == [
        (text, text) for text in texts
    ]


def test_a_column_in_another_form_or_of_no_field_is_refused() -> None:
    """Whatever let it through."""
    table = pa.table({"em": ["a@example.com"]})
    head = batch(ONE).head
    for forms, error in (({"em": Form.CLEAR}, IntegrityError), ({"x": Form.CLEAR}, ContractError)):
        wrong = ProtectedBatch(head, table.rename_columns(list(forms)), forms, seal=THE_SEAL)
        with pytest.raises(error):
            Events(wrong, action_source="other", is_limited=True, now=NOW)


# -- settings and answers ------------------------------------------------------------------------


def settings(**more: Any) -> MetaConversionsSettings:
    """Of one dataset."""
    graph = GraphSettings(access_token=_Token())
    return MetaConversionsSettings(**{"graph": graph, "dataset_id": "42", **more})


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: settings(dataset_id="pixel"), "bad_dataset_id"),
        (lambda: settings(action_source="app"), "bad_action_source"),
        (lambda: settings(test_event_code="a b"), "bad_test_event_code"),
        (lambda: GraphSettings(access_token=_Token(), api_version="26"), "bad_api_version"),
        (
            lambda: GraphSettings(access_token=_Token(), endpoint="https://elsewhere.example"),
            "bad_endpoint",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Callable[[], Any], code: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError) as raised:
        make()
    assert raised.value.code == code


@dataclass
class _Meta:
    """Answers one after the other, and keeps what it was asked."""

    answers: list[tuple[int, Any]]
    asked: list[bytes] = field(default_factory=list)

    async def request(self, method: str, url: str, **how: Any) -> HttpReply:
        """The next answer."""
        assert (method, url) == ("POST", "https://graph.facebook.com/v26.0/42/events")
        self.asked.append(how["content"])
        status, told = self.answers.pop(0)
        return HttpReply(status=status, headers={}, body=orjson.dumps(told))

    async def close(self) -> None:
        """Nothing to release."""


def connector(*answers: tuple[int, Any], **columns: pa.DataType) -> MetaConversions:
    """One that Meta answers so."""
    context = DestinationContext(
        workspace="shop",
        sync="s",
        mode=SyncMode.APPEND,
        object_name="s",
        key=(),
        columns=columns,
        forms={},
    )
    return MetaConversions(settings(), _Meta(list(answers)), context, seconds=lambda: NOW)


def refused(code: int, subcode: int | None = None) -> tuple[int, Any]:
    """Meta's envelope, with a text that echoes somebody."""
    error = {"message": "marked@example.com", "code": code, "error_subcode": subcode}
    return 400, {"error": error}


def written(made: MetaConversions, columns: Mapping[str, Any], times: int = 1) -> list[Any]:
    """What each sending of the same batch came to."""

    async def scenario() -> list[Any]:
        found: list[Any] = []
        for _ in range(times):
            sent = batch({"action_source": ["other"], **columns})
            try:
                found.append(await made.write(sent, Progress(rows=len(sent))))
            except (ConfigError, ContractError, TransientError) as error:
                found.append(error)
        return found

    came = asyncio.run(scenario())
    errors = [c for c in came if isinstance(c, EngineError)]
    assert "marked" not in " ".join(f"{error} {error.hint}" for error in errors)
    return came


@pytest.mark.parametrize("received", [None, "1", True, -1, 2])
def test_another_count_than_was_sent_is_no_answer(received: Any) -> None:
    """Nor one that is none."""
    [error] = written(connector((200, {"events_received": received})), ONE)
    assert isinstance(error, ContractError)


def test_a_request_that_was_cut_is_sent_once_more() -> None:
    """Meta knows the events again; cut twice, its size is not what Meta says it takes."""
    cut = (200, {"events_received": 0})
    first, second = written(connector(cut, cut), ONE, times=2)
    assert (type(first), first.code) == (TransientError, "batch_cut")
    assert (type(second), second.code) == (ContractError, "batch_cut")


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (refused(190, 463), ConfigError, "reauthorise"),
        (refused(200), ConfigError, "dataset_refused"),
        (refused(10), ConfigError, "dataset_refused"),
        (refused(100, 33), ConfigError, "dataset_refused"),
        (refused(4), TransientError, "rate_limited"),
        (refused(368), TransientError, "rate_limited"),
        (refused(2), TransientError, "destination_busy"),
        (refused(105), ContractError, "meta_105"),
        ((500, "no JSON object"), TransientError, "destination_busy"),
        ((404, {}), ContractError, "unknown_answer"),
    ],
)
def test_each_refusal_says_what_to_do(
    answer: tuple[int, Any], error: type[Exception], code: str
) -> None:
    """And none is taken for a row's."""
    [found] = written(connector(answer), ONE)
    assert (type(found), found.code) == (error, code)


def test_a_refused_row_keeps_metas_code_and_nothing_of_its_text() -> None:
    """After it was sent alone."""
    [done] = written(connector(refused(100, 2804003)), ONE)
    assert done.outcomes.reasons[0].vendor_code == "meta_100_2804003"


def test_check_is_refused_for_want_of_events_and_nothing_else() -> None:
    """An answer that takes nothing for something is none."""
    asyncio.run(connector(refused(100)).check())
    with pytest.raises(ContractError):
        asyncio.run(connector((200, {"events_received": 0})).check())


def test_what_a_dataset_cannot_do_is_refused() -> None:
    """Nothing is taken back, asked for, or written otherwise."""
    made = connector()
    assert asyncio.run(made.applied(batch(ONE).head)) is None
    with pytest.raises(ContractError, match="no_such_job"):
        asyncio.run(made.poll(JobRef(batch=0, rows=1, reference="x")))
    with pytest.raises(ContractError, match="no_erasure"):
        asyncio.run(made.erase(batch(ONE)))
    with pytest.raises(ContractError, match="unknown_operation"):
        asyncio.run(made.write(batch(ONE, Operation.ADD), Progress(rows=1)))
    for kind in (pa.string(), pa.float64()):
        with pytest.raises(ConfigError, match="unsendable_type"):
            connector(event_time=kind)
    with pytest.raises(ConfigError, match="unknown_field"):
        connector(email=pa.string())


def test_a_sync_without_what_every_event_needs_is_refused_before_a_row_is_read() -> None:
    """By the names of what is missing."""
    there = DestinationSettings(name="d", type="meta_conversions", options={})
    sync = SyncSettings(
        name="s", id="s", model="m", destination="d", mode="append", mapping={"em": "email"}
    )
    assert CONNECTOR.refuses is not None
    told = [text for _, text in CONNECTOR.refuses(there, sync)]
    names = ("event_name", "event_time", "event_id", "action_source")
    assert [next(n for n in names if f"without {n}:" in text) for text in told] == list(names)
