"""The suppression list beside the ledger's record of it."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import IntegrityError, PolicyError
from mayfly.ledger.checkpoint import Signer, verify_checkpoint
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.verify import Report, verify_ledger, verify_proof
from mayfly.services.settle_list import RecordedList

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
ACT = Entry(type=EntryType.REFUSED, workspace="shop", sync="vip", run="r1")


def of_the_workspace(kind: EntryType, **fields: object) -> Entry:
    """An entry as `App.workspace_entry` makes it."""
    return Entry(type=kind, workspace="shop", **fields)  # type: ignore[arg-type]


def digest(number: int) -> tuple[str, bytes]:
    """A keyed digest of the list."""
    return "email", bytes([number]) * 32


class World:
    """One workspace on a disk.

    Args:
        root: of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = FolderLedger.create(root / "ledger", SIGNER, lambda: NOW)
        store = self.open_store()
        store.create(workspace_id="shop-1", name="shop", installation_id="i", now=NOW)

    def open_store(self) -> SqlStore:
        """The store as another process opens it."""
        return SqlStore("sqlite", self.root / "store")

    def open(self) -> RecordedList:
        """The list as another process sees it."""
        ledger = FolderLedger(self.root / "ledger", SIGNER, lambda: NOW)
        return RecordedList(store=self.open_store(), ledger=ledger, entry=of_the_workspace)

    def add(self, *numbers: int) -> None:
        """Digests come to the list."""
        self.open_store().add_suppressions([digest(n) for n in numbers], NOW)

    def backup(self) -> Callable[[], None]:
        """A copy of the store, and how to bring it back."""
        shutil.copytree(self.root / "store", self.root / "backup")

        def restore() -> None:
            shutil.rmtree(self.root / "store")
            shutil.copytree(self.root / "backup", self.root / "store")

        return restore

    def entries(self) -> list[Entry]:
        """Of the list, in the ledger."""
        return [e for e in self.ledger.entries() if e.type is EntryType.SUPPRESSION]

    def verified(self) -> Report:
        """What the stand-alone verifier says."""
        return verify_ledger(self.root / "ledger", self.root / "ledger" / "key.pub")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty workspace."""
    return World(tmp_path)


def test_a_list_is_recorded_whenever_it_is_another(world: World) -> None:
    """Not before anybody is on it, not twice, and also when it is empty again."""
    world.open().settle()
    assert world.entries() == []
    world.add(1, 2)
    world.open().settle()
    world.open().settle()
    world.open_store().remove_suppressions([digest(1), digest(2)])
    world.open().settle()
    assert [e.rows for e in world.entries()] == [2, 0]
    assert world.verified().ok


def test_every_checkpoint_states_the_list_of_its_time(world: World) -> None:
    """Also one over later entries, one that another process signs, and one of a proof."""
    world.add(1)
    world.open().settle()
    world.ledger.append([ACT])
    noted = world.ledger.checkpoint()
    head = verify_checkpoint(noted, SIGNER.verifier_key)
    assert head.suppression is not None
    assert head.suppression.count == 1
    assert head.suppression.root.hex() == world.entries()[0].reason
    world.add(2)
    world.open().settle()
    assert world.ledger.consistency(2)["old_checkpoint"] == noted
    kept = world.root / "kept.checkpoint"
    kept.write_text(noted)
    report = verify_ledger(world.root / "ledger", world.root / "ledger" / "key.pub", [kept])
    assert (report.ok, report.anchored) == (True, True)
    proof = world.root / "proof.json"
    for document in (world.ledger.consistency(2), world.ledger.inclusion(1, 2)):
        proof.write_text(json.dumps(document))
        checked = verify_proof(proof, world.root / "ledger" / "key.pub", [kept])
        assert (checked.ok, checked.anchored) == (True, True)


def test_a_checkpoint_that_states_another_list_is_found(world: World) -> None:
    """By the verifier, and by whoever opens the ledger."""
    world.add(1)
    world.open().settle()
    file = world.root / "ledger" / "checkpoint"
    head = verify_checkpoint(file.read_text(), SIGNER.verifier_key)
    file.write_text(SIGNER.checkpoint(head.size, head.root))
    assert [p.code for p in world.verified().problems] == ["list_differs"]
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        world.open()


def test_a_store_older_than_the_record_is_refused_until_it_is_up_to_date(world: World) -> None:
    """Changes of it alone do not make it newer, however many; the missing entry does."""
    world.add(1)
    world.open().settle()
    restore = world.backup()
    world.add(2)
    world.open().settle()
    restore()
    for change in (lambda: None, lambda: world.add(3), lambda: world.add(4)):
        change()
        for act in (world.open().require_current, world.open().settle):
            with pytest.raises(PolicyError, match="suppression_outdated"):
                act()
        assert not world.open().settle_if_current()
    world.open_store().remove_suppressions([digest(3), digest(4)])
    world.add(2)
    assert world.open().settle_if_current()
    world.open().require_current()
    assert [e.rows for e in world.entries()] == [1, 2]
    world.add(3)
    world.open().settle()
    assert [e.rows for e in world.entries()] == [1, 2, 3]


def test_what_a_process_that_died_left_is_recorded_by_the_next(world: World) -> None:
    """Between the change and its record, and between the record and its note."""
    world.add(1)
    world.open().settle()
    world.open_store().note_suppression_recorded(0, 0)
    world.open().settle()
    assert world.open_store().suppression_recorded() == (1, 1)
    assert len(world.entries()) == 1


def test_a_ledger_made_anew_takes_the_list_over(world: World) -> None:
    """The store is the one that knows more."""
    world.add(1)
    world.open().settle()
    shutil.rmtree(world.root / "ledger")
    world.ledger = FolderLedger.create(world.root / "ledger", SIGNER, lambda: NOW)
    world.open().require_current()
    world.open().settle()
    assert [e.rows for e in world.entries()] == [1]
    assert world.open_store().suppression_recorded() == (1, 1)


def test_a_list_that_did_not_change_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run asks for it each time, and it may be long."""
    world.add(1)
    world.open().settle()

    def read(self: SqlStore) -> None:
        raise AssertionError("the list was read")

    monkeypatch.setattr(SqlStore, "suppression_digests", read)
    world.open().settle()
    world.open().require_current()
    assert len(world.entries()) == 1
    world.add(2)
    with pytest.raises(AssertionError):
        world.open().settle()


