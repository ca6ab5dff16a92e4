"""`approvals.lock`: whole or not at all, and no change of two is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import ConfigError
from mayfly.services.approvals_lock import (
    LOCK_FILE,
    Asked,
    Locked,
    LockFile,
    PeopleLine,
    changing_lock,
    read_lock,
    read_lock_file,
    write_lock,
)

ADD_ONE = """
import sys
from pathlib import Path
from mayfly.services.approvals_lock import Locked, changing_lock
print("ready", flush=True)
with changing_lock(Path(sys.argv[1])) as lock:
    lock["two", "dev"] = Locked("2" * 64, "other")
"""


TEXTS = st.text(max_size=8)
LOCKED = st.builds(
    Locked,
    TEXTS,
    **dict.fromkeys(("actor", "author", "asked_on", "requested", "approved"), TEXTS),
    asked=st.none()
    | st.builds(Asked, **dict.fromkeys(("fingerprint", "author", "asked_on", "signature"), TEXTS)),
)
LISTED = st.builds(
    PeopleLine,
    people=st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2), max_size=2),
    **dict.fromkeys(("digest", "before", "author", "requested", "actor", "approved"), TEXTS),
)


@given(
    syncs=st.dictionaries(st.tuples(TEXTS, TEXTS), LOCKED, max_size=3),
    people=st.lists(LISTED, max_size=3),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    syncs: dict[tuple[str, str], Locked],
    people: list[PeopleLine],
) -> None:
    """Approvals, requests, signatures and lists of people; to change a sync keeps the lists."""
    root = tmp_path_factory.mktemp("lock")
    write_lock(root, syncs, people)
    assert read_lock_file(root) == LockFile(syncs=syncs, people=people)
    with changing_lock(root) as lock:
        lock.clear()
    assert read_lock_file(root) == LockFile(people=people)


def test_a_line_of_one_member_is_as_it_was(tmp_path: Path) -> None:
    """What two people have is written only where there are two."""
    write_lock(tmp_path, {("a", "dev"): Locked("f", "ops")})
    [_, line] = (tmp_path / LOCK_FILE).read_text("utf-8").splitlines()
    assert line == '{"actor": "ops", "fingerprint": "f", "sync": "a", "target": "dev"}'


@pytest.mark.parametrize(
    "line",
    [
        '{"people": 5}',
        '{"people": ["a"]}',
        '{"sync": "a", "target": "dev", "fingerprint": "f", "request": 5}',
        '{"sync": "a", "target": "dev", "fingerprint": "f", "request": {"author": "a"}}',
    ],
)
def test_half_a_proof_is_no_line(tmp_path: Path, line: str) -> None:
    """A request or a list that is not whole is not read past."""
    (tmp_path / LOCK_FILE).write_text(line + "\n", "utf-8")
    with pytest.raises(ConfigError, match="approvals_lock_unreadable"):
        read_lock_file(tmp_path)


def test_another_process_waits_and_adds_to_what_it_finds(tmp_path: Path) -> None:
    """It begins while the file is being changed; both changes stand."""
    command = [sys.executable, "-c", ADD_ONE, str(tmp_path)]
    with changing_lock(tmp_path) as lock:
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        lock["one", "dev"] = Locked("1" * 64, "ops")
    with other:
        assert other.wait(60) == 0
    assert read_lock(tmp_path) == {
        ("one", "dev"): Locked("1" * 64, "ops"),
        ("two", "dev"): Locked("2" * 64, "other"),
    }


def test_no_change_of_many_is_lost(tmp_path: Path) -> None:
    """Each reads what the others wrote before it."""

    def add(number: int) -> None:
        for turn in range(10):
            with changing_lock(tmp_path) as lock:
                lock[f"{number}-{turn}", "dev"] = Locked("0" * 64)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_lock(tmp_path)) == 40


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """And lets the next one in."""

    def fail(lock: dict[tuple[str, str], Locked]) -> None:
        lock["one", "dev"] = Locked("1" * 64)
        raise KeyError

    with pytest.raises(KeyError), changing_lock(tmp_path) as lock:
        fail(lock)
    assert read_lock(tmp_path) == {}
    with changing_lock(tmp_path) as lock:
        lock["two", "dev"] = Locked("2" * 64)
    assert list(read_lock(tmp_path)) == [("two", "dev")]


def test_a_folder_that_is_away_is_told(tmp_path: Path) -> None:
    """With the number of the error."""
    with pytest.raises(ConfigError) as caught, changing_lock(tmp_path / "nowhere"):
        pass
    assert caught.value.code == "approvals_lock_unwritable"


def test_the_lock_keeps_what_it_held(tmp_path: Path) -> None:
    """Round trip in one order, one entry a line, with no other file left beside it."""
    lock = {("b", "prod"): Locked("2" * 64, "ops"), ("a", "dev"): Locked("1" * 64)}
    write_lock(tmp_path, lock)
    assert read_lock(tmp_path) == lock
    comment, *lines = (tmp_path / LOCK_FILE).read_text("utf-8").splitlines()
    assert comment.startswith("#")
    entries = [json.loads(line) for line in lines]
    assert [(e["sync"], e.get("actor")) for e in entries] == [("a", None), ("b", "ops")]
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


def test_the_lock_is_synced_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File first, then the name, then the folder: no crash leaves half a file."""
    acts: list[str] = []
    fsync, rename = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        acts.append("fsync")
        fsync(descriptor)

    def noted_rename(old: Path, new: Path) -> None:
        acts.append("replace")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_rename)
    write_lock(tmp_path, {("a", "dev"): Locked("1" * 64)})
    assert acts == ["fsync", "replace", "fsync"]


def test_a_failed_write_leaves_the_old_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told by its number and destroys nothing."""
    write_lock(tmp_path, {("a", "dev"): Locked("1" * 64)})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError) as caught:
        write_lock(tmp_path, {})
    assert caught.value.code == "approvals_lock_unwritable"
    assert read_lock(tmp_path) == {("a", "dev"): Locked("1" * 64)}
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


@pytest.mark.parametrize(
    "line",
    [b"marked", b"[]", b"{}", b'"marked"', b'{"sync": "marked"}', b"\xff", b"[" * 100_000],
    ids=["text", "list", "object", "string", "part", "bytes", "deep"],
)
def test_a_damaged_lock_is_told_with_its_line(tmp_path: Path, line: bytes) -> None:
    """And with nothing of what stands there; merge marks of Git are such lines."""
    (tmp_path / LOCK_FILE).write_bytes(b"# comment\n" + line + b"\n")
    with pytest.raises(ConfigError) as caught:
        read_lock(tmp_path)
    assert caught.value.code == "approvals_lock_unreadable"
    assert "marked" not in str(caught.value)


def test_a_lock_of_another_encoding_is_told(tmp_path: Path) -> None:
    """UTF-16, as some editors write."""
    (tmp_path / LOCK_FILE).write_bytes("# x".encode("utf-16"))
    with pytest.raises(ConfigError):
        read_lock(tmp_path)


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    """A project in which nothing was approved has no file."""
    assert read_lock(tmp_path) == {}
