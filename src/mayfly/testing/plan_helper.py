"""A worker that helps with a run in a small world, at the same time as its owner sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mayfly.domain.errors import EngineError
from mayfly.services.help_run import help_out
from mayfly.services.run_tally import RunTally
from mayfly.testing.plan_driver import Attempt, CrashError, Events, Step, on_one_thread
from mayfly.testing.turns import Party

HUNG_MS = 61_000
"""How long a worker is silent until others give it up."""


@dataclass(kw_only=True)
class Helper(Attempt):
    """One process that helps with the run of another.

    Args:
        of: the run's owner.
        party: whose turn it is.
    """

    of: Attempt
    party: Party

    def __post_init__(self) -> None:
        self.run, self.withdrawing = self.of.run, self.of.withdrawing
        self.holder = self.party.name
        self.seed, self.asynchronous, self.markers = (
            self.of.seed,
            self.of.asynchronous,
            self.of.markers,
        )

    def go(self) -> Helper:
        """To the end, a crash, or an error."""
        self.tally = RunTally()
        try:
            on_one_thread(help_out(replace(self._run(), concurrency=1), self.tally))
        except (CrashError, EngineError) as error:
            self.error = error
        return self

    def hang(self, *, given_up: bool) -> None:
        """Be silent, for so long that it is given up, or is not."""
        if given_up:
            self.world.now_ms += HUNG_MS
        self.world.turns.hang(self.party, given_up=given_up)

    @property
    def is_past(self) -> bool:
        """Whether nothing more of its run may go."""
        return self.world.owner != self.run or self.run in self.world.over


def help_with(
    owner: Attempt, *, events: Mapping[Step, Callable[[Helper], None]], number: int
) -> None:
    """Let a worker help from now on."""
    turns = owner.world.turns
    of_helper: list[Helper] = []

    def work() -> None:
        of_helper[0].go()

    party = turns.start(f"{owner.holder}.{number}", work)
    told: Events = dict(events)  # type: ignore[arg-type]
    of_helper.append(Helper(world=owner.world, of=owner, party=party, events=told))
