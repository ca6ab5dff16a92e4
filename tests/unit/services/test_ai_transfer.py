"""AI at global in the EU waits for an approver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import PolicyError
from mayfly.domain.processors import AiSwitch, Dpa, Processor, TransferTerms, why_not_engaged
from mayfly.domain.settings import KeysSettings, Project, StoreSettings, Workspace
from mayfly.services.ai_transfer import ai_stopped, approve_ai
from mayfly.services.register import why_not_used

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HELPER = Processor(
    name="helper",
    kind="ai",
    legal_name="Helper Inc.",
    address="Austin",
    contact="privacy@helper.example",
    purpose="Suggestions",
    data_categories=("user",),
    locations=("US",),
    ai_only=True,
    status="active",
    announced=date(2026, 1, 1),
    effective=date(2026, 2, 1),
    dpa=Dpa(reference="DPA-2", version="1", signed=date(2026, 1, 1)),
    transfer=TransferTerms(mechanism="dpf", assessment="TIA-1"),
)


def project(ai: AiSwitch, *, geography: str = "eu", two: bool = False) -> Project:
    """A project with AI in the United States, and other hosts."""
    return Project(
        root=Path("/nowhere"),
        workspace=Workspace(
            name="shop", ai=ai, geography=geography, approvals="two_people" if two else "one"
        ),
        keys=KeysSettings(),
        store=StoreSettings(),
        target="dev",
        sources={},
        models={},
        destinations={},
        syncs={},
        processors={
            "helper": HELPER,
            "cloud": replace(HELPER, name="cloud", kind="infrastructure", ai_only=False),
        },
    )


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """A new one."""
    made = SqlStore("sqlite", tmp_path)
    made.create(workspace_id="shop-1", name="shop", installation_id="here", now=NOW)
    return made


def engaged(found: Project, stopped: Mapping[str, str]) -> set[str]:
    """Who may be used."""
    entries = found.processors.values()
    return {p.name for p in entries if not why_not_used(found, p, stopped, NOW.date())}


def test_global_stays_off_until_it_is_signed(store: SqlStore) -> None:
    """What is no AI goes on meanwhile; what was signed is that list and no other."""
    wanted = project("global")
    assert engaged(wanted, ai_stopped(wanted, store)) == {"cloud"}
    record = approve_ai(wanted, store, actor="ada", now=NOW)
    assert record.document["processors"][0]["mechanism"] == "dpf"
    assert engaged(wanted, ai_stopped(wanted, store)) == {"cloud", "helper"}
    moved = replace(HELPER, locations=("SG", "US"), transfer=TransferTerms(mechanism="scc"))
    other = replace(wanted, processors={**wanted.processors, "helper": moved})
    assert engaged(other, ai_stopped(other, store)) == {"cloud"}


@pytest.mark.parametrize(
    ("ai", "geography", "names"),
    [
        ("off", "eu", {"cloud"}),
        ("eu", "eu", {"cloud"}),
        ("off", "us", {"cloud"}),
        ("global", "us", {"cloud", "helper"}),
    ],
)
def test_the_switch_alone_decides_elsewhere(
    store: SqlStore, ai: AiSwitch, geography: str, names: set[str]
) -> None:
    """Off is off, `eu` engages nobody outside of the EEA, and elsewhere nobody has to sign."""
    found = project(ai, geography=geography)
    assert engaged(found, ai_stopped(found, store)) == names
    near = replace(HELPER, locations=("IE",))
    assert bool(why_not_engaged(near, "eu", ai, NOW.date())) == (ai == "off")


def test_what_cannot_be_signed_is_refused(store: SqlStore) -> None:
    """Where nothing waits, and where one of two people would sign alone."""
    with pytest.raises(PolicyError, match="no transfer of AI"):
        approve_ai(project("eu"), store, actor="ada", now=NOW)
    with pytest.raises(PolicyError, match="two people"):
        approve_ai(project("global", two=True), store, actor="ada", now=NOW)