def test_a_clock_gone_back_is_no_older_list(world: World) -> None:
    """What else the ledger refuses is told as it is."""
    world.ledger.append([ACT])
    world.add(1)
    ledger = FolderLedger(world.root / "ledger", SIGNER, lambda: NOW - timedelta(hours=1))
    listed = RecordedList(store=world.open_store(), ledger=ledger, entry=of_the_workspace)
    with pytest.raises(PolicyError, match="clock_backwards"):
        listed.settle_if_current()


def test_processes_at_once_agree(world: World) -> None:
    """None finds the list older than what another one recorded."""
    failures: list[BaseException] = []

    def change(number: int) -> None:
        try:
            world.add(number)
            world.open().settle()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=change, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    world.open().require_current()
    assert world.entries()[-1].rows == 8


def test_the_root_is_that_of_the_sorted_digests(world: World) -> None:
    """Whoever has the list can work it out; the order it came in does not matter."""
    world.add(2, 1)
    world.open().settle()
    [entry] = world.entries()
    leaves = [hashlib.sha256(b"\x00" + bytes([n]) * 32).digest() for n in (1, 2)]
    expected = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    assert entry.reason == expected.hex()
    stated = world.ledger.checkpoint().split("\n")[3]
    assert stated == f"suppression 2 {base64.b64encode(expected).decode()}"
