"""What libraries say goes nowhere; and nothing of ours can say anything but an event."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.privacy.closed_logs import close_logs

SRC = Path(__file__).parents[3] / "src/mayfly"
SAY = ("print_exc", "print_exception", "warn", "warn_explicit")
CLOSES = "privacy/closed_logs.py"
MARK = "-".join(("marked", "7f3a"))
SAYS = """
import gc, logging, sys, threading, warnings
MARK = "-".join(("marked", "7f3a"))
FIRST = logging.getLogger("first")
FIRST.setLevel(logging.DEBUG)
FIRST.addHandler(logging.StreamHandler())
if sys.argv[1:]:
    from mayfly.adapters.processes import own_process
    own_process()
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)
later = logging.getLogger("first.made.later")
later.setLevel(logging.DEBUG)
for logger in (FIRST, later, logging.getLogger("another"), logging.root):
    for level in (logging.DEBUG, logging.CRITICAL, 1000):
        logger.log(level, "%s in a log", MARK)
warnings.warn(MARK + " in a warning")
class Ends:
    def __del__(self):
        raise ValueError(MARK + " in a finaliser")
Ends()
def fails():
    raise ValueError(MARK + " in a thread")
thread = threading.Thread(target=fails)
thread.start()
thread.join()
"""


class Kept(logging.Handler):
    """Keeps every text that reaches it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts.append(record.getMessage())


@pytest.fixture
def at_root() -> Iterator[Kept]:
    """A handler of the root, which takes everything."""
    kept, level = Kept(), logging.root.level
    logging.root.addHandler(kept)
    logging.root.setLevel(logging.DEBUG)
    yield kept
    logging.root.removeHandler(kept)
    logging.root.setLevel(level)


def test_closed_loggers_stay_closed(at_root: Kept) -> None:
    """One that is there, with a handler and a level of its own; one that is made later, and set to
    DEBUG; and the first again, set to DEBUG. Others are heard.
    """
    names = ("a_library", "a_library.there", "a_library.there.later", "a_library.later")
    there = logging.getLogger(names[1])
    own = Kept()
    there.addHandler(own)
    there.setLevel(logging.DEBUG)
    there.debug(MARK)
    assert (at_root.texts, own.texts) == ([MARK], [MARK])
    close_logs("a_library")
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.critical(MARK)
    assert (len(at_root.texts), len(own.texts)) == (1, 1)
    logging.getLogger("a_library_of_another_name").debug(MARK)
    assert len(at_root.texts) == 2


@pytest.mark.parametrize("closed", [False, True])
def test_a_process_of_ours_prints_no_foreign_text(closed: bool) -> None:
    """Logs at any level, a warning, and what was raised where nobody catches it; without the
    closing each of them is seen.
    """
    command = [sys.executable, "-c", SAYS, *(["closed"] if closed else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    places = ("a log", "a warning", "a finaliser", "a thread")
    seen = [place for place in places if f"{MARK} in {place}" in done.stdout + done.stderr]
    assert seen == ([] if closed else list(places))
    if closed:
        assert done.stdout == ""
        assert done.stderr.splitlines() == [
            "mayfly: unexpected ValueError in a finaliser",
            "mayfly: unexpected ValueError in a thread",
        ]


def uses(text: str) -> list[str]:
    """Ways to print or log that a module uses."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] == "logging"]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] if node.module.split(".")[0] == "logging" else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in ("print", "pprint", "breakpoint") else []
        elif isinstance(node, ast.Attribute) and node.attr in SAY:
            found.append(node.attr)
    return found


def test_only_events_are_logged() -> None:
    """No module but the one that closes them touches a logger, warns, or prints."""
    found = {
        path.relative_to(SRC).as_posix(): used
        for path in SRC.rglob("*.py")
        if "testing" not in path.relative_to(SRC).parts
        and (used := uses(path.read_text(encoding="utf-8")))
    }
    assert found == {CLOSES: ["logging"]}


@pytest.mark.parametrize(
    "text",
    ["import logging", "from logging import getLogger", "print(1)", "import logging.config as c"],
)
def test_another_way_would_be_seen(text: str) -> None:
    """Each form of it."""
    assert uses(text) != []
