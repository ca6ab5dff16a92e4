"""Meta's Conversions API: events of people, appended to a dataset.

Events are made in `meta_conversions_events`, of the fields in `meta_conversions_fields`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.meta_conversions_events import Events
from mayfly.connectors.destinations.meta_conversions_fields import ACTION_SOURCES, FIELDS
from mayfly.connectors.destinations.meta_conversions_page import PAGE
from mayfly.connectors.event_columns import require_moment
from mayfly.connectors.event_requests import (
    EventRequests,
    is_limited,
    require_test_event_code,
    trial_code,
)
from mayfly.connectors.http_replies import whole_number
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.meta_graph import API_VERSION, HOST, GraphSettings, graph_call
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import Connector, DestinationRequest
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Processor,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.ports.http import HttpClient
from mayfly.privacy.gate import ProtectedBatch

REQUEST_SECONDS = 60.0
ROWS_MAX = 1_000
_REQUIRED = ("event_name", "event_time", "event_id")
_NO_EVENTS = re.compile("meta_100(_[0-9]+)?")
_NO_DATASET = re.compile("meta_100_33|meta_(3|10|200|294)(_[0-9]+)?")

SPEC = DestinationSpec(
    name="meta_conversions",
    modes=frozenset({SyncMode.APPEND}),
    fields=FIELDS,
    request=RequestLimits(rows_max=ROWS_MAX, bytes_max=8_000_000),
    hosts=frozenset({HOST}),
    processor=Processor(legal_name="Meta Platforms Ireland Ltd", countries=frozenset({"IE", "US"})),
    erasure=Erasure.NONE,
    repeatable=True,
    always_external=True,
    concurrency=2,
    shared=True,
    batch_rows=10_000,
)


@dataclass(frozen=True, kw_only=True)
class MetaConversionsSettings:
    """Which dataset gets events, and what is the same in all of them.

    Args:
        graph: with what the Graph API is called.
        dataset_id: of the dataset, which is the pixel's.
        action_source: of events that have none of their own.
        is_limited: whether Limited Data Use is asked for in every event.
        test_event_code: where given, events are shown in Events Manager as tests, and count as
            nothing else.

    Raises:
        ConfigError: `bad_dataset_id`, `bad_action_source`, `bad_test_event_code`.
    """

    graph: GraphSettings = field(repr=False)
    dataset_id: str
    action_source: str | None = None
    is_limited: bool = True
    test_event_code: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,32}", self.dataset_id):
            raise ConfigError("bad_dataset_id", "dataset_id must be digits, as Events Manager has.")
        if self.action_source is not None and self.action_source not in ACTION_SOURCES:
            raise ConfigError(
                "bad_action_source", f"action_source must be one of {', '.join(ACTION_SOURCES)}."
            )
        require_test_event_code(self.test_event_code, "Meta")


class MetaConversions:
    """Appends events. Meta knows a repeated one by its name and id.

    A request with one wrong event is refused whole: it is halved until the wrong ones stand alone.
    Calls may run concurrently.

    Args:
        settings: which dataset.
        http: connects to Meta.
        context: of the sync.
        seconds: now, since 1970.

    Raises:
        ConfigError: `unknown_field`, `unsendable_type`.
    """

    def __init__(
        self,
        settings: MetaConversionsSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        if unknown := [name for name in context.columns if SPEC.field(name) is None]:
            raise ConfigError("unknown_field", f"Meta's events have no member {unknown[0]}.")
        require_moment("event_time", context.columns.get("event_time"))
        self._settings = settings
        self._http = http
        self._seconds = seconds
        self._requests = EventRequests("Meta", SPEC.request)
        self._cut: set[tuple[str, int, int]] = set()

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or dataset do not work. Writes nothing.

        A token that may send events need not be one that may read: this request holds no event,
        and is refused for that.
        """
        try:
            await self._post(b'{"data":[]}')
        except RequestRefusedError:
            return
        raise ContractError("unknown_answer", "Meta took a request that holds no event.")

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch in as many requests as it takes; what Meta would refuse stays here."""
        require_protected(batch)
        if batch.head.operation is not Operation.INSERT:
            raise ContractError("unknown_operation", "A dataset takes events, and gives none back.")
        events = await asyncio.to_thread(self._events, batch)
        head = batch.head
        code = self._settings.test_event_code

        async def post(content: bytes, numbers: Sequence[int]) -> None:
            reply = await self._post(content)
            self._require_received(reply, len(numbers), (head.run, head.number, numbers[0]))

        more = {} if code is None else {"test_event_code": code}
        return await self._requests.send(events, progress, more, post)

    async def poll(self, job: JobRef) -> Done | Pending:
        """Meta answers at once; there is nothing to ask for."""
        raise no_such_job("Meta", job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Meta knows ids of events, but nobody can ask it for them."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Events are not taken back."""
        require_protected(identifiers)
        raise ContractError("no_erasure", "Meta takes no event back by whom it is of.")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    def _events(self, batch: ProtectedBatch) -> Events:
        settings = self._settings
        return Events(
            batch,
            action_source=settings.action_source,
            is_limited=settings.is_limited,
            now=self._seconds(),
        )

    def _require_received(
        self, reply: Mapping[str, Any], count: int, place: tuple[str, int, int]
    ) -> None:
        """As many as were sent; fewer once are sent again, which doubles nothing."""
        received = whole_number(reply, "events_received", "Meta")
        if received == count:
            return
        if received < count and place not in self._cut:
            self._cut.add(place)
            raise TransientError("batch_cut", "Meta says it received fewer events than were sent.")
        raise ContractError("batch_cut", "Meta counts other events than were sent.")

    async def _post(self, content: bytes) -> Mapping[str, Any]:
        try:
            return await graph_call(
                self._settings.graph,
                self._http,
                "POST",
                f"{self._settings.dataset_id}/events",
                content=content,
                timeout_seconds=REQUEST_SECONDS,
            )
        except ContractError as error:
            raise _of_events(error) from None


