"""simple-salesforce drives the sandbox, and reads what our connector wrote there."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter

from mayfly.connectors.destinations.salesforce_records import questions, quoted
from mayfly.connectors.destinations.salesforce_tokens import Credentials
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ConfigError
from mayfly.ports.destination import Progress
from mayfly.sandbox.salesforce import PURPOSE
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import finished
from salesforce_world import KEY, OFFERS, Secret, batch, context, made, people, write, written

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from simple_salesforce import Salesforce, format_soql
    from simple_salesforce.exceptions import (
        SalesforceAuthenticationFailed,
        SalesforceExpiredSession,
        SalesforceMalformedRequest,
        SalesforceResourceNotFound,
    )


class ToLoopback(HTTPAdapter):
    """Takes the client's calls, whatever host and scheme they name, to a sandbox.

    Args:
        url: of it.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """One call."""
        request.url = self._url + request.path_url
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    """Of an app."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def sandbox(private_key: rsa.RSAPrivateKey) -> Iterator[SandboxServer]:
    """Knows one app, and gives its tokens itself."""
    with SandboxServer(tokens=frozenset()) as server:
        vendor = server.app.salesforce_vendor
        vendor.secrets = {"app-1": "s3cret"}
        vendor.keys = {"app-1": private_key.public_key()}
        yield server


def client(sandbox: SandboxServer, **given: str) -> Any:
    """The client, logged in by client credentials unless it is given others."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ToLoopback(sandbox.url))
    whole = given or {"consumer_secret": "s3cret", "domain": "acme.my"}
    return Salesforce(consumer_key="app-1", session=session, version="62.0", **whole)


