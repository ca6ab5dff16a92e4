"""Which bytes a process hands to files, seen from outside of it, by its system calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# What writes; what could without being seen as a write; and what makes a file of memory.
_CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,mmap,memfd_create,io_uring_setup,splice,vmsplice,tee,"
    "sendfile,copy_file_range,fallocate"
)
_LINE = re.compile(r"^(?:\[pid +)?[0-9]*\]? *(?P<call>[a-z0-9_]+)\((?P<args>.*)\) += ")
_FILE = re.compile(r"^[0-9]+<((?:\\x[0-9a-f]{2})+)>")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SYSTEM = ("/usr/", "/lib/", "/lib64/", "/etc/")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


@dataclass
class Trace:
    """What was seen.

    Attributes:
        writes: bytes that were handed to each regular file, call by call.
        mapped: regular files that were mapped, shared, so that they may be written.
        unseen: calls by which bytes move that this cannot read.
    """

    writes: dict[str, list[bytes]] = field(default_factory=dict)
    mapped: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)


def traced(
    command: Sequence[str], folder: Path, *, env: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], Trace]:
    """Run a command and all it starts under `strace`."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("needs strace (apt-get install strace)")
    log = folder / "trace.log"
    options = ["-f", "-y", "-xx", "-s", "2097152", "-e", f"trace={_CALLS}", "-o", str(log)]
    done = subprocess.run(
        [program, *options, *command], env=dict(env), capture_output=True, text=True, check=False
    )
    found = Trace()
    with log.open(encoding="ascii", errors="replace") as lines:
        for line in _whole(lines):
            _note(found, line)
    log.unlink()
    return done, found


def _whole(lines: Iterator[str]) -> Iterator[str]:
    """Calls that another thread's interrupted are put together again."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>").rstrip()
        elif rest.startswith("<... "):
            yield begun.pop(thread, "") + rest.partition("resumed>")[2]
        else:
            yield rest


def _note(found: Trace, line: str) -> None:
    match = _LINE.match(line)
    if match is None:
        return
    call, args = match["call"], match["args"]
    if call == "mmap":
        _note_mapping(found, args)
    elif call in ("write", "writev", "pwrite64", "pwritev", "pwritev2"):
        path = _path(args)
        if path is not None:
            data = b"".join(_bytes(text) for text in _TEXT.findall(args))
            found.writes.setdefault(path, []).append(data)
    elif call != "fallocate":
        found.unseen.append(call)


def _note_mapping(found: Trace, args: str) -> None:
    parts = args.split(", ")
    shared = len(parts) > 4 and "MAP_SHARED" in parts[3]
    path = _path(parts[4]) if shared else None
    # What is mapped for reading may be made writable later, except what the system maps of its own.
    if path is not None and ("PROT_WRITE" in parts[2] or not path.startswith(_SYSTEM)):
        found.mapped.add(path)


def _path(args: str) -> str | None:
    """Of a regular file, which pipes and sockets are not."""
    file = _FILE.match(args)
    path = _bytes(file[1]).decode("utf-8", "replace") if file is not None else ""
    return path if path.startswith("/") and not path.startswith(("/dev/", "/proc/")) else None


def _bytes(text: str) -> bytes:
    return bytes(int(code, 16) for code in _ESCAPE.findall(text))
