"""Pinterest customer lists: settings, bodies, each of the twelve statuses, counters, and jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from mayfly.connectors.destinations.pinterest_answers import answer
from mayfly.connectors.destinations.pinterest_audience import (
    GIVEN_UP_SECONDS,
    LIMITS,
    Pinterest,
    PinterestSettings,
    Receipt,
    records,
)
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import Done, JobRef, Pending, Progress, Submitted
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form
from scripted_http import Scripted, Token, batch, context, digest, reply

T = TypeVar("T")
ACCOUNT = "549755885175"
LIST = {
    "ad_account_id": ACCOUNT,
    "created_time": 1_452_208_622,
    "id": "643000",
    "name": "VIP",
    "num_batches": 2,
    "num_removed_user_records": 5,
    "num_uploaded_user_records": 11,
    "status": "READY",
    "type": "customerlist",
    "updated_time": 1_461_269_616,
    "exceptions": {},
}
PATH = f"v5/ad_accounts/{ACCOUNT}/customer_lists"


def page(*items: Any, bookmark: Any = None) -> HttpReply:
    """One page of a collection."""
    return reply({"items": list(items), "bookmark": bookmark})


def shown(**more: Any) -> HttpReply:
    """The list."""
    return reply({**LIST, **more})


def pinterest(
    *answers: HttpReply, now: float = 1_000.0, audience: str = "VIP"
) -> tuple[Pinterest, Scripted]:
    """A connector with its answers, and the calls."""
    http = Scripted(*answers)
    settings = PinterestSettings(account_id=ACCOUNT, access_token=Token(), audience=audience)
    return Pinterest(settings, http, context("EMAIL"), now=lambda: now), http


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own."""
    return asyncio.run(scenario)


def written(made: Pinterest, operation: Operation, values: list[bytes | None]) -> Done | Submitted:
    """The answer to a batch."""
    return run(made.write(batch(operation, "EMAIL", values), Progress(rows=len(values))))


def polled(reference: str, *answers: HttpReply, now: float = 1_060.0) -> Done | Pending:
    """What became of a job of two rows."""
    made, http = pinterest(*answers, now=now)
    found = run(made.poll(JobRef(batch=7, rows=2, reference=reference)))
    assert http.answers == []
    return found


def code_of(scenario: Coroutine[Any, Any, Any]) -> str:
    """What it is refused with."""
    with pytest.raises(EngineError) as caught:
        run(scenario)
    return caught.value.code


def test_each_digest_goes_once_in_one_text_parted_by_commas() -> None:
    """The job holds all rows that have a digest, and what the list has to count at its end."""
    made, http = pinterest(page(LIST), shown(num_uploaded_user_records=13))
    given = written(made, Operation.ADD, [digest(1), None, digest(2), digest(1)])
    assert isinstance(given, Submitted)
    assert given.job == JobRef(batch=7, rows=3, reference="643000/add/13/1000")
    assert given.known is not None
    assert given.known.codes.to_pylist() == [0, 2, 0, 0]
    call = http.calls[1]
    assert (call.method, call.path) == ("PATCH", f"{PATH}/643000")
    assert call.headers["authorization"] == "Bearer token-1"
    both = f"{digest(1).hex()},{digest(2).hex()}"
    assert call.json == {"operation_type": "ADD", "records": both}


def test_a_list_is_made_with_its_first_members() -> None:
    """Pinterest makes none without; what comes after is appended, and counted on."""
    made, http = pinterest(
        page({**LIST, "name": "vip"}),
        shown(status="UPLOADING", num_uploaded_user_records=0),
        shown(status="PROCESSING", num_uploaded_user_records=0),
    )
    first = written(made, Operation.ADD, [digest(1), digest(2)])
    second = written(made, Operation.ADD, [digest(3)])
    assert isinstance(first, Submitted)
    assert isinstance(second, Submitted)
    assert [http.calls[n].method for n in (1, 2)] == ["POST", "PATCH"]
    both = f"{digest(1).hex()},{digest(2).hex()}"
    assert http.calls[1].json == {"name": "VIP", "list_type": "EMAIL", "records": both}
    assert (first.job.reference, second.job.reference) == (
        "643000/add/2/1000",
        "643000/add/3/1000",
    )


