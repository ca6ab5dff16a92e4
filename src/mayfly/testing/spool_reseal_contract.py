"""What every spool promises of batches that are sealed again; see `SpoolContract`."""

from __future__ import annotations

from typing import Any

import pytest

from mayfly.domain.errors import TransientError
from mayfly.ports.spool import Spool
from mayfly.testing.spool_world import (
    DAY_MS,
    Killed,
    SpoolWorld,
    at_step,
    batch,
    code_of,
    on_step,
    rows,
    steps_of,
)


class ResealContract:
    """A part of `SpoolContract`, which has the place under test."""

    def test_what_is_sealed_again_takes_the_place_of_the_other(self, world: SpoolWorld) -> None:
        """With other rows under an id and a key of its own, announced before, and all else as it
        was; the old one does not open any more, and goes with a purge.
        """
        spool = world.open()
        told: list[str] = []
        spool.hold(batch(), rows())
        world.clock[0] += DAY_MS
        world.provider.rotate()
        less = spool.reseal(batch().id, rows(2), rows=2, announce=told.append)
        assert told == ["v2"]
        assert less == batch(id=less.id, rows=2)
        assert less.id != batch().id
        other = world.open()
        assert (list(other.held()), list(other.remains())) == ([less], [batch()])
        assert other.open(less.id) == rows(2)
        assert code_of(other.open, batch().id) == "spool_gone"
        assert code_of(lambda: other.reseal(batch().id, b"", rows=1)) == "spool_gone"
        assert list(other.purge([batch().id])) == [batch().id]
        assert other.sweep() == 0
        assert world.keys_found() == [world.provider.given[1]]
        world.provider.rotate()
        assert other.rewrap() == 1
        assert other.open(less.id) == rows(2)

    def test_what_may_not_be_held_is_not_sealed_again(self, world: SpoolWorld) -> None:
        """Elsewhere, past the deadline, without keys, unannounced: the old one stays as it was."""
        spool = world.open()
        spool.hold(batch(), rows())
        before = dict(world.stored())

        def announce(version: str) -> None:
            raise TransientError("disk_full", "The ledger takes nothing.")

        def again(spool: Spool, **more: Any) -> str:
            return code_of(lambda: spool.reseal(batch().id, b"", rows=2, **more))

        assert again(world.open(region="")) == "spool_elsewhere"
        assert again(spool, announce=announce) == "disk_full"
        world.provider.is_away = True
        assert again(spool) == "keys_unavailable"
        world.provider.is_away = False
        world.clock[0] = batch().purge_by_ms
        assert again(spool) == "spool_expired"
        assert (world.stored(), list(spool.held())) == (before, [batch()])

    def test_to_seal_again_cut_off_anywhere(self, world: SpoolWorld) -> None:
        """The old one is held, or the new one with the old deadline, and never both or none."""
        world.open().hold(batch(), rows())
        steps = steps_of(world, lambda s: s.reseal(batch().id, rows(2), rows=2))
        assert steps[-1] == "finish:after"
        world.open().purge([held.id for held in world.open().held()])
        for number, name in enumerate(steps):
            spool = world.open()
            spool.sweep()
            spool.hold(batch(), rows())
            cut = world.open(fault=at_step(number, Killed()))
            with pytest.raises(Killed):
                cut.reseal(batch().id, rows(2), rows=2)
            (held,) = spool.held()
            is_new = name == steps[-1]
            assert held == (batch(id=held.id, rows=2) if is_new else batch()), name
            assert spool.open(held.id) == rows(2 if is_new else 1), name
            left = [found.rows for found in spool.remains()]
            assert left == ([3] if is_new else [] if number == 0 else [2]), name
            spool.purge([found.id for found in spool.remains()])
            assert spool.sweep() == 0, name
            assert len(world.sealed()) == len(world.keys_found()) == 1, name
            assert spool.open(held.id) == rows(2 if is_new else 1), name
            spool.purge([held.id])
            assert world.is_clean(), name

    def test_to_seal_again_fails_at_any_step(self, world: SpoolWorld) -> None:
        """A full disk: the old one is held, unless the very last answer alone was lost."""
        world.open().hold(batch(), rows())
        steps = steps_of(world, lambda s: s.reseal(batch().id, rows(2), rows=2))
        world.open().purge([held.id for held in world.open().held()])
        for number, name in enumerate(steps):
            spool = world.open()
            spool.sweep()
            spool.hold(batch(), rows())
            full = TransientError("disk_full", "The disk is full.")
            cut = world.open(fault=at_step(number, full))
            assert code_of(lambda c=cut: c.reseal(batch().id, b"", rows=2)) == "disk_full", name
            (held,) = spool.held()
            assert (held.id != batch().id) == (name == steps[-1]), name
            spool.sweep()
            assert len(world.sealed()) == len(world.keys_found()) == 1, name
            spool.open(held.id)
            spool.purge([held.id])
            assert world.is_clean(), name

    def test_a_purge_while_it_is_sealed_again_wins(self, world: SpoolWorld) -> None:
        """Nothing of either is left; a sweep in between takes neither."""
        for step in ("put:before", "put:after", "finish:before"):
            world.open().hold(batch(), rows())
            purge = on_step(step, lambda: world.open().purge([batch().id]))
            spool = world.open(fault=purge)
            assert code_of(lambda s=spool: s.reseal(batch().id, b"", rows=2)) == "spool_busy"
            assert world.is_clean(), step
        swept: list[int] = []
        world.open().hold(batch(), rows())
        spool = world.open(fault=lambda name: swept.append(world.open().sweep()))
        less = spool.reseal(batch().id, rows(2), rows=2)
        assert (sum(swept), swept[-1]) == (1, 1)
        assert spool.open(less.id) == rows(2)
        assert len(world.sealed()) == len(world.keys_found()) == 1
