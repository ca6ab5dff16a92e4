"""The destination contract on Zendesk's sandbox: users by a key, and a checkbox as an audience."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pyarrow as pa
import pytest

from hubspot_world import Token, batch, context
from mayfly.connectors.destinations.zendesk import Zendesk
from mayfly.connectors.destinations.zendesk_api import ZendeskApi
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    Pending,
    Progress,
    Submitted,
)
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.sandbox.zendesk import ZendeskVendor
from mayfly.testing.destination_contract import DestinationContract, finished
from zendesk_world import made

T = TypeVar("T")
COLUMNS = {"external_id": pa.string(), "name": pa.string(), "email": pa.string()}
GIVEN = context(COLUMNS, key="external_id", mode=SyncMode.MIRROR)
ACCEPTED, REJECTED, DEFERRED = 0, 2, 3


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One account for the module; each test begins with an empty one."""
    with SandboxServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    httpx.post(f"{sandbox.url}/_sandbox/reset", trust_env=False).raise_for_status()
    sandbox.app.zendesk.tokens = None


@pytest.fixture
def vendor(sandbox: SandboxServer) -> ZendeskVendor:
    """What the account holds."""
    return sandbox.app.zendesk


class TestUsers(DestinationContract):
    """Users by `external_id`, deleted for good."""

    adds = Operation.WRITE
    resumes = False
    sandbox: SandboxServer

    @pytest.fixture(autouse=True)
    def _sandbox(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """A mirrored sync."""
        return GIVEN

    def make(self) -> Zendesk:
        """Another connection to the same account."""
        return made(self.sandbox.url, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """The account's own id of a person."""
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
        """Keys of the users that are there."""
        return {user["external_id"] for user in self.sandbox.app.zendesk.members({})}


class TestAudience(TestUsers):
    """Users whose checkbox is checked; who leaves stays a user, and an erasure deletes."""

    def context(self) -> DestinationContext:
        """An audience by that checkbox."""
        return replace(GIVEN, mode=SyncMode.AUDIENCE, object_name="is_vip")

    async def contents(self) -> set[str]:
        """Keys of whose box is checked."""
        members = self.sandbox.app.zendesk.members({"audience": "is_vip"})
        return {user["external_id"] for user in members}


def people(*numbers: int, number: int = 0, **more: pa.Array) -> ProtectedBatch:
    """Rows of a key, a name and an address each."""
    rows = {
        "external_id": pa.array([f"u{n}" for n in numbers]),
        "name": pa.array([f"Person {n}" for n in numbers]),
        "email": pa.array([f"p{n}@example.com" for n in numbers]),
        **more,
    }
    return batch(rows, number=number)


def played(destination: Zendesk, scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own, the destination closed afterwards."""

    async def main() -> T:
        try:
            return await scenario
        finally:
            await destination.close()

    return asyncio.run(main())


def outcomes(destination: Zendesk, one: ProtectedBatch) -> Outcomes:
    """Of a batch, followed to its end."""

    async def scenario() -> Outcomes:
        return await finished(destination, await destination.write(one, Progress(rows=len(one))))

    return played(destination, scenario())


def refusal(destination: Zendesk, one: ProtectedBatch | None = None) -> EngineError:
    """What a check or a batch ends with."""

    def ask() -> object:
        if one is None:
            return played(destination, destination.check())
        return outcomes(destination, one)

    with pytest.raises(EngineError) as caught:
        ask()
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    return caught.value


def fault(
    sandbox: SandboxServer, kind: str, count: int = 1, path: str = "/api/v2/users/cr"
) -> None:
    """Of the next requests."""
    assert not sandbox.app.faults.add({"path": path, "kind": kind, "count": count})


def test_every_kind_of_value_arrives(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """Text of any script, numbers, days and truth values; nobody is mailed."""
    columns = {
        **COLUMNS,
        "user_fields.plan": pa.string(),
        "user_fields.is_vip": pa.bool_(),
        "user_fields.since": pa.date32(),
        "user_fields.score": pa.float64(),
    }
    given = context(columns, key="email", mode=SyncMode.UPSERT)
    more = {
        "name": pa.array(['"Łódź" 😊\n']),
        "user_fields.plan": pa.array(["pro"]),
        "user_fields.is_vip": pa.array([True]),
        "user_fields.since": pa.array([20_000], pa.int32()).cast(pa.date32()),
        "user_fields.score": pa.array([1.5]),
    }
    destination = made(sandbox.url, given)
    assert outcomes(destination, people(1, **more)).not_accepted() == []
    [user] = vendor.users.values()
    assert (user["name"], user["emails"], user["external_id"]) == (
        '"Łódź" 😊\n',
        ["p1@example.com"],
        "u1",
    )
    assert user["user_fields"] == {
        "plan": "pro",
        "is_vip": True,
        "since": "2024-10-04",
        "score": 1.5,
    }
    assert vendor.mailed == []
    nothing = {k: pa.nulls(1, v.type) for k, v in more.items() if k != "name"}
    nothing["external_id"] = pa.nulls(1, pa.string())
    assert outcomes(made(sandbox.url, given), people(1, **nothing)).not_accepted() == []
    [user] = vendor.users.values()
    assert set(user["user_fields"].values()) == {None}
    assert user["external_id"] == "u1"


def test_rows_are_told_apart(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """Those that were not sent, and those that Zendesk refuses, by its code and no word of it."""
    names = ["u1", "U1", None, "u4", "u5", " "]
    more = {
        "external_id": pa.array(names),
        "email": pa.array(["a@example.com"] * 3 + ["marked at example.com", "e@example.com", None]),
    }
    found = outcomes(made(sandbox.url, GIVEN), people(1, 2, 3, 4, 5, 6, **more))
    assert found.codes.to_pylist() == [ACCEPTED, REJECTED, REJECTED, REJECTED, ACCEPTED, REJECTED]
    told = {row: (reason.code, reason.vendor_code) for row, reason in found.reasons.items()}
    assert told == {
        1: ("duplicate_key", ""),
        2: ("no_key", ""),
        3: ("row_refused", "UserUpdateError"),
        5: ("no_key", ""),
    }
    assert len(vendor.users) == 2


def test_a_batch_without_a_row_to_send_is_no_job(sandbox: SandboxServer) -> None:
    """It is answered at once."""
    found = outcomes(made(sandbox.url, GIVEN), people(1, external_id=pa.nulls(1, pa.string())))
    assert found.codes.to_pylist() == [REJECTED]


def test_a_batch_is_jobs_of_a_hundred(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """One reference holds them all, and another process follows them to their ends."""
    first = made(sandbox.url, GIVEN)
    one = people(*range(251))
    submitted = played(first, first.write(one, Progress(rows=251)))
    assert isinstance(submitted, Submitted)
    assert submitted.job.reference.count(":") == 3
    second = made(sandbox.url, GIVEN)
    done = played(second, finished(second, submitted))
    assert done.count(OutcomeCode.ACCEPTED) == 251
    assert len(vendor.users) == 251


@pytest.mark.parametrize("ending", ["failed", "killed", "forgotten"])
def test_a_job_that_was_not_done_goes_again(
    sandbox: SandboxServer, vendor: ZendeskVendor, ending: str
) -> None:
    """Its rows alone: the next run looks at them."""
    vendor.next_ending = ["completed", ending]
    found = outcomes(made(sandbox.url, GIVEN), people(*range(101)))
    assert found.codes.to_pylist() == [ACCEPTED] * 100 + [DEFERRED]
    assert found.reasons[100].code == "job_not_done"


def test_a_job_that_is_under_way_is_asked_for_later(sandbox: SandboxServer) -> None:
    """After a pause."""
    destination = made(sandbox.url, GIVEN)

    async def scenario() -> None:
        submitted = await destination.write(people(1), Progress(rows=1))
        assert isinstance(submitted, Submitted)
        assert await destination.poll(submitted.job) == Pending(retry_after_seconds=2.0)
        assert isinstance(await destination.poll(submitted.job), Done)

    played(destination, scenario())


def test_requests_that_were_taken_are_not_sent_again(sandbox: SandboxServer) -> None:
    """By the next attempt at the batch."""
    destination = made(sandbox.url, GIVEN)
    one = people(*range(201))

    async def scenario() -> Outcomes:
        await destination.check()
        api: ZendeskApi = destination._api
        submit, left = api.submit, [1, 1]

        async def failing(users: bytes) -> str:
            if not left:
                left.extend([1, 1])
                raise TransientError("destination_busy", "It is away.")
            left.pop()
            return await submit(users)

        api.submit = failing  # type: ignore[method-assign]
        with pytest.raises(TransientError):
            await destination.write(one, Progress(rows=201))
        return await finished(destination, await destination.write(one, Progress(rows=201)))

    assert played(destination, scenario()).count(OutcomeCode.ACCEPTED) == 201
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    assert sum(r["path"].endswith("create_or_update_many") for r in found) == 3


def test_nobody_is_named_in_an_address(sandbox: SandboxServer) -> None:
    """Neither where people are written, nor where they are looked up to be deleted."""
    destination = made(sandbox.url, GIVEN)

    async def scenario() -> None:
        await finished(destination, await destination.write(people(1), Progress(rows=1)))
        for name in ("external_id", "email"):
            value = "u1" if name == "external_id" else "p1@example.com"
            await destination.erase(batch({name: pa.array([value])}, Operation.REMOVE))

    played(destination, scenario())
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    addresses = " ".join(f"{r['path']}?{r['query']}" for r in found)
    assert "u1" not in addresses
    assert "example" not in addresses


def test_an_erasure_is_for_good(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """Users with open tickets are kept and told of; nobody is made by looking."""
    outcomes(made(sandbox.url, GIVEN), people(1, 2))
    first, second = vendor.users
    vendor.with_tickets = {first}
    destination = made(sandbox.url, GIVEN)
    addresses = pa.array(["p1@example.com", "P2@example.com", "nobody@example.com", None])
    gone = batch({"email": addresses}, Operation.REMOVE)
    answer = played(destination, destination.erase(gone))
    assert isinstance(answer, Done)
    assert answer.outcomes.codes.to_pylist() == [REJECTED, ACCEPTED, ACCEPTED, ACCEPTED]
    assert answer.outcomes.reasons[0].code == "erasure_refused"
    assert (list(vendor.users), vendor.deleted, vendor.gone) == ([first], {}, {second})


def test_agents_are_never_deleted(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """Neither by an erasure nor by a mirror whose model they left."""
    outcomes(made(sandbox.url, GIVEN), people(1, 2))
    agent, end_user = vendor.users.values()
    agent["role"] = "agent"
    gone = batch({"external_id": pa.array(["u1", "u2"])}, Operation.REMOVE)
    found = outcomes(made(sandbox.url, GIVEN), gone)
    assert found.codes.to_pylist() == [REJECTED, ACCEPTED]
    assert found.reasons[0].code == "not_an_end_user"
    destination = made(sandbox.url, GIVEN)
    assert isinstance(played(destination, destination.erase(gone)), Done)
    assert (list(vendor.users), vendor.gone) == ([agent["id"]], {end_user["id"]})


def test_an_erasure_that_broke_off_between_its_steps_goes_on(
    sandbox: SandboxServer, vendor: ZendeskVendor
) -> None:
    """Zendesk finds nobody any more who is deleted: the ids are remembered until the end."""
    outcomes(made(sandbox.url, GIVEN), people(1))
    destination = made(sandbox.url, GIVEN)
    fault(sandbox, "503", path="/api/v2/deleted_users")
    gone = batch({"external_id": pa.array(["u1"])}, Operation.REMOVE)

    async def scenario() -> None:
        with pytest.raises(TransientError):
            await destination.erase(gone)
        assert vendor.deleted
        await destination.erase(gone)

    played(destination, scenario())
    assert (vendor.users, vendor.deleted, len(vendor.gone)) == ({}, {}, 1)


def test_what_zendesk_does_not_tell_is_no_absence(
    sandbox: SandboxServer, vendor: ZendeskVendor
) -> None:
    """An address that is none: it answers with another word than that a name is missing."""
    destination = made(sandbox.url, GIVEN)
    gone = batch({"email": pa.array(["marked at example.com"])}, Operation.REMOVE)
    answer = played(destination, destination.erase(gone))
    assert isinstance(answer, Done)
    assert answer.outcomes.reasons[0].code == "lookup_refused"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("401", "reauthorise"),
        ("100", "unknown_answer"),
        ("redirect", "redirected"),
        ("reset", "destination_unreachable"),
        ("garbage", "garbage_answer"),
    ],
)
def test_what_zendesk_may_answer(sandbox: SandboxServer, kind: str, code: str) -> None:
    """Its own texts go nowhere."""
    fault(sandbox, kind)
    assert refusal(made(sandbox.url, GIVEN), people(1)).code == code


def test_a_row_that_is_refused_tells_no_value(sandbox: SandboxServer) -> None:
    """Zendesk's text names one."""
    fault(sandbox, "partial_failure")
    found = outcomes(made(sandbox.url, GIVEN), people(1, 2))
    assert found.codes.to_pylist() == [REJECTED, ACCEPTED]
    assert "marked" not in repr(found)


def test_a_check_knows_the_login_the_fields_and_the_checkbox(
    sandbox: SandboxServer, vendor: ZendeskVendor
) -> None:
    """And writes nothing."""
    wrong = context({**COLUMNS, "user_fields.plam": pa.string()}, key="external_id")
    error = refusal(made(sandbox.url, wrong))
    assert (error.code, "user_fields.plan" in error.hint) == ("unknown_field", True)
    audience = replace(GIVEN, mode=SyncMode.AUDIENCE, object_name="plan")
    assert refusal(made(sandbox.url, audience)).code == "not_a_checkbox"
    vendor.role = "end-user"
    assert refusal(made(sandbox.url, GIVEN)).code == "reauthorise"
    vendor.role = "admin"
    vendor.tokens = frozenset({"another"})
    assert refusal(made(sandbox.url, GIVEN)).code == "reauthorise"
    token = {"access_token": None, "api_user": "a@example.com", "api_token": Token("another")}
    by_token = made(sandbox.url, GIVEN, **token)
    played(by_token, by_token.check())
    vendor.imports = False
    assert refusal(made(sandbox.url, GIVEN, **token), people(1)).code == "reauthorise"
    assert vendor.users == {}


def test_fields_are_those_of_every_account_and_its_own(
    sandbox: SandboxServer, vendor: ZendeskVendor
) -> None:
    """Over more pages than one."""
    vendor.fields |= {f"f{n}": "text" for n in range(150)}
    destination = made(sandbox.url, GIVEN)
    found = {f.name: f.is_required for f in played(destination, destination.fields())}
    assert {name for name, needed in found.items() if needed} == {"external_id", "name"}
    assert {"email", "user_fields.plan", "user_fields.f149"} < set(found)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (context(COLUMNS, key="name"), "one_key"),
        (context({"email": pa.string()}, key="email"), "no_name"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(given: DestinationContext, code: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=code):
        made("", given)


@pytest.mark.slow
@pytest.mark.soak
def test_a_hundred_thousand_rows(sandbox: SandboxServer, vendor: ZendeskVendor) -> None:
    """In batches as they come; each is there."""
    destination = made(sandbox.url, GIVEN)

    async def scenario() -> None:
        for first in range(0, 100_000, 300):
            one = people(*range(first, min(first + 300, 100_000)), number=first // 300)
            found = await finished(destination, await destination.write(one, Progress(len(one))))
            assert found.not_accepted() == []

    played(destination, scenario())
    assert len(vendor.users) == 100_000
