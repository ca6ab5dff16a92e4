"""Events in requests: which rows go, and what is said of those that did not plainly get there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import pyarrow as pa
import pytest

from mayfly.connectors.event_requests import EventRequests, require_test_event_code
from mayfly.domain.errors import ConfigError, RequestRefusedError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.destination import Progress, RequestLimits

LIMITS = RequestLimits(rows_max=4, bytes_max=100)
WRONG = Reason(code="no_identifier")


@dataclass
class Events:
    """Rows whose events are their numbers."""

    rows: int
    unsent: Mapping[int, Reason] = field(default_factory=dict)

    @property
    def texts(self) -> pa.Array:
        """Numbers as JSON."""
        return pa.array([str(n) for n in range(self.rows)])

    def __len__(self) -> int:
        return self.rows


class Vendor:
    """Takes requests without certain rows, and doubts those with others."""

    def __init__(self, *, refuses: Sequence[int] = (), doubts: Sequence[int] = ()) -> None:
        self.refuses, self.doubts = set(refuses), set(doubts)
        self.bodies: list[dict[str, object]] = []

    async def post(self, content: bytes, rows: Sequence[int]) -> Reason | None:
        """One request."""
        body = orjson.loads(content)
        assert body["data"] == list(rows)
        if self.refuses & set(rows):
            raise RequestRefusedError("acme_7", "no")
        self.bodies.append(body)
        return Reason(code="partly_taken") if self.doubts & set(rows) else None


def test_events_go_in_requests_of_so_many_rows() -> None:
    """Beside them stands what is the same in all; rows that cannot be sent are in none."""
    vendor = Vendor(doubts=[5])
    events, progress = Events(6, {1: WRONG}), Progress(rows=6)
    requests = EventRequests("Acme", LIMITS)
    done = asyncio.run(requests.send(events, progress, {"source": "web"}, vendor.post))
    assert vendor.bodies == [
        {"data": [0, 2, 3], "source": "web"},
        {"data": [4, 5], "source": "web"},
    ]
    assert done.outcomes.codes.to_pylist() == [0, 2, 0, 0, 1, 1]
    assert done.outcomes.reasons[1] == WRONG
    assert done.outcomes.reasons[4] == Reason(code="partly_taken")


def test_a_refused_event_stands_alone_with_its_code() -> None:
    """The others of its request are taken."""
    vendor = Vendor(refuses=[2])
    requests = EventRequests("Acme", LIMITS)
    done = asyncio.run(requests.send(Events(4), Progress(rows=4), {}, vendor.post))
    assert done.outcomes.codes.to_pylist() == [0, 0, OutcomeCode.REJECTED, 0]
    assert done.outcomes.reasons == {2: Reason(code="row_refused", vendor_code="acme_7")}


def test_a_request_that_would_be_too_large_is_halved_unsent() -> None:
    """Here each half has room."""
    vendor, limits = Vendor(), RequestLimits(rows_max=4, bytes_max=len(b'{"data":[0,1]}'))
    requests = EventRequests("Acme", limits)
    done = asyncio.run(requests.send(Events(4), Progress(rows=4), {}, vendor.post))
    assert [body["data"] for body in vendor.bodies] == [[0, 1], [2, 3]]
    assert done.outcomes.codes.to_pylist() == [0] * 4


def test_what_was_answered_before_a_failure_is_not_sent_again() -> None:
    """The batch goes on behind it."""
    vendor, progress = Vendor(), Progress(rows=6)
    requests = EventRequests("Acme", LIMITS)

    async def away(content: bytes, rows: Sequence[int]) -> Reason | None:
        if rows[0] == 4:
            raise TransientError("destination_busy", "later")
        return await vendor.post(content, rows)

    with pytest.raises(TransientError):
        asyncio.run(requests.send(Events(6), progress, {}, away))
    asyncio.run(requests.send(Events(6), progress, {}, vendor.post))
    assert [body["data"] for body in vendor.bodies] == [[0, 1, 2, 3], [4, 5]]


def test_a_code_of_test_events_is_letters_and_digits() -> None:
    """None is no mistake."""
    require_test_event_code(None, "Acme")
    require_test_event_code("TEST-1_a", "Acme")
    for code in ("", "a b", "a" * 65):
        with pytest.raises(ConfigError, match="bad_test_event_code"):
            require_test_event_code(code, "Acme")
