"""The state machine of the delivery protocol: what may happen, in any order, and what must hold."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from contract.plan_stores import MakeWarehouse
from mayfly.domain.batch import SyncMode
from mayfly.testing.plan_driver import Attempt, Step
from mayfly.testing.plan_world import ConsentBy, World

SOAK = int(os.environ.get("MAYFLY_SOAK", "0"))
EMAILS = [f"{prefix}{i}@example.com" for i in range(4) for prefix in ("a", "x")]
KEYS = st.integers(0, 9)
DAY_MS = 86_400_000
Act = tuple[str, Any]
ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["suppress", "reject", "reject", "accept", "defer"]),
            st.sampled_from(EMAILS),
        ),
        st.tuples(st.sampled_from(["cut", "cut_after", "be_away"]), st.integers(0, 4)),
        st.tuples(st.just("remap"), st.integers(0, 2)),
        st.tuples(st.just("unmap"), st.sampled_from([True, True, False])),
        st.tuples(st.just("leave"), st.integers(0, 1)),
        st.tuples(st.just("lose_model"), st.booleans()),
        st.tuples(st.just("double"), st.sampled_from([False, None, True])),
        st.tuples(st.just("be_off"), st.integers(1, 31)),
    ),
    max_size=2,
)
# More than there are rows: the operator lets any mass change through.
ALL = 1_000
RUNS = st.fixed_dictionaries(
    {
        "asynchronous": st.booleans(),
        "seed": st.integers(0, 99),
        "concurrency": st.sampled_from([1, 2]),
        "holds": st.booleans(),
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
    consent_by: ConsentBy = "column"
    guard_rows = 3
    failed = False

    @initialize(people=st.dictionaries(KEYS, PEOPLE, min_size=5))
    def begin(self, people: dict[int, tuple[str | None, str]]) -> None:
        """A model with some rows, and nothing delivered."""
        self.open(people)

    def open(self, people: dict[int, tuple[str | None, str]]) -> None:
        """An empty warehouse, and that model."""
        self._opened = type(self).warehouse()
        self.world = World(
            warehouse=self._opened.__enter__(),
            mode=self.mode,
            by_identifier=self.by_identifier,
            erases=self.erases,
            consent_by=self.consent_by,
        )
        self.world.people = dict(people)
        self.world.edited()

    @rule(changes=EDITS, acts=ACTS, what=events(), more=RUNS)
    def turn(self, changes: list[Change], acts: list[Act], what: Any, more: Any) -> None:
        """People change, something else happens perhaps, and a run that may meet trouble."""
        self.failed = True
        for act, value in acts:
            getattr(self, act)(value)
        apply(self.world, changes)
        self._attempt(events=what, **more)
        self.failed = False

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

    def double(self, told: bool | None) -> None:
        """Some stand in the model twice, or without a key, as after a join that finds too much:
        the run is refused, and whose row says no is in no table any more.
        """
        self.world.doubles = [(None, "d@example.com", "c1", True), (0, "d@example.com", "c2", told)]
        self.world.edited()
        code = getattr(self._attempt(checked=False).error, "code", None)
        # An identifier that is mapped no more is looked at before the keys are.
        asked = code == "mass_change" and self.world.unmapped
        assert asked or code in (None, "key_null", "in_doubt"), code
        if code == "key_null" and self.world.spec("double").removes:
            assert not self.world.refusing() & self.world.destination.rows.keys()
        self.world.doubles = []
        self.world.edited()

    def suppress(self, email: str) -> None:
        """An identifier is suppressed."""
        self.world.suppress(email)

    def remap(self, version: int) -> None:
        """Rules or mapping change."""
        self.world.versions = f"v{version}"

    def unmap(self, less: bool) -> None:
        """The mapping loses an identifier, or has it again."""
        self.world.unmapped = less and self.world.by_identifier

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

    def be_off(self, days: int) -> None:
        """The machine is off; what is past its cap goes before anything else is done."""
        self.world.now_ms += days * DAY_MS
        self.world.sweep()

    def may_reject(self) -> bool:
        """Where a marker answers for a whole batch, it cannot say which rows were refused."""
        return self.mode is not SyncMode.APPEND

    def teardown(self) -> None:
        """Some leave; two undisturbed runs, and the truth; a third has nothing to do."""
        if not hasattr(self, "world"):
            return
        try:
            if self.failed:
                return  # what is wrong was said, and would be hidden by what it leads to
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
            assert self.world.ledger.open_batches() == []
            spool = self.world.spool()
            assert spool is None or spool.held() == []
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
    run_state_machine_as_test(
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


OF_WORLD = ("by_identifier", "erases", "consent_by")
"""What of a case is the world's, not an attempt's."""
CASES = [
    pytest.param(SyncMode.AUDIENCE, {"consent_by": "both"}, id="audience"),
    pytest.param(SyncMode.MIRROR, {"consent_by": "table"}, id="mirror"),
    pytest.param(SyncMode.UPSERT, {}, id="upsert"),
    pytest.param(SyncMode.APPEND, {}, id="append"),
    pytest.param(SyncMode.UPSERT, {"erases": True, "consent_by": "table"}, id="upsert-erasing"),
    pytest.param(SyncMode.UPSERT, {"erases": True, "by_identifier": True}, id="upsert-identifiers"),
    pytest.param(SyncMode.APPEND, {"markers": False, "in_doubt": "resend"}, id="append-resend"),
    pytest.param(SyncMode.APPEND, {"markers": False, "in_doubt": "skip"}, id="append-skip"),
]
