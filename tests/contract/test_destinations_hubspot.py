"""The destination contract on HubSpot, over HTTP against the sandbox, in each of its modes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pyarrow as pa
import pytest

from hubspot_world import NEWSLETTER, Token, batch, context, made
from mayfly.connectors.destinations.hubspot import Hubspot
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract

ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED = range(4)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    httpx.post(f"{sandbox.url}/_sandbox/reset", trust_env=False).raise_for_status()


def people(sandbox: SandboxServer) -> dict[str, dict[str, str]]:
    """Properties of active contacts by address."""
    found = sandbox.app.hubspot.objects["contacts"].records.values()
    return {r.properties["email"]: dict(r.properties) for r in found if not r.archived}


class TestMirror(DestinationContract):
    """Contacts that are archived when they leave."""

    adds = Operation.WRITE
    mode = SyncMode.MIRROR
    list_name = ""

    @pytest.fixture(autouse=True)
    def _url(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """Two columns, one of which is the key."""
        columns = {"email": pa.string(), "firstname": pa.string()}
        return context(columns, mode=self.mode)

    def make(self) -> Hubspot:
        """Another connection to the test's account."""
        return made(self.sandbox.url, self.context(), list_name=self.list_name)

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """The address."""
        return f"person{subject}@example.com"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Addresses and names."""
        table = pa.table(
            {
                "email": pa.array([self.name_of(n) for n in subjects], pa.string()),
                "firstname": pa.array(["Zoë" for _ in subjects], pa.string()),
            }
        )
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        table, _ = self.rows(subjects)
        return table.select(["email"]), {"email": Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Addresses of active contacts."""
        return set(people(self.sandbox))


class TestList(TestMirror):
    """Members of a static list; who leaves it stays a contact."""

    mode = SyncMode.AUDIENCE
    list_name = "VIP / café"

    async def contents(self) -> set[str]:
        """Addresses of the list's members."""
        lists = self.sandbox.app.hubspot.lists
        assert len(lists) <= 1
        records = self.sandbox.app.hubspot.objects["contacts"].records
        return {records[m].properties["email"] for x in lists.values() for m in x.members}


def write(destination: Hubspot, *batches: ProtectedBatch) -> Outcomes:
    """Write batches one after the other; the outcomes of the last."""

    async def scenario() -> Outcomes:
        try:
            for one in batches:
                answer = await destination.write(one, Progress(rows=len(one)))
                assert isinstance(answer, Done)
            return answer.outcomes
        finally:
            await destination.close()

    return asyncio.run(scenario())


async def write_one(destination: Hubspot, one: ProtectedBatch) -> object:
    """Write a batch."""
    return await destination.write(one, Progress(rows=len(one)))


def raises(destination: Hubspot, one: ProtectedBatch | None = None) -> EngineError:
    """What a check or a writing is refused with."""

    async def scenario() -> EngineError:
        try:
            call = destination.check() if one is None else write_one(destination, one)
            with pytest.raises(EngineError) as caught:
                await call
            return caught.value
        finally:
            await destination.close()

    return asyncio.run(scenario())


def addresses(count: int) -> pa.Array:
    """So many."""
    return pa.array([f"p{n}@example.com" for n in range(count)])


def requests(sandbox: SandboxServer, path: str) -> list[Any]:
    """Calls to a path's end."""
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    return [r for r in found if r["path"].endswith(path)]


def plan_fault(sandbox: SandboxServer, path: str, kind: str, count: int = 1) -> None:
    """Of the next requests."""
    body = {"path": path, "kind": kind, "count": count}
    httpx.post(f"{sandbox.url}/_sandbox/faults", json=body, trust_env=False).raise_for_status()


EMAIL = {"email": pa.string()}


