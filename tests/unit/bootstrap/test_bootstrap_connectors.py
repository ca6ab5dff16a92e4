"""Kinds of destinations: those of the project files are those that have a connector."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mayfly.bootstrap.connectors import renew_before_ms
from mayfly.bootstrap.registry import CONNECTORS, SOURCES
from mayfly.config.destinations.base import DestinationPart
from mayfly.config.parse import variants
from mayfly.domain import approval
from mayfly.domain.approval import Compiled, approval_document
from mayfly.domain.settings import (
    DestinationSettings,
    KeysSettings,
    ModelSettings,
    Project,
    SourceSettings,
    StoreSettings,
    SyncSettings,
    Workspace,
)


def test_every_kind_of_the_project_files_has_a_connector_and_no_other() -> None:
    """Whoever adds one adds both."""
    assert set(variants("destinations")) == set(CONNECTORS)
    assert set(variants("sources")) == set(SOURCES)


def test_the_connector_of_a_kind_is_of_that_kind() -> None:
    """A line of the registry names the right module."""
    assert {name: CONNECTORS[name].spec.name for name in CONNECTORS} == {n: n for n in CONNECTORS}
    assert {name: SOURCES[name].type for name in SOURCES} == {name: name for name in SOURCES}


_ASKED = """
import sys
from mayfly.bootstrap import SPECS
SPECS["meta_ads"]
print(*sorted(m for m in sys.modules if m.startswith("mayfly.connectors.destinations.")))
"""


def test_connectors_that_nobody_names_are_not_imported() -> None:
    """Nobody waits for the modules and libraries of two dozen others."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True
    )
    found = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert "meta_ads" in found
    assert all(name.startswith(("meta_ads", "database_")) for name in found)


def test_a_sync_may_have_every_mode_that_its_connector_has() -> None:
    """The project files refuse no mode that works."""
    for name, model in variants("destinations").items():
        assert issubclass(model, DestinationPart)
        assert {mode.value for mode in CONNECTORS[name].spec.modes} <= set(model.modes), name


def test_an_endpoint_of_ones_own_choice_is_offered_only_where_the_vendor_has_one() -> None:
    """And the vendor's own address is one that the connector may call."""
    for name, model in variants("destinations").items():
        assert issubclass(model, DestinationPart)
        assert ("endpoint" in model.model_fields) == (model.vendor is not None), name
        if model.vendor is not None and CONNECTORS[name].hosts is None:
            assert model.vendor.removeprefix("https://") in CONNECTORS[name].spec.hosts


def test_what_tells_one_destination_from_another_are_options_that_it_has() -> None:
    """An option that is not part of the address may change without a new state: never where rows
    go.
    """
    known = {"account_id", "dsn", "schema", "path", "format"}
    for name, model in variants("destinations").items():
        keys = {info.alias or key for key, info in model.model_fields.items()}
        assert set(CONNECTORS[name].address) <= keys | known, name


def test_where_rows_go_is_approved(tmp_path: Path) -> None:
    """Another address is another approval, for every kind."""
    for name, connector in CONNECTORS.items():
        for key in connector.address:
            first, second = (_document(tmp_path, name, {key: where}) for where in ("a", "b"))
            assert first["destination"] != second["destination"], (name, key)


def _document(root: Path, type_: str, options: dict[str, object]) -> dict[str, Any]:
    model = ModelSettings(name="people", source="shop", primary_key=(), columns={})
    there = DestinationSettings(name="there", type=type_, options=options)
    sync = SyncSettings(
        name="s", id="s", model="people", destination="there", mode="upsert", mapping={}
    )
    project = Project(
        root=root,
        workspace=Workspace(name="shop"),
        keys=KeysSettings(),
        store=StoreSettings(),
        target="dev",
        sources={"shop": SourceSettings(name="shop", type="duckdb")},
        models={"people": model},
        destinations={"there": there},
        syncs={"s": sync},
    )
    return approval_document(project, "s", Compiled())


def test_no_option_changes_without_an_approval_but_those_named() -> None:
    """Where rows go, and what else is said of them: a new option is pinned before anybody thinks
    of it. What is named is an option, and none that an address is made of.
    """
    options: set[str] = set()
    for name, model in variants("destinations").items():
        options |= {info.alias or key for key, info in model.model_fields.items()}
        assert approval.NOT_PINNED.isdisjoint(CONNECTORS[name].address), name
    assert options >= approval.NOT_PINNED


def test_an_option_that_nobody_named_is_pinned(tmp_path: Path) -> None:
    """Of whatever shape; a credential is not."""
    for value in ("b", 3, ["b"], {"b": tmp_path / "c"}):
        first, second = (_document(tmp_path, "hubspot", {"new": v}) for v in ("a", value))
        assert first["destination"] != second["destination"]
    first, second = (_document(tmp_path, "hubspot", {"access_token": v}) for v in ("a", "b"))
    assert first["destination"] == second["destination"]


@pytest.mark.parametrize(
    ("type_", "options", "days"),
    [
        ("the_trade_desk", {}, 30),
        ("the_trade_desk", {"ttl_days": 180}, 60),
        ("the_trade_desk", {"ttl_days": 31}, 31 / 3),
        ("meta_ads", {}, None),
    ],
)
def test_who_is_due_follows_from_the_settings(
    type_: str, options: dict[str, object], days: float | None
) -> None:
    """After a third of the time that a member stays; never, where members stay for good."""
    settings = DestinationSettings(name="there", type=type_, options=options)
    now_ms = 1_800_000_000_123
    expected = None if days is None else now_ms - round(days * 24 * 3600 * 1000)
    assert renew_before_ms(settings, now_ms) == expected
