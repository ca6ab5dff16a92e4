"""AI at global where two people approve: both sign the transfer, by commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mayfly.api
from mayfly.cli.commands import app
from mayfly.domain.errors import EngineError
from mayfly.services.approvals_lock import LOCK_FILE
from ssh_keys import SshPerson, ssh_person
from unit.api.test_api_processors import PROJECT, made, valid

People = Mapping[str, SshPerson]
OFF = "no approver has signed the transfer of AI at global"
AI = PROJECT.replace("affiliate", "ai")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Two with keys of their own."""
    folder = tmp_path_factory.mktemp("people")
    return {name: ssh_person(folder, name) for name in ("alice", "bob")}


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command; of an error that reaches its caller what that prints."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    if isinstance(done.exception, EngineError):
        return type(done.exception).exit_code, {"error": done.exception.to_dict()}
    return done.exit_code, json.loads(done.stdout or "{}")


def text_of(people: People, *names: str, approvals: str = "two_people") -> str:
    """A project with AI at global and some people."""
    keys = ", ".join(f"{name}: ['{people[name].public}']" for name in names)
    workspace = f"{{name: shop, ai: global, approvals: {approvals}, people: {{{keys}}}}}"
    return AI.replace("{name: shop}", workspace)


@pytest.fixture
def root(tmp_path: Path, people: People) -> Path:
    """A project whose people were accepted."""
    made(tmp_path, text_of(people, "alice", "bob"))
    assert call(tmp_path, "approve", "--people", "--all")[0] == 0
    return tmp_path


@pytest.fixture
def signed(root: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Writes what is to be signed, signs it and hands it in."""

    def sign(who: SshPerson, *words: str) -> tuple[int, dict[str, Any]]:
        file, signature = root / "statement", root / "signature"
        code, said = call(root, "approve", "--ai", *words, "--to-sign", str(file))
        if code:
            return code, said
        signature.write_text(who.sign(file.read_bytes()), "ascii")
        return call(root, "approve", "--ai", *words, "--sign", str(signature))

    return sign


def code_of(answer: tuple[int, dict[str, Any]]) -> str:
    """How a command was refused."""
    assert answer[0] == 3
    return str(answer[1]["error"]["code"])


def is_off(root: Path) -> bool:
    """Whether the entry of AI waits."""
    return mayfly.api.load(root).app.stopped().get("later") == OFF


Signed = Callable[..., tuple[int, dict[str, Any]]]


def test_two_people_sign_the_transfer(root: Path, people: People, signed: Signed) -> None:
    """One asks, another one approves; CI can verify both, and nobody does it alone."""
    assert is_off(root)
    assert code_of(call(root, "approve", "--ai", "--all")) == "approval_unsigned"
    assert code_of(signed(people["bob"])) == "approval_not_asked"
    code, said = signed(people["alice"], "--request")
    valid("approve", said)
    assert (code, said["ai"]["author"], said["ai"]["waits"]) == (0, "alice", True)
    assert code_of(signed(people["alice"])) == "approval_same_person"
    assert is_off(root)
    code, said = signed(people["bob"])
    valid("approve", said)
    assert (code, said["ai"]["author"], said["ai"]["actor"]) == (0, "alice", "bob")
    assert not is_off(root)
    checked = call(root, "approve", "--check")[1]["checked"]
    assert [(c["sync"], c["code"]) for c in checked] == [(None, None), ("@ai", None)]
    done = [e.operation for e in mayfly.api.load(root).app.ledger.entries()]
    assert ("approve.ai_request" in done, "approve.ai" in done) == (True, True)


def test_what_was_signed_holds_as_long_as_it_is_proven(
    root: Path, people: People, signed: Signed
) -> None:
    """Of this list, by these lines; another installation takes it over."""
    for who, words in (("alice", ["--request"]), ("bob", [])):
        assert signed(people[who], *words)[0] == 0
    lock, project = (root / LOCK_FILE), (root / "mayfly.yml").read_text("utf-8")
    kept = lock.read_text("utf-8")
    (root / "mayfly.yml").write_text(project.replace("locations: [US]", "locations: [SG]"), "utf-8")
    assert is_off(root)
    (root / "mayfly.yml").write_text(project, "utf-8")
    lock.write_text(kept.replace('"actor": "bob"', '"actor": "carol"'), "utf-8")
    assert is_off(root)
    lock.unlink()
    assert is_off(root)
    lock.write_text(kept, "utf-8")
    assert not is_off(root)
    other = root / "other"
    other.mkdir()
    made(other, project)
    (other / LOCK_FILE).write_text(kept, "utf-8")
    assert code_of(call(other, "approve", "--ai", "--all")) == "people_not_accepted"
    assert call(other, "approve", "--people", "--all")[0] == 0
    assert is_off(other)
    assert call(other, "approve", "--ai", "--all")[1]["ai"]["actor"] == "bob"
    assert not is_off(other)


def test_an_approval_by_one_counts_no_more_where_two_approve(
    tmp_path: Path, people: People
) -> None:
    """The store's word alone is not enough."""
    made(tmp_path, AI.replace("{name: shop}", "{name: shop, ai: global}"))
    assert call(tmp_path, "approve", "--ai", "--all")[0] == 0
    assert not is_off(tmp_path)
    (tmp_path / "mayfly.yml").write_text(text_of(people, "alice", "bob"), "utf-8")
    assert is_off(tmp_path)
    assert call(tmp_path, "approve", "--people", "--all")[0] == 0
    assert is_off(tmp_path)


@pytest.mark.parametrize(
    "words",
    [("--ai", "some"), ("--ai", "--people"), ("--ai", "--reject"), ("--ai", "--request")],
)
def test_what_makes_no_sense_beside_it_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Before anything is opened."""
    assert call(tmp_path, "approve", *words)[0] == 2
