"""Meta custom audiences: the pure functions, the settings, and the calls that are made."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.bootstrap.registry import CONNECTORS
from mayfly.connectors.destinations.meta_ads import SPEC, MetaAds, MetaAdsSettings
from mayfly.connectors.destinations.meta_ads_requests import (
    Part,
    Session,
    cut,
    session_id,
    spread,
    users_body,
)
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    IntegrityError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import DestinationContext, Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

FOREIGN_TEXT = "the address person1@example.com is not welcome"


@dataclass(frozen=True)
class Secret:
    """A secret of a test."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


@dataclass
class Call:
    """One request as it was made."""

    method: str
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes | None

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.content or b"null")


@dataclass
class Graph:
    """An `HttpClient` that plays a small Graph API from memory; `planned` answers come first."""

    audiences: list[dict[str, str]] = field(default_factory=list)
    page_rows: int = 2
    calls: list[Call] = field(default_factory=list)
    planned: dict[str, list[HttpReply | None]] = field(default_factory=dict)
    closed: int = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Answer one call."""
        assert form is None
        call = Call(method, url, params or {}, headers or {}, content)
        self.calls.append(call)
        await asyncio.sleep(0)
        path = url.removeprefix("https://graph.facebook.com/v26.0/")
        planned = self.planned.get(f"{method} {path}", [])
        reply = planned.pop(0) if planned else None
        return reply or ok(self._play(method, path, call))

    async def close(self) -> None:
        """Count it."""
        self.closed += 1

    def users(self) -> list[Call]:
        """The calls that carried people."""
        return [call for call in self.calls if call.url.endswith("/users")]

    def _play(self, method: str, path: str, call: Call) -> Any:
        if path == "act_42":
            return {"id": "act_42"}
        if path == "act_42/customaudiences" and method == "POST":
            made = {"id": str(900 + len(self.audiences)), "name": call.json["name"]}
            self.audiences.append(made)
            return {"id": made["id"]}
        if path == "act_42/customaudiences":
            start = int(call.params.get("after", "0"))
            end = start + self.page_rows
            page: dict[str, Any] = {"data": self.audiences[start:end]}
            page["paging"] = {"cursors": {"before": "x", "after": str(end)}}
            if end < len(self.audiences):
                page["paging"]["next"] = "https://example.com/steal?access_token=t"
            return page
        rows = len(call.json["payload"]["data"])
        return {"num_received": rows, "num_invalid_entries": 0, "invalid_entry_samples": []}


def ok(body: Any, status: int = 200) -> HttpReply:
    """A reply with a JSON body."""
    return HttpReply(status=status, headers={}, body=orjson.dumps(body))


def counts(received: int, invalid: int = 0, samples: Any = None) -> HttpReply:
    """A reply about people."""
    return ok(
        {
            "num_received": received,
            "num_invalid_entries": invalid,
            "invalid_entry_samples": samples if samples is not None else {},
        }
    )


def meta(
    graph: Graph, *columns: str, audience: str = "VIP", app_secret: Secret | None = None
) -> MetaAds:
    """A connector for a sync with these fields."""
    settings = MetaAdsSettings(
        account_id="42", access_token=Secret("token-1"), audience=audience, app_secret=app_secret
    )
    names = columns or ("EMAIL",)
    forms = {name: spec.form for name in names if (spec := SPEC.field(name))}
    context = DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name=audience,
        key=(),
        columns={n: pa.string() if n == "MADID" else pa.binary() for n in names},
        forms=forms,
    )
    return MetaAds(settings, graph, context)


def batch(
    columns: Mapping[str, list[Any]],
    operation: Operation = Operation.ADD,
    *,
    number: int = 0,
    identifier: str | None = None,
    forms: Mapping[str, Form] | None = None,
) -> ProtectedBatch:
    """A batch as the gate makes it."""
    table = pa.table(
        {
            name: pa.array(values, pa.string() if name == "MADID" else pa.binary())
            for name, values in columns.items()
        }
    )
    head = BatchHead(
        sync="vip",
        run="run-1",
        number=number,
        of=9,
        operation=operation,
        rows=table.num_rows,
        identifier=identifier,
    )
    declared = {n: spec.form for n in columns if (spec := SPEC.field(n))}
    return ProtectedBatch(head, table, forms or declared, seal=THE_SEAL)


def written(connector: MetaAds, rows: ProtectedBatch, progress: Progress | None = None) -> Outcomes:
    """Write a batch on a loop of its own."""
    answered = asyncio.run(connector.write(rows, progress or Progress(rows=len(rows))))
    assert isinstance(answered, Done)
    return answered.outcomes


def digest(number: int) -> bytes:
    """32 bytes."""
    return number.to_bytes(32, "big")


# -- pure functions ------------------------------------------------------------------------------

CELLS = st.one_of(st.none(), st.text(max_size=8))
SESSION = Session(number=7, sequence=2, last=True, rows=9)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=20))
def test_a_body_holds_every_cell_in_its_place(rows: list[tuple[str | None, ...]]) -> None:
    """Any text survives, each row is as wide as the schema, and null is the empty string."""
    names = ["EMAIL", "MADID", "FN"]
    table = pa.table(
        {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)}
    )
    body = orjson.loads(users_body(table, SESSION))
    assert body["payload"]["schema"] == names
    assert body["payload"]["data"] == [[cell or "" for cell in row] for row in rows]
    assert body["session"] == {
        "session_id": 7,
        "batch_seq": 2,
        "last_batch_flag": True,
        "estimated_num_total": 9,
    }


@given(st.lists(st.tuples(CELLS, CELLS), max_size=30), st.integers(1, 7), st.integers(0, 35))
def test_requests_cover_the_batch_in_order(
    rows: list[tuple[str | None, ...]], rows_max: int, after: int
) -> None:
    """Requests follow each other without gap, within the bound, and send what can match."""
    table = pa.table(
        {
            "EMAIL": pa.array([row[0] for row in rows], pa.string()),
            "FN": pa.array([row[1] for row in rows], pa.string()),
        }
    )
    parts = cut(table, rows_max)
    covered = [n for part in parts for n in range(part.first, part.first + part.rows)]
    assert covered == list(range(len(rows)))
    assert all(1 <= part.rows <= rows_max for part in parts)
    sent = [n for part in parts for n in part.sent.to_pylist()]
    assert sent == [n for n, row in enumerate(rows) if row[0]]
    left = [part.after(after) for part in parts]
    assert [n for part in left for n in part.sent.to_pylist()] == [n for n in sent if n >= after]
    assert sum(part.rows for part in left) == max(0, len(rows) - after)


def test_rows_not_sent_are_rejected_in_their_places() -> None:
    """Outcomes of the sent rows keep their reasons; the others get `no_identifier`."""
    part = Part(first=10, rows=4, sent=pa.array([11, 13], pa.int64()))
    answered = Outcomes(
        codes=pa.array([0, 2], pa.uint8()), reasons={1: Reason(code="invalid_entry")}
    )
    found = spread(part, answered)
    assert found.codes.to_pylist() == [2, 0, 2, 2]
    assert {row: reason.code for row, reason in found.reasons.items()} == {
        0: "no_identifier",
        2: "no_identifier",
        3: "invalid_entry",
    }


def test_a_session_belongs_to_one_batch_of_one_run() -> None:
    """The same batch has the same session of at most twelve digits; others have others."""
    heads = [batch({"EMAIL": [digest(1)]}, number=n).head for n in range(200)]
    numbers = [session_id(head, requests) for head in heads for requests in (1, 2)]
    assert numbers == [session_id(head, requests) for head in heads for requests in (1, 2)]
    assert len(set(numbers)) == 400
    assert all(0 < number < 10**12 for number in numbers)


# -- calls ---------------------------------------------------------------------------------------


def test_people_are_added_under_the_schema_of_the_sync() -> None:
    """One request in the order of the sync's fields, to a new audience of the exact name."""
    graph = Graph(audiences=[{"id": "1", "name": "vip"}, {"id": "2", "name": "VIP "}])
    rows = batch({"FN": [None, digest(3)], "EMAIL": [digest(1), digest(2)]})
    outcomes = written(meta(graph, "EMAIL", "FN"), rows)
    assert outcomes.codes.to_pylist() == [0, 0]
    (call,) = graph.users()
    assert (call.method, call.url.rsplit("/", 2)[1]) == ("POST", "902")
    assert call.json["payload"] == {
        "schema": ["EMAIL", "FN"],
        "data": [[digest(1).hex(), ""], [digest(2).hex(), digest(3).hex()]],
    }
    created = next(c for c in graph.calls if c.method == "POST")
    assert created.json["customer_file_source"] == "USER_PROVIDED_ONLY"
    assert created.json["subtype"] == "CUSTOM"


