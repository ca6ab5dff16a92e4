"""The demo keeps every promise it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mayfly.cli.demo import main as demo_main
from mayfly.cli.demo.main import run_demo


def test_the_demo_ends_with_every_promise_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From discovery to the scans, on 3,000 customers."""
    monkeypatch.setattr(demo_main, "DEFAULT_PORT", 0)
    assert run_demo(tmp_path / "demo", 3_000) == 0
    shown = capsys.readouterr().out
    assert "✗" not in shown
    assert "fills a new one" in " ".join(shown.split())
    assert shown.count("✓") >= 11


def test_help_names_every_command() -> None:
    """`python -m mayfly --help` works as a program."""
    done = subprocess.run(
        [sys.executable, "-m", "mayfly", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("init", "plan", "run", "approve", "verify", "hash", "scan"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nonsense"], 64), (["run", "--accept", "x"], 64), (["plan", "--output", "xml"], 64)],
)
def test_wrong_usage_exits_64(arguments: list[str], code: int) -> None:
    """A wrong command line is told apart from a failure."""
    done = subprocess.run(
        [sys.executable, "-m", "mayfly", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