def test_a_removal_has_a_counter_of_its_own() -> None:
    """Where the account has no list nothing is sent, and none is made."""
    made, http = pinterest(page(LIST), shown(num_removed_user_records=6))
    given = written(made, Operation.REMOVE, [digest(1)])
    assert isinstance(given, Submitted)
    assert given.job.reference == "643000/remove/6/1000"
    assert http.calls[1].json["operation_type"] == "REMOVE"
    made, http = pinterest(page())
    done = written(made, Operation.REMOVE, [digest(1)])
    assert isinstance(done, Done)
    assert done.outcomes.codes.to_pylist() == [0]
    assert len(http.calls) == 1


def test_nobody_to_send_is_nothing_to_ask() -> None:
    """No list is looked up, and none is made."""
    made, http = pinterest()
    given = written(made, Operation.ADD, [None, b""])
    assert isinstance(given, Done)
    assert given.outcomes.count(OutcomeCode.REJECTED) == 2
    assert http.calls == []


def test_all_pages_are_read() -> None:
    """By their bookmarks; what is none is refused."""
    made, http = pinterest(page({**LIST, "id": "1", "name": "Other"}, bookmark="abc"), page(LIST))
    assert run(made.locate(None)) == "643000"
    assert [c.params for c in http.calls] == [
        {"page_size": "250"},
        {"page_size": "250", "bookmark": "abc"},
    ]
    for wrong in (7, "a" * 2_001):
        assert code_of(pinterest(page(bookmark=wrong))[0].locate(None)) == "unknown_answer"
    assert code_of(pinterest(reply({}))[0].locate(None)) == "unknown_answer"


def test_lists_that_cannot_be_the_one_are_refused() -> None:
    """Two of a name; an id that the account has not; one that has another name now."""
    twin = {**LIST, "id": "643001"}
    assert code_of(pinterest(page(LIST, twin))[0].locate(None)) == "audience_ambiguous"
    foreign = shown(ad_account_id="1")
    for found in (foreign, reply({"code": 50, "message": "x"}, 404)):
        made, http = pinterest(found, audience="643000")
        assert code_of(made.locate(None)) == "audience_missing"
        assert http.calls[0].path == f"{PATH}/643000"
    made, _ = pinterest(page(), shown(name="Renamed"))
    assert code_of(made.locate("643000")) == "audience_renamed"
    made, _ = pinterest(page(), reply({"code": 50, "message": "x"}, 404))
    assert run(made.locate("643000")) is None


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, 4196, "request_refused"),
        (401, 2, "reauthorise"),
        (403, 29, "reauthorise"),
        (404, 50, "pinterest_not_there"),
        (405, 405, "request_refused"),
        (409, 9, "request_refused"),
        (413, 1, "request_too_large"),
        (422, 1, "request_refused"),
        (429, 8, "rate_limited"),
        (500, 1, "destination_busy"),
        (503, 4197, "destination_busy"),
    ],
)
def test_each_status_is_told_by_its_kind(status: int, code: int, told: str) -> None:
    """Eleven beside 200, each with Pinterest's code, and without its text."""
    with pytest.raises(EngineError) as caught:
        answer(reply({"code": code, "message": "marked-7f3a"}, status, retry_after="3"))
    assert caught.value.code == told
    assert str(code) in caught.value.message
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    assert getattr(caught.value, "retry_after_seconds", None) == (
        3.0 if status in (429, 500, 503) else None
    )


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"id": "x"}, "unknown_answer"),
        ({"status": "marked"}, "unknown_answer"),
        ({"num_uploaded_user_records": None}, "unknown_answer"),
        ({"num_uploaded_user_records": -1}, "unknown_answer"),
        ({"num_uploaded_user_records": True}, "unknown_answer"),
        ({"num_removed_user_records": 1.5}, "unknown_answer"),
        ({"exceptions": "marked"}, "unknown_answer"),
    ],
)
def test_a_list_of_another_form_is_no_answer(wrong: dict[str, Any], code: str) -> None:
    """Told by a code, without what it says."""
    made, _ = pinterest(page(LIST), shown(**wrong))
    given = made.write(batch(Operation.ADD, "EMAIL", [digest(1)]), Progress(rows=1))
    with pytest.raises(EngineError) as caught:
        run(given)
    assert caught.value.code == code
    assert "marked" not in str(caught.value)