def test_the_audience_is_found_on_a_later_page_and_made_only_once() -> None:
    """Pages are followed by cursor on our own host, and batches at once share one search."""
    names = ["a", "b", "c", "d", "VIP"]
    graph = Graph(audiences=[{"id": str(n), "name": name} for n, name in enumerate(names)])
    connector = meta(graph)

    async def both() -> None:
        batches = [batch({"EMAIL": [digest(n)]}, number=n) for n in range(3)]
        await asyncio.gather(*(connector.write(one, Progress(rows=1)) for one in batches))

    asyncio.run(both())
    listed = [call for call in graph.calls if call.url.endswith("/customaudiences")]
    assert [call.params.get("after") for call in listed] == [None, "2", "4"]
    assert {call.url.rsplit("/", 2)[1] for call in graph.users()} == {"4"}
    assert all(call.url.startswith("https://graph.facebook.com/") for call in graph.calls)


def test_two_audiences_of_one_name_are_ambiguous() -> None:
    """With two of the same name nothing is sent, not even where the first page has one."""
    graph = Graph(audiences=[{"id": str(n), "name": "VIP"} for n in range(3)], page_rows=1)
    with pytest.raises(ConfigError) as raised:
        written(meta(graph), batch({"EMAIL": [digest(1)]}))
    assert raised.value.code == "audience_ambiguous"
    assert graph.users() == []


