"""Recipients outside of the workspace's law: shown, refused, allowed, pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from end_to_end.projects import FILES, make_project
from end_to_end.test_approval import call
from mayfly.api import load
from mayfly.sandbox.server import SandboxServer
from mayfly.services.init_project import plan_files

VENDOR = FILES.replace(', endpoint: "URL"', "")


def allowing(said: str) -> str:
    """The project with its workspace's transfers."""
    head = f"workspace: {{name: shop, residency: {{{said}}}}}"
    return VENDOR.replace("workspace: {name: shop}", head)


def planned(root: Path, text: str) -> tuple[list[Any], list[str]]:
    """Transfers of the sync to Meta, and the codes of its refusals."""
    (root / "mayfly.yml").write_text(text, "utf-8")
    _, document = call(root, "plan", "to_meta")
    [sync] = document["syncs"]
    shown = [(t["country"], t["mechanism"]) for t in sync["destination"]["transfers"]]
    return shown, [r["code"] for r in sync["refusals"]]


@pytest.fixture
def shop(tmp_path: Path, sandbox: SandboxServer) -> Path:
    """A project whose Meta is the vendor's own; nothing here is sent to it."""
    make_project(tmp_path, sandbox.url, rows=3)
    return tmp_path


@pytest.mark.parametrize(
    ("said", "mechanism", "refused"),
    [
        ("geography: eu", None, "transfer_not_allowed"),
        ("transfers: {SG: {mechanism: scc}}", None, "transfer_not_allowed"),
        ("transfers: {US: {mechanism: adequacy}}", "adequacy", "transfer_not_carried"),
        ("transfers: {US: {mechanism: dpf}}", "dpf", "not_approved"),
        ("transfers: {US: {mechanism: scc, assessment: TIA-1}}", "scc", "not_approved"),
    ],
)
def test_a_transfer_is_shown_and_refused_unless_it_is_allowed(
    shop: Path, said: str, mechanism: str | None, refused: str
) -> None:
    """Meta has what it gets in the United States, too; what is allowed waits for its approval."""
    assert planned(shop, allowing(said)) == ([("US", mechanism)], [refused])


def test_loopback_is_no_transfer(shop: Path) -> None:
    """What stays on the machine reaches no country."""
    _, document = call(shop, "plan", "to_meta")
    assert document["syncs"][0]["destination"]["transfers"] == []


def test_a_run_without_the_transfer_is_refused(shop: Path) -> None:
    """With exit code 3, before a connection is made."""
    (shop / "mayfly.yml").write_text(allowing("geography: eu"), "utf-8")
    code, document = call(shop, "run", "to_meta")
    [run] = document["syncs"]
    assert (code, run["status"]) == (3, "refused")
    assert "transfer_not_allowed" in str(run)


def test_a_workspace_in_the_united_states_transfers_to_ireland(shop: Path) -> None:
    """The other way round; its law asks for no mechanism."""
    us = "geography: us, transfers: {IE: {mechanism: none_required}}"
    assert planned(shop, allowing(us)) == ([("IE", "none_required")], ["not_approved"])


def test_the_mechanism_is_part_of_the_approval(shop: Path) -> None:
    """Another one is another approval, which shows both; a table of the shop's own pins none."""
    (shop / "mayfly.yml").write_text(allowing("transfers: {US: {mechanism: dpf}}"), "utf-8")
    before = load(shop)
    before.approve("to_meta", "to_crm")
    (shop / "mayfly.yml").write_text(allowing("transfers: {US: {mechanism: scc}}"), "utf-8")
    [change] = load(shop).pending("to_meta", "to_crm")["pending"]
    assert (change["sync"], change["change"]) == ("to_meta", "changed: transfers")
    assert "dpf" in change["old"]
    assert "scc" in change["new"]


def test_what_init_writes_may_go_to_meta() -> None:
    """The demo's workspace allows the country that Meta is in."""
    assert "transfers: {US: {mechanism: dpf}}" in plan_files("demo")["mayfly.yml"]


def test_no_plan_shows_a_transfer_of_a_table(shop: Path) -> None:
    """Where a database of one's own is nobody says: none is shown."""
    _, document = call(shop, "plan", "to_crm")
    assert document["syncs"][0]["destination"]["transfers"] == []
