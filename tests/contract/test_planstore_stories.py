"""Short stories of the delivery protocol, one for each rule that chance seldom meets: state.

Each fails once the rule it names is left out: the state machine of `test_planstore_protocol` would
find that only in long play.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_machine import EMAILS
from contract.plan_stores import MakeWarehouse, duckdb_file, maker_of
from contract.plan_stories import (
    E0,
    E1,
    E2,
    FIRST_TO_LAST,
    LAST_TO_FIRST,
    People,
    accept_any,
    become,
    check_open_plans,
    die,
    refuse_city,
    settled,
    withdraw,
)
from mayfly.adapters.planstores.states import SourceStates
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanSpec
from mayfly.testing.plan_driver import Attempt, CrashError, Events
from mayfly.testing.plan_world import Warehouse, World, digest


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


@pytest.fixture(params=ANY_STORE[:2])
def writable(request: pytest.FixtureRequest) -> MakeWarehouse:
    """The same, where the plan store's tables are the warehouse's own."""
    return maker_of(request)


# -- pairs of an audience -----------------------------------------------------------------------


def test_an_earlier_value_that_was_kept_for_another_goes_with_that_other(
    warehouse: MakeWarehouse,
) -> None:
    """Marking outdated pairs: 1 had E0 before, 2 wants it and is refused, then 2 leaves. Row 1
    looks unchanged, and its pair of E0 must all the same not count as wanted.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {1: (E1, "c0"), 2: (E0, "c9")})
        assert digest(E0).hex() in world.destination.members["EMAIL"]
        become(world, {1: (E1, "c0")})
        settled(world)


def test_an_outdated_value_that_is_wanted_again_is_kept(warehouse: MakeWarehouse) -> None:
    """The mark goes with the row's next delivery."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {1: (E1, "c0"), 2: (E0, "c9")})
        become(world, {1: (E0, "c0"), 2: (E0, "c9")})
        become(world, {1: (E0, "c0")})
        settled(world)


def test_a_value_whose_removal_is_in_doubt_is_sent_again_once_it_is_wanted(
    warehouse: MakeWarehouse,
) -> None:
    """Looking again at doubtful rows: E0 was perhaps removed, E1 never sent, and the row has E0
    again. Its fingerprint is the one that the state knows.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        die(world, ("before outcome", 1), {1: (E1, "c0")}, seed=LAST_TO_FIRST)
        assert not world.destination.members["EMAIL"]
        become(world, {1: (E0, "c0")})
        settled(world)


def test_a_refused_row_lets_go_of_what_a_dying_run_did_not_remove(
    warehouse: MakeWarehouse,
) -> None:
    """It is not sent again, and what of it was delivered before goes in the next run."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        world.reject(E1)
        die(world, ("before intent", 2), {1: (E1, "c0")}, seed=FIRST_TO_LAST)
        assert world.destination.members["EMAIL"]
        become(world, world.people)
        settled(world)


def test_a_pair_is_not_forgotten_for_another_that_goes_too(warehouse: MakeWarehouse) -> None:
    """1 and 2 leave, 3 wants their e-mail and is refused: the e-mail goes once 3 leaves."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {3: (E0, "c9")})
        become(world, {})
        settled(world)