def test_every_type_arrives_as_hubspot_takes_it(sandbox: SandboxServer) -> None:
    """Numbers, truth values, days, times and lists; a null clears what was there."""
    rows: dict[str, pa.Array] = {
        "email": pa.array(["a@example.com"]),
        "points": pa.array([7.5]),
        "is_vip": pa.array([True]),
        "joined_on": pa.array([20000], pa.date32()),
        "seen_at": pa.array([1_700_000_000_123_456], pa.timestamp("us", "UTC")),
        "interests": pa.array([["shoes", "hats"]]),
        "city": pa.array(['"Łódź"\n']),
    }
    given = context({k: v.type for k, v in rows.items()})
    assert write(made(sandbox.url, given), batch(rows)).not_accepted() == []
    kept = people(sandbox)["a@example.com"]
    assert kept == {
        "email": "a@example.com",
        "points": "7.5",
        "is_vip": "true",
        "joined_on": "2024-10-04",
        "seen_at": "1700000000123",
        "interests": "shoes;hats",
        "city": '"Łódź"\n',
    }
    nothing = {k: v if k == "email" else pa.nulls(1, v.type) for k, v in rows.items()}
    assert write(made(sandbox.url, given), batch(nothing)).not_accepted() == []
    assert people(sandbox)["a@example.com"] == {"email": "a@example.com"}


def test_a_request_holds_a_hundred_rows(sandbox: SandboxServer) -> None:
    """At the limit one, beyond it two."""
    for rows, asked in ((100, 1), (101, 3)):
        write(made(sandbox.url, context(EMAIL)), batch({"email": addresses(rows)}))
        assert len(requests(sandbox, "batch/upsert")) == asked


def test_rows_are_refused_by_their_trace_id(sandbox: SandboxServer) -> None:
    """Each with HubSpot's code and the property; the others are there, and no value is told."""
    rows = {
        "email": pa.array(["ok@example.com", "secret-name", "b@example.com", "c@example.com"]),
        "points": pa.array(["1", "2", "marked-value", "4"]),
    }
    given = context({"email": pa.string(), "points": pa.string()})
    outcomes = write(made(sandbox.url, given), batch(rows))
    assert outcomes.codes.to_pylist() == [ACCEPTED, REJECTED, REJECTED, ACCEPTED]
    assert {n: (r.code, r.vendor_code) for n, r in outcomes.reasons.items()} == {
        1: ("row_refused", "INVALID_EMAIL.email"),
        2: ("row_refused", "INVALID_LONG.points"),
    }
    assert set(people(sandbox)) == {"ok@example.com", "c@example.com"}


def test_an_address_of_another_contact_is_refused(sandbox: SandboxServer) -> None:
    """By HubSpot, for its row alone."""
    columns = {"customer_no": pa.string(), "email": pa.string()}
    write(made(sandbox.url, context(EMAIL)), batch({"email": addresses(1)}))
    rows = {"customer_no": pa.array(["1", "2"]), "email": addresses(2)}
    outcomes = write(made(sandbox.url, context(columns, key="customer_no")), batch(rows))
    assert outcomes.codes.to_pylist() == [REJECTED, ACCEPTED]
    assert outcomes.reasons[0].vendor_code == "CONFLICT"


def test_rows_that_cannot_be_sent_are_not(sandbox: SandboxServer) -> None:
    """Without a key, with one that an earlier row has but for case, or with what is no number."""
    rows = {
        "email": pa.array(["A@example.com", None, "a@EXAMPLE.com ", " ", "b@example.com"]),
        "points": pa.array([1.0, 1.0, 1.0, 1.0, float("nan")]),
    }
    given = context({"email": pa.string(), "points": pa.float64()})
    outcomes = write(made(sandbox.url, given), batch(rows))
    assert {n: r.code for n, r in outcomes.reasons.items()} == {
        1: "no_key",
        2: "duplicate_key",
        3: "no_key",
        4: "not_a_number",
    }
    assert set(people(sandbox)) == {"a@example.com"}


def test_a_refused_request_is_halved_to_its_row(sandbox: SandboxServer) -> None:
    """Where HubSpot refuses all for one; the next batch is not halved for it."""
    destination = made(sandbox.url, context(EMAIL))
    write(destination, batch({"email": addresses(1)}))
    # Eight rows, then four, two, and the first alone.
    plan_fault(sandbox, "/crm/v3/objects/contacts/batch/upsert", "100", 4)
    outcomes = write(made(sandbox.url, context(EMAIL)), batch({"email": addresses(8)}))
    assert outcomes.codes.to_pylist() == [REJECTED] + [ACCEPTED] * 7
    assert outcomes.reasons[0].vendor_code == "hubspot_validation_error"


def test_a_request_refused_in_every_part_stops(sandbox: SandboxServer) -> None:
    """No row is rejected for what is no row's fault."""
    plan_fault(sandbox, "/crm/v3/objects/contacts/batch/upsert", "100", 10_000)
    one = batch({"email": addresses(100)})
    error = raises(made(sandbox.url, context(EMAIL)), one)
    assert (type(error), error.code) == (ContractError, "hubspot_validation_error")
    assert len(requests(sandbox, "batch/upsert")) < 30


