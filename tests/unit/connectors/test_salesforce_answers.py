"""What Salesforce answers: each status it documents, rows, tokens, and answers that do not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from mayfly.connectors.destinations.salesforce import CONNECTOR
from mayfly.connectors.destinations.salesforce_answers import (
    Allowance,
    code_of_line,
    failure,
    list_of,
    object_of,
    row_outcome,
)
from mayfly.connectors.destinations.salesforce_api import (
    SalesforceApi,
    SalesforceSettings,
)
from mayfly.connectors.destinations.salesforce_results import BLOCK_BYTES, ResultFile
from mayfly.connectors.destinations.salesforce_tokens import Credentials, Tokens
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import HostsRequest
from mayfly.ports.http import HttpReply
from salesforce_world import Secret

BASE = "https://acme.my.salesforce.com"
GOOD = {
    "access_token": "t",
    "instance_url": BASE,
    "id": "https://login.salesforce.com/id/00D000000000001AAA/005000000000001AAA",
}


def reply(status: int, body: object = None, **headers: str) -> HttpReply:
    """Of Salesforce."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=named, body=b"" if body is None else orjson.dumps(body))


def error(code: str, message: str = "marked") -> list[dict[str, str]]:
    """Salesforce's list of errors."""
    return [{"errorCode": code, "message": message}]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (300, [], ContractError, "redirected"),
        (302, None, ContractError, "redirected"),
        (400, error("JSON_PARSER_ERROR"), RequestRefusedError, "salesforce_json_parser_error"),
        (400, error("FEATURENOTENABLED"), ConfigError, "not_enabled"),
        (400, error("MADE_UP"), RequestRefusedError, "salesforce_400"),
        (400, {"error": "x"}, ContractError, "unknown_answer"),
        (400, None, ContractError, "garbage_answer"),
        (401, error("INVALID_SESSION_ID"), ConfigError, "reauthorise"),
        (403, error("INSUFFICIENT_ACCESS"), ConfigError, "reauthorise"),
        (403, error("API_DISABLED_FOR_ORG"), ConfigError, "not_enabled"),
        (403, error("REQUEST_LIMIT_EXCEEDED"), TransientError, "rate_limited"),
        (404, error("NOT_FOUND"), ContractError, "not_found"),
        (409, error("UNABLE_TO_LOCK_ROW"), TransientError, "destination_busy"),
        (413, None, RequestRefusedError, "salesforce_413"),
        (414, None, RequestRefusedError, "salesforce_414"),
        (429, error("REQUEST_LIMIT_EXCEEDED"), TransientError, "rate_limited"),
        (500, error("UNKNOWN_EXCEPTION"), TransientError, "destination_busy"),
        (502, None, TransientError, "destination_busy"),
        (503, error("SERVER_UNAVAILABLE"), TransientError, "destination_busy"),
    ],
)
def test_each_status_says_what_to_do(
    status: int, body: object, kind: type[EngineError], code: str
) -> None:
    """By its code; nothing of the text gets further."""
    with pytest.raises(kind) as caught:
        object_of(reply(status, body))
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in str(caught.value) + caught.value.hint
    assert "MADE_UP" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "headers", "seconds"),
    [
        ("TotalRequests Limit exceeded.", {}, 3600.0),
        ("ConcurrentRequests Limit exceeded.", {}, 10.0),
        ("TotalRequests Limit exceeded.", {"retry_after": "7"}, 7.0),
    ],
)
def test_a_limit_is_waited_for(message: str, headers: dict[str, str], seconds: float) -> None:
    """The day's longer than that of calls at the same time."""
    found = failure(reply(403, error("REQUEST_LIMIT_EXCEEDED", message), **headers))
    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("said", "spent"),
    [
        ("api-usage=94/100", False),
        ("api-usage=95/100", True),
        ("api-usage=25/5000; per-app-api-usage=17/17(appName=x)", False),
        ("per-app-api-usage=17/17(appName=x); api-usage=1/100", False),
        ("", False),
        ("api-usage=x", False),
    ],
)
def test_what_is_left_of_a_day_is_read_from_a_header(said: str, spent: bool) -> None:
    """Of the organisation, and not of one app."""
    allowance = Allowance()
    allowance.note(reply(200, {}, sforce_limit_info=said))
    if spent:
        with pytest.raises(TransientError):
            allowance.require()
    allowance.require()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"success": True, "errors": [], "id": "x"}, None),
        (
            {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "fields": ["City"]}]},
            (OutcomeCode.REJECTED, "row_refused", "STRING_TOO_LONG.City"),
        ),
        (
            {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "fields": ["Jane"]}]},
            (OutcomeCode.REJECTED, "row_refused", "STRING_TOO_LONG"),
        ),
        (
            {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW"}]},
            (OutcomeCode.DEFERRED, "row_busy", "UNABLE_TO_LOCK_ROW"),
        ),
        (
            {"success": False, "errors": [{"statusCode": "JANE_DOE"}]},
            (OutcomeCode.REJECTED, "row_refused", "OTHER"),
        ),
    ],
)
def test_a_row_has_one_of_our_outcomes(
    entry: Mapping[str, Any], told: tuple[OutcomeCode, str, str] | None
) -> None:
    """With a code of Salesforce's list, and a field of the mapping, or neither."""
    found = row_outcome(entry, ("City",))
    shown = None
    if found is not None and found[1] is not None:
        shown = (found[0], found[1].code, found[1].vendor_code)
    assert shown == told


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"success": True, "errors": [{"statusCode": "X"}]},
        {"success": False, "errors": []},
        {"success": "true", "errors": []},
        {"success": True, "errors": None},
        {"success": False, "errors": ["X"]},
    ],
)
def test_an_entry_that_says_neither_is_no_answer(entry: Mapping[str, Any]) -> None:
    """It is no outcome."""
    with pytest.raises(ContractError):
        row_outcome(entry, ())