def _of_events(error: ContractError) -> ConfigError | ContractError:
    """A refusal of events: what it was about."""
    if _NO_DATASET.fullmatch(error.code):
        return ConfigError(
            "dataset_refused",
            f"Meta has no such dataset, or the token may not send events to it ({error.code}).",
            hint="Check dataset_id, and give the token's system user access to the dataset.",
        )
    if _NO_EVENTS.fullmatch(error.code):
        return RequestRefusedError(error.code, error.message, hint=error.hint)
    return error


def _open(request: DestinationRequest) -> MetaConversions:
    code = trial_code(request)
    settings = MetaConversionsSettings(
        graph=GraphSettings(
            access_token=request.secret("access_token"),
            app_secret=request.secret_if("app_secret"),
            api_version=request.text("api_version", API_VERSION),
            endpoint=request.settings.endpoint or f"https://{HOST}",
        ),
        dataset_id=request.text("dataset_id"),
        action_source=request.text("action_source") or None,
        is_limited=is_limited(request),
        test_event_code=code,
    )
    return MetaConversions(settings, request.connect(), request.context)


def _refuses(settings: DestinationSettings, sync: SyncSettings) -> Iterable[tuple[str, str]]:
    """Members without which Meta takes no event."""
    needed = [name for name in _REQUIRED if name not in sync.mapping]
    if not settings.options.get("action_source") and "action_source" not in sync.mapping:
        needed.append("action_source")
    for name in needed:
        where = ", or to `action_source` of the destination" if name == "action_source" else ""
        yield "missing_field", f"Meta takes no event without {name}: map a column to it{where}."


CONNECTOR = Connector(spec=SPEC, open=_open, address=("dataset_id",), page=PAGE, refuses=_refuses)
