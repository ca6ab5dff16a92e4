"""A sync that may not run still takes out who withdrew, by what was delivered and approved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import (
    approved,
    change,
    digests,
    make_project,
    members,
    phones,
    rewritten,
)
from mayfly.api import load
from mayfly.bootstrap import SPECS
from mayfly.sandbox.server import SandboxServer
from mayfly.services.approvals_lock import LOCK_FILE
from mayfly.services.compiled_sync import Refusal
from mayfly.services.withdraw_unapproved import withdrawing

LEFT = "UPDATE people SET ads = FALSE WHERE id = 3"
NEW = "INSERT INTO people VALUES (99, 'new@example.com', '06 39 98 99 99', 'Lyon', TRUE)"
WITHDRAWN = digests("p3@example.com")


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer) -> Path:
    """Ten people, delivered; then one withdraws, and one is new."""
    made = make_project(tmp_path / "shop", sandbox.url, rows=10)
    assert approved(made).run().exit_code == 0
    change(made, LEFT, NEW)
    return made


def ended(root: Path, code: str = "approval_changed") -> dict[str, Any]:
    """How the sync's run ends: it is refused."""
    [sync] = load(root).run("to_meta").to_dict()["syncs"]
    assert (sync["status"], sync["error"]["code"]) == ("refused", code)
    return dict(sync)


def told(root: Path, run: str) -> list[str]:
    """Why nobody was taken out, as the run's events tell."""
    events = load(root).logs(run)["events"]
    return [str(e["code"]) for e in events if e["event"] == "withdrawals_held"]


def test_a_column_that_changed_holds_back_no_withdrawal(root: Path, sandbox: SandboxServer) -> None:
    """Of another type in the source: nobody is added, and nobody else is taken out; once it is
    approved the rest goes.
    """
    before = members(sandbox)
    change(
        root,
        "CREATE TYPE mails AS ENUM (SELECT email FROM people)",
        "ALTER TABLE people ALTER email TYPE mails",
    )
    assert ended(root)["rows"]["removed"] == 2
    assert members(sandbox) == before - WITHDRAWN
    assert ended(root)["rows"]["removed"] == 0
    assert approved(root).run("to_meta").exit_code == 0
    assert members(sandbox) == (before | digests("new@example.com")) - WITHDRAWN


def test_a_column_that_is_gone_holds_back_no_withdrawal(root: Path, sandbox: SandboxServer) -> None:
    """Who withdrew goes by all that was delivered of them, and nobody else does; the run still ends
    as failed. Once the column is back the rest goes, and nobody is sent anew.
    """
    before, numbers = members(sandbox), phones(sandbox)
    change(root, "ALTER TABLE people RENAME email TO mail")
    for removed in (2, 0):
        [sync] = load(root).run("to_meta").to_dict()["syncs"]
        assert (sync["status"], sync["error"]["code"]) == ("failed", "column_missing")
        assert sync["error"]["message"] == "Model people: Table people has no column email."
        assert (sync["rows"]["removed"], told(root, sync["run"])) == (removed, [])
    assert members(sandbox) == before - WITHDRAWN
    assert len(phones(sandbox)) == len(numbers) - 1
    change(root, "ALTER TABLE people RENAME mail TO email")
    [sync] = load(root).run("to_meta").to_dict()["syncs"]
    assert (sync["status"], sync["rows"]["delivered"], sync["rows"]["removed"]) == (
        "succeeded",
        1,
        0,
    )
    assert members(sandbox) == (before | digests("new@example.com")) - WITHDRAWN


def test_a_column_that_cannot_be_read_without_another_goes_with_it(root: Path) -> None:
    """Such as a phone without the country that its number is of."""
    rewritten(root, "default_country: FR", "default_country_column: city")
    change(root, "ALTER TABLE people DROP COLUMN city")
    app = load(root).app
    sync = app.project.syncs["to_meta"]
    made = app.compile_present(sync, run="r", limit=None, full_refresh=False)
    assert made is not None
    assert made.spec is not None
    assert [f.name for f in made.spec.fields] == ["EMAIL"]


