"""The destination contract on TikTok's Events API, over HTTP against the sandbox.

What each code means is shown with TikTok's audiences; here are those of events.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.tiktok_events import (
    ROWS_MAX,
    SPEC,
    TiktokEvents,
    TiktokEventsSettings,
)
from mayfly.connectors.tiktok_api import TiktokSettings
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, email_digest

PIXEL = "C4A5B6"
NOW = int(time.time())
KINDS = {
    "event": pa.string(),
    "event_time": pa.timestamp("us", "UTC"),
    "event_id": pa.string(),
    "email": pa.binary(),
    "value": pa.float64(),
}
FORMS = {name: Form.DIGEST if name == "email" else Form.CLEAR for name in KINDS}


@dataclass(frozen=True)
class _Token:
    text: str = "token-1"

    def reveal(self) -> str:
        return self.text


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server


class TestTiktokEvents(DestinationContract):
    """The connector through our own HTTP client."""

    adds = Operation.INSERT
    removes = None

    @pytest.fixture(autouse=True)
    def _empty(self, sandbox: SandboxServer) -> None:
        self.vendor = sandbox.app.tiktok_events
        self.vendor.reset()
        sandbox.app.faults.planned.clear()
        sandbox.app.recorder.clear()
        self.sandbox = sandbox

    def make(self, *, token: str = "token-1", **more: Any) -> TiktokEvents:
        """A connector with an HTTP client of its own."""
        settings = TiktokEventsSettings(
            api=TiktokSettings(access_token=_Token(token), endpoint=self.sandbox.url),
            event_source="web",
            event_source_id=PIXEL,
            **{"is_limited": False, **more},
        )
        return TiktokEvents(settings, HttpxClient(["127.0.0.1"]), self.context())

    def context(self) -> DestinationContext:
        """A sync of events."""
        return DestinationContext(
            workspace="shop",
            sync="contract",
            mode=SyncMode.APPEND,
            object_name="contract",
            key=(),
            columns=KINDS,
            forms=FORMS,
        )

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """One event of each."""
        made = {
            "event": ["Purchase" for _ in subjects],
            "event_time": [(NOW - 60) * 1_000_000 for _ in subjects],
            "event_id": [self.name_of(n) for n in subjects],
            "email": [email_digest(n) for n in subjects],
            "value": [n / 4 for n in subjects],
        }
        return pa.table({n: pa.array(v, KINDS[n]) for n, v in made.items()}), FORMS

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """The event's id."""
        return f"order-{subject}"

    async def contents(self) -> set[str]:
        """Ids of events of the pixel."""
        return {event["event_id"] for event in self.vendor.events.get(PIXEL, {}).values()}

    @pytest.mark.parametrize("rows", [ROWS_MAX, ROWS_MAX + 1])
    def test_each_number_of_rows_around_the_limit_arrives(self, rows: int) -> None:
        """In one request, or two."""

        async def scenario() -> None:
            destination = self.make()
            outcomes = await self.write(destination, self.added(range(rows)))
            assert outcomes.count(OutcomeCode.ACCEPTED) == rows
            assert len(await self.contents()) == rows
            assert len(self.sandbox.app.recorder.requests()) == 1 + rows // (ROWS_MAX + 1)
            await destination.close()

        self.run(scenario())

    def test_a_wrong_event_stands_alone_and_the_others_arrive(self) -> None:
        """Though TikTok refuses the whole request; an event of tomorrow is not sent at all."""
        self.vendor.bad = {("Purchase", "order-33")}

        async def scenario() -> None:
            destination = self.make()
            table, forms = self.rows(range(40))
            times = [(NOW + (3600 if n == 6 else -60)) * 1_000_000 for n in range(40)]
            table = table.set_column(1, "event_time", pa.array(times, KINDS["event_time"]))
            outcomes = await self.write(
                destination, self.protect(self.added(range(40)).head, table, forms)
            )
            told = {row: (r.code, r.vendor_code) for row, r in outcomes.reasons.items()}
            assert told == {6: ("event_in_future", ""), 33: ("row_refused", "tiktok_40002")}
            assert len(await self.contents()) == 38
            await destination.close()

        self.run(scenario())

    @pytest.mark.parametrize(
        ("kind", "error", "code"),
        [
            ("503", TransientError, "destination_busy"),
            ("429", TransientError, "rate_limited"),
            ("garbage", TransientError, "garbage_answer"),
            ("redirect", ContractError, "redirected"),
            ("401", ConfigError, "reauthorise"),
        ],
    )
    def test_each_fault_is_told_apart_and_the_batch_can_be_repeated(
        self, kind: str, error: type[EngineError], code: str
    ) -> None:
        """Nothing is recorded, and the same batch then arrives once."""
        batch, progress = self.added([1, 2, 3]), Progress(rows=3)
        self.sandbox.app.faults.add({"path": "/open_api/v1.3/event/track/", "kind": kind})

        async def scenario() -> None:
            destination = self.make()
            with pytest.raises(error) as raised:
                await destination.write(batch, progress)
            assert raised.value.code == code
            await destination.write(batch, progress)
            assert await self.contents() == {"order-1", "order-2", "order-3"}
            await destination.close()

        self.run(scenario())

    def test_a_wrong_token_is_told_before_a_row_is(self) -> None:
        """By `check`, which sends no event."""

        async def scenario() -> None:
            destination = self.make(token="expired")
            with pytest.raises(ConfigError) as raised:
                await destination.check()
            assert raised.value.code == "reauthorise"
            await destination.close()

        self.run(scenario())

    def test_trial_events_count_as_none_and_limited_use_is_told(self) -> None:
        """Of each event, beside the test code of the request."""

        async def scenario() -> None:
            for limited, code in ((True, "TEST1"), (False, None)):
                destination = self.make(is_limited=limited, test_event_code=code)
                await self.write(destination, self.added([1]))
                await destination.close()

        self.run(scenario())
        [tried] = self.vendor.tests[PIXEL]
        [real] = self.vendor.events[PIXEL].values()
        assert (tried["limited_data_use"], real["limited_data_use"]) == (True, False)
        assert real["user"] == {"email": email_digest(1).hex()}
        assert real["properties"] == {"value": 0.25}

    @pytest.mark.slow
    def test_a_hundred_thousand_events_arrive(self) -> None:
        """In batches of the size that the specification says."""

        async def scenario() -> None:
            destination = self.make()
            for first in range(0, 100_000, SPEC.batch_rows):
                batch = self.added(range(first, first + SPEC.batch_rows), number=first)
                outcomes = await self.write(destination, batch)
                assert outcomes.count(OutcomeCode.ACCEPTED) == SPEC.batch_rows
            assert len(await self.contents()) == 100_000
            await destination.close()

        self.run(scenario())
