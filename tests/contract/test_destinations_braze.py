"""The destination contract on Braze, over HTTP against the sandbox, and what people said.

Statuses that Braze documents and that are played here: 201, 400, 401, 429, 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from braze_world import (
    BOTH,
    KEY,
    batch,
    context,
    made,
    people,
    plan_fault,
    raises,
    requests,
    write,
    written,
)
from mayfly.connectors.destinations.braze import Braze
from mayfly.connectors.destinations.braze_api import Subscription
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.braze import BrazeVendor
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract
from scripted_http import Token

ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED = range(4)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    sandbox.app.braze.reset()
    sandbox.app.faults.planned.clear()
    sandbox.app.recorder.clear()


@pytest.fixture
def braze(sandbox: SandboxServer) -> BrazeVendor:
    """The workspace."""
    return sandbox.app.braze


def kept(braze: BrazeVendor) -> dict[str, dict[str, Any]]:
    """Values of profiles by external id."""
    return {name: profile.values for name, profile in braze.profiles.items()}


class TestMirror(DestinationContract):
    """Profiles that are deleted when people leave."""

    adds = Operation.WRITE

    @pytest.fixture(autouse=True)
    def _url(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """Two columns, one of which is the key."""
        return context({KEY: pa.string(), "first_name": pa.string()}, mode=SyncMode.MIRROR)

    def make(self) -> Braze:
        """Another connection to the test's workspace."""
        return made(self.sandbox.url, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """An opaque key."""
        return f'ü"{subject}\\'

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Keys and names."""
        keys = pa.array([self.name_of(n) for n in subjects], pa.string())
        names = pa.array(["Zoë" for _ in subjects], pa.string())
        table = pa.table({KEY: keys, "first_name": names})
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        table, _ = self.rows(subjects)
        return table.select([KEY]), {KEY: Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Keys of profiles."""
        return set(self.sandbox.app.braze.profiles)


# -- values and limits -----------------------------------------------------------------------------


def test_every_type_arrives_as_braze_takes_it(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """Numbers, truth values, days, times and lists; a null removes what was there."""
    rows: dict[str, pa.Array] = {
        KEY: pa.array([7]),
        "email": pa.array([" A@Example.com "]),
        "phone": pa.array(["+15550100"]),
        "home_city": pa.array(['"Łódź"\n']),
        "language": pa.array([1]),
        "points": pa.array([7.5]),
        "vip": pa.array([True]),
        "dob": pa.array([20000], pa.date32()),
        "seen": pa.array([1_700_000_000_123_456], pa.timestamp("us", "Europe/Paris")),
        "likes": pa.array([["hats", 'a"b']]),
    }
    assert written(sandbox.url, rows).not_accepted() == []
    assert kept(braze)["7"] == {
        "email": "a@example.com",
        "phone": "+15550100",
        "home_city": '"Łódź"\n',
        "language": "1",
        "points": 7.5,
        "vip": True,
        "dob": "2024-10-04",
        "seen": "2023-11-14T22:13:20.123Z",
        "likes": ["hats", 'a"b'],
    }
    nothing = {k: v if k == KEY else pa.nulls(1, v.type) for k, v in rows.items()}
    assert written(sandbox.url, nothing).not_accepted() == []
    assert kept(braze) == {"7": {}}


@pytest.mark.parametrize(
    ("objects", "rows", "asked"), [(50, 50, 1), (50, 51, 2), (75, 75, 1), (75, 76, 2)]
)
def test_a_request_holds_what_the_contract_has(
    sandbox: SandboxServer, braze: BrazeVendor, objects: int, rows: int, asked: int
) -> None:
    """At the limit one, beyond it two."""
    braze.objects_max = objects
    outcomes = written(sandbox.url, people(rows), objects_per_request=objects)
    assert outcomes.not_accepted() == []
    assert len(requests(sandbox, "/users/track")) == asked
    assert len(braze.profiles) == rows


def test_rows_that_braze_would_drop_are_not_sent(
    sandbox: SandboxServer, braze: BrazeVendor
) -> None:
    """Without a key or with another's, and with what is no address, number or short list."""
    rows = {
        KEY: pa.array(["a", None, "A", "a", "b", "c", "d", "e", " ", "x" * 513]),
        "email": pa.array([None] * 5 + ["no address", None, None, None, None]),
        "phone": pa.array([None] * 6 + ["0555 0100", None, None, None]),
        "points": pa.array([1.0, 1, 1, 1, float("nan"), 1, 1, 1, 1, 1]),
        "likes": pa.array([["x"] * 25] + [None] * 6 + [["x"] * 26, None, None]),
    }
    outcomes = written(sandbox.url, rows)
    assert {n: r.code for n, r in outcomes.reasons.items()} == {
        1: "no_key",
        3: "duplicate_key",
        4: "not_a_number",
        5: "no_address",
        6: "not_e164",
        7: "list_too_long",
        8: "no_key",
        9: "key_too_long",
    }
    assert set(braze.profiles) == {"a", "A"}
    assert len(braze.profiles["a"].values["likes"]) == 25


def test_rows_are_refused_by_their_places(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """The others are there, and no value is told; of one row that is refused alone, too."""
    rows = people(3, first_name=pa.array(["marked", "b", "c"]))
    for count in (3, 1):
        braze.reset()
        plan_fault(sandbox, "/users/track", "partial_failure")
        some = {name: column.slice(0, count) for name, column in rows.items()}
        outcomes = written(sandbox.url, some)
        assert outcomes.codes.to_pylist() == [REJECTED, ACCEPTED, ACCEPTED][:count]
        assert (outcomes.reasons[0].code, outcomes.reasons[0].vendor_code) == ("row_refused", "")
        assert len(braze.profiles) == count - 1


def test_a_refused_request_is_halved_to_its_row(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """And a request that is refused in every part stops."""
    plan_fault(sandbox, "/users/track", "100", 4)
    outcomes = written(sandbox.url, people(8))
    assert outcomes.codes.to_pylist() == [REJECTED] + [ACCEPTED] * 7
    assert outcomes.reasons[0].vendor_code == "braze_400"
    plan_fault(sandbox, "/users/track", "100", 1_000)
    columns = {KEY: pa.string(), "email": pa.string()}
    error = raises(made(sandbox.url, context(columns)), batch(people(50)))
    assert (type(error), error.code) == (ContractError, "braze_400")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("401", "reauthorise"),
        ("reset", "destination_unreachable"),
        ("garbage", "garbage_answer"),
        ("redirect", "redirected"),
    ],
)
def test_faults_change_nothing(
    sandbox: SandboxServer, braze: BrazeVendor, kind: str, code: str
) -> None:
    """Each is told by its code; what was answered before is not sent again."""

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string(), "email": pa.string()}))
        one, progress = batch(people(60)), Progress(rows=60)
        plan_fault(sandbox, "/users/track", kind)
        with pytest.raises(EngineError) as caught:
            await destination.write(one, progress)
        assert caught.value.code == code
        if code == "rate_limited":
            assert 5 <= getattr(caught.value, "retry_after_seconds", 0) <= 8
        assert braze.profiles == {}
        await destination.write(one, progress)
        await destination.close()

    asyncio.run(scenario())
    assert len(braze.profiles) == 60
    assert len(requests(sandbox, "/users/track")) == 3


