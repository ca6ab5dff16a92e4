"""The register of sub-processors in the project files."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config_faults import EXAMPLE
from mayfly.bootstrap.registry import SPECS
from mayfly.config.load import load_project, validate_project
from mayfly.services.register import register_of

ENTRY = """processors:
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
    dpa: {reference: DPA-1, version: "1", signed: 2026-01-15, expires: 2028-01-15}
    security: {report: SOC 2, date: 2026-01-01, next_due: 2027-01-01}
"""
NEXT = """processors:
  helper:
    kind: ai
    legal_name: Helper Inc.
    address: Austin
    contact: privacy@helper.example
    purpose: Suggestions
    data_categories: [user]
    locations: [US]
    parent: cloud
    status: announced
    announced: 2026-05-01
    effective: 2026-06-15
    transfer: {mechanism: dpf}
"""


def project(folder: Path, *files: str, head: str = "") -> Path:
    """A project with these files of its register."""
    (folder / "mayfly.yml").write_text(EXAMPLE + head, "utf-8")
    (folder / "processors").mkdir(exist_ok=True)
    for number, text in enumerate(files):
        (folder / f"processors/{number}.yml").write_text(text, "utf-8")
    return folder


def test_a_register_is_merged_from_its_files(tmp_path: Path) -> None:
    """Each entry whole, on its list, with its status; what AI is, needs the switch."""
    found = register_of(load_project(project(tmp_path, ENTRY, NEXT)), SPECS)
    assert [p.name for p in found.active] == ["cloud"]
    assert [p.name for p in found.announced] == ["helper"]
    assert [p.name for p in found.listed("ai")] == ["helper"]
    assert found.announced[0].ai_only
    assert found.announced[0].parent == "cloud"
    assert found.active[0].effective == date(2026, 2, 1)
    assert found.active[0].dpa is not None
    assert found.active[0].dpa.expires == date(2028, 1, 15)


def test_recipients_stand_apart_with_the_customers_own_word(tmp_path: Path) -> None:
    """Destinations are no entries, and each has what the customer says of it."""
    project(tmp_path, ENTRY)
    text = (tmp_path / "mayfly.yml").read_text("utf-8")
    said = text.replace("type: meta_ads", "type: meta_ads\n    responsibility: {decides: Shop}")
    assert said != text
    (tmp_path / "mayfly.yml").write_text(said, "utf-8")
    found = register_of(load_project(tmp_path), SPECS)
    assert {r.to_dict()["decides"] for r in found.recipients} == {"Shop"}
    assert [p.name for p in found.processors] == ["cloud"]


FAULTS = {
    "no_contract": (("    dpa:", "    # dpa:"), "processor_without_dpa"),
    "abroad": (("[IE]", "[IE, SG]"), "processor_without_transfer"),
    "too_soon": (("2026-02-01", "2026-01-30"), "notice_too_short"),
    "no_day": (("2026-02-01", "2026-02-30"), "bad_format"),
    "no_host": (("*.cloud.example", "*"), "bad_format"),
    "no_category": (("user.contact.email", "E-Mail"), "bad_format"),
    "no_parent": (("    status:", "    parent: clod\n    status:"), "unknown_processor"),
    "its_own_parent": (("    status:", "    parent: cloud\n    status:"), "processor_chain"),
    "unknown_key": (("    purpose:", "    porpose:"), "unknown_key"),
    "no_status": (("status: active", "status: acitve"), "not_allowed"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_faulty_entry_is_refused_where_it_stands(tmp_path: Path, case: str) -> None:
    """File and line; closed keys; an active one needs contract, notice and transfer."""
    swap, code = FAULTS[case]
    assert swap[0] in ENTRY
    problems = validate_project(project(tmp_path, ENTRY.replace(*swap)))
    assert (problems[0].file, problems[0].code) in {
        ("processors/0.yml", code),
        ("processors/0.yml", "missing_key"),
    }
    assert code in [p.code for p in problems]
    assert all(p.line > 1 for p in problems)


def test_a_workspace_may_ask_for_more_notice_and_not_for_less(tmp_path: Path) -> None:
    """30 days by default; with 32 the same entry is too soon."""
    register = "\nprocessing: {{notice_days: {}}}\n"
    more = validate_project(project(tmp_path, ENTRY, head=register.format(32)))
    assert [p.code for p in more] == ["notice_too_short"]
    less = validate_project(project(tmp_path, ENTRY, head=register.format(29)))
    assert [p.code for p in less] == ["out_of_range"]


def test_what_the_register_names_is_there(tmp_path: Path) -> None:
    """Notices are mailed through a channel for mail."""
    head = "\nprocessing: {mail: nobody}\n"
    problems = validate_project(project(tmp_path, ENTRY, head=head))
    assert {p.code for p in problems} == {"unknown_channel"}
