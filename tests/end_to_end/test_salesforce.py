"""From a DuckDB file to Salesforce's sandbox: records, jobs, consents, and who left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import SHOP_WITH_ADS, approved, change, make_project, run
from mayfly.api import load
from mayfly.sandbox.salesforce import PURPOSE
from mayfly.sandbox.server import SandboxServer

SHOP = (
    SHOP_WITH_ADS
    + """destinations:
  crm:
    type: salesforce
    kind: internal
    owner: sales
    reason: our own CRM
    domain: acme.my.salesforce.com
    consumer_key: app-1
    consumer_secret: env:SALESFORCE_SECRET
    consents:
      mail: {flag: HasOptedOutOfEmail}
      offers: {contact_point: Email, data_use_purpose: PURPOSE}
    endpoint: "URL"
syncs:
  contacts:
    id: contacts
    model: people
    destination: crm
    table: Contact
    mode: upsert
    key: [Customer_Number__c]
    mapping:
      {Customer_Number__c: id, LastName: city, Email: email, consent.mail: ads, consent.offers: ads}
  mirror:
    id: mirror
    model: people
    destination: crm
    table: Contact
    mode: mirror
    key: [Customer_Number__c]
    purpose: ads
    mapping: {Customer_Number__c: id, LastName: city, Email: email}
""".replace("PURPOSE", PURPOSE)
)
KEY = "Customer_Number__c"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_SECRET", "s3cret")


def contacts(sandbox: SandboxServer) -> dict[str, dict[str, Any]]:
    """Values of contacts by their key."""
    found = sandbox.app.salesforce.objects["Contact"].records.values()
    return {str(r.values[KEY]): r.values for r in found if not r.deleted}


def test_contacts_and_what_they_said(tmp_path: Path, sandbox: SandboxServer) -> None:
    """First all, then what changed, then nothing; a refusal at Salesforce outlives a yes."""
    organisation = sandbox.app.salesforce
    root = make_project(tmp_path, sandbox.url, rows=12, text=SHOP)
    person, _ = organisation.objects["Individual"].write(None, {"LastName": "I"})
    for number in range(12):
        row = {KEY: str(number), "LastName": "x", "IndividualId": person.record_id}
        organisation.upsert("Contact", KEY, row)
    first = run(root, "contacts")
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 12)
    assert contacts(sandbox)["7"]["Email"] == "p7@example.com"
    [told] = organisation.objects["ContactPointTypeConsent"].records.values()
    assert told.values["PrivacyConsentStatus"] == "OptIn"
    assert run(root, "contacts")["status"] == "no_changes"

    organisation.upsert("Contact", KEY, {KEY: "2", "HasOptedOutOfEmail": True})
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 2")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    second = run(root, "contacts")
    assert (second["rows"]["unconfirmed"], second["rows"]["delivered"]) == (1, 1)
    assert contacts(sandbox)["2"]["LastName"] == "Nice"
    flags = {k: bool(v.get("HasOptedOutOfEmail")) for k, v in contacts(sandbox).items()}
    assert [k for k, v in flags.items() if v] == ["2", "3"]
    assert told.values["PrivacyConsentStatus"] == "OptOut"
    assert run(root, "contacts")["status"] == "no_changes"


@pytest.mark.slow
def test_a_mirror_deletes_who_left_or_withdrew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """After a first run that is one job; nothing of it is left at Salesforce."""
    root = make_project(tmp_path, sandbox.url, rows=2_050, text=SHOP)
    first = run(root, "mirror")
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 2_050)
    jobs = sandbox.app.salesforce_vendor.jobs
    assert (jobs.made, jobs.deleted, len(contacts(sandbox))) == (1, 1, 2_050)
    change(root, "DELETE FROM people WHERE id IN (1, 4)")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 7")
    ended = run(root, "mirror")
    assert (ended["status"], ended["rows"]["removed"]) == ("succeeded", 3)
    assert {"1", "4", "7"}.isdisjoint(contacts(sandbox))
    assert len(contacts(sandbox)) == 2_047


def test_a_run_after_one_that_died_follows_its_job(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is asked for by the next run, its rows count as delivered, and none is sent again."""
    from mayfly.connectors.destinations.salesforce_jobs import Jobs

    async def dies(jobs: Jobs, job: object) -> object:
        raise KeyboardInterrupt

    root = make_project(tmp_path, sandbox.url, rows=2_050, text=SHOP)
    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "poll", dies)
        with pytest.raises(KeyboardInterrupt):
            run(root, "mirror")
    jobs = sandbox.app.salesforce_vendor.jobs
    assert (jobs.made, jobs.deleted) == (1, 0)
    assert run(root, "mirror")["status"] in ("succeeded", "no_changes")
    assert (jobs.made, jobs.deleted, len(contacts(sandbox))) == (1, 1, 2_050)
    assert run(root, "mirror")["status"] == "no_changes"


@pytest.mark.slow
def test_people_who_do_not_exist_are_tried(tmp_path: Path, sandbox: SandboxServer) -> None:
    """They are taken back; and a mapping is proposed of what the organisation has."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    project = approved(root)
    back = project.test("crm", sync="mirror", rows=2)
    assert (back["ok"], back["left"], contacts(sandbox)) == (True, 0, {})
    lines = project.map("mirror")["fields_left"]
    assert {"FirstName", "Phone"} <= {line["field"] for line in lines}


@pytest.mark.slow
def test_an_organisation_made_anew_is_filled_anew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """As after a sandbox's refresh, under the same name."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=SHOP)
    run(root, "mirror")
    sandbox.app.salesforce.reset()
    sandbox.app.salesforce.organisation = "00D000000000002AAA"
    assert run(root, "mirror")["rows"]["delivered"] == 3
    assert len(contacts(sandbox)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("consent.mail: ads", "consent.ads: ads", "refusals_kept_back"),
        ("LastName: city, Email: email}", "LastName: city, Emial: email}", "unknown_field"),
    ],
)
def test_what_cannot_work_sends_nothing(
    tmp_path: Path, sandbox: SandboxServer, old: str, new: str, code: str
) -> None:
    """A purpose that would keep refusals back, and a field that is not there."""
    text = SHOP.replace(old, new).replace("      mail: {flag", "      ads: {flag")
    text = text.replace("consent.offers: ads}", "consent.offers: ads}\n    purpose: ads")
    root = make_project(tmp_path, sandbox.url, rows=2, text=text)
    sync = "contacts" if code == "refusals_kept_back" else "mirror"
    assert run(root, sync)["error"]["code"] == code
    assert contacts(sandbox) == {}


@pytest.mark.slow
def test_another_purpose_is_approved_anew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """What people say yes to is part of what was approved, and so is the organisation."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    approved(root)
    path = root / "mayfly.yml"
    whole = path.read_text()
    for old, new in ((PURPOSE, "0ZW000000000009AAA"), ("acme.my", "other.my")):
        path.write_text(whole.replace(old, new))
        [planned] = load(root).plan("contacts").to_dict()["syncs"]
        assert "approval_changed" in [r["code"] for r in planned["refusals"]]
