"""The delivery protocol on real plan stores: whatever happens between any two steps, the end is
the truth.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.plan_machine import CASES, EMAILS, machine, play
from contract.plan_samples import check_sample
from contract.plan_stores import MakeWarehouse, duckdb_file
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World, identifiers


@pytest.mark.parametrize(("mode", "more"), CASES[:6])
def test_any_history_ends_in_the_truth(
    warehouse: MakeWarehouse,
    mode: SyncMode,
    more: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    """Whatever changes, fails, dies or takes over, the destination ends as the model wants it."""
    # The slow test plays more of them.
    play(machine(warehouse, mode, **more), request.node.name, examples=1, steps=6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_many_histories_end_in_the_truth(
    warehouse: MakeWarehouse,
    mode: SyncMode,
    more: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    """The same, more often and longer."""
    name = request.node.name
    # A server's own tables take their time.
    play(machine(warehouse, mode, **more), name, examples=1 if "mysql" in name else 2)


def test_a_rejected_row_keeps_what_it_still_shares_with_its_earlier_values(
    warehouse: MakeWarehouse,
) -> None:
    """A new e-mail is refused: the old one goes, the phone number stays, in every later run; once
    the person is suppressed, it goes, too.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.reject(EMAILS[1])
        world.people = {1: (EMAILS[0], "c0")}
        world.edited()
        assert Attempt(world=world).go().error is None
        world.people = {1: (EMAILS[1], "c0")}
        world.edited()
        for _ in range(3):
            assert Attempt(world=world).go().error is None
            assert world.destination.members == {
                "EMAIL": set(),
                "PHONE": identifiers("PHONE", world.people),
            }
        world.suppress(EMAILS[1])
        assert Attempt(world=world).go().error is None
        assert world.destination.members == {"EMAIL": set(), "PHONE": set()}


def test_rejected_rows_are_shown_by_their_key(warehouse: MakeWarehouse) -> None:
    """The view joins with the model, whatever keys other syncs have, and shows no value."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        spec = world.spec("other")
        other = replace(
            spec,
            identity=replace(spec.identity, sync="orders"),
            keys=(*spec.keys, replace(spec.keys[0], name="line")),
        )
        world.reject(EMAILS[1])
        world.people = {1: (EMAILS[0], "c0"), 22: (EMAILS[1], "c0")}
        world.edited()
        assert Attempt(world=world).go().error is None
        store = world.store(other.identity)
        store.acquire(other, holder="h", now_ms=0, alive=lambda _: False)
        store.release()
        view, _ = world.store(spec.identity).rejections()
        assert view == made.sql.ours("_mayfly", "rejected")
        with made.source.session(write=False) as session:
            found = session.table(
                f"SELECT r.*, p.id FROM {view} r JOIN people p "
                f"ON r.key_1 = {made.sql.cast('p.id', made.sql.text)} WHERE r.sync = 'people'"
            ).to_pylist()
    [row] = found
    noted = row.pop("noted_at")
    noted = noted if made.sql.has_times else datetime.fromisoformat(noted)
    noted = noted.replace(tzinfo=noted.tzinfo or UTC)
    assert noted == datetime.fromtimestamp(world.now_ms / 1000, UTC)
    assert row == {
        "sync": "people",
        "target": "dev",
        "run": "r1",
        "outcome": "rejected",
        "reason": "refused_by_fake",
        "vendor_code": None,
        "key_columns": "id",
        "key_1": "22",
        "key_2": None,
        "id": 22,
    }


def test_what_was_appended_is_not_appended_again_when_it_comes_back(
    warehouse: MakeWarehouse,
) -> None:
    """A row that left the model, or lost its consent, and is there again."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.APPEND)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c0")}
        for gone in (False, True, False):
            world.consent[2] = not gone
            people = dict(world.people)
            if gone:
                del world.people[1]
            world.edited()
            assert Attempt(world=world).go().error is None
            world.people = people
        world.check_truth()


def deferring(world: World, times: int, wait: float | None) -> Attempt:
    """A run of two rows, one of which is deferred so many times."""
    world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c1")}
    world.edited()
    world.defer(EMAILS[1], times, retry_after_seconds=wait)
    return Attempt(world=world).go()


def test_a_deferred_row_is_sent_again_in_the_same_run() -> None:
    """After a growing pause, alone; then the run has done everything."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        run = deferring(world, 2, None)
        assert run.tally is not None
        assert (run.tally.status, run.tally.delivered, run.tally.deferred) == ("succeeded", 2, 0)
        assert [rows for _, rows in world.destination.requests] == [2, 1, 1]
        first, second = run.pauses
        assert 1.0 <= first <= 1.5
        assert 2.0 <= second <= 2.5
        world.check_truth()


@pytest.mark.parametrize(("wait", "pauses"), [(7.0, [7.0, 7.0, 7.0]), (3600.0, [])])
def test_deferral_is_bounded_and_the_next_run_goes_on(wait: float, pauses: list[float]) -> None:
    """The destination's own time is kept to where it lies within the bound; then the run ends
    partial, and the next one sends the row.
    """
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        run = deferring(world, 4, wait)
        assert run.tally is not None
        assert (run.tally.status, run.tally.delivered, run.tally.deferred) == ("partial", 1, 1)
        assert run.pauses == pauses
        world.destination.be_back()
        again = Attempt(world=world).go()
        assert again.tally is not None
        assert (again.tally.status, again.tally.delivered) == ("succeeded", 1)
        world.check_truth()


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_an_emptied_model_takes_nothing_back_until_that_is_accepted(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Refused however often it is tried, and when fewer rows are accepted than would go."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        world.people = {key: (EMAILS[key], "c0") for key in range(4)}
        world.edited()
        assert Attempt(world=world, guard_rows=4).go().error is None
        requests = list(world.destination.requests)
        world.people.clear()
        world.edited()
        for accepted in (0, 0, 3):
            run = Attempt(world=world, guard_rows=4, accept_removals=accepted).go()
            assert isinstance(run.error, PolicyError)
            assert run.error.code == "mass_change"
            assert "removals=4" in run.error.hint
            assert world.destination.requests == requests
            assert world.ledger.open_runs("people", "dev") == []
        assert Attempt(world=world, guard_rows=4, accept_removals=4).go().error is None
        world.check_truth()


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_a_sample_shows_rows_that_go_out_masked(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """No more than were asked for; each field before and after, and no value."""
    with warehouse() as made:
        check_sample(World(warehouse=made, mode=mode))
