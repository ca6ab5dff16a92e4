"""What a new user types first, as the README has it, by the command itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mayfly.sandbox.server import SandboxServer

ROOT = Path(__file__).parents[2]


def mayfly(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mayfly", *arguments],
        cwd=folder,
        env=os.environ | {"META_TOKEN": "any-text", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def readme_steps() -> list[list[str]]:
    """The commands of the README's start, after the folder was made."""
    block = re.search(r"mkdir shop && cd shop\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    return [line.split("#")[0].split()[1:] for line in block[1].splitlines()]


def test_the_readme_s_start_works_to_the_letter(tmp_path: Path) -> None:
    """From an empty folder to delivered and verified; the plan says what waits for approval."""
    steps = readme_steps()
    assert [s[0] for s in steps] == ["init", "plan", "approve", "run", "verify"]
    with SandboxServer(port=0) as sandbox:
        made = mayfly(tmp_path, *steps[0])
        assert "wrote shop.duckdb" in made.stdout
        path = tmp_path / "mayfly.yml"
        text = path.read_text()
        assert "endpoint: sandbox" in text
        path.write_text(text.replace("endpoint: sandbox", f'endpoint: "{sandbox.url}"'))
        ended = [mayfly(tmp_path, *step) for step in steps[1:]]
    assert [e.returncode for e in ended] == [3, 0, 0, 0], [e.stdout + e.stderr for e in ended]
    assert "was never approved" in ended[0].stdout
    assert "Look at `mayfly approve vip_to_meta`" in ended[0].stdout
    assert ended[2].stdout.count("succeeded") == 2
    assert "verifies" in ended[3].stdout
    runs = mayfly(tmp_path, "runs").stdout
    assert re.search(r"vip_to_meta \(dev\) +succeeded +\d+ +0", runs)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["plan"], 1, "`mayfly init --template demo`"),
        (["verify", "nowhere", "--key", "nothing.pub"], 1, "DOES NOT VERIFY"),
        (["run", "--project", "nowhere"], 1, "mayfly.yml"),
    ],
)
def test_in_a_folder_without_a_project_the_way_on_is_named(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    """No traceback, and what to do."""
    ended = mayfly(tmp_path, *arguments)
    assert ended.returncode == code
    assert says in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_init_never_writes_over_a_warehouse(tmp_path: Path) -> None:
    """A file of that name is somebody's data."""
    (tmp_path / "shop.duckdb").write_bytes(b"mine")
    mayfly(tmp_path, "init", "--template", "demo")
    assert (tmp_path / "shop.duckdb").read_bytes() == b"mine"
