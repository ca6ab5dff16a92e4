"""The command line starts without what only some command needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mayfly.domain.version import VERSION

HEAVY = (
    *("adbc_driver_postgresql", "cryptography", "duckdb", "httpx", "jsonschema", "phonenumbers"),
    *("polars", "psycopg", "pyarrow", "pydantic", "rich", "ruamel", "sqlalchemy", "sqlglot"),
    *("starlette", "uvicorn"),
)
STARTED = """
import sys
from mayfly.cli.entry import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print("loaded:", *sys.modules)
    raise
"""


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Each of these packages would cost more time than all the rest."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED, *words], capture_output=True, text=True, check=True
    )
    said, _, loaded = done.stdout.rpartition("loaded:")
    assert said.strip() == VERSION if words == ["--version"] else "Usage: mayfly" in said
    assert set(HEAVY) & set(loaded.split()) == set()


PANICS = """
import sys
from mayfly.cli import commands, entry
class Panic(BaseException):
    pass
def get_command(app):
    raise Panic("-".join(("marked", "7f3a")))
entry.get_command = get_command
entry.main(["plan"])
"""


def test_an_error_of_no_usual_kind_shows_its_type_alone() -> None:
    """A panic of Polars is no `Exception`; neither its text nor a traceback is printed."""
    done = subprocess.run(
        [sys.executable, "-c", PANICS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("mayfly: unexpected Panic at mayfly.cli.entry:")
    assert "marked" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
