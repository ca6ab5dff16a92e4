"""An audience at The Trade Desk as a person sees it: e-mails and phones of a warehouse, the
platform's sandbox and the operator's.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from end_to_end.projects import SHOP, approved, change, get, make_project, ran
from mayfly.api import Project
from mayfly.sandbox.server import SandboxServer
from mayfly.sandbox.trade_desk import TradeDeskVendor
from trade_desk_world import CLIENT_SECRET, api_key

TO_TTD = """destinations:
  ttd:
    type: the_trade_desk
    advertiser_id: abc123
    token: env:TTD_TOKEN
    uid2_api_key: env:EUID_API_KEY
    uid2_client_secret: env:EUID_CLIENT_SECRET
    endpoint: "URL"
syncs:
  to_ttd:
    id: to_ttd
    model: people
    destination: ttd
    mode: audience
    audience: Loyal
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone}
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTD_TOKEN", "t0ken")
    monkeypatch.setenv("EUID_API_KEY", api_key("euid"))
    monkeypatch.setenv("EUID_CLIENT_SECRET", CLIENT_SECRET)


@pytest.fixture(params=["source", pytest.param("local", marks=pytest.mark.slow)])
def project(request: pytest.FixtureRequest, tmp_path: Path, sandbox: SandboxServer) -> Project:
    """Twenty people, of whom everything is approved; with each kind of state."""
    kind = f"path: shop.duckdb, state: {request.param}"
    text = SHOP.replace("path: shop.duckdb", kind) + TO_TTD
    return approved(make_project(tmp_path, sandbox.url, rows=20, text=text))


def members(vendor: TradeDeskVendor) -> set[str]:
    """EUIDs in the segment."""
    found = vendor.members({"audience": "abc123/Loyal"})
    return set(found["fields"].get("EUID", [])) if found else set()


def emails(vendor: TradeDeskVendor, *addresses: str) -> set[str]:
    """What the operator makes of them."""
    told = vendor.operator
    digests = (hashlib.sha256(a.encode()).digest() for a in addresses)
    return {told.raw("euid", "email", digest, told.year) for digest in digests}


def test_a_segment_is_kept_equal_to_who_agreed(
    project: Project, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """First everybody, then nobody, then what changed; who withdrew or left is removed."""
    vendor = sandbox.app.trade_desk
    tried = project.test("ttd", rows=2)
    assert (tried["ok"], tried["left"]) == (True, 0)
    assert members(vendor) == set()
    first = ran(project)
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 20)
    assert len(members(vendor)) == 40
    assert emails(vendor, "p1@example.com") < members(vendor)
    calls = len(get(f"{sandbox.url}/_sandbox/requests"))
    assert ran(project)["status"] == "no_changes"
    assert len(get(f"{sandbox.url}/_sandbox/requests")) == calls
    change(
        tmp_path,
        "UPDATE people SET ads = FALSE WHERE id = 7",
        "DELETE FROM people WHERE id = 8",
        "UPDATE people SET email = 'new@example.com' WHERE id = 9",
    )
    rows = ran(project)["rows"]
    assert (rows["delivered"], rows["removed"]) == (1, 5)
    gone = emails(vendor, *(f"p{n}@example.com" for n in (7, 8, 9)))
    assert not gone & members(vendor)
    assert emails(vendor, "new@example.com") < members(vendor)
    assert len(members(vendor)) == 36


@pytest.mark.slow
def test_a_burst_of_refusals_is_waited_for(project: Project, sandbox: SandboxServer) -> None:
    """Of operator and platform; a run that had to give up is held, and the next one delivers."""
    vendor = sandbox.app.trade_desk
    for path in ("/v3/identity/map", "/data/advertiser"):
        sandbox.app.faults.add({"path": path, "kind": "503", "count": 2})
    assert ran(project)["status"] == "succeeded"
    assert len(members(vendor)) == 40
    vendor.reset()
    sandbox.app.faults.add({"path": "/data/advertiser", "kind": "503", "count": 50})
    assert ran(project, full_refresh=True)["status"] == "held"
    sandbox.app.faults.planned.clear()
    assert ran(project, full_refresh=True)["status"] == "succeeded"
    assert len(members(vendor)) == 40


