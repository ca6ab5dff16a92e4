"""The destination contract on TikTok's Events API, over HTTP against the sandbox.

What each code means is shown with TikTok's audiences; here are those of events.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from contract.vendor_contract import REFUSING, EventContract
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.tiktok_events import (
    ROWS_MAX,
    SPEC,
    TiktokEvents,
    TiktokEventsSettings,
)
from mayfly.connectors.tiktok_api import TiktokSettings
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.privacy.gate import Form
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import email_digest
from scripted_http import Token

PIXEL = "C4A5B6"
NOW = int(time.time())
KINDS = {
    "event": pa.string(),
    "event_time": pa.timestamp("us", "UTC"),
    "event_id": pa.string(),
    "email": pa.binary(),
    "value": pa.float64(),
}


class TestTiktokEvents(EventContract):
    """The connector through our own HTTP client."""

    kinds = KINDS
    digests = "email"
    path = "/open_api/v1.3/event/track/"
    rows_max = ROWS_MAX
    batch_rows = SPEC.batch_rows

    def begin(self, sandbox: SandboxServer) -> None:
        """With no event."""
        super().begin(sandbox)
        self.vendor = sandbox.app.tiktok_events
        self.vendor.reset()

    def make(self, *, token: str = "token-1", **more: Any) -> TiktokEvents:
        """A connector with an HTTP client of its own."""
        settings = TiktokEventsSettings(
            api=TiktokSettings(access_token=Token(token), endpoint=self.sandbox.url),
            event_source="web",
            event_source_id=PIXEL,
            **{"is_limited": False, **more},
        )
        return TiktokEvents(settings, HttpxClient(["127.0.0.1"]), self.context())

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """One event of each."""
        made = {
            "event": ["Purchase" for _ in subjects],
            "event_time": [(NOW - 60) * 1_000_000 for _ in subjects],
            "event_id": [self.name_of(n) for n in subjects],
            "email": [email_digest(n) for n in subjects],
            "value": [n / 4 for n in subjects],
        }
        return self.table(made)

    async def contents(self) -> set[str]:
        """Ids of events of the pixel."""
        return {event["event_id"] for event in self.vendor.events.get(PIXEL, {}).values()}

    @pytest.mark.parametrize("rows", [ROWS_MAX, ROWS_MAX + 1])
    def test_each_number_of_rows_around_the_limit_arrives(self, rows: int) -> None:
        """In one request, or two."""
        self.run(self.around_the_limit(rows))

    def test_a_wrong_event_stands_alone_and_the_others_arrive(self) -> None:
        """Though TikTok refuses the whole request; an event of tomorrow is not sent at all."""
        self.vendor.bad = {("Purchase", "order-33")}

        async def scenario() -> None:
            destination = self.make()
            times = [(NOW + (3600 if n == 6 else -60)) * 1_000_000 for n in range(40)]
            outcomes = await self.write(destination, self.changed(range(40), event_time=times))
            told = {row: (r.code, r.vendor_code) for row, r in outcomes.reasons.items()}
            assert told == {6: ("event_in_future", ""), 33: ("row_refused", "tiktok_40002")}
            assert len(await self.contents()) == 38
            await destination.close()

        self.run(scenario())

    @pytest.mark.parametrize(("kind", "error", "code"), REFUSING)
    def test_each_fault_is_told_apart_and_the_batch_can_be_repeated(
        self, kind: str, error: type[EngineError], code: str
    ) -> None:
        """Nothing is recorded, and the same batch then arrives once."""
        self.run(self.told_apart(kind, error, code))

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
