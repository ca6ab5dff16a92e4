"""Commands on a real terminal of 80 columns: what stands on the screen in the end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import duckdb

from end_to_end.projects import FILES, approved, make_project
from mayfly.api import Project, load
from mayfly.sandbox.server import SandboxServer

COLUMNS = 80
# What is pressed there reaches only whom the terminal controls.
CONTROLLED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Terminal:
    """A command on a pseudo-terminal, and the screen it leaves."""

    def __init__(self, words: Sequence[str]) -> None:
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        unset = ("COLUMNS", "LINES", "NO_COLOR", "TERM")
        environment = {k: v for k, v in os.environ.items() if k not in unset}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLED, sys.executable, "-m", "mayfly", *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**environment, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(inner)
        self._written = b""

    def until(self, text: str) -> None:
        """Read on until a text was shown."""
        while text not in self.text():
            assert self._read(), self.text()

    def press(self, keys: str) -> None:
        """What a person types."""
        os.write(self._end, keys.encode())

    def ended(self) -> tuple[int, list[str]]:
        """Exit code, and the lines on the screen."""
        while self._read():
            pass
        os.close(self._end)
        return self._process.wait(), screen(self.text())

    def text(self) -> str:
        """All that was written."""
        return self._written.decode(errors="replace")

    def _read(self) -> bool:
        try:
            more = os.read(self._end, 65_536)
        except OSError:  # the other end is closed
            return False
        self._written += more
        return bool(more)


def screen(written: str) -> list[str]:
    """The lines that stay, of a terminal that knows what our output uses."""
    lines: list[list[str]] = [[]]
    row = column = place = 0
    while place < len(written):
        control = CONTROL.match(written, place)
        if control is not None:
            place = control.end()
            if control[2] == "A":
                row = max(0, row - int(control[1] or 1))
            elif control[2] == "K":
                lines[row] = [] if control[1] == "2" else lines[row][:column]
            continue
        letter, place = written[place], place + 1
        if letter == "\r":
            column = 0
            continue
        if letter == "\n" or column == COLUMNS:
            row, column = row + 1, 0
            lines += [[] for _ in range(row + 1 - len(lines))]
        if letter == "\n":
            continue
        lines[row] += [" "] * (column + 1 - len(lines[row]))
        lines[row][column] = letter
        column += 1
    shown = ["".join(line).rstrip() for line in lines]
    return [line for line in shown if line]


def busy(root: Path, sandbox: SandboxServer) -> Project:
    """Everybody's e-mail waits to be replaced, in more batches than go at a time, and the platform
    is to ask each of the first for a pause.
    """
    text = FILES.replace("    mode: audience\n", "    mode: audience\n    batch_rows: 25\n")
    assert text != FILES
    project = approved(make_project(root, sandbox.url, text=text))
    project.run("to_meta")
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET email = 'new' || id || '@example.com'")
    body = {"path": "/*/users", "kind": "503", "count": 2, "retry_after_seconds": 4}
    request = urllib.request.Request(
        f"{sandbox.url}/_sandbox/faults", json.dumps(body).encode(), method="POST"
    )
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()
    return project


def test_ctrl_c_leaves_a_clean_screen(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The batch in hand is answered, the next is not begun; the bar is gone, and the last line
    says how to go on.
    """
    project = busy(tmp_path, sandbox)
    terminal = Terminal(["run", "to_meta", "--project", str(tmp_path)])
    terminal.until("0/200 rows")
    terminal.press("\x03")
    code, lines = terminal.ended()
    assert code == 4
    assert "planning" in terminal.text()
    said = " ".join(lines)
    assert "Stopping after the batch in hand; `mayfly run` goes on from there." in said
    assert re.search(r"to_meta cancelled in [0-9.]+ s", said)
    assert lines[-1] == "  stopped; `mayfly run` goes on from there, nothing is lost"
    assert "━" not in said
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "succeeded"


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, sandbox: SandboxServer) -> None:
    """No traceback and no bar; the next run finds a holder that is dead, and goes on."""
    project = busy(tmp_path, sandbox)
    terminal = Terminal(["run", "to_meta", "--project", str(tmp_path)])
    terminal.until("0/200 rows")
    terminal.press("\x03")
    terminal.until("Stopping after")
    terminal.press("\x03")
    code, lines = terminal.ended()
    assert (code, lines[-1]) == (
        4,
        "Stopped. `mayfly run` goes on from here; nothing was lost.",
    )
    assert "━" not in "".join(lines)
    assert "Traceback" not in "".join(lines)
    assert project.run("to_meta").to_dict()["syncs"][0]["status"] == "succeeded"


def test_the_sandbox_ends_by_ctrl_c() -> None:
    """It says where it is, and leaves without a word."""
    terminal = Terminal(["sandbox", "--port", str(free_port())])
    terminal.until("until Ctrl-C.")
    terminal.press("\x03")
    code, lines = terminal.ended()
    assert (code, lines[1:]) == (0, ["^C"])


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_nothing_is_cut_on_a_narrow_terminal(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Long names go on below, and lines break between words."""
    long = "a_column_whose_name_is_longer_than_any_other_" * 2
    root = make_project(tmp_path, sandbox.url)
    # What nobody approved yet is not counted.
    approved(root)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(f"ALTER TABLE people RENAME city TO {long}")
    path = root / "mayfly.yml"
    text = path.read_text().replace("city: {}", f"{long}: {{}}")
    path.write_text(text.replace("city: city", f"city: {long}"))
    code, lines = Terminal(["plan", "to_crm", "--project", str(root)]).ended()
    assert code == 3
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= COLUMNS
    for begun in ("to_crm  mirror", "internal: care", "added 100   changed 0", "refused app"):
        assert any(line.startswith(begun) for line in lines), lines
    code, lines = Terminal(["run", "nothing_of_that_name", "--project", str(root)]).ended()
    assert code == 64
    assert lines[-1] == "  → The project has: to_crm, to_meta."


def test_a_question_breaks_between_words(tmp_path: Path, sandbox: SandboxServer) -> None:
    """And whoever says no has changed nothing."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_crm")
    terminal = Terminal(["state", "drop", "to_crm", "--project", str(tmp_path)])
    terminal.until("[y/N]: ")
    terminal.press("n\n")
    code, lines = terminal.ended()
    assert (code, lines[-1]) == (4, "Stopped.")
    assert "What is at the destination stays there" in " ".join(" ".join(lines).split())
    assert project.state("to_crm")["states"][0]["rows"] == 100


def test_a_suppression_list_is_counted_by_kind(tmp_path: Path, sandbox: SandboxServer) -> None:
    """One line for each."""
    make_project(tmp_path, sandbox.url)
    code, lines = Terminal(["suppress", "list", "--project", str(tmp_path)]).ended()
    assert code == 0
    assert lines == ["total: 0", "  email: 0", "  phone: 0", "  primary_key: 0"]


def test_a_prompt_does_not_show_the_secret(tmp_path: Path, sandbox: SandboxServer) -> None:
    """`mayfly connect` asks for it, and stores what was typed unseen."""
    text = FILES.replace("env:META_TOKEN", "connection:meta")
    root = make_project(tmp_path / "project", sandbox.url, text=text)
    terminal = Terminal(["connect", "meta", "--project", str(root)])
    # The blank comes once nothing typed before is thrown away.
    terminal.until("not shown): ")
    terminal.press("marked-7f3a\n")
    code, lines = terminal.ended()
    assert code == 0, lines
    assert "marked" not in terminal.text()
    app = load(root).app
    assert app.connections.vault.get(app.connections.place("meta")).secret == "marked-7f3a"
