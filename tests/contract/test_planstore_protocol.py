"""The delivery protocol on real plan stores: whatever happens between any two steps, the end is
the truth.

To hold another plan store to it, add one line to STORES.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.source import Source
from mayfly.testing.plan_driver import Attempt, CrashError, Step
from mayfly.testing.plan_world import ModelRow, Warehouse, World, identifiers

MakeWarehouse = Callable[[], AbstractContextManager[Warehouse]]


def in_source(
    source: Source, sql: SqlDialect, write_model: Callable[[Sequence[ModelRow]], None]
) -> Warehouse:
    """A warehouse whose plans wait in itself."""
    return Warehouse(
        source=source,
        sql=sql,
        write_model=write_model,
        make_store=lambda identity, clock: SourcePlanStore(
            source, sql, identity, owner="me", clock_ms=clock
        ),
    )


def write_duckdb(path: Path, rows: Sequence[ModelRow]) -> None:
    """The model as a table of a DuckDB file."""
    with duckdb.connect(str(path)) as con:
        con.execute(
            "CREATE OR REPLACE TABLE people (id BIGINT, email VARCHAR, city VARCHAR, ok BOOLEAN)"
        )
        for row in rows:
            con.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)


@contextmanager
def duckdb_file() -> Iterator[Warehouse]:
    """An empty DuckDB file."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        path = Path(folder) / "shop.duckdb"
        yield in_source(DuckdbSource("shop", path), DuckdbDialect(), partial(write_duckdb, path))