def test_a_pair_that_another_row_holds_is_forgotten_with_its_row() -> None:
    """Nothing is removed at the destination, and the state keeps no digest of who left."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c0")})
        become(world, {2: (E0, "c0")})
        [state] = SourceStates(made.source, made.sql).all()
        assert state.identifiers == 2
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.UPSERT])
def test_a_row_sent_again_keeps_the_time_of_its_first_delivery(
    writable: MakeWarehouse, mode: SyncMode
) -> None:
    """Its line in the state is made anew, once; those of others are left as they are."""
    with writable() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0"), 2: (E1, "c1")})
        first = _delivered(made)
        assert [began == last for began, last in first] == [True, True]
        become(world, {1: (E0, "c9"), 2: (E1, "c1"), 3: (E2, "c2")})
        one, two, three = _delivered(made)
        assert one[0] == first[0][0] < one[1] == three[0]
        assert two == first[1]
        settled(world)


def _delivered(made: Warehouse) -> list[tuple[int, int]]:
    """When each row of the state was first and last delivered, by key."""
    rows = sorted(_rows(made, "state"), key=lambda r: r["k0"])
    return [(r["first_at"], r["last_at"]) for r in rows]


def _rows(made: Warehouse, kind: str) -> list[dict[str, Any]]:
    """All rows of a table of the only state."""
    [state] = SourceStates(made.source, made.sql).all()
    with made.source.session(write=False) as session:
        table = Names(sql=made.sql, schema="_mayfly", sid=state.sid).of(kind)
        return session.table(f"SELECT * FROM {table}").to_pylist()


def test_who_was_never_sent_is_not_taken_back(warehouse: MakeWarehouse) -> None:
    """Rows that a request did not hold are not in doubt with their batch: no digest of one who
    withdrew before anything was sent leaves for a removal.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (E0, "c0"), 2: (E1, "c1")}
        world.edited()
        what: Events = {("after create", 1): withdraw, ("before outcome", 1): Attempt.crash}
        assert isinstance(Attempt(world=world, events=what).go().error, CrashError)
        become(world, world.people)
        settled(world)
        assert Operation.REMOVE not in {operation for operation, _ in world.destination.requests}


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR, SyncMode.APPEND])
def test_who_withdraws_after_the_plan_is_not_sent(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Consent is looked at again with each read; who consents again later is sent then."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        people: People = {1: (E0, "c0"), 2: (E1, "c1")}
        run = become(world, people, events={("after create", 1): withdraw})
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.deferred) == (1, 1)
        assert not world.has_taken(E1)
        world.check_truth()
        world.consent.clear()
        become(world, people)
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.UPSERT])
def test_a_plan_holds_no_value_of_rows_that_it_does_not_send(
    writable: MakeWarehouse, mode: SyncMode
) -> None:
    """Neither digests nor texts of who did not consent and of rows that stay as they are."""
    with writable() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0")})
        world.consent[2] = False
        held: dict[int, set[str]] = {}
        look: Events = {("after create", 1): lambda _: held.update(_values_in_scan(made))}
        become(world, {1: (E0, "c0"), 2: (E1, "c1"), 3: (E2, "c2")}, events=look)
        assert (held[1], held[2]) == (set(), set())
        assert "fp" in held[3]


def _values_in_scan(made: Warehouse) -> dict[int, set[str]]:
    """Columns of the scan that hold bytes or text, by key."""
    return {
        r["k0"]: {c for c, v in r.items() if isinstance(v, bytes | str)}
        for r in _rows(made, "scan")
    }


def test_a_changed_rule_sends_what_it_changes_and_a_dying_run_leaves_the_rest_due(
    warehouse: MakeWarehouse,
) -> None:
    """The versions move only after a complete close, whatever the fingerprints of the rows."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        people: People = {k: (EMAILS[2 * k], "c0") for k in range(4)}
        become(world, people)
        world.salt, world.versions = "salt", "salted"
        die(world, ("before intent", 2), people)
        become(world, people)
        settled(world)


def test_a_changed_rule_sends_most_rows_again_only_once_that_is_accepted(
    warehouse: MakeWarehouse,
) -> None:
    """What a rule changes counts towards a mass change as what leaves does."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        people: People = {k: (EMAILS[2 * k], "c0") for k in range(4)}
        become(world, people)
        world.salt, world.versions = "salt", "salted"
        refused = become(world, people, guard_rows=4)
        assert getattr(refused.error, "code", None) == "mass_change"
        assert become(world, people, guard_rows=4, accept_removals=4).error is None
        settled(world)


def test_a_plan_is_closed_by_its_own_mapping(warehouse: MakeWarehouse) -> None:
    """Fields stand elsewhere in the next run's; then everybody leaves."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        die(world, ("before close", 1), {1: (E0, "c0")})
        world.versions = "v2"
        assert become(world, world.people).tally.status == "no_changes"
        become(world, {})
        settled(world)


def test_doubt_of_an_earlier_value_does_not_send_a_row_for_ever(warehouse: MakeWarehouse) -> None:
    """An upsert keeps the earlier e-mail; its removal for another person is in doubt. What the row
    sends now could never clear that.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT, by_identifier=True, erases=True)
        become(world, {1: (E0, "c0")})
        become(world, {1: (E1, "c0")})
        world.consent[1] = False
        die(world, ("before outcome", 1), world.people, seed=LAST_TO_FIRST)
        world.consent.clear()
        become(world, world.people)
        settled(world)


