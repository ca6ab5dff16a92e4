"""What a process tells the system before it has rows in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_SEEN = """
import ctypes, resource
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
_COMMAND = """
from mayfly.cli.entry import main
try:
    main(["schema"])
except SystemExit:
    pass
"""
_LOADED = """
import mayfly
from mayfly.domain.errors import EngineError
try:
    mayfly.load("nowhere")
except EngineError:
    pass
"""
_HEAPS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
at_once = threading.Barrier(3)
def allocate():
    libc.malloc(64)
    at_once.wait()
threads = [threading.Thread(target=allocate) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


def _seen(program: str, then: str = _SEEN) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}{then}"], capture_output=True, check=True, text=True
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
@pytest.mark.parametrize("program", [_COMMAND, _LOADED], ids=["command", "load"])
def test_what_holds_rows_writes_no_core_dump(program: str) -> None:
    """Neither the limit nor the flag that a debugger needs stays as the starting process had it."""
    assert _seen("")[1] == "1"
    assert _seen(program) == ["0", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_a_process_knows_whether_it_may_be_dumped() -> None:
    """From the system, not from having asked for it; where that does not answer, it may be."""
    program = """
import sys
from pathlib import Path
from mayfly.adapters.processes import close_leaks, writes_no_dump
before = writes_no_dump()
close_leaks()
after = writes_no_dump()
sys.platform = "darwin"
print(before, after, writes_no_dump())
"""
    assert _seen(program, "") == ["False", "True", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has several heaps")
def test_threads_of_a_command_share_a_heap() -> None:
    """What a batch took is there for the next one, whichever thread has it."""
    programs = (_HEAPS, f"{_COMMAND}{_HEAPS}")
    heaps = [
        subprocess.run([sys.executable, "-c", p], capture_output=True, check=True).stdout.count(
            b"<heap nr="
        )
        for p in programs
    ]
    assert heaps[0] > 1
    assert heaps[1] == 1


def test_a_command_takes_its_batches_from_the_same_heap() -> None:
    """Arrow's memory, too; but not where somebody chose another."""
    program = f"{_COMMAND}\nimport pyarrow\nprint(pyarrow.default_memory_pool().backend_name)"
    for chosen in ("system", "mimalloc"):
        environment = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
        if chosen != "system":
            environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            text=True,
            env=environment,
        )
        assert done.stdout.splitlines()[-1] == chosen


def _dumps() -> bool:
    """Whether the machine writes a core beside the process; others hand it to a program."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text("ascii").strip()
    return bool(pattern) and not pattern.startswith(("|", "/"))


_ABORTS = """
import contextlib, os, resource, sys
# A project that was opened in this process has lowered it for its children; some may raise it.
with contextlib.suppress(ValueError, OSError):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
print(hard != 0, flush=True)
if sys.argv[1:]:
    from mayfly.adapters.processes import own_process
    own_process()
os.abort()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_an_abort_dumps_no_core(tmp_path: Path) -> None:
    """Where the machine would write one, a process of ours has none."""

    def dumped(*words: str) -> tuple[bool, bool]:
        command = [sys.executable, "-c", _ABORTS, *words]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with process:
            assert process.stdout is not None
            may_dump = process.stdout.read().strip() == b"True"
            _, status = os.waitpid(process.pid, 0)
            process.returncode = -os.WTERMSIG(status)
        assert os.WTERMSIG(status) == signal.SIGABRT
        return os.WCOREDUMP(status), may_dump

    assert not dumped("closed")[0]
    assert list(tmp_path.iterdir()) == []
    # The control: a machine that dumps nobody, or not this process, shows nothing either way.
    was_dumped, may_dump = dumped()
    assert was_dumped == (may_dump and _dumps())