class _Dsn:
    """A dsn as a source takes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def write_postgres(dsn: str, rows: Sequence[ModelRow]) -> None:
    """The model as a table of a real PostgreSQL."""
    with psycopg.connect(dsn, autocommit=True) as con, con.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS people (id bigint, email text, city text, ok boolean)"
        )
        cursor.execute("TRUNCATE people")
        cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", rows)


@contextmanager
def postgres(dsn: str) -> Iterator[Warehouse]:
    """A real PostgreSQL without a state."""
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("DROP SCHEMA IF EXISTS _mayfly CASCADE")
    yield in_source(
        PostgresSource("shop", _Dsn(dsn)), PostgresDialect(), partial(write_postgres, dsn)
    )


SOAK = int(os.environ.get("MAYFLY_SOAK", "0"))
EMAILS = [f"{prefix}{i}@example.com" for i in range(4) for prefix in ("a", "x")]
KEYS = st.integers(0, 9)
Act = tuple[str, Any]
ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["suppress", "reject", "reject", "accept", "defer"]),
            st.sampled_from(EMAILS),
        ),
        st.tuples(st.sampled_from(["cut", "cut_after", "be_away"]), st.integers(0, 4)),
        st.tuples(st.just("remap"), st.integers(0, 2)),
        st.tuples(st.just("leave"), st.integers(0, 1)),
        st.tuples(st.just("lose_model"), st.booleans()),
    ),
    max_size=2,
)
# More than there are rows: the operator lets any mass change through.
ALL = 1_000
RUNS = st.fixed_dictionaries(
    {
        "asynchronous": st.booleans(),
        "seed": st.integers(0, 99),
        "accept_removals": st.sampled_from([0, ALL, ALL, ALL]),
    }
)
JOBS = st.sampled_from(["kept", "done", "lost"])
PEOPLE = st.tuples(st.sampled_from([*EMAILS, None]), st.sampled_from(["c0", "c1", "c2", "c3"]))
Change = tuple[int, Any]
EDITS = st.lists(
    st.tuples(
        KEYS,
        st.one_of(PEOPLE, PEOPLE, st.none(), st.sampled_from(["refuse", "unknown", "grant"])),
    ),
    min_size=3,
    max_size=8,
)


# Where a death or a takeover matters most comes most often.
NAMES = st.sampled_from(
    [
        *("after write", "before outcome", "after submitted", "before poll") * 3,
        *("after intent", "before write", "after outcome", "after create", "before read") * 2,
        *("after acquire", "after open_plan", "after append", "before close", "after close"),
        *("before release", "after release", "before acquire", "before submitted", "after read"),
    ]
)
STEPS = st.tuples(NAMES, st.sampled_from([1, 1, 1, 2, 2, 3]))


@st.composite
def events(draw: st.DrawFn, depth: int = 1) -> dict[Step, Callable[[Attempt], None]]:
    """What happens during a run, by step: changes, knocks, another process, a crash."""
    found: dict[Step, Callable[[Attempt], None]] = {}
    kinds = ["edit", "knock", *["crash"] * 4, *["overtake"] * (2 * depth)]
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 2, 3]))):
        step, kind = draw(STEPS), draw(st.sampled_from(kinds))
        if kind == "edit":
            found[step] = partial(_edit, changes=draw(EDITS))
        elif kind == "crash":
            found[step] = partial(Attempt.crash, jobs=draw(JOBS))
        elif kind == "knock":
            found[step] = Attempt.knock
        else:
            found[step] = partial(Attempt.overtake, events=draw(events(0)), jobs=draw(JOBS))
    return found


def _edit(attempt: Attempt, *, changes: Sequence[Change]) -> None:
    apply(attempt.world, changes)


def apply(world: World, changes: Sequence[Change]) -> None:
    """People come, change, leave, consent and withdraw."""
    for key, change in changes:
        if change is None:
            world.people.pop(key, None)
        elif change == "refuse":
            world.consent[key] = False
        elif change == "unknown":
            world.consent[key] = None
        elif change == "grant":
            world.consent[key] = True
        else:
            world.people[key] = change
    world.edited()


class Protocol(RuleBasedStateMachine):
    """Edits, faults and runs in any order; at the end two undisturbed runs, and the truth."""

    warehouse: MakeWarehouse
    mode: SyncMode
    markers = True
    in_doubt: str | None = None
    by_identifier = False
    erases = False
    guard_rows = 3

    @initialize(people=st.dictionaries(KEYS, PEOPLE, min_size=5))
    def begin(self, people: dict[int, tuple[str | None, str]]) -> None:
        """A model with some rows, and nothing delivered."""
        self._opened = type(self).warehouse()
        self.world = World(
            warehouse=self._opened.__enter__(),
            mode=self.mode,
            by_identifier=self.by_identifier,
            erases=self.erases,
        )
        self.world.people = dict(people)
        self.world.edited()

    @rule(changes=EDITS, acts=ACTS, what=events(), more=RUNS)
    def turn(self, changes: list[Change], acts: list[Act], what: Any, more: Any) -> None:
        """People change, something else happens perhaps, and a run that may meet trouble."""
        for act, value in acts:
            getattr(self, act)(value)
        apply(self.world, changes)
        self._attempt(events=what, **more)

    def leave(self, share: int) -> None:
        """Every person leaves, or every second one: what was in doubt is wanted no more."""
        for key in list(self.world.people):
            if share == 0 or key % 2:
                del self.world.people[key]

    def lose_model(self, meant: bool) -> None:
        """The model is empty, as after a failed load. Where that was meant, the number that the
        refusal names lets it through, and a smaller one does not; else the people are there again.
        """
        people = dict(self.world.people)
        self.world.people.clear()
        self.world.edited()
        end = self._attempt()
        if getattr(end.error, "code", None) == "mass_change":
            number = int(str(getattr(end.error, "hint", "")).partition("removals=")[2].rstrip("."))
            assert number >= self.guard_rows
            if meant:
                fewer = self._attempt(accept_removals=number - 1, checked=False)
                assert getattr(fewer.error, "code", None) == "mass_change"
                assert self._attempt(accept_removals=number).error is None
        if not meant:
            self.world.people = people
            self.world.edited()

    def suppress(self, email: str) -> None:
        """An identifier is suppressed."""
        self.world.suppress(email)

    def remap(self, version: int) -> None:
        """Rules or mapping change."""
        self.world.versions = f"v{version}"

    def reject(self, email: str) -> None:
        """The destination refuses an e-mail it has not taken so far."""
        if self.may_reject() and not self.world.has_taken(email):
            self.world.reject(email)

    def accept(self, _: str) -> None:
        """The destination takes everything again, and the operator lets it be tried."""
        for email in sorted(self.world.rejected_emails):
            self.world.accept(email)
        self.world.store(self.world.spec("retry").identity).forget_rejections()

    def defer(self, email: str) -> None:
        """The destination says of a row to come again later, more often than a run tries."""
        if self.may_reject():
            self.world.defer(email, 5)

    def cut(self, skip: int) -> None:
        """One coming request is cut before it was applied."""
        self.world.destination.fail_before(skip=skip)

    def cut_after(self, skip: int) -> None:
        """One coming request is cut after it was applied."""
        self.world.destination.fail_after(skip=skip)

    def be_away(self, calls: int) -> None:
        """The destination is away: for some attempts, or for all of a run."""
        self.world.destination.be_away(calls + 1)

    def may_reject(self) -> bool:
        """Where a marker answers for a whole batch, it cannot say which rows were refused."""
        return self.mode is not SyncMode.APPEND

    def teardown(self) -> None:
        """Some leave; two undisturbed runs, and the truth; a third has nothing to do."""
        if not hasattr(self, "world"):
            return
        try:
            self.world.destination.be_back()
            if self.world.runs % 3:
                self.leave(self.world.runs % 3 - 1)
                self.world.edited()
            for _ in range(2):
                end = self._attempt(in_doubt=self.in_doubt or "resend", accept_removals=ALL)
                assert end.error is None, end.error
            self.world.destination.finish_jobs()
            self.world.check_truth(in_doubt=self.in_doubt)
            last = self._attempt()
            assert last.tally is not None
            assert last.tally.status == "no_changes"
            assert self.world.ledger.open_runs("people", "dev") == []
        finally:
            self._opened.__exit__(None, None, None)

    def _attempt(self, *, checked: bool = True, **options: Any) -> Attempt:
        of_all = {name: getattr(self, name) for name in ("markers", "in_doubt", "guard_rows")}
        attempt = Attempt(world=self.world, **(of_all | options)).go()
        if checked:
            attempt.check_end()
        return attempt


def machine(warehouse: MakeWarehouse, mode: SyncMode, **more: Any) -> type[Protocol]:
    """The machine for one plan store and one mode."""
    return type("Machine", (Protocol,), {"warehouse": staticmethod(warehouse), "mode": mode} | more)


def play(found: type[Protocol], case: str, examples: int, steps: int = 10) -> None:
    """Run the machine through so many histories. A history is short enough to be read, and
    shrinking it takes minutes.

    The histories of a case are always the same, so that a change is judged by what it changed;
    `MAYFLY_SOAK=<times>` draws new ones, so many times as many.
    """
    if SOAK:
        examples *= SOAK
    else:
        found = seed(zlib.crc32(case.encode()))(found)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        found,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


STORES = ("duckdb", "postgres")
CASES = [
    pytest.param(SyncMode.AUDIENCE, {}, id="audience"),
    pytest.param(SyncMode.MIRROR, {}, id="mirror"),
    pytest.param(SyncMode.UPSERT, {}, id="upsert"),
    pytest.param(SyncMode.APPEND, {}, id="append"),
    pytest.param(SyncMode.UPSERT, {"erases": True}, id="upsert-erasing"),
    pytest.param(SyncMode.UPSERT, {"erases": True, "by_identifier": True}, id="upsert-identifiers"),
    pytest.param(SyncMode.APPEND, {"markers": False, "in_doubt": "resend"}, id="append-resend"),
    pytest.param(SyncMode.APPEND, {"markers": False, "in_doubt": "skip"}, id="append-skip"),
]


@pytest.fixture(params=STORES)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    if request.param == "duckdb":
        return duckdb_file
    return partial(postgres, request.getfixturevalue("postgres_database"))


@pytest.mark.parametrize(("mode", "more"), CASES[:6])
def test_any_history_ends_in_the_truth(
    warehouse: MakeWarehouse,
    mode: SyncMode,
    more: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    """Whatever changes, fails, dies or takes over, the destination ends as the model wants it."""
    play(machine(warehouse, mode, **more), request.node.name, examples=2, steps=6)


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
        assert view == '"_mayfly"."rejected"'
        with made.source.session(write=False) as session:
            found = session.table(
                f"SELECT r.*, p.id FROM {view} r JOIN people p "
                f"ON r.key_1 = CAST(p.id AS {made.sql.text}) WHERE r.sync = 'people'"
            ).to_pylist()
    [row] = found
    assert row.pop("noted_at") == datetime.fromtimestamp(world.now_ms / 1000, UTC)
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


def test_a_crash_while_a_row_is_sent_again_leaves_its_batch_in_doubt() -> None:
    """Nobody knows whether it arrived: who withdraws meanwhile is taken back all the same."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {2: (EMAILS[1], "c1")}
        world.edited()
        world.defer(EMAILS[1], 1)
        assert isinstance(
            Attempt(world=world, events={("after write", 2): Attempt.crash}).go().error, CrashError
        )
        assert world.destination.members["EMAIL"]
        apply(world, [(2, "refuse")])
        assert Attempt(world=world).go().error is None
        world.check_truth()
        assert not world.destination.members["EMAIL"]


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
        assert Attempt(world=world, guard_rows=4, accept_removals=4).go().error is None
        world.check_truth()