# -- before a row goes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"Email": pa.string()}, "unknown_field"),
        ({"firstName": pa.string()}, "unknown_field"),
        ({"email_subscribe": pa.string()}, "subscription_field"),
        ({"push_tokens": pa.string()}, "reserved_field"),
        ({"_update_existing_only": pa.bool_()}, "reserved_field"),
        ({"$google_ad_user_data": pa.bool_()}, "reserved_field"),
        ({"x": pa.binary()}, "unsendable_type"),
        ({"x": pa.struct([("a", pa.string())])}, "unsendable_type"),
        ({"subscription.other": pa.bool_()}, "unknown_subscription"),
        ({"subscription.mail": pa.string()}, "subscription_type"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(
    sandbox: SandboxServer, columns: dict[str, pa.DataType], code: str
) -> None:
    """Before anything is asked; so is another key."""
    with pytest.raises(ConfigError) as caught:
        made(sandbox.url, context({KEY: pa.string(), **columns}), subscriptions=BOTH)
    assert caught.value.code == code
    with pytest.raises(ConfigError) as of_key:
        made(sandbox.url, context({"email": pa.string()}, key="email"))
    assert of_key.value.code == "one_key"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"cluster": "fra-99"}, "bad_cluster"),
        ({"objects_per_request": 76}, "bad_objects"),
        ({"endpoint": "https://rest.iad-01.braze.com"}, "bad_endpoint"),
        ({"endpoint": "http://localhost:1"}, "bad_endpoint"),
    ],
)
def test_settings_that_cannot_be_are_refused(more: dict[str, Any], code: str) -> None:
    """Each by its own code; and what is neither a state nor a group."""
    with pytest.raises(ConfigError) as caught:
        made("http://127.0.0.1:1", context({KEY: pa.string()}), **more)
    assert caught.value.code == code
    for wrong in ({}, {"state": "x"}, {"group": "a b"}, {"state": "push_subscribe", "group": "g"}):
        with pytest.raises(ConfigError):
            Subscription(**wrong)


