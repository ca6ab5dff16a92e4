"""The destination contract on a webhook, whose every message the library of Standard Webhooks
verifies.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest
from standardwebhooks.webhooks import Webhook

from hubspot_world import Token, batch, context
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.webhook import WebhookDestination, WebhookSettings
from mayfly.connectors.destinations.webhook_requests import BYTES_MAX
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract

OLD, NEW = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
ACCEPTED, REJECTED, DEFERRED = 0, 2, 3


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One receiver for the module; each test begins with an empty one."""
    with SandboxServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    httpx.post(f"{sandbox.url}/_sandbox/reset", trust_env=False).raise_for_status()
    knows(sandbox, NEW)


def knows(sandbox: SandboxServer, secret: str) -> None:
    """The receiver has this secret, and the library looks at every message."""
    library = Webhook(secret)
    sandbox.app.webhook.verify = lambda body, headers: library.verify(body, dict(headers))


def made(
    sandbox: SandboxServer, given: DestinationContext, *secrets: str, path: str = "/webhook/x"
) -> WebhookDestination:
    """A destination with a client of its own."""
    current, *previous = secrets or (NEW,)
    settings = WebhookSettings(
        url=f"{sandbox.url}{path}",
        secret=Token(current),
        previous_secret=Token(previous[0]) if previous else None,
    )
    return WebhookDestination(settings, HttpxClient(["127.0.0.1"]), given)


