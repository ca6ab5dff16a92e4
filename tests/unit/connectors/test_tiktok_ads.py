"""Members of TikTok audiences as requests, settings, and what each code means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pytest

from mayfly.connectors.destinations.tiktok_ads import TiktokAds, TiktokAdsSettings
from mayfly.connectors.destinations.tiktok_ads_requests import mapping_body, members_of
from mayfly.connectors.tiktok_api import TiktokSettings, answer
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

A, B = bytes(range(32)), bytes(range(32, 64))
NAMES = ("EMAIL_SHA256", "AAID_SHA256")


@dataclass(frozen=True)
class _Token:
    def reveal(self) -> str:
        return "t0ken"


def batch(
    rows: Mapping[str, list[bytes | None]],
    operation: Operation = Operation.ADD,
    form: Form = Form.DIGEST,
) -> ProtectedBatch:
    """Rows as the gate lets them through."""
    table = pa.table({n: pa.array(v, pa.binary()) for n, v in rows.items()})
    head = BatchHead(
        sync="s",
        run="r",
        number=0,
        of=1,
        operation=operation,
        rows=table.num_rows,
        identifier="EMAIL_SHA256" if operation is Operation.REMOVE else None,
    )
    return ProtectedBatch(head, table, dict.fromkeys(rows, form), seal=THE_SEAL)


def test_each_row_has_one_object_per_type_in_the_order_of_the_schema() -> None:
    """Empty where it has none; only the rows that were asked for, in their order."""
    made = batch({"EMAIL_SHA256": [A, None, B], "AAID_SHA256": [None, A, B]})
    members = members_of(made, NAMES[::-1], "7")
    body = orjson.loads(mapping_body({"action": "add"}, members, [2, 0]))

    def of(digest: bytes) -> dict[str, Any]:
        return {"id": digest.hex(), "audience_ids": ["7"]}

    assert body == {"action": "add", "batch_data": [[of(B), of(B)], [{}, of(A)]]}


@pytest.mark.parametrize(
    ("code", "error", "name"),
    [
        (40001, ConfigError, "no_permission"),
        (40002, RequestRefusedError, "tiktok_40002"),
        (40007, ContractError, "tiktok_40007"),
        (40061, RequestRefusedError, "tiktok_40061"),
        (40062, RequestRefusedError, "tiktok_40062"),
        (20001, ContractError, "tiktok_20001"),
        (40100, TransientError, "rate_limited"),
        (40132, TransientError, "rate_limited"),
        (40102, ConfigError, "reauthorise"),
        (40130, ConfigError, "no_permission"),
        (40300, ConfigError, "bad_account_id"),
        (40202, TransientError, "destination_busy"),
        (60001, TransientError, "destination_busy"),
        (40105, ConfigError, "reauthorise"),
        (50000, TransientError, "destination_busy"),
        (51010, TransientError, "destination_busy"),
        (61000, ContractError, "tiktok_61000"),
        ("0", ContractError, "unknown_answer"),
        (True, ContractError, "unknown_answer"),
        (-1, ContractError, "unknown_answer"),
        (None, ContractError, "unknown_answer"),
    ],
)
def test_each_code_says_what_to_do(code: Any, error: type[EngineError], name: str) -> None:
    """The status is 200 in each; TikTok's text goes nowhere."""
    body = orjson.dumps({"code": code, "message": "marked@example.com", "data": {}})
    with pytest.raises(error) as raised:
        answer(HttpReply(status=200, headers={}, body=body))
    assert (type(raised.value), raised.value.code) == (error, name)
    assert "marked" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ConfigError), (429, TransientError), (502, TransientError), (404, ContractError)],
)
def test_a_status_that_is_none_of_tiktoks_is_no_success(
    status: int, error: type[EngineError]
) -> None:
    """Whatever the body says."""
    with pytest.raises(error):
        answer(HttpReply(status=status, headers={}, body=b'{"code":0}'))


def test_data_may_be_missing() -> None:
    """Of a call that has nothing to tell."""
    assert answer(HttpReply(status=200, headers={}, body=b'{"code":0}')) == {}


