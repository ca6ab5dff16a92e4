"""The suite of shared limits, on SQLite and PostgreSQL, and the gate of a worker on both."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mayfly.adapters.limited_http import LimitedHttpClient
from mayfly.adapters.stores.sql_limits import SqlLimits
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import TransientError
from mayfly.domain.limits import AccountLimits
from mayfly.ports.http import HttpReply
from mayfly.ports.limits import Drawn
from mayfly.services.limited import AccountGate
from mayfly.testing import store_contract
from mayfly.testing.limits_contract import LimitsContract, LimitsWorld


class TestSqlite(LimitsContract):
    """The file of a project."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[LimitsWorld]:
        """A store of its own."""
        opened = [SqlStore("sqlite", tmp_path)]
        store_contract.create(opened[0])

        def open_limits() -> SqlLimits:
            opened.append(SqlStore("sqlite", tmp_path))
            return SqlLimits(opened[-1])

        def execute(statement: str) -> None:
            with sqlite3.connect(tmp_path / "store.sqlite") as connection:
                connection.execute(statement)
            connection.close()

        yield LimitsWorld(open=open_limits, execute=execute)
        for store in opened:
            store.close()


class TestPostgres(LimitsContract):
    """A database on a real server."""

    @pytest.fixture
    def world(self, postgres_database: str, tmp_path: Path) -> Iterator[LimitsWorld]:
        """A store of its own."""
        url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
        opened = [SqlStore(url, tmp_path)]
        store_contract.create(opened[0])

        def open_limits() -> SqlLimits:
            opened.append(SqlStore(url, tmp_path))
            return SqlLimits(opened[-1])

        def execute(statement: str) -> None:
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute(statement.encode())

        yield LimitsWorld(open=open_limits, execute=execute)
        for store in opened:
            store.close()


class Counting:
    """Limits that count how often they were asked, and grant what they are told to."""

    def __init__(self, *, grants: bool = True, places: int = 1_000) -> None:
        self.asked: list[int] = []
        self.grants = grants
        self.free = places

    def draw(
        self, account: str, name: str, *, per_minute: int, wanted: int, whole: bool = False
    ) -> Drawn:
        """All that is wanted, or nothing."""
        self.asked.append(wanted)
        return Drawn(granted=wanted if self.grants else 0, wait_seconds=7.0)

    def enter(self, account: str, holder: str, *, most: int, seconds: float) -> bool:
        """Where one is free."""
        self.free -= self.free > 0
        return self.grants

    def leave(self, account: str, holder: str) -> None:
        """Free again."""
        self.free += 1


class Waits:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        """No time passes."""
        self.now += seconds

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def gate_of(limits: Counting, waits: Waits, **of: int) -> AccountGate:
    """A gate on a clock that only waiting moves."""
    return AccountGate(
        limits=limits, account="a", of=AccountLimits(**of), sleep=waits.sleep, clock=waits
    )


async def passed(gate: AccountGate, times: int) -> None:
    """So many requests, one after the other."""
    for _ in range(times):
        async with gate.request():
            pass


def test_a_busy_worker_asks_the_store_seldom() -> None:
    """Slices double up to what is there at once; one that grew old is halved, and not used."""
    limits, waits = Counting(), Waits()
    gate = gate_of(limits, waits, requests_per_minute=600)
    asyncio.run(passed(gate, 200))
    assert limits.asked[:6] == [1, 2, 4, 8, 16, 30]
    assert len(limits.asked) <= 12
    waits.now += 2.0
    asyncio.run(passed(gate_of(limits, waits, requests_per_minute=600), 1))
    before = len(limits.asked)
    fresh = gate_of(limits, waits, requests_per_minute=600)

    async def idle() -> None:
        await passed(fresh, 4)
        waits.now += 2.0
        await passed(fresh, 1)

    asyncio.run(idle())
    assert limits.asked[before:] == [1, 2, 4, 2]


def test_nothing_is_asked_where_nothing_is_limited() -> None:
    """A limit that the project does not name costs no call."""
    limits = Counting()
    gate = gate_of(limits, Waits(), concurrency=3)
    asyncio.run(passed(gate, 3))
    asyncio.run(gate.rows(10_000))
    assert limits.asked == []


@pytest.mark.parametrize("limit", ["requests_per_minute", "rows_per_minute", "concurrency"])
def test_a_wait_has_an_end(limit: str) -> None:
    """After ten minutes it is an error that a later run may not have, and no request was made."""
    limits, waits = Counting(grants=False), Waits()
    gate = gate_of(limits, waits, **{limit: 10})

    async def go() -> None:
        await gate.rows(5)
        await passed(gate, 1)

    with pytest.raises(TransientError, match="limit_wait"):
        asyncio.run(go())
    assert 600 <= waits.now < 610


class Client:
    """An HTTP client that remembers how many requests are on their way."""

    def __init__(self) -> None:
        self.now = self.most = self.made = 0

    async def request(self, method: str, url: str, **rest: object) -> HttpReply:
        """One that takes a while."""
        self.made += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return HttpReply(status=200, headers={}, body=b"")

    async def stream(self, method: str, url: str, **rest: object) -> HttpReply:
        """As one that is read at once."""
        return await self.request(method, url)

    async def close(self) -> None:
        """Nothing is held."""


def test_requests_of_all_lanes_share_the_places(tmp_path: Path) -> None:
    """Of two runs with four lanes each no more than two requests are on their way at a time; every
    place is free afterwards, also after a request that was cancelled.
    """
    store = SqlStore("sqlite", tmp_path)
    store_contract.create(store)
    limits, client = SqlLimits(store), Client()

    def limited() -> LimitedHttpClient:
        gate = AccountGate(limits=limits, account="a", of=AccountLimits(concurrency=2))
        return LimitedHttpClient(client, gate)

    async def lane(of: LimitedHttpClient) -> None:
        for _ in range(3):
            await of.request("GET", "http://127.0.0.1/", timeout_seconds=1.0)

    async def main() -> None:
        clients = limited(), limited()
        await asyncio.gather(*(lane(of) for of in clients for _ in range(4)))
        stopped = asyncio.ensure_future(lane(clients[0]))
        while not client.now:
            await asyncio.sleep(0)
        stopped.cancel()
        await asyncio.wait([stopped])

    asyncio.run(main())
    assert client.most == 2
    assert client.made >= 24
    assert all(limits.enter("a", name, most=2, seconds=60) for name in ("h1", "h2"))
    store.close()
