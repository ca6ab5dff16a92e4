"""Faults made in a sound example of project files, and how they are to be reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mayfly.config.load import validate_project
from mayfly.domain.settings import Problem

EXAMPLE = (Path(__file__).parent / "unit/config/example.yml").read_text("utf-8")
CRM = "destinations:\n  crm: {type: sqlite, path: crm.db, kind: internal, owner: a, reason: b}\n"

Change = Callable[[str], str]
# The change to the example; line, column and code of the one problem; a part of message or hint.
Faults = Mapping[str, tuple[Change, int, int, str, str]]


def swap(old: str, new: str) -> Change:
    """A text that stands once in the example is another."""

    def change(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return change


def add(new: str) -> Change:
    """A text at the end."""
    return lambda text: text + new


def to_crm(sync: str) -> Change:
    """The example with a second sync into a database; it stands in line 36."""

    def change(text: str) -> str:
        text = text.replace("destinations:\n", CRM, 1)
        head = "id: own, model: customers, destination: crm"
        return f"{text}  own: {{{head}, {sync}}}\n"

    return change


def found(root: Path, text: str, *, target: str = "dev") -> list[Problem]:
    """Problems of a project of one file."""
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    return validate_project(root, target=target)


def check(root: Path, fault: tuple[Change, int, int, str, str]) -> None:
    """One fault gives one problem, at the line and column of the key or value concerned."""
    change, line, column, code, part = fault
    problems = found(root, change(EXAMPLE))
    assert [(p.file, p.line, p.column, p.code) for p in problems] == [
        ("mayfly.yml", line, column, code)
    ]
    assert part in f"{problems[0].message} {problems[0].hint}"
