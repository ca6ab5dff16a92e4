"""Every command is an act that is recorded, or is said to be none."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from mayfly.api import Project
from mayfly.cli.acts import RECORDED, UNRECORDED
from mayfly.cli.reference import walk_commands
from mayfly.domain.audit import ACTS

BEGUN_ALONE = {"sweep", "run", "make_report"}
"""Methods of `Project` whose ends, runs and versions have entries of their own."""


def test_every_command_is_in_one_of_both_lists() -> None:
    """Whoever adds a command decides whether it is an act."""
    names = {name for name, _ in walk_commands()}
    assert set(RECORDED) | set(UNRECORDED) == names
    assert not set(RECORDED) & set(UNRECORDED)


def test_every_act_is_some_command_s() -> None:
    """And is recorded by the code that does it, under that name."""
    named = [act for acts in RECORDED.values() for act in acts]
    assert sorted(named) == sorted(ACTS)
    folder = Path(inspect.getfile(Project)).parent
    text = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    written = set(re.findall(r'"([a-z]+(?:\.[a-z_]+)?)"', text))
    kinds = {f"keys.{kind}" for kind in ("rotate", "rewrap", "destroy")}
    lists = {f"suppress.{act}" for act in ("add", "remove")}
    assert set(ACTS) <= written | kinds | lists


def test_every_method_that_writes_records() -> None:
    """Who calls `_act` calls `_recorded`, too."""
    [tree] = ast.parse(inspect.getsource(Project)).body
    assert isinstance(tree, ast.ClassDef)
    silent = set()
    for method in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        called = {
            node.func.attr
            for node in ast.walk(method)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        if "_act" in called and "_recorded" not in called:
            silent.add(method.name)
    assert silent - BEGUN_ALONE == set()