def test_an_answer_has_an_entry_for_each_row() -> None:
    """One less, one more, or something else than a list is none."""
    for body in ([{}], [{}, {}, {}], {"a": 1}, [1, 2]):
        with pytest.raises(ContractError):
            list_of(reply(200, body), 2)
    with pytest.raises(TransientError):
        list_of(reply(200), 2)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
         "REQUIRED_FIELD_MISSING"),
        ("jane@example.com:x", "OTHER"),
        ("", "OTHER"),
    ],
)  # fmt: skip
def test_a_line_of_a_file_begins_with_a_code(line: str, code: str) -> None:
    """And nothing else of it is repeated."""
    assert code_of_line(line) == code


# -- files of results ------------------------------------------------------------------------------


def taken(content: bytes, columns: Sequence[str], size: int) -> list[dict[str, str]]:
    """Records of a file that comes in pieces of a size."""
    found: list[dict[str, str]] = []
    file = ResultFile(columns, lambda rows: found.extend(rows.to_pylist()))
    for first in range(0, len(content), size):
        file.feed(content[first : first + size])
    file.end()
    return found


HEADER = b'"sf__Id","sf__Error","Key","Note"\n'


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_file_is_read_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, size: int, ending: bytes
) -> None:
    """Line feeds and quotes within values, values that look like nulls, and no last line feed."""
    monkeypatch.setattr("mayfly.connectors.destinations.salesforce_results.BLOCK_BYTES", 10)
    rows = [b'"1","A:b","k\n\n""1""","x,y"', b'"","","#N/A",""', b'"3","C","NULL","\n"']
    found = taken(HEADER + b"\n".join(rows) + ending, ["Key", "sf__Error"], size)
    assert found == [
        {"Key": 'k\n\n"1"', "sf__Error": "A:b"},
        {"Key": "#N/A", "sf__Error": ""},
        {"Key": "NULL", "sf__Error": "C"},
    ]


def test_nothing_of_a_file_is_kept() -> None:
    """Of a large one no more waits than a block and a record."""
    waiting: list[int] = []
    file = ResultFile(["Key"], lambda rows: waiting.append(rows.nbytes))
    file.feed(HEADER)
    line = b'"1","A","k","' + b"x" * 1_000 + b'"\n'
    for _ in range(5_000):
        file.feed(line)
        assert len(file._waiting) < 2 * BLOCK_BYTES
    file.end()
    assert len(waiting) > 3


