"""`mayfly new destination`: what it writes works, and nothing is written over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mayfly.cli.commands import app

ROOT = Path(__file__).parents[3]
# In a real checkout the package itself tells what is its own.
OWN = 'lint.isort.known-first-party=["mayfly"]'
RUFF = ["--config", str(ROOT / "pyproject.toml"), "--config", OWN]
MODULE = "src/mayfly/connectors/destinations/acme_mail.py"
TEST = "tests/contract/test_destinations_acme_mail.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of one as the command looks for."""
    (tmp_path / "src/mayfly/connectors/destinations").mkdir(parents=True)
    return tmp_path


def _new(checkout: Path, name: str = "acme_mail") -> tuple[int, str]:
    result = CliRunner().invoke(app, ["new", "destination", name, "--checkout", str(checkout)])
    return result.exit_code, str(result.exception or result.output)


def test_a_connector_a_test_and_a_page_are_written(checkout: Path) -> None:
    """In the project's own form, without a word left to fill in by a template."""
    assert _new(checkout)[0] == 0
    page = (checkout / "docs/reference/destinations/acme_mail.md").read_text(encoding="utf-8")
    assert "# Acme Mail" in page
    assert "`email_sha256`" in page
    files = [checkout / MODULE, checkout / TEST]
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *RUFF, *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
            cwd=checkout,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_what_is_written_passes_the_contract_suite(checkout: Path) -> None:
    """Beside the package as it is installed."""
    assert _new(checkout)[0] == 0
    text = (checkout / TEST).read_text(encoding="utf-8")
    text = text.replace("mayfly.connectors.destinations.acme_mail", "acme_mail")
    (checkout / "test_acme.py").write_text(text, encoding="utf-8")
    (checkout / "acme_mail.py").write_text((checkout / MODULE).read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": f"{checkout}:{ROOT / 'src'}"},
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_nothing_is_written_over(checkout: Path) -> None:
    """Where one of the files is there, none is written."""
    (checkout / MODULE).write_text("mine", encoding="utf-8")
    code, said = _new(checkout)
    assert code
    assert "file_exists" in said
    assert (checkout / MODULE).read_text(encoding="utf-8") == "mine"
    assert not (checkout / TEST).exists()


@pytest.mark.parametrize("name", ["Acme", "../acme", "1st"])
def test_a_name_is_one_that_a_type_may_have(checkout: Path, name: str) -> None:
    """It becomes the name of files."""
    code, said = _new(checkout, name)
    assert code
    assert "bad_name" in said


def test_another_folder_is_refused(tmp_path: Path) -> None:
    """It has no connectors."""
    code, said = _new(tmp_path)
    assert code
    assert "no_checkout" in said
