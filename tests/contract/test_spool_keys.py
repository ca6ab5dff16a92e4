"""What holds for the file of keys: what is bound, what a deletion leaves, what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mayfly.adapters.spools import content, key_rows
from mayfly.adapters.spools.key_rows import KeyRow, KeyRows
from mayfly.adapters.spools.spool import FOLDER, KEYS_FILE
from mayfly.domain.errors import IntegrityError, TransientError
from mayfly.testing.fake_keys import FakeKeyProvider
from mayfly.testing.spool_world import (
    NOW_MS,
    SpoolWorld,
    batch,
    code_of,
    rows,
)
from spool_worlds import connected, execute, folder_world, read_all, spool_in


@pytest.fixture
def world(tmp_path: Path) -> SpoolWorld:
    """A project that holds nothing."""
    return folder_world(tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("region", "us-east-1"),
        ("workspace", "shop-2"),
        ("sync", "other"),
        ("target", "prod"),
        ("run", "r2"),
        ("batch", 2),
        ("operation", "add"),
        ("identifier", None),
        ("row_count", 4),
        ("cls", "temporary"),
        ("exception", None),
        ("read_at_ms", NOW_MS + 1),
        ("purge_by_ms", batch().purge_by_ms - 1),
    ],
)
def test_an_edited_row_does_not_open(
    world: SpoolWorld, tmp_path: Path, column: str, value: object
) -> None:
    """Not for the worker that the edit is for, though it has the same key encryption key."""
    world.open().hold(batch(), rows())
    execute(tmp_path, f"UPDATE batches SET {column} = ?", value)
    names = {column: str(value)} if column in ("region", "workspace") else {}
    other = world.open(**names)
    assert list(other.held()) == [batch(**{_FIELDS.get(column, column): _typed(column, value)})]
    assert code_of(other.open, batch().id) == "unwrap_failed"
    assert code_of(world.open(region="ap-south-1").open, batch().id) == "spool_elsewhere"


_FIELDS = {"row_count": "rows"}


def _typed(column: str, value: object) -> object:
    from mayfly.domain.retention import RetentionClass

    return RetentionClass(value) if column == "cls" else value


def test_a_sealed_form_is_bound_to_the_region_too(world: SpoolWorld, tmp_path: Path) -> None:
    """Where a key leaked out of its wrapping, another region's reader still has no use for it."""
    from mayfly.crypto.spool_stream import SpoolContext, open_stream

    keys: list[bytes] = []

    class Leaking(FakeKeyProvider):
        def wrap(self, dek: bytes, aad: bytes) -> bytes:
            keys.append(dek)
            return super().wrap(dek, aad)

    spool_in(tmp_path, Leaking()).hold(batch(), rows())
    (sealed,) = world.sealed().values()
    ours = SpoolContext(workspace="shop-1", region="eu-west-1", sync="vip", batch=batch().id)
    assert content.decompress(open_stream(keys[0], [sealed], ours)) == rows()
    theirs = SpoolContext(workspace="shop-1", region="us-east-1", sync="vip", batch=batch().id)
    with pytest.raises(IntegrityError):
        b"".join(open_stream(keys[0], [sealed], theirs))


