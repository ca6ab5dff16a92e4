"""`plan --sample`: some rows masked, for a person's eyes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, approved, make_project
from end_to_end.test_terminal import Terminal
from mayfly.cli.commands import app
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.sandbox.server import SandboxServer

PSEUDONYM = FILES.replace("city: {}}", "city: {rule: pseudonym}}")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[pa.Table]:
    """Every table that left the source."""
    seen: list[pa.Table] = []
    original = DuckdbSession.table

    def table(session: DuckdbSession, sql: str) -> pa.Table:
        seen.append(original(session, sql))
        return seen[-1]

    monkeypatch.setattr(DuckdbSession, "table", table)
    return seen


def _cells(plan: Any) -> list[list[tuple[str, str, str, str]]]:
    return [[(c.column, c.to, c.before, c.after) for c in row] for row in plan.sample]


def test_an_external_sync_shows_masks_and_reads_no_more(
    tmp_path: Path, sandbox: SandboxServer, read: list[pa.Table]
) -> None:
    """Beginning, size, and eight digits of what Meta gets; the address stays in the source."""
    project = approved(make_project(tmp_path / "shop", sandbox.url))
    [plan] = project.plan("to_meta", sample=3).syncs
    [first, *others] = _cells(plan)
    digests = [hashlib.sha256(v).hexdigest()[:8] for v in (b"p0@example.com", b"33639980000")]
    assert first == [
        ("email", "EMAIL", "p0… (8-15)", f"{digests[0]}…"),
        ("phone", "PHONE", "06… (8-15)", f"{digests[1]}…"),
    ]
    assert len(others) == 2
    assert "example" not in str([table.to_pydict() for table in read])
    assert "p0" not in str(plan.to_dict())


def test_an_internal_sync_shows_what_leaves_in_clear_masked(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A pseudonym by its digits."""
    project = approved(make_project(tmp_path / "shop", sandbox.url, text=PSEUDONYM))
    [plan] = project.plan("to_crm", sample=1).syncs
    [[key, email, city]] = _cells(plan)
    assert key == ("id", "id", "… (1-3)", "… (1-3)")
    assert email == ("email", "email", "p0… (8-15)", "p0… (8-15)")
    assert city[:3] == ("city", "city", "… (4-7)")
    assert len(city[3]) == 9


@pytest.mark.parametrize("rows", [0, 5])
def test_no_more_rows_than_there_are_or_were_asked_for(
    tmp_path: Path, sandbox: SandboxServer, rows: int
) -> None:
    """Of two rows five cannot be shown; without asking none is."""
    project = approved(make_project(tmp_path / "shop", sandbox.url, rows=2))
    assert [len(plan.sample) for plan in project.plan(sample=rows).syncs] == [min(rows, 2)] * 2


@pytest.mark.parametrize("more", [[], ["--output", "json"]])
def test_it_is_for_a_terminal_only(tmp_path: Path, more: list[str]) -> None:
    """In a pipe or a file parts of values would stay."""
    make_project(tmp_path / "shop", "http://127.0.0.1:1")
    done = CliRunner().invoke(
        app, ["plan", "--project", str(tmp_path / "shop"), "--sample", "1", *more]
    )
    assert done.exit_code != 0
    assert "p0" not in done.output


def test_it_stands_under_the_bill(tmp_path: Path, sandbox: SandboxServer) -> None:
    """On a terminal, row by row."""
    root = make_project(tmp_path / "shop", sandbox.url)
    approved(root)
    words = ["plan", "to_meta", "--project", str(root), "--sample", "2"]
    code, lines = Terminal(words).ended()
    assert code == 0
    at = next(i for i, line in enumerate(lines) if line.startswith("row 1 "))
    assert lines[at].split() == ["row", "1", "before", "leaves", "as", "after"]
    assert lines[at + 1].split()[:4] == ["email", "p0…", "(8-15)", "EMAIL"]
    assert any(line.startswith("row 2 ") for line in lines)