@pytest.mark.parametrize(
    ("columns", "settings", "code", "said"),
    [
        ({"fistname": pa.string()}, {}, "unknown_field", "firstname for fistname"),
        ({"createdate": pa.string()}, {}, "read_only_field", "Take it out"),
        ({}, {"account_id": "42"}, "wrong_account", "account_id"),
        ({}, {"region": "eu1"}, "wrong_region", "region"),
        ({}, {"access_token": Token("other")}, "reauthorise", "current"),
        ({}, {"object_type": "tickles"}, "not_found", "type of object"),
    ],
)
def test_what_cannot_work_is_told_before_a_row_goes(
    sandbox: SandboxServer,
    columns: dict[str, pa.DataType],
    settings: dict[str, Any],
    code: str,
    said: str,
) -> None:
    """By `check`, and by the first writing, with what to do."""
    given = context({**EMAIL, **columns})
    if "region" in settings:
        settings = {**settings, "endpoint": sandbox.url}
    error = raises(made(sandbox.url, given, **settings))
    assert error.code == code
    assert said in error.hint
    rows = {"email": addresses(1)} | {n: pa.array(["x"]) for n in columns}
    assert raises(made(sandbox.url, given, **settings), batch(rows)).code == code
    assert requests(sandbox, "batch/upsert") == []


def test_the_account_tells_what_can_be_mapped(sandbox: SandboxServer) -> None:
    """Its properties but those that nobody may write, and the subscriptions of the settings."""

    async def scenario() -> dict[str, bool]:
        destination = made(sandbox.url, context(EMAIL), **NEWS)
        found = {f.name: f.is_required for f in await destination.fields()}
        await destination.close()
        return found

    found = asyncio.run(scenario())
    assert {"email", "customer_no", "subscription.newsletter"} < set(found)
    assert "createdate" not in found
    assert [name for name, needed in found.items() if needed] == ["email"]


def test_a_key_that_is_not_unique_is_refused(sandbox: SandboxServer) -> None:
    """HubSpot could not tell which record is meant."""
    given = context({"city": pa.string()}, key="city")
    assert raises(made(sandbox.url, given)).code == "key_not_unique"


def test_companies_are_written_by_a_property_of_their_own(sandbox: SandboxServer) -> None:
    """Any type of object with a unique property."""
    given = context({"account_no": pa.string(), "name": pa.string()}, key="account_no")
    rows = {"account_no": pa.array(["A-1"]), "name": pa.array(["Acme"])}
    made_ = made(sandbox.url, given, object_type="companies")
    assert write(made_, batch(rows)).not_accepted() == []
    [record] = sandbox.app.hubspot.objects["companies"].records.values()
    assert record.properties == {"account_no": "A-1", "name": "Acme"}


def test_dated_paths_work_the_same(sandbox: SandboxServer) -> None:
    """The prefix is a setting."""
    given = context(EMAIL, mode=SyncMode.AUDIENCE)
    settings = {"api_version": "2026-09", "list_name": "VIP"}
    write(made(sandbox.url, given, **settings), batch({"email": addresses(2)}))
    [found] = sandbox.app.hubspot.lists.values()
    assert len(found.members) == 2
    paths = {r["path"] for r in requests(sandbox, "")}
    assert "/crm/objects/2026-09/contacts/batch/upsert" in paths
    assert not any("/v3/" in path for path in paths)


def test_a_spent_ten_seconds_are_waited_for(sandbox: SandboxServer) -> None:
    """As the headers say; what was answered is not sent again."""
    plan_fault(sandbox, "/crm/v3/objects/contacts/batch/upsert", "429")

    async def scenario() -> None:
        destination = made(sandbox.url, context(EMAIL))
        one, progress = batch({"email": addresses(150)}), Progress(rows=150)
        with pytest.raises(TransientError) as caught:
            await destination.write(one, progress)
        assert (caught.value.code, caught.value.retry_after_seconds) == ("rate_limited", 10.0)
        await destination.write(one, progress)
        assert progress.next_row == 150
        await destination.close()

    asyncio.run(scenario())
    assert len(people(sandbox)) == 150


