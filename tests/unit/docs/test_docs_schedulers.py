"""The examples for schedulers do with each exit code what their page says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mayfly.cli.reference import walk_commands

PAGE = Path(__file__).parents[3] / "docs/howto/schedulers.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def block(*, having: str) -> str:
    """The one code block with this text."""
    [found] = [body for _, body in BLOCK.findall(PAGE.read_text("utf-8")) if having in body]
    return str(found)


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """A `mayfly` that ends with the given codes, one after the other; and how it was called."""
    calls, codes = tmp_path / "calls", tmp_path / "codes"
    program = tmp_path / "bin/mayfly"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\ncode=$(head -1 {codes})\n'
        f'rest=$(tail -n +2 {codes})\necho "$rest" > {codes}\nexit $code\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    def ends_with(*given: int) -> list[list[str]]:
        if given:
            codes.write_text("".join(f"{code}\n" for code in given), encoding="utf-8")
            calls.write_text("", encoding="utf-8")
        return [shlex.split(line) for line in calls.read_text("utf-8").splitlines()]

    return ends_with


def assert_is_a_run(words: list[str]) -> None:
    """Its options exist."""
    assert words[0] == "run"
    known = {o for p in dict(walk_commands())["mayfly run"].params for o in p.opts}
    assert {w for w in words if w.startswith("--")} <= known


@pytest.mark.parametrize(
    ("codes", "end", "runs"),
    [([0], 0, 1), ([3], 3, 1), ([4, 4, 0], 0, 3), ([4, 1], 1, 2), ([4, 4, 4, 0], 4, 3)],
)
def test_the_shell_retries_what_is_held_alone(
    codes: list[int], end: int, runs: int, tmp_path: Path, said: Callable[..., list[list[str]]]
) -> None:
    """Twice at most here; every other code is passed on at once."""
    said(*codes)
    script = tmp_path / "mayfly-retry"
    script.write_text(block(having="mayfly-retry"), encoding="utf-8")
    words = ["/bin/sh", str(script), "2", "0", "tag:nightly", "--project", "/srv/shop"]
    assert subprocess.run(words, check=False, timeout=30).returncode == end
    assert said() == [["run", "tag:nightly", "--project", "/srv/shop"]] * runs


def module(name: str, **names: object) -> dict[str, ModuleType]:
    """A module that has these names, to be imported in place of a scheduler's own."""
    made = ModuleType(name)
    vars(made).update(names)
    return {name: made}


class EndedError(Exception):
    """By what a task ended, with what it was given."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args)
        self.settings = settings


class HeldError(EndedError):
    """The scheduler's word for: again later."""


class FailedError(EndedError):
    """The scheduler's word for: not again."""


class Operator:
    """A task that comes before."""

    def __init__(self, *, task_id: str, bash_command: str) -> None:
        self.command = bash_command

    def __rshift__(self, after: object) -> None:
        assert self.command.startswith("dbt build")


def decorator(*bare: Callable[..., Any], **_settings: object) -> Any:
    """One that leaves functions as they are."""
    return bare[0] if bare else lambda function: function


def play(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the task of an example, with these words of its scheduler's."""
    errors = {"AirflowException": HeldError, "AirflowFailException": FailedError}
    modules = {
        **module("airflow"),
        **module("airflow.decorators", dag=decorator, task=decorator),
        **module("airflow.exceptions", **errors),
        **module("airflow.operators"),
        **module("airflow.operators.bash", BashOperator=Operator),
        **module("dagster", asset=decorator, Failure=FailedError, RetryRequested=HeldError),
    }
    for key, made in modules.items():
        monkeypatch.setitem(sys.modules, key, made)
    names: dict[str, Any] = {}
    exec(block(having=f"from {name}"), names)
    if "customers_in_crm" in names:
        names["customers_in_crm"]()


@pytest.mark.parametrize("name", ["airflow", "dagster"])
def test_the_examples_tell_what_is_held_from_what_failed(
    name: str, said: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 is tried again, 3 and every other is not, 0 ends well; and the command is one."""
    said(0)
    play(name, monkeypatch)
    [words] = said()
    assert_is_a_run(words)
    assert "customers_to_crm" in words
    said(4)
    with pytest.raises(HeldError) as raised:
        play(name, monkeypatch)
    assert not isinstance(raised.value, FailedError)
    for code in (1, 2, 3, 64):
        said(code)
        with pytest.raises(FailedError) as failed:
            play(name, monkeypatch)
        assert failed.value.settings.get("allow_retries", False) is False