def test_who_opted_out_is_not_sent_again_and_removed_as_far_as_known(
    project: Project, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """The row is rejected with its reason, in this run and in no other one."""
    vendor = sandbox.app.trade_desk
    ran(project)
    vendor.operator.opted_out.add(hashlib.sha256(b"p3@example.com").digest())
    rows = ran(project, full_refresh=True)["rows"]
    assert (rows["delivered"], rows["rejected"]) == (19, 1)
    [reason] = project.rejected("to_ttd")["reasons"]
    assert (reason["reason"], reason["vendor"], reason["rows"]) == ("opted_out", "optout", 1)
    # The phone of the row is removed; its e-mail cannot be named any more.
    assert len(members(vendor)) == 39
    assert emails(vendor, "p3@example.com") < members(vendor)
    assert ran(project, full_refresh=True)["rows"]["rejected"] == 0
    change(tmp_path, "UPDATE people SET ads = FALSE WHERE id = 3")
    assert ran(project)["rows"]["removed"] == 2
    assert ran(project)["status"] == "no_changes"


@pytest.mark.slow
def test_members_are_sent_again_before_their_time_is_over(
    project: Project, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a third of it is: by runs like any other, and without asking for a mass change."""
    vendor = sandbox.app.trade_desk
    start_ms, days = project.app.clock.now_ms(), 0

    def now_ms() -> int:
        return start_ms + days * 24 * 3600 * 1000

    monkeypatch.setattr(project.app.clock, "now_ms", now_ms)
    monkeypatch.setattr(vendor, "_now", lambda: now_ms() / 1000)
    assert ran(project)["rows"]["delivered"] == 20
    days = 29
    assert ran(project)["status"] == "no_changes"
    days = 31
    [planned] = project.plan("to_ttd").to_dict()["syncs"]
    assert (planned["rows"]["due"], planned["rows"]["resend"]) == (20, 0)
    assert ran(project)["rows"]["delivered"] == 20
    assert ran(project)["status"] == "no_changes"
    days = 120
    assert len(members(vendor)) == 40
    days = 122
    assert members(vendor) == set()


@pytest.mark.slow
def test_a_full_refresh_keeps_members_and_follows_their_identifiers(
    project: Project, sandbox: SandboxServer
) -> None:
    """Everybody is mapped anew; who left since is removed under both identifiers."""
    vendor = sandbox.app.trade_desk
    ran(project)
    old = members(vendor)
    vendor.operator.year = 1
    assert ran(project)["status"] == "no_changes"
    assert ran(project, full_refresh=True)["rows"]["delivered"] == 20
    assert len(members(vendor) - old) == 40


def test_raw_identifiers_of_the_warehouse_go_as_they_are(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Case matters in them, and what has another shape stays here."""
    raw = base64.b64encode(b"\x10" + hashlib.sha256(b"someone").digest()).decode()
    text = SHOP.replace(
        "city: {}}", "city: {}, euid: {}, device: {class: device_id}}"
    ) + TO_TTD.replace("{EMAIL: email, PHONE: phone}", "{EUID: euid, DAID: device}")
    root = make_project(tmp_path, sandbox.url, rows=3, text=text)
    change(
        root,
        "ALTER TABLE people ADD COLUMN euid VARCHAR",
        "ALTER TABLE people ADD COLUMN device VARCHAR",
        f"UPDATE people SET euid = ' {raw} ' WHERE id = 0",
        "UPDATE people SET euid = email, device = email WHERE id = 1",
        "UPDATE people SET device = upper('00000000-0000-4000-8000-00000000000a') WHERE id = 2",
    )
    project = approved(root)
    rows = ran(project)["rows"]
    assert rows["delivered"] == 2
    assert raw.lower() != raw
    found = sandbox.app.trade_desk.members({"audience": "abc123/Loyal"})
    assert found["fields"] == {"EUID": [raw], "DAID": ["00000000-0000-4000-8000-00000000000a"]}
    assert ran(project)["status"] == "no_changes"
    change(root, "UPDATE people SET ads = FALSE")
    assert ran(project)["rows"]["removed"] == 2
    assert sandbox.app.trade_desk.members({"audience": "abc123/Loyal"})["count"] == 0