def test_a_body_that_echoes_people_is_told_to_nobody(sandbox: SandboxServer) -> None:
    """HubSpot's messages repeat values; errors do not."""
    rows = {"email": pa.array(["marked-person"])}
    plan_fault(sandbox, "/crm/v3/objects/contacts/batch/upsert", "partial_failure")
    outcomes = write(made(sandbox.url, context(EMAIL)), batch(rows))
    assert "marked" not in str(outcomes.reasons)


def test_a_list_that_hubspot_fills_is_refused(sandbox: SandboxServer) -> None:
    """Nobody could be taken out of it."""
    sandbox.app.hubspot.make_list(
        {"name": "All", "objectTypeId": "0-1", "processingType": "DYNAMIC"}
    )
    given = context(EMAIL, mode=SyncMode.AUDIENCE)
    assert raises(made(sandbox.url, given, list_name="All")).code == "list_is_dynamic"


def test_a_list_is_known_again_by_its_id(sandbox: SandboxServer) -> None:
    """Deleted it is none; under another name the run stops."""

    async def scenario() -> None:
        given = context(EMAIL, mode=SyncMode.AUDIENCE)
        destination = made(sandbox.url, given, list_name="VIP")
        assert await destination.locate(None) is None
        await destination.write(batch({"email": addresses(1)}), Progress(rows=1))
        known = await destination.locate(None)
        assert known == "1"
        sandbox.app.hubspot.lists[known].name = "Renamed"
        other = made(sandbox.url, given, list_name="VIP")
        with pytest.raises(ConfigError) as caught:
            await other.locate(known)
        assert caught.value.code == "list_renamed"
        del sandbox.app.hubspot.lists[known]
        assert await other.locate(known) is None
        with pytest.raises(ContractError) as gone:
            await destination.write(batch({"email": addresses(1)}), Progress(rows=1))
        assert gone.value.code == "list_gone"
        for one in (destination, other):
            await one.close()

    asyncio.run(scenario())


def test_erasure_reaches_the_recycle_bin_and_blocks_nobody(sandbox: SandboxServer) -> None:
    """One of the two was archived before; an address that is none's is not told to HubSpot's
    block list.
    """

    async def scenario() -> None:
        destination = made(sandbox.url, context(EMAIL, mode=SyncMode.MIRROR))
        await destination.write(batch({"email": addresses(3)}), Progress(rows=3))
        gone = batch({"email": addresses(1)}, Operation.REMOVE)
        await destination.write(gone, Progress(rows=1))
        asked = pa.array(["P0@example.com", "p1@example.com", "nobody@example.com"])
        answer = await destination.erase(batch({"email": asked}, Operation.REMOVE))
        assert isinstance(answer, Done)
        assert answer.outcomes.codes.to_pylist() == [ACCEPTED] * 3
        await destination.close()

    asyncio.run(scenario())
    records = sandbox.app.hubspot.objects["contacts"].records.values()
    assert [r.properties["email"] for r in records] == ["p2@example.com"]
    assert sandbox.app.hubspot.blocked == set()


def test_erasure_is_of_contacts_and_by_one_identifier(sandbox: SandboxServer) -> None:
    """Anything else is refused, not half done."""

    async def scenario() -> None:
        given = context({"account_no": pa.string()}, key="account_no")
        companies = made(sandbox.url, given, object_type="companies")
        with pytest.raises(ContractError) as caught:
            await companies.erase(batch({"account_no": pa.array(["A"])}, Operation.REMOVE))
        assert caught.value.code == "no_erasure"
        two = {"email": addresses(1), "city": pa.array(["Lyon"])}
        contacts = made(sandbox.url, context(EMAIL))
        with pytest.raises(ContractError) as caught:
            await contacts.erase(batch(two, Operation.REMOVE))
        assert caught.value.code == "one_identifier"

    asyncio.run(scenario())


SUBSCRIBED = {"email": pa.string(), "subscription.newsletter": pa.bool_()}
NEWS = {"subscriptions": {"newsletter": NEWSLETTER}}


def said(*answers: bool | None) -> ProtectedBatch:
    """What the first people say of the newsletter."""
    column = pa.array(answers, pa.bool_())
    return batch({"email": addresses(len(answers)), "subscription.newsletter": column})


