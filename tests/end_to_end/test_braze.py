"""From a DuckDB file to Braze's sandbox: people, what they said, and who left."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.projects import SHOP_WITH_ADS, approved, change, make_project, run
from mayfly.api import load
from mayfly.sandbox.server import SandboxServer

SHOP = (
    SHOP_WITH_ADS
    + """destinations:
  engagement:
    type: braze
    kind: internal
    owner: marketing
    reason: our own messages
    cluster: fra-01
    workspace: shop
    api_key: env:BRAZE_KEY
    subscriptions:
      newsletter: {state: email_subscribe}
      sms: {group: g-1}
    endpoint: "URL"
syncs:
  people:
    id: people
    model: people
    destination: engagement
    mode: upsert
    key: [external_id]
    mapping: {external_id: id, home_city: city, email: email, subscription.newsletter: ads}
  mirror:
    id: mirror
    model: people
    destination: engagement
    mode: mirror
    key: [external_id]
    purpose: ads
    mapping: {external_id: id, email: email}
"""
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAZE_KEY", "k3y")


def states(sandbox: SandboxServer) -> dict[str, str | None]:
    """What profiles say of mail."""
    found = sandbox.app.braze.profiles.items()
    return {n: p.values.get("email_subscribe") for n, p in found}


def test_people_and_what_they_said(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A yes waits until the profile is there, in the same run; a refusal at Braze outlives it."""
    root = make_project(tmp_path, sandbox.url, rows=6, text=SHOP)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    first = run(root, "people")
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 6)
    assert states(sandbox) == {str(n): "unsubscribed" if n == 3 else "opted_in" for n in range(6)}
    assert sandbox.app.braze.profiles["1"].values["home_city"] == "Lyon"
    assert run(root, "people")["status"] == "no_changes"

    sandbox.app.braze.profiles["2"].values["email_subscribe"] = "unsubscribed"
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 2")
    second = run(root, "people")
    assert second["rows"]["unconfirmed"] == 1
    profile = sandbox.app.braze.profiles["2"].values
    assert (profile["home_city"], profile["email_subscribe"]) == ("Nice", "unsubscribed")
    assert run(root, "people")["status"] == "no_changes"


def test_a_mirror_deletes_who_left_or_withdrew(tmp_path: Path, sandbox: SandboxServer) -> None:
    """For good; a burst of 503 is outlasted, and people who do not exist are taken back."""
    root = make_project(tmp_path, sandbox.url, rows=120, text=SHOP)
    sandbox.app.faults.add({"path": "/users/track", "kind": "503", "count": 2})
    assert run(root, "mirror")["rows"]["delivered"] == 120
    change(root, "DELETE FROM people WHERE id IN (1, 4)")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 7")
    ended = run(root, "mirror")
    assert (ended["status"], ended["rows"]["removed"]) == ("succeeded", 3)
    assert {"1", "4", "7"}.isdisjoint(sandbox.app.braze.profiles)
    sandbox.app.braze.reset()
    project = approved(root)
    back = project.test("engagement", sync="mirror", rows=2)
    assert (back["ok"], back["left"], sandbox.app.braze.profiles) == (True, 0, {})
    lines = project.map("mirror")["fields_left"]
    assert {"first_name", "phone"} <= {line["field"] for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [("fra-01", "fra-02"), ("workspace: shop\n", "workspace: other\n"), ("g-1", "g-2")],
)
def test_where_people_go_is_approved_anew(
    tmp_path: Path, sandbox: SandboxServer, old: str, new: str
) -> None:
    """Another cluster, workspace or group; and a purpose that keeps refusals back sends nothing."""
    root = make_project(tmp_path, sandbox.url, rows=2, text=SHOP)
    approved(root)
    path = root / "mayfly.yml"
    whole = path.read_text()
    path.write_text(whole.replace(old, new))
    [planned] = load(root).plan("people").to_dict()["syncs"]
    assert "approval_changed" in [r["code"] for r in planned["refusals"]]
    text = whole.replace("newsletter", "ads").replace(
        "subscription.ads: ads}", "subscription.ads: ads}\n    purpose: ads"
    )
    path.write_text(text)
    assert run(root, "people")["error"]["code"] == "refusals_kept_back"
    assert sandbox.app.braze.profiles == {}