@pytest.mark.parametrize("gone", ["id", "ads"])
def test_without_keys_or_consent_nobody_can_be_told(
    root: Path, sandbox: SandboxServer, gone: str
) -> None:
    """Whose row it is, or what they said, is not known any more."""
    before = members(sandbox)
    change(root, f"ALTER TABLE people DROP COLUMN {gone}")
    [sync] = load(root).run("to_meta").to_dict()["syncs"]
    assert (sync["status"], sync["error"]["code"]) == ("failed", "column_missing")
    assert told(root, sync["run"]) == ["column_missing"]
    assert members(sandbox) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("table: people\n    primary_key", "sql: SELECT * FROM people\n    primary_key"),
        ("audience: People", "audience: Others"),
        ("column: ads, equals: true,", "column: ads, in: [true],"),
    ],
)
def test_where_more_than_columns_is_another_nothing_goes(
    root: Path, sandbox: SandboxServer, old: str, new: str
) -> None:
    """Of another model, destination or binding nobody said whom it may take out, and where."""
    before = members(sandbox)
    rewritten(root, old, new)
    assert told(root, ended(root)["run"]) == ["approval_changed"]
    assert members(sandbox) == before


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("lawful_basis: consent", "lawful_basis: consent, notice_version: v2", "approval_changed"),
        (
            "purpose: ads\n    mapping: {EMAIL",
            "purpose: ads\n    recheck_after: 1h\n    mapping: {EMAIL",
            "approval_changed",
        ),
        # A column of another class is refused, whatever is approved.
        ("phone: {class: phone, default_country: FR}", "phone: {class: email}", "class_mismatch"),
        ("mapping: {EMAIL: email, PHONE: phone}", "mapping: {EMAIL: email}", "approval_changed"),
        ("mapping: {EMAIL: email, PHONE: phone}", "mapping: {CT: city}", "no_identifier"),
    ],
)
def test_what_leaves_may_be_another_than_was_approved(
    root: Path, sandbox: SandboxServer, old: str, new: str, code: str
) -> None:
    """Whom it takes out is the same, and by all that was delivered of them; what somebody else
    granted stays.
    """
    before, numbers = members(sandbox), phones(sandbox)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 4")
    rewritten(root, old, new)
    found = ended(root, code)
    assert found["rows"]["removed"] == 4
    assert told(root, found["run"]) == []
    assert members(sandbox) == before - WITHDRAWN - digests("p4@example.com")
    assert len(phones(sandbox)) == len(numbers) - 2
    assert ended(root, code)["rows"]["removed"] == 0


def test_an_identifier_that_is_refused_now_stays_with_who_agreed(
    root: Path, sandbox: SandboxServer
) -> None:
    """Though nothing of it is read any more."""
    change(
        root,
        "UPDATE people SET ads = TRUE WHERE id = 3",
        "UPDATE people SET phone = '06 39 98 00 03' WHERE id = 5",
    )
    assert approved(root).run("to_meta").exit_code == 0
    shared = phones(sandbox)
    change(root, LEFT)
    rewritten(root, "phone: {class: phone, default_country: FR}", "phone: {class: email}")
    assert ended(root, "class_mismatch")["rows"]["removed"] == 1
    assert phones(sandbox) == shared


def test_a_refused_approval_holds_back_no_withdrawal(root: Path, sandbox: SandboxServer) -> None:
    """Neither a lock file that says something else, nor a sync that somebody rejected, nor people
    who are others.
    """
    before = members(sandbox)
    lock = root / LOCK_FILE
    kept = lock.read_text("utf-8")
    lock.unlink()
    assert ended(root, "approvals_lock_differs")["rows"]["removed"] == 2
    assert members(sandbox) == before - WITHDRAWN
    lock.write_text(kept, "utf-8")
    load(root).reject("to_meta")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 4")
    assert ended(root, "approval_rejected")["rows"]["removed"] == 2
    load(root).app.store.note_people("0" * 64)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 5")
    assert ended(root, "people_changed")["rows"]["removed"] == 2
    assert members(sandbox) == before - digests(*(f"p{n}@example.com" for n in (3, 4, 5)))


@pytest.mark.parametrize(
    ("code", "goes"),
    [
        *(("transfer_not_allowed", True), ("transfer_not_carried", True)),
        *(("processor_unregistered", True), ("processor_not_active", True)),
        *(("special_category", True), ("class_undeclared", True)),
        *(("consent_not_bound", False), ("key_type", False), ("mode_not_supported", False)),
    ],
)
def test_which_refusals_it_goes_beside(root: Path, code: str, goes: bool) -> None:
    """Those that leave no doubt of whom it takes out, and where."""
    app = load(root).app
    compiled = app.compile(app.project.syncs["to_meta"], run="r")
    refused = Refusal(code=code, column=None, message="")
    made = withdrawing(
        app.project, app.store, replace(compiled, refusals=(refused,)), SPECS["meta_ads"]
    )
    assert (made is not None) is goes


def test_what_was_never_approved_takes_nobody_out(root: Path, sandbox: SandboxServer) -> None:
    """Another sync has no record of whom it delivered, and no word of anybody."""
    before = members(sandbox)
    rewritten(root, "id: to_meta", "id: to_meta_anew")
    [sync] = load(root).run("to_meta").to_dict()["syncs"]
    assert sync["error"]["code"] == "not_approved"
    assert members(sandbox) == before


def test_another_form_of_the_key_takes_no_rows_out(root: Path) -> None:
    """A mirror names rows by their key: as it was approved, or not at all."""
    project = approved(root)
    assert project.run("to_crm").exit_code == 0
    change(root, "UPDATE people SET ads = FALSE WHERE id = 4")
    rewritten(root, "columns: {id: {}, ", "columns: {id: {rule: pseudonym}, ")
    [sync] = load(root).run("to_crm").to_dict()["syncs"]
    assert (sync["error"]["code"], sync["rows"]["removed"]) == ("approval_changed", 0)
    rewritten(root, "columns: {id: {rule: pseudonym}, ", "columns: {id: {}, ")
    rewritten(root, "email: email, city: city}", "email: email}")
    [sync] = load(root).run("to_crm").to_dict()["syncs"]
    assert (sync["error"]["code"], sync["rows"]["removed"]) == ("approval_changed", 1)