class TestWebhook(DestinationContract):
    """Rows kept by their key."""

    adds = Operation.WRITE

    @pytest.fixture(autouse=True)
    def _sandbox(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """A mirrored sync."""
        columns = {"id": pa.int64(), "email": pa.string()}
        return context(columns, key="id", mode=SyncMode.MIRROR)

    def make(self) -> WebhookDestination:
        """Another connection to the same address."""
        return made(self.sandbox, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """The address."""
        return f"person{subject}@example.com"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Key and address."""
        emails = pa.array([self.name_of(n) for n in subjects], pa.string())
        table = pa.table({"id": pa.array(subjects, pa.int64()), "email": emails})
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        table, _ = self.rows(subjects)
        return table.select(["id"]), {"id": Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Addresses in the receiver."""
        return {row["email"] for row in self.sandbox.app.webhook.rows.get("contract", {}).values()}


GIVEN = context({"id": pa.int64()}, key="id")


def ids(*numbers: int) -> ProtectedBatch:
    """Rows of a number each."""
    return batch({"id": pa.array(numbers, pa.int64())})


def write(
    destination: WebhookDestination, one: ProtectedBatch, progress: Progress | None = None
) -> Done:
    """The answer to a batch."""

    async def scenario() -> Done:
        try:
            answer = await destination.write(one, progress or Progress(rows=len(one)))
            assert isinstance(answer, Done)
            return answer
        finally:
            await destination.close()

    return asyncio.run(scenario())


def refusal(call: WebhookDestination, one: ProtectedBatch | None = None) -> EngineError:
    """What a check or a writing ends with."""

    async def scenario() -> EngineError:
        asked = call.check() if one is None else call.write(one, Progress(rows=len(one)))
        with pytest.raises(EngineError) as caught:
            await asked
        await call.close()
        return caught.value

    return asyncio.run(scenario())


def plan_fault(sandbox: SandboxServer, kind: str, count: int = 1, **more: Any) -> None:
    """Of the next messages."""
    body = {"path": "/webhook/", "kind": kind, "count": count, **more}
    httpx.post(f"{sandbox.url}/_sandbox/faults", json=body, trust_env=False).raise_for_status()


def test_every_type_arrives_as_json(sandbox: SandboxServer) -> None:
    """Exact, and a null is one."""
    moment = dt.datetime(2026, 11, 29, 12, 30, 0, 5, dt.UTC)
    rows: dict[str, pa.Array] = {
        "id": pa.array([2**62]),
        "text": pa.array(['"Łódź"\n\\']),
        "number": pa.array([0.1]),
        "yes": pa.array([True]),
        "exact": pa.array([Decimal("1.10")]),
        "day": pa.array([dt.date(2026, 11, 29)]),
        "moment": pa.array([moment], pa.timestamp("us", "UTC")),
        "local": pa.array([moment.replace(tzinfo=None)], pa.timestamp("us")),
        "time": pa.array([dt.time(1, 2, 3)]),
        "bytes": pa.array([b"\x00\xff"]),
        "list": pa.array([[1, None]]),
        "struct": pa.array([{"a": "x"}]),
    }
    given = context({k: v.type for k, v in rows.items()}, key="id")
    write(made(sandbox, given), batch(rows))
    [row] = sandbox.app.webhook.rows["contract"].values()
    assert row == {
        "id": 2**62,
        "text": '"Łódź"\n\\',
        "number": 0.1,
        "yes": True,
        "exact": "1.10",
        "day": "2026-11-29",
        "moment": "2026-11-29T12:30:00.000005Z",
        "local": "2026-11-29T12:30:00.000005",
        "time": "01:02:03.000000",
        "bytes": "00ff",
        "list": [1, None],
        "struct": {"a": "x"},
    }
    nothing = {k: v if k == "id" else pa.nulls(1, v.type) for k, v in rows.items()}
    write(made(sandbox, given), batch(nothing, number=1))
    [row] = sandbox.app.webhook.rows["contract"].values()
    assert {k for k, v in row.items() if v is None} == set(rows) - {"id"}


def test_messages_hold_a_thousand_rows_and_a_megabyte(sandbox: SandboxServer) -> None:
    """What does not fit goes in the next; a row that fits in none is told."""
    write(made(sandbox, GIVEN), ids(*range(1001)))
    sizes = [len(m["data"]["rows"]) for m in sandbox.app.webhook.messages]
    assert sizes == [1000, 1]
    texts = pa.array(["x" * 400_000] * 3 + ["y" * BYTES_MAX])
    rows = {"id": pa.array([1, 2, 3, 4]), "text": texts}
    given = context({"id": pa.int64(), "text": pa.string()}, key="id")
    answer = write(made(sandbox, given), batch(rows, number=1))
    assert answer.outcomes.codes.to_pylist() == [0, 0, 0, REJECTED]
    assert answer.outcomes.reasons[3].code == "too_large"
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    assert max(len(r["body"]) for r in found) <= BYTES_MAX


def test_numbers_that_json_has_not_are_told(sandbox: SandboxServer) -> None:
    """Alone: their neighbours go."""
    given = context({"x": pa.float64()}, key="x")
    rows = {"x": pa.array([1.5, float("nan"), float("inf"), None])}
    answer = write(made(sandbox, given), batch(rows, Operation.INSERT))
    assert answer.outcomes.codes.to_pylist() == [0, REJECTED, REJECTED, 0]
    assert sandbox.app.webhook.inserted["contract"] == [{"x": 1.5}, {"x": None}]


def test_a_message_that_was_lost_is_sent_again_as_it_was(sandbox: SandboxServer) -> None:
    """The receiver knows it by its id, also an append: each row is there once."""
    plan_fault(sandbox, "503")
    destination, progress = made(sandbox, GIVEN), Progress(rows=1500)
    inserted = batch({"id": pa.array(range(1500))}, Operation.INSERT)

    async def scenario() -> None:
        with pytest.raises(TransientError):
            await destination.write(inserted, progress)
        await destination.write(inserted, progress)
        # Another process, which knows nothing of the first one's progress.
        await destination.write(inserted, Progress(rows=1500))
        await destination.close()

    asyncio.run(scenario())
    receiver = sandbox.app.webhook
    assert len(receiver.inserted["contract"]) == 1500
    assert len(receiver.repeated) == 2
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    assert len({r["body"] for r in found}) == 2


def test_another_batch_run_or_part_is_another_message(sandbox: SandboxServer) -> None:
    """Though it holds the same rows."""
    one = ids(1, 2)
    again = batch({"id": pa.array([1, 2])}, number=1)
    for sent in (one, again, one.part(0, 2), one.pick([0, 1], attempt=1)):
        write(made(sandbox, GIVEN), sent)
    assert (len(sandbox.app.webhook.messages), sandbox.app.webhook.repeated) == (4, [])


@pytest.mark.parametrize(
    ("secrets", "receiver", "works"),
    [((NEW,), NEW, True), ((NEW,), OLD, False), ((NEW, OLD), OLD, True), ((NEW, OLD), NEW, True)],
)
def test_a_secret_is_replaced_without_a_gap(
    sandbox: SandboxServer, secrets: tuple[str, ...], receiver: str, works: bool
) -> None:
    """While both sign, a receiver may have either."""
    knows(sandbox, receiver)
    destination = made(sandbox, GIVEN, *secrets)
    if works:
        assert write(destination, ids(1)).outcomes.not_accepted() == []
    else:
        assert refusal(destination, ids(1)).code == "reauthorise"


def test_rows_are_told_apart_by_the_answer(sandbox: SandboxServer) -> None:
    """The receiver's own code stands beside the row."""
    plan_fault(sandbox, "partial_failure")
    answer = write(made(sandbox, GIVEN), ids(1, 2))
    assert answer.outcomes.codes.to_pylist() == [REJECTED, ACCEPTED]
    reason = answer.outcomes.reasons[0]
    assert (reason.code, reason.vendor_code) == ("rejected_by_receiver", "sandbox")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("401", "reauthorise"),
        ("100", "webhook_400"),
        ("redirect", "redirected"),
        ("reset", "destination_unreachable"),
    ],
)
def test_what_a_receiver_may_answer(sandbox: SandboxServer, kind: str, code: str) -> None:
    """A redirect is followed by nobody."""
    plan_fault(sandbox, kind)
    assert refusal(made(sandbox, GIVEN), ids(1)).code == code