def pem(key: rsa.RSAPrivateKey) -> str:
    """A key as text."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_the_client_logs_in_both_ways(
    sandbox: SandboxServer, private_key: rsa.RSAPrivateKey
) -> None:
    """For a secret, and for a statement that its key signs; not for wrong ones."""
    assert client(sandbox).Contact.describe()["name"] == "Contact"
    by_key = client(sandbox, username="etl@example.com", privatekey=pem(private_key))
    assert by_key.query("SELECT Id FROM Contact")["totalSize"] == 0
    assert by_key.api_usage["api-usage"].total == 15_000
    other = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for wrong in (
        {"consumer_secret": "x", "domain": "acme.my"},
        {"username": "etl@example.com", "privatekey": other},
    ):
        with pytest.raises(SalesforceAuthenticationFailed):
            client(sandbox, **wrong)


def test_a_statement_of_ours_is_taken(
    sandbox: SandboxServer, private_key: rsa.RSAPrivateKey
) -> None:
    """It verifies with the app's public key; another's is refused, and what is no key told."""
    given = context({KEY: pa.string(), "LastName": pa.string()})

    def by(key: str) -> Credentials:
        return Credentials(
            consumer_key="app-1", private_key=Secret(key), username="etl@example.com"
        )

    good = made(sandbox.url, given, credentials=by(pem(private_key)))
    assert write(good, batch(people(2))).not_accepted() == []
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for text, code in ((pem(other), "reauthorise"), ("no key", "credentials_invalid")):
        wrong = made(sandbox.url, given, credentials=by(text))
        with pytest.raises(ConfigError) as caught:
            write(wrong, batch(people(2)))
        assert caught.value.code == code
        assert text[:20] not in str(caught.value)


def test_the_client_writes_reads_and_deletes(sandbox: SandboxServer) -> None:
    """By an external id, by an id, and by a question."""
    sf = client(sandbox)
    row = {"LastName": "Doe", "Email": "a@example.com"}
    assert sf.Contact.upsert(f"{KEY}/17", row) == 201
    assert sf.Contact.upsert(f"{KEY}/17", {**row, "LastName": "O'Neil"}) == 200
    asked = format_soql("SELECT Id, LastName FROM Contact WHERE LastName IN {}", ["O'Neil"])
    [found] = sf.query(asked)["records"]
    assert sf.Contact.get(found["Id"])[KEY] == "17"
    made_ = sf.Contact.create({"LastName": "New"})
    assert made_["success"]
    assert sf.Contact.delete(made_["id"]) == 204
    assert sf.query_all("SELECT Id FROM Contact")["totalSize"] == 1
    assert sf.query("SELECT Id FROM Contact", include_deleted=True)["totalSize"] == 2
    with pytest.raises(SalesforceResourceNotFound):
        sf.Contact.delete(made_["id"])


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"LastName": 7}, SalesforceMalformedRequest),
        ({"LastNam": "x"}, SalesforceMalformedRequest),
        ({"Email": "x"}, SalesforceMalformedRequest),
        ({"LastName": "x", "CreatedDate": "2026-11-29T00:00:00Z"}, SalesforceMalformedRequest),
        ({"LastName": "x", "AccountId": "001000000000009AAA"}, SalesforceMalformedRequest),
    ],
)
def test_the_sandbox_refuses_what_salesforce_refuses(
    sandbox: SandboxServer, row: dict[str, Any], error: type[Exception]
) -> None:
    """A value of another kind, a field that is not there, one that is missing or not to be
    written, and a record that is none.
    """
    with pytest.raises(error):
        client(sandbox).Contact.create(row)


def test_the_client_works_a_job_off(sandbox: SandboxServer) -> None:
    """It makes, fills, begins, reads and lists one as ours are."""
    sf = client(sandbox)
    rows = [
        {KEY: "1", "LastName": 'a,"b"\nc', "Email": ""},
        {KEY: "2", "LastName": "x", "Email": "no address"},
    ]
    [ended] = sf.bulk2.Contact.upsert(records=rows, external_id_field=KEY, wait=0)
    assert (ended["numberRecordsProcessed"], ended["numberRecordsFailed"]) == (2, 1)
    failed = sf.bulk2.Contact.get_failed_records(ended["job_id"])
    assert failed.startswith('"sf__Id","sf__Error",')
    assert "INVALID_EMAIL_ADDRESS:" in failed
    assert '"true"' in sf.bulk2.Contact.get_successful_records(ended["job_id"])
    assert sf.bulk2.Contact.get_unprocessed_records(ended["job_id"]).count("\n") == 1
    [found] = sf.query(f"SELECT LastName FROM Contact WHERE {KEY} IN ('1')")["records"]
    assert found["LastName"] == 'a,"b"\nc'
    gone = sf.query("SELECT Id FROM Contact")["records"]
    sf.bulk2.Contact.hard_delete(records=[{"Id": r["Id"]} for r in gone], wait=0)
    assert sf.query("SELECT Id FROM Contact", include_deleted=True)["totalSize"] == 0


def test_the_client_sees_what_ours_wrote(sandbox: SandboxServer) -> None:
    """Small and as a job, consents too, and what it deleted is not there."""
    sf = client(sandbox)
    party = sf.Individual.create({"LastName": "I"})["id"]
    sf.Contact.upsert(f"{KEY}/C-0", {"LastName": "x", "IndividualId": party})
    rows = people(1) | {"consent.offers": pa.array([True])}
    assert written(sandbox.url, rows, consents={"offers": OFFERS}).not_accepted() == []
    asked = "SELECT PrivacyConsentStatus, DataUsePurposeId FROM ContactPointTypeConsent"
    [told] = sf.query(asked)["records"]
    assert (told["PrivacyConsentStatus"], told["DataUsePurposeId"]) == ("OptIn", PURPOSE)
    assert written(sandbox.url, people(2_000)).not_accepted() == []
    assert sf.query("SELECT Id FROM Contact")["totalSize"] == 2_000
    sf.ContactPointTypeConsent.create(
        {
            "Name": "own",
            "PartyId": party,
            "ContactPointType": "Email",
            "DataUsePurposeId": PURPOSE,
            "PrivacyConsentStatus": "OptOut",
        }
    )
    outcomes = written(sandbox.url, rows, consents={"offers": OFFERS})
    assert outcomes.reasons[0].code == "refused_there"


def test_a_session_that_ended_is_refused(sandbox: SandboxServer) -> None:
    """As Salesforce says it, so that the client begins another; and a wrong address as nothing."""
    sf = client(sandbox)
    vendor = sandbox.app.salesforce_vendor
    vendor.given.clear()
    assert sf.query("SELECT Id FROM Contact")["totalSize"] == 0
    assert len(vendor.given) == 1
    vendor.given.clear()
    with pytest.raises(SalesforceExpiredSession):
        sf.bulk2.Contact.insert(records=[{"LastName": "x"}], wait=0)
    with pytest.raises(SalesforceResourceNotFound):
        client(sandbox).restful("nowhere")


@pytest.mark.parametrize(
    "text",
    ["O'Neil", "a\\", "\\'", '"', "\r\n\t\b\f", "x') OR Id != ('", "@{r0.records[0].Id}", "Łódź"],
)
def test_a_text_in_a_question_stays_one(sandbox: SandboxServer, text: str) -> None:
    """As the client quotes it; nothing in it is a word of the question."""
    assert quoted(text) == format_soql("{}", text)
    rows = {KEY: pa.array(["a", text]), "LastName": pa.array(["x", "y"])}
    given = context({k: v.type for k, v in rows.items()}, mode=SyncMode.MIRROR)

    async def scenario() -> list[int]:
        from mayfly.domain.batch import Operation

        destination = made(sandbox.url, given)
        gone = batch({KEY: pa.array([text])}, Operation.REMOVE)
        for one in (batch(rows), gone):
            answer = await destination.write(one, Progress(rows=len(one)))
            outcomes = await finished(destination, answer)
        await destination.close()
        return outcomes.not_accepted()

    assert asyncio.run(scenario()) == []
    left = client(sandbox).query(f"SELECT {KEY} FROM Contact")["records"]
    assert [record[KEY] for record in left] == ["a"]


def test_questions_are_short_enough() -> None:
    """Each holds some values, all together hold all, in their order."""
    values = [f"'{n}" * 40 for n in range(500)]
    made_ = list(questions("SELECT Id FROM X", "K", values, " AND A = 'b'"))
    assert len(made_) > 3
    assert all(text.endswith(") AND A = 'b'") and len(text) < 8_000 for text in made_)
    whole = ",".join(t.partition("(")[2].rpartition(") AND")[0] for t in made_)
    assert whole == ",".join(map(quoted, values))
    assert list(questions("SELECT Id FROM X", "K", [])) == []
