"""A sync that is not what was approved any more still takes out who withdrew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import approved, change, digests, make_project, members
from mayfly.api import load
from mayfly.sandbox.server import SandboxServer

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


def rewritten(root: Path, old: str, new: str) -> None:
    """Other project files."""
    path = root / "mayfly.yml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def ended(root: Path) -> dict[str, Any]:
    """How the sync's run ends: it is refused."""
    [sync] = load(root).run("to_meta").to_dict()["syncs"]
    assert (sync["status"], sync["error"]["code"]) == ("refused", "approval_changed")
    return dict(sync)


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("table: people\n    primary_key", "sql: SELECT * FROM people\n    primary_key"),
        ("audience: People", "audience: Others"),
        ("equals: true,", "equals: true, notice_version: v2,"),
    ],
)
def test_where_more_than_columns_is_another_nothing_goes(
    root: Path, sandbox: SandboxServer, old: str, new: str
) -> None:
    """Of another model, destination or binding nobody said whom it may take out, and where."""
    before = members(sandbox)
    rewritten(root, old, new)
    ended(root)
    assert members(sandbox) == before


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