def test_a_reader_that_keeps_old_pages_is_told(tmp_path: Path) -> None:
    """The key is deleted and the bytes are gone, but the purge is not done before the log is."""
    provider = FakeKeyProvider()
    spool = spool_in(tmp_path, provider, keys=KeyRows(tmp_path / KEYS_FILE, wait_seconds=0.05))
    spool.hold(batch(), rows())
    reader = sqlite3.connect(tmp_path / KEYS_FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM keys").fetchall()
    with pytest.raises(TransientError, match="spool_busy"):
        spool.purge([batch().id])
    assert not list((tmp_path / FOLDER).iterdir())
    assert spool.held() == []
    assert provider.given[0] in b"".join(read_all(tmp_path).values())
    reader.close()
    assert list(spool.purge([batch().id])) == [batch().id]
    assert provider.given[0] not in b"".join(read_all(tmp_path).values())


class LateKeyProvider(FakeKeyProvider):
    """It names the next version some time before it wraps under it."""

    def version(self) -> str:
        """The second, from the beginning."""
        return "v2"


def test_a_key_that_is_not_under_the_newest_version_is_told(tmp_path: Path) -> None:
    """It does not count as rewrapped; once the provider wraps under it, it is."""
    provider = LateKeyProvider()
    spool = spool_in(tmp_path, provider)
    spool.hold(batch(), rows())
    assert code_of(spool.rewrap) == "keys_unavailable"
    assert spool.key_versions([batch().id]) == {batch().id: "v1"}
    provider.rotate()
    assert spool.rewrap() == 1
    assert spool.key_versions([batch().id]) == {batch().id: "v2"}


def test_a_key_wrapped_anew_leaves_no_old_one(tmp_path: Path) -> None:
    """Not in the log either; a reader that keeps it is told, and a repeated call is enough."""
    provider = FakeKeyProvider()
    spool = spool_in(tmp_path, provider, keys=KeyRows(tmp_path / KEYS_FILE, wait_seconds=0.05))
    other = connected(tmp_path)
    spool.hold(batch(), rows())
    provider.rotate()
    other.execute("BEGIN")
    other.execute("SELECT * FROM keys").fetchall()
    assert code_of(spool.rewrap) == "spool_busy"
    assert provider.given[0] in b"".join(read_all(tmp_path).values())
    other.execute("COMMIT")
    assert spool.rewrap() == 0
    assert provider.given[0] not in b"".join(read_all(tmp_path).values())
    assert spool.open(batch().id) == rows()
    other.close()


def test_the_search_for_keys_sees_residue(
    world: SpoolWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `secure_delete` a purged key is found, so that not finding one says something."""
    pragmas = tuple(p.replace("secure_delete=ON", "secure_delete=OFF") for p in key_rows._PRAGMAS)
    monkeypatch.setattr(key_rows, "_PRAGMAS", pragmas)
    world.open().hold(batch(), rows())
    world.open().purge([batch().id])
    assert world.keys_found() == world.provider.given


def test_without_a_checkpoint_a_key_stays_in_the_log(
    world: SpoolWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half of the same: another connection keeps SQLite from tidying up at its end."""
    world.open().hold(batch(), rows())
    other = sqlite3.connect(tmp_path / KEYS_FILE)
    other.execute("SELECT count(*) FROM keys").fetchone()
    monkeypatch.setattr(KeyRows, "empty_log", lambda self: True)
    world.open().purge([batch().id])
    assert world.keys_found() == world.provider.given
    monkeypatch.undo()
    assert KeyRows(tmp_path / KEYS_FILE).empty_log()
    assert world.keys_found() == []
    other.close()


def test_some_batches_are_read_without_the_others(tmp_path: Path) -> None:
    """By deadline and each once; ids that nothing has count for nothing."""
    keys = KeyRows(tmp_path / KEYS_FILE)
    assert keys.some([batch(1).id]) == []
    keys.create("folder")
    noted = [
        KeyRow(held=batch(number), blob=f"{number}.spool", wrapped=b"key", key_version="v1")
        for number in (3, 1, 2)
    ]
    for row in noted:
        assert keys.write(row, instead_of=None)
    assert keys.some([]) == []
    assert keys.some([batch(3).id, "0" * 32, batch(1).id, batch(3).id]) == [noted[1], noted[0]]
    assert keys.get(batch(2).id) == noted[2]


def test_a_purge_reads_the_rows_of_its_batches_only(
    world: SpoolWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait beside them: else to purge all, one at a time, would be quadratic."""
    spool = world.open()
    for number in range(20):
        spool.hold(batch(number), rows())
    read: list[str] = []
    known = key_rows._row

    def counted(values: sqlite3.Row) -> KeyRow:
        read.append(values["batch_id"])
        return known(values)

    monkeypatch.setattr(key_rows, "_row", counted)
    assert list(spool.purge([batch(7).id])) == [batch(7).id]
    assert read == [batch(7).id]
    with closing(connected(tmp_path)) as connection:
        select = f"EXPLAIN QUERY PLAN {key_rows._statement('select_some')}"
        steps = [step[3] for step in connection.execute(select, {"batch_ids": "[]"})]
    assert any(step.startswith("SEARCH batches") for step in steps)
    assert not any(step.startswith("SCAN batches") for step in steps)


def test_a_finished_hold_is_not_replaced(tmp_path: Path) -> None:
    """Nor one that another process replaced or purged after it was seen to be unfinished."""
    keys = KeyRows(tmp_path / KEYS_FILE)
    keys.create("folder")
    one, two, three = (
        KeyRow(held=batch(), blob=f"{name}.spool", wrapped=name.encode(), key_version="v1")
        for name in ("one", "two", "three")
    )
    assert keys.write(one, instead_of=None)
    assert not keys.write(two, instead_of=None)
    assert keys.write(two, instead_of=one)
    assert not keys.write(three, instead_of=one)
    done = replace(two, sealed_sha256="0" * 64, sealed_bytes=1)
    assert not keys.finish(replace(done, blob=one.blob))
    assert keys.finish(done)
    assert not keys.write(three, instead_of=two)
    assert keys.all() == [done]
    assert not keys.replace_key(replace(two, wrapped=b"other"), b"new", "v2")
    assert keys.all() == [done]
    keys.drop_keys([two.blob])
    assert not keys.finish(done)
    keys.forget([two.blob])
    assert not keys.write(three, instead_of=two)
    assert keys.all() == []


def test_a_file_that_is_not_ours_is_damaged(tmp_path: Path) -> None:
    """Told without its bytes, and left as it is."""
    garbage = b"marked-7f3a is not a database " * 200
    (tmp_path / KEYS_FILE).write_bytes(garbage)
    spool = folder_world(tmp_path).open()
    for act in (spool.held, spool.sweep, spool.rewrap, lambda: spool.hold(batch(), b"")):
        with pytest.raises(IntegrityError) as caught:
            act()
        assert caught.value.code == "spool_rows_damaged"
        assert "marked" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.__suppress_context__
    assert (tmp_path / KEYS_FILE).read_bytes() == garbage


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE batches SET purge_by_ms = read_at_ms + 2592000001", "spool_rows_damaged"),
        ("UPDATE batches SET sync = 'ann@shop.test'", "spool_rows_damaged"),
        ("UPDATE batches SET cls = 'metadata'", "spool_rows_damaged"),
        ("UPDATE spool SET form = 2", "spool_newer"),
        ("UPDATE spool SET place = 's3://elsewhere'", "spool_place_changed"),
        ("DELETE FROM spool", "spool_rows_damaged"),
    ],
)
def test_a_file_of_another_form_is_refused(
    world: SpoolWorld, tmp_path: Path, statement: str, code: str
) -> None:
    """By every call that would act on it; nothing is removed."""
    spool = world.open()
    spool.hold(batch(), rows())
    execute(tmp_path, statement)
    before = read_all(tmp_path / FOLDER)
    calls: list[Callable[[], object]] = [
        spool.held,
        spool.sweep,
        lambda: spool.open(batch().id),
        lambda: spool.purge([batch().id]),
        lambda: spool.hold(batch(2), rows()),
    ]
    found = [code_of(call) for call in calls]
    if "batches" in statement:  # a hold of another batch does not read it
        assert found.pop() == ""
    assert set(found) == {code}
    assert before.items() <= read_all(tmp_path / FOLDER).items()
