"""Which hosts somebody engaged has to answer for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from mayfly.bootstrap.registry import SPECS
from mayfly.config.load import load_project
from mayfly.domain.processors import Dpa, Processor, RegisterSettings, Security
from mayfly.domain.settings import KeysSettings, Project, StoreSettings, Workspace
from mayfly.services.register import Use, overdue_reviews, register_of, uncovered

DAY = date(2026, 1, 1)
TODAY = date(2026, 6, 1)
KEYS = Use(what="keys", host="kms.cloud.example")
CLOUD = Processor(
    name="cloud",
    kind="infrastructure",
    legal_name="Cloud Ltd",
    address="Dublin",
    contact="privacy@cloud.example",
    purpose="Hosting",
    data_categories=("user.contact.email",),
    locations=("IE",),
    hosts=("*.cloud.example",),
    status="active",
    announced=DAY,
    effective=DAY + timedelta(days=30),
    dpa=Dpa(reference="DPA-1", version="1", signed=DAY),
    security=Security(report="SOC 2", reviewed=DAY, next_due=TODAY),
)


def project(*entries: Processor, own: tuple[str, ...] = ()) -> Project:
    """A project with this register, and nothing else."""
    return Project(
        root=Path("/nowhere"),
        workspace=Workspace(name="shop"),
        keys=KeysSettings(),
        store=StoreSettings(),
        target="dev",
        sources={},
        models={},
        destinations={},
        syncs={},
        processors={p.name: p for p in entries},
        register=RegisterSettings(own_hosts=own),
    )


OTHER = replace(CLOUD, name="other", hosts=("other.example",))
CASES: dict[str, tuple[Project, tuple[str, ...], list[str]]] = {
    "active": (project(CLOUD), (), []),
    "no register at all": (project(), (), []),
    "somebody else": (project(OTHER), (), ["processor_unregistered"]),
    "one's own host": (project(OTHER, own=("kms.cloud.example",)), (), []),
    "announced": (project(replace(CLOUD, status="announced")), (), ["processor_not_active"]),
    "retired, and another since": (
        project(replace(CLOUD, name="old", status="retired"), CLOUD),
        (),
        [],
    ),
    "contract over": (
        project(replace(CLOUD, dpa=Dpa(reference="r", version="1", signed=DAY, expires=DAY))),
        (),
        ["processor_not_active"],
    ),
    "objected to": (project(CLOUD), ("cloud",), ["processor_not_active"]),
    "for AI alone": (project(replace(CLOUD, ai_only=True)), (), ["processor_not_active"]),
}


@pytest.mark.parametrize("case", CASES)
def test_somebody_engaged_answers_for_each_host(case: str) -> None:
    """Where there is a register: else nothing is refused."""
    found, names, codes = CASES[case]
    assert [r.code for r in uncovered(found, [KEYS], dict.fromkeys(names, "no"), TODAY)] == codes


def test_reviews_that_are_late_are_named() -> None:
    """From the day after they were due."""
    assert overdue_reviews(project(CLOUD), TODAY) == []
    assert overdue_reviews(project(CLOUD), TODAY + timedelta(days=1)) == ["cloud"]


def test_a_vendor_s_countries_are_told_also_where_a_sandbox_stands_for_it(tmp_path: Path) -> None:
    """Nothing goes there now; where it will go is what a reader of the register asks."""
    text = """version: 1
workspace: {name: shop}
destinations:
  meta: {type: meta_ads, account_id: "1", access_token: env:T, endpoint: sandbox}
"""
    (tmp_path / "mayfly.yml").write_text(text, encoding="utf-8")
    [meta] = register_of(load_project(tmp_path, target="dev"), SPECS).recipients
    assert meta.countries == ("IE", "US")
