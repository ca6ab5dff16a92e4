"""What people say is told to Salesforce's sandbox, and a refusal there stays one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.destinations.salesforce_api import Consent
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.salesforce import PURPOSE
from mayfly.sandbox.server import SandboxServer
from salesforce_world import (
    KEY,
    MAIL,
    OFFERS,
    batch,
    contacts,
    context,
    made,
    people,
    plan_fault,
    raises,
    requests,
    write,
    written,
)

ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED = range(4)
BOTH = {"mail": MAIL, "offers": OFFERS}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset()) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    sandbox.app.salesforce_vendor.reset()
    sandbox.app.faults.planned.clear()
    sandbox.app.recorder.clear()


def individuals(sandbox: SandboxServer, *numbers: int) -> list[str]:
    """People who are there with an Individual each; its id."""
    found = []
    for n in numbers:
        person, _ = sandbox.app.salesforce.objects["Individual"].write(None, {"LastName": f"I{n}"})
        row = {KEY: f"C-{n}", "LastName": "x", "IndividualId": person.record_id}
        sandbox.app.salesforce.upsert("Contact", KEY, row)
        found.append(person.record_id)
    return found


def stated(sandbox: SandboxServer, party: str, state: str) -> None:
    """What Salesforce knows of the purpose already."""
    row = {
        "Name": "own",
        "PartyId": party,
        "ContactPointType": "Email",
        "DataUsePurposeId": PURPOSE,
        "PrivacyConsentStatus": state,
    }
    sandbox.app.salesforce.objects["ContactPointTypeConsent"].write(None, row)


def states(sandbox: SandboxServer) -> dict[str, list[str]]:
    """States of the purpose by Individual, in the order in which they were made."""
    found: dict[str, list[str]] = {}
    for record in sandbox.app.salesforce.objects["ContactPointTypeConsent"].records.values():
        assert record.values["DataUsePurposeId"] == PURPOSE
        party = record.values["PartyId"]
        found.setdefault(party, []).append(record.values["PrivacyConsentStatus"])
    return found


def said(name: str, *answers: bool | None) -> dict[str, pa.Array]:
    """What the first people say."""
    column = pa.array(answers, pa.bool_())
    return people(len(answers)) | {f"consent.{name}": column}


def flags(sandbox: SandboxServer) -> dict[str, bool]:
    """Who has opted out of mail."""
    return {k: bool(v.get("HasOptedOutOfEmail")) for k, v in contacts(sandbox).items()}


def test_a_flag_is_set_and_never_taken_away(sandbox: SandboxServer) -> None:
    """A refusal sets it; a yes where it is set is not told, and where it is not needs nothing."""
    outcomes = written(sandbox.url, said("mail", True, False, None), consents=BOTH)
    assert outcomes.not_accepted() == []
    assert flags(sandbox) == {"C-0": False, "C-1": True, "C-2": False}
    outcomes = written(sandbox.url, said("mail", True, True, None), consents=BOTH)
    assert outcomes.codes.to_pylist() == [ACCEPTED, UNCONFIRMED, ACCEPTED]
    assert outcomes.reasons[1].code == "refused_there"
    assert flags(sandbox) == {"C-0": False, "C-1": True, "C-2": False}


def test_what_is_said_of_a_purpose_is_told_of_the_individual(sandbox: SandboxServer) -> None:
    """With where and when it was captured; once, and nothing where nobody said anything."""
    one, two, three = individuals(sandbox, 0, 1, 2)
    rows = said("offers", True, False, None)
    for _ in range(2):
        assert written(sandbox.url, rows, consents=BOTH).not_accepted() == []
        assert states(sandbox) == {one: ["OptIn"], two: ["OptOut"]}
    assert three not in states(sandbox)
    [first, *_] = sandbox.app.salesforce.objects["ContactPointTypeConsent"].records.values()
    kept = first.values
    assert (kept["Name"], kept["CaptureSource"]) == ("offers", "Mayfly")
    assert kept["CaptureDate"].endswith("Z")


@pytest.mark.parametrize(
    ("there", "answer", "after", "code"),
    [
        ("OptOut", True, ["OptOut"], UNCONFIRMED),
        ("OptIn", False, ["OptOut"], ACCEPTED),
        ("NotSeen", True, ["NotSeen", "OptIn"], ACCEPTED),
        ("Seen", False, ["OptOut"], ACCEPTED),
        ("OptIn", True, ["OptIn"], ACCEPTED),
        ("OptOut", False, ["OptOut"], ACCEPTED),
    ],
)
def test_what_is_there_already_counts(
    sandbox: SandboxServer, there: str, answer: bool, after: list[str], code: int
) -> None:
    """A refusal there stays; a refusal of the source is written over anything."""
    [party] = individuals(sandbox, 0)
    stated(sandbox, party, there)
    outcomes = written(sandbox.url, said("offers", answer), consents=BOTH)
    assert outcomes.codes.to_pylist() == [code]
    assert states(sandbox) == {party: after}


def test_who_opted_out_of_all_mail_gets_no_yes_to_a_purpose(sandbox: SandboxServer) -> None:
    """The flag of the record stands above."""
    individuals(sandbox, 0)
    sandbox.app.salesforce.upsert("Contact", KEY, {KEY: "C-0", "HasOptedOutOfEmail": True})
    outcomes = written(sandbox.url, said("offers", True), consents={"offers": OFFERS})
    assert outcomes.reasons[0].code == "refused_there"
    assert states(sandbox) == {}


def test_who_refuses_meanwhile_stays_refused(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the writing: it is seen afterwards, and the yes undone."""
    [party] = individuals(sandbox, 0)
    organisation = sandbox.app.salesforce
    real: Callable[..., Any] = organisation.change_all

    def change_all(body: Any, *, create: bool) -> Any:
        if create and not states(sandbox):
            stated(sandbox, party, "OptOut")
        return real(body, create=create)

    monkeypatch.setattr(organisation, "change_all", change_all)
    outcomes = written(sandbox.url, said("offers", True), consents=BOTH)
    assert outcomes.reasons[0].code == "refused_there"
    assert states(sandbox) == {party: ["OptOut", "OptOut"]}


