"""TikTok's Events API: events of people, appended to a pixel or an event set.

Events are made in `tiktok_events_rows`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.tiktok_events_rows import FIELDS, Events
from mayfly.connectors.event_columns import require_moment
from mayfly.connectors.event_requests import (
    EventRequests,
    is_limited,
    require_test_event_code,
    trial_code,
)
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.tiktok_api import HOST, PARTLY_TAKEN, TiktokSettings, tiktok_call
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.domain.outcomes import Reason
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
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
EVENT_SOURCES = ("web", "offline", "crm")
_REQUIRED = ("event", "event_time", "event_id")

SPEC = DestinationSpec(
    name="tiktok_events",
    modes=frozenset({SyncMode.APPEND}),
    fields=FIELDS,
    request=RequestLimits(rows_max=ROWS_MAX, bytes_max=8_000_000),
    hosts=frozenset({HOST}),
    processor=Processor(
        legal_name="TikTok Technology Limited", countries=frozenset({"GB", "IE", "SG", "US"})
    ),
    erasure=Erasure.NONE,
    repeatable=True,
    always_external=True,
    concurrency=2,
    shared=True,
    batch_rows=10_000,
)


@dataclass(frozen=True, kw_only=True)
class TiktokEventsSettings:
    """Where events go, and what is the same in all of them.

    Args:
        api: with what the Business API is called.
        event_source: where events happen: `web`, `offline` or `crm`.
        event_source_id: of the pixel or the event set.
        is_limited: whether limited use is asked for in every event.
        test_event_code: where given, events are shown in Events Manager as tests.

    Raises:
        ConfigError: `bad_event_source`, `bad_event_source_id`, `bad_test_event_code`.
    """

    api: TiktokSettings = field(repr=False)
    event_source: str
    event_source_id: str
    is_limited: bool = True
    test_event_code: str | None = None

    def __post_init__(self) -> None:
        if self.event_source not in EVENT_SOURCES:
            raise ConfigError(
                "bad_event_source", f"event_source must be one of {', '.join(EVENT_SOURCES)}."
            )
        if not re.fullmatch(r"[A-Za-z0-9]{1,64}", self.event_source_id):
            raise ConfigError("bad_event_source_id", "event_source_id must be letters and digits.")
        require_test_event_code(self.test_event_code, "TikTok")

    @property
    def head(self) -> dict[str, str]:
        """Members of a request beside its events."""
        made = {"event_source": self.event_source, "event_source_id": self.event_source_id}
        code = self.test_event_code
        return made if code is None else {**made, "test_event_code": code}


class TiktokEvents:
    """Appends events. TikTok knows a repeated one by its name and id.

    TikTok answers for a request as a whole: what it refuses is halved until the wrong events stand
    alone. Calls may run concurrently.

    Args:
        settings: where to.
        http: connects to TikTok.
        context: of the sync.
        seconds: now, since 1970.

    Raises:
        ConfigError: `unknown_field`, `unsendable_type`.
    """

    def __init__(
        self,
        settings: TiktokEventsSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        if unknown := [name for name in context.columns if SPEC.field(name) is None]:
            raise ConfigError("unknown_field", f"TikTok's events have no member {unknown[0]}.")
        require_moment("event_time", context.columns.get("event_time"))
        self._settings = settings
        self._http = http
        self._seconds = seconds
        self._requests = EventRequests("TikTok", SPEC.request)

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or event source do not work.

        There is no call that only asks: this request holds no event, and is refused for that.
        """
        try:
            await self._post(orjson.dumps({**self._settings.head, "data": []}))
        except RequestRefusedError:
            return
        raise ContractError("unknown_answer", "TikTok took a request that holds no event.")

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch in as many requests as it takes; what says too little stays here."""
        require_protected(batch)
        if batch.head.operation is not Operation.INSERT:
            raise ContractError("unknown_operation", "TikTok takes events, and gives none back.")
        events = await asyncio.to_thread(
            Events, batch, is_limited=self._settings.is_limited, now=self._seconds()
        )
        return await self._requests.send(events, progress, self._settings.head, self._sent)

    async def poll(self, job: JobRef) -> Done | Pending:
        """TikTok answers at once; there is nothing to ask for."""
        raise no_such_job("TikTok", job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: TikTok knows ids of events, but nobody can ask it for them."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Events are not taken back."""
        require_protected(identifiers)
        raise ContractError("no_erasure", "TikTok takes no event back by whom it is of.")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _sent(self, content: bytes, numbers: Sequence[int]) -> Reason | None:
        """Why it is not known that these were taken, None where they were."""
        del numbers  # TikTok tells nothing of single events
        try:
            await self._post(content)
        except ContractError as error:
            if error.code != f"tiktok_{PARTLY_TAKEN}":
                raise
            return Reason(code="partly_taken", vendor_code=error.code)
        return None

    async def _post(self, content: bytes) -> None:
        await tiktok_call(
            self._settings.api,
            self._http,
            "POST",
            "/event/track/",
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


def _open(request: DestinationRequest) -> TiktokEvents:
    code = trial_code(request)
    settings = TiktokEventsSettings(
        api=TiktokSettings(
            access_token=request.secret("access_token"),
            endpoint=request.settings.endpoint or f"https://{HOST}",
        ),
        event_source=request.text("event_source"),
        event_source_id=request.text("event_source_id"),
        is_limited=is_limited(request),
        test_event_code=code,
    )
    return TiktokEvents(settings, request.connect(), request.context)


def _refuses(settings: DestinationSettings, sync: SyncSettings) -> Iterable[tuple[str, str]]:
    """Members without which an event is none, or could count twice."""
    del settings
    for name in _REQUIRED:
        if name not in sync.mapping:
            yield "missing_field", f"An event needs {name}: map a column to it."


PAGE = ConnectorPage(
    title="TikTok Events API",
    example="""
destinations:
  tiktok_shop:
    type: tiktok_events
    event_source: offline
    event_source_id: "1234567890"
    access_token: env:TIKTOK_TOKEN
    full_use: [ads]
syncs:
  orders_to_tiktok:
    id: orders_to_tiktok
    model: people
    destination: tiktok_shop
    mode: append
    purpose: ads
    mapping:
      event: event_name
      event_time: ordered_at
      event_id: order_id
      email: email
      phone: phone
      value: total
      currency: currency
""",
    rights=(
        "An access token that Events Manager makes for the pixel or the event set, or one of an "
        "app that the advertiser has authorised for it.",
    ),
    notes=(
        "**Ids.** TikTok takes an event for known that has the `event` and `event_id` of one it "
        "has, from a browser, too: map what the browser sends, or the order's number, never what "
        "is made anew for each sending. So a request without an answer is sent again.",
        "**Time.** `event_time` is a time, a day, or whole seconds since 1970; without a zone it "
        "is of UTC. What lies more than 5 minutes ahead is rejected unsent: `event_in_future`.",
        "**Consent.** Only rows whose consent for the sync's purpose is granted are sent. "
        "`limited_data_use` is false where `full_use` lists that purpose, else true; a column "
        "mapped to it asks for it row by row (true or false; or `consent.PURPOSE`, which asks for "
        "it where that purpose is not granted), and unknown counts as true.",
        "**Who.** `email`, `phone`, `external_id`, `ttclid`, `ttp`, or `ip` and `user_agent` "
        "together; else a row is rejected unsent: `no_identifier`. Phones are hashed with `+`, "
        "other than in audiences. `page_url` goes without a query: cut it off in the model's SQL.",
        "**Refusals.** TikTok tells nothing of single events: what it takes counts as delivered. A "
        "request that it refuses for a parameter is halved until the wrong events stand alone "
        "(`row_refused`).",
        "**Trying.** `mayfly test` needs `test_event_code`, and sends it; runs never do. TikTok "
        "takes nothing back: what was sent once stays there, whoever withdraws later.",
        "Left out: events of apps, `contents`, names and descriptions.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by TikTok's own client, which has no "
        "method for `/event/track/` and was made to call it.",
        "How many events a request may hold: 1,000 are sent, and fewer where that is refused. How "
        "old one may be: none is kept back for its age.",
        "Whether TikTok answers a request without events with a code of a wrong parameter, as "
        "`check` expects, and whether one wrong event refuses the whole request.",
        "Where TikTok keeps what it gets: the countries are of its notices for Europe of 2022.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("event_source", "event_source_id"),
    page=PAGE,
    refuses=_refuses,
)
