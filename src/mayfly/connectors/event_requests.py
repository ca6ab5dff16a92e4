"""Events of a batch in requests, and the settings that say what the vendor may do with them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from mayfly.connectors.event_columns import events_body
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_outcomes import laid_out
from mayfly.domain.errors import ConfigError, RequestRefusedError
from mayfly.domain.outcomes import Outcomes, Reason
from mayfly.ports.connector import DestinationRequest
from mayfly.ports.destination import Done, Progress, RequestLimits

Post = Callable[[bytes, Sequence[int]], Awaitable[Reason | None]]
"""Sends one request with the events of some rows.

None where the vendor took them; a reason where it may have taken some. Raises RequestRefusedError
where one of them may be wrong.
"""


class Events(Protocol):
    """The rows of a batch."""

    @property
    def texts(self) -> pa.Array:
        """One event a row, as JSON; of rows that are sent."""

    @property
    def unsent(self) -> Mapping[int, Reason]:
        """The other rows, by number."""

    def __len__(self) -> int:
        """How many rows there are."""


class EventRequests:
    """Sends events; a request with one wrong event is halved until the wrong ones stand alone.

    Calls may run concurrently.

    Args:
        vendor: for messages.
        limits: of one request.
    """

    def __init__(self, vendor: str, limits: RequestLimits) -> None:
        self._limits = limits
        self._narrowing = Narrowing(vendor=vendor)

    async def send(
        self, events: Events, progress: Progress, head: Mapping[str, object], post: Post
    ) -> Done:
        """The rows that are not answered yet, in as many requests as it takes.

        Args:
            events: of a batch.
            progress: of it.
            head: members of a request beside its events.
            post: sends one.

        Raises:
            EngineError: as `post` and `Narrowing.send`; what was answered is in `progress`.
        """
        while progress.next_row < len(events):
            first = progress.next_row
            rows = min(self._limits.rows_max, len(events) - first)
            progress.rows_done(await self._part(events, range(first, first + rows), head, post))
        return progress.done()

    async def _part(
        self, events: Events, rows: range, head: Mapping[str, object], post: Post
    ) -> Outcomes:
        """Outcomes of neighbouring rows."""
        told = {n: events.unsent[n] for n in rows if n in events.unsent}
        doubted: dict[int, Reason] = {}

        async def ask(numbers: Sequence[int]) -> None:
            content = await asyncio.to_thread(events_body, events.texts, numbers, head)
            if len(content) > self._limits.bytes_max:
                raise RequestRefusedError("too_large", "A request would be too large.")
            doubt = await post(content, numbers)
            if doubt is not None:
                doubted.update(dict.fromkeys(numbers, doubt))

        def refuse(number: int, error: RequestRefusedError) -> None:
            told[number] = Reason(code="row_refused", vendor_code=error.code)

        sent = [n for n in rows if n not in told]
        await self._narrowing.send(sent, ask, refuse)
        return laid_out(told, first=rows.start, rows=len(rows), unconfirmed=doubted)


def require_test_event_code(code: str | None, vendor: str) -> None:
    """Refuse a code of test events that is none.

    Raises:
        ConfigError: `bad_test_event_code`.
    """
    if code is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", code):
        raise ConfigError("bad_test_event_code", f"test_event_code must be as {vendor} shows it.")


def trial_code(request: DestinationRequest) -> str | None:
    """The code by which events of a trial are known as tests; None where they are real.

    Raises:
        ConfigError: `no_test_event_code`, a trial has none.
    """
    if not request.sync.trial:
        return None
    code = request.text("test_event_code")
    if not code:
        raise ConfigError(
            "no_test_event_code",
            "Events that never were would count as real ones.",
            hint="Give the destination `test_event_code`, as Events Manager shows it under Test "
            "events. It is used by `mayfly test` alone.",
        )
    return code


def is_limited(request: DestinationRequest) -> bool:
    """Whether limited use is asked for: `full_use` does not list the sync's purpose."""
    full = request.settings.options.get("full_use")
    return request.sync.purpose not in (full if isinstance(full, list) else ())