# -- rejections and suppression -----------------------------------------------------------------


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_a_refused_row_is_tried_again_only_when_it_or_the_rules_change(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Not in the next run; with other values, at once; with its earlier ones after others were
    taken; and after another mapping.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        refused: People = {1: (E0, "c0")}
        world.reject(E0)
        for run, requests in ((become(world, refused), 1), (become(world, refused), 1)):
            assert run.error is None
            assert len(world.destination.requests) == requests
        become(world, {1: (E1, "c0")})
        settled(world)
        world.accept(E0)
        become(world, refused)
        settled(world)
        world.reject(E2)
        become(world, {1: (E2, "c0")})
        world.accept(E2)
        world.versions = "v2"
        become(world, {1: (E2, "c0")})
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.MIRROR, SyncMode.UPSERT, SyncMode.APPEND])
@pytest.mark.parametrize("email", ["a0@example.com", "x0@example.com"])
def test_a_row_that_takes_a_suppressed_value_before_it_is_read_is_not_sent(
    warehouse: MakeWarehouse, mode: SyncMode, email: str
) -> None:
    """Tables are sent what the model holds when a batch is read. SQL hashes the one e-mail, and the
    worker the other.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        world.suppress(email)

        def take(_: Attempt) -> None:
            world.people[2] = (email, "c0")
            world.edited()

        run = become(world, {1: (E1, "c0"), 2: (E2, "c0")}, events={("before read", 1): take})
        assert run.error is None
        held = [*world.destination.rows.values(), *world.destination.inserted]
        assert {row["ID"] for row in held} == {1}
        assert run.tally is not None
        assert run.tally.held == 0
        settled(world)
        become(world, {1: (E1, "c0"), 2: (E2, "c0")})
        settled(world)


class Forgetful(World):
    """A world whose destination forgets who is not sent again within so many milliseconds."""

    patience_ms = 10_000

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        return replace(super().spec(run), renew_before_ms=self.now_ms - self.patience_ms)


def test_who_would_be_forgotten_is_sent_again_and_nobody_else(warehouse: MakeWarehouse) -> None:
    """By the time of the last delivery, whatever else the row was; once, and no mass change."""
    with warehouse() as made:
        world = Forgetful(warehouse=made, mode=SyncMode.AUDIENCE)
        old = {n: (E0, f"c{n}") for n in range(4)}
        become(world, old)
        world.now_ms += world.patience_ms // 2
        become(world, {**old, 8: (E1, "c8")})
        world.now_ms += world.patience_ms // 2
        world.consent[3] = False
        people = {**old, 8: (E1, "c8"), 9: (E2, "c9")}
        run = become(world, people, guard_rows=1)
        assert run.error is None
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.withheld_consent) == (4, 1)
        settled(world)


def test_a_refused_renewal_leaves_the_row_as_it_was(warehouse: MakeWarehouse) -> None:
    """It is remembered as rejected, and what was delivered of it goes when it withdraws."""
    with warehouse() as made:
        world = Forgetful(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E1, "c1")})
        world.now_ms += 2 * world.patience_ms
        world.reject(E0)
        run = become(world, world.people)
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.rejected) == (1, 1)
        assert digest(E0).hex() in world.destination.members["EMAIL"]
        become(world, {2: (E1, "c1")})
        assert digest(E0).hex() not in world.destination.members["EMAIL"]
        settled(world)


class Withholding(World):
    """A world whose worker hashes nothing."""

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        return replace(super().spec(run), outside="withhold")


def test_a_row_that_takes_a_value_nothing_may_hash_is_withheld(warehouse: MakeWarehouse) -> None:
    """Whether it is suppressed cannot be known, and the worker is not asked."""
    with warehouse() as made:
        world = Withholding(warehouse=made, mode=SyncMode.MIRROR)
        world.suppress(E0)

        def take(_: Attempt) -> None:
            world.people[2] = ("x9@example.com", "c0")
            world.edited()

        run = become(world, {1: (E1, "c0"), 2: (E2, "c0")}, events={("before read", 1): take})
        assert run.error is None
        assert set(world.destination.rows) == {(1,)}


def test_a_row_that_is_answered_for_twice_is_remembered_once(warehouse: MakeWarehouse) -> None:
    """What the intent said of a row stays: two codes of one row would double its key."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        world.people = {1: (E0, "c0")}
        world.edited()
        spec = world.spec("r")
        store = world.store(spec.identity)
        store.acquire(spec, holder="h", now_ms=0, alive=lambda _: True)
        store.create(spec, world.worker, check=accept_any)
        withheld = Outcomes.all_of(OutcomeCode.WITHHELD, 1, Reason(code="wrong_shape"))
        store.intent(0, withheld)
        store.outcome(0, withheld)
        store.close(spec, now_ms=0)
        assert [row["rows"] for row in store.rejections()[1]] == [1]


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_who_is_suppressed_is_removed_once(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Also where the row is unchanged; the removal is not repeated."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0"), 2: (E1, "c0")})
        world.suppress(E1)
        become(world, world.people)
        assert not world.has_taken(E1)
        settled(world)
        settled(world)