def test_a_removal_names_one_field_in_the_body() -> None:
    """A removal is a DELETE whose body has the schema of its identifier alone."""
    graph = Graph(audiences=[{"id": "5", "name": "VIP"}])
    gone = batch({"PHONE": [digest(1)]}, Operation.REMOVE, identifier="PHONE")
    assert written(meta(graph, "EMAIL", "PHONE", "FN"), gone).codes.to_pylist() == [0]
    (call,) = graph.users()
    assert call.method == "DELETE"
    assert call.json["payload"] == {"schema": ["PHONE"], "data": [[digest(1).hex()]]}


def test_a_removal_makes_no_audience() -> None:
    """Where the audience is not there, removed and erased people are gone already."""
    graph = Graph()
    gone = batch({"EMAIL": [digest(1)]}, Operation.REMOVE, identifier="EMAIL")
    connector = meta(graph)
    assert written(connector, gone).codes.to_pylist() == [0]
    assert asyncio.run(connector.erase(gone)) == Done(
        outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, 1)
    )
    assert {call.method for call in graph.calls} == {"GET"}


def test_a_removal_by_anything_but_one_identifier_is_refused() -> None:
    """No identifier, a field that is none, or a batch with more columns sends nothing."""
    graph = Graph()
    for gone in (
        batch({"EMAIL": [digest(1)]}, Operation.REMOVE),
        batch({"FN": [digest(1)]}, Operation.REMOVE, identifier="FN"),
        batch({"EMAIL": [digest(1)], "FN": [digest(1)]}, Operation.REMOVE, identifier="EMAIL"),
    ):
        with pytest.raises(ContractError):
            written(meta(graph, "EMAIL", "FN"), gone)
    assert graph.calls == []


def test_rows_without_an_identifier_are_rejected_unsent() -> None:
    """A row of names alone cannot match; it is not sent, and the others are."""
    graph = Graph()
    rows = batch(
        {
            "EMAIL": [None, digest(2), None],
            "MADID": [None, None, "aa-bb"],
            "FN": [digest(4), digest(5), digest(6)],
        }
    )
    outcomes = written(meta(graph, "EMAIL", "MADID", "FN"), rows)
    assert outcomes.codes.to_pylist() == [2, 0, 0]
    assert {row: r.code for row, r in outcomes.reasons.items()} == {0: "no_identifier"}
    (call,) = graph.users()
    assert [row[:2] for row in call.json["payload"]["data"]] == [
        [digest(2).hex(), ""],
        ["", "aa-bb"],
    ]


def test_nothing_is_asked_where_no_row_can_be_sent() -> None:
    """A batch without any identifier makes no call and no audience."""
    graph = Graph()
    rows = batch({"EMAIL": [None], "FN": [digest(1)]})
    assert written(meta(graph, "EMAIL", "FN"), rows).codes.to_pylist() == [2]
    assert graph.calls == []


def test_a_large_batch_is_cut_and_a_retry_resends_only_what_failed() -> None:
    """10,001 rows are two requests of one session; after a 503 on the second only it is sent."""
    graph = Graph(audiences=[{"id": "5", "name": "VIP"}])
    graph.planned["POST 5/users"] = [None, ok({}, 503)]
    rows = batch({"EMAIL": [digest(n) for n in range(10_001)]})
    connector, progress = meta(graph), Progress(rows=10_001)
    with pytest.raises(TransientError):
        written(connector, rows, progress)
    assert progress.next_row == 10_000
    outcomes = written(connector, rows, progress)
    assert outcomes.count(OutcomeCode.ACCEPTED) == 10_001
    bodies = [call.json for call in graph.users()]
    assert [len(body["payload"]["data"]) for body in bodies] == [10_000, 1, 1]
    sessions = [body["session"] for body in bodies]
    assert [s["batch_seq"] for s in sessions] == [1, 2, 2]
    assert [s["last_batch_flag"] for s in sessions] == [False, True, True]
    assert {s["session_id"] for s in sessions} == {session_id(rows.head, 2)}


