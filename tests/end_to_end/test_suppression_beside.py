"""Identifiers that a sync does not send still say who is suppressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.projects import FILES, approved, make_project, members
from mayfly.api import Project
from mayfly.sandbox.server import SandboxServer

OTHER = b'{"kind": "email", "value": "p7@other.example"}'
MAPPED = FILES.replace("mapping: {EMAIL: email, PHONE: phone}", "mapping: {EMAIL: email}")
WITH_OTHER = MAPPED.replace("city: {}}", "city: {}, other: {class: email}}")


@pytest.fixture(params=["source", pytest.param("local", marks=pytest.mark.slow)])
def text(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Project files whose state is kept in the warehouse, or beside the project."""
    if request.param == "source":
        return lambda text: text
    return lambda text: (
        text.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")
        .replace("mode: audience", "mode: upsert")
        .replace("mode: mirror", "mode: upsert")
    )


def change(root: Path, sql: str) -> None:
    """The warehouse's owner changes it."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


def rows(project: Project) -> dict[str, Any]:
    """Counts of one run by sync."""
    return {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}


@pytest.mark.parametrize("listed_first", [pytest.param(True, marks=pytest.mark.slow), False])
def test_an_unmapped_address_counts_as_it_is_now(
    tmp_path: Path, sandbox: SandboxServer, text: Callable[[str], str], listed_first: bool
) -> None:
    """It changes behind a row that leaves as before; the list is older or newer than that."""
    root = make_project(tmp_path, sandbox.url, rows=20, text=text(WITH_OTHER))
    change(root, "ALTER TABLE people ADD COLUMN other VARCHAR")
    project = approved(root)
    steps = [
        lambda: project.suppress("add", [OTHER]),
        lambda: change(root, "UPDATE people SET other = 'p7@other.example' WHERE id = 7"),
    ]
    if listed_first:
        steps[0]()
    assert rows(project)["to_meta"]["delivered"] == 20
    steps[1]()
    if not listed_first:
        steps[0]()
    found = rows(project)["to_meta"]
    assert (found["suppressed"], found["delivered"]) == (1, 0)
    assert len(members(sandbox)) == 19
    assert rows(project)["to_meta"]["delivered"] == 0


def test_an_address_that_the_model_gains_counts_for_who_was_sent_before(
    tmp_path: Path, sandbox: SandboxServer, text: Callable[[str], str]
) -> None:
    """Nothing is sent again for it, and a later entry finds the row."""
    root = make_project(tmp_path, sandbox.url, rows=20, text=text(MAPPED))
    change(root, "ALTER TABLE people ADD COLUMN other VARCHAR")
    change(root, "UPDATE people SET other = 'p' || id || '@other.example'")
    rows(approved(root))
    make_files = (root / "mayfly.yml").read_text()
    (root / "mayfly.yml").write_text(
        make_files.replace("city: {}}", "city: {}, other: {class: email}}")
    )
    project = approved(root)
    assert rows(project)["to_meta"]["delivered"] == 0
    project.suppress("add", [OTHER])
    found = rows(project)["to_meta"]
    assert (found["suppressed"], found["delivered"]) == (1, 0)
    assert len(members(sandbox)) == 19


def test_a_row_whose_country_changes_is_sent_by_its_new_number(
    tmp_path: Path, sandbox: SandboxServer, text: Callable[[str], str]
) -> None:
    """The same national digits are another person's number there."""
    files = FILES.replace("default_country: FR", "default_country_column: land").replace(
        "city: {}}", "city: {}, land: {}}"
    )
    root = make_project(tmp_path, sandbox.url, rows=20, text=text(files))
    change(root, "ALTER TABLE people ADD COLUMN land VARCHAR")
    change(root, "UPDATE people SET land = 'FR'")
    project = approved(root)
    assert rows(project)["to_meta"]["delivered"] == 20
    change(root, "UPDATE people SET land = 'GB' WHERE id = 3")
    assert rows(project)["to_meta"]["delivered"] == 1
    assert rows(project)["to_meta"]["delivered"] == 0


def test_a_value_spelled_otherwise_is_not_sent_again(
    tmp_path: Path, sandbox: SandboxServer, text: Callable[[str], str]
) -> None:
    """What leaves is the same digest, and the next run has nothing to look at."""
    root = make_project(tmp_path, sandbox.url, rows=20, text=text(MAPPED))
    project = approved(root)
    rows(project)
    change(root, "UPDATE people SET email = ' P3@EXAMPLE.com ' WHERE id = 3")
    assert rows(project)["to_meta"]["delivered"] == 0
    change(root, "UPDATE people SET email = 'new@example.com' WHERE id = 3")
    assert rows(project)["to_meta"]["delivered"] == 1
