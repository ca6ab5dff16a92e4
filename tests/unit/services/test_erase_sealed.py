"""A sealed batch of which a person is taken out, or which cannot be looked into."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from mayfly.domain.errors import EngineError, IntegrityError, PolicyError, TransientError
from mayfly.domain.held import HeldBatch
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ports.ledger import OpenBatch
from mayfly.services.erase_sealed import erase_sealed
from mayfly.services.hold import content_of_rows, rows_of
from mayfly.services.waiting import WaitingRoom
from mayfly.testing.plan_world import MemoryLedger
from mayfly.testing.spool_world import NOW_MS, SpoolWorld, batch, on_step
from spool_worlds import folder_world

AWAY = TransientError("spool_unavailable", "The place does not answer.")
IDENTITY = SimpleNamespace(sync=batch().sync, target=batch().target)
HOUR_MS = 3_600_000


class Ledger(MemoryLedger):
    """What is open was held when the batch was."""

    def open_batches(self) -> list[OpenBatch]:
        """See `Ledger.open_batches`."""
        since = datetime.fromtimestamp(NOW_MS / 1000, UTC)
        return [replace(b, held_at=since) for b in super().open_batches()]


@pytest.fixture
def world(tmp_path: Path) -> SpoolWorld:
    """A spool in which one batch of three rows waits for an hour now."""
    made = folder_world(tmp_path)
    made.open().hold(batch(), content(1, 2, 3))
    made.clock[0] += HOUR_MS
    return made


@pytest.fixture
def ledger() -> Ledger:
    """In which that batch is open."""
    made = Ledger()
    made.append([entry(EntryType.HELD, run="r1", sync="vip", target="dev", batch=1, rows=3)])
    return made


def content(*numbers: int) -> bytes:
    """Rows with these numbers, in these places."""
    return content_of_rows(pa.table({"n": numbers}), pa.array(numbers))


def entry(kind: EntryType, **known: Any) -> Entry:
    """An entry of the workspace."""
    return Entry(type=kind, workspace="shop-1", **known)


def room(world: SpoolWorld, ledger: Ledger, fault: Any = None) -> WaitingRoom:
    """What waits, as another process sees it."""
    states: Any = SimpleNamespace(ledger=ledger, entry=entry, states={})

    def now() -> datetime:
        return datetime.fromtimestamp(world.clock[0] / 1000, UTC)

    return WaitingRoom(states=states, spool=world.open(fault=fault), now=now)


def erase(waiting: WaitingRoom) -> None:
    """Take the one with number 2 out of what waits."""
    subjects: Any = SimpleNamespace(
        planned=lambda *_: SimpleNamespace(run="r1", rows={1: [2]}),
    )
    spec: Any = SimpleNamespace(identity=IDENTITY, fields=())
    worker: Any = None
    erase_sealed(waiting, spec=spec, subjects=subjects, recognise=lambda d: d, worker=worker)


def told(ledger: Ledger) -> list[tuple[str, str, int]]:
    """What was recorded since the batch was held: type, reason, rows."""
    return [(e.type.value, e.reason, e.rows) for e in ledger.recorded[1:]]


def numbers(world: SpoolWorld, held: HeldBatch) -> list[int]:
    """What it holds."""
    rows, positions = rows_of(world.open().open(held.id))
    assert rows.column("n").to_pylist() == positions.to_pylist()
    return [int(n) for n in positions.to_pylist()]


ANNOUNCED = ("held", "destination_outage", 2)
ENDED = ("purged", "erased", 3)


@pytest.mark.parametrize("ending", ["erase", "sweep"])
@pytest.mark.parametrize("step", ["", "delete:before", "forget:before"])
def test_the_others_go_on_waiting(
    world: SpoolWorld, ledger: Ledger, step: str, ending: str
) -> None:
    """Under the old deadline; where the old bytes could not be removed at once they go later, and
    the ledger does not say before that they are gone.
    """
    if step:
        with pytest.raises(TransientError):
            erase(room(world, ledger, on_step(step, AWAY)))
        assert told(ledger) == [ANNOUNCED]
        assert [found.rows for found in world.open().remains()] == [3]
    again = room(world, ledger)
    if ending == "sweep" and step:
        assert again.sweep() == ([], [])
    erase(again)
    [held] = world.open().held()
    assert held == batch(id=held.id, rows=2)
    assert numbers(world, held) == [1, 3]
    assert told(ledger) == [ANNOUNCED, ENDED, ANNOUNCED]
    assert all((e.age_ms or 0) >= HOUR_MS for e in ledger.recorded if e.rows == 2)
    assert ledger.recorded[-1].kek_version == world.provider.version()
    assert len(world.sealed()) == len(world.keys_found()) == 1
    erase(again)
    again.sweep()
    assert len(ledger.recorded) == 4


@pytest.mark.parametrize("step", ["put:before", "finish:before"])
def test_what_could_not_be_sealed_again_is_as_it_was(
    world: SpoolWorld, ledger: Ledger, step: str
) -> None:
    """A full disk loses nobody; once there is room the person is taken out."""
    full = TransientError("disk_full", "The disk is full.")
    with pytest.raises(TransientError, match="disk_full"):
        erase(room(world, ledger, on_step(step, full)))
    assert list(world.open().held()) == [batch()]
    assert told(ledger) == [ANNOUNCED]
    erase(room(world, ledger))
    assert [held.rows for held in world.open().held()] == [2]
    assert told(ledger) == [ANNOUNCED, ANNOUNCED, ENDED, ANNOUNCED]


def test_two_people_are_taken_out_one_after_the_other(world: SpoolWorld, ledger: Ledger) -> None:
    """Whoever comes second looks into what the first one left, not for what was there before."""
    erase(room(world, ledger))
    [less] = world.open().held()
    room(world, ledger).seal_again(less, content(1), 1)
    [least] = world.open().held()
    assert least == batch(id=least.id, rows=1)
    assert numbers(world, least) == [1]
    assert told(ledger)[-2:] == [("purged", "erased", 2), ("held", "destination_outage", 1)]


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (TransientError("keys_unavailable", "The provider is away."), True),
        (IntegrityError("spool_damaged", "It was altered."), False),
        (PolicyError("spool_expired", "It is past its deadline."), False),
    ],
)
def test_what_cannot_be_opened(
    world: SpoolWorld, ledger: Ledger, error: EngineError, *, stays: bool
) -> None:
    """It waits for what is away; else nobody can say who is in it, and it is destroyed whole."""
    waiting = room(world, ledger)

    def refuse(batch_id: str) -> bytes:
        raise error

    waiting.spool.open = refuse  # type: ignore[method-assign]
    if stays:
        with pytest.raises(TransientError, match="keys_unavailable"):
            erase(waiting)
        assert (list(world.open().held()), told(ledger)) == ([batch()], [])
        return
    erase(waiting)
    assert world.is_clean()
    assert told(ledger) == [ENDED]


def test_past_the_deadline_both_go(world: SpoolWorld, ledger: Ledger) -> None:
    """What is held and what is left of the other have one deadline, and one end in the ledger."""
    with pytest.raises(TransientError):
        erase(room(world, ledger, on_step("delete:before", AWAY)))
    world.clock[0] = NOW_MS + 30 * 24 * HOUR_MS
    ended, left = room(world, ledger).sweep()
    assert ([(e.rows, e.reason) for e in ended], left) == ([(2, "expired")], [])
    assert world.is_clean()
    assert told(ledger) == [ANNOUNCED, ("expired", "expired", 2)]
