"""Processes that do things at the same time, one step after the other, in an order that can be
repeated: each is a thread, and one of them goes on while the others wait.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS = 120.0
"""After so long without a turn a test has got stuck."""


@dataclass(kw_only=True, eq=False)
class Party:
    """One process.

    Attributes:
        hung: whether it gets no turn.
        given_up: whether others take it for dead.
        ended: whether it is over.
        failure: what a test is to fail with.
    """

    name: str
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    hung: bool = False
    given_up: bool = False
    ended: bool = False
    failure: BaseException | None = None


@dataclass(kw_only=True)
class Turns:
    """Whose turn it is. `main` is the process that the test itself runs.

    Attributes:
        share: how often a step is followed by another process's.
    """

    main: Party = field(default_factory=lambda: Party(name="main"))
    others: list[Party] = field(default_factory=list)
    draws: random.Random = field(default_factory=lambda: random.Random(0))
    share: float = 0.5

    def start(self, name: str, work: Callable[[], None]) -> Party:
        """A further process, which begins at its first turn."""
        party = Party(name=name)

        def live() -> None:
            self._wait(party)
            try:
                work()
            except BaseException as error:
                party.failure = error
            party.ended = True
            self._next(party).turn.release()

        self.others.append(party)
        threading.Thread(target=live, daemon=True).start()
        return party

    def step(self, me: Party) -> None:
        """Let another go on perhaps."""
        if self.others and self.draws.random() < self.share:
            self.rest(me)

    def rest(self, me: Party) -> bool:
        """Let another go on; whether there was one that can."""
        chosen = self._next(me)
        if chosen is me:
            return False
        chosen.turn.release()
        self._wait(me)
        return True

    def hang(self, me: Party, *, given_up: bool) -> None:
        """Do nothing until `wake`."""
        me.hung, me.given_up = True, given_up
        self.rest(me)

    def alive(self, name: str) -> bool:
        """Whether a further process of that name goes on, as far as others can tell."""
        return any(p.name == name and not p.ended and not p.given_up for p in self.others)

    def finish(self) -> None:
        """Wake all, and let all go on to their ends."""
        for party in self.others:
            party.hung = False
        while self.rest(self.main):
            pass
        failures = [p.failure for p in self.others if p.failure is not None]
        self.others.clear()
        if failures:
            raise failures[0]

    def _next(self, me: Party) -> Party:
        """Of those that can go on any but the one that did; itself where there is none."""
        able = [p for p in self.others if not p.ended and not p.hung and p is not me]
        if me is not self.main:
            able.append(self.main)
        return self.draws.choice(able) if able else me

    @staticmethod
    def _wait(party: Party) -> None:
        assert party.turn.acquire(timeout=SECONDS), "no process goes on"