def test_a_check_needs_the_key_and_writes_nothing(
    sandbox: SandboxServer, braze: BrazeVendor
) -> None:
    """A wrong key is told."""
    given = context({KEY: pa.string()})
    assert raises(made(sandbox.url, given, api_key=Token("other"))).code == "reauthorise"

    async def scenario() -> dict[str, bool]:
        destination = made(sandbox.url, given, subscriptions=BOTH)
        await destination.check()
        found = {f.name: f.is_required for f in await destination.fields()}
        await destination.close()
        return found

    found = asyncio.run(scenario())
    assert {"email", "subscription.mail"} < set(found)
    assert [name for name, needed in found.items() if needed] == [KEY]
    assert braze.profiles == {}


# -- what people said ------------------------------------------------------------------------------


def said(name: str, *answers: bool | None) -> dict[str, pa.Array]:
    """What the first people say."""
    return people(len(answers)) | {f"subscription.{name}": pa.array(answers, pa.bool_())}


def states(braze: BrazeVendor) -> dict[str, str | None]:
    """What profiles say of mail."""
    return {n: p.values.get("email_subscribe") for n, p in braze.profiles.items()}


def test_a_yes_waits_for_the_profile_and_a_no_does_not(
    sandbox: SandboxServer, braze: BrazeVendor
) -> None:
    """The address of a profile that is new may have been unsubscribed before."""
    outcomes = written(sandbox.url, said("mail", True, False, None), subscriptions=BOTH)
    assert outcomes.codes.to_pylist() == [DEFERRED, ACCEPTED, ACCEPTED]
    assert outcomes.reasons[0].code == "status_unknown"
    assert states(braze) == {"u0": None, "u1": "unsubscribed", "u2": None}
    before = len(requests(sandbox, "/users/track"))
    again = said("mail", True)
    outcomes = written(sandbox.url, again, run="run-1.again1", subscriptions=BOTH)
    assert outcomes.not_accepted() == []
    assert states(braze)["u0"] == "opted_in"
    # What Braze counts is not sent once more.
    [track] = requests(sandbox, "/users/track")[before:]
    assert orjson.loads(track["body"]) == {
        "attributes": [{"external_id": "u0", "email_subscribe": "opted_in"}]
    }
    assert written(sandbox.url, again, subscriptions=BOTH).not_accepted() == []


@pytest.mark.parametrize(
    ("there", "answer", "after", "code"),
    [
        ("unsubscribed", True, "unsubscribed", UNCONFIRMED),
        ("opted_in", True, "opted_in", ACCEPTED),
        ("subscribed", True, "opted_in", ACCEPTED),
        (None, True, "opted_in", ACCEPTED),
        ("opted_in", False, "unsubscribed", ACCEPTED),
        ("unsubscribed", False, "unsubscribed", ACCEPTED),
    ],
)
def test_what_is_there_already_counts(
    sandbox: SandboxServer,
    braze: BrazeVendor,
    there: str | None,
    answer: bool,
    after: str,
    code: int,
) -> None:
    """A refusal there stays; a refusal of the source is written over anything."""
    profile = {"external_id": "u0", "email": "p0@example.com", "email_subscribe": there}
    braze.track({"attributes": [profile]}, refuse_first=False)
    outcomes = written(sandbox.url, said("mail", answer), subscriptions=BOTH)
    assert outcomes.codes.to_pylist() == [code]
    assert states(braze) == {"u0": after}