def test_a_pause_is_kept(sandbox: SandboxServer) -> None:
    """As the receiver asks for it."""
    plan_fault(sandbox, "429", retry_after_seconds=7)
    error = refusal(made(sandbox, GIVEN), ids(1))
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == 7.0


def test_a_check_sends_no_row(sandbox: SandboxServer) -> None:
    """And says where nobody is, or where the secret is another."""
    asyncio.run(_checked(made(sandbox, GIVEN)))
    assert sandbox.app.webhook.messages == []
    knows(sandbox, OLD)
    assert refusal(made(sandbox, GIVEN)).code == "reauthorise"
    weak = refusal(made(sandbox, GIVEN, "whsec_AAAA"))
    assert (type(weak), weak.code) == (ConfigError, "bad_webhook_secret")


async def _checked(destination: WebhookDestination) -> None:
    await destination.check()
    await destination.close()


def test_outcomes_fit_the_rows_of_each_message(sandbox: SandboxServer) -> None:
    """A rejection in the second message is of its row in the batch."""
    progress = Progress(rows=1002)
    progress.rows_done(Outcomes.all_of(OutcomeCode.ACCEPTED, 1000))
    plan_fault(sandbox, "partial_failure")
    answer = write(made(sandbox, GIVEN), ids(*range(1002)), progress)
    assert answer.outcomes.not_accepted() == [1000]


@pytest.mark.slow
def test_a_hundred_thousand_rows(sandbox: SandboxServer) -> None:
    """In batches as they come; each is there."""
    for first in range(0, 100_000, 10_000):
        write(made(sandbox, GIVEN), ids(*range(first, first + 10_000)))
        # Each batch of a run has a number of its own.
        sandbox.app.webhook._answers.clear()
    assert len(sandbox.app.webhook.rows["contract"]) == 100_000
