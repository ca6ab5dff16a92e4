"""What a local state is made of: keyed digests of rows, and sealed rows of a plan."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.local_rows import SealedRows
from mayfly.domain.errors import IntegrityError

KEY = bytes(range(32))
ROWS = pa.table({"pos": pa.array([0, 1]), "t0": pa.array(["m4rk-1", None])})


def _keys(*texts: str) -> pa.Array:
    return pa.array([hashlib.sha256(t.encode()).digest() for t in texts], pa.binary())


def test_digests_of_rows_are_hmac_under_a_key_of_their_own() -> None:
    """Worked out here by hand, so that a state outlives the program that made it."""
    keys = _keys("1", "2")
    own = hmac.digest(KEY, b"local state/rows", "sha256")
    wanted = [hmac.digest(own, k, "sha256") for k in keys.to_pylist()]
    assert LocalDigests(KEY).rows(keys).to_pylist() == wanted
    own = hmac.digest(KEY, b"local state/values", "sha256")
    value = hashlib.md5(b"v", usedforsecurity=False).digest()
    wanted = [hmac.digest(own, value + k[:16], "sha256") for k in keys.to_pylist()]
    values = pa.chunked_array([pa.array([value, value], pa.binary())])
    assert LocalDigests(KEY).values(values, keys).to_pylist() == wanted


def test_equal_rows_do_not_look_equal() -> None:
    """A fingerprint is bound to its key; a missing one stays missing."""
    values = pa.array([b"f" * 16, b"f" * 16, None], pa.binary())
    first, second, third = LocalDigests(KEY).values(values, _keys("1", "2", "3")).to_pylist()
    assert first != second
    assert third is None


def test_the_mark_tells_keys_apart() -> None:
    """And is no digest of any row."""
    assert LocalDigests(KEY).mark == LocalDigests(KEY).mark
    assert LocalDigests(KEY).mark != LocalDigests(bytes(32)).mark
    assert repr(LocalDigests(KEY)) == "LocalDigests()"


def test_sealed_keys_come_back_column_by_column() -> None:
    """Whatever signs are in them; keys with an equal part do not look alike."""
    texts = [["", "1:", "é", "1:"], ["1:a", "", "2", "2"]]
    columns = [pa.chunked_array([pa.array(t, pa.string())]) for t in texts]
    sealed = LocalDigests(KEY).seal_keys(columns)
    assert [t.to_pylist() for t in LocalDigests(KEY).unseal_keys(sealed, 2)] == texts
    first, second = (s.as_py() for s in (sealed[1], sealed[3]))
    assert first[16:] != second[16:]
    with pytest.raises(IntegrityError, match="unseal_failed"):
        LocalDigests(bytes(32)).unseal_keys(sealed, 2)


def test_sealed_rows_come_back_to_the_plan_that_wrote_them(tmp_path: Path) -> None:
    """From a file for this user alone, in which nothing of them stands."""
    rows = SealedRows(tmp_path / "s.rows", "s")
    rows.begin("r1")
    rows.put(3, ROWS)
    [file] = (tmp_path / "s.rows").iterdir()
    assert file.name == "r1-3"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s.rows").stat().st_mode) == 0o700
    assert b"m4rk" not in file.read_bytes()
    assert rows.get(3).equals(ROWS)
    rows.drop(3)
    rows.drop(3)
    assert list((tmp_path / "s.rows").iterdir()) == []
    rows.clear()
    assert not (tmp_path / "s.rows").exists()


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    """Neither another process, nor the same plan in another batch's place, nor a later plan."""
    rows = SealedRows(tmp_path / "s.rows", "s")
    rows.begin("r1")
    rows.put(3, ROWS)
    with pytest.raises(IntegrityError, match="plan_rows_gone"):
        SealedRows(tmp_path / "s.rows", "s").get(3)
    (tmp_path / "s.rows" / "r1-3").rename(tmp_path / "s.rows" / "r1-4")
    with pytest.raises(IntegrityError, match="unseal_failed"):
        rows.get(4)
    rows.begin("r2")
    with pytest.raises(IntegrityError, match="plan_rows_gone"):
        rows.get(4)


def test_who_was_overtaken_takes_nothing_of_another_away(tmp_path: Path) -> None:
    """Only what it wrote itself; whoever holds the lease takes away everything."""
    mine, theirs = (SealedRows(tmp_path / "s.rows", "s") for _ in range(2))
    mine.begin("r1")
    theirs.begin("r2")
    theirs.put(0, ROWS)
    mine.put(0, ROWS)
    mine.end()
    mine.end()
    assert theirs.get(0).equals(ROWS)
    assert [f.name for f in (tmp_path / "s.rows").iterdir()] == ["r2-0"]
    theirs.clear()
    assert not (tmp_path / "s.rows").exists()