def test_what_people_say_is_told_and_nothing_is_not(sandbox: SandboxServer) -> None:
    """Yes, no, and no word."""
    outcomes = write(made(sandbox.url, context(SUBSCRIBED), **NEWS), said(True, False, None))
    assert outcomes.not_accepted() == []
    assert sandbox.app.hubspot.statuses == {
        ("p0@example.com", 4471): "SUBSCRIBED",
        ("p1@example.com", 4471): "UNSUBSCRIBED",
    }
    assert len(people(sandbox)) == 3


def test_a_refusal_at_hubspot_stays_one(sandbox: SandboxServer) -> None:
    """Of this mail, or of all; the row is told, and not sent again."""
    hubspot = sandbox.app.hubspot
    hubspot.statuses["p0@example.com", 4471] = "UNSUBSCRIBED"
    hubspot.unsubscribed_from_all.add("p1@example.com")
    outcomes = write(made(sandbox.url, context(SUBSCRIBED), **NEWS), said(True, True, True))
    assert outcomes.codes.to_pylist() == [UNCONFIRMED, UNCONFIRMED, ACCEPTED]
    assert {r.code for r in outcomes.reasons.values()} == {"unsubscribed_there"}
    assert hubspot.statuses == {
        ("p0@example.com", 4471): "UNSUBSCRIBED",
        ("p2@example.com", 4471): "SUBSCRIBED",
    }


def test_who_refuses_meanwhile_stays_refused(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the writing: HubSpot says so, and it is undone at once."""
    hubspot = sandbox.app.hubspot
    real = hubspot.wide_statuses_of

    def asked(body: Any) -> Any:
        found = real(body)
        hubspot.statuses["p0@example.com", 4471] = "UNSUBSCRIBED"
        return found

    monkeypatch.setattr(hubspot, "wide_statuses_of", asked)
    outcomes = write(made(sandbox.url, context(SUBSCRIBED), **NEWS), said(True))
    assert outcomes.reasons[0].code == "unsubscribed_there"
    assert hubspot.statuses == {("p0@example.com", 4471): "UNSUBSCRIBED"}


def test_a_refusal_is_told_of_who_could_not_be_written(sandbox: SandboxServer) -> None:
    """A contact that HubSpot does not take has refused all the same."""
    plan_fault(sandbox, "/crm/v3/objects/contacts/batch/upsert", "partial_failure")
    outcomes = write(made(sandbox.url, context(SUBSCRIBED), **NEWS), said(False, True))
    assert outcomes.codes.to_pylist() == [REJECTED, ACCEPTED]
    assert sandbox.app.hubspot.statuses["p0@example.com", 4471] == "UNSUBSCRIBED"


def test_a_refusal_that_hubspot_does_not_take_is_sent_again(sandbox: SandboxServer) -> None:
    """A yes that it does not take is not."""
    hubspot = sandbox.app.hubspot
    destination = made(sandbox.url, context(SUBSCRIBED), **NEWS)
    write(destination, said(False, True, True))
    plan_fault(sandbox, "/communication-preferences/v4/statuses/batch/write", "100", 3)
    hubspot.statuses.clear()
    outcomes = write(made(sandbox.url, context(SUBSCRIBED), **NEWS), said(False, True))
    assert outcomes.codes.to_pylist() == [DEFERRED, REJECTED]
    assert {r.code for r in outcomes.reasons.values()} == {"subscription_refused"}
    assert hubspot.statuses == {}


def test_a_subscription_that_is_not_in_use_is_refused(sandbox: SandboxServer) -> None:
    """Before a row goes."""
    from mayfly.connectors.destinations.hubspot_api import Subscription

    other = {"subscriptions": {"newsletter": Subscription(number=4473)}}
    error = raises(made(sandbox.url, context(SUBSCRIBED), **other))
    assert error.code == "unknown_subscription"
    assert "4471, 4472" in error.hint


@pytest.mark.slow
@pytest.mark.soak
def test_a_hundred_thousand_rows(sandbox: SandboxServer) -> None:
    """In batches as they come; each is there."""
    destination = made(sandbox.url, context(EMAIL))
    emails = addresses(100_000)
    parts = [batch({"email": emails.slice(n, 5_000)}) for n in range(0, 100_000, 5_000)]
    write(destination, *parts)
    assert len(people(sandbox)) == 100_000


def test_codes_are_those_of_outcomes() -> None:
    """The numbers above."""
    assert [int(code) for code in OutcomeCode][:4] == [ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED]
