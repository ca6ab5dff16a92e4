"""What `mayfly processors` says of the register."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import mayfly.api
from mayfly.bootstrap import initialise
from mayfly.domain.errors import UsageError
from mayfly.domain.processors import canonical

JSON = Path(__file__).parents[3] / "docs/reference/json"
PROJECT = """version: 1
workspace: {name: shop}
destinations:
  crm: {type: sqlite, path: crm.db, kind: internal, owner: care, reason: they answer customers}
processors:
  cloud:
    legal_name: Cloud Ltd
    address: Dublin, Ireland
    contact: privacy@cloud.example
    purpose: Hosting
    data_categories: [user.contact.email]
    locations: [IE]
    hosts: ["*.cloud.example"]
    status: active
    announced: 2026-01-01
    effective: 2026-02-01
    dpa: {reference: DPA-1, version: "1", signed: 2026-01-15}
  later:
    kind: affiliate
    legal_name: Later GmbH
    address: Berlin
    contact: privacy@later.example
    purpose: Support
    data_categories: [user]
    locations: [US]
    parent: cloud
    status: announced
    announced: 2026-01-01
    effective: 2126-02-01
    objection_deadline: 2126-01-20
    transfer: {mechanism: scc, assessment: TIA-1, date: 2026-01-01}
    security: {report: SOC 2, date: 2026-01-01, next_due: 2026-01-02}
"""


@pytest.fixture
def project(tmp_path: Path) -> mayfly.api.Project:
    """An initialised one with two entries."""
    (tmp_path / "mayfly.yml").write_text(PROJECT, "utf-8")
    initialise(tmp_path)
    return mayfly.api.load(tmp_path)


def valid(name: str, document: object) -> None:
    """As its schema says."""
    Draft202012Validator(json.loads((JSON / f"{name}.schema.json").read_text())).validate(document)


def test_the_lists_stand_apart_and_say_who_is_engaged(project: mayfly.api.Project) -> None:
    """And recipients beside them; in the form of the schema."""
    document = project.processors()
    valid("processors", document)
    [cloud], [later], [crm] = (document[k] for k in ("infrastructure", "affiliates", "recipients"))
    assert (cloud["engaged"], cloud["reason"], cloud["review_overdue"]) == (True, "", True)
    assert (later["engaged"], later["reason"]) == (False, "its status is announced")
    assert (crm["legal_name"], crm["decides"]) == ("care", None)
    assert document["ai"] == []


def test_one_is_shown_or_named_as_unknown(project: mayfly.api.Project) -> None:
    """Everything of it, or the names that there are."""
    valid("processors", project.processor("later"))
    [entry] = project.processor("later")["affiliates"]
    assert entry["transfer"] == {"mechanism": "scc", "assessment": "TIA-1", "date": "2026-01-01"}
    with pytest.raises(UsageError) as refused:
        project.processor("nobody")
    assert (refused.value.code, refused.value.hint) == (
        "unknown_processor",
        "The register has: cloud, later.",
    )


def test_what_is_archived_is_the_published_form(project: mayfly.api.Project) -> None:
    """The bytes whose digest is shown are a document of the register's schema."""
    valid("register", json.loads(canonical(project.app.project.processors)))
