"""The destination contract on Meta's Conversions API, over HTTP against the sandbox.

Statuses that Meta documents for events: of 100, a wrong event, one that is too old, people whom too
little tells, and a dataset that is gone; 190; 200; the codes of too many calls; 1 and 2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pytest

from contract.vendor_contract import REFUSING, RESET, EventContract
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.meta_conversions import (
    ROWS_MAX,
    SPEC,
    MetaConversions,
    MetaConversionsSettings,
)
from mayfly.connectors.meta_graph import GraphSettings
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.privacy.gate import Form
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import email_digest
from scripted_http import Token

DATASET = "4242"
NOW = int(time.time())
KINDS = {
    "event_name": pa.string(),
    "event_time": pa.int64(),
    "event_id": pa.string(),
    "em": pa.binary(),
    "fbp": pa.string(),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(app_secret="s3cret", tokens=frozenset({"token-1"})) as server:
        yield server


class TestMetaConversions(EventContract):
    """The connector through our own HTTP client."""

    kinds = KINDS
    digests = "em"
    path = "/v26.0/4242/events"
    rows_max = ROWS_MAX
    batch_rows = SPEC.batch_rows

    def begin(self, sandbox: SandboxServer) -> None:
        """With no event."""
        super().begin(sandbox)
        sandbox.app.datasets.reset()

    def make(self, *, token: str = "token-1", **more: Any) -> MetaConversions:
        """A connector with an HTTP client of its own."""
        settings = MetaConversionsSettings(
            graph=GraphSettings(
                access_token=Token(token), app_secret=Token("s3cret"), endpoint=self.sandbox.url
            ),
            dataset_id=DATASET,
            **{"action_source": "other", "is_limited": False, **more},
        )
        return MetaConversions(settings, HttpxClient(["127.0.0.1"]), self.context())

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """One event of each."""
        made = {
            "event_name": ["Lead" for _ in subjects],
            "event_time": [NOW - 60 for _ in subjects],
            "event_id": [self.name_of(n) for n in subjects],
            "em": [email_digest(n) for n in subjects],
            "fbp": [f"fb.1.1596403881668.{n}" if n % 2 else None for n in subjects],
        }
        return self.table(made)

    @property
    def taken(self) -> list[dict[str, Any]]:
        """Events in the dataset."""
        return list(self.sandbox.app.datasets.events.get(DATASET, {}).values())

    async def contents(self) -> set[str]:
        """Ids of events in the dataset."""
        return {event["event_id"] for event in self.taken}

    def refused(self, code: type[EngineError], **how: Any) -> str:
        """The code with which a write is refused."""

        async def scenario() -> str:
            destination = self.make(**how)
            with pytest.raises(code) as raised:
                await self.write(destination, self.added([1]))
            await destination.close()
            return raised.value.code

        return self.run(scenario())

    @pytest.mark.parametrize("rows", [ROWS_MAX, ROWS_MAX + 1])
    def test_each_number_of_rows_around_the_limit_arrives(self, rows: int) -> None:
        """In one request, or two."""
        self.run(self.around_the_limit(rows))

    def test_a_wrong_event_stands_alone_and_the_others_arrive(self) -> None:
        """Though Meta refuses the whole request, and says nothing of the row."""

        async def scenario() -> None:
            destination = self.make()
            self.sandbox.app.datasets.bad = {("Lead", "order-33"), ("Lead", "order-34")}
            outcomes = await self.write(destination, self.added(range(40)))
            assert outcomes.not_accepted() == [33, 34]
            reason = outcomes.reasons[33]
            assert (reason.code, reason.vendor_code) == ("row_refused", "meta_100")
            assert await self.contents() == {f"order-{n}" for n in range(40) if n not in (33, 34)}
            await destination.close()

        self.run(scenario())

    @pytest.mark.slow
    def test_where_every_event_is_refused_the_request_is_to_blame(self) -> None:
        """After five rows, and nothing was taken."""
        self.sandbox.app.datasets.bad = {("Lead", f"order-{n}") for n in range(12)}

        async def scenario() -> None:
            destination = self.make()
            with pytest.raises(ContractError) as raised:
                await self.write(destination, self.added(range(12)))
            assert raised.value.code == "meta_100"
            assert "5 rows were sent alone" in raised.value.hint
            await destination.close()

        self.run(scenario())

    def test_what_meta_would_refuse_stays_here(self) -> None:
        """Each row with its reason; the others are one request that is taken."""

        async def scenario() -> None:
            destination = self.make()
            week = 7 * 24 * 3600
            batch = self.changed(
                [1, 2, 3, 4, 5, 6],
                event_time=[NOW - 60, NOW - week - 60, NOW + 3600, None, NOW, NOW],
                event_id=["a", "b", "c", "d", None, "f"],
                em=[email_digest(1)] * 5 + [None],
                fbp=[None] * 6,
            )
            outcomes = await self.write(destination, batch)
            told = {row: reason.code for row, reason in outcomes.reasons.items()}
            assert told == {
                1: "event_too_old",
                2: "event_in_future",
                3: "no_event_time",
                4: "no_event_id",
                5: "no_identifier",
            }
            assert await self.contents() == {"a"}
            assert len(self.sandbox.app.recorder.requests()) == 1
            await destination.close()

        self.run(scenario())

    @pytest.mark.parametrize(("kind", "error", "code"), [*REFUSING, RESET])
    def test_each_fault_is_told_apart_and_the_batch_can_be_repeated(
        self, kind: str, error: type[EngineError], code: str
    ) -> None:
        """Nothing is recorded, and the same batch then arrives once."""
        self.run(self.told_apart(kind, error, code))

    def test_a_wrong_token_and_a_dataset_that_is_gone_are_told(self) -> None:
        """By `write` as by `check`; the rows are not to blame."""
        assert self.refused(ConfigError, token="expired") == "reauthorise"
        self.sandbox.app.datasets.gone.add(DATASET)
        assert self.refused(ConfigError) == "dataset_refused"

        async def scenario() -> None:
            destination = self.make()
            with pytest.raises(ConfigError) as raised:
                await destination.check()
            assert raised.value.code == "dataset_refused"
            await destination.close()

        self.run(scenario())

    def test_trial_events_count_as_none(self) -> None:
        """A `test_event_code` stands beside the events."""

        async def scenario() -> None:
            destination = self.make(test_event_code="TEST1")
            await self.write(destination, self.added([1]))
            assert self.taken == []
            assert len(self.sandbox.app.datasets.tests[DATASET]) == 1
            await destination.close()

        self.run(scenario())

    def test_limited_data_use_is_asked_for_where_the_sync_says_so(self) -> None:
        """Else every event says that it is not."""

        async def scenario() -> None:
            for limited, subject in ((True, 1), (False, 2)):
                destination = self.make(is_limited=limited)
                await self.write(destination, self.added([subject]))
                await destination.close()

        self.run(scenario())
        first, second = self.taken
        assert first["data_processing_options"] == ["LDU"]
        assert first["data_processing_options_country"] == 0
        assert first["data_processing_options_state"] == 0
        assert second["data_processing_options"] == []
        assert "data_processing_options_country" not in second

    def test_no_identifier_and_no_token_is_in_an_address(self) -> None:
        """Digests travel in bodies, the token in a header."""

        async def scenario() -> None:
            destination = self.make()
            await self.write(destination, self.added([1]))
            await destination.close()

        self.run(scenario())
        [request] = self.sandbox.app.recorder.requests()
        assert email_digest(1).hex() in request["body"]
        assert request["query"] == "appsecret_proof=redacted"
        assert orjson.loads(request["body"])["data"][0]["user_data"]["fbp"].startswith("fb.1.")
