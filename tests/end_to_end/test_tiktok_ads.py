"""An audience at TikTok as a person sees it: e-mails and phones of a warehouse."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import SHOP, approved, get, make_project, ran
from mayfly.api import Project
from mayfly.sandbox.server import SandboxServer

TO_TIKTOK = """destinations:
  tiktok: {type: tiktok_ads, account_id: "42", access_token: env:TIKTOK_TOKEN, endpoint: "URL"}
syncs:
  to_tiktok:
    id: to_tiktok
    model: people
    destination: tiktok
    mode: audience
    audience: Loyal
    purpose: ads
    mapping: {EMAIL_SHA256: email, PHONE_SHA256: phone}
"""


@pytest.fixture
def project(tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Twenty people, of whom everything is approved."""
    monkeypatch.setenv("TIKTOK_TOKEN", "t0ken")
    return approved(make_project(tmp_path, sandbox.url, rows=20, text=SHOP + TO_TIKTOK))


def members(sandbox: SandboxServer) -> dict[str, set[str]]:
    """Of the only audience, by type."""
    [audience] = sandbox.app.tiktok.audiences.values()
    assert (audience.advertiser, audience.name) == ("42", "Loyal")
    return audience.members


def test_an_audience_is_kept_equal_to_who_agreed(
    project: Project, tmp_path: Path, sandbox: SandboxServer
) -> None:
    """First everybody, then nobody, then what changed; who withdrew or left is removed."""
    tried = project.test("tiktok", rows=2)
    assert (tried["ok"], tried["left"]) == (True, 0)
    first = ran(project)
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 20)
    found = members(sandbox)
    assert len(found["EMAIL_SHA256"]) == len(found["PHONE_SHA256"]) == 20
    assert hashlib.sha256(b"p1@example.com").hexdigest() in found["EMAIL_SHA256"]
    assert hashlib.sha256(b"33639980001").hexdigest() in found["PHONE_SHA256"]
    calls = len(get(f"{sandbox.url}/_sandbox/requests"))
    assert ran(project)["status"] == "no_changes"
    assert len(get(f"{sandbox.url}/_sandbox/requests")) <= calls + 2  # only looks it up
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET ads = FALSE WHERE id = 7")
        connection.execute("DELETE FROM people WHERE id = 8")
        connection.execute("UPDATE people SET email = 'new@example.com' WHERE id = 9")
    rows = ran(project)["rows"]
    assert (rows["delivered"], rows["removed"]) == (1, 5)
    found = members(sandbox)
    assert (len(found["EMAIL_SHA256"]), len(found["PHONE_SHA256"])) == (18, 18)
    gone = {hashlib.sha256(f"p{n}@example.com".encode()).hexdigest() for n in (7, 8, 9)}
    assert not gone & found["EMAIL_SHA256"]


@pytest.mark.slow
def test_a_burst_of_refusals_is_waited_for_and_a_wrong_row_found(
    project: Project, sandbox: SandboxServer
) -> None:
    """A run that had to give up is held, and the next one delivers; an audience that was deleted
    there is made again.
    """
    vendor, path = sandbox.app.tiktok, "/open_api/v1.3/segment/mapping/"
    sandbox.app.faults.add({"path": path, "kind": "503", "count": 50})
    assert ran(project)["status"] == "held"
    sandbox.app.faults.planned.clear()
    sandbox.app.faults.add({"path": path, "kind": "429", "count": 2})
    vendor.bad = {hashlib.sha256(b"p3@example.com").hexdigest()}
    rows = ran(project)["rows"]
    assert (rows["delivered"], rows["rejected"]) == (19, 1)
    [reason] = project.rejected("to_tiktok")["reasons"]
    assert (reason["reason"], reason["vendor"]) == ("row_refused", "tiktok_40002")
    vendor.audiences.clear()
    vendor.bad.clear()
    assert ran(project)["rows"]["delivered"] >= 19
    assert len(members(sandbox)["EMAIL_SHA256"]) >= 19