def settings(**more: Any) -> TiktokAdsSettings:
    """Of one audience."""
    api = TiktokSettings(access_token=_Token())
    return TiktokAdsSettings(**{"api": api, "advertiser_id": "42", "audience": "VIP", **more})


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: settings(advertiser_id="act"), "bad_account_id"),
        (lambda: settings(audience=" "), "bad_audience"),
        (lambda: settings(audience="x" * 129), "bad_audience"),
        (
            lambda: TiktokSettings(access_token=_Token(), endpoint="https://elsewhere.example"),
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
class _Tiktok:
    """Answers one after the other, and keeps what it was asked."""

    answers: list[Any]
    asked: list[str] = field(default_factory=list)

    async def request(self, method: str, url: str, **how: Any) -> HttpReply:
        """The next answer."""
        assert how["headers"]["access-token"] == "t0ken"
        self.asked.append(f"{method} {url.removeprefix('https://business-api.tiktok.com')}")
        return HttpReply(status=200, headers={}, body=orjson.dumps(self.answers.pop(0)))

    async def close(self) -> None:
        """Nothing to release."""


def connector(*answers: Any, columns: tuple[str, ...] = NAMES) -> TiktokAds:
    """One that TikTok answers so."""
    context = DestinationContext(
        workspace="shop",
        sync="s",
        mode=SyncMode.AUDIENCE,
        object_name="VIP",
        key=(),
        columns=dict.fromkeys(columns, pa.binary()),
        forms={},
    )
    return TiktokAds(settings(), _Tiktok(list(answers)), context)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"list": {}, "page_info": {}},
        {"list": [1], "page_info": {}},
        {"list": [{"audience_id": 7}], "page_info": {}},
        {"list": [{"audience_id": "x"}], "page_info": {}},
    ],
    ids=str,
)
def test_a_list_of_audiences_that_is_none_is_told(data: Any) -> None:
    """An audience that was not seen would be made twice."""
    with pytest.raises(ContractError, match="unknown_answer"):
        asyncio.run(connector({"code": 0, "data": data}).locate(None))


def test_an_advertiser_that_tiktok_does_not_take_is_told() -> None:
    """By the key of the project file that it stands in."""
    with pytest.raises(ConfigError, match="bad_account_id"):
        asyncio.run(connector({"code": 40002}).check())


def test_an_audience_that_is_made_has_an_id() -> None:
    """Else nobody could be added to it."""
    listed = {"list": [], "page_info": {"total_page": 0}}
    made = connector({"code": 0, "data": listed}, {"code": 0, "data": {}})
    rows = batch({"EMAIL_SHA256": [A], "AAID_SHA256": [A]})
    with pytest.raises(ContractError, match="not a number"):
        asyncio.run(made.write(rows, Progress(rows=1)))


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [(Operation.ADD, OutcomeCode.UNCONFIRMED), (Operation.REMOVE, OutcomeCode.REJECTED)],
)
def test_of_a_request_that_was_partly_taken_nobody_is_sure(
    operation: Operation, outcome: OutcomeCode
) -> None:
    """Who may be in counts as delivered; who may not be out is removed once more."""
    entry = {"audience_id": "7", "name": "VIP"}
    listed = {"list": [entry], "page_info": {"total_page": 1}}
    made = connector({"code": 0, "data": listed}, {"code": 20001}, columns=("EMAIL_SHA256",))
    rows = batch({"EMAIL_SHA256": [A, B]}, operation)
    done = asyncio.run(made.write(rows, Progress(rows=2)))
    assert isinstance(done, Done)
    assert done.outcomes.count(outcome) == 2
    assert done.outcomes.reasons[1].vendor_code == "tiktok_20001"


def test_what_an_audience_cannot_do_is_refused() -> None:
    """It has no jobs and takes no inserts, and a removal names one type."""
    made, rows = connector(), {"EMAIL_SHA256": [A], "AAID_SHA256": [A]}
    assert asyncio.run(made.applied(batch(rows).head)) is None
    with pytest.raises(ContractError, match="no_such_job"):
        asyncio.run(made.poll(JobRef(batch=0, rows=1, reference="x")))
    with pytest.raises(ContractError, match="unknown_operation"):
        asyncio.run(made.write(batch(rows, Operation.INSERT), Progress(rows=1)))
    with pytest.raises(ContractError, match="one_identifier"):
        asyncio.run(made.erase(batch(rows)))
    with pytest.raises(ContractError, match="columns_mismatch"):
        asyncio.run(made.write(batch({"EMAIL_SHA256": [A]}), Progress(rows=1)))
    with pytest.raises(IntegrityError, match="wrong_form"):
        asyncio.run(made.write(batch(rows, form=Form.PSEUDONYM), Progress(rows=1)))
    with pytest.raises(ConfigError, match="unknown_field"):
        connector(columns=("EMAIL",))
