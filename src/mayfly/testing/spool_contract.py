"""What every spool promises, as a suite of tests. Subclass it and give a `SpoolWorld`."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from mayfly.domain.errors import IntegrityError, PolicyError, TransientError
from mayfly.ports.spool import Spool
from mayfly.testing.spool_reseal_contract import ResealContract
from mayfly.testing.spool_world import (
    DAY_MS,
    NOW_MS,
    Killed,
    SpoolWorld,
    at_step,
    batch,
    code_of,
    finds,
    marker,
    on_step,
    rows,
    steps_of,
)


class SpoolContract(ResealContract):
    """The tests. Each gets a place where nothing is held."""

    @pytest.fixture
    def world(self) -> SpoolWorld:
        """The place under test."""
        raise NotImplementedError

    def test_every_method_of_the_port_is_called_here(self) -> None:
        """A method added to the port without a test in this suite fails here."""
        methods = {name for name in vars(Spool) if not name.startswith("_")}
        wanted = {"hold", "reseal", "open", "held", "purge", "rewrap", "sweep"}
        assert methods == wanted | {"key_versions", "remains", "sizes"}

    @pytest.mark.parametrize("content", [b"", b"x", rows(), os.urandom((1 << 20) + 5)])
    def test_a_batch_comes_back_as_it_was(self, world: SpoolWorld, content: bytes) -> None:
        """From another process, content and all that is known of it; as often as one asks."""
        world.open().hold(batch(), content)
        other = world.open()
        assert list(other.held()) == [batch()]
        assert other.open(batch().id) == content
        assert other.open(batch().id) == content

    def test_nothing_is_there_at_first(self, world: SpoolWorld) -> None:
        """Every call works on a place that nobody used, and makes nothing."""
        spool = world.open()
        assert list(spool.held()) == []
        assert list(spool.remains()) == []
        assert list(spool.purge([batch().id])) == []
        assert spool.rewrap() == 0
        assert spool.sweep() == 0
        assert spool.key_versions([batch().id]) == {}
        assert spool.sizes() == {}
        assert code_of(spool.open, batch().id) == "spool_gone"
        assert not any(world.stored().values())

    def test_the_receipt_is_of_the_sealed_bytes(self, world: SpoolWorld) -> None:
        """Their SHA-256 and length, and the version that wraps the key."""
        receipt = world.open().hold(batch(), rows())
        (sealed,) = world.sealed().values()
        assert receipt.ciphertext_sha256 == hashlib.sha256(sealed).hexdigest()
        assert receipt.bytes == len(sealed)
        assert world.open().sizes() == {batch().id: len(sealed)}
        assert receipt.key_version == world.provider.version()
        assert len(sealed) < len(rows())

    def test_nothing_is_clear_at_any_moment(self, world: SpoolWorld) -> None:
        """The marker is nowhere, not even compressed, before or after any change."""
        seen = []

        def look(name: str) -> None:
            seen.append(name)
            assert not any(finds(b, marker()) for b in world.stored().values()), name
            assert not any(finds(n.encode(), marker()) for n in world.stored()), name

        spool = world.open(fault=look)
        spool.hold(batch(), rows())
        assert finds(spool.open(batch().id), marker())
        spool.rewrap()
        spool.purge([batch().id])
        assert len(seen) > 8

    def test_keys_and_sealed_bytes_are_apart(self, world: SpoolWorld) -> None:
        """No sealed bytes hold a wrapped key, in a place that does hold it."""
        world.open().hold(batch(), rows())
        assert world.keys_found() == world.provider.given
        assert not any(world.provider.given[0] in b for b in world.sealed().values())

    def test_each_batch_has_a_key_of_its_own(self, world: SpoolWorld) -> None:
        """Batches of one content share nothing, and bytes put in another's place do not open."""
        spool = world.open()
        spool.hold(batch(1), rows())
        spool.hold(batch(2), rows())
        (one, two) = world.sealed()
        assert len(set(world.provider.given)) == 2
        first, second = world.sealed()[one], world.sealed()[two]
        world.replace(one, second)
        world.replace(two, first)
        for number in (1, 2):
            assert code_of(spool.open, batch(number).id) == "spool_damaged"

    @pytest.mark.parametrize("damage", ["flip", "cut", "add", "empty", "gone"])
    def test_damaged_bytes_do_not_open(self, world: SpoolWorld, damage: str) -> None:
        """Nor do those that are gone, which has a code of its own."""
        spool = world.open()
        spool.hold(batch(), rows())
        ((name, sealed),) = world.sealed().items()
        half = len(sealed) // 2
        damaged = {
            "flip": sealed[:half] + bytes((sealed[half] ^ 1,)) + sealed[half + 1 :],
            "cut": sealed[:-1],
            "add": sealed + b"\0",
            "empty": b"",
            "gone": None,
        }[damage]
        world.replace(name, damaged)
        expected = "spool_gone" if damage == "gone" else "spool_damaged"
        assert code_of(spool.open, batch().id) == expected

    def test_another_place_cannot_hold_or_open(self, world: SpoolWorld) -> None:
        """A worker of another region or workspace, though it has the same keys and bytes."""
        world.open().hold(batch(), rows())
        elsewhere = (
            world.open(region="us-east-1"),
            world.open(region=""),
            world.open(workspace="shop-2"),
        )
        for spool in elsewhere:
            assert code_of(spool.open, batch().id) == "spool_elsewhere"
            assert code_of(spool.hold, batch(2), b"") == "spool_elsewhere"
            assert spool.rewrap() == 0
        assert len(world.sealed()) == 1

    def test_without_the_provider_nothing_is_written(self, world: SpoolWorld) -> None:
        """Not a byte; and what is held waits until it is back."""
        spool = world.open()
        spool.hold(batch(1), rows())
        before = dict(world.stored())
        world.provider.is_away = True
        assert code_of(spool.hold, batch(2), rows()) == "keys_unavailable"
        assert code_of(spool.open, batch(1).id) == "keys_unavailable"
        assert world.stored() == before
        assert list(spool.held()) == [batch(1)]
        world.provider.is_away = False
        assert spool.open(batch(1).id) == rows()

    def test_without_the_provider_a_purge_goes_on(self, world: SpoolWorld) -> None:
        """Destroying needs no key."""
        spool = world.open()
        spool.hold(batch(), rows())
        world.provider.is_away = True
        assert list(spool.purge([batch().id])) == [batch().id]
        assert world.is_clean()

    def test_a_purge_leaves_nothing(self, world: SpoolWorld) -> None:
        """No sealed bytes and no wrapped key anywhere; others stay; it may be repeated."""
        spool = world.open()
        for number in (1, 2, 3):
            spool.hold(batch(number), rows(number))
        wanted = [batch(3).id, "0" * 32, batch(1).id, batch(3).id]
        assert list(spool.purge(wanted)) == [batch(3).id, batch(1).id]
        assert list(spool.purge(wanted)) == []
        assert [b.id for b in spool.held()] == [batch(2).id]
        assert code_of(spool.open, batch(1).id) == "spool_gone"
        assert spool.open(batch(2).id) == rows(2)
        assert world.keys_found() == [world.provider.given[1]]
        assert len(world.sealed()) == 1

    @pytest.mark.parametrize("ending", ["purge", "sweep"])
    def test_a_purge_cut_off_anywhere(self, world: SpoolWorld, ending: str) -> None:
        """The key goes first: past the first change there is noise, which either call removes."""
        world.open().hold(batch(0), rows())
        steps = steps_of(world, lambda s: s.purge([batch(0).id]))
        assert len(steps) >= 4
        for number, name in enumerate(steps):
            given = len(world.provider.given)
            world.open().hold(batch(number), rows())
            with pytest.raises(Killed):
                world.open(fault=at_step(number, Killed())).purge([batch(number).id])
            spool = world.open()
            key_is_there = bool(set(world.keys_found()) & set(world.provider.given[given:]))
            if number == 0:
                assert spool.open(batch(number).id) == rows()
            else:
                assert code_of(spool.open, batch(number).id) == "spool_gone", name
                assert list(spool.held()) == []
                assert not key_is_there or name.endswith(":before") or number == 1, name
            is_last = number == len(steps) - 1
            if ending == "purge" or number == 0:
                found = list(spool.purge([batch(number).id]))
                assert found == ([] if is_last else [batch(number).id])
            else:
                assert spool.sweep() == (0 if is_last else 1)
            assert world.is_clean(), name

    @pytest.mark.parametrize("again", [False, True])
    def test_a_hold_cut_off_anywhere(self, world: SpoolWorld, again: bool) -> None:
        """A batch is held whole, or what is left is noise that a sweep or another hold clears."""
        steps = steps_of(world, lambda s: s.hold(batch(0), rows()))
        world.open().purge([batch(0).id])
        assert len(steps) >= 6
        outcomes = []
        for number, name in enumerate(steps, start=1):
            held = batch(number)
            with pytest.raises(Killed):
                world.open(fault=at_step(number - 1, Killed())).hold(held, rows())
            spool = world.open()
            outcomes.append(bool(spool.held()))
            if outcomes[-1]:
                assert spool.open(held.id) == rows(), name
                assert spool.sweep() == 0, name
            elif again:
                later = replace(held, read_at_ms=NOW_MS + 5, purge_by_ms=held.purge_by_ms - 5)
                spool.hold(later, rows())
                assert spool.open(held.id) == rows(), name
                assert len(world.sealed()) == len(world.keys_found()) == 1, name
            else:
                assert code_of(spool.open, held.id) == "spool_gone", name
                spool.sweep()
                assert world.is_clean(), name
            spool.purge([held.id])
            assert world.is_clean(), name
        assert outcomes == [False] * (len(steps) - 1) + [True]

    def test_a_hold_that_fails_leaves_nothing(self, world: SpoolWorld) -> None:
        """A full disk at any step: its error comes out, and no sweep is needed."""
        steps = steps_of(world, lambda s: s.hold(batch(0), rows()))
        world.open().purge([batch(0).id])
        for number, name in enumerate(steps[:-1], start=1):
            full = TransientError("disk_full", "The disk is full.")
            spool = world.open(fault=at_step(number - 1, full))
            assert code_of(spool.hold, batch(number), rows()) == "disk_full", name
            assert list(spool.held()) == []
            if not name.startswith("write:after"):  # whether it was committed is not known there
                assert world.is_clean(), name
            spool.sweep()
            assert world.is_clean(), name
            spool.hold(batch(number), rows())
            spool.purge([batch(number).id])

    def test_a_second_hold_moves_no_deadline(self, world: SpoolWorld) -> None:
        """It gives the same receipt; key, bytes and times stay."""
        spool = world.open()
        receipt = spool.hold(batch(), rows())
        before = dict(world.sealed())
        later = batch(read_at_ms=NOW_MS + DAY_MS, purge_by_ms=NOW_MS + 31 * DAY_MS)
        assert world.open().hold(later, rows()) == receipt
        assert list(spool.held()) == [batch()]
        assert world.sealed() == before
        assert world.keys_found() == [world.provider.given[0]]

    def test_a_second_hold_of_an_unfinished_one_moves_no_deadline(self, world: SpoolWorld) -> None:
        """The deadline that a dead process noted stays, unless the new one is earlier."""
        for number, days in ((1, 2), (2, -2)):
            first = batch(number, purge_by_ms=NOW_MS + 10 * DAY_MS)
            cut = world.open(fault=on_step("put:before", Killed()))
            with pytest.raises(Killed):
                cut.hold(first, rows())
            moved = replace(first, purge_by_ms=first.purge_by_ms + days * DAY_MS)
            world.open().hold(moved, rows())
            (found,) = world.open().held()
            assert found.purge_by_ms == min(first.purge_by_ms, moved.purge_by_ms)
            world.open().purge([first.id])

    @pytest.mark.parametrize(
        ("other", "content"),
        [
            ({"operation": "add"}, rows()),
            ({"sync": "other"}, rows()),
            ({"rows": 4}, rows()),
            ({"exception": None}, rows()),
            ({"purge_by_ms": NOW_MS + 1}, rows()),
            ({}, rows(2)),
        ],
    )
    def test_an_id_holds_one_batch(
        self, world: SpoolWorld, other: dict[str, Any], content: bytes
    ) -> None:
        """Another batch, an earlier deadline or other content is refused; the first one stays."""
        spool = world.open()
        spool.hold(batch(), rows())
        with pytest.raises(IntegrityError, match="spool_conflict"):
            spool.hold(batch(**other), content)
        assert list(spool.held()) == [batch()]
        assert spool.open(batch().id) == rows()

    def test_past_its_deadline(self, world: SpoolWorld) -> None:
        """It is neither opened nor held, but named, and purged."""
        spool = world.open()
        spool.hold(batch(), rows())
        world.clock[0] = batch().purge_by_ms - 1
        assert spool.open(batch().id) == rows()
        world.clock[0] += 1
        with pytest.raises(PolicyError, match="spool_expired"):
            spool.open(batch().id)
        with pytest.raises(PolicyError, match="spool_expired"):
            spool.hold(batch(2), rows())
        assert spool.sweep() == 0
        assert list(spool.held()) == [batch()]
        assert list(spool.purge([batch().id])) == [batch().id]
        assert world.is_clean()

    def test_batches_come_by_deadline(self, world: SpoolWorld) -> None:
        """The first to go first."""
        spool = world.open()
        for number, days in ((1, 20), (2, 5), (3, 12)):
            spool.hold(batch(number, purge_by_ms=NOW_MS + days * DAY_MS), b"")
        assert [held.batch for held in spool.held()] == [2, 3, 1]

    def test_keys_are_wrapped_anew_without_the_data(self, world: SpoolWorld) -> None:
        """After a rotation all open under the new version alone; sealed bytes are as before."""
        spool = world.open()
        for number in (1, 2):
            spool.hold(batch(number), rows(number))
        sealed, old = dict(world.sealed()), list(world.provider.given)
        world.provider.rotate()
        assert spool.hold(batch(3), rows(3)).key_version == "v2"
        told = [batch(number).id for number in (1, 2, 3)]
        assert spool.key_versions(told) == dict(zip(told, ("v1", "v1", "v2"), strict=True))
        assert spool.rewrap() == 2
        assert spool.key_versions(told[:2]) == dict.fromkeys(told[:2], "v2")
        assert spool.rewrap() == 0
        world.provider.destroy("v1")
        assert [spool.open(batch(n).id) for n in (1, 2, 3)] == [rows(1), rows(2), rows(3)]
        assert sealed.items() <= world.sealed().items()
        assert not set(old) & set(world.keys_found())
        assert spool.hold(batch(1), rows(1)).key_version == "v2"

    def test_the_version_is_announced_before_anything_is_written(self, world: SpoolWorld) -> None:
        """The one that wraps the key, though a newer one was made since anybody looked."""
        told: list[str] = []
        before: list[object] = []

        def announce(version: str) -> None:
            told.append(version)
            before.append((dict(world.sealed()), world.keys_found()))

        spool = world.open()
        world.provider.rotate()
        spool.hold(batch(), rows(), announce=announce)
        spool.hold(batch(), rows(), announce=announce)
        assert told == ["v2", "v2"]
        assert before[0] == ({}, [])

    def test_what_cannot_be_announced_is_not_held(self, world: SpoolWorld) -> None:
        """Nothing of it is there, and it may be held later."""

        def announce(version: str) -> None:
            raise TransientError("disk_full", "The ledger takes nothing.")

        spool = world.open()
        with pytest.raises(TransientError, match="disk_full"):
            spool.hold(batch(), rows(), announce=announce)
        assert world.is_clean()
        assert (list(spool.held()), list(spool.remains())) == ([], [])
        spool.hold(batch(), rows())
        assert spool.open(batch().id) == rows()

    def test_a_key_that_is_lost_does_not_keep_the_others(self, world: SpoolWorld) -> None:
        """They are wrapped anew, and the loss is told."""
        spool = world.open()
        spool.hold(batch(1), rows(1))
        world.provider.rotate()
        spool.hold(batch(2), rows(2))
        world.provider.rotate()
        world.provider.destroy("v1")
        with pytest.raises(IntegrityError, match="unwrap_failed"):
            spool.rewrap()
        world.provider.destroy("v2")
        assert spool.open(batch(2).id) == rows(2)
        assert code_of(spool.open, batch(1).id) == "unwrap_failed"

    def test_a_sweep_takes_only_what_nobody_can_use(self, world: SpoolWorld) -> None:
        """Held batches stay; keys whose bytes are gone go, and are named no more."""
        spool = world.open()
        spool.hold(batch(1), rows(1))
        (lost,) = world.sealed()
        spool.hold(batch(2), rows(2))
        assert spool.sweep() == 0
        world.replace(lost, None)
        assert spool.sweep() == 1
        assert spool.sweep() == 0
        assert [held.batch for held in spool.held()] == [2]
        assert spool.open(batch(2).id) == rows(2)
        assert world.keys_found() == [world.provider.given[1]]

    def test_a_sweep_leaves_a_hold_that_is_under_way(self, world: SpoolWorld) -> None:
        """At whatever step it is; a dead one goes when there is no other, or past its deadline."""
        with pytest.raises(Killed):
            world.open(fault=on_step("put:after", Killed())).hold(batch(1), rows())
        swept = []
        spool = world.open(fault=lambda name: swept.append(world.open().sweep()))
        spool.hold(batch(2), rows())
        assert spool.open(batch(2).id) == rows()
        assert set(swept) == {0}
        world.clock[0] = batch().purge_by_ms
        spool = world.open(fault=lambda name: swept.append(world.open().sweep()))
        late = batch(3, read_at_ms=world.clock[0], purge_by_ms=world.clock[0] + 1)
        swept.clear()
        spool.hold(late, rows())
        assert sum(swept) == 1
        assert len(world.sealed()) == 2

    def test_a_purge_during_a_hold_wins(self, world: SpoolWorld) -> None:
        """The hold is told so, and leaves nothing."""
        for step in ("put:before", "put:after"):
            purge = on_step(step, lambda: world.open().purge([batch().id]))
            spool = world.open(fault=purge)
            assert code_of(spool.hold, batch(), rows()) == "spool_busy"
            assert world.is_clean()

    def test_what_a_purge_left_is_told_until_it_is_gone(self, world: SpoolWorld) -> None:
        """Keys are destroyed, the place did not answer: not held, and not gone."""
        away = TransientError("spool_unavailable", "The place does not answer.")
        spool = world.open()
        spool.hold(batch(1), rows(1))
        spool.hold(batch(2), rows(2))
        assert code_of(world.open(fault=on_step("delete:before", away)).purge, [batch(1).id])
        assert [held.batch for held in spool.held()] == [2]
        assert list(spool.remains()) == [batch(1)]
        assert world.keys_found() == [world.provider.given[1]]
        assert len(world.sealed()) == 2
        assert list(spool.purge([batch(1).id])) == [batch(1).id]
        assert (list(spool.remains()), len(world.sealed())) == ([], 1)

    def test_a_hold_that_was_cut_off_is_told_until_it_is_gone(self, world: SpoolWorld) -> None:
        """One that is under way is not, unless its deadline is past."""
        with pytest.raises(Killed):
            world.open(fault=on_step("put:after", Killed())).hold(batch(1), rows())
        found = []
        spool = world.open(fault=lambda name: found.append(list(world.open().remains())))
        spool.hold(batch(2), rows())
        assert found == [[]] * len(found)
        assert list(spool.remains()) == [batch(1)]
        assert list(spool.purge([batch(1).id])) == [batch(1).id]
        assert list(spool.remains()) == []
        assert len(world.sealed()) == len(world.keys_found()) == 1

    def test_many_at_once(self, world: SpoolWorld) -> None:
        """Holds, purges and sweeps of several threads disturb no batch of another."""

        def one(number: int) -> bytes:
            spool = world.open()
            spool.hold(batch(number), rows(number))
            spool.sweep()
            found = spool.open(batch(number).id)
            if number % 2:
                assert list(spool.purge([batch(number).id])) == [batch(number).id]
            return found

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(one, range(16))) == [rows(n) for n in range(16)]
        assert {held.batch for held in world.open().held()} == set(range(0, 16, 2))
        assert len(world.sealed()) == len(world.keys_found()) == 8

    def test_the_same_batch_by_several_at_once(self, world: SpoolWorld) -> None:
        """One of them holds it; the others get its receipt or are told to repeat."""

        def one(_: int) -> str:
            return code_of(world.open().hold, batch(), rows())

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(one, range(12))) <= {"", "spool_busy"}
        spool = world.open()
        spool.hold(batch(), rows())
        assert spool.open(batch().id) == rows()
        assert len(world.sealed()) == len(world.keys_found()) == 1
