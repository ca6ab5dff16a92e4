"""What limits shared by all workers promise, as a suite. Subclass it and give a `LimitsWorld`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from mayfly.domain.limits import burst
from mayfly.ports.limits import Drawn, Limits

_LIMIT = 600


@dataclass(frozen=True, kw_only=True)
class LimitsWorld:
    """A place where nobody drew yet.

    Args:
        open: new `Limits` of that place, as another process would open them.
        execute: run one statement on the database behind their back.
    """

    open: Callable[[], Limits]
    execute: Callable[[str], None]


def drawn(limits: Limits, wanted: int, *, whole: bool = False, per_minute: int = _LIMIT) -> Drawn:
    """A draw of requests of account `a`."""
    return limits.draw("a", "requests", per_minute=per_minute, wanted=wanted, whole=whole)


class LimitsContract:
    """The tests. Each gets a place where nobody drew."""

    @pytest.fixture
    def world(self) -> LimitsWorld:
        """The place under test."""
        raise NotImplementedError

    def test_a_draw_takes_what_others_left(self, world: LimitsWorld) -> None:
        """All processes draw from one bucket; who gets nothing is told when to ask again."""
        first, second = world.open(), world.open()
        assert drawn(first, 20).granted == 20
        rest = drawn(second, 1_000)
        assert burst(_LIMIT) - 20 <= rest.granted <= burst(_LIMIT) - 20 + 2
        empty = drawn(first, 1, per_minute=1)
        assert empty.granted == 0
        assert 0 < empty.wait_seconds <= 64

    def test_accounts_and_limits_are_apart(self, world: LimitsWorld) -> None:
        """Drawing all of one takes nothing of another."""
        limits = world.open()
        full = burst(_LIMIT)
        for account, name in (("a", "requests"), ("b", "requests"), ("a", "rows")):
            found = limits.draw(account, name, per_minute=_LIMIT, wanted=full)
            assert found.granted == full

    def test_a_bucket_fills_again(self, world: LimitsWorld) -> None:
        """By the database's clock, and never beyond what is there at once."""
        limits = world.open()
        drawn(limits, 1_000)
        world.execute("UPDATE limits SET at = at - 3600")
        assert drawn(limits, 1_000).granted == burst(_LIMIT)

    def test_a_clock_that_went_back_fills_nothing(self, world: LimitsWorld) -> None:
        """Until it is where it was; who asks waits as long."""
        limits = world.open()
        drawn(limits, 1_000)
        world.execute("UPDATE limits SET at = at + 1000, tokens = 0")
        empty = drawn(limits, 1)
        assert empty.granted == 0
        assert empty.wait_seconds > 900

    def test_a_whole_is_granted_or_not(self, world: LimitsWorld) -> None:
        """More than is there at once is granted when all is, and what is owed is waited for."""
        limits = world.open()
        drawn(limits, burst(_LIMIT) - 10)
        assert drawn(limits, 25, whole=True).granted == 0
        world.execute("UPDATE limits SET at = at - 3600")
        assert drawn(limits, 500, whole=True).granted == 500
        owed = drawn(limits, 1)
        assert owed.granted == 0
        assert 40 < owed.wait_seconds < 65

    def test_many_threads_draw_no_more_than_there_is(self, world: LimitsWorld) -> None:
        """Draws at the same time never share a token."""
        opened = [world.open() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda n: drawn(opened[n % 4], 2, per_minute=2_000), range(80)))
        full = burst(2_000)
        # What flows in within the 15 s that this may take at most.
        assert full <= sum(f.granted for f in found) <= full + 15 * 31

    def test_places_are_as_many_as_said(self, world: LimitsWorld) -> None:
        """A holder keeps its own; one that left, or whose time is over, makes room."""
        first, second = world.open(), world.open()

        def enter(limits: Limits, holder: str, account: str = "a") -> bool:
            return limits.enter(account, holder, most=2, seconds=60)

        assert enter(first, "h1")
        assert enter(second, "h2")
        assert enter(first, "h1")
        assert not enter(second, "h3")
        assert enter(second, "h3", "b")
        first.leave("a", "h1")
        first.leave("a", "h1")
        assert enter(second, "h3")
        assert not enter(first, "h1")
        world.execute("UPDATE limit_places SET until = until - 60 WHERE holder = 'h2'")
        assert enter(first, "h1")

    def test_many_threads_take_no_more_places_than_there_are(self, world: LimitsWorld) -> None:
        """Entries at the same time never take the same place."""
        opened = [world.open() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(
                pool.map(lambda n: opened[n % 4].enter("a", f"h{n}", most=3, seconds=60), range(40))
            )
        assert sum(found) == 3
