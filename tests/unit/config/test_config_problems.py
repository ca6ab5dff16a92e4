"""How faults in the project files are collected and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import EXAMPLE, found, to_crm
from mayfly.config.load import ConfigProblemsError, load_project


def test_example_has_no_fault(tmp_path: Path) -> None:
    """What the faults are made in is sound, with every target."""
    assert found(tmp_path, EXAMPLE) == []
    assert found(tmp_path, EXAMPLE, target="prod") == []
    text = to_crm("mode: upsert, table: t, key: [id], mapping: {id: customer_id}")(EXAMPLE)
    assert found(tmp_path, text) == []


@pytest.mark.parametrize(
    "secret",
    ["hunter2secret", "env:has space hunter2", "file:hunter2"],
)
def test_secret_is_never_repeated(tmp_path: Path, secret: str) -> None:
    """A secret written into the files appears in no problem and no error text."""
    (tmp_path / "mayfly.yml").write_text(EXAMPLE.replace("env:META_TOKEN", secret), "utf-8")
    with pytest.raises(ConfigProblemsError) as caught:
        load_project(tmp_path)
    assert "hunter2" not in str(caught.value) + repr(caught.value.problems)


def test_all_problems_are_collected(tmp_path: Path) -> None:
    """Faults in several parts are all reported, in the order of the file."""
    text = EXAMPLE.replace("version: 1", "version: 3").replace("{class: phone", "{class: fone")
    text = text.replace("    audience: VIP customers\n", "").replace("env:META_TOKEN", "abc")
    (tmp_path / "mayfly.yml").write_text(text + "extra: 1\n", "utf-8")
    with pytest.raises(ConfigProblemsError) as caught:
        load_project(tmp_path)
    assert [(p.line, p.code) for p in caught.value.problems] == [
        (1, "not_allowed"),
        (16, "not_allowed"),
        (24, "literal_secret"),
        (34, "unknown_key"),
    ]
    assert "(and 3 more)" in caught.value.message


def test_faulty_part_is_not_called_missing(tmp_path: Path) -> None:
    """A sync that names a faulty model is not itself reported."""
    problems = found(tmp_path, EXAMPLE.replace("[customer_id]", "[]"))
    assert [p.code for p in problems] == ["empty"]


@pytest.mark.parametrize(
    ("target", "text", "hint"),
    [
        ("pord", EXAMPLE, "Did you mean prod? Allowed: dev, prod."),
        ("prod", "version: 1\nworkspace: {name: shop}\n", "Allowed: dev."),
        ("dev", "version: 1\nworkspace: {name: shop}\ntargets: {live: {}}\n", "Allowed: live."),
    ],
)
def test_unknown_target_names_those_that_exist(
    tmp_path: Path, target: str, text: str, hint: str
) -> None:
    """A target that is not declared is refused, `dev` too where others are declared."""
    problems = found(tmp_path, text, target=target)
    assert [(p.code, p.hint) for p in problems] == [("unknown_target", hint)]


def test_problem_as_text_and_json(tmp_path: Path) -> None:
    """A problem prints as one clickable line and its hint, and as a flat document."""
    (problem,) = found(tmp_path, EXAMPLE + "sorces: {}\n")
    first, second = problem.to_text().split("\n")
    assert first == 'mayfly.yml:35:1: unknown key "sorces" [unknown_key]'
    assert second.startswith("  → Did you mean sources? Allowed: version, workspace, ")
    assert problem.to_dict() == {
        "file": "mayfly.yml",
        "line": 35,
        "column": 1,
        "code": "unknown_key",
        "message": 'unknown key "sorces"',
        "hint": problem.hint,
    }


@pytest.mark.parametrize("given", ["uid2_api_key", "uid2_client_secret"])
def test_keys_that_belong_together_are_given_together(tmp_path: Path, given: str) -> None:
    """One of them alone is reported where it stands."""
    other = {"uid2_api_key", "uid2_client_secret"} - {given}
    destination = (
        f"  ttd: {{type: the_trade_desk, advertiser_id: a1, token: env:T, {given}: env:K}}\n"
    )
    text = EXAMPLE.replace("destinations:\n  meta:", f"destinations:\n{destination}  meta:")
    [problem] = found(tmp_path, text)
    assert problem.code == "missing_key"
    assert f"key `{other.pop()}` is missing; `{given}` needs it" in problem.message
    both = text.replace("env:K}", "env:K, uid2_api_key: env:A, uid2_client_secret: env:B}")
    both = both.replace(f" {given}: env:K,", "")
    assert found(tmp_path, both) == []