@pytest.mark.parametrize(("mode", "more"), CASES[:6])
def test_a_first_delivery_in_doubt_is_no_mass_change(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any]
) -> None:
    """A process dies before it knows of an answer: nobody has to accept that it goes on."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode, **more)
        world.people = {key: (EMAILS[key], "c0") for key in range(4)}
        world.edited()
        died = {("before outcome", 1): Attempt.crash}
        assert isinstance(Attempt(world=world, events=died).go().error, CrashError)
        assert Attempt(world=world, guard_rows=1).go().error is None
        world.check_truth()


AFTER_CREATE = ("after create", 1)


def withdraw(attempt: Attempt) -> None:
    """One person withdraws."""
    apply(attempt.world, [(4, "refuse")])


def story(
    make: MakeWarehouse,
    mode: SyncMode,
    what: dict[Step, Any],
    *,
    all_leave: bool = False,
    **more: Any,
) -> Attempt:
    """One run of a fixed story in which something happens, then the truth: rows that are new,
    changed, shared, rejected and gone, and one that loses its consent after it was planned and
    has it again in the end, unless everybody leaves.
    """
    of_world = {name: more.pop(name) for name in ("by_identifier", "erases") if name in more}
    with make() as warehouse:
        world = World(warehouse=warehouse, mode=mode, **of_world)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c0"), 3: (EMAILS[1], "c1")}
        world.edited()
        more = {"markers": True} | more
        assert Attempt(world=world, **more).go().error is None
        if mode is not SyncMode.APPEND:
            world.reject(EMAILS[5])
        world.people |= {1: (EMAILS[1], "c0"), 4: (EMAILS[2], "c0"), 5: (EMAILS[3], "c0")}
        world.people |= {6: (EMAILS[4], "c1"), 7: (EMAILS[5], "c1")}
        del world.people[2]
        world.edited()

        told = Attempt(world=world, events={AFTER_CREATE: withdraw} | what, **more).go()
        told.check_end()
        world.consent.clear()
        if all_leave:
            world.people.clear()
        world.edited()
        for _ in range(2):
            assert Attempt(world=world, **more).go().error is None
        world.destination.finish_jobs()
        world.check_truth(in_doubt=more.get("in_doubt"))
        assert world.ledger.open_runs("people", "dev") == []
        return told


def happen(step: Step, event: Callable[[Attempt], None]) -> dict[Step, Any]:
    """An event at a step, after the withdrawal where that is the same step."""

    def both(attempt: Attempt) -> None:
        if step == AFTER_CREATE:
            withdraw(attempt)
        event(attempt)

    return {step: both}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_a_crash_at_every_step_is_made_good(
    mode: SyncMode, more: dict[str, Any], *, asynchronous: bool
) -> None:
    """The process dies, or is overtaken, at each step of one story in turn. With `MAYFLY_SOAK`
    in each way at each step; else in one, at every second step with jobs, at the others without.
    """
    more = more | {"asynchronous": asynchronous}
    steps = story(duckdb_file, mode, {}, **more).steps
    assert AFTER_CREATE in steps
    for number, step in enumerate(steps):
        jobs = ("kept", "done", "lost")[number // 3 % 3]
        crash = happen(step, partial(Attempt.crash, jobs=jobs))
        taken = happen(step, partial(Attempt.overtake, events={}, jobs=jobs))
        ways = [(crash, False), (crash, True), (taken, False)]
        if not SOAK:
            ways = [ways[number // 2 % 3]] if number % 2 == asynchronous else []
        for what, all_leave in ways:
            story(duckdb_file, mode, what, all_leave=all_leave, **more)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_whom_a_dying_run_reached_is_taken_back(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """A batch arrives, its outcome is lost, and everybody leaves."""
    for batch in (1, 3):
        story(warehouse, mode, happen(("before outcome", batch), Attempt.crash), all_leave=True)


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
    play(machine(warehouse, mode, **more), request.node.name, examples=6)