def test_a_yes_waits_for_a_new_address(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """What Braze has of the old one says nothing of it."""
    profile = {"external_id": "u0", "email": "old@example.com", "email_subscribe": "subscribed"}
    braze.track({"attributes": [profile]}, refuse_first=False)
    outcomes = written(sandbox.url, said("mail", True), subscriptions=BOTH)
    assert outcomes.reasons[0].code == "status_unknown"
    assert kept(braze)["u0"]["email"] == "p0@example.com"
    assert states(braze) == {"u0": "subscribed"}


def test_groups_are_told_refusals_alone(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """A yes is not, and that is told."""
    rows = said("sms", False, True, None)
    outcomes = written(sandbox.url, rows, subscriptions=BOTH)
    assert outcomes.codes.to_pylist() == [ACCEPTED, UNCONFIRMED, ACCEPTED]
    assert outcomes.reasons[1].code == "yes_not_told"
    assert {n: p.groups for n, p in braze.profiles.items()} == {
        "u0": {"g-1": "unsubscribed"},
        "u1": {},
        "u2": {},
    }


def test_a_refusal_is_told_of_who_could_not_be_written(
    sandbox: SandboxServer, braze: BrazeVendor
) -> None:
    """Where Braze has the profile; nobody is made by it."""
    braze.track({"attributes": [{"external_id": "u0"}]}, refuse_first=False)
    rows = said("mail", False, False, False) | {"phone": pa.array(["x", "x", None])}
    outcomes = written(sandbox.url, rows, subscriptions=BOTH)
    assert outcomes.codes.to_pylist() == [REJECTED, REJECTED, ACCEPTED]
    assert states(braze) == {"u0": "unsubscribed", "u2": "unsubscribed"}


def test_a_refusal_that_braze_does_not_take_is_sent_again(
    sandbox: SandboxServer, braze: BrazeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes that it does not take is not."""
    written(sandbox.url, people(2))
    real = braze.track

    def track(given: Mapping[str, Any], *, refuse_first: bool) -> dict[str, Any]:
        told = any("email_subscribe" in entry for entry in given["attributes"])
        wrong = {"input_array": "attributes", "type": "marked"}
        if not told:
            return real(given, refuse_first=refuse_first)
        return {"message": "success", "errors": [wrong | {"index": n} for n in (0, 1)]}

    monkeypatch.setattr(braze, "track", track)
    outcomes = written(sandbox.url, said("mail", False, True), subscriptions=BOTH)
    assert outcomes.codes.to_pylist() == [DEFERRED, REJECTED]
    assert {r.code for r in outcomes.reasons.values()} == {"subscription_refused"}


# -- going away ------------------------------------------------------------------------------------


def test_fifty_are_deleted_at_a_time(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """Those who are not there are passed over."""
    given = context({KEY: pa.string(), "email": pa.string()}, mode=SyncMode.MIRROR)
    gone = batch({KEY: pa.array([f"u{n}" for n in range(20, 121)])}, Operation.REMOVE)
    outcomes = write(made(sandbox.url, given), batch(people(100)), gone)
    assert outcomes.not_accepted() == []
    assert set(braze.profiles) == {f"u{n}" for n in range(20)}
    assert len(requests(sandbox, "/users/delete")) == 3


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        (KEY, "u0", {"u1", "u2"}),
        ("email", "Same@example.com", {"u2"}),
        ("phone", "+15550102", {"u0", "u1"}),
        ("email", "nobody@example.com", {"u0", "u1", "u2"}),
    ],
)
def test_erasure_is_of_every_profile(
    sandbox: SandboxServer, braze: BrazeVendor, field: str, value: str, left: set[str]
) -> None:
    """By a key, an address or a number."""
    rows = {
        KEY: pa.array(["u0", "u1", "u2"]),
        "email": pa.array(["same@example.com", "same@example.com", "other@example.com"]),
        "phone": pa.array([None, None, "+15550102"]),
    }
    written(sandbox.url, rows)

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string()}))
        await destination.erase(batch({field: pa.array([value])}, Operation.REMOVE))
        for wrong in ({"plan": pa.array(["x"])}, {KEY: pa.array(["x"]), "email": pa.array(["y"])}):
            with pytest.raises(ContractError) as caught:
                await destination.erase(batch(wrong, Operation.REMOVE))
            assert caught.value.code == "one_identifier"
        await destination.close()

    asyncio.run(scenario())
    assert set(braze.profiles) == left


def test_nobody_stands_in_an_address(sandbox: SandboxServer) -> None:
    """Whatever is done."""
    written(sandbox.url, said("mail", True, False), subscriptions=BOTH)
    gone = batch({KEY: pa.array(["u0"])}, Operation.REMOVE)
    write(made(sandbox.url, context({KEY: pa.string()})), gone)
    assert {(r["path"], r["query"]) for r in requests(sandbox)} == {
        ("/users/track", ""),
        ("/users/export/ids", ""),
        ("/users/delete", ""),
    }


# -- the sandbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("track", {}),
        ("track", {"attributes": []}),
        ("track", {"attributes": [{"external_id": str(n)} for n in range(76)]}),
        ("export/ids", {"external_ids": ["a"]}),
        ("export/ids", {"external_ids": ["a"], "fields_to_export": ["subscription_groups"]}),
        ("export/ids", {"external_ids": ["a"] * 51, "fields_to_export": ["email"]}),
        ("export/ids", {"email_address": "a", "phone": "b", "fields_to_export": ["email"]}),
        ("delete", {"external_ids": []}),
        ("delete", {"external_ids": ["a"] * 51}),
        ("delete", {"external_ids": ["a"], "braze_ids": ["b"]}),
    ],
)
def test_the_sandbox_refuses_what_braze_refuses(
    sandbox: SandboxServer, path: str, body: dict[str, Any]
) -> None:
    """Nothing, too much, two kinds of identifiers, and fields that an export does not have."""
    headers = {"authorization": "Bearer token-1"}
    url = f"{sandbox.url}/users/{path}"
    assert httpx.post(url, json=body, headers=headers, trust_env=False).status_code == 400
    assert httpx.post(url, json=body, trust_env=False).status_code == 401


@pytest.mark.parametrize(
    "entry",
    [
        {"email_subscribe": "opted_in"},
        {"external_id": 7},
        {"external_id": "a", "email": 7},
        {"external_id": "a", "email_subscribe": "yes"},
        {"external_id": "a", "x": {"a": 1}},
        {"external_id": "a", "subscription_groups": [{"subscription_group_id": "g"}]},
    ],
)
def test_the_sandbox_names_an_object_that_is_wrong(
    braze: BrazeVendor, entry: dict[str, Any]
) -> None:
    """By its place; the rest is taken."""
    told = braze.track({"attributes": [{"external_id": "ok"}, entry]}, refuse_first=False)
    assert [error["index"] for error in told["errors"]] == [1]
    assert (told["attributes_processed"], set(braze.profiles)) == (1, {"ok"})


@pytest.mark.slow
@pytest.mark.soak
def test_a_hundred_thousand_people(sandbox: SandboxServer, braze: BrazeVendor) -> None:
    """In requests of 75; each is there."""
    whole = pa.table(people(100_000))
    parts = [
        batch({n: whole.column(n).combine_chunks().slice(at, 5_000) for n in whole.column_names})
        for at in range(0, 100_000, 5_000)
    ]
    given = context({KEY: pa.string(), "email": pa.string()})
    destination = made(sandbox.url, given, objects_per_request=75)
    assert write(destination, *parts).not_accepted() == []
    assert len(braze.profiles) == 100_000


def test_codes_are_those_of_outcomes() -> None:
    """The numbers above."""
    assert [int(code) for code in OutcomeCode][:4] == [ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED]