@pytest.mark.parametrize("body", [b"\xff<html>", []])
def test_what_is_no_object_may_be_asked_again(body: object) -> None:
    """As a proxy may give it."""
    assert code_of(pinterest(reply(body))[0].check()) == "garbage_answer"


def test_a_list_that_is_deleted_under_a_request_is_gone() -> None:
    """The run stops, and no row is blamed."""
    made, _ = pinterest(page(LIST), reply({"code": 50, "message": "x"}, 404))
    given = made.write(batch(Operation.ADD, "EMAIL", [digest(1)]), Progress(rows=1))
    assert code_of(given) == "audience_gone"


AUDIENCE = {"id": "1", "rule": {"customer_list_id": "643000"}}


def test_a_list_that_is_ready_becomes_an_audience_once() -> None:
    """Of its name; where there is one of it nothing is made."""
    made, http = pinterest(shown(), page({"id": "2", "rule": None}), reply(AUDIENCE), shown())
    for _ in range(2):
        found = run(made.poll(JobRef(batch=7, rows=2, reference="643000/add/11/900")))
        assert isinstance(found, Done)
        assert found.outcomes.codes.to_pylist() == [0, 0]
    assert [(c.method, c.path.rpartition("/")[2]) for c in http.calls] == [
        ("GET", "643000"),
        ("GET", "audiences"),
        ("POST", "audiences"),
        ("GET", "643000"),
    ]
    assert http.calls[2].json == {
        "ad_account_id": ACCOUNT,
        "name": "VIP",
        "audience_type": "CUSTOMER_LIST",
        "description": "Kept by Mayfly",
        "rule": {"customer_list_id": "643000"},
    }
    assert isinstance(polled("643000/add/11/1000", shown(), page(AUDIENCE)), Done)


@pytest.mark.parametrize(
    ("act", "found", "codes", "reason"),
    [
        ("add", {"status": "TOO_SMALL"}, [0, 0], None),
        ("add", {"status": "TOO_SMALL", "num_uploaded_user_records": 11.0}, [0, 0], None),
        ("add", {"status": "TOO_SMALL", "num_uploaded_user_records": 10}, [1, 1], ("", "")),
        ("remove", {"status": "TOO_SMALL", "num_removed_user_records": 11}, [0, 0], None),
        ("remove", {"status": "TOO_SMALL"}, [1, 1], ("", "")),
        (
            "add",
            {"status": "TOO_SMALL", "exceptions": {"code": 2, "message": "marked"}},
            [1, 1],
            ("list_exception", "2"),
        ),
        (
            "add",
            {"status": "TOO_SMALL", "exceptions": {"message": "marked"}},
            [1, 1],
            ("list_exception", ""),
        ),
        ("add", {"status": "UPLOADING"}, None, None),
        ("add", {"status": "PROCESSING"}, None, None),
    ],
)
def test_what_a_list_says_is_what_became_of_a_job(
    act: str, found: dict[str, Any], codes: list[int] | None, reason: tuple[str, str] | None
) -> None:
    """Fewer than were sent, and an error of the list, leave all rows unconfirmed."""
    ended = polled(f"643000/{act}/11/1000", shown(**found))
    if codes is None:
        assert isinstance(ended, Pending)
        return
    assert isinstance(ended, Done)
    assert ended.outcomes.codes.to_pylist() == codes
    told = [(r.code, r.vendor_code) for r in ended.outcomes.reasons.values()]
    expected = ("invalid_count_only", "") if reason == ("", "") else reason
    assert told == ([] if expected is None else [expected] * 2)


def test_of_a_list_that_is_gone_additions_go_again() -> None:
    """And nobody is in it, whom a removal was about."""
    for act, codes in (("add", [3, 3]), ("remove", [0, 0])):
        ended = polled(f"643000/{act}/11/1000", reply({"code": 50, "message": "x"}, 404))
        assert isinstance(ended, Done)
        assert ended.outcomes.codes.to_pylist() == codes


