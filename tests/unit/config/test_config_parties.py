"""Who processes, for whom, and who answers for a destination."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config_faults import EXAMPLE, Faults, add, check, swap
from mayfly.config.load import load_project
from mayfly.domain.approval import Compiled, approval_document
from mayfly.domain.parties import Party, Responsibility, Terms

TOKEN = "    access_token: env:META_TOKEN\n"
SAID = """    responsibility:
      decides: Shop SAS
      lawful_basis: consent
      terms: {accepted_by: Head of marketing, on: 2026-03-31, version: 2026-01}
      consent_source: the banner
"""
ORGANISATION = "organisation: {name: Mayfly Host, contact: a@example.com, dpo: d@example.com}\n"


def test_parties_and_responsibilities_are_read(tmp_path: Path) -> None:
    """Each as it is stated; nothing stands in for what is not."""
    text = EXAMPLE.replace(TOKEN, TOKEN + SAID) + ORGANISATION
    (tmp_path / "mayfly.yml").write_text(text, "utf-8")
    project = load_project(tmp_path)
    assert project.organisation == Party(
        name="Mayfly Host", contact="a@example.com", dpo="d@example.com"
    )
    assert project.controller is None
    assert project.destinations["meta"].responsibility == Responsibility(
        decides="Shop SAS",
        lawful_basis="consent",
        terms=Terms(accepted_by="Head of marketing", on=date(2026, 3, 31), version="2026-01"),
        consent_source="the banner",
    )


def test_who_answers_is_no_part_of_what_is_approved(tmp_path: Path) -> None:
    """What leaves, and to where, is the same: an approval stays as it was."""
    documents = []
    for text in (EXAMPLE, EXAMPLE.replace(TOKEN, TOKEN + SAID)):
        (tmp_path / "mayfly.yml").write_text(text, "utf-8")
        project = load_project(tmp_path)
        documents.append(approval_document(project, "vip_to_meta", Compiled()))
    assert documents[0] == documents[1]


FAULTS: Faults = {
    "an organisation without a name": (
        add("organisation: {contact: a@example.com}\n"),
        35,
        1,
        "missing_key",
        "key `name` is missing",
    ),
    "a key of an organisation that there is not": (
        add("controller: {name: Shop, dpos: d@example.com}\n"),
        35,
        26,
        "unknown_key",
        "Did you mean dpo?",
    ),
    "a basis that there is not": (
        swap(TOKEN, TOKEN + "    responsibility: {lawful_basis: interest}\n"),
        25,
        36,
        "not_allowed",
        "legitimate_interests",
    ),
    "terms without a version": (
        swap(TOKEN, TOKEN + "    responsibility: {terms: {accepted_by: a, on: 2026-03-31}}\n"),
        25,
        22,
        "missing_key",
        "key `version` is missing",
    ),
    "a day that there is not": (
        swap(
            TOKEN,
            TOKEN + "    responsibility: {terms: {accepted_by: a, on: 2026-02-30, version: b}}\n",
        ),
        25,
        50,
        "bad_format",
        "responsibility.terms.on",
    ),
    "a misspelt key of who answers": (
        swap(TOKEN, TOKEN + "    responsibility: {decide: a}\n"),
        25,
        22,
        "unknown_key",
        "Did you mean decides?",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_where_they_stand(tmp_path: Path, fault: str) -> None:
    """Each with its line, its code and what to do."""
    check(tmp_path, FAULTS[fault])