@pytest.mark.parametrize("content", [b"", HEADER, HEADER.strip()])
def test_a_file_without_rows_has_none(content: bytes) -> None:
    """With a header or without."""
    assert taken(content, ["Key"], 1_000) == []


@pytest.mark.parametrize(
    "content",
    [b'"sf__Id","Other"\n"1","2"\n', HEADER + b'"1","2"\n', b'"Key","Key"\n"1","2"\n'],
)
def test_a_file_that_is_none_of_results_is_told(content: bytes) -> None:
    """Without the column of the rows, with it twice, or with a row that is too short."""
    with pytest.raises(ContractError) as caught:
        taken(content, ["Key"], 1_000)
    assert caught.value.code == "unknown_answer"


# -- tokens ----------------------------------------------------------------------------------------


class Endpoint:
    """An `HttpClient` that gives one answer.

    Args:
        answers: one after the other.
    """

    def __init__(self, *answers: HttpReply) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        """See `HttpClient.request`."""
        self.asked.append((url, given.get("form") or {}))
        return self._answers.pop(0)

    async def stream(self, method: str, url: str, **given: Any) -> HttpReply:
        """See `HttpClient.stream`."""
        return await self.request(method, url)

    async def close(self) -> None:
        """See `HttpClient.close`."""


def token(*answers: HttpReply, **more: Any) -> tuple[str, Endpoint]:
    """A token for a secret."""
    endpoint = Endpoint(*answers)
    given = {"consumer_key": "app-1", "consumer_secret": Secret(), **more}
    tokens = Tokens(Credentials(**given), endpoint, base=BASE, is_sandbox=False)
    return asyncio.run(tokens.token()), endpoint


def test_a_secret_is_sent_in_a_form() -> None:
    """To the organisation's own address, and nowhere in it."""
    found, endpoint = token(reply(200, GOOD | {"instance_url": f"{BASE.upper()}/"}))
    assert found == "t"
    [(url, form)] = endpoint.asked
    assert url == f"{BASE}/services/oauth2/token"
    assert form["client_secret"] == "s3cret"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "invalid_client", "x": "marked"}, ConfigError, "reauthorise"),
        (401, {"error": "invalid_client_id"}, ConfigError, "reauthorise"),
        (400, {"error": "marked"}, ContractError, "unknown_answer"),
        (503, None, TransientError, "destination_busy"),
        (302, None, ContractError, "redirected"),
        (200, None, TransientError, "garbage_answer"),
        (200, GOOD | {"access_token": "marked value"}, ContractError, "oauth_answer"),
        (200, GOOD | {"access_token": None}, ContractError, "oauth_answer"),
        (200, GOOD | {"id": "https://x/id/001/005"}, ContractError, "oauth_answer"),
        (200, GOOD | {"instance_url": "https://marked.example"}, ConfigError, "wrong_instance"),
        (200, GOOD | {"instance_url": f"{BASE}.marked.example"}, ConfigError, "wrong_instance"),
        (200, GOOD | {"instance_url": None}, ConfigError, "wrong_instance"),
    ],
)  # fmt: skip
def test_what_is_no_token_of_ours_is_refused(
    status: int, body: object, kind: type[EngineError], code: str
) -> None:
    """Nothing of the answer is told."""
    with pytest.raises(kind) as caught:
        token(reply(status, body))
    assert caught.value.code == code
    assert "marked" not in str(caught.value) + caught.value.hint


def test_many_ask_for_one_token() -> None:
    """Whoever meets the end of a session first asks for another, the rest take it."""
    answers = [reply(200, GOOD | {"access_token": f"t{n}"}) for n in range(2)]

    async def scenario() -> list[str]:
        endpoint = Endpoint(*answers)
        given = Credentials(consumer_key="a", consumer_secret=Secret())
        tokens = Tokens(given, endpoint, base=BASE, is_sandbox=False)
        first = await asyncio.gather(*(tokens.token() for _ in range(3)))
        second = await asyncio.gather(*(tokens.token(ended="t0") for _ in range(3)))
        return [*first, *second]

    assert asyncio.run(scenario()) == ["t0"] * 3 + ["t1"] * 3