def test_two_who_are_one_individual_and_disagree_have_refused(sandbox: SandboxServer) -> None:
    """In one batch, whoever comes first."""
    [party] = individuals(sandbox, 0)
    row = {KEY: "C-1", "LastName": "x", "IndividualId": party}
    sandbox.app.salesforce.upsert("Contact", KEY, row)
    outcomes = written(sandbox.url, said("offers", True, False), consents=BOTH)
    assert outcomes.codes.to_pylist() == [UNCONFIRMED, ACCEPTED]
    assert states(sandbox) == {party: ["OptOut"]}


def test_without_an_individual_a_refusal_is_sent_until_there_is_one(
    sandbox: SandboxServer,
) -> None:
    """A yes is not."""
    outcomes = written(sandbox.url, said("offers", True, False), consents=BOTH)
    assert outcomes.codes.to_pylist() == [REJECTED, DEFERRED]
    assert {r.code for r in outcomes.reasons.values()} == {"no_individual"}
    assert len(contacts(sandbox)) == 2


def test_individuals_themselves_may_be_synced(sandbox: SandboxServer) -> None:
    """A record of that object is the party, and has flags of its own."""
    rows = {
        "Number__c": pa.array(["1", "2"]),
        "LastName": pa.array(["a", "b"]),
        "consent.offers": pa.array([True, False]),
        "consent.contact": pa.array([True, False]),
    }
    given = context({k: v.type for k, v in rows.items()}, key="Number__c")
    consents = {"offers": OFFERS, "contact": Consent(flag="HasOptedOutSolicit")}
    destination = made(sandbox.url, given, object_name="Individual", consents=consents)
    assert write(destination, batch(rows)).not_accepted() == []
    found = sandbox.app.salesforce.objects["Individual"].records
    kept = [(states(sandbox)[k], r.values.get("HasOptedOutSolicit")) for k, r in found.items()]
    assert kept == [(["OptIn"], None), (["OptOut"], True)]


def test_a_refusal_is_told_of_who_could_not_be_written(sandbox: SandboxServer) -> None:
    """A contact that Salesforce does not take anew has refused all the same; and so has a row
    that is not sent, because an earlier one has its key.
    """
    [party, other] = individuals(sandbox, 0, 1)
    rows = said("offers", False, True, False) | {
        KEY: pa.array(["C-0", "C-1", "c-1"]),
        "Email": pa.array(["no address", None, None], pa.string()),
    }
    outcomes = written(sandbox.url, rows, consents=BOTH)
    assert outcomes.codes.to_pylist() == [REJECTED, UNCONFIRMED, REJECTED]
    assert outcomes.reasons[0].vendor_code == "INVALID_EMAIL_ADDRESS.Email"
    assert states(sandbox) == {party: ["OptOut"], other: ["OptOut"]}


