"""The destination contract on Intercom's sandbox: users by a key, and a tag as an audience."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import pyarrow as pa
import pytest

from hubspot_world import batch, context
from intercom_world import made
from marks import IN_A_SOAK
from mayfly.connectors.destinations.intercom import Intercom
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.intercom import IntercomVendor
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract

T = TypeVar("T")
COLUMNS = {"external_id": pa.string(), "name": pa.string(), "email": pa.string()}
GIVEN = context(COLUMNS, key="external_id", mode=SyncMode.MIRROR)
AUDIENCE = replace(GIVEN, mode=SyncMode.AUDIENCE, object_name="VIP")
ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED = 0, 1, 2, 3


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One workspace for the module; each test begins with an empty one."""
    with SandboxServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    httpx.post(f"{sandbox.url}/_sandbox/reset", trust_env=False).raise_for_status()
    sandbox.app.intercom.tokens = None


@pytest.fixture
def vendor(sandbox: SandboxServer) -> IntercomVendor:
    """What the workspace holds."""
    return sandbox.app.intercom


class TestUsers(DestinationContract):
    """Users by `external_id`; who leaves is archived."""

    adds = Operation.WRITE
    sandbox: SandboxServer

    @pytest.fixture(autouse=True)
    def _sandbox(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """A mirrored sync."""
        return GIVEN

    def make(self) -> Intercom:
        """Another connection to the same workspace."""
        return made(self.sandbox.url, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """The workspace's own id of a person."""
        return f"u{subject}"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Key, name and address."""
        names = pa.array([self.name_of(n) for n in subjects], pa.string())
        emails = pa.array([f"person{n}@example.com" for n in subjects], pa.string())
        table = pa.table({"external_id": names, "name": names, "email": emails})
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        table, _ = self.rows(subjects)
        return table.select(["external_id"]), {"external_id": Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Keys of the contacts that are there."""
        return {contact["external_id"] for contact in self.sandbox.app.intercom.members({})}


@pytest.mark.slow
class TestAudience(TestUsers):
    """Users who have a tag; who leaves stays a contact."""

    def context(self) -> DestinationContext:
        """An audience by that tag."""
        return AUDIENCE

    async def contents(self) -> set[str]:
        """Keys of who has it."""
        members = self.sandbox.app.intercom.members({"audience": "VIP"})
        return {contact["external_id"] for contact in members}


def people(*numbers: int, **more: pa.Array) -> ProtectedBatch:
    """Rows of a key, a name and an address each."""
    rows = {
        "external_id": pa.array([f"u{n}" for n in numbers]),
        "name": pa.array([f"Person {n}" for n in numbers]),
        "email": pa.array([f"p{n}@example.com" for n in numbers]),
        **more,
    }
    return batch(rows)


def played(destination: Intercom, scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own, the destination closed afterwards."""

    async def main() -> T:
        try:
            return await scenario
        finally:
            await destination.close()

    return asyncio.run(main())


def outcomes(
    destination: Intercom, one: ProtectedBatch, progress: Progress | None = None
) -> Outcomes:
    """Of a batch."""

    async def scenario() -> Outcomes:
        answer = await destination.write(one, progress or Progress(rows=len(one)))
        assert isinstance(answer, Done)
        return answer.outcomes

    return played(destination, scenario())


def erased(destination: Intercom, **identifiers: list[str | None]) -> Outcomes:
    """Of an erasure."""
    rows = {name: pa.array(values, pa.string()) for name, values in identifiers.items()}
    answer = played(destination, destination.erase(batch(rows, Operation.REMOVE)))
    assert isinstance(answer, Done)
    return answer.outcomes


def refusal(destination: Intercom, one: ProtectedBatch | None = None) -> EngineError:
    """What a check or a batch ends with."""

    def ask() -> object:
        if one is None:
            return played(destination, destination.check())
        return outcomes(destination, one)

    with pytest.raises(EngineError) as caught:
        ask()
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    return caught.value


def fault(sandbox: SandboxServer, kind: str, path: str, count: int = 1, **more: Any) -> None:
    """Of the next requests."""
    assert not sandbox.app.faults.add({"path": path, "kind": kind, "count": count, **more})


def calls(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Requests that came."""
    found: list[dict[str, Any]] = httpx.get(
        f"{sandbox.url}/_sandbox/requests", trust_env=False
    ).json()
    return found


def test_every_kind_of_value_arrives(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """Text of any script, numbers, days and truth values; a null clears, but who somebody is."""
    moment = dt.datetime(2026, 11, 29, 12, 30, tzinfo=dt.UTC)
    more = {
        "name": pa.array(['"Łódź" 😊\n']),
        "phone": pa.array(["+15550100"]),
        "signed_up_at": pa.array([moment], pa.timestamp("us", "UTC")),
        "custom_attributes.plan": pa.array(["pro"]),
        "custom_attributes.vip": pa.array([True]),
        "custom_attributes.since": pa.array([dt.date(2026, 11, 29)]),
        "custom_attributes.spend": pa.array([Decimal("1.50")]),
    }
    columns = {**COLUMNS, **{k: v.type for k, v in more.items()}}
    given = context(columns, key="external_id")
    assert outcomes(made(sandbox.url, given), people(1, **more)).not_accepted() == []
    [contact] = vendor.contacts.values()
    assert (contact["name"], contact["phone"]) == ('"Łódź" 😊\n', "+15550100")
    assert contact["signed_up_at"] == int(moment.timestamp())
    day = int(dt.datetime(2026, 11, 29, tzinfo=dt.UTC).timestamp())
    own = {"plan": "pro", "vip": True, "since": day, "spend": 1.5}
    assert contact["custom_attributes"] == own
    nothing = {k: pa.nulls(1, v.type) for k, v in more.items()}
    assert outcomes(made(sandbox.url, given), people(1, **nothing)).not_accepted() == []
    [contact] = vendor.contacts.values()
    assert (contact["name"], contact["phone"]) == (None, "+15550100")
    assert set(contact["custom_attributes"].values()) == {None}


def test_rows_are_told_apart(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """Those that were not sent, and those that Intercom refuses, by its code and no word of it."""
    more = {
        "external_id": pa.array(["u1", "U1", None, "u4", "u5"]),
        "email": pa.array(["a@example.com", None, None, "marked at example", "e@example.com"]),
    }
    found = outcomes(made(sandbox.url, GIVEN), people(1, 2, 3, 4, 5, **more))
    assert found.codes.to_pylist() == [ACCEPTED, REJECTED, REJECTED, REJECTED, ACCEPTED]
    told = {row: (reason.code, reason.vendor_code) for row, reason in found.reasons.items()}
    assert told == {
        1: ("duplicate_key", ""),
        2: ("no_key", ""),
        3: ("row_refused", "parameter_invalid.email"),
    }
    assert len(vendor.contacts) == 2


def test_a_request_that_is_wrong_is_no_fault_of_rows(sandbox: SandboxServer) -> None:
    """Where a fifth row is refused alone and none was ever taken, the run stops."""
    more = {"email": pa.array(["none"] * 6)}
    error = refusal(made(sandbox.url, GIVEN), people(*range(6), **more))
    assert (type(error), error.code) == (ContractError, "parameter_invalid.email")


def test_who_was_made_a_moment_ago_is_known(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """Though no search sees them yet; and who was archived comes back."""
    vendor.searches_delayed = True
    for name in ("First", "Second"):
        found = outcomes(made(sandbox.url, GIVEN), people(1, name=pa.array([name])))
        assert found.not_accepted() == []
    [contact] = vendor.contacts.values()
    assert contact["name"] == "Second"
    contact["archived"] = True
    assert outcomes(made(sandbox.url, GIVEN), people(1)).not_accepted() == []
    assert contact["archived"] is False


def test_several_of_one_address_are_not_guessed_at(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """The row is rejected, in writing and in leaving; an erasure takes all of them."""
    same = {"email": pa.array(["p@example.com"] * 2)}
    outcomes(made(sandbox.url, GIVEN), people(1, 2, **same))
    given = context({"email": pa.string(), "name": pa.string()}, key="email", mode=SyncMode.MIRROR)
    rows = {"email": pa.array(["P@example.com"]), "name": pa.array(["x"])}
    for operation in (Operation.WRITE, Operation.REMOVE):
        found = outcomes(made(sandbox.url, given), batch(rows, operation))
        assert found.reasons[0].code == "ambiguous_key"
    assert erased(made(sandbox.url, given), email=["P@example.com"]).not_accepted() == []
    assert vendor.contacts == {}


def test_an_address_of_somebody_else_is_refused_for_its_row(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """A contact found by address that is to take an id that another one has."""
    outcomes(made(sandbox.url, GIVEN), people(1, 2))
    given = context(COLUMNS, key="email")
    taken = people(1, external_id=pa.array(["u2"]))
    found = outcomes(made(sandbox.url, given), taken)
    assert found.codes.to_pylist() == [REJECTED]
    assert found.reasons[0].vendor_code == "conflict"


@pytest.mark.parametrize(
    ("is_merged", "code"), [(True, "contact_merged"), (False, "record_missing")]
)
def test_a_contact_that_goes_away_meanwhile_is_sent_again(
    sandbox: SandboxServer, vendor: IntercomVendor, is_merged: bool, code: str
) -> None:
    """Its row is deferred."""
    outcomes(made(sandbox.url, GIVEN), people(1))
    [record] = vendor.contacts
    shown = dict(vendor.contacts[record])
    destination = made(sandbox.url, GIVEN)
    search = destination._api.search

    async def then_gone(*given: Any, **named: Any) -> Any:
        pages = await search(*given, **named)
        del vendor.contacts[record]
        vendor.merged |= {record} if is_merged else set()
        return pages

    destination._api.search = then_gone  # type: ignore[method-assign]
    found = outcomes(destination, people(1))
    assert (found.codes.to_pylist(), found.reasons[0].code) == ([DEFERRED], code)
    assert shown["external_id"] == "u1"


def test_nobody_is_named_in_an_address(sandbox: SandboxServer) -> None:
    """Neither where people are written, nor where they are looked up."""
    outcomes(made(sandbox.url, AUDIENCE), people(1))
    outcomes(
        made(sandbox.url, AUDIENCE), batch({"external_id": pa.array(["u1"])}, Operation.REMOVE)
    )
    erased(made(sandbox.url, GIVEN), email=["p1@example.com"])
    found = calls(sandbox)
    addresses = " ".join(f"{r['path']}?{r['query']}" for r in found)
    assert "u1" not in addresses
    assert "example" not in addresses


def test_an_erasure_finds_leads_and_who_is_archived(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """Whom it has to make to find out goes at once; nothing is left."""
    outcomes(made(sandbox.url, GIVEN), people(1, 2, 3))
    archived, lead, _ = vendor.contacts.values()
    archived["archived"] = True
    lead["role"] = "lead"
    addresses = ["p1@example.com", "P2@example.com", "nobody@example.com", None, "none"]
    found = erased(made(sandbox.url, GIVEN), email=addresses)
    assert found.codes.to_pylist() == [ACCEPTED] * 5
    assert [c["external_id"] for c in vendor.contacts.values()] == ["u3"]


def subscribing(**columns: pa.Array) -> tuple[DestinationContext, ProtectedBatch]:
    """A sync that tells of subscriptions, and rows of it."""
    rows = people(*range(len(next(iter(columns.values())))), **columns)
    kinds = {f.name: f.type for f in rows.rows.schema}
    return context(kinds, key="external_id"), rows


def told(sandbox: SandboxServer, **columns: pa.Array) -> Outcomes:
    """What became of rows that say something."""
    given, rows = subscribing(**columns)
    names = {"asked": "91", "news": "92"}
    return outcomes(made(sandbox.url, given, subscriptions=names), rows)


def test_what_new_people_said_is_written(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """Yes to an opt-in type, no to an opt-out type; null is told to nobody."""
    asked = {
        "subscription.asked": pa.array([True, False, None, True]),
        "subscription.news": pa.array([True, False, None, False]),
    }
    assert told(sandbox, **asked).not_accepted() == []
    held = [sorted(c["subscriptions"]) for c in vendor.contacts.values()]
    assert held == [["91"], ["92"], [], ["91", "92"]]


def test_a_refusal_there_is_never_made_a_yes(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """Of an opt-out type, of all mail, and where Intercom does not tell a withdrawal."""
    outcomes(made(sandbox.url, GIVEN), people(0, 1, 2, 3))
    refused, silent, unsure, agreed = vendor.contacts.values()
    refused["subscriptions"] = {"92"}
    silent["unsubscribed_from_emails"] = True
    agreed["subscriptions"] = {"91"}
    said = {
        "subscription.asked": pa.array([None, True, True, True]),
        "subscription.news": pa.array([True, True, None, True]),
    }
    found = told(sandbox, **said)
    assert found.codes.to_pylist() == [UNCONFIRMED] * 3 + [ACCEPTED]
    assert [found.reasons[n].code for n in range(3)] == [
        "unsubscribed_there",
        "unsubscribed_there",
        "consent_unknown_there",
    ]
    held = [c["subscriptions"] for c in (refused, silent, unsure, agreed)]
    assert held == [{"92"}, set(), set(), {"91"}]


def test_a_refusal_is_always_written(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """Also of who agreed before, and of all mail; that they want mail is never written."""
    outcomes(made(sandbox.url, GIVEN), people(0, 1))
    first, second = vendor.contacts.values()
    first["subscriptions"] = {"91"}
    second["unsubscribed_from_emails"] = True
    no = pa.array([False, False])
    found = told(
        sandbox,
        **{"subscription.asked": no, "subscription.news": no},
        unsubscribed_from_emails=pa.array([True, False]),
    )
    assert found.not_accepted() == []
    assert (first["subscriptions"], second["subscriptions"]) == ({"92"}, {"92"})
    assert first["unsubscribed_from_emails"] is second["unsubscribed_from_emails"] is True


@pytest.mark.parametrize("path", ["/contacts", pytest.param("/contacts/search", marks=IN_A_SOAK)])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("401", "reauthorise"),
        ("redirect", "redirected"),
        ("reset", "destination_unreachable"),
        ("garbage", "garbage_answer"),
    ],
)
def test_what_intercom_may_answer(sandbox: SandboxServer, path: str, kind: str, code: str) -> None:
    """Its own texts go nowhere, and nothing is left under way."""
    fault(sandbox, kind, path)
    assert refusal(made(sandbox.url, GIVEN), people(1)).code == code


def test_a_retry_begins_at_the_part_that_failed(sandbox: SandboxServer) -> None:
    """Parts that were answered are not written again."""
    progress = Progress(rows=60)
    one = people(*range(60))
    destination = made(sandbox.url, GIVEN)

    async def scenario() -> None:
        await destination.check()
        search, left = destination._api.search, [1]

        async def failing(*given: Any, **named: Any) -> Any:
            if not left:
                left.append(1)
                raise TransientError("destination_busy", "It is away.")
            left.pop()
            return await search(*given, **named)

        destination._api.search = failing  # type: ignore[method-assign]
        with pytest.raises(TransientError):
            await destination.write(one, progress)
        answer = await destination.write(one, progress)
        assert isinstance(answer, Done)
        assert answer.outcomes.count(OutcomeCode.ACCEPTED) == 60

    played(destination, scenario())
    written = [r for r in calls(sandbox) if (r["method"], r["path"]) == ("POST", "/contacts")]
    assert len(written) == 60


def test_a_check_knows_the_workspace_its_region_and_fields(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """And writes nothing."""
    assert refusal(made(sandbox.url, GIVEN, app_id="another")).code == "wrong_account"
    assert refusal(made(sandbox.url, GIVEN, region="eu")).code == "wrong_region"
    vendor.region = "EU"
    played(d := made(sandbox.url, GIVEN, region="eu"), d.check())
    vendor.region = "US"
    wrong = context({**COLUMNS, "custom_attributes.plam": pa.string()}, key="external_id")
    error = refusal(made(sandbox.url, wrong))
    assert (error.code, "custom_attributes.plan" in error.hint) == ("unknown_field", True)
    unknown = made(sandbox.url, GIVEN, subscriptions={"news": "93"})
    assert refusal(unknown).code == "unknown_subscription"
    vendor.tokens = frozenset({"another"})
    assert refusal(made(sandbox.url, GIVEN)).code == "reauthorise"
    assert (vendor.contacts, vendor.tags) == ({}, {})


def test_a_tag_that_was_deleted_or_renamed_is_told(
    sandbox: SandboxServer, vendor: IntercomVendor
) -> None:
    """So that an audience is filled anew, or the run stops."""

    def located(known: str | None, given: DestinationContext = AUDIENCE) -> str | None:
        destination = made(sandbox.url, given)
        return played(destination, destination.locate(known))

    assert located(None) is None
    assert located("x", GIVEN) == "ab12cd34"
    outcomes(made(sandbox.url, AUDIENCE), people(1))
    [record] = vendor.tags
    assert located(record) == record
    vendor.tags[record] = "Other"
    with pytest.raises(ConfigError, match="audience_renamed"):
        located(record)
    vendor.tags = {"500": "VIP"}
    assert located(record) == "500"


def test_nobody_leaves_a_tag_that_is_not_there(sandbox: SandboxServer) -> None:
    """Whoever is to leave is as good as gone."""
    outcomes(made(sandbox.url, GIVEN), people(1))
    gone = batch({"external_id": pa.array(["u1"])}, Operation.REMOVE)
    assert outcomes(made(sandbox.url, AUDIENCE), gone).not_accepted() == []


def test_fields_are_those_of_every_workspace_and_its_own(sandbox: SandboxServer) -> None:
    """With the subscriptions of the settings."""
    destination = made(sandbox.url, GIVEN, subscriptions={"news": "92"})
    found = {f.name for f in played(destination, destination.fields()) if f.name}
    assert {"email", "custom_attributes.plan", "subscription.news"} < found


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (context(COLUMNS, key="name"), "one_key"),
        (context({**COLUMNS, "subscription.x": pa.bool_()}, key="email"), "unknown_subscription"),
        (
            context({**COLUMNS, "unsubscribed_from_emails": pa.string()}, key="email"),
            "subscription_type",
        ),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(given: DestinationContext, code: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=code):
        made("", given)


@pytest.mark.slow
@pytest.mark.soak
def test_ten_thousand_rows(sandbox: SandboxServer, vendor: IntercomVendor) -> None:
    """A call for each; each is there once."""
    destination = made(sandbox.url, GIVEN)

    async def scenario() -> None:
        for first in range(0, 10_000, 1_000):
            one = people(*range(first, first + 1_000))
            answer = await destination.write(one, Progress(rows=1_000))
            assert isinstance(answer, Done)
            assert answer.outcomes.not_accepted() == []

    played(destination, scenario())
    assert len({c["external_id"] for c in vendor.contacts.values()}) == 10_000