def test_a_key_logs_in_a_user() -> None:
    """Without one there is nobody to log in."""
    with pytest.raises(ConfigError) as caught:
        Credentials(consumer_key="a", private_key=Secret())
    assert caught.value.code == "username_missing"
    with pytest.raises(ConfigError):
        token(reply(200, GOOD), consumer_secret=None)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"domain": "evil.example.com"}, "bad_domain"),
        ({"domain": "acme.my.salesforce.com.evil.example"}, "bad_domain"),
        ({"domain": "a.b.my.salesforce.com"}, "bad_domain"),
        ({"domain": "login.salesforce.com"}, "bad_domain"),
        ({"api_version": "62"}, "bad_api_version"),
        ({"object_name": "Contact/x"}, "bad_object"),
        ({"object_name": ""}, "bad_object"),
        ({"object_name": "ContactPointConsent"}, "consent_object"),
        ({"endpoint": "https://other.my.salesforce.com"}, "bad_endpoint"),
        ({"endpoint": "http://localhost:1"}, "bad_endpoint"),
    ],
)
def test_settings_that_cannot_be_are_refused(more: dict[str, str], code: str) -> None:
    """Each by its own code."""
    given = {
        "domain": "acme.my.salesforce.com",
        "object_name": "Contact",
        "credentials": Credentials(consumer_key="a", consumer_secret=Secret()),
    }
    with pytest.raises(ConfigError) as caught:
        SalesforceSettings(**(given | more))
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["acme", "acme--dev.sandbox", "acme-dev-ed.develop"])
def test_only_the_organisation_is_called(name: str) -> None:
    """Its own host, sandboxes and developer editions included."""
    domain = f"{name}.my.salesforce.com"
    settings = DestinationSettings(name="crm", type="salesforce", options={"domain": domain})
    assert CONNECTOR.hosts is not None
    assert CONNECTOR.hosts(HostsRequest(settings=settings, reveal=Secret)) == {domain}


def test_a_part_of_a_composite_answer_is_one_of_the_question() -> None:
    """By its name, with a status; a part that failed is told as a call that did."""
    part = {"body": {"a": 1}, "httpStatusCode": 200, "referenceId": "r0"}
    settings = SalesforceSettings(
        domain="acme.my.salesforce.com",
        object_name="Contact",
        credentials=Credentials(consumer_key="a", consumer_secret=Secret()),
    )

    def asked(*entries: Mapping[str, Any]) -> Callable[[], Any]:
        async def scenario() -> Any:
            endpoint = Endpoint(reply(200, GOOD), reply(200, {"compositeResponse": list(entries)}))
            return await SalesforceApi(settings, endpoint).composite([{"url": "x"}])

        return lambda: asyncio.run(scenario())

    assert asked(part)() == [{"a": 1}]
    for entries in ([], [part, part], [part | {"referenceId": "r1"}], [{"referenceId": "r0"}]):
        with pytest.raises(ContractError):
            asked(*entries)()
    for status, body, kind in (
        (400, error("MALFORMED_QUERY"), ContractError),
        (503, error("SERVER_UNAVAILABLE"), TransientError),
    ):
        with pytest.raises(kind) as caught:
            asked(part | {"httpStatusCode": status, "body": body})()
        assert not isinstance(caught.value, RequestRefusedError)


def test_a_batch_never_tells_its_rows() -> None:
    """Neither a file nor what is known of a job shows in a `repr`."""
    from mayfly.connectors.destinations.salesforce_jobs import _Known
    from mayfly.connectors.row_parts import RowPart

    assert "marked" not in repr(_Known(rows={"marked": (0,)}, count=1))
    assert "RowPart(" not in repr(RowPart(first=0, rows=1, sent=(0,), unsent={}))
