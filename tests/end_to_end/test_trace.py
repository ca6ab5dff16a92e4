"""No file but the destination's own is ever handed a value, seen by the process's system calls."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import FILES, make_project
from mayfly.api import load
from mayfly.privacy.scan import scan_bytes
from mayfly.sandbox.server import SandboxServer
from traces import Trace, traced

pytestmark = pytest.mark.slow
CITY, NAME = "canaryville", "canary.person"
# SQLite's index of its log: numbers of pages, and none of their content.
INDEX = "-shm"


def given_away(trace: Trace, *, but: tuple[str, ...]) -> list[str]:
    """Files that were handed a marker in any form, other than those that hold it anyway."""
    known = [CITY.encode(), NAME.encode()]
    return sorted(
        path
        for path, writes in trace.writes.items()
        if not Path(path).name.startswith(but) and scan_bytes(b"".join(writes), known)
    )


def faults(trace: Trace, *, but: tuple[str, ...] = ("crm.sqlite",)) -> list[str]:
    """What a run may not do: each as a word or a path."""
    mapped = [p for p in trace.mapped if not p.endswith(INDEX)]
    return [*given_away(trace, but=but), *sorted(mapped), *trace.unseen]


@pytest.mark.parametrize("state", ["source", "local"])
def test_a_run_hands_no_value_to_any_other_file(tmp_path: Path, state: str) -> None:
    """To a platform and to a table; the table's own file shows that it would be seen.

    A DuckDB file that holds the state as well writes the customer's own blocks anew beside ours;
    that no working copy holds a value is shown elsewhere.
    """
    own = ("crm.sqlite", "shop.duckdb") if state == "source" else ("crm.sqlite",)
    text = FILES
    if state == "local":
        text = (
            FILES.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")
            .replace("mode: audience", "mode: upsert")
            .replace("mode: mirror", "mode: upsert")
        )
    with SandboxServer(port=0, record_bodies=False) as sandbox:
        root = make_project(tmp_path / "project", sandbox.url, rows=300, text=text)
        with duckdb.connect(str(root / "shop.duckdb")) as connection:
            connection.execute(
                f"UPDATE people SET city = '{CITY}', email = '{NAME}' || id || '@example.com'"
            )
        load(root).approve(actor="tester")
        command = [sys.executable, "-m", "mayfly", "run", "--project", str(root)]
        done, trace = traced(command, tmp_path, env={**os.environ, "META_TOKEN": "t0ken"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert faults(trace, but=own) == []
    assert given_away(trace, but=()) != []
    assert any(name.endswith("shop.duckdb") or "state" in name for name in trace.writes)


LEAKS = {
    "a spill of two milliseconds": (
        "import tempfile\nwith tempfile.NamedTemporaryFile(dir=FOLDER) as f:\n"
        "    f.write(VALUE); f.flush()\n"
    ),
    "in hexadecimal": "open(FOLDER + '/x', 'w').write(VALUE.hex())\n",
    "a shared mapping": (
        "import mmap\nf = open(FOLDER + '/x', 'w+b'); f.truncate(4096)\n"
        "m = mmap.mmap(f.fileno(), 4096); m[:len(VALUE)] = VALUE\n"
    ),
    "a file of memory": "import os\nos.write(os.memfd_create('x'), VALUE)\n",
    "a traceback with locals": (
        "import traceback\n"
        "def fail():\n    row = VALUE\n    raise ValueError\n"
        "try:\n    fail()\nexcept ValueError as error:\n"
        "    told = traceback.TracebackException.from_exception(error, capture_locals=True)\n"
        "    open(FOLDER + '/x.log', 'w').writelines(told.format())\n"
    ),
    "a row that is deleted at once": (
        "import sqlite3\nc = sqlite3.connect(FOLDER + '/x.sqlite')\n"
        "c.execute('PRAGMA secure_delete = OFF')\nc.execute('CREATE TABLE t (v)')\n"
        "c.execute('INSERT INTO t VALUES (?)', (VALUE,)); c.commit()\n"
        "c.execute('DELETE FROM t'); c.commit()\n"
    ),
    "a ring of requests": (
        "import ctypes\nctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(256))\n"
    ),
    "a pipe into a file": (
        "import os\nr, w = os.pipe(); os.write(w, VALUE)\n"
        "os.splice(r, os.open(FOLDER + '/x', os.O_RDWR | os.O_CREAT), len(VALUE))\n"
    ),
    "a mapping made writable later": (
        "import ctypes, mmap\nf = open(FOLDER + '/x', 'w+b'); f.truncate(4096)\n"
        "lib = ctypes.CDLL(None); lib.mmap.restype = ctypes.c_void_p\n"
        "at = lib.mmap(None, ctypes.c_size_t(4096), 1, 1, f.fileno(), ctypes.c_long(0))\n"
        "assert lib.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3) == 0\n"
        "ctypes.memmove(at, VALUE, len(VALUE))\n"
    ),
    "a copy in the kernel": (
        "import os\na = os.open(FOLDER + '/x', os.O_RDWR | os.O_CREAT)\n"
        "b = os.open(FOLDER + '/y', os.O_RDWR | os.O_CREAT)\nos.copy_file_range(a, b, 1)\n"
    ),
}


@pytest.mark.each
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_seen(tmp_path: Path, name: str) -> None:
    """Also one that no look at the disk afterwards would find."""
    code = f"FOLDER, VALUE = {str(tmp_path)!r}, {NAME.encode()!r}\n{LEAKS[name]}"
    done, trace = traced([sys.executable, "-c", code], tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert faults(trace) != []


def test_a_program_that_leaks_nothing_is_not_accused(tmp_path: Path) -> None:
    """It writes, maps and says something else."""
    code = f"open({str(tmp_path / 'x')!r}, 'w').write('nothing'); print('{NAME}')"
    done, trace = traced([sys.executable, "-c", code], tmp_path, env=os.environ)
    assert done.stdout == f"{NAME}\n"
    assert faults(trace) == []
    assert str(tmp_path / "x") in trace.writes