# -- tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SyncMode.MIRROR, SyncMode.UPSERT])
def test_a_row_in_doubt_is_written_again_though_it_is_as_it_was(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Its new values arrived, nobody knows, and the model has the earlier ones again."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0")})
        die(world, ("before outcome", 1), {1: (E1, "c0")})
        become(world, {1: (E0, "c0")})
        settled(world)


def test_who_left_and_comes_back_without_consent_is_erased(warehouse: MakeWarehouse) -> None:
    """An upsert leaves who left the model, and still knows of them when they withdraw, or are
    suppressed; and who merely left does not count towards a mass change.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT, erases=True)
        people: People = {k: (EMAILS[2 * k], "c0") for k in range(3)}
        become(world, people)
        become(world, {})
        assert set(world.destination.rows) == {(0,), (1,), (2,)}
        world.consent[0] = False
        world.suppress(EMAILS[2])
        become(world, {k: people[k] for k in (0, 1)}, guard_rows=1)
        assert set(world.destination.rows) == {(2,)}
        settled(world)


@pytest.mark.parametrize("order", [FIRST_TO_LAST, LAST_TO_FIRST])
def test_one_answered_batch_does_not_answer_for_another(
    warehouse: MakeWarehouse, order: int
) -> None:
    """Additions and removals of a table are numbered apart."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        become(world, {1: (E0, "c0")})
        die(world, ("after outcome", 1), {2: (E1, "c0")}, seed=order)
        become(world, world.people)
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR, SyncMode.UPSERT])
def test_who_comes_back_unchanged_is_sent_again(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Whoever left, or withdrew, is no longer there for the state."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        people: People = {1: (E0, "c0"), 2: (E1, "c1")}
        become(world, people)
        world.consent[2] = False
        become(world, {2: (E1, "c1")})
        world.consent.clear()
        run = become(world, people)
        assert run.tally is not None
        assert run.tally.delivered == 2
        settled(world)


def test_a_key_that_became_double_after_the_plan_is_not_sent(warehouse: MakeWarehouse) -> None:
    """Which of its rows is meant nobody knows; the others go."""

    def double(attempt: Attempt) -> None:
        rows = [(k, e, city, True) for k, (e, city) in attempt.world.people.items()]
        attempt.world.warehouse.write_model([*rows, (2, E2, "c2", True)])

    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        run = become(world, {1: (E0, "c0"), 2: (E1, "c1")}, events={("after create", 1): double})
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.deferred) == (1, 1)
        assert set(world.destination.rows) == {(1,)}


def test_open_plans_are_told_without_counting_states(writable: MakeWarehouse) -> None:
    """Whatever is remembered beside them."""
    with writable() as made:
        check_open_plans(made, SourceStates(made.source, made.sql), lambda _: made.source)