@pytest.mark.parametrize("name", ["mail", "offers"])
def test_a_refusal_that_salesforce_does_not_take_is_sent_again(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A yes that it does not take is not."""
    individuals(sandbox, 0, 1)

    def change_all(body: Any, *, create: bool) -> Any:
        error = {"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "marked"}
        return [{"success": False, "errors": [error | {"fields": []}]} for _ in body["records"]]

    monkeypatch.setattr(sandbox.app.salesforce, "change_all", change_all)
    outcomes = written(sandbox.url, said(name, False, True), consents=BOTH)
    taken = ACCEPTED if name == "mail" else REJECTED
    assert outcomes.codes.to_pylist() == [DEFERRED, taken]
    assert outcomes.reasons[0].code == "consent_refused"
    assert outcomes.reasons[0].vendor_code == "INSUFFICIENT_ACCESS_OR_READONLY"


def test_a_large_batch_with_consents_goes_without_files(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records' ids are needed; and nobody stands in an address."""
    monkeypatch.setattr("mayfly.connectors.destinations.salesforce.ROWS_MIN", 2)
    individuals(sandbox, *range(3))
    rows = said("offers", True, False, True) | {"consent.mail": pa.array([False, None, True])}
    outcomes = written(sandbox.url, rows, consents=BOTH)
    # Of two things that one says the refusal of all mail counts.
    assert outcomes.codes.to_pylist() == [ACCEPTED, ACCEPTED, ACCEPTED]
    asked = [f"{r['path']}?{r['query']}" for r in requests(sandbox)]
    assert not [text for text in asked if "C-" in text or "003" in text or "0PK" in text]
    assert requests(sandbox, "/jobs") == []


def test_a_burst_of_errors_between_is_outlasted(sandbox: SandboxServer) -> None:
    """What was written is written again, and what was said is told."""
    from mayfly.domain.errors import TransientError
    from mayfly.ports.destination import Progress

    [party] = individuals(sandbox, 0)
    rows = said("offers", True)
    given = context({k: v.type for k, v in rows.items()})

    async def scenario() -> None:
        destination = made(sandbox.url, given, consents=BOTH)
        await destination.check()
        plan_fault(sandbox, "*/v62.0/composit[e]", "503")
        one, progress = batch(rows), Progress(rows=1)
        with pytest.raises(TransientError):
            await destination.write(one, progress)
        await destination.write(one, progress)
        await destination.close()

    asyncio.run(scenario())
    assert states(sandbox) == {party: ["OptIn"]}


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"consent.other": pa.bool_()}, "unknown_consent"),
        ({"consent.mail": pa.string()}, "consent_type"),
        ({"HasOptedOutOfEmail": pa.bool_()}, "opt_out_field"),
        ({"Individual.HasOptedOutSolicit": pa.bool_()}, "opt_out_field"),
        ({"PersonDoNotCall": pa.bool_()}, "opt_out_field"),
        ({"ShouldForget": pa.bool_()}, "opt_out_field"),
    ],
)
def test_a_mapping_that_could_make_a_refusal_a_yes_is_refused(
    sandbox: SandboxServer, columns: dict[str, pa.DataType], code: str
) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError) as caught:
        made(sandbox.url, context({KEY: pa.string(), **columns}), consents=BOTH)
    assert caught.value.code == code
    with pytest.raises(ConfigError) as of_object:
        made(sandbox.url, context({KEY: pa.string()}), object_name="ContactPointTypeConsent")
    assert of_object.value.code == "consent_object"


def test_a_flag_that_the_object_does_not_have_is_refused(sandbox: SandboxServer) -> None:
    """Before a row goes."""
    consents = {"mail": Consent(flag="HasOptedOutProfiling")}
    given = context({KEY: pa.string(), "consent.mail": pa.bool_()})
    assert raises(made(sandbox.url, given, consents=consents)).code == "unknown_flag"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"flag": "Email"},
        {"contact_point": "Email"},
        {"contact_point": "Pigeon", "data_use_purpose": PURPOSE},
        {"flag": "DoNotCall", "contact_point": "Phone", "data_use_purpose": PURPOSE},
        {"contact_point": "Email", "data_use_purpose": "x' OR Id != '"},
    ],
)
def test_a_consent_is_a_flag_or_a_purpose(given: dict[str, str]) -> None:
    """And neither both nor anything else."""
    with pytest.raises(ConfigError) as caught:
        Consent(**given)
    assert caught.value.code == "bad_consent"