def test_after_two_days_of_work_rows_are_unconfirmed() -> None:
    """Nobody waits for good; before a minute is over nobody asks."""
    late = polled("643000/add/11/1000", shown(status="PROCESSING"), now=1_000.0 + GIVEN_UP_SECONDS)
    assert isinstance(late, Done)
    assert late.outcomes.reasons[0].code == "processing_unknown"
    early = polled("643000/add/11/1000", now=1_001.0)
    assert early == Pending(retry_after_seconds=59.0)


def test_a_job_of_another_form_is_refused() -> None:
    """Before anybody is asked."""
    made, http = pinterest()
    job = JobRef(batch=7, rows=1, reference="12/add/3")
    assert code_of(made.poll(job)) == "bad_job_reference"
    assert http.calls == []
    receipt = Receipt(list_id="12", act="remove", expected=3, taken_at=4)
    assert Receipt.read(receipt.reference()) == receipt


def test_as_many_rows_as_a_request_takes_and_one_more() -> None:
    """The larger one is refused, unsent."""
    rows = [n.to_bytes(32) for n in range(LIMITS.rows_max + 1)]
    made, http = pinterest(page(LIST), shown())
    assert isinstance(written(made, Operation.ADD, [*rows[:-1]]), Submitted)
    assert len(http.calls[1].content) < LIMITS.bytes_max
    with pytest.raises(ContractError) as caught:
        written(made, Operation.ADD, [*rows])
    assert caught.value.code == "too_many_rows"


def test_only_digests_of_the_sync_s_own_field_go() -> None:
    """A value with a comma could make another record; another form and column are refused."""
    made, http = pinterest()
    clear = batch(Operation.ADD, "EMAIL", [b"a@example.com,b@example.com"], form=Form.CLEAR)
    with pytest.raises(IntegrityError) as caught:
        run(made.write(clear, Progress(rows=1)))
    assert caught.value.code == "wrong_form"
    other = batch(Operation.ADD, "MAID", [digest(1)])
    assert code_of(made.write(other, Progress(rows=1))) == "columns_mismatch"
    inserts = batch(Operation.INSERT, "EMAIL", [digest(1)])
    assert code_of(made.write(inserts, Progress(rows=1))) == "unknown_operation"
    assert http.calls == []


def test_records_are_one_text_for_any_number() -> None:
    """Without a comma at the end."""
    for many in (1, 3):
        texts = [digest(n).hex() for n in range(many)]
        assert records(pa.array(texts)).decode().split(",") == texts


@pytest.mark.parametrize(
    ("fields", "code"), [(("EMAIL", "MAID"), "identifiers_mixed"), (("PHONE",), "unknown_field")]
)
def test_a_list_holds_one_kind_of_identifier(fields: tuple[str, ...], code: str) -> None:
    """A sync with another mapping is refused as it is opened."""
    settings = PinterestSettings(account_id=ACCOUNT, access_token=Token(), audience="VIP")
    with pytest.raises(ConfigError) as caught:
        Pinterest(settings, Scripted(), context(*fields))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"account_id": "act_1"}, "bad_account_id"),
        ({"audience": " "}, "bad_audience"),
        ({"audience": "a" * 256}, "bad_audience"),
        ({"endpoint": "http://127.0.0.1.example.com"}, "bad_endpoint"),
    ],
)
def test_settings_are_checked(given: dict[str, str], code: str) -> None:
    """With what is wrong."""
    whole: dict[str, Any] = {"account_id": "1", "access_token": Token(), "audience": "VIP"}
    with pytest.raises(ConfigError) as caught:
        PinterestSettings(**{**whole, **given})
    assert caught.value.code == code
    assert "token-1" not in repr(PinterestSettings(**whole))


def test_check_asks_for_the_account() -> None:
    """And for nothing else; another one's answer is refused."""
    made, http = pinterest(reply({"id": ACCOUNT}))
    run(made.check())
    assert [c.path for c in http.calls] == [f"v5/ad_accounts/{ACCOUNT}"]
    assert code_of(pinterest(reply({"id": "1"}))[0].check()) == "unknown_answer"
