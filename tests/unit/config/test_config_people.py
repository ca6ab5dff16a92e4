"""Who approves: the list of people and their public keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayfly.config.load import load_project, validate_project
from ssh_keys import ssh_person


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Public keys of two people, with comments."""
    folder = tmp_path_factory.mktemp("keys")
    return ssh_person(folder, "a").public, ssh_person(folder, "b", "ecdsa").public


def written(root: Path, workspace: str) -> Path:
    """A project of that workspace."""
    (root / "mayfly.yml").write_text(f"version: 1\nworkspace: {workspace}\n", "utf-8")
    return root


def codes(root: Path, workspace: str) -> list[str]:
    """What is wrong with it."""
    return [p.code for p in validate_project(written(root, workspace))]


def test_comments_of_keys_are_left_out(tmp_path: Path, keys: tuple[str, str]) -> None:
    """They are often somebody's address; type and key stay."""
    people = f"{{alice: ['{keys[0]}'], bob: ['{keys[1]}']}}"
    held = f"{{name: shop, approvals: two_people, people: {people}}}"
    project = load_project(written(tmp_path, held))
    assert project.workspace.approvals == "two_people"
    assert dict(project.workspace.people) == {
        name: (" ".join(key.split()[:2]),) for name, key in zip(("alice", "bob"), keys, strict=True)
    }


def test_a_workspace_is_of_one_unless_it_says_so(tmp_path: Path) -> None:
    """As it was before there was a choice."""
    assert load_project(written(tmp_path, "{name: shop}")).workspace.approvals == "one"


def test_two_people_are_two_keys(tmp_path: Path, keys: tuple[str, str]) -> None:
    """One person is not two, and whoever has another's key could answer himself."""
    one = f"{{name: shop, approvals: two_people, people: {{alice: ['{keys[0]}']}}}}"
    assert codes(tmp_path, one) == ["people_missing"]
    assert codes(tmp_path, "{name: shop, approvals: two_people}") == ["people_missing"]
    again = keys[0].replace("a comment", "another one")
    same = f"{{name: shop, people: {{alice: ['{keys[0]}'], bob: ['{keys[1]}', '{again}']}}}}"
    assert codes(tmp_path, same) == ["shared_ssh_key"]


@pytest.mark.parametrize("key", ["alice", "ssh-dss AAAA", "ssh-ed25519 AAAA", "ssh-rsa"])
def test_what_is_no_key_is_refused(tmp_path: Path, key: str) -> None:
    """With where it stands."""
    assert codes(tmp_path, f"{{name: shop, people: {{alice: ['{key}']}}}}") == ["bad_ssh_key"]