def test_a_cut_request_is_repeated_once() -> None:
    """Fewer rows received than sent: first to be tried again, the second time a broken contract."""
    graph = Graph(audiences=[{"id": "5", "name": "VIP"}])
    graph.planned["POST 5/users"] = [counts(1), counts(1)]
    rows = batch({"EMAIL": [digest(1), digest(2)]})
    connector = meta(graph)
    for kind in (TransientError, ContractError):
        with pytest.raises(kind) as raised:
            written(connector, rows)
        assert raised.value.code == "batch_cut"


def test_invalid_entries_are_told_apart_where_meta_names_them() -> None:
    """One named invalid row is rejected and the others are accepted."""
    graph = Graph(audiences=[{"id": "5", "name": "VIP"}])
    graph.planned["POST 5/users"] = [counts(3, 1, {"1": FOREIGN_TEXT})]
    outcomes = written(meta(graph), batch({"EMAIL": [digest(n) for n in range(3)]}))
    assert outcomes.codes.to_pylist() == [0, 2, 0]


def test_secrets_and_people_stay_out_of_addresses() -> None:
    """The token is in the header alone, the app secret nowhere, digests in bodies alone."""
    graph = Graph()
    connector = meta(graph, app_secret=Secret("app-secret"))
    asyncio.run(connector.check())
    written(connector, batch({"EMAIL": [digest(1)]}))
    written(connector, batch({"EMAIL": [digest(1)]}, Operation.REMOVE, identifier="EMAIL"))
    assert len(graph.calls) == 5
    proof = hmac.new(b"app-secret", b"token-1", "sha256").hexdigest()
    for call in graph.calls:
        assert call.headers["authorization"] == "Bearer token-1"
        assert call.params["appsecret_proof"] == proof
        address = f"{call.url} {dict(call.params)}"
        assert not any(text in address for text in ("token-1", "app-secret", digest(1).hex()))
        assert b"app-secret" not in (call.content or b"")
        assert b"token-1" not in (call.content or b"")


def test_a_column_in_another_form_is_refused() -> None:
    """A clear e-mail, whatever its seal says, does not leave through this connector."""
    graph = Graph()
    table = pa.table({"EMAIL": pa.array(["person1@example.com"])})
    head = batch({"EMAIL": [digest(1)]}).head
    clear = ProtectedBatch(head, table, {"EMAIL": Form.CLEAR}, seal=THE_SEAL)
    with pytest.raises(IntegrityError) as raised:
        written(meta(graph), clear)
    assert raised.value.code == "wrong_form"
    assert graph.calls == []


def test_check_asks_for_the_account_and_writes_nothing() -> None:
    """`check` is one GET; a refused token is a ConfigError."""
    graph = Graph()
    graph.planned["GET act_42"] = [None, ok({"error": {"code": 190}}, 401)]
    connector = meta(graph)
    asyncio.run(connector.check())
    with pytest.raises(ConfigError):
        asyncio.run(connector.check())
    assert [call.method for call in graph.calls] == ["GET", "GET"]


def test_inserts_and_jobs_are_refused() -> None:
    """An audience takes no inserts, has no jobs, and cannot tell what was applied."""
    connector = meta(Graph())
    rows = batch({"EMAIL": [digest(1)]}, Operation.INSERT)
    with pytest.raises(ContractError):
        written(connector, rows)
    with pytest.raises(ContractError):
        asyncio.run(connector.poll(JobRef(batch=0, rows=1, reference="x")))
    assert asyncio.run(connector.applied(rows.head)) is None


def test_an_unknown_field_is_refused_when_made() -> None:
    """A sync that maps a field Meta does not have fails before any call."""
    with pytest.raises(ConfigError) as raised:
        meta(Graph(), "EMAIL", "SHOE_SIZE")
    assert raised.value.code == "unknown_field"


def test_only_a_connector_that_locates_says_so() -> None:
    """A plan relies on what the spec says, a run on what the connector has."""
    for name, connector in CONNECTORS.items():
        opened = get_type_hints(connector.open)["return"]
        assert hasattr(opened, "locate") == connector.spec.locates, name
    assert CONNECTORS["meta_ads"].spec.locates
    assert not CONNECTORS["files"].spec.locates
